//! Linux without a desktop: a key in the kernel's keyring of this user, and a file sealed with it.
//!
//! The *user* keyring, because a process without a session keyring of its own (containers, cron, sudo)
//! would otherwise leave its key in one that dies with it. The key is gone after a reboot: log in again.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest,
};
use linux_keyutils::{Key, KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, Permission};
use zeroize::Zeroizing;

use super::{MAX_SECRETS, VaultError, file};
use crate::{id, secret};

/// What a sealed file begins with; also authenticated.
const MAGIC: &[u8; 16] = b"hoopctl sealed 1";

/// One secret, sealed.
pub(super) struct Sealed {
    /// Names the key.
    pub(super) entry: String,
    /// Holds the secret.
    pub(super) file: PathBuf,
}

impl Sealed {
    /// The secret; none when the file or the key is not there.
    pub(super) fn load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let Some(bytes) = read(&self.file)? else {
            return Ok(None);
        };
        let Some(key) = self.find()? else {
            return Ok(None);
        };
        let sealed = bytes.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk::<NONCE_LEN>());
        let Some((nonce, sealed)) = sealed else {
            return Err(VaultError::new("its file is damaged"));
        };
        let mut text = Zeroizing::new(sealed.to_vec());
        let length = cipher(&key_bytes(&key)?)?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(MAGIC), &mut text)
            .map_err(|_| VaultError::new("its file was not sealed with the key in the keyring"))?
            .len();
        text.truncate(length);
        Ok(Some(text))
    }

    /// Seals with the key of this user, made if need be, which the kernel keeps for `life` from now.
    pub(super) fn store(&self, bytes: &[u8], life: Duration) -> Result<(), VaultError> {
        let key = match self.find()? {
            Some(key) => key,
            None => self.make()?,
        };
        key.set_timeout(usize::try_from(life.as_secs()).unwrap_or(usize::MAX).min(u32::MAX as usize))
            .map_err(VaultError::new)?;
        let mut text = Zeroizing::new(bytes.to_vec());
        let nonce = cipher(&key_bytes(&key)?)?
            .seal_in_place_append_tag(Aad::from(MAGIC), &mut *text)
            .map_err(|_| VaultError::new("sealing failed"))?;
        let mut sealed = MAGIC.to_vec();
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&text);
        secret::write_private(&self.file, &sealed).map_err(VaultError::new)
    }

    pub(super) fn forget(&self) -> Result<(), VaultError> {
        if let Some(key) = self.find()? {
            key.invalidate().map_err(VaultError::new)?;
        }
        file::forget(&self.file)
    }

    /// Whether a secret comes back.
    pub(super) fn probe(&self) -> Result<(), VaultError> {
        self.store(b"probe", Duration::from_mins(1))?;
        let back = self.load()?;
        self.forget()?;
        match back {
            Some(bytes) if *bytes == b"probe" => Ok(()),
            _ => Err(VaultError::new("the kernel's keyring did not give the key back")),
        }
    }

    fn find(&self) -> Result<Option<Key>, VaultError> {
        match keyring()?.search(&self.description()) {
            Ok(key) => Ok(Some(key)),
            Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => Ok(None),
            Err(error) => Err(VaultError::new(error)),
        }
    }

    fn make(&self) -> Result<Key, VaultError> {
        let bytes = Zeroizing::new(id::random::<32>());
        let key = keyring()?.add_key(&self.description(), bytes.as_slice()).map_err(VaultError::new)?;
        let ours = KeyPermissionsBuilder::builder().posessor(Permission::ALL).user(Permission::ALL).build();
        key.set_perms(ours).map_err(VaultError::new)?;
        Ok(key)
    }

    /// Descriptions are visible to other users, so folders are named by their digest.
    fn description(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.entry.as_bytes());
        let mut name = "hoopctl:".to_owned();
        for byte in digest.as_ref().iter().take(16) {
            name.push_str(&format!("{byte:02x}"));
        }
        name
    }
}

fn keyring() -> Result<KeyRing, VaultError> {
    KeyRing::from_special_id(KeyRingIdentifier::User, true).map_err(VaultError::new)
}

fn key_bytes(key: &Key) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    key.read_to_vec().map(Zeroizing::new).map_err(VaultError::new)
}

fn cipher(key: &[u8]) -> Result<RandomizedNonceKey, VaultError> {
    RandomizedNonceKey::new(&AES_256_GCM, key)
        .map_err(|_| VaultError::new("the key in the keyring has a wrong length"))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, VaultError> {
    match fs::metadata(path) {
        Ok(facts) if facts.len() > MAX_SECRETS => Err(VaultError::new("its file is too long")),
        Ok(_) => fs::read(path).map(Some).map_err(VaultError::new),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(VaultError::new(e)),
    }
}
