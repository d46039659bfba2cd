//! Secrets in a file that only its owner can read; chosen explicitly.

use std::{fs, io, path::Path};

use zeroize::Zeroizing;

use super::{MAX_SECRETS, VaultError};
use crate::secret;

pub(super) fn load(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    match secret::read_private(path, MAX_SECRETS) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(VaultError::new(e)),
    }
}

pub(super) fn store(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    secret::write_private(path, bytes).map_err(VaultError::new)
}

pub(super) fn forget(path: &Path) -> Result<(), VaultError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(VaultError::new(e)),
        _ => Ok(()),
    }
}

/// Whether a file can be written beside the real one.
pub(super) fn probe(path: &Path) -> Result<(), VaultError> {
    let beside = path.with_extension("probe");
    store(&beside, b"")?;
    forget(&beside)
}
