//! The listeners' key, kept fresh: an own leaf is reissued in time, files are re-read when they change.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{Authority, CertsError, Config};
use crate::{
    clock::{Clock, rfc3339},
    secret::ExposeSecret,
    tls::{HotKey, Identity},
};

/// Life of an own server leaf.
const LEAF_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How often the age of the own leaf is looked at. Polling, because a timer would not see a laptop's sleep or a corrected clock.
const AGE_POLL: Duration = Duration::from_secs(60);
/// How often watched files are looked at.
const FILE_POLL: Duration = Duration::from_secs(2);
/// The longest certificate or key file read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The listeners' key, and the task that keeps it fresh: own leaf reissued at 2/3 of its life, files re-read when they change
/// (a bad new pair is reported loudly and the old one kept). The task ends with `stop`.
///
/// # Errors
/// When the first leaf cannot be made, or the files are unreadable, no pair, or out of their time.
pub async fn server_key(
    config: &Config,
    authority: Arc<Authority>,
    clock: Clock,
    stop: CancellationToken,
) -> Result<HotKey, CertsError> {
    match &config.files {
        None => {
            let own = Own { names: config.names.clone(), authority, clock };
            let due = own.next();
            let key = HotKey::new(own.issue()?);
            tokio::spawn(stop.run_until_cancelled_owned(own.keep_fresh(key.clone(), due)));
            Ok(key)
        }
        Some((certificate, key)) => {
            let pair = Pair { certificate: certificate.clone(), key: key.clone(), clock };
            // Stamped before it is read: a change in between is seen as one.
            let stamp = pair.stamp().await;
            let key = HotKey::new(pair.read().await?);
            tokio::spawn(stop.run_until_cancelled_owned(pair.follow(key.clone(), stamp)));
            Ok(key)
        }
    }
}

struct Own {
    names: Vec<String>,
    authority: Arc<Authority>,
    clock: Clock,
}

impl Own {
    fn issue(&self) -> Result<Identity, CertsError> {
        self.authority.issue_server(&self.names, LEAF_LIFE)
    }

    /// When a leaf made now is to be replaced.
    fn next(&self) -> SystemTime {
        self.clock.now() + LEAF_LIFE * 2 / 3
    }

    async fn keep_fresh(self, key: HotKey, mut due: SystemTime) {
        let mut tick = every(AGE_POLL);
        loop {
            tick.tick().await;
            if self.clock.now() < due {
                continue;
            }
            match self.issue() {
                Ok(identity) => {
                    key.swap(identity);
                    due = self.next();
                    tracing::info!("the gateway's server certificate was renewed");
                }
                Err(error) => {
                    tracing::error!(%error, "the gateway's server certificate could not be renewed; the old one stays in use")
                }
            }
        }
    }
}

struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    clock: Clock,
}

/// What changes when somebody replaces a file: its time and length; `None` while it cannot be looked at.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Pair {
    async fn stamp(&self) -> Stamp {
        [stamp_of(&self.certificate).await, stamp_of(&self.key).await]
    }

    async fn read(&self) -> Result<Identity, CertsError> {
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        let read = tokio::task::spawn_blocking(move || {
            let chain = read_bounded(&certificate)?;
            let key: secrecy::SecretString = read_bounded(&key)?.into();
            Identity::from_pem(&chain, key.expose_secret()).map_err(|e| e.to_string())
        });
        let identity = match read.await {
            Ok(Ok(identity)) => identity,
            Ok(Err(problem)) => return Err(self.unusable(problem)),
            Err(error) => return Err(self.unusable(error.to_string())),
        };
        self.check_time(&identity)?;
        Ok(identity)
    }

    fn check_time(&self, identity: &Identity) -> Result<(), CertsError> {
        let leaf = identity.chain().first().map(|leaf| X509Certificate::from_der(leaf));
        let Some(Ok((_, leaf))) = leaf else {
            return Err(self.unusable("its first certificate is unreadable".to_owned()));
        };
        let start = SystemTime::from(leaf.validity().not_before.to_datetime());
        let end = SystemTime::from(leaf.validity().not_after.to_datetime());
        let now = self.clock.now();
        if now < start || now >= end {
            return Err(self.unusable(format!(
                "the certificate is valid from {} to {}, and it is {}; install a current one",
                rfc3339(start),
                rfc3339(end),
                rfc3339(now)
            )));
        }
        Ok(())
    }

    async fn follow(self, key: HotKey, mut seen: Stamp) {
        let mut tick = every(FILE_POLL);
        let mut changed = false;
        loop {
            tick.tick().await;
            let stamp = self.stamp().await;
            if stamp != seen {
                // Certificate and key are replaced one after the other: look when both have been still for a moment.
                (seen, changed) = (stamp, true);
                continue;
            }
            if !std::mem::take(&mut changed) {
                continue;
            }
            match self.read().await {
                Ok(identity) => {
                    key.swap(identity);
                    tracing::info!(certificate = %self.certificate.display(), "the changed server certificate is in use");
                }
                Err(error) => {
                    tracing::error!(%error, "the changed server certificate is unusable; the old one stays in use");
                }
            }
        }
    }

    fn unusable(&self, problem: String) -> CertsError {
        CertsError::Pair { certificate: self.certificate.clone(), key: self.key.clone(), problem }
    }
}

