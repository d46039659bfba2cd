//! The gateway's own certificate authority: made at first start, kept, rotated with an overlap, and never silently made anew.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rcgen::KeyPair;
use rustls::pki_types::PrivateKeyDer;
use tokio::sync::watch;

use super::{
    CertsError, Role,
    files::Files,
    leaf::{self, Issued, whole_seconds},
    record::{self, Pair, Phase, Record, Turn},
    request,
    root::Root,
    signing,
};
use crate::{
    clock::Clock,
    tls::{self, CertificateDer, HotRoots, Identity},
};

/// The gateway's own certificate authority: one root that signs, and while a rotation is under way one more that is believed.
pub struct Authority {
    pub(super) state: PathBuf,
    pub(super) clock: Clock,
    pub(super) present: ArcSwap<Present>,
    client_roots: HotRoots,
    news: watch::Sender<Announcement>,
}

/// The roots that laptops should believe, as they are told of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Grows with each change of this gateway's roots.
    pub version: u64,
    /// The roots, PEM, the signing one first.
    pub roots: String,
    /// A rotation is under way: there is more than one.
    pub rotating: bool,
}

/// The authority at one time.
pub(super) struct Present {
    pub(super) record: Record,
    pub(super) root: Root,
    /// The signing root first.
    roots: Vec<CertificateDer<'static>>,
    /// What a server shows after its leaf; the signing root last.
    chain: Vec<CertificateDer<'static>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.fingerprint())
    }
}

impl Authority {
    /// Opens `<state>/ca.pem` and `ca.key`, or makes them at first start. A rotation that was cut short while the next root
    /// took its place is finished. Blocks on files.
    ///
    /// # Errors
    /// When the folder is not writable at first start; later when one file is missing, foreign, damaged,
    /// out of its time, or the key is readable by others. An existing file is never replaced by a new beginning.
    pub fn open(state: &Path, clock: Clock) -> Result<Self, CertsError> {
        let files = Files::of(state);
        let mut record = Record::load(state)?;
        if matches!(record.rotation, Some(Phase::Switching { .. })) {
            let _turn = Turn::take(state)?;
            record = files.install(state, Record::load(state)?)?;
        }
        if files.exist()? {
            if record == Record::default() {
                record = Record::load_or_begin(state, clock.now())?;
            }
            let present = Present::of(&files, record, &clock)?;
            return Self::new(state, clock, present);
        }
        if record.rotation.is_some() {
            // The files of a rotation never stand alone: the CA they belong to is lost.
            return Err(files.lost());
        }
        files.create(state, &clock)?;
        let record = Record::load_or_begin(state, clock.now())?;
        let present = Present::of(&files, record, &clock)?;
        Self::new(state, clock, present)
    }

    fn new(state: &Path, clock: Clock, present: Present) -> Result<Self, CertsError> {
        let client_roots = HotRoots::new(&present.roots).map_err(signing)?;
        let news = watch::Sender::new(present.announcement());
        Ok(Self {
            state: state.to_owned(),
            clock,
            present: ArcSwap::from_pointee(present),
            client_roots,
            news,
        })
    }

