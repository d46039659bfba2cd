//! Ships audit events to other systems: webhooks, syslog and OpenTelemetry, in order, at least once, and never in an exchange's way.
//!
//! ```text
//!  ledger ──rows behind the sink's place──▶ batch ──▶ receiver ──acknowledged──▶ the place moves on, durably
//!     ▲                                        ▲          │ not now: growing pauses, for ever
//!     └ the queue: on disk, there anyway       └──────────┘ never: halved until the one is found, then set aside
//! ```
//!
//! A sink has no queue of its own: the ledger is one, on disk, and a sink is a place in it. So nothing is lost with the process, and
//! a receiver that is slow or gone costs neither memory nor an exchange its time.

mod batch;
mod config;
mod otlp;
mod pace;
mod receiver;
mod severity;
mod standing;
mod syslog;
#[cfg(test)]
mod tests;
mod webhook;
mod worker;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, Notify};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    receiver::Receiver,
    standing::Figures,
    worker::{Tuning, Worker},
};
use super::{AuditError, Ledger, Scribe};
use crate::clock::Clock;

pub use self::{
    config::{
        Bearing, Facility, GenAi, Header, OtlpConfig, ReceiverConfig, Signals, SinkConfig, SyslogConfig,
        Temporality, WebhookConfig,
    },
    standing::Standing,
};

/// Where sinks keep how far they have come; implemented by `store`.
#[async_trait::async_trait]
pub trait Cursors: Send + Sync {
    /// The place of the last event that the sink's receiver has taken; `None` for a sink that was never seen.
    ///
    /// # Errors
    /// When the database cannot be read.
    async fn cursor(&self, sink: &str) -> Result<Option<u64>, AuditError>;

    /// The sink's receiver has taken everything up to a place. Durable when it returns.
    ///
    /// # Errors
    /// When the database cannot be written.
    async fn advance(&self, sink: &str, place: u64) -> Result<(), AuditError>;
}

/// Why a sink cannot be used. Says which, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("the sink {sink} cannot be used: {problem}")]
pub struct SinkError {
    sink: String,
    problem: String,
}

/// What sinks work with.
#[derive(Clone)]
pub struct Surroundings {
    /// The queue.
    pub ledger: Arc<dyn Ledger>,
    /// Where sinks stand.
    pub cursors: Arc<dyn Cursors>,
    /// Says when there is more, and takes down what a receiver refused.
    pub scribe: Scribe,
    /// The time.
    pub clock: Clock,
    /// The gateway's public name, which receivers know it by.
    pub host: String,
    /// Ends every sink.
    pub stop: CancellationToken,
}

/// The sinks at work. Cheap to clone.
#[derive(Clone)]
pub struct Sinks(Arc<Shared>);

struct Shared {
    surroundings: Surroundings,
    tasks: TaskTracker,
    tuning: Tuning,
    /// The place of the ledger's last event, as far as it was looked at.
    head: Arc<AtomicU64>,
    working: Mutex<HashMap<String, Working>>,
    /// Of [`Self::working`], for who may not wait.
    figures: Arc<ArcSwap<Vec<Arc<Figures>>>>,
}

/// One sink at work.
struct Working {
    config: SinkConfig,
    receiver: Arc<ArcSwap<Receiver>>,
    replaced: Arc<Notify>,
    figures: Arc<Figures>,
    stop: CancellationToken,
    ended: TaskTracker,
}

/// Sinks whose secrets and certificates were read: ready to take the place of those at work.
pub struct Prepared(Vec<(SinkConfig, Receiver)>);

impl fmt::Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sinks")
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepared({})", self.0.len())
    }
}

impl Sinks {
    /// No sink yet. What is adopted later ends with `surroundings.stop`.
    pub fn start(surroundings: Surroundings, tasks: &TaskTracker) -> Self {
        Self::start_tuned(surroundings, tasks, Tuning::default())
    }

