//! The requests that are pending or approved, in memory: what exchanges look at, wait for and are ended by.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Person, Request, State};
use crate::gateway::policy::Terms;

/// A valid approval of one caller for one model.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The request's id.
    pub id: String,
    /// The terms that were met: it is good for a permit by one of their policies, as long as that says the same.
    pub terms: Vec<Terms>,
    /// Its end, to the second.
    pub until: SystemTime,
    ended: CancellationToken,
}

impl Grant {
    /// Cancelled when the approval ends, by time or by a no: streams that live by it end then.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}

/// Live requests, by id and by whom and what they are for.
#[derive(Default)]
pub(super) struct Book(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    live: HashMap<String, Arc<Entry>>,
    by_use: HashMap<Use, Vec<Arc<Entry>>>,
}

/// Provider and subject of the requester, and the model.
type Use = (String, String, String);

struct Entry {
    request: watch::Sender<Arc<Request>>,
    ended: CancellationToken,
}

impl Book {
    /// Takes a request as the store has it now; an older revision than the one held changes nothing. What is neither pending nor
    /// approved any more leaves the book: its streams end, and who waits for it is told.
    pub(super) fn adopt(&self, request: Arc<Request>) {
        let mut pages = self.pages();
        let live = matches!(request.state, State::Pending | State::Approved { .. });
        let Some(entry) = pages.live.get(&request.id).cloned() else {
            if live {
                pages.insert(request);
            }
            return;
        };
        if entry.request.borrow().revision > request.revision {
            return;
        }
        if !live {
            pages.remove(&request);
        }
        // Under the lock: two adoptions at once must not overtake each other.
        entry.request.send_replace(request);
        drop(pages);
        if !live {
            entry.ended.cancel();
        }
    }

    /// Follows a live request; the receiver sees every state from now on, also once it has left the book.
    pub(super) fn follow(&self, id: &str) -> Option<watch::Receiver<Arc<Request>>> {
        self.pages().live.get(id).map(|entry| entry.request.subscribe())
    }

    /// The pending request of a requester for a model that asks for the same.
    pub(super) fn pending(&self, like: &Request, sameness: &str, now: SystemTime) -> Option<Arc<Request>> {
        self.of(&like.requester.provider, &like.requester.subject, &like.model)
            .into_iter()
            .map(|entry| Arc::clone(&entry.request.borrow()))
            .find(|request| request.word(now) == "pending" && request.sameness() == sameness)
    }

    /// Valid approvals, the one that lasts longest first.
    pub(super) fn grants(&self, of: &Person, model: &str, identity: &str, now: SystemTime) -> Vec<Grant> {
        let mut grants: Vec<Grant> = self
            .of(&of.provider, &of.subject, model)
            .into_iter()
            .filter_map(|entry| {
                let request = Arc::clone(&entry.request.borrow());
                match &request.state {
                    State::Approved { policies, until }
                        if now < *until && request.model_identity == identity =>
                    {
                        Some(Grant {
                            id: request.id.clone(),
                            terms: request
                                .terms
                                .iter()
                                .filter(|terms| policies.contains(&terms.policy))
                                .cloned()
                                .collect(),
                            until: *until,
                            ended: entry.ended.clone(),
                        })
                    }
                    _ => None,
                }
            })
            .filter(|grant| !grant.ended.is_cancelled())
            .collect();
        grants.sort_by_key(|grant| std::cmp::Reverse(grant.until));
        grants
    }

    /// Ends what lives by an approval whose time is over, whatever becomes of it in the store.
    pub(super) fn end(&self, id: &str) {
        if let Some(entry) = self.pages().live.get(id) {
            entry.ended.cancel();
        }
    }

    /// Everything live.
    pub(super) fn all(&self) -> Vec<Arc<Request>> {
        self.pages().live.values().map(|entry| Arc::clone(&entry.request.borrow())).collect()
    }

    fn of(&self, provider: &str, subject: &str, model: &str) -> Vec<Arc<Entry>> {
        let key = (provider.to_owned(), subject.to_owned(), model.to_owned());
        self.pages().by_use.get(&key).cloned().unwrap_or_default()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // Every change of the pages is whole before the lock is let go.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn insert(&mut self, request: Arc<Request>) {
        let (id, key) = (request.id.clone(), key(&request));
        let entry = Arc::new(Entry { request: watch::Sender::new(request), ended: CancellationToken::new() });
        self.by_use.entry(key).or_default().push(Arc::clone(&entry));
        self.live.insert(id, entry);
    }

    fn remove(&mut self, request: &Request) {
        self.live.remove(&request.id);
        let key = key(request);
        if let Some(entries) = self.by_use.get_mut(&key) {
            entries.retain(|entry| entry.request.borrow().id != request.id);
            if entries.is_empty() {
                self.by_use.remove(&key);
            }
        }
    }
}

fn key(request: &Request) -> Use {
    let Person { provider, subject, .. } = &request.requester;
    (provider.clone(), subject.clone(), request.model.clone())
}
