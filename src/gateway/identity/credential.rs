//! Credentials: the names client certificates carry, and reading them back.

use std::fmt::Write;

use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use crate::tls::CertificateDer;

/// `spiffe://<host>/session/<session>/user/<subject>`, the subject percent-encoded.
pub(super) fn uri(host: &str, session: &str, subject: &str) -> String {
    format!("spiffe://{host}/session/{session}/user/{}", encode(subject))
}

/// Whom a client certificate names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) session: String,
    pub(super) subject: String,
    /// `notAfter`, seconds since 1970.
    pub(super) expires: i64,
}

/// Reads the leaf's only name, if it is one of [`uri`] for this host. The chain is verified already, by TLS.
pub(super) fn read(leaf: &CertificateDer<'_>, host: &str) -> Option<Named> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let names = leaf.subject_alternative_name().ok()??.value;
    let [GeneralName::URI(name)] = names.general_names.as_slice() else { return None };
    let path = name.strip_prefix("spiffe://")?.strip_prefix(host)?.strip_prefix("/session/")?;
    let (session, subject) = path.split_once("/user/")?;
    if session.is_empty() || session.contains('/') {
        return None;
    }
    Some(Named {
        session: session.to_owned(),
        subject: decode(subject)?,
        expires: leaf.validity().not_after.timestamp(),
    })
}

/// RFC 3986: everything but unreserved characters.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            bytes.push(byte);
        } else {
            return None;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn leaf(names: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.subject_alt_names =
            names.iter().map(|name| SanType::URI((*name).try_into().unwrap())).collect();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().into()
    }

    #[test]
    fn names_round_trip_whatever_the_subject_is() {
        for subject in ["alice", "a/b/user/c", "auth0|5f", "ü %41", "..", "a@example.test"] {
            let uri = uri("gateway.example.test", "ses_1", subject);
            let named = read(&leaf(&[&uri]), "gateway.example.test").unwrap();
            assert_eq!((named.session.as_str(), named.subject.as_str()), ("ses_1", subject));
        }
    }

    #[test]
    fn other_names_are_nobodys() {
        for name in [
            "spiffe://other.example.test/session/ses_1/user/alice",
            "spiffe://gateway.example.test.evil.test/session/ses_1/user/alice",
            "spiffe://gateway.example.test/session//user/alice",
            "spiffe://gateway.example.test/session/a/b/user/alice",
            "spiffe://gateway.example.test/session/ses_1/user/al%zz",
            "spiffe://gateway.example.test/session/ses_1",
            "https://gateway.example.test/session/ses_1/user/alice",
        ] {
            assert_eq!(read(&leaf(&[name]), "gateway.example.test"), None, "{name}");
        }
        let good = uri("gateway.example.test", "ses_1", "alice");
        assert_eq!(read(&leaf(&[&good, &good]), "gateway.example.test"), None);
        assert_eq!(read(&CertificateDer::from(vec![1, 2, 3]), "gateway.example.test"), None);
    }
}
