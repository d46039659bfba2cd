//! A request for approval, and what has become of it.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::gateway::policy::Terms;

/// A request for approval: by one caller, for one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `apr_…`.
    pub id: String,
    /// Subject of who asks, stable at their provider.
    pub subject: String,
    /// Who asks, for people: [`crate::gateway::identity::Caller::user`].
    pub requester: String,
    /// The requester's identity provider.
    pub provider: String,
    /// The model's name.
    pub model: String,
    /// What the model was when this was asked: an approval is not for another one that takes over its name.
    pub model_identity: String,
    /// Why; at most [`crate::wire::stream::MAX_REASON`] bytes.
    pub reason: Option<String>,
    /// What the policies want; it is enough to meet one of them.
    pub terms: Vec<Terms>,
    /// When it was made.
    pub created_at: SystemTime,
    /// When nobody can answer it any more.
    pub lapses_at: SystemTime,
    /// What has become of it.
    pub state: State,
    /// Everybody who said yes or no, in their order; one vote a person.
    pub votes: Vec<Vote>,
}

/// What has become of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Nobody has decided yet.
    Pending,
    /// It has its yeses.
    Approved {
        /// The policies whose terms were met.
        policies: Vec<String>,
        /// The approval ends on this second, streams included.
        until: SystemTime,
    },
    /// Somebody said no, or took their yes back.
    Denied,
    /// Nobody answered in time.
    Expired,
}

/// One person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Subject of the person, stable at their provider.
    pub subject: String,
    /// The person, for people.
    pub user: String,
    /// Their identity provider.
    pub provider: String,
    /// The groups they had then that the terms name.
    pub groups: Vec<String>,
    /// Yes or no.
    pub yes: bool,
    /// The longest the approval may last, in their view.
    pub lasts: Option<Duration>,
    /// A word to the requester.
    pub comment: Option<String>,
    /// When.
    pub at: SystemTime,
}
