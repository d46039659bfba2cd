//! The counters of one model, and what an exchange holds of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Amounts, Config, Holder, Row, counter::Counter, refused, window::Window};
use crate::gateway::{identity::Caller, respond::Problem};

/// Most callers that are counted on one model at once. Only callers known to a provider are counted, and idle ones are forgotten.
const MOST_HOLDERS: usize = 100_000;

/// The counters of one model. An exchange locks them twice, for some lookups each.
#[derive(Debug)]
pub(in crate::gateway::pipeline) struct Counts {
    model: String,
    holders: Mutex<HashMap<Holder, Counter>>,
}

/// Room that an exchange takes; given back when it is dropped.
#[derive(Debug)]
pub(in crate::gateway::pipeline) struct Admitted {
    counts: Arc<Counts>,
    holders: Vec<Holder>,
}

impl Counts {
    pub(super) fn new(model: &str) -> Self {
        Self { model: model.to_owned(), holders: Mutex::default() }
    }

    /// Whether there is room for an exchange now; none is taken. `now`: seconds since 1970.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub(in crate::gateway::pipeline) fn room(
        &self,
        limits: &Config,
        caller: &Caller,
        now: u64,
    ) -> Result<(), Problem> {
        self.vacant(&mut self.lock(), &limits.of(caller), now)
    }

    /// Takes room for an exchange under every limit that holds for the caller, or under none. `now`: seconds since 1970.
    ///
    /// # Errors
    /// When a limit has no room: the one that has to be waited for longest.
    pub(in crate::gateway::pipeline) fn admit(
        self: &Arc<Self>,
        limits: &Config,
        caller: &Caller,
        now: u64,
    ) -> Result<Admitted, Problem> {
        let held = limits.of(caller);
        let mut counters = self.lock();
        self.vacant(&mut counters, &held, now)?;
        for (holder, amounts) in &held {
            let counter = counters.entry(holder.clone()).or_default();
            counter.advance(now);
            counter.begin(amounts, now);
        }
        drop(counters);
        let holders = held.into_iter().map(|(holder, _)| holder).collect();
        Ok(Admitted { counts: Arc::clone(self), holders })
    }

    /// Refuses an exchange of these holders unless each has room.
    fn vacant(
        &self,
        counters: &mut HashMap<Holder, Counter>,
        held: &[(Holder, Amounts)],
        now: u64,
    ) -> Result<(), Problem> {
        let mut worst = None;
        for (holder, amounts) in held {
            let Some(counter) = counters.get_mut(holder) else { continue };
            let full = counter.full(amounts, now);
            if let Some(full) = full
                && worst
                    .as_ref()
                    .is_none_or(|(_, before): &(_, super::counter::Full)| before.wait < full.wait)
            {
                worst = Some((holder, full));
            }
        }
        if let Some((holder, full)) = worst {
            return Err(refused(&self.model, holder, full, now));
        }
        if counters.len().saturating_add(held.len()) > MOST_HOLDERS
            && held.iter().any(|(holder, _)| !counters.contains_key(holder))
        {
            let message = format!("more callers use `{}` than the gateway can count", self.model);
            return Err(Problem::limited(message, super::window::SPAN));
        }
        Ok(())
    }

    /// What has changed since the last time, and forgets holders of nothing.
    pub(super) fn changed(&self, now: u64) -> Vec<Row> {
        let mut rows = Vec::new();
        self.lock().retain(|holder, counter| {
            counter.advance(now);
            if std::mem::take(&mut counter.dirty) {
                rows.push(Row {
                    model: self.model.clone(),
                    holder: holder.clone(),
                    day: counter.day,
                    tokens: counter.tokens,
                    recent: counter.recent.text(),
                });
            }
            !counter.is_idle()
        });
        rows
    }

    /// The rows could not be saved: they are changes still.
    pub(super) fn unsaved(&self, rows: &[Row]) {
        let mut counters = self.lock();
        for row in rows.iter().filter(|row| row.model == self.model) {
            if let Some(counter) = counters.get_mut(&row.holder) {
                counter.dirty = true;
            }
        }
    }

    /// Exchanges under way, added up over everybody who shares a limit.
    #[cfg(test)]
    pub(in crate::gateway::pipeline) fn running(&self) -> u64 {
        self.lock().values().map(|counter| counter.running).sum()
    }

    pub(super) fn restore(&self, row: Row) {
        let (recent, day, tokens) = (Window::parse(&row.recent), row.day, row.tokens);
        self.lock().insert(row.holder, Counter { recent, day, tokens, ..Counter::default() });
    }

    pub(super) fn is_idle(&self) -> bool {
        self.lock().is_empty()
    }

    /// A poisoned lock guards plain counts, each of which is whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<Holder, Counter>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admitted {
    /// Counts tokens for everybody who shares the exchange's limits, as they were when it began.
    pub(in crate::gateway::pipeline) fn spend(&self, tokens: u64, now: u64) {
        let mut counters = self.counts.lock();
        for holder in &self.holders {
            if let Some(counter) = counters.get_mut(holder) {
                counter.spend(tokens, now);
            }
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counters = self.counts.lock();
        for holder in &self.holders {
            if let Some(counter) = counters.get_mut(holder) {
                counter.running = counter.running.saturating_sub(1);
            }
        }
    }
}
