//! Each step of a rotation: what is signed, believed and told, and that a crash between any two files ends well.

use std::{fs, time::UNIX_EPOCH};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    pki_types::{ServerName, UnixTime},
    server::danger::ClientCertVerifier,
};

use super::*;
use crate::{clock::Hand, tls::Trust};

const START: Duration = Duration::from_secs(1_795_418_146);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const PACE: Pace = Pace { overlap: OVERLAP, client_life: Duration::from_secs(900) };

struct World {
    dir: tempfile::TempDir,
    clock: Clock,
    hand: Hand,
}

impl World {
    fn new() -> Self {
        let (clock, hand) = Clock::manual(UNIX_EPOCH + START);
        Self { dir: tempfile::tempdir().unwrap(), clock, hand }
    }

    /// As a start of the gateway does.
    fn open(&self) -> Authority {
        Authority::open(self.dir.path(), self.clock.clone()).unwrap()
    }

    fn begin(&self) -> Facts {
        begin(self.dir.path(), None, &self.clock).unwrap()
    }

    fn roles(&self) -> Vec<Role> {
        facts(self.dir.path()).unwrap().roots.iter().map(|root| root.role).collect()
    }

    fn now(&self) -> UnixTime {
        UnixTime::since_unix_epoch(self.clock.now().duration_since(UNIX_EPOCH).unwrap())
    }

    /// Whether a laptop with this pin believes a server leaf made now.
    fn laptop_believes(&self, authority: &Authority, pin: &CertificateDer<'static>) -> bool {
        let server = authority.issue_server(&["localhost".to_owned()], DAY).unwrap();
        let verifier = Trust::Roots(vec![pin.clone()]).verifier().unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let (leaf, rest) = server.chain().split_first().unwrap();
        verifier.verify_server_cert(leaf, rest, &name, &[], self.now()).is_ok()
    }

    /// Whether the listeners believe a client's leaf.
    fn gateway_believes(&self, authority: &Authority, leaf: &CertificateDer<'static>) -> bool {
        authority.client_roots().verify_client_cert(leaf, &[], self.now()).is_ok()
    }
}

fn client_leaf(authority: &Authority, life: Duration) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let issued = authority.issue_client(&csr, "spiffe://localhost/session/s/user/alice", life).unwrap();
    tls::parse_certificates(&issued.chain_pem, "leaf").unwrap().remove(0)
}

#[test]
fn a_rotation_walks_its_steps_and_every_pin_holds_until_its_root_retires() {
    let world = World::new();
    let authority = world.open();
    let old = authority.roots().remove(0);
    assert_eq!(authority.advance(PACE).unwrap(), None, "nothing was asked");
    let facts = world.begin();
    assert_eq!(facts.rotation, Some(Rotation::Prepared));
    let next = facts.roots[1].certificate.clone();
    assert_eq!(authority.roots(), std::slice::from_ref(&old), "nobody is told before the gateway says so");

    let Some(Happening::RotationAnnounced { switch_at, .. }) = authority.advance(PACE).unwrap() else {
        panic!("the next root was not announced")
    };
    assert_eq!(switch_at, world.clock.now() + OVERLAP);
    assert_eq!(authority.roots(), [old.clone(), next.clone()]);
    assert_eq!(world.roles(), [Role::Present, Role::Next]);
    let told = authority.announcements().borrow().clone();
    let begun = START.as_secs();
    assert_eq!((told.version, told.rotating), (begun + 1, true));
    // The old root signs, and whoever already pins the next one believes that too.
    assert!(world.laptop_believes(&authority, &old) && world.laptop_believes(&authority, &next));

    world.hand.advance(OVERLAP - Duration::from_secs(1));
    let last_of_old = client_leaf(&authority, Duration::from_secs(900));
    let too_long = client_leaf(&authority, DAY * 365);
    assert_eq!(authority.advance(PACE).unwrap(), None, "switched a second early");
    world.hand.advance(Duration::from_secs(1));
    let switched = authority.advance(PACE).unwrap();
    assert!(matches!(switched, Some(Happening::RotationSwitched { .. })), "{switched:?}");
    assert_eq!(authority.roots(), [next.clone(), old.clone()]);
    assert_eq!(world.roles(), [Role::Present, Role::Retiring]);
    assert_eq!(authority.fingerprint(), tls::fingerprint_text(&tls::fingerprint(&next)));
    // A laptop that was away all the time still believes, by the link.
    assert!(world.laptop_believes(&authority, &old) && world.laptop_believes(&authority, &next));
    assert!(world.gateway_believes(&authority, &last_of_old), "the old root's leaves hold until they end");
    assert!(world.gateway_believes(&authority, &client_leaf(&authority, DAY)));

    world.hand.advance(OVERLAP);
    let retired = authority.advance(PACE).unwrap();
    assert!(matches!(retired, Some(Happening::RotationRetired { .. })), "{retired:?}");
    assert_eq!(authority.roots(), std::slice::from_ref(&next));
    assert!(world.laptop_believes(&authority, &next));
    assert!(!world.laptop_believes(&authority, &old), "a retired root is believed");
    assert!(!world.gateway_believes(&authority, &too_long));
    assert_eq!(authority.announcements().borrow().version, begun + 2 * OVERLAP.as_secs());
    assert_eq!(world.open().roots(), [next]);
    world.begin();
}

