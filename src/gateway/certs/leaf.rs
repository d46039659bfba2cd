//! Leaves: what stands in a server's and in a client's certificate.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType,
    SerialNumber,
};
use time::OffsetDateTime;

use super::CertsError;
use crate::id;

/// Servers' leaves begin this long ago, for laptops whose clocks are behind.
const SERVER_BACKDATING: Duration = Duration::from_secs(5 * 60);
/// Clients' leaves begin this long ago: only gateways read them, and those share a time source.
const CLIENT_BACKDATING: Duration = Duration::from_secs(60);

/// A client certificate just made.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The leaf, PEM.
    pub chain_pem: String,
    /// Its end, to the second.
    pub expires_at: SystemTime,
}

/// A server leaf for these names and addresses, from `now` until `end`.
pub(super) fn server(
    names: &[String],
    now: SystemTime,
    end: SystemTime,
) -> Result<CertificateParams, CertsError> {
    let mut params = leaf("hoopctl gateway", now - SERVER_BACKDATING, end);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in names {
        params.subject_alt_names.push(server_name(name)?);
    }
    if params.subject_alt_names.is_empty() {
        return Err(CertsError::Name(String::new()));
    }
    Ok(params)
}

/// A client leaf whose only name is `uri`, from `now` until `end`.
pub(super) fn client(uri: &str, now: SystemTime, end: SystemTime) -> Result<CertificateParams, CertsError> {
    let mut params = leaf("hoopctl client", now - CLIENT_BACKDATING, end);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let uri = uri.try_into().map_err(|_| CertsError::Signing("the name is not ASCII".to_owned()))?;
    params.subject_alt_names = vec![SanType::URI(uri)];
    Ok(params)
}

/// A random serial number of 127 bits (RFC 5280 §4.1.2.2 wants it positive and at most 20 octets).
pub(super) fn serial() -> SerialNumber {
    let bytes = u128::from_be_bytes(id::random()) >> 1;
    SerialNumber::from_slice(&bytes.to_be_bytes())
}

/// Certificates count in whole seconds.
pub(super) fn whole_seconds(at: SystemTime) -> SystemTime {
    let millis = crate::clock::unix_millis(at);
    crate::clock::from_unix_millis(millis - millis.rem_euclid(1000))
}

fn leaf(common_name: &str, start: SystemTime, end: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = OffsetDateTime::from(whole_seconds(start));
    params.not_after = OffsetDateTime::from(end);
    params.serial_number = Some(serial());
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

fn server_name(name: &str) -> Result<SanType, CertsError> {
    let wrong = || CertsError::Name(name.to_owned());
    // The host of a URL writes IPv6 addresses in brackets.
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    rustls::pki_types::DnsName::try_from(bare).map_err(|_| wrong())?;
    bare.try_into().map(SanType::DnsName).map_err(|_| wrong())
}
