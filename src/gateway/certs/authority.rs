//! The gateway's own certificate authority: made at first start, kept, and never silently made anew.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData,
};
use rustls::pki_types::PrivateKeyDer;
use time::OffsetDateTime;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{
    CertsError,
    leaf::{self, Issued, whole_seconds},
    request,
};
use crate::{
    clock::Clock,
    id, secret,
    tls::{self, CertificateDer, Identity},
};

/// Ten years.
const CA_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// The CA begins an hour ago, for machines whose clocks are behind.
const CA_BACKDATING: Duration = Duration::from_secs(60 * 60);
/// The longest CA file read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// The gateway's own certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    end: SystemTime,
    clock: Clock,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.fingerprint())
    }
}

impl Authority {
    /// Opens `<state>/ca.pem` and `ca.key`, or makes them at first start. Blocks on files.
    ///
    /// # Errors
    /// When the folder is not writable at first start; later when one file is missing, foreign, damaged,
    /// out of its time, or the key is readable by others. An existing file is never replaced.
    pub fn open(state: &Path, clock: Clock) -> Result<Self, CertsError> {
        let files = Files { certificate: state.join("ca.pem"), key: state.join("ca.key") };
        match (files.certificate.try_exists(), files.key.try_exists()) {
            (Ok(true), Ok(true)) => files.load(clock),
            (Ok(false), Ok(false)) => files.create(state, clock),
            (Ok(true), Ok(false)) => Err(files.missing(&files.key)),
            (Ok(false), Ok(true)) => Err(files.missing(&files.certificate)),
            (Err(error), _) => Err(CertsError::file(&files.certificate, error)),
            (_, Err(error)) => Err(CertsError::file(&files.key, error)),
        }
    }

    /// The roots clients' leaves are checked against (and laptops should trust the gateway by, with an own-CA server leaf).
    pub fn roots(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }

    /// The CA certificate, PEM.
    pub fn ca_pem(&self) -> String {
        tls::to_pem(std::slice::from_ref(&self.certificate))
    }

    /// `sha256:…` of the CA certificate.
    pub fn fingerprint(&self) -> String {
        tls::fingerprint_text(&tls::fingerprint(&self.certificate))
    }

    /// A leaf for the key of a CSR (proof of possession checked; its subject and extensions are ignored),
    /// with `uri` as its only SAN, for client authentication alone.
    ///
    /// # Errors
    /// When the request is longer than 8 KiB, malformed, or its key unproven, or none of P-256, P-384,
    /// Ed25519 and RSA of 2048 to 8192 bits.
    pub fn issue_client(&self, csr_pem: &str, uri: &str, life: Duration) -> Result<Issued, CertsError> {
        let key = request::proven_key(csr_pem)?;
        let now = self.clock.now();
        let expires_at = self.end_of(now, life);
        let certificate =
            leaf::client(uri, now, expires_at)?.signed_by(&key, &self.issuer).map_err(signing)?;
        Ok(Issued { chain_pem: tls::to_pem(&[certificate.into()]), expires_at })
    }

    /// A server leaf with a fresh key; the chain ends in the CA certificate itself, so that laptops can show its fingerprint.
    ///
    /// # Errors
    /// When a name is neither a DNS name nor an IP address, or there is none.
    pub fn issue_server(&self, names: &[String], life: Duration) -> Result<Identity, CertsError> {
        let now = self.clock.now();
        let params = leaf::server(names, now, self.end_of(now, life))?;
        let key = KeyPair::generate().map_err(signing)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(signing)?;
        let chain = vec![certificate.into(), self.certificate.clone()];
        Identity::new(chain, PrivateKeyDer::from(key)).map_err(signing)
    }

    /// No leaf outlives its CA.
    fn end_of(&self, now: SystemTime, life: Duration) -> SystemTime {
        whole_seconds((now + life).min(self.end))
    }
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn create(&self, state: &Path, clock: Clock) -> Result<Authority, CertsError> {
        secret::create_private_dir(state).map_err(|e| CertsError::file(state, e))?;
        let key = KeyPair::generate().map_err(signing)?;
        let now = clock.now();
        let certificate = ca_params(now).self_signed(&key).map_err(signing)?;
        secret::write_private(&self.key, key.serialize_pem().as_bytes())
            .map_err(|e| CertsError::file(&self.key, e))?;
        write_public(&self.certificate, certificate.pem().as_bytes()).map_err(|e| {
            // Nobody knows this key yet; left behind, it would make the next start believe that ca.pem was lost.
            let _ = fs::remove_file(&self.key);
            CertsError::file(&self.certificate, e)
        })?;
        self.load(clock)
    }

