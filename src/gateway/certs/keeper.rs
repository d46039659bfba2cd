//! Keeps every certificate of the gateway: opens them in order, runs what renews, watches and rotates them, and counts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::{
    Authority, CertsError, Config, Happening, Role, Source, Witness,
    acme::Acme,
    expiry,
    files::Files,
    imported::Imported,
    own::Own,
    rotation::{self, Pace},
};
use crate::{
    clock::Clock,
    tls::{ChallengeKey, HotKey, Identity, fingerprint, fingerprint_text},
};

/// How often the rotation's record and watched files are looked at.
pub(super) const FILE_POLL: Duration = Duration::from_secs(2);
/// How often ages are looked at. Polling, because a timer would not see a sleep or a corrected clock.
pub(super) const AGE_POLL: Duration = Duration::from_secs(60);

/// The gateway's certificates, kept fresh until the token given to [`Certificates::open`] is cancelled. Cheap to clone.
#[derive(Clone)]
pub struct Certificates {
    key: HotKey,
    challenges: Option<ChallengeKey>,
    authority: Arc<Authority>,
    told: Arc<Told>,
}

/// One certificate's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// `server`, or `ca`, `ca_next`, `ca_retiring`.
    pub certificate: &'static str,
    /// Its end.
    pub at: SystemTime,
}

/// Tells what happens, to the log and to the audit log, and counts what went wrong.
pub(super) struct Told {
    pub(super) clock: Clock,
    witness: Witness,
    refused: AtomicU64,
}

impl Told {
    pub(super) fn new(clock: Clock, witness: Witness) -> Arc<Self> {
        Arc::new(Self { clock, witness, refused: AtomicU64::new(0) })
    }

    pub(super) fn happened(&self, happening: Happening) {
        if matches!(happening, Happening::Refused { .. }) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        (self.witness)(happening);
    }

    /// Says loudly that a new certificate is not used.
    pub(super) fn refused(&self, error: &CertsError) {
        tracing::error!(%error, "the old server certificate stays in use");
        self.happened(Happening::Refused { problem: error.to_string() });
    }
}

impl Certificates {
    /// Opens the CA, has the server's certificate made, read or ordered, and keeps all of them: own leaf reissued at 2/3 of its
    /// life, files re-read when they change, ACME renewed at 2/3 of its life, the CA's rotation stepped on. A bad new
    /// certificate is told loudly and the old one kept. A gateway whose ACME directory has not answered yet starts with a
    /// certificate that shows no CA.
    ///
    /// # Errors
    /// When the CA's files are unusable, the first leaf cannot be made, or the files of `[tls]` are unreadable, no pair, of
    /// another name, or out of their time.
    pub async fn open(
        config: &Config,
        clock: Clock,
        witness: Witness,
        stop: &CancellationToken,
    ) -> Result<Self, CertsError> {
        let told = Told::new(clock.clone(), witness);
        let authority = Arc::new(open_authority(config, &clock, &told).await?);
        let mut challenges = None;
        let key = match &config.source {
            Source::Own => {
                let own = Own::new(config.names.clone(), Arc::clone(&authority), Arc::clone(&told));
                let key = HotKey::new(own.issue()?);
                tokio::spawn(stop.clone().run_until_cancelled_owned(own.keep_fresh(key.clone())));
                key
            }
            Source::Files { certificate, key } => {
                let files = Imported::new(certificate, key, &config.names, Arc::clone(&told));
                // Stamped before it is read: a change in between is seen as one.
                let stamp = files.stamp().await;
                let key = HotKey::new(files.read().await?);
                tokio::spawn(stop.clone().run_until_cancelled_owned(files.follow(key.clone(), stamp)));
                key
            }
            Source::Acme(acme) => {
                let shown = ChallengeKey::default();
                let acme = Acme::open(acme, config, Arc::clone(&authority), shown.clone(), Arc::clone(&told))
                    .await?;
                let key = HotKey::new(acme.first()?);
                challenges = Some(shown);
                tokio::spawn(stop.clone().run_until_cancelled_owned(acme.keep_fresh(key.clone())));
                key
            }
        };
        let this = Self { key, challenges, authority, told };
        let pace = Pace { overlap: config.overlap, client_life: config.client_life };
        tokio::spawn(stop.clone().run_until_cancelled_owned(this.clone().rotate(pace)));
        let automatic = !matches!(config.source, Source::Files { .. });
        let watch = expiry::watch(this.clone(), config.state.clone(), automatic);
        tokio::spawn(stop.clone().run_until_cancelled_owned(watch));
        Ok(this)
    }

