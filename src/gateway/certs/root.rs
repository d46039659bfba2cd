//! One root of the gateway's own authority: its certificate and, while it may still sign, its key.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, PublicKeyData, SubjectPublicKeyInfo,
};
use time::OffsetDateTime;
use x509_parser::{
    asn1_rs::Tag, certificate::X509Certificate, extensions::ParsedExtension, prelude::FromDer,
};
use zeroize::Zeroizing;

use super::{
    CertsError,
    leaf::{self, whole_seconds},
    signing,
};
use crate::{
    clock::rfc3339,
    id,
    tls::{self, CertificateDer},
};

/// Ten years.
pub(super) const CA_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// The CA begins an hour ago, for machines whose clocks are behind.
const CA_BACKDATING: Duration = Duration::from_secs(60 * 60);

/// A root that can sign.
pub(super) struct Root {
    pub(super) issuer: Issuer<'static, KeyPair>,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) end: SystemTime,
}

/// What is wrong with a root's files.
pub(super) enum Unusable {
    /// Another certificate or key is needed.
    Wrong(String),
    /// They belong together, and it is not their time.
    OutOfTime(String),
}

/// A new root: its certificate and its key, PEM.
pub(super) fn make(now: SystemTime) -> Result<(String, Zeroizing<String>), CertsError> {
    let key = KeyPair::generate().map_err(signing)?;
    let certificate = params(now).self_signed(&key).map_err(signing)?;
    Ok((certificate.pem(), Zeroizing::new(key.serialize_pem())))
}

impl Root {
    /// Reads a certificate and its key, PEM, and checks that they are a CA's, of one another, in their time. `names` are
    /// what people know them by.
    pub(super) fn read(
        certificate: &str,
        key: &str,
        names: (&Path, &Path),
        now: SystemTime,
    ) -> Result<Self, Unusable> {
        let (name, key_name) = (names.0.display(), names.1.display());
        let certificates = tls::parse_certificates(certificate, &name.to_string())
            .map_err(|e| Unusable::Wrong(e.to_string()))?;
        let [certificate] = certificates.as_slice() else {
            return Err(Unusable::Wrong(format!("{name} holds several certificates")));
        };
        let key = KeyPair::from_pem(key)
            .map_err(|_| Unusable::Wrong(format!("{key_name} is not a private key in PEM")))?;
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|_| Unusable::Wrong(format!("{name} is not a certificate")))?;
        if !parsed.is_ca() || !parsed.key_usage().is_ok_and(|u| u.is_some_and(|u| u.value.key_cert_sign())) {
            return Err(Unusable::Wrong(format!("{name} is not the certificate of a CA")));
        }
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(Unusable::Wrong(format!("{key_name} is not the key of {name}")));
        }
        let start = SystemTime::from(parsed.validity().not_before.to_datetime());
        let end = SystemTime::from(parsed.validity().not_after.to_datetime());
        if now < start || now >= end {
            return Err(Unusable::OutOfTime(format!(
                "{name} is valid from {} to {}, and it is {}",
                rfc3339(start),
                rfc3339(end),
                rfc3339(now)
            )));
        }
        let issuer =
            Issuer::from_ca_cert_der(certificate, key).map_err(|e| Unusable::Wrong(e.to_string()))?;
        Ok(Self { issuer, certificate: certificate.clone(), end })
    }

    /// A link certificate (RFC 4210 §4.4): `other`'s name and key, signed by this root until `end`, so that whoever believes
    /// this root believes what the other one signed.
    pub(super) fn link(
        &self,
        other: &CertificateDer<'static>,
        now: SystemTime,
        end: SystemTime,
    ) -> Result<CertificateDer<'static>, CertsError> {
        let (_, parsed) = X509Certificate::from_der(other).map_err(signing)?;
        let key = SubjectPublicKeyInfo::from_der(parsed.public_key().raw).map_err(signing)?;
        let others_end = SystemTime::from(parsed.validity().not_after.to_datetime());
        let mut params = CertificateParams::default();
        params.distinguished_name = name_of(&parsed)?;
        if let Some(id) = key_id_of(&parsed) {
            params.key_identifier_method = KeyIdMethod::PreSpecified(id);
        }
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = OffsetDateTime::from(whole_seconds(now - CA_BACKDATING));
        params.not_after = OffsetDateTime::from(whole_seconds(end.min(self.end).min(others_end)));
        params.serial_number = Some(leaf::serial());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.use_authority_key_identifier_extension = true;
        let link: CertificateDer<'static> = params.signed_by(&key, &self.issuer).map_err(signing)?.into();
        let (_, made) = X509Certificate::from_der(&link).map_err(signing)?;
        if made.subject().as_raw() != parsed.subject().as_raw() {
            return Err(signing("the name of ca.pem is written in a way that cannot be repeated"));
        }
        Ok(link.clone())
    }
}

/// A certificate's subject, to be written again as it is.
fn name_of(certificate: &X509Certificate<'_>) -> Result<DistinguishedName, CertsError> {
    let mut name = DistinguishedName::new();
    for part in certificate.subject().iter_attributes() {
        let kind: Vec<u64> = part.attr_type().iter().map(Iterator::collect).unwrap_or_default();
        let text = part.as_str().map_err(signing)?;
        let value = match part.attr_value().tag() {
            Tag::PrintableString => DnValue::PrintableString(text.try_into().map_err(signing)?),
            Tag::Ia5String => DnValue::Ia5String(text.try_into().map_err(signing)?),
            _ => DnValue::Utf8String(text.to_owned()),
        };
        name.push(DnType::from_oid(&kind), value);
    }
    Ok(name)
}

fn key_id_of(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

fn params(now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = OffsetDateTime::from(whole_seconds(now - CA_BACKDATING));
    params.not_after = OffsetDateTime::from(whole_seconds(now + CA_LIFE));
    params.serial_number = Some(leaf::serial());
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "hoopctl");
    // Two gateways' CAs differ by name too, so that trust stores holding both stay readable.
    params
        .distinguished_name
        .push(DnType::CommonName, format!("hoopctl gateway CA {:08x}", u32::from_be_bytes(id::random())));
    // One more CA may follow: the next root, linked to this one while a rotation is under way.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
