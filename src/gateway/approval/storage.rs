//! What the room keeps, as a trait that `store` implements.

use std::time::SystemTime;

use super::Request;
use crate::gateway::identity::StoreError;

/// The most requests of one page.
pub const MAX_PAGE: usize = 200;

/// What the store does with a new request.
#[derive(Clone, Debug)]
pub enum Filed {
    /// It is kept.
    New,
    /// One that asks for the same waits already: this.
    Joined(Box<Request>),
    /// The requester has too many that wait.
    TooManyOwn,
    /// The gateway has too many that wait.
    TooMany,
}

/// The most requests that may wait.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of one requester.
    pub own: usize,
    /// Of all.
    pub all: usize,
}

/// Which requests a list wants; every condition given must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `pending`, `approved`, `denied` or `expired`, as [`Request::word`] has it.
    pub state: Option<&'static str>,
    /// Of this requester: provider and subject.
    pub requester: Option<(String, String)>,
    /// For this model.
    pub model: Option<String>,
    /// Made at this time or later.
    pub since: Option<SystemTime>,
    /// Only those made before the one of this id.
    pub before: Option<String>,
    /// At most this many, 1–[`MAX_PAGE`]; the newest, newest first.
    pub limit: usize,
}

/// What approvals keep; implemented by `store`. What returned survives kill -9.
#[async_trait::async_trait]
pub trait Store: Send + Sync {
    /// Keeps a new request, unless one of the same [`Request::sameness`] is pending or `bounds` are reached at `now`; in one step. Forgets
    /// what has been over for 90 days.
    async fn file(&self, request: &Request, bounds: Bounds, now: SystemTime) -> Result<Filed, StoreError>;
    /// The request of that id.
    async fn approval(&self, id: &str) -> Result<Option<Request>, StoreError>;
    /// Replaces the request if what is kept has revision `expected` (compare and swap); false when another was faster.
    async fn replace(&self, request: &Request, expected: u64) -> Result<bool, StoreError>;
    /// Every request noted as pending or approved, also those whose time is over.
    async fn live_approvals(&self) -> Result<Vec<Request>, StoreError>;
    /// The requests a filter wants at `now`.
    async fn approvals(&self, filter: &Filter, now: SystemTime) -> Result<Vec<Request>, StoreError>;
}
