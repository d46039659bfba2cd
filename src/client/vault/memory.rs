//! Secrets that end with this process.

use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

/// What the laptop's vault `memory` holds.
#[derive(Clone, Default)]
pub(in crate::client) struct Memory(Arc<Mutex<Option<Zeroizing<Vec<u8>>>>>);

impl Memory {
    pub(super) fn load(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn store(&self, bytes: &[u8]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Zeroizing::new(bytes.to_vec()));
    }

    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
