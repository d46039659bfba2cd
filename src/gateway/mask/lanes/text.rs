//! UTF-8 text in any pieces of bytes; what is no UTF-8 becomes the replacement character.

use std::sync::Arc;

use super::lane::Lane;
use crate::gateway::mask::Masking;

/// A text and the bytes of a character whose rest has not come.
#[derive(Debug)]
pub(super) struct Plain {
    lane: Lane,
    held: Vec<u8>,
}

impl Plain {
    pub(super) fn new(masking: &Arc<Masking>) -> Self {
        Self { lane: Lane::text(masking), held: Vec::new() }
    }

    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        let cut = cut_character(&held);
        let (whole, rest) = held.split_at(held.len() - cut);
        let mut text = String::new();
        self.lane.push(&String::from_utf8_lossy(whole), &mut text);
        self.held = rest.to_vec();
        out.extend_from_slice(text.as_bytes());
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let mut text = String::new();
        if !std::mem::take(&mut self.held).is_empty() {
            self.lane.push("\u{fffd}", &mut text);
        }
        self.lane.finish(&mut text);
        out.extend_from_slice(text.as_bytes());
    }

    pub(super) fn abort(&mut self, out: &mut Vec<u8>) {
        let mut text = String::new();
        self.held.clear();
        self.lane.abort(&mut text);
        out.extend_from_slice(text.as_bytes());
    }
}

/// How many bytes at the end may be the beginning of a character.
fn cut_character(bytes: &[u8]) -> usize {
    let tail = bytes.get(bytes.len().saturating_sub(3)..).unwrap_or_default();
    let Some(at) = tail.iter().rposition(|byte| byte & 0xC0 == 0xC0) else { return 0 };
    match std::str::from_utf8(tail.get(at..).unwrap_or_default()) {
        Err(error) if error.valid_up_to() == 0 && error.error_len().is_none() => tail.len() - at,
        _ => 0,
    }
}
