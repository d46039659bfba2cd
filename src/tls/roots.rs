//! The roots that clients' certificates are checked against, swapped under running listeners.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::TrustError;

/// Roots of clients' certificates, which new handshakes read anew each time: swapping them touches no live connection.
#[derive(Clone)]
pub struct HotRoots(Arc<ArcSwap<Arc<dyn ClientCertVerifier>>>);

impl fmt::Debug for HotRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HotRoots")
    }
}

impl HotRoots {
    /// Starts with these roots.
    ///
    /// # Errors
    /// When there is none, or one is no certificate.
    pub fn new(roots: &[CertificateDer<'static>]) -> Result<Self, TrustError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(verifier(roots)?))))
    }

    /// New handshakes believe these roots from now on, and no others.
    ///
    /// # Errors
    /// As [`Self::new`]; the old roots stay then.
    pub fn swap(&self, roots: &[CertificateDer<'static>]) -> Result<(), TrustError> {
        self.0.store(Arc::new(verifier(roots)?));
        Ok(())
    }
}

fn verifier(roots: &[CertificateDer<'static>]) -> Result<Arc<dyn ClientCertVerifier>, TrustError> {
    let unusable = |error: &dyn fmt::Display| TrustError::Unusable(error.to_string());
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(|e| unusable(&e))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(store), super::provider())
        .build()
        .map_err(|e| unusable(&e))
}

impl ClientCertVerifier for HotRoots {
    /// None: a hint is a promise for a whole configuration, and the roots change. Clients have one certificate to show.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.0.load().verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.load().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.load().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.load().supported_verify_schemes()
    }
}
