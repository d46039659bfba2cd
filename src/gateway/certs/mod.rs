//! The gateway's certificates: own CA and its rotation, the server's certificate from it, from files or by ACME, client leaves.

pub mod acme;
mod authority;
mod expiry;
mod files;
mod imported;
mod keeper;
mod leaf;
mod own;
mod record;
mod request;
mod root;
mod rotation;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use authority::{Announcement, Authority};
pub use keeper::{Certificates, Expiry};
pub use leaf::Issued;
pub use rotation::{Facts, LONGEST_OVERLAP, OVERLAP, Role, RootFacts, Rotation, begin, facts};

/// What the room is told by `gateway.toml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// `<state>`: the CA lives in `<state>/ca.pem` (public) and `<state>/ca.key` (0600).
    pub state: PathBuf,
    /// Names and IP addresses on the server leaf: the host of `public_url` first.
    pub names: Vec<String>,
    /// Where the server's certificate comes from.
    pub source: Source,
    /// From telling laptops of the next root to using it, and from there to the old root's end.
    pub overlap: Duration,
    /// The longest life of a client's certificate.
    pub client_life: Duration,
}

/// Where the server's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A leaf of the own CA, reissued in time.
    Own,
    /// `[tls] certificate/key`: files, watched.
    Files {
        /// The chain, leaf first, PEM.
        certificate: PathBuf,
        /// The leaf's key, PEM.
        key: PathBuf,
    },
    /// `[tls] acme`: ordered from a directory (RFC 8555), renewed in time.
    Acme(acme::Config),
}

impl Source {
    /// Whether laptops have to believe the gateway's own CA.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Own)
    }
}

/// What happened to a certificate, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The own CA was made, at a first start.
    Made {
        /// `sha256:…` of its root.
        fingerprint: String,
    },
    /// A changed certificate from files is in use.
    Imported {
        /// `sha256:…` of the leaf.
        fingerprint: String,
        /// Its end.
        expires_at: SystemTime,
    },
    /// The server's certificate was renewed.
    Renewed {
        /// Who signed it, in a few words.
        by: String,
        /// `sha256:…` of the leaf.
        fingerprint: String,
        /// Its end.
        expires_at: SystemTime,
    },
    /// A new certificate cannot be used or had; the old one stays.
    Refused {
        /// Why, and what it was.
        problem: String,
    },
    /// Laptops are told of the next root.
    RotationAnnounced {
        /// `sha256:…` of the next root.
        fingerprint: String,
        /// When it begins to sign.
        switch_at: SystemTime,
    },
    /// The next root has become the one that signs.
    RotationSwitched {
        /// `sha256:…` of that root.
        fingerprint: String,
        /// When the old one is believed no longer.
        retire_at: SystemTime,
    },
    /// The old root is believed no longer.
    RotationRetired {
        /// `sha256:…` of the old root.
        fingerprint: String,
    },
    /// A certificate ends soon, or has ended.
    Expiring {
        /// Which.
        what: &'static str,
        /// `sha256:…` of it.
        fingerprint: String,
        /// Its end.
        expires_at: SystemTime,
        /// At most so many days are left; 0: none.
        days: u64,
        /// What to do.
        remedy: &'static str,
    },
}

/// Hears of every change of a certificate. Must not block.
pub type Witness = Arc<dyn Fn(Happening) + Send + Sync>;

/// Why a certificate cannot be made or used. Never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// A file of the room cannot be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The CA's files do not make a usable authority.
    #[error("the gateway's CA cannot be used: {problem}; {remedy}")]
    Authority {
        /// What is wrong.
        problem: String,
        /// The next step.
        remedy: String,
    },
    /// A rotation cannot begin.
    #[error("{problem}; {remedy}")]
    Rotation {
        /// Why.
        problem: String,
        /// The next step.
        remedy: String,
    },
    /// The certificate and key of `[tls]` are no usable pair.
    #[error("the certificate {} with the key {} cannot be used: {problem}", certificate.display(), key.display())]
    Pair {
        /// `[tls] certificate`.
        certificate: PathBuf,
        /// `[tls] key`.
        key: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The ACME directory gives no usable certificate.
    #[error("no certificate from the ACME directory {directory}: {problem}")]
    Acme {
        /// `[tls] acme.directory`.
        directory: String,
        /// What went wrong.
        problem: String,
    },
    /// A name on the server leaf is neither a DNS name nor an IP address.
    #[error("`{0}` is neither a DNS name nor an IP address; correct the host of `public_url`")]
    Name(String),
    /// A laptop's certificate signing request is refused.
    #[error("the certificate signing request is refused: {0}")]
    Request(String),
    /// Signing failed.
    #[error("a certificate could not be made: {0}")]
    Signing(String),
}

fn signing(error: impl std::fmt::Display) -> CertsError {
    CertsError::Signing(error.to_string())
}

impl CertsError {
    fn file(path: &Path, cause: impl std::fmt::Display) -> Self {
        Self::File { path: path.to_owned(), cause: cause.to_string() }
    }
}
