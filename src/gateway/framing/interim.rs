//! Interim answers (RFC 9110 §15.2) on their way to an HTTP/1.1 caller: hyper's server has no word for them but 100, so they are written
//! between what it writes.

use std::{
    fmt::Write,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http::{HeaderMap, StatusCode};

/// Longest that waits to be written, bytes; a model's server that says more is not quoted.
const MOST: usize = 64 * 1024;

/// Interim answers that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Interim(Mutex<Vec<u8>>);

impl Interim {
    /// Takes one in for the request that waits for its answer.
    pub(super) fn tell(&self, status: StatusCode, headers: &HeaderMap) {
        let mut head = String::new();
        // Writing into a string cannot fail.
        let _ = write!(
            head,
            "HTTP/1.1 {} {}\r\n",
            status.as_str(),
            status.canonical_reason().unwrap_or_default()
        );
        let mut bytes = head.into_bytes();
        for (name, value) in headers {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        let mut waiting = self.lock();
        if waiting.len() + bytes.len() <= MOST {
            waiting.append(&mut bytes);
        }
    }

    /// All that waits.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.lock())
    }

    /// A poisoned lock guards plain bytes, which are whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
