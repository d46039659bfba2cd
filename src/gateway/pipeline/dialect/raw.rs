//! Requests whose body is itself the input, KServe's: its beginning is kept, nothing of it is understood.

use http::HeaderMap;

use super::{
    looked::{Reader, Told},
    shown::{MAX_SHOWN, text},
};
use crate::gateway::respond::Problem;

/// How many bytes of the body are JSON when tensors follow it in binary (KServe's binary tensor data extension).
const JSON_LENGTH: &str = "inference-header-content-length";

/// Keeps the beginning of a body.
pub(super) struct Beginning {
    kept: Vec<u8>,
    most: usize,
}

impl Beginning {
    pub(super) fn new(headers: &HeaderMap) -> Self {
        let json = headers.get(JSON_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        Self { kept: Vec::new(), most: json.unwrap_or(MAX_SHOWN).min(MAX_SHOWN) }
    }
}

impl Reader for Beginning {
    fn read(&mut self, bytes: &[u8]) {
        let room = self.most - self.kept.len();
        self.kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn searches(&self) -> bool {
        false
    }

    fn guards(&self) -> bool {
        false
    }

    fn doubt(&self) -> Option<&'static str> {
        None
    }

    fn model(&self) -> Result<Option<String>, Problem> {
        Ok(None)
    }

    fn told(&self) -> Told {
        Told { stream: None, input: text(&self.kept), whole: false }
    }
}
