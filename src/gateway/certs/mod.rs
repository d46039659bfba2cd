//! The gateway's certificates: own CA, server leaf and its rotation, client leaves.

mod authority;
mod leaf;
mod request;
mod server_key;

use std::path::{Path, PathBuf};

pub use authority::Authority;
pub use leaf::Issued;
pub use server_key::server_key;

/// What the room is told by `gateway.toml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// `<state>`: the CA lives in `<state>/ca.pem` (public) and `<state>/ca.key` (0600).
    pub state: PathBuf,
    /// Names and IP addresses on the server leaf: the host of `public_url`.
    pub names: Vec<String>,
    /// `[tls] certificate/key`: files, watched; nothing: a leaf of the own CA, rotated.
    pub files: Option<(PathBuf, PathBuf)>,
}

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

impl CertsError {
    fn file(path: &Path, cause: impl std::fmt::Display) -> Self {
        Self::File { path: path.to_owned(), cause: cause.to_string() }
    }
}
