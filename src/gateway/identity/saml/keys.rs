//! The service provider's own key (`<state>/saml.key`): it signs requests and opens encrypted assertions.

use std::{
    fmt, io,
    path::Path,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{OaepPrivateDecryptingKey, PrivateDecryptingKey},
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize};

use crate::{secret, tls};

/// The longest key file read, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// Identity providers keep certificates by hand, so it lasts: it is a name for the key and nothing else.
const LIFE: Duration = Duration::from_secs(20 * 365 * 24 * 60 * 60);

/// An RSA key with its self-signed certificate. XML Encryption's key transport needs RSA.
pub(in super::super) struct ServiceKey {
    signing: RsaKeyPair,
    opening: OaepPrivateDecryptingKey,
    /// DER in base64.
    certificate: String,
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceKey")
    }
}

impl ServiceKey {
    /// Reads `<state>/saml.key` (0600), or makes it at first use. Blocks on files.
    pub(in super::super) fn open(state: &Path, host: &str, now: SystemTime) -> Result<Self, String> {
        let path = state.join("saml.key");
        Self::read_or_make(&path, host, now).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn read_or_make(path: &Path, host: &str, now: SystemTime) -> io::Result<Self> {
        if !path.try_exists()? {
            let folder = path.parent().unwrap_or(Path::new("."));
            secret::create_private_dir(folder)?;
            let pem = zeroize::Zeroizing::new(make(host, now).map_err(io::Error::other)?);
            secret::write_private(path, pem.as_bytes())?;
        }
        let pem = secret::read_private(path, MAX_FILE)?;
        let damaged = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "it is damaged; restore it from a backup, or remove it and give the new metadata to the identity provider",
            )
        };
        std::str::from_utf8(&pem).ok().and_then(read).ok_or_else(damaged)
    }

    /// The certificate, DER in base64, as metadata has it.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// An RSA-SHA256 signature (RFC 8017 §8.2) in base64; `None` if signing fails.
    pub(super) fn sign(&self, message: &[u8]) -> Option<String> {
        let mut signature = vec![0; self.signing.public_modulus_len()];
        self.signing.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
        Some(STANDARD.encode(signature))
    }

    /// The key that opens what was encrypted for us.
    pub(super) fn opening(&self) -> &OaepPrivateDecryptingKey {
        &self.opening
    }
}

/// A fresh key and its certificate, as PEM.
fn make(host: &str, now: SystemTime) -> Result<String, rcgen::Error> {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072)?;
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, format!("{host} SAML"));
    params.distinguished_name = name;
    params.not_before = now.into();
    params.not_after = (now + LIFE).into();
    let certificate = params.self_signed(&key)?;
    Ok(key.serialize_pem() + &certificate.pem())
}

fn read(pem: &str) -> Option<ServiceKey> {
    let key = KeyPair::from_pem(pem.split_inclusive("-----END PRIVATE KEY-----").next()?).ok()?;
    let der = zeroize::Zeroizing::new(key.serialize_der());
    let certificate = tls::parse_certificates(pem, "saml.key").ok()?.into_iter().next()?;
    Some(ServiceKey {
        signing: RsaKeyPair::from_pkcs8(&der).ok()?,
        opening: OaepPrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(&der).ok()?).ok()?,
        certificate: STANDARD.encode(certificate),
    })
}