    fn load(&self, clock: Clock) -> Result<Authority, CertsError> {
        let pem = read(&self.certificate)?;
        let certificates = tls::parse_certificates(&pem, &self.certificate.display().to_string())
            .map_err(|e| self.unusable(e.to_string()))?;
        let [certificate] = certificates.as_slice() else {
            return Err(self.unusable(format!("{} holds several certificates", self.certificate.display())));
        };
        let key = secret::read_private(&self.key, MAX_FILE).map_err(|e| CertsError::file(&self.key, e))?;
        let key = std::str::from_utf8(&key)
            .ok()
            .and_then(|pem| KeyPair::from_pem(pem).ok())
            .ok_or_else(|| self.unusable(format!("{} is not a private key in PEM", self.key.display())))?;
        let end = self.check(certificate, &key, clock.now())?;
        let issuer = Issuer::from_ca_cert_der(certificate, key).map_err(|e| self.unusable(e.to_string()))?;
        Ok(Authority { issuer, certificate: certificate.clone(), end, clock })
    }

    /// Whether this is a CA, of this key, in its time; returns its end.
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        key: &KeyPair,
        now: SystemTime,
    ) -> Result<SystemTime, CertsError> {
        let name = self.certificate.display();
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|_| self.unusable(format!("{name} is not a certificate")))?;
        if !parsed.is_ca() || !parsed.key_usage().is_ok_and(|u| u.is_some_and(|u| u.value.key_cert_sign())) {
            return Err(self.unusable(format!("{name} is not the certificate of a CA")));
        }
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(self.unusable(format!("{} is not the key of {name}", self.key.display())));
        }
        let start = SystemTime::from(parsed.validity().not_before.to_datetime());
        let end = SystemTime::from(parsed.validity().not_after.to_datetime());
        if now < start || now >= end {
            return Err(CertsError::Authority {
                problem: format!(
                    "{name} is valid from {} to {}, and it is {}",
                    crate::clock::rfc3339(start),
                    crate::clock::rfc3339(end),
                    crate::clock::rfc3339(now)
                ),
                remedy: "correct this machine's clock, or move ca.pem and ca.key away to begin a new CA, which laptops must then trust anew".to_owned(),
            });
        }
        Ok(end)
    }

    fn missing(&self, path: &Path) -> CertsError {
        self.unusable(format!("{} is missing", path.display()))
    }

    fn unusable(&self, problem: String) -> CertsError {
        CertsError::Authority {
            problem,
            remedy: format!(
                "restore {} and {} from one backup, or move both away to begin a new CA, which laptops must then trust anew",
                self.certificate.display(),
                self.key.display()
            ),
        }
    }
}

