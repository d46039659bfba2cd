//! Whether a model's server is who it must be: roots, name, dates, pins.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::tls;

/// Verifies as the roots say, and the pins in addition.
#[derive(Debug)]
pub(super) struct Strict {
    pub(super) roots: Arc<dyn ServerCertVerifier>,
    pub(super) pins: Vec<[u8; 32]>,
}

/// For a relaxed upstream inside its networks, one connection long: a failed verification is noted instead of refused. Pins, when
/// there are any, still hold.
#[derive(Debug)]
pub(super) struct Lenient {
    /// `None` when this machine has no usable roots.
    pub(super) roots: Option<Arc<dyn ServerCertVerifier>>,
    pub(super) pins: Vec<[u8; 32]>,
    pub(super) verified: AtomicBool,
}

fn pinned(pins: &[[u8; 32]], leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), Error> {
    let held = pins.is_empty()
        || std::iter::once(leaf)
            .chain(others)
            .any(|certificate| pins.contains(&tls::fingerprint(certificate)));
    if held {
        Ok(())
    } else {
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }
}

/// A verifier's signature checks, which are the same for every trust.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &tls::provider().signature_verification_algorithms;
            rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &tls::provider().signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            tls::provider().signature_verification_algorithms.supported_schemes()
        }
    };
}

impl ServerCertVerifier for Strict {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.roots.verify_server_cert(leaf, others, name, ocsp, now)?;
        pinned(&self.pins, leaf, others)?;
        Ok(verified)
    }

    signatures!();
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        pinned(&self.pins, leaf, others)?;
        let verified = self
            .roots
            .as_ref()
            .is_some_and(|roots| roots.verify_server_cert(leaf, others, name, ocsp, now).is_ok());
        self.verified.store(verified, Ordering::Release);
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

/// What to tell the caller of a failed TLS handshake: the kind of failure, no names and addresses.
pub(super) fn reason(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate comes from an authority that is not trusted"
            }
            CertificateError::Revoked => "its certificate has been revoked",
            CertificateError::ApplicationVerificationFailure => {
                "none of its certificates is among the pinned ones"
            }
            _ => "its certificate is not valid",
        },
        Error::AlertReceived(_) => "it refused the TLS handshake",
        Error::PeerIncompatible(_) => "it offers no TLS version or cipher that is allowed",
        _ => "the TLS handshake failed",
    }
    .to_owned()
}
