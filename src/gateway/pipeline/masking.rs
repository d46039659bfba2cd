//! What is masked of an exchange: settled once it is permitted, told to the model's server, and begun with the answer's head.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header, request, response};

use super::{
    dialect::{self, Call, Rpc},
    engine::Engine,
    headers,
    masked::Masked,
    models::Model,
};
use crate::gateway::{
    mask::{Decoder, Form, Masking, Unknown},
    respond::Problem,
};

/// Fields about bytes that the caller does not get as they are.
const ABOUT_BYTES: [HeaderName; 7] = [
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::ACCEPT_RANGES,
    header::ETAG,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("content-md5"),
];

/// KServe's extension for tensors behind their JSON: bytes that may be text, of a content type that says nothing.
pub(super) const BINARY_TENSORS: HeaderName = HeaderName::from_static("inference-header-content-length");

/// How the answer to one request is masked.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    masking: Arc<Masking>,
    unknown: Unknown,
    rpc: Rpc,
    /// The answer is of a dialect whose names of things are known.
    interface: bool,
    /// The caller reads trailers.
    trailers: bool,
    version: Version,
}

impl Plan {
    /// How the answer to a request of this head is masked; `None` where the model's answers pass as they are.
    pub(super) fn of(model: &Model, masking: &Arc<Masking>, head: &request::Parts) -> Option<Self> {
        let config = model.config.mask.as_ref()?;
        let call = Call::of(model.config.dialect, head);
        Some(Self {
            masking: Arc::clone(masking),
            unknown: config.unknown,
            rpc: dialect::rpc(head.uri.path()),
            interface: call.is_some_and(|call| call.is_interface()),
            trailers: head.version == Version::HTTP_2 || headers::takes_trailers(&head.headers),
            version: head.version,
        })
    }

    /// Asks for an answer that can be read: whole, and not compressed.
    pub(super) fn request(&self, headers: &mut HeaderMap) {
        headers::uncompressed(headers);
        for name in [header::RANGE, header::IF_RANGE, HeaderName::from_static("grpc-accept-encoding")] {
            headers.remove(name);
        }
    }

    /// Begins the answer with this head; `None` where nothing of it is text, and it passes as it is.
    ///
    /// # Errors
    /// When it cannot be read, and must not pass unread.
    pub(super) fn answer(&self, head: &mut response::Parts, empty: bool) -> Result<Option<Masked>, Problem> {
        headers::mask_status(&mut head.headers, &self.masking);
        if empty {
            return Ok(None);
        }
        let Some((form, decoder)) = self.form(head) else {
            let kind =
                head.headers.get(header::CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()));
            return match self.unknown {
                Unknown::Pass => Ok(None),
                Unknown::Refuse => Err(Problem::answer_unknown(kind.as_deref())),
            };
        };
        if form == Form::Binary {
            return Ok(None);
        }
        for name in &ABOUT_BYTES {
            head.headers.remove(name);
        }
        let trailers =
            self.trailers && (self.version == Version::HTTP_2 || !head.headers.contains_key(header::TRAILER));
        if trailers && self.version != Version::HTTP_2 {
            // HTTP/1.1 has trailers only where they are announced.
            head.headers.insert(header::TRAILER, HeaderValue::from_name(headers::MASKED));
        }
        Ok(Some(Masked::new(form, self.interface, decoder, &self.masking, trailers)))
    }

    /// The frames of a WebSocket towards the caller.
    pub(super) fn socket(&self) -> Engine {
        Engine::new(Form::WebSocket, self.interface, &self.masking)
    }

    /// How the answer of this head would be read; `None` when it cannot be.
    pub(super) fn veiled(&self, head: &response::Parts) -> Option<(Form, Option<Decoder>)> {
        self.form(head)
    }

    /// Whether the answer is of a dialect whose names of things are known.
    pub(super) fn is_interface(&self) -> bool {
        self.interface
    }

    fn form(&self, head: &response::Parts) -> Option<(Form, Option<Decoder>)> {
        if head.headers.contains_key(BINARY_TENSORS) {
            return None;
        }
        let kind = head.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let form = match self.rpc {
            _ if !kind.starts_with("application/grpc") => Form::of(kind)?,
            Rpc::Inference { streams } => Form::Inference { streams },
            // These tell of servers, and of nobody's data.
            Rpc::Quiet => Form::Binary,
            Rpc::Other => return None,
        };
        if head.status == StatusCode::PARTIAL_CONTENT && form != Form::Binary {
            // It may begin in the middle of a value.
            return None;
        }
        Some((form, decoder(&head.headers)?))
    }
}

/// What undoes the compression of a body, if it has one; `None` when that cannot be undone.
pub(super) fn decoder(headers: &HeaderMap) -> Option<Option<Decoder>> {
    let mut encodings = headers::tokens(headers, &header::CONTENT_ENCODING)
        .filter(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity"));
    match (encodings.next(), encodings.next()) {
        (None, _) => Some(None),
        (Some(encoding), None) => Decoder::of(std::str::from_utf8(encoding).ok()?).map(Some),
        (Some(_), Some(_)) => None,
    }
}