    /// The roots clients' leaves are checked against (and laptops should trust the gateway by, with an own-CA server leaf);
    /// the signing one first.
    pub fn roots(&self) -> Vec<CertificateDer<'static>> {
        self.present.load().roots.clone()
    }

    /// Every believed root with what it is for.
    pub(super) fn roles(&self) -> Vec<(Role, CertificateDer<'static>)> {
        let present = self.present.load();
        let other = match present.record.rotation {
            Some(Phase::Announced { .. }) => Role::Next,
            _ => Role::Retiring,
        };
        let roles = std::iter::once(Role::Present).chain(std::iter::repeat(other));
        roles.zip(present.roots.iter().cloned()).collect()
    }

    /// The roots for listeners, kept as they are at any time.
    pub fn client_roots(&self) -> HotRoots {
        self.client_roots.clone()
    }

    /// The roots as laptops are told of them, now and whenever they change.
    pub fn announcements(&self) -> watch::Receiver<Announcement> {
        self.news.subscribe()
    }

    /// `sha256:…` of the signing root.
    pub fn fingerprint(&self) -> String {
        tls::fingerprint_text(&tls::fingerprint(&self.present.load().root.certificate))
    }

    /// A leaf for the key of a CSR (proof of possession checked; its subject and extensions are ignored),
    /// with `uri` as its only SAN, for client authentication alone.
    ///
    /// # Errors
    /// When the request is longer than 8 KiB, malformed, or its key unproven, or none of P-256, P-384,
    /// Ed25519 and RSA of 2048 to 8192 bits.
    pub fn issue_client(&self, csr_pem: &str, uri: &str, life: Duration) -> Result<Issued, CertsError> {
        let key = request::proven_key(csr_pem)?;
        let (now, present) = (self.clock.now(), self.present.load());
        let expires_at = present.end_of(now, life);
        let certificate =
            leaf::client(uri, now, expires_at)?.signed_by(&key, &present.root.issuer).map_err(signing)?;
        Ok(Issued { chain_pem: tls::to_pem(&[certificate.into()]), expires_at })
    }

    /// A server leaf with a fresh key; the chain ends in the CA certificate itself, so that laptops can show its fingerprint.
    /// While a rotation is under way it also leads to the other root.
    ///
    /// # Errors
    /// When a name is neither a DNS name nor an IP address, or there is none.
    pub fn issue_server(&self, names: &[String], life: Duration) -> Result<Identity, CertsError> {
        let present = self.present.load();
        let (leaf, key) = present.server_leaf(names, self.clock.now(), life)?;
        let chain = std::iter::once(leaf).chain(present.chain.iter().cloned()).collect();
        Identity::new(chain, key).map_err(signing)
    }

    /// A server leaf that shows no CA: laptops that pin one already believe it, and nobody can come to pin it by looking.
    pub(super) fn issue_stopgap(&self, names: &[String], life: Duration) -> Result<Identity, CertsError> {
        let (leaf, key) = self.present.load().server_leaf(names, self.clock.now(), life)?;
        Identity::new(vec![leaf], key).map_err(signing)
    }

    /// Takes another state up: what is signed, believed and told from here on.
    pub(super) fn adopt(&self, record: Record) -> Result<(), CertsError> {
        let present = Present::of(&Files::of(&self.state), record, &self.clock)?;
        self.client_roots.swap(&present.roots).map_err(signing)?;
        let told = present.announcement();
        self.present.store(present.into());
        self.news.send_replace(told);
        Ok(())
    }

    /// Puts the next root into its place. The caller holds the turn and has stored that this was decided.
    pub(super) fn install(&self, record: Record) -> Result<Record, CertsError> {
        Files::of(&self.state).install(&self.state, record)
    }

    /// The next root, able to sign.
    pub(super) fn next_root(&self, next: &Pair) -> Result<Root, CertsError> {
        let files = Files::of(&self.state);
        let file = record::path(&self.state);
        Root::read(&next.certificate, &next.key, (&file, &file), self.clock.now()).map_err(|e| files.told(e))
    }
}

impl Present {
    fn of(files: &Files, record: Record, clock: &Clock) -> Result<Self, CertsError> {
        let root = files.load(clock.now())?;
        let own = root.certificate.clone();
        let other = match &record.rotation {
            None | Some(Phase::Prepared { .. }) => None,
            Some(Phase::Announced { next, link, .. }) => Some((&next.certificate, link)),
            Some(Phase::Switching { old, link, .. } | Phase::Retiring { old, link, .. }) => Some((old, link)),
        };
        let Some((other, link)) = other else {
            return Ok(Self { record, root, roots: vec![own.clone()], chain: vec![own] });
        };
        let one = |pem: &str| {
            tls::parse_certificates(pem, "ca-rotation.json")
                .ok()
                .and_then(|mut all| all.pop())
                .ok_or_else(|| files.unusable("ca-rotation.json holds no certificate".to_owned()))
        };
        let (other, link) = (one(other)?, one(link)?);
        let (roots, chain) = (vec![own.clone(), other.clone()], vec![link, other, own]);
        Ok(Self { record, root, roots, chain })
    }

    fn announcement(&self) -> Announcement {
        Announcement {
            version: self.record.version,
            roots: tls::to_pem(&self.roots),
            rotating: self.roots.len() > 1,
        }
    }

    fn server_leaf(
        &self,
        names: &[String],
        now: SystemTime,
        life: Duration,
    ) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), CertsError> {
        let params = leaf::server(names, now, self.end_of(now, life))?;
        let key = KeyPair::generate().map_err(signing)?;
        let certificate = params.signed_by(&key, &self.root.issuer).map_err(signing)?;
        Ok((certificate.into(), PrivateKeyDer::from(key)))
    }

    /// No leaf outlives its CA.
    fn end_of(&self, now: SystemTime, life: Duration) -> SystemTime {
        whole_seconds((now + life).min(self.root.end))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::UNIX_EPOCH};

    use rcgen::CertificateParams;
    use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

    use super::{super::root::CA_LIFE, *};

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
        assert_eq!(
            fs::read_to_string(state.join("ca.pem")).unwrap().trim(),
            tls::to_pem(&first.roots()).trim()
        );
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
