//! The counters of all models, and how they outlive the process: saved behind the exchanges, once a second at most.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Counts, Store, StoreError};
use crate::clock::Clock;

/// Between two savings, and so the most that the end of the process at any instant can lose.
const EVERY: Duration = Duration::from_secs(1);

/// The counters of every model. Cheap to clone.
#[derive(Clone)]
pub struct Limits(Arc<Inner>);

struct Inner {
    models: Mutex<BTreeMap<String, Arc<Counts>>>,
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Limits {
    /// Takes up the counters where a former process left them.
    ///
    /// # Errors
    /// When they cannot be read: without them limits would begin anew.
    pub async fn open(store: Arc<dyn Store>, clock: Clock) -> Result<Self, StoreError> {
        let rows = store.load().await?;
        let limits = Self(Arc::new(Inner { models: Mutex::default(), store, clock }));
        for row in rows {
            limits.of(&row.model).restore(row);
        }
        Ok(limits)
    }

    /// Saves what changes until `stop`, and then once more: `stop` belongs after the last exchange.
    pub async fn keep(self, stop: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            let last = tokio::select! {
                () = stop.cancelled() => true,
                _ = ticks.tick() => false,
            };
            match self.save().await {
                Ok(()) => failing = false,
                // Said once: limits hold all the same, as long as the process lives.
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "limits would begin anew if the gateway were restarted now");
                }
                Err(_) => (),
            }
            if last {
                return;
            }
        }
    }

    /// Saves what has changed.
    pub(super) async fn save(&self) -> Result<(), StoreError> {
        let now = self.now();
        let models: Vec<Arc<Counts>> = self.lock().values().cloned().collect();
        let rows: Vec<_> = models.iter().flat_map(|counts| counts.changed(now)).collect();
        if !rows.is_empty()
            && let Err(error) = self.0.store.save(&rows, now).await
        {
            for counts in &models {
                counts.unsaved(&rows);
            }
            return Err(error);
        }
        drop(models);
        // Counters that no model in force holds and nobody uses belong to models of former configurations.
        self.lock().retain(|_, counts| Arc::strong_count(counts) > 1 || !counts.is_idle());
        Ok(())
    }

    /// The counters of a model; they outlive changes of its configuration.
    pub(super) fn of(&self, model: &str) -> Arc<Counts> {
        let mut models = self.lock();
        let counts = models.entry(model.to_owned()).or_insert_with(|| Arc::new(Counts::new(model)));
        Arc::clone(counts)
    }

    /// Seconds since 1970.
    pub(in crate::gateway::pipeline) fn now(&self) -> u64 {
        u64::try_from(self.0.clock.unix_seconds()).unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Counts>>> {
        self.0.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
