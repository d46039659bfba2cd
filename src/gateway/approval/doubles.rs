//! A store of approvals in memory, by the trait's contract, and an office on it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use arc_swap::ArcSwap;

use super::{Approvals, Bounds, Config, DEFAULT_LAPSE, Filed, Filter, Request, State, Store};
use crate::{
    clock::Clock,
    gateway::{identity::StoreError, policy::Policies},
};

/// Approvals that are forgotten with the test.
#[derive(Default)]
pub(crate) struct Memory {
    rows: Mutex<BTreeMap<String, Request>>,
    /// Fails every write.
    pub(crate) broken: AtomicBool,
}

/// An office on a store of its own that tells nobody.
pub(crate) async fn office(policies: Arc<ArcSwap<Policies>>, clock: Clock) -> Approvals {
    let config = Config { lapse: DEFAULT_LAPSE, public_url: "https://gateway.example.test".parse().unwrap() };
    let store = Arc::new(Memory::default());
    Approvals::open(config, store, policies, clock, Arc::new(|_| ())).await.unwrap()
}

impl Memory {
    fn alive(&self) -> Result<(), StoreError> {
        if self.broken.load(Ordering::SeqCst) { Err(StoreError("disk on fire".to_owned())) } else { Ok(()) }
    }
}

#[async_trait::async_trait]
impl Store for Memory {
    async fn file(&self, request: &Request, bounds: Bounds, now: SystemTime) -> Result<Filed, StoreError> {
        self.alive()?;
        let mut rows = self.rows.lock().unwrap();
        let pending = || rows.values().filter(|row| row.state == State::Pending);
        if let Some(same) = pending().find(|row| row.sameness() == request.sameness()) {
            return Ok(Filed::Joined(Box::new(same.clone())));
        }
        let own = |row: &&Request| {
            row.requester.subject == request.requester.subject
                && row.requester.provider == request.requester.provider
        };
        let waiting = || pending().filter(|row| now < row.lapses_at);
        if waiting().filter(own).count() >= bounds.own {
            return Ok(Filed::TooManyOwn);
        }
        if waiting().count() >= bounds.all {
            return Ok(Filed::TooMany);
        }
        rows.insert(request.id.clone(), request.clone());
        Ok(Filed::New)
    }

    async fn approval(&self, id: &str) -> Result<Option<Request>, StoreError> {
        let found = self.rows.lock().unwrap().get(id).cloned();
        // As a database does, it lets others run between reading and writing.
        tokio::task::yield_now().await;
        Ok(found)
    }

    async fn replace(&self, request: &Request, expected: u64) -> Result<bool, StoreError> {
        self.alive()?;
        tokio::task::yield_now().await;
        let mut rows = self.rows.lock().unwrap();
        let Some(row) = rows.get_mut(&request.id).filter(|row| row.revision == expected) else {
            return Ok(false);
        };
        *row = request.clone();
        Ok(true)
    }

    async fn live_approvals(&self) -> Result<Vec<Request>, StoreError> {
        let rows = self.rows.lock().unwrap();
        let live = |row: &&Request| matches!(row.state, State::Pending | State::Approved { .. });
        Ok(rows.values().filter(live).cloned().collect())
    }

    async fn approvals(&self, filter: &Filter, now: SystemTime) -> Result<Vec<Request>, StoreError> {
        let rows = self.rows.lock().unwrap();
        let wanted = |row: &&Request| {
            filter.state.is_none_or(|state| row.word(now) == state)
                && filter.requester.as_ref().is_none_or(|(provider, subject)| {
                    *provider == row.requester.provider && *subject == row.requester.subject
                })
                && filter.model.as_ref().is_none_or(|model| *model == row.model)
                && filter.since.is_none_or(|since| row.created_at >= since)
                && filter.before.as_ref().is_none_or(|id| row.id < *id)
        };
        Ok(rows.values().rev().filter(wanted).take(filter.limit).cloned().collect())
    }
}
