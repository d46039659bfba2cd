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

use crate::tls::{self, Trust};

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

/// Whether the leaf is pinned, or comes from a pinned authority among the certificates sent. Everyone can send a public certificate:
/// one beside the leaf counts only as the root that the leaf is verified by, with its name and dates.
fn pinned(
    pins: &[[u8; 32]],
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), Error> {
    let is_pinned = |certificate: &CertificateDer<'_>| pins.contains(&tls::fingerprint(certificate));
    if pins.is_empty() || is_pinned(leaf) {
        return Ok(());
    }
    let anchors: Vec<_> =
        others.iter().filter(|sent| is_pinned(sent)).map(|sent| sent.clone().into_owned()).collect();
    let by_anchor = !anchors.is_empty()
        && Trust::Roots(anchors)
            .verifier()
            .is_ok_and(|roots| roots.verify_server_cert(leaf, others, name, &[], now).is_ok());
    if by_anchor {
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
        pinned(&self.pins, leaf, others, name, now)?;
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
        pinned(&self.pins, leaf, others, name, now)?;
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
                "neither its certificate nor an authority it comes from is among the pinned ones"
            }
            _ => "its certificate is not valid",
        },
        Error::AlertReceived(_) => "it refused the TLS handshake",
        Error::PeerIncompatible(_) => "it offers no TLS version or cipher that is allowed",
        _ => "the TLS handshake failed",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    };

    use super::*;

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    fn authority(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    fn leaf(issuer: &Issuer) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()
    }

    /// What a `required` and a `relaxed` model say to a chain.
    fn held(
        pin: &CertificateDer<'_>,
        root: &Issuer,
        chain: &[&CertificateDer<'static>],
        name: &str,
    ) -> [bool; 2] {
        let pins = vec![tls::fingerprint(pin)];
        let roots = Trust::Roots(vec![root.der().clone()]).verifier().unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let chain: Vec<CertificateDer<'static>> = chain.iter().map(|&one| one.clone()).collect();
        let (leaf, others) = chain.split_first().unwrap();
        let strict = Strict { roots, pins: pins.clone() };
        let lenient = Lenient { roots: None, pins, verified: AtomicBool::new(false) };
        let now = UnixTime::now();
        [
            strict.verify_server_cert(leaf, others, &name, &[], now).is_ok(),
            lenient.verify_server_cert(leaf, others, &name, &[], now).is_ok(),
        ]
    }

    #[test]
    fn a_pinned_certificate_beside_a_foreign_leaf_proves_nothing() {
        let root = Issuer::self_signed(authority("root"), KeyPair::generate().unwrap()).unwrap();
        let between = Issuer::signed_by(authority("between"), KeyPair::generate().unwrap(), &root).unwrap();
        let server = leaf(&between);
        // Valid by the same root and for the same name, and another's all the same.
        let foreign = leaf(&root);
        for pin in [&server, between.der()] {
            assert_eq!(held(pin, &root, &[&foreign, pin], "localhost"), [false, false]);
            assert_eq!(held(pin, &root, &[&foreign, between.der(), &server], "localhost"), [false, false]);
        }
        let stranger = Issuer::self_signed(authority("root"), KeyPair::generate().unwrap()).unwrap();
        let forged = leaf(&stranger);
        assert_eq!(held(root.der(), &root, &[&forged, root.der()], "localhost"), [false, false]);

        // The real one, pinned at each place of its chain.
        for pin in [&server, between.der(), root.der()] {
            let chain = [&server, between.der(), root.der()];
            assert_eq!(held(pin, &root, &chain, "localhost"), [true, true]);
        }
        // A pinned authority signs for more than this server: the name counts. A pinned leaf is the server's own.
        let chain = [&server, between.der()];
        assert_eq!(held(between.der(), &root, &chain, "other.test"), [false, false]);
        assert_eq!(held(&server, &root, &chain, "other.test"), [false, true]);
    }
}
