//! The vault: one secret per profile, in the safest place this machine has.

mod file;
#[cfg(target_os = "linux")]
mod kernel;
mod memory;
mod os;

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

pub(super) use memory::Memory;

use crate::{
    client::{ClientError, StoreChoice, profile::Places},
    clock,
    wire::api::ModelToken,
};

/// What the vault holds. Wiped from memory when dropped; never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Secrets {
    /// 1.
    pub(super) schema: u32,
    /// The gateway these are for; they are shown to no other.
    pub(super) gateway: String,
    /// Rotates at each use; absent for workloads, and after the gateway said that it is void.
    pub(super) refresh_token: Option<String>,
    /// The client key, PEM.
    pub(super) key: String,
    /// The client certificate's chain, leaf first, PEM.
    pub(super) certificate: String,
    /// The certificate's end, RFC 3339.
    pub(super) expires_at: String,
    /// The login session's end, RFC 3339; empty when the gateway names none.
    pub(super) session_expires_at: String,
    /// Tokens of single models, until they end; gone with each new certificate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tokens: Vec<ModelToken>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets(until {})", self.expires_at)
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        self.refresh_token.zeroize();
        self.key.zeroize();
        self.tokens.iter_mut().for_each(|one| one.token.zeroize());
    }
}

/// A place for secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Backend {
    /// Secret Service, Keychain or Credential Manager.
    Keyring,
    /// A key in the kernel's keyring of this user, and a file sealed with it. Linux without a desktop.
    KernelKeyring,
    /// A file that only its owner can read.
    File,
    /// This process.
    Memory,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyring => write!(f, "keyring ({})", os::NAME),
            Self::KernelKeyring => f.write_str("keyring (kernel) + encrypted file"),
            Self::File => f.write_str("file"),
            Self::Memory => f.write_str("memory"),
        }
    }
}

/// Why a vault did not do what it was asked. Never holds what it was asked to keep.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct VaultError(String);

