//! THE LAPTOP: profile, vault, login, the warm connection, local ports, and calls to the gateway's API.
//!
//! In the order a byte meets them: [`open_port`] and [`stdio()`] take it in, [`Link`] carries it; [`Laptop`]
//! holds what both need (profile, vault, credential) and logs in and out.

mod api;
mod credential;
mod doctor;
mod error;
mod https;
mod link;
mod lock;
mod login;
mod oauth;
mod port;
mod profile;
mod state;
mod stdio;
mod stream;
#[cfg(test)]
mod testing;
mod token;
mod vault;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;
use url::Url;
use x509_parser::prelude::{FromDer, X509Certificate};

pub use api::Pieces;
pub use doctor::{Finding, Surroundings, Verdict, examine};
pub use error::{ClientError, Kind, refusal};
pub use link::{Change, Link, LinkEvent};
pub use login::{DeviceCode, FirstTrust, Here, Machine, Method, Person, Talk, Way, detect};
pub use port::{Opening, Port, open_port};
pub use stdio::stdio;
pub use stream::ModelStream;
pub use token::ForModel;

use crate::{
    clock,
    tls::{self, Trust},
    tunnel::{Proxies, Transport},
};
use profile::{Places, Profile};
use vault::{Memory, Vault};

/// Program and version, as told to gateways.
pub(crate) const PROGRAM: &str = concat!("hoopctl/", env!("CARGO_PKG_VERSION"));

/// What the verbs of the laptop need to know; `config` assembles it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From flag, variable or file; `None`: the profile's.
    pub gateway: Option<Url>,
    /// The profile's name: letters, digits, `-`, `_`, `.`, at most 64 bytes.
    pub profile: String,
    /// Where secrets are kept; `None`: where the profile has them, else the best place this machine has.
    pub credential_store: Option<StoreChoice>,
    /// The one carrier to use; `None`: both are raced.
    pub transport: Option<Transport>,
    /// `HTTPS_PROXY` and `NO_PROXY`: what every TCP connection to the outside goes through.
    pub proxies: Proxies,
    /// `$XDG_CONFIG_HOME/hoopctl`: profiles (public facts, roots).
    pub config_dir: PathBuf,
    /// `$XDG_STATE_HOME/hoopctl`: ports, remembered transport, locks, encrypted vault file.
    pub state_dir: PathBuf,
    /// What time it is.
    pub clock: clock::Clock,
    /// What this process's surroundings give it to log in with; used where nobody is logged in, and when such a login ends.
    pub machine: Option<Machine>,
}

/// Where secrets are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreChoice {
    /// The operating system's keyring; on Linux without one, the kernel's keyring and a sealed file.
    Keyring,
    /// A file that only its owner can read.
    File,
    /// This [`Laptop`]; gone with it.
    Memory,
}

/// `hoopctl status`.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// 1.
    pub schema: u32,
    /// The gateway's address.
    pub gateway: String,
    /// Who is logged in.
    pub user: String,
    /// Groups as the provider said them last.
    pub groups: Vec<String>,
    /// The identity provider's name.
    pub provider: String,
    /// The certificate's end, RFC 3339; it renews itself until the session ends.
    pub expires_at: String,
    /// The session's end, RFC 3339; empty when the gateway names none.
    pub session_expires_at: String,
    /// `keyring (…)`, `keyring (kernel) + encrypted file`, `file` or `memory`.
    pub credential_store: String,
    /// The carrier that won last; `None` before the first connection.
    pub transport: Option<Transport>,
    /// How the login was made: `browser`, `paste`, `device` or `workload`; `None` where an older version made it.
    pub method: Option<String>,
    /// The profile it belongs to.
    pub profile: String,
    /// What the gateway showed at the last connection; `None` before the first.
    pub gateway_certificate: Option<Certificate>,
    /// The roots that the gateway is believed by; empty where the operating system's decide.
    pub roots: Vec<Certificate>,
}

/// A certificate as `hoopctl status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// `sha256:…`.
    pub fingerprint: String,
    /// Its end, RFC 3339.
    pub expires_at: String,
    /// When it was shown, RFC 3339; absent for what lies here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<String>,
}

impl Certificate {
    /// `None` for what is no certificate.
    fn of(certificate: &tls::CertificateDer<'_>, seen_at: Option<SystemTime>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let end = clock::from_unix_millis(parsed.validity().not_after.timestamp().saturating_mul(1000));
        Some(Self {
            fingerprint: tls::fingerprint_text(&tls::fingerprint(certificate)),
            expires_at: clock::rfc3339(end),
            seen_at: seen_at.map(clock::rfc3339),
        })
    }
}

