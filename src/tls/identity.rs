//! A certificate with its key: read, checked to belong together, and swapped under running listeners.

use std::{fmt, sync::Arc};

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::{
    client::ResolvesClientCert,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// A certificate chain and the private key of its leaf.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(chain of {})", self.0.cert.len())
    }
}

/// Why certificate and key are unusable. Never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The PEM text of the certificate.
    #[error("the certificate is not readable: {0}")]
    Certificate(String),
    /// The PEM text of the key.
    #[error("the private key is not readable: {0}")]
    Key(String),
    /// The key is not the certificate's.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}

impl Identity {
    /// Reads chain and key from PEM and checks that they belong together.
    ///
    /// # Errors
    /// When either is malformed or they do not match.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, IdentityError> {
        let chain = super::parse_certificates(chain, "the certificate chain")
            .map_err(|e| IdentityError::Certificate(e.to_string()))?;
        let key =
            PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| IdentityError::Key(e.to_string()))?;
        Self::new(chain, key)
    }

    /// Joins chain and key.
    ///
    /// # Errors
    /// When the key is of an unknown kind or not the leaf's.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, IdentityError> {
        let key = super::provider()
            .key_provider
            .load_private_key(key)
            .map_err(|e| IdentityError::Key(e.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(Self(Arc::new(certified))),
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok(Self(Arc::new(certified)))
            }
            Err(_) => Err(IdentityError::Mismatch),
        }
    }

    /// The chain, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.cert
    }
}

/// The key of listeners or outgoing connections, which new handshakes read anew each time: swapping it touches no live connection.
#[derive(Clone)]
pub struct HotKey(Arc<ArcSwap<CertifiedKey>>);

impl HotKey {
    /// Starts with this identity.
    pub fn new(identity: Identity) -> Self {
        Self(Arc::new(ArcSwap::new(identity.0)))
    }

    /// New handshakes use this identity from now on.
    pub fn swap(&self, identity: Identity) {
        self.0.store(identity.0);
    }

    /// What new handshakes use.
    pub fn current(&self) -> Identity {
        Identity(self.0.load_full())
    }
}

impl fmt::Debug for HotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HotKey({:?})", self.current())
    }
}

impl ResolvesServerCert for HotKey {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl ResolvesClientCert for HotKey {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The key shown to an ACME directory that checks a name (RFC 8737); nobody else asks for it, and mostly there is none.
#[derive(Clone, Default)]
pub struct ChallengeKey(Arc<ArcSwapOption<Challenge>>);

/// A name that is being checked.
struct Challenge {
    name: String,
    key: Arc<CertifiedKey>,
}

impl ChallengeKey {
    /// New handshakes of the challenge protocol that ask for this name use this certificate and its key. Whether they
    /// belong together cannot be asked: the certificate has a critical extension (RFC 8737 §3) that no verifier of ours knows.
    ///
    /// # Errors
    /// When the key is of an unknown kind.
    pub fn show(
        &self,
        name: &str,
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), IdentityError> {
        let key = super::provider()
            .key_provider
            .load_private_key(key)
            .map_err(|e| IdentityError::Key(e.to_string()))?;
        let key = Arc::new(CertifiedKey::new(vec![certificate], key));
        self.0.store(Some(Arc::new(Challenge { name: name.to_owned(), key })));
        Ok(())
    }

    /// The challenge protocol is refused from now on.
    pub fn hide(&self) {
        self.0.store(None);
    }
}

impl fmt::Debug for ChallengeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChallengeKey")
    }
}

impl ResolvesServerCert for ChallengeKey {
    /// RFC 8737 §3: who checks a name says so.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.load_full()?;
        hello
            .server_name()
            .is_some_and(|name| name.eq_ignore_ascii_case(&shown.name))
            .then(|| Arc::clone(&shown.key))
    }
}
