//! The operating system's keyring, asked from a thread of its own: it is another process, which may be
//! slow, locked or waiting for a person.

use std::{sync::mpsc, thread, time::Duration};

use keyring::Entry;
use zeroize::Zeroizing;

use super::VaultError;

/// What people call it.
#[cfg(target_os = "macos")]
pub(super) const NAME: &str = "Keychain";
/// What people call it.
#[cfg(target_os = "windows")]
pub(super) const NAME: &str = "Credential Manager";
/// What people call it.
#[cfg(not(any(target_os = "macos", target_os = "windows")))]
pub(super) const NAME: &str = "secret-service";

const SERVICE: &str = "hoopctl";

/// How long a keyring may take to say that it is there.
const THERE: Duration = Duration::from_secs(2);
/// How long it may take to do something: it may ask a person to unlock it.
const ANSWER: Duration = Duration::from_secs(60);

pub(super) fn load(entry: &str) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    ask(entry, |entry| match entry.get_secret() {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(keyring::Error::NoEntry) => Ok(None),
        Err(error) => Err(said(&error)),
    })
}

pub(super) fn store(entry: &str, bytes: &[u8]) -> Result<(), VaultError> {
    let bytes = Zeroizing::new(bytes.to_vec());
    ask(entry, move |entry| entry.set_secret(&bytes).map_err(|e| said(&e)))
}

pub(super) fn forget(entry: &str) -> Result<(), VaultError> {
    ask(entry, |entry| match entry.delete_credential() {
        Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
        Err(error) => Err(said(&error)),
    })
}

/// Whether a secret comes back from it.
pub(super) fn probe(entry: &str) -> Result<(), VaultError> {
    ask(entry, |entry| {
        entry.set_secret(b"probe").map_err(|e| said(&e))?;
        let back = entry.get_secret().map_err(|e| said(&e))?;
        // That the probe cannot be removed again is no reason to distrust the keyring.
        let _ = entry.delete_credential();
        if back == b"probe" { Ok(()) } else { Err(VaultError::new("it gave back something else")) }
    })
}

/// Runs `what` with the entry, after making sure that somebody is there at all.
fn ask<T: Send + 'static>(
    entry: &str,
    what: impl FnOnce(&Entry) -> Result<T, VaultError> + Send + 'static,
) -> Result<T, VaultError> {
    within(THERE, || match Entry::store_status() {
        Ok(()) => Ok(()),
        Err(error) => Err(said(error)),
    })?;
    let entry = entry.to_owned();
    within(ANSWER, move || what(&Entry::new(SERVICE, &entry).map_err(|e| said(&e))?))
}

fn within<T: Send + 'static>(
    limit: Duration,
    what: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
) -> Result<T, VaultError> {
    let (answer, answered) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("keyring".to_owned())
        // Nobody waits any more when the answer comes too late.
        .spawn(move || drop(answer.send(what())))
        .map_err(VaultError::new)?;
    answered
        .recv_timeout(limit)
        .unwrap_or_else(|_| Err(VaultError::new(format!("no answer within {} s", limit.as_secs()))))
}

/// Its display form; the debug form of some errors holds the secret.
fn said(error: &keyring::Error) -> VaultError {
    VaultError::new(error)
}