#[test]
fn an_old_roots_leaf_is_believed_until_its_own_end_even_with_a_short_overlap() {
    let world = World::new();
    let authority = world.open();
    begin(world.dir.path(), Some(Duration::from_secs(10)), &world.clock).unwrap();
    authority.advance(PACE).unwrap().unwrap();
    world.hand.advance(Duration::from_secs(10));
    let leaf = client_leaf(&authority, PACE.client_life);
    authority.advance(PACE).unwrap().unwrap();
    world.hand.advance(PACE.client_life - Duration::from_secs(1));
    assert_eq!(authority.advance(PACE).unwrap(), None, "retired while its leaves lived");
    assert!(world.gateway_believes(&authority, &leaf));
    world.hand.advance(Duration::from_secs(1));
    assert!(matches!(authority.advance(PACE).unwrap(), Some(Happening::RotationRetired { .. })));
}

#[test]
fn every_state_survives_a_restart() {
    let world = World::new();
    let mut authority = world.open();
    world.begin();
    authority = restarted(&world, &authority);
    for wait in [Duration::ZERO, OVERLAP, OVERLAP] {
        world.hand.advance(wait);
        authority.advance(PACE).unwrap().unwrap();
        authority = restarted(&world, &authority);
    }
    assert_eq!(world.roles(), [Role::Present]);
}

fn restarted(world: &World, before: &Authority) -> Authority {
    let after = world.open();
    assert_eq!(after.roots(), before.roots());
    assert_eq!(*after.announcements().borrow(), *before.announcements().borrow());
    after
}

#[test]
fn a_crash_at_any_file_of_the_switch_ends_with_the_next_root_in_its_place() {
    for files_written in 0..=3 {
        let world = World::new();
        let authority = world.open();
        let old = authority.roots().remove(0);
        let next = world.begin().roots[1].certificate.clone();
        authority.advance(PACE).unwrap().unwrap();
        world.hand.advance(OVERLAP);
        let before = ["ca.key", "ca.pem"].map(|name| fs::read(world.dir.path().join(name)).unwrap());
        let announced = Record::load(world.dir.path()).unwrap();
        let Some(Phase::Announced { next: pair, .. }) = announced.rotation else { panic!("{announced:?}") };
        authority.advance(PACE).unwrap().unwrap();
        let Some(Phase::Retiring { old: kept, link, retire_at }) =
            Record::load(world.dir.path()).unwrap().rotation
        else {
            panic!("not switched")
        };
        if files_written < 3 {
            // What lies there after the decision and so many of the files that follow it.
            let rotation = Some(Phase::Switching { next: pair, old: kept, link, retire_at });
            Record { schema: 1, version: 2, rotation }.store(world.dir.path()).unwrap();
        }
        for (at, name) in ["ca.key", "ca.pem"].into_iter().enumerate() {
            if at >= files_written {
                let path = world.dir.path().join(name);
                crate::secret::write_private(&path, &before[at]).unwrap();
            }
        }
        let after = world.open();
        assert_eq!(after.roots(), [next, old], "after {files_written} files");
        assert_eq!(world.roles(), [Role::Present, Role::Retiring]);
        assert_eq!(world.open().roots(), after.roots());
    }
}

#[test]
fn a_second_rotation_is_refused_while_one_is_under_way_and_none_begins_without_a_ca() {
    let world = World::new();
    let error = begin(world.dir.path(), None, &world.clock).unwrap_err();
    assert!(error.to_string().contains("start the gateway once"), "{error}");
    assert_eq!(fs::read_dir(world.dir.path()).unwrap().count(), 0, "asking makes nothing");
    let authority = world.open();
    world.begin();
    for wait in [Duration::ZERO, OVERLAP] {
        let error = begin(world.dir.path(), None, &world.clock).unwrap_err();
        assert!(error.to_string().contains("under way"), "{error}");
        world.hand.advance(wait);
        authority.advance(PACE).unwrap().unwrap();
    }
    assert!(begin(world.dir.path(), None, &world.clock).unwrap_err().to_string().contains("retires at"));
}

