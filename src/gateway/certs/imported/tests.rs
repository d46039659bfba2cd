//! Certificates from files and from the own CA: what is taken up while listeners run, and what is refused how loudly.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use tokio_util::sync::CancellationToken;

use super::{
    super::{Certificates, Config, OVERLAP, Source, Witness, begin},
    *,
};
use crate::{
    clock::{Clock, Hand},
    gateway::certs::{keeper::AGE_POLL, own::LEAF_LIFE},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct World {
    dir: tempfile::TempDir,
    clock: Clock,
    hand: Hand,
    heard: Arc<Mutex<Vec<Happening>>>,
    stop: CancellationToken,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual(UNIX_EPOCH + Duration::from_secs(1_795_418_146));
        Self { dir, clock, hand, heard: Arc::default(), stop: CancellationToken::new() }
    }

    async fn open(&self, source: Source) -> Result<Certificates, CertsError> {
        let config = Config {
            state: self.dir.path().join("state"),
            names: vec!["localhost".to_owned()],
            source,
            overlap: OVERLAP,
            client_life: Duration::from_secs(900),
        };
        let heard = Arc::clone(&self.heard);
        let witness: Witness =
            Arc::new(move |happening| heard.lock().unwrap_or_else(PoisonError::into_inner).push(happening));
        Certificates::open(&config, self.clock.clone(), witness, &self.stop).await
    }

    fn files(&self) -> Source {
        Source::Files { certificate: self.dir.path().join("tls.pem"), key: self.dir.path().join("tls.key") }
    }

    /// Writes a fresh self-signed pair; returns it.
    fn write(&self, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        change(&mut params);
        let pair = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
        fs::write(self.dir.path().join("tls.pem"), &pair.0).unwrap();
        fs::write(self.dir.path().join("tls.key"), &pair.1).unwrap();
        pair
    }

    fn heard(&self) -> Vec<Happening> {
        self.heard.lock().unwrap().clone()
    }

    fn refusals(&self) -> Vec<String> {
        let refused = self.heard().into_iter().filter_map(|happening| match happening {
            Happening::Refused { problem } => Some(problem),
            _ => None,
        });
        refused.collect()
    }

    fn warnings(&self) -> Vec<(&'static str, u64)> {
        let told = self.heard().into_iter().filter_map(|happening| match happening {
            Happening::Expiring { what, days, .. } => Some((what, days)),
            _ => None,
        });
        told.collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn leaf(certificates: &Certificates) -> Vec<u8> {
    certificates.key().current().chain()[0].to_vec()
}

/// Lets the paused timers run on until `done`, for at most an hour of their time.
async fn until(mut done: impl FnMut() -> bool) -> bool {
    for _ in 0..1800 {
        if done() {
            return true;
        }
        tokio::time::sleep(FILE_POLL).await;
    }
    false
}

#[tokio::test(start_paused = true)]
async fn the_own_leaf_is_reissued_at_two_thirds_of_its_life_and_not_before() {
    let world = World::new();
    let certificates = world.open(Source::Own).await.unwrap();
    assert!(matches!(world.heard()[..], [Happening::Made { .. }]));
    let first = leaf(&certificates);
    world.hand.advance(LEAF_LIFE * 2 / 3 - Duration::from_secs(1));
    tokio::time::sleep(AGE_POLL * 3).await;
    assert_eq!(leaf(&certificates), first);
    world.hand.advance(Duration::from_secs(1));
    assert!(until(|| leaf(&certificates) != first).await);
    assert!(until(|| matches!(world.heard()[..], [_, Happening::Renewed { .. }])).await);
    assert!(world.warnings().is_empty(), "what renews itself in time is no warning");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_asked_for_beside_a_running_gateway_is_taken_up_and_the_leaf_follows_it() {
    let world = World::new();
    let certificates = world.open(Source::Own).await.unwrap();
    let first = leaf(&certificates);
    let mut news = certificates.authority().announcements();
    begin(&world.dir.path().join("state"), None, &world.clock).unwrap();
    news.changed().await.unwrap();
    assert!(until(|| certificates.key().current().chain().len() == 4).await, "the leaf leads to both roots");
    assert_eq!(certificates.expiries().len(), 3);
    world.hand.advance(OVERLAP);
    let next = certificates.authority().roots().remove(1);
    assert!(until(|| certificates.key().current().chain().last() == Some(&next)).await);
    world.hand.advance(OVERLAP);
    assert!(
        until(|| certificates.key().current().chain().len() == 2).await,
        "the old root is shown no longer"
    );
    assert_ne!(leaf(&certificates), first);
    let steps = world.heard().into_iter().filter(|one| {
        matches!(
            one,
            Happening::RotationAnnounced { .. }
                | Happening::RotationSwitched { .. }
                | Happening::RotationRetired { .. }
        )
    });
    assert_eq!(steps.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn every_bad_new_pair_is_refused_loudly_and_the_old_one_kept_and_a_good_one_taken_up() {
    let world = World::new();
    world.write(|_| {});
    let certificates = world.open(world.files()).await.unwrap();
    let first = leaf(&certificates);
    let path = |name: &str| world.dir.path().join(name);
    let (whole, _) = world.write(|_| {});
    type Harm<'a> = Box<dyn Fn() + 'a>;
    let bad: [(&str, Harm<'_>); 7] = [
        (
            "not for localhost",
            Box::new(|| {
                drop(world.write(|p| {
                    *p = CertificateParams::new(vec!["other.example.test".to_owned()]).unwrap();
                }))
            }),
        ),
        (
            "install a current one",
            Box::new(|| drop(world.write(|p| p.not_after = date_time_ymd(2000, 1, 1)))),
        ),
        (
            "install a current one",
            Box::new(|| drop(world.write(|p| p.not_before = date_time_ymd(2090, 1, 1)))),
        ),
        (
            "not for servers",
            Box::new(|| {
                drop(world.write(|p| {
                    p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                }))
            }),
        ),
        ("does not belong", Box::new(|| fs::write(path("tls.pem"), &whole).unwrap())),
        ("tls.pem", Box::new(|| fs::remove_file(path("tls.pem")).unwrap())),
        ("not readable", Box::new(|| fs::write(path("tls.pem"), &whole[..whole.len() / 2]).unwrap())),
    ];
    for (at, (why, spoil)) in bad.iter().enumerate() {
        spoil();
        assert!(until(|| world.refusals().len() == at + 1).await, "{why}: {:?}", world.refusals());
        let told = world.refusals().pop().unwrap();
        assert!(told.contains(why), "{told}");
        assert_eq!(leaf(&certificates), first, "{why}");
    }
    assert_eq!(certificates.refused(), 7);
    world.write(|_| {});
    assert!(until(|| leaf(&certificates) != first).await, "the good pair was not taken up");
    assert!(until(|| matches!(world.heard().last(), Some(Happening::Imported { .. }))).await);
    assert_eq!(world.refusals().len(), 7, "one pair is told once");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_whose_time_comes_is_taken_up_by_itself() {
    let world = World::new();
    world.write(|_| {});
    let certificates = world.open(world.files()).await.unwrap();
    let first = leaf(&certificates);
    let start = world.clock.now() + DAY;
    world.write(|params| params.not_before = start.into());
    assert!(until(|| world.refusals().len() == 1).await);
    world.hand.advance(DAY + Duration::from_secs(1));
    assert!(until(|| leaf(&certificates) != first).await);
    assert_eq!(world.refusals().len(), 1);
}

#[tokio::test]
async fn a_pair_that_laptops_could_not_believe_is_no_start() {
    let world = World::new();
    world.write(|_| {});
    fs::write(world.dir.path().join("tls.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let error = world.open(world.files()).await.err().unwrap();
    assert!(error.to_string().contains("does not belong"), "{error}");
    world.write(|params| params.not_after = date_time_ymd(2000, 1, 1));
    let error = world.open(world.files()).await.err().unwrap();
    assert!(error.to_string().contains("install a current one"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_comes_near_is_warned_of_thirty_seven_and_one_days_ahead_once_each_over_restarts() {
    let world = World::new();
    let end = world.clock.now() + DAY * 60;
    world.write(|params| params.not_after = end.into());
    world.open(world.files()).await.unwrap();
    tokio::time::sleep(AGE_POLL * 3).await;
    assert!(world.warnings().is_empty());
    let mut expected = Vec::new();
    for (wait, days) in [(30, 30), (23, 7), (6, 1), (1, 0)] {
        world.hand.advance(DAY * wait);
        expected.push(("the server certificate", days));
        assert!(until(|| world.warnings() == expected).await, "{:?}", world.warnings());
    }
    tokio::time::sleep(AGE_POLL * 3).await;
    assert_eq!(world.warnings(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_restart_repeats_no_warning() {
    let mut world = World::new();
    let end = world.clock.now() + DAY * 20;
    world.write(|params| params.not_after = end.into());
    for _ in 0..2 {
        world.open(world.files()).await.unwrap();
        tokio::time::sleep(AGE_POLL * 3).await;
        std::mem::take(&mut world.stop).cancel();
    }
    assert_eq!(world.warnings(), [("the server certificate", 30)]);
}