/// What a logout did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedOut {
    /// The session has ended at the gateway, and nothing secret is left here.
    Ended,
    /// Nothing secret is left here, but the gateway was not told, and why: the session ends there at its time.
    OnlyHere(String),
    /// There was no login.
    NotLoggedIn,
}

/// The laptop's side of one profile.
pub struct Laptop {
    settings: Settings,
    places: Places,
    memory: Memory,
    /// A login by machine credentials that is in no file.
    own: Mutex<Option<(Profile, Trust)>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Held by whoever changes the login: no other task of this process does, and no other process.
struct Turn {
    _task: OwnedMutexGuard<()>,
    _process: Option<lock::Lock>,
}

impl Laptop {
    /// The laptop's side of the profile that `settings` name. Reads and writes nothing yet.
    ///
    /// # Errors
    /// [`Kind::Usage`] when the profile's name or the gateway's address cannot be one.
    pub fn open(settings: Settings) -> Result<Arc<Self>, ClientError> {
        let places = Places::of(&settings)?;
        settings.gateway.as_ref().map(profile::origin).transpose()?;
        Ok(Arc::new(Self {
            settings,
            places,
            memory: Memory::default(),
            own: Mutex::default(),
            turn: Arc::default(),
        }))
    }

    /// Logs in and keeps the credential. The credential store is tried before a browser opens.
    ///
    /// # Errors
    /// [`Kind::Trust`] when the gateway is not believed (nothing was sent then), [`Kind::LoginNeeded`] when
    /// the person or the provider did not complete it, and what else can go wrong on the way.
    pub async fn login(
        self: &Arc<Self>,
        trust: FirstTrust,
        method: Method,
        talk: &dyn Talk,
    ) -> Result<Status, ClientError> {
        login::login(self, trust, method, talk).await?;
        self.status()
    }

    /// Ends the session at the gateway, as far as it can be reached, and forgets everything secret.
    ///
    /// # Errors
    /// When the credential store or the profile does not let go.
    pub async fn logout(self: &Arc<Self>) -> Result<LoggedOut, ClientError> {
        login::logout(self).await
    }

    /// From the vault and profile; no network.
    ///
    /// # Errors
    /// [`Kind::LoginNeeded`] when there is no login or it is over.
    pub fn status(&self) -> Result<Status, ClientError> {
        credential::status(self)
    }

    /// Connects and keeps connected: a valid credential is taken from the vault or refreshed under the lock.
    ///
    /// # Errors
    /// When the first attempt fails: [`Kind::LoginNeeded`], [`Kind::Unreachable`], [`Kind::Trust`] …
    pub async fn link(self: &Arc<Self>) -> Result<Link, ClientError> {
        Link::connect(Arc::clone(self)).await
    }

    /// A model's port in this profile: the same every time.
    pub fn stable_port(&self, model: &str) -> u16 {
        state::Ports::load(&self.places).of(&self.settings.profile, model)
    }

    /// The vault that holds this profile's login.
    fn vault(&self, profile: &Profile) -> Vault {
        use vault::Backend;
        let backend = match self.settings.credential_store {
            None => profile.credential_store,
            Some(StoreChoice::File) => Backend::File,
            Some(StoreChoice::Memory) => Backend::Memory,
            Some(StoreChoice::Keyring) if profile.credential_store == Backend::KernelKeyring => {
                Backend::KernelKeyring
            }
            Some(StoreChoice::Keyring) => Backend::Keyring,
        };
        Vault::at(backend, self.places.clone(), self.memory.clone())
    }

    /// The lock that whoever changes the login holds.
    async fn lock(&self) -> Result<Turn, ClientError> {
        let task = Arc::clone(&self.turn).lock_owned().await;
        if self.is_own() {
            return Ok(Turn { _task: task, _process: None });
        }
        self.places.create()?;
        let process = lock::Lock::acquire(&self.places.state("lock")).await?;
        Ok(Turn { _task: task, _process: Some(process) })
    }

    /// As [`Self::lock`] for a login that is in no file: no other process can be in the way.
    async fn lock_own(&self) -> Turn {
        Turn { _task: Arc::clone(&self.turn).lock_owned().await, _process: None }
    }

    /// The login that is in no file.
    fn own(&self) -> Option<(Profile, Trust)> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_own(&self) -> bool {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn keep_own(&self, profile: Profile, trust: Trust) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some((profile, trust));
    }
}

/// Runs what may block away from the threads that carry streams.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClientError> + Send + 'static,
) -> Result<T, ClientError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(ClientError::failed("internal", format!("a task did not end well: {e}"))))
}