#[test]
fn the_record_is_its_owners_alone_and_a_damaged_one_is_refused_with_a_remedy() {
    let world = World::new();
    world.open();
    world.begin();
    let path = record::path(world.dir.path());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for name in ["ca-rotation.json", "ca.key", "ca.lock"] {
            let mode = fs::metadata(world.dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = Authority::open(world.dir.path(), world.clock.clone()).unwrap_err();
    assert!(error.to_string().contains("backup"), "{error}");
    fs::write(&path, whole).unwrap();
    fs::remove_file(world.dir.path().join("ca.pem")).unwrap();
    fs::remove_file(world.dir.path().join("ca.key")).unwrap();
    let error = Authority::open(world.dir.path(), world.clock.clone()).unwrap_err();
    assert!(
        error.to_string().contains("missing"),
        "a lost CA was made anew in the middle of a rotation: {error}"
    );
}

#[test]
fn a_stored_step_that_could_not_be_taken_up_is_taken_up_later() {
    let world = World::new();
    let authority = world.open();
    let old = authority.roots().remove(0);
    let next = world.begin().roots[1].certificate.clone();
    let (ca, away) = (world.dir.path().join("ca.pem"), world.dir.path().join("away.pem"));
    // What is believed cannot be read when the step is stored.
    fs::rename(&ca, &away).unwrap();
    authority.advance(PACE).unwrap_err();
    let Some(Phase::Announced { .. }) = Record::load(world.dir.path()).unwrap().rotation else {
        panic!("not stored")
    };
    assert_eq!(authority.roots(), std::slice::from_ref(&old));
    fs::rename(&away, &ca).unwrap();
    let happened = authority.advance(PACE).unwrap();
    assert!(matches!(happened, Some(Happening::RotationAnnounced { .. })), "{happened:?}");
    assert_eq!(authority.roots(), [old.clone(), next.clone()]);
    assert_eq!(authority.advance(PACE).unwrap(), None, "taken up twice");

    // A step that another process on the folder has taken.
    let other = world.open();
    world.hand.advance(OVERLAP);
    other.advance(PACE).unwrap().unwrap();
    let happened = authority.advance(PACE).unwrap();
    assert!(matches!(happened, Some(Happening::RotationSwitched { .. })), "{happened:?}");
    assert_eq!(authority.roots(), [next.clone(), old]);
    world.hand.advance(OVERLAP);
    other.advance(PACE).unwrap().unwrap();
    let happened = authority.advance(PACE).unwrap();
    assert!(matches!(happened, Some(Happening::RotationRetired { .. })), "{happened:?}");
    assert_eq!(authority.roots(), [next]);
}

#[test]
fn versions_grow_over_a_record_that_was_lost_or_restored() {
    let world = World::new();
    let version = |authority: &Authority| authority.announcements().borrow().version;
    let authority = world.open();
    let kept = fs::read(record::path(world.dir.path())).unwrap();
    world.begin();
    authority.advance(PACE).unwrap().unwrap();
    let known = version(&authority);

    world.hand.advance(DAY);
    fs::remove_file(record::path(world.dir.path())).unwrap();
    let anew = world.open();
    let begun = version(&anew);
    assert!(begun > known, "{begun} after {known}");
    assert_eq!(version(&world.open()), begun, "a restart changes nothing");

    world.hand.advance(DAY);
    fs::write(record::path(world.dir.path()), kept).unwrap();
    let restored = world.open();
    world.begin();
    restored.advance(PACE).unwrap().unwrap();
    assert!(version(&restored) > begun);
}

#[cfg(unix)]
#[test]
fn a_lock_that_leads_elsewhere_is_neither_opened_nor_given_away() {
    use std::os::unix::fs::symlink;
    let world = World::new();
    world.open();
    let (lock, victim) = (world.dir.path().join("ca.lock"), world.dir.path().join("victim"));
    fs::write(&victim, "secret").unwrap();
    fs::remove_file(&lock).unwrap();
    symlink(&victim, &lock).unwrap();
    begin(world.dir.path(), None, &world.clock).unwrap_err();
    fs::remove_file(&lock).unwrap();
    // Nothing is made where a link points either.
    symlink(world.dir.path().join("made"), &lock).unwrap();
    begin(world.dir.path(), None, &world.clock).unwrap_err();
    assert!(!world.dir.path().join("made").exists());
    fs::remove_file(&lock).unwrap();
    fs::hard_link(&victim, &lock).unwrap();
    let error = begin(world.dir.path(), None, &world.clock).unwrap_err();
    assert!(error.to_string().contains("regular file with one name"), "{error}");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    begin(world.dir.path(), None, &world.clock).unwrap_err();
    fs::remove_dir(&lock).unwrap();
    world.begin();
}

/// Root may give files away, so this one shows it only there; elsewhere all files have one owner.
#[cfg(unix)]
#[test]
fn what_root_writes_belongs_to_the_folders_owner() {
    use std::os::unix::fs::{MetadataExt, chown};
    let world = World::new();
    world.open();
    for name in ["ca.lock", "ca-rotation.json"] {
        fs::remove_file(world.dir.path().join(name)).unwrap();
    }
    let _ = chown(world.dir.path(), Some(65_534), Some(65_534));
    let owner = fs::metadata(world.dir.path()).unwrap().uid();
    world.begin();
    for name in ["ca.lock", "ca-rotation.json"] {
        assert_eq!(fs::metadata(world.dir.path().join(name)).unwrap().uid(), owner, "{name}");
    }
}