impl VaultError {
    fn new(cause: impl fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

/// One profile's vault. Every method may block for a moment: keyrings are other processes.
#[derive(Clone)]
pub(super) struct Vault {
    pub(super) backend: Backend,
    places: Places,
    memory: Memory,
}

/// The longest secret that is read back, in bytes.
const MAX_SECRETS: u64 = 256 * 1024;

impl Vault {
    /// The vault in that place; nothing is touched yet.
    pub(super) fn at(backend: Backend, places: Places, memory: Memory) -> Self {
        Self { backend, places, memory }
    }

    /// Chooses and probes a place before a login: afterwards, storing is expected to work.
    ///
    /// # Errors
    /// When no place of the wanted kind works, with what was tried.
    pub(super) fn choose(
        choice: Option<StoreChoice>,
        places: &Places,
        memory: &Memory,
    ) -> Result<Self, ClientError> {
        let candidates: &[Backend] = match choice {
            Some(StoreChoice::File) => &[Backend::File],
            Some(StoreChoice::Memory) => &[Backend::Memory],
            Some(StoreChoice::Keyring) | None => &[Backend::Keyring, Backend::KernelKeyring],
        };
        let mut tried = Vec::new();
        for backend in candidates {
            let vault = Self::at(*backend, places.clone(), memory.clone());
            match vault.probe() {
                Ok(()) => return Ok(vault),
                Err(error) => tried.push(format!("{backend}: {error}")),
            }
        }
        Err(ClientError::failed(
            "no_credential_store",
            format!("no place to keep the login works ({})", tried.join("; ")),
        )
        .remedy(
            "unlock your keyring, or keep the login in a file that only you can read: --credential-store file",
        ))
    }

    /// What was stored, if it is there and readable.
    pub(super) fn load(&self) -> Result<Option<Secrets>, ClientError> {
        let bytes = match self.backend {
            Backend::Keyring => os::load(&self.entry()),
            Backend::KernelKeyring => self.kernel_load(),
            Backend::File => file::load(&self.plain_file()),
            Backend::Memory => Ok(self.memory.load()),
        };
        let Some(bytes) = bytes.map_err(|e| self.unusable(&e))? else {
            return Ok(None);
        };
        // The parser's message could quote the secret; that it failed says enough.
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|_| self.unusable(&VaultError::new("what it holds is not a login")))
    }

    /// Keeps `secrets` in place of what was there. `now` bounds how long the kernel keeps its key.
    pub(super) fn store(&self, secrets: &Secrets, now: std::time::SystemTime) -> Result<(), ClientError> {
        let bytes =
            Zeroizing::new(serde_json::to_vec(secrets).map_err(|e| self.unusable(&VaultError::new(e)))?);
        self.places.create()?;
        match self.backend {
            Backend::Keyring => os::store(&self.entry(), &bytes),
            Backend::KernelKeyring => self.kernel_store(&bytes, remaining(secrets, now)),
            Backend::File => file::store(&self.plain_file(), &bytes),
            Backend::Memory => {
                self.memory.store(&bytes);
                Ok(())
            }
        }
        .map_err(|e| self.unusable(&e))
    }

    /// Forgets; nothing to forget is fine.
    pub(super) fn forget(&self) -> Result<(), ClientError> {
        match self.backend {
            Backend::Keyring => os::forget(&self.entry()),
            Backend::KernelKeyring => self.kernel_forget(),
            Backend::File => file::forget(&self.plain_file()),
            Backend::Memory => {
                self.memory.forget();
                Ok(())
            }
        }
        .map_err(|e| self.unusable(&e))
    }

    /// Keeps a probe, reads it back and removes it.
    ///
    /// # Errors
    /// When that does not work.
    pub(super) fn works(&self) -> Result<(), ClientError> {
        self.probe().map_err(|e| self.unusable(&e))
    }

    fn probe(&self) -> Result<(), VaultError> {
        match self.backend {
            Backend::Keyring => os::probe(&format!("{} (probe)", self.entry())),
            Backend::KernelKeyring => self.kernel_probe(),
            Backend::File => {
                self.places.create().map_err(VaultError::new)?;
                file::probe(&self.plain_file())
            }
            Backend::Memory => Ok(()),
        }
    }

    /// Names this profile in keyrings that several homes of one user share.
    fn entry(&self) -> String {
        self.places.state("").display().to_string().trim_end_matches('/').to_owned()
    }

    fn plain_file(&self) -> PathBuf {
        self.places.state("credential.json")
    }

    fn unusable(&self, error: &VaultError) -> ClientError {
        ClientError::failed(
            "credential_store_unusable",
            format!("the credential store, {}, does not work: {error}", self.backend),
        )
        .remedy("unlock it and try again, or log in with another: hoopctl login --credential-store file")
    }
}

#[cfg(target_os = "linux")]
impl Vault {
    fn kernel(&self) -> kernel::Sealed {
        kernel::Sealed { entry: self.entry(), file: self.places.state("credential.sealed") }
    }
    fn kernel_load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        self.kernel().load()
    }
    fn kernel_store(&self, bytes: &[u8], life: Duration) -> Result<(), VaultError> {
        self.kernel().store(bytes, life)
    }
    fn kernel_forget(&self) -> Result<(), VaultError> {
        self.kernel().forget()
    }
    fn kernel_probe(&self) -> Result<(), VaultError> {
        self.places.create().map_err(VaultError::new)?;
        kernel::Sealed {
            entry: format!("{} (probe)", self.entry()),
            file: self.places.state("credential.probe"),
        }
        .probe()
    }
}

#[cfg(not(target_os = "linux"))]
impl Vault {
    const NO_KERNEL: &str = "this operating system has no kernel keyring";