fn ca_params(now: SystemTime) -> CertificateParams {
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
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn read(path: &Path) -> Result<String, CertsError> {
    let length = fs::metadata(path).map_err(|e| CertsError::file(path, e))?.len();
    if length > MAX_FILE {
        return Err(CertsError::file(path, format_args!("it is longer than {MAX_FILE} bytes")));
    }
    fs::read_to_string(path).map_err(|e| CertsError::file(path, e))
}

/// Writes a file everybody may read (0644), whole or not at all.
fn write_public(path: &Path, content: &[u8]) -> io::Result<()> {
    let partial = path.with_extension("pem.partial");
    let mut file = fs::File::create(&partial)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

fn signing(error: impl std::fmt::Display) -> CertsError {
    CertsError::Signing(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use x509_parser::extensions::GeneralName;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_795_418_146);

    fn open(state: &Path) -> Result<Authority, CertsError> {
        Authority::open(state, Clock::manual(UNIX_EPOCH + NOW).0)
    }

    fn csr() -> String {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["evil.example.test".to_owned()]).unwrap();
        params.serialize_request(&key).unwrap().pem().unwrap()
    }

    #[test]
    fn the_ca_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let first = open(&state).unwrap();
        assert_eq!(open(&state).unwrap().fingerprint(), first.fingerprint());
        assert_eq!(fs::read_to_string(state.join("ca.pem")).unwrap().trim(), first.ca_pem().trim());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |name| fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode("ca.pem"), mode("ca.key")), (0o644, 0o600));
        }
    }

    #[test]
    fn damaged_foreign_and_missing_files_are_refused_with_a_remedy_and_left_alone() {
        let other = tempfile::tempdir().unwrap();
        open(other.path()).unwrap();
        let foreign_key = fs::read(other.path().join("ca.key")).unwrap();
        let cases: [(&str, Option<&[u8]>); 5] = [
            ("ca.key", Some(&foreign_key)),
            ("ca.key", Some(b"garbage")),
            ("ca.pem", Some(b"garbage")),
            ("ca.key", None),
            ("ca.pem", None),
        ];
        for (name, content) in cases {
            let dir = tempfile::tempdir().unwrap();
            open(dir.path()).unwrap();
            let path = dir.path().join(name);
            match content {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let error = open(dir.path()).unwrap_err();
            assert!(error.to_string().contains("backup"), "{name}: {error}");
            assert_eq!(fs::read(&path).ok().as_deref(), content, "{name} was changed");
        }
    }

    #[test]
    fn a_leaf_in_the_place_of_the_ca_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).unwrap();
        let key = KeyPair::from_pem(&fs::read_to_string(dir.path().join("ca.key")).unwrap()).unwrap();
        let leaf = CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        fs::write(dir.path().join("ca.pem"), leaf.pem()).unwrap();
        assert!(open(dir.path()).unwrap_err().to_string().contains("not the certificate of a CA"));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).unwrap();
        fs::set_permissions(dir.path().join("ca.key"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(open(dir.path()).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn an_expired_ca_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).unwrap();
        let late = Clock::manual(UNIX_EPOCH + NOW + CA_LIFE).0;
        assert!(Authority::open(dir.path(), late).unwrap_err().to_string().contains("clock"));
    }

    #[test]
    fn a_client_leaf_has_one_name_one_purpose_and_the_life_given() {
        let dir = tempfile::tempdir().unwrap();
        let authority = open(dir.path()).unwrap();
        let uri = "spiffe://gateway.example.test/session/ses_1/user/alice";
        let issued = authority.issue_client(&csr(), uri, Duration::from_secs(900)).unwrap();
        assert_eq!(issued.expires_at, UNIX_EPOCH + NOW + Duration::from_secs(900));
        let leaf = &tls::parse_certificates(&issued.chain_pem, "leaf").unwrap()[0];
        let (_, leaf) = X509Certificate::from_der(leaf).unwrap();
        let names = leaf.subject_alternative_name().unwrap().unwrap().value;
        assert_eq!(names.general_names, vec![GeneralName::URI(uri)]);
        let usage = leaf.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth && !usage.any);
        assert!(!leaf.is_ca());
        let validity = leaf.validity();
        assert_eq!(validity.not_after.timestamp() - validity.not_before.timestamp(), 900 + 60);
        let ca = authority.roots();
        let (_, ca) = X509Certificate::from_der(&ca[0]).unwrap();
        leaf.verify_signature(Some(ca.public_key())).unwrap();
    }

    #[test]
    fn a_server_leaf_names_hosts_and_addresses_and_brings_the_ca() {
        let dir = tempfile::tempdir().unwrap();
        let authority = open(dir.path()).unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
        let identity = authority.issue_server(&names, Duration::from_secs(60)).unwrap();
        assert_eq!(identity.chain()[1..], authority.roots()[..]);
        let (_, leaf) = X509Certificate::from_der(&identity.chain()[0]).unwrap();
        let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(
            *names,
            vec![
                GeneralName::DNSName("localhost"),
                GeneralName::IPAddress(&[127, 0, 0, 1]),
                GeneralName::IPAddress(&std::net::Ipv6Addr::LOCALHOST.octets()),
            ]
        );
        assert!(authority.issue_server(&["no good".to_owned()], Duration::from_secs(60)).is_err());
        assert!(authority.issue_server(&[], Duration::from_secs(60)).is_err());
    }
}
