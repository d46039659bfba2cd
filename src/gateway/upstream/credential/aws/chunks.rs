//! Bodies in signed chunks (`STREAMING-AWS4-HMAC-SHA256-PAYLOAD`): each signature covers its chunk and the signature before.

use aws_lc_rs::{digest, hmac};
use bytes::{Bytes, BytesMut};

use super::{
    hex,
    signature::{Moment, Scope, Secrets, chunk_preamble},
};
use crate::gateway::upstream::outgoing::Encode;

/// Bytes of each chunk but the last; the reference wants at least 8 KiB.
const CHUNK: usize = 64 * 1024;
const EXTENSION: &str = ";chunk-signature=";
/// Hex digits of a signature.
const SIGNATURE: u64 = 64;

/// A body on its way.
pub(super) struct Chunks {
    key: hmac::Key,
    preamble: String,
    previous: String,
    gathered: BytesMut,
    plain: u64,
    ended: bool,
    done: bool,
}

/// What a body of `plain` bytes comes to on the wire.
pub(super) fn length(plain: u64) -> u64 {
    let chunk = CHUNK as u64;
    let (full, rest) = (plain / chunk, plain % chunk);
    let last = if rest > 0 { framed(rest) } else { 0 };
    full.saturating_mul(framed(chunk)).saturating_add(last).saturating_add(framed(0))
}

fn framed(bytes: u64) -> u64 {
    let digits = format!("{bytes:x}").len() as u64;
    digits + EXTENSION.len() as u64 + SIGNATURE + 2 + bytes + 2
}

impl Chunks {
    /// `seed` is the signature of the request's head, `plain` the body's length.
    pub(super) fn new(secrets: &Secrets, scope: &Scope, moment: &Moment, seed: String, plain: u64) -> Self {
        Self {
            key: secrets.key(),
            preamble: chunk_preamble(scope, moment),
            previous: seed,
            gathered: BytesMut::new(),
            plain,
            ended: false,
            done: false,
        }
    }

    fn chunk(&mut self, data: &[u8]) -> Bytes {
        let sha256 = |bytes: &[u8]| hex(digest::digest(&digest::SHA256, bytes).as_ref());
        let text = format!("{}\n{}\n{}\n{}", self.preamble, self.previous, sha256(b""), sha256(data));
        self.previous = hex(hmac::sign(&self.key, text.as_bytes()).as_ref());
        let mut out = Vec::with_capacity(data.len() + 128);
        out.extend_from_slice(format!("{:x}{EXTENSION}{}\r\n", data.len(), self.previous).as_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
        out.into()
    }
}

impl Encode for Chunks {
    fn push(&mut self, data: Bytes) {
        self.gathered.extend_from_slice(&data);
    }

    fn end(&mut self) {
        self.ended = true;
    }

    fn pull(&mut self) -> Option<Bytes> {
        if self.done {
            return None;
        }
        if self.gathered.len() >= CHUNK || (self.ended && !self.gathered.is_empty()) {
            let data = self.gathered.split_to(self.gathered.len().min(CHUNK));
            return Some(self.chunk(&data));
        }
        if self.ended {
            self.done = true;
            return Some(self.chunk(b""));
        }
        None
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn length(&self) -> u64 {
        length(self.plain)
    }
}