    /// What listeners show.
    pub fn key(&self) -> &HotKey {
        &self.key
    }

    /// What they show to an ACME directory that checks the name, where there is one.
    pub fn challenges(&self) -> Option<&ChallengeKey> {
        self.challenges.as_ref()
    }

    /// The gateway's own CA.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// The end of every certificate in use.
    pub fn expiries(&self) -> Vec<Expiry> {
        self.current().into_iter().map(|(certificate, at, _)| Expiry { certificate, at }).collect()
    }

    /// So many new certificates could not be used or had since the start.
    pub fn refused(&self) -> u64 {
        self.told.refused.load(Ordering::Relaxed)
    }

    pub(super) fn told(&self) -> &Told {
        &self.told
    }

    /// Name, end and fingerprint of every certificate in use.
    pub(super) fn current(&self) -> Vec<(&'static str, SystemTime, String)> {
        let server = self.key.current();
        let leaf = server.chain().first().cloned().map(|leaf| ("server", leaf));
        let roots = self.authority.roles().into_iter().map(|(role, root)| {
            let name = match role {
                Role::Present => "ca",
                Role::Next => "ca_next",
                Role::Retiring => "ca_retiring",
            };
            (name, root)
        });
        leaf.into_iter()
            .chain(roots)
            .filter_map(|(name, certificate)| {
                let at = rotation::end(&certificate)?;
                Some((name, at, fingerprint_text(&fingerprint(&certificate))))
            })
            .collect()
    }

    /// Takes each step of a rotation when it is due.
    async fn rotate(self, pace: Pace) {
        let mut tick = every(FILE_POLL);
        let mut last = None;
        loop {
            tick.tick().await;
            let authority = Arc::clone(&self.authority);
            let advanced = tokio::task::spawn_blocking(move || authority.advance(pace)).await;
            match advanced {
                Ok(Ok(happened)) => {
                    last = None;
                    if let Some(happened) = happened {
                        tracing::warn!(?happened, "the CA's rotation went a step on");
                        self.told.happened(happened);
                    }
                }
                Ok(Err(error)) => {
                    let error = error.to_string();
                    // Tried again every two seconds, told once.
                    if last.as_ref() != Some(&error) {
                        tracing::error!(error, "the CA's rotation cannot go on; it is tried again");
                        last = Some(error);
                    }
                }
                Err(error) => tracing::error!(%error, "the CA's rotation was interrupted"),
            }
        }
    }
}

async fn open_authority(config: &Config, clock: &Clock, told: &Told) -> Result<Authority, CertsError> {
    let (state, clock) = (config.state.clone(), clock.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let first = !Files::of(&state).exist().unwrap_or(true);
        Authority::open(&state, clock).map(|authority| (authority, first))
    });
    let (authority, first) = opened.await.map_err(super::signing)??;
    if first {
        told.happened(Happening::Made { fingerprint: authority.fingerprint() });
    }
    Ok(authority)
}

/// `sha256:…` and end of an identity's leaf.
pub(super) fn facts_of(identity: &Identity) -> (String, SystemTime) {
    let leaf = identity.chain().first();
    let end = leaf.and_then(rotation::end).unwrap_or(SystemTime::UNIX_EPOCH);
    (leaf.map(|leaf| fingerprint_text(&fingerprint(leaf))).unwrap_or_default(), end)
}

pub(super) fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
