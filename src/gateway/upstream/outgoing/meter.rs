//! What is known of a request body while it passes, and after it was cut.

use std::sync::{
    OnceLock,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

use crate::gateway::framing::Malformed;

/// What is known of a request body while it passes.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(super) bytes: AtomicU64,
    pub(super) sha256: OnceLock<[u8; 32]>,
    malformed: OnceLock<Malformed>,
    fault: AtomicU8,
    limit: u64,
}

/// Why a request body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The caller's bytes ended or broke.
    Caller,
    /// It passed the model's limit.
    TooLong,
    /// Its [`Watch`] stopped it.
    Ambiguous,
    /// It cannot be read, and must not pass unread.
    Unreadable,
    /// It is framed in a way that could be read in two ways.
    Malformed(Malformed),
}

impl Meter {
    /// For a body of at most so many bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Bytes passed so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// SHA-256 of the whole body, once the whole of it has passed.
    pub(crate) fn sha256(&self) -> Option<&[u8; 32]> {
        self.sha256.get()
    }

    /// Why the body was cut, if it was.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match self.fault.load(Ordering::Relaxed) {
            1 => Some(Fault::Caller),
            2 => Some(Fault::TooLong),
            3 => Some(Fault::Ambiguous),
            4 => Some(Fault::Unreadable),
            _ => self.malformed.get().map(|malformed| Fault::Malformed(*malformed)),
        }
    }

    /// The longest body the model takes, bytes.
    pub(in crate::gateway::upstream) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn cut(&self, fault: Fault) {
        let number = match fault {
            Fault::Caller => 1,
            Fault::TooLong => 2,
            Fault::Ambiguous => 3,
            Fault::Unreadable => 4,
            Fault::Malformed(malformed) => {
                // The first says it.
                let _ = self.malformed.set(malformed);
                return;
            }
        };
        self.fault.store(number, Ordering::Relaxed);
    }
}
