//! Why an approval can be neither asked for, given nor refused.

use std::time::Duration;

use crate::{gateway::identity::StoreError, wire::stream::MAX_REASON};

/// A "no" of this room.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// No request of that id.
    #[error("there is no such approval")]
    Unknown,
    /// The requester wants to decide.
    #[error("nobody approves their own request")]
    Own,
    /// A workload wants to decide.
    #[error("a workload cannot decide a request: approvals are people's")]
    Workload,
    /// Neither a group nor a policy makes the caller an approver.
    #[error("{user} may not decide this request: it takes {who}")]
    NotApprover {
        /// Who tried.
        user: String,
        /// Who may.
        who: String,
    },
    /// It was decided before.
    #[error("the request is {0} already")]
    Decided(&'static str),
    /// The same person has said yes before.
    #[error("you have said yes already: it takes another person")]
    SaidYes,
    /// Shorter than an approval can be.
    #[error("an approval lasts at least {} s", super::SHORTEST.as_secs())]
    TooShort(Duration),
    /// A reason or comment that cannot be shown.
    #[error("{0} must have at most {MAX_REASON} bytes and no control characters")]
    Text(&'static str),
    /// The model was removed, or is another one under the same name.
    #[error("the model is not the one the approval was asked for")]
    ModelChanged,
    /// Too many requests of one caller wait.
    #[error("{0} of your requests for approval wait already")]
    TooManyOwn(usize),
    /// Too many requests wait.
    #[error("{0} requests for approval wait at this gateway")]
    TooMany(usize),
    /// Others changed the request all the time.
    #[error("the request is being decided by others at this moment")]
    Busy,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