    fn kernel_load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        Err(VaultError::new(Self::NO_KERNEL))
    }
    fn kernel_store(&self, _: &[u8], _: Duration) -> Result<(), VaultError> {
        Err(VaultError::new(Self::NO_KERNEL))
    }
    fn kernel_forget(&self) -> Result<(), VaultError> {
        Ok(())
    }
    fn kernel_probe(&self) -> Result<(), VaultError> {
        Err(VaultError::new(Self::NO_KERNEL))
    }
}

/// How long these secrets can still be of use, with an hour's grace.
fn remaining(secrets: &Secrets, now: std::time::SystemTime) -> Duration {
    const GRACE: Duration = Duration::from_hours(1);
    [&secrets.session_expires_at, &secrets.expires_at]
        .into_iter()
        .filter_map(|text| clock::parse_rfc3339(text))
        .filter_map(|end| end.duration_since(now).ok())
        .max()
        .unwrap_or_default()
        + GRACE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing;

    fn vault(home: &std::path::Path, backend: Backend) -> Vault {
        Vault::at(backend, Places::of(&testing::settings(home)).unwrap(), Memory::default())
    }

    fn round_trip(vault: &Vault) {
        let now = testing::now();
        assert_eq!(vault.load().unwrap(), None);
        let mut secrets = testing::secrets();
        vault.store(&secrets, now).unwrap();
        assert_eq!(vault.load().unwrap().as_ref(), Some(&secrets));
        secrets.refresh_token = Some("rotated".into());
        vault.store(&secrets, now).unwrap();
        assert_eq!(vault.load().unwrap().as_ref(), Some(&secrets));
        vault.forget().unwrap();
        vault.forget().unwrap();
        assert_eq!(vault.load().unwrap(), None);
    }

    #[test]
    fn file_and_memory_keep_and_forget() {
        let home = tempfile::tempdir().unwrap();
        for backend in [Backend::File, Backend::Memory] {
            vault(home.path(), backend).probe().unwrap();
            round_trip(&vault(home.path(), backend));
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let vault = vault(home.path(), Backend::File);
        vault.store(&testing::secrets(), testing::now()).unwrap();
        let mode = std::fs::metadata(vault.plain_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // One that others could have read is not used in silence.
        std::fs::set_permissions(vault.plain_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(vault.load().unwrap_err().to_string().contains("chmod 600"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_keeps_the_key_and_the_file_tells_nothing() {
        let home = tempfile::tempdir().unwrap();
        let vault = vault(home.path(), Backend::KernelKeyring);
        // Containers may forbid the system call; then there is nothing to promise.
        if let Err(error) = vault.probe() {
            eprintln!("skipped: {error}");
            return;
        }
        round_trip(&vault);
        let secrets = testing::secrets();
        vault.store(&secrets, testing::now()).unwrap();
        let sealed = std::fs::read(vault.kernel().file).unwrap();
        let token = secrets.refresh_token.clone().unwrap();
        assert!(!sealed.windows(token.len()).any(|w| w == token.as_bytes()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(vault.kernel().file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        // A sealed file whose key is gone (a reboot) is no login, not an error.
        let file = std::fs::read(vault.kernel().file).unwrap();
        vault.forget().unwrap();
        std::fs::write(vault.kernel().file, file).unwrap();
        assert_eq!(vault.load().unwrap(), None);
        vault.forget().unwrap();
    }

    #[test]
    fn debug_shows_no_secret() {
        let secrets = testing::secrets();
        let shown = format!("{secrets:?}");
        assert!(!shown.contains(secrets.refresh_token.as_deref().unwrap()) && !shown.contains("PRIVATE"));
    }

    #[test]
    fn an_explicit_choice_is_not_second_guessed() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::of(&testing::settings(home.path())).unwrap();
        let chosen = |choice| Vault::choose(Some(choice), &places, &Memory::default()).unwrap().backend;
        assert_eq!(chosen(StoreChoice::File), Backend::File);
        assert_eq!(chosen(StoreChoice::Memory), Backend::Memory);
    }
}
