//! Whom the other side is believed by: pinned roots or the operating system's.

use std::{fmt, path::Path, sync::Arc};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{CertificateDer, pem::PemObject},
};

/// Roots a server is believed by.
#[derive(Clone)]
pub enum Trust {
    /// These certificates and no others.
    Roots(Vec<CertificateDer<'static>>),
    /// The operating system's (`SSL_CERT_FILE` is honoured on Linux).
    Platform,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Roots(roots) => write!(f, "Roots({})", roots.len()),
            Self::Platform => f.write_str("Platform"),
        }
    }
}

/// Why roots cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A PEM file cannot be read.
    #[error("the certificates in {path} cannot be read: {cause}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        cause: String,
    },
    /// No certificate in what should hold some.
    #[error("no certificate found in {0}")]
    Empty(String),
    /// The roots or the platform's store are unusable.
    #[error("{0}")]
    Unusable(String),
    /// Not `sha256:` and 64 hex digits.
    #[error("`{0}` is not a fingerprint: write sha256: and 64 hex digits")]
    Fingerprint(String),
}

impl Trust {
    /// The certificates of a PEM file.
    ///
    /// # Errors
    /// When the file cannot be read or holds none.
    pub fn from_file(path: &Path) -> Result<Self, TrustError> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| TrustError::Unreadable { path: path.display().to_string(), cause: e.to_string() })?;
        parse_certificates(&text, &path.display().to_string()).map(Self::Roots)
    }

    pub(crate) fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, TrustError> {
        match self {
            Self::Roots(roots) => {
                let mut store = RootCertStore::empty();
                for root in roots {
                    store.add(root.clone()).map_err(|e| TrustError::Unusable(e.to_string()))?;
                }
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), super::provider())
                    .build()
                    .map_err(|e| TrustError::Unusable(e.to_string()))?;
                Ok(verifier)
            }
            Self::Platform => rustls_platform_verifier::Verifier::new(super::provider())
                .map(|verifier| Arc::new(verifier) as Arc<dyn ServerCertVerifier>)
                .map_err(|e| {
                    TrustError::Unusable(format!(
                        "this machine's certificate store is unusable ({e}); install ca-certificates or set SSL_CERT_FILE"
                    ))
                }),
        }
    }
}

/// Reads certificates from PEM text; `origin` names it in errors.
///
/// # Errors
/// When there is none or one is malformed.
pub fn parse_certificates(pem: &str, origin: &str) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| TrustError::Unreadable { path: origin.to_owned(), cause: e.to_string() })?;
    if certificates.is_empty() {
        return Err(TrustError::Empty(origin.to_owned()));
    }
    Ok(certificates)
}

/// Writes certificates as PEM, in their order.
pub fn to_pem(certificates: &[CertificateDer<'_>]) -> String {
    let mut pem = String::new();
    for certificate in certificates {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let body = STANDARD.encode(certificate);
        let mut rest = body.as_str();
        while !rest.is_empty() {
            let (line, tail) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = tail;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}

/// SHA-256 of a certificate's DER.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
    bytes
}

/// `sha256:` and 64 lowercase hex digits.
pub fn fingerprint_text(fingerprint: &[u8; 32]) -> String {
    use fmt::Write;
    fingerprint.iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads [`fingerprint_text`], also in capitals and with colons between bytes, as browsers and openssl show it.
///
/// # Errors
/// When it is anything else.
pub fn parse_fingerprint(text: &str) -> Result<[u8; 32], TrustError> {
    let wrong = || TrustError::Fingerprint(text.to_owned());
    let (scheme, digits) = text.split_once(':').ok_or_else(wrong)?;
    let digits: Vec<u8> = digits.bytes().filter(|b| *b != b':').collect();
    if !scheme.eq_ignore_ascii_case("sha256") || digits.len() != 64 {
        return Err(wrong());
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_round_trip_and_accept_the_browsers_form() {
        let bytes = [0xab; 32];
        assert_eq!(parse_fingerprint(&fingerprint_text(&bytes)).unwrap(), bytes);
        let colons = format!("SHA256:{}", ["AB"; 32].join(":"));
        assert_eq!(parse_fingerprint(&colons).unwrap(), bytes);
        for wrong in ["", "sha256:", "sha256:zz", "md5:abcd", "sha256:+1", &"sha256:a".repeat(3)] {
            assert!(parse_fingerprint(wrong).is_err(), "{wrong}");
        }
    }
}