    fn start_tuned(surroundings: Surroundings, tasks: &TaskTracker, tuning: Tuning) -> Self {
        let shared = Shared {
            surroundings,
            tasks: tasks.clone(),
            tuning,
            head: Arc::default(),
            working: Mutex::default(),
            figures: Arc::default(),
        };
        let stop = shared.surroundings.stop.clone();
        let following = standing::follow(
            Arc::clone(&shared.surroundings.ledger),
            shared.surroundings.scribe.progress(),
            Arc::clone(&shared.head),
            Arc::clone(&shared.figures),
        );
        tasks.spawn(async move { stop.run_until_cancelled(following).await });
        Self(Arc::new(shared))
    }

    /// Reads the secrets and certificates of a configuration; nothing is sent yet.
    ///
    /// # Errors
    /// When one is missing or unusable.
    pub async fn prepare(&self, configs: &[SinkConfig]) -> Result<Prepared, SinkError> {
        let (configs, host) = (configs.to_vec(), self.0.surroundings.host.clone());
        let clock = self.0.surroundings.clock.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let open = |config: SinkConfig| match Receiver::open(&config, &host, &clock) {
                Ok(receiver) => Ok((config, receiver)),
                Err(problem) => Err(SinkError { sink: config.name, problem }),
            };
            configs.into_iter().map(open).collect::<Result<_, _>>().map(Prepared)
        });
        opened.await.map_err(|e| SinkError { sink: "[[sink]]".to_owned(), problem: e.to_string() })?
    }

    /// Puts sinks to work. One that is as it was goes on, with secrets and certificates as they are now; one that has changed goes
    /// on from where it stood; one that is gone stops, and would go on from there if it came back.
    pub async fn adopt(&self, prepared: Prepared) {
        let mut working = self.0.working.lock().await;
        let mut before = std::mem::take(&mut *working);
        for (config, receiver) in prepared.0 {
            let name = config.name.clone();
            let now = match before.remove(&name) {
                Some(old) if old.config == config => {
                    old.receiver.store(Arc::new(receiver));
                    old.replaced.notify_one();
                    old
                }
                Some(old) => {
                    // Two must not move one sink's place.
                    old.end().await;
                    self.work(config, receiver)
                }
                None => self.work(config, receiver),
            };
            working.insert(name, now);
        }
        for old in before.into_values() {
            old.end().await;
        }
        let mut figures: Vec<_> = working.values().map(|one| Arc::clone(&one.figures)).collect();
        figures.sort_by(|a, b| a.name().cmp(b.name()));
        self.0.figures.store(Arc::new(figures));
    }

    /// How each sink does, by name.
    pub fn standings(&self) -> Vec<Standing> {
        let now = self.0.surroundings.clock.now();
        self.0.figures.load().iter().map(|figures| figures.standing(now)).collect()
    }

    fn work(&self, config: SinkConfig, receiver: Receiver) -> Working {
        let figures = Arc::new(Figures::new(&config.name, Arc::clone(&self.0.head)));
        let (receiver, replaced) = (Arc::new(ArcSwap::from_pointee(receiver)), Arc::new(Notify::new()));
        let (stop, ended) = (self.0.surroundings.stop.child_token(), TaskTracker::new());
        let worker = Worker::new(
            config.clone(),
            Arc::clone(&receiver),
            Arc::clone(&replaced),
            self.0.surroundings.clone(),
            Arc::clone(&figures),
            self.0.tuning,
        );
        let until = stop.clone();
        let work = ended.track_future(async move {
            until.run_until_cancelled(worker.run()).await;
        });
        self.0.tasks.spawn(work);
        ended.close();
        Working { config, receiver, replaced, figures, stop, ended }
    }
}

impl Working {
    /// Resolves when nothing works for it any more. What was on its way may arrive all the same, and is sent again by who goes on.
    async fn end(self) {
        self.stop.cancel();
        self.ended.wait().await;
    }
}
