//! How each sink does: figures that its worker writes and the operator's metrics read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::{
    clock::{from_unix_millis, unix_millis},
    gateway::audit::{Ledger, indexer::Progress},
};

/// How a sink does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub sink: String,
    /// Events of the log behind its place, also those it does not want.
    pub lag_events: u64,
    /// Since the oldest event that it wants to send and could not yet; zero when it has sent all.
    pub lag: Duration,
    /// Events that its receiver has taken since the start.
    pub delivered: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
    /// Events set aside since the start, because the receiver refused them for good.
    pub set_aside: u64,
}

/// The figures of one sink.
pub(super) struct Figures {
    name: String,
    head: Arc<AtomicU64>,
    place: AtomicU64,
    /// Milliseconds since 1970; 0 for none.
    oldest: AtomicI64,
    delivered: AtomicU64,
    failed: AtomicU64,
    set_aside: AtomicU64,
}

impl Figures {
    /// `head` is the place of the ledger's last event.
    pub(super) fn new(name: &str, head: Arc<AtomicU64>) -> Self {
        Self {
            name: name.to_owned(),
            head,
            place: AtomicU64::new(0),
            oldest: AtomicI64::new(0),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            set_aside: AtomicU64::new(0),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Events behind the sink's place.
    pub(super) fn lag(&self) -> u64 {
        self.head.load(Relaxed).saturating_sub(self.place.load(Relaxed))
    }

    pub(super) fn at(&self, place: u64) {
        self.place.store(place, Relaxed);
        // The head is looked at now and then, and the sink may have seen more.
        self.head.fetch_max(place, Relaxed);
    }

    /// The oldest event that waits; `None` when none does.
    pub(super) fn waits(&self, since: Option<SystemTime>) {
        self.oldest.store(since.map_or(0, unix_millis), Relaxed);
    }

    pub(super) fn delivered(&self, events: usize) {
        self.delivered.fetch_add(events as u64, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn set_aside(&self, events: u64) {
        self.set_aside.fetch_add(events, Relaxed);
    }

    pub(super) fn standing(&self, now: SystemTime) -> Standing {
        let oldest = self.oldest.load(Relaxed);
        let since = |oldest| now.duration_since(from_unix_millis(oldest)).unwrap_or_default();
        Standing {
            sink: self.name.clone(),
            lag_events: self.lag(),
            lag: if oldest == 0 { Duration::ZERO } else { since(oldest) },
            delivered: self.delivered.load(Relaxed),
            failed: self.failed.load(Relaxed),
            set_aside: self.set_aside.load(Relaxed),
        }
    }
}

/// Keeps the head up to date while there are sinks.
pub(super) async fn follow(
    ledger: Arc<dyn Ledger>,
    mut progress: watch::Receiver<Progress>,
    head: Arc<AtomicU64>,
    figures: Arc<ArcSwap<Vec<Arc<Figures>>>>,
) {
    while progress.changed().await.is_ok() {
        if figures.load().is_empty() {
            continue;
        }
        // What cannot be read now is read at the next change; the indexer says why.
        if let Ok(last) = ledger.last().await {
            head.fetch_max(last, Relaxed);
        }
    }
}