async fn stamp_of(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = tokio::fs::metadata(path).await.ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let length = fs::metadata(path).map_err(|e| named(&e))?.len();
    if length > MAX_FILE {
        return Err(named(&format_args!("it is longer than {MAX_FILE} bytes")));
    }
    fs::read_to_string(path).map_err(|e| named(&e))
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::clock::Hand;

    struct World {
        dir: tempfile::TempDir,
        authority: Arc<Authority>,
        clock: Clock,
        hand: Hand,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let (clock, hand) = Clock::manual(UNIX_EPOCH + Duration::from_secs(1_795_418_146));
            let authority = Arc::new(Authority::open(&dir.path().join("state"), clock.clone()).unwrap());
            Self { dir, authority, clock, hand }
        }

        fn config(&self, files: bool) -> Config {
            let files = files.then(|| (self.dir.path().join("tls.pem"), self.dir.path().join("tls.key")));
            Config { state: self.dir.path().to_owned(), names: vec!["localhost".to_owned()], files }
        }

        /// Writes a fresh self-signed pair; returns it.
        fn write_pair(&self) -> (String, String) {
            let key = KeyPair::generate().unwrap();
            let certificate =
                CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
            let pair = (certificate.pem(), key.serialize_pem());
            fs::write(self.dir.path().join("tls.pem"), &pair.0).unwrap();
            fs::write(self.dir.path().join("tls.key"), &pair.1).unwrap();
            pair
        }
    }

    fn leaf(key: &HotKey) -> Vec<u8> {
        key.current().chain()[0].to_vec()
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
        let stop = CancellationToken::new();
        let key =
            server_key(&world.config(false), Arc::clone(&world.authority), world.clock.clone(), stop.clone())
                .await
                .unwrap();
        let first = leaf(&key);
        world.hand.advance(LEAF_LIFE * 2 / 3 - Duration::from_secs(1));
        tokio::time::sleep(AGE_POLL * 3).await;
        assert_eq!(leaf(&key), first);
        world.hand.advance(Duration::from_secs(1));
        assert!(until(|| leaf(&key) != first).await);
        stop.cancel();
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_pair_is_taken_up_and_a_bad_one_is_not() {
        let world = World::new();
        world.write_pair();
        let stop = CancellationToken::new();
        let key =
            server_key(&world.config(true), Arc::clone(&world.authority), world.clock.clone(), stop.clone())
                .await
                .unwrap();
        let first = leaf(&key);
        fs::write(world.dir.path().join("tls.key"), "garbage").unwrap();
        tokio::time::sleep(FILE_POLL * 5).await;
        assert_eq!(leaf(&key), first, "a bad pair replaced a good one");
        world.write_pair();
        assert!(until(|| leaf(&key) != first).await, "the good pair was not taken up");
        stop.cancel();
    }

    #[tokio::test]
    async fn a_pair_that_does_not_belong_together_is_no_start() {
        let world = World::new();
        world.write_pair();
        fs::write(world.dir.path().join("tls.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let error = server_key(
            &world.config(true),
            Arc::clone(&world.authority),
            world.clock.clone(),
            CancellationToken::new(),
        )
        .await
        .unwrap_err();
        assert!(error.to_string().contains("does not belong"), "{error}");
    }

    #[tokio::test]
    async fn an_expired_certificate_is_no_start() {
        let world = World::new();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2000, 1, 1);
        fs::write(world.dir.path().join("tls.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(world.dir.path().join("tls.key"), key.serialize_pem()).unwrap();
        let error = server_key(
            &world.config(true),
            Arc::clone(&world.authority),
            world.clock.clone(),
            CancellationToken::new(),
        )
        .await
        .unwrap_err();
        assert!(error.to_string().contains("install a current one"), "{error}");
    }
}
