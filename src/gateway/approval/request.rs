//! A request for approval, and what has become of it.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::{
    gateway::{identity::Caller, policy::Terms},
    tunnel::Transport,
};

/// A request for approval: by one caller, for one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `apr_…`; later requests have greater ids.
    pub id: String,
    /// How often it was changed: what compare-and-swap compares.
    pub revision: u64,
    /// Who asks.
    pub requester: Person,
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

/// Somebody as requests remember them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Stable at their provider.
    pub subject: String,
    /// Their identity provider.
    pub provider: String,
    /// For people: [`Caller::user`].
    pub user: String,
    /// The verified address, by which a person is known through two providers.
    pub email: Option<String>,
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
    /// It had its yeses, and its time is over.
    Ended {
        /// When it ended.
        until: SystemTime,
    },
    /// Somebody said no, or took their yes back.
    Denied,
    /// Nobody answered in time, or the model is no longer what it was.
    Expired,
}

/// One person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who.
    pub person: Person,
    /// The groups they had then that the terms name.
    pub groups: Vec<String>,
    /// The policies whose terms it counts for.
    pub policies: Vec<String>,
    /// Yes or no.
    pub yes: bool,
    /// The longest the approval may last, in their view.
    pub lasts: Option<Duration>,
    /// A word to the requester.
    pub comment: Option<String>,
    /// When.
    pub at: SystemTime,
}

/// What an exchange asks for.
#[derive(Clone, Debug)]
pub struct Asking<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The model's name.
    pub model: &'a str,
    /// What the model is now.
    pub model_identity: &'a str,
    /// What the policies want, of a verdict of *ask*.
    pub terms: &'a [Terms],
    /// Why; at most [`crate::wire::stream::MAX_REASON`] bytes without control characters.
    pub reason: Option<&'a str>,
}

/// Who decides, and from where; policies about `approve` see it.
#[derive(Clone, Copy, Debug)]
pub struct Decider<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// Their address, where it is known.
    pub source: Option<IpAddr>,
    /// `None` over HTTPS and from other services.
    pub transport: Option<Transport>,
}

/// How a request was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It has its yeses.
    Approved {
        /// The approval's end.
        until: SystemTime,
    },
    /// Somebody said no.
    Denied {
        /// Who, for people.
        by: String,
        /// What they wrote.
        comment: Option<String>,
    },
    /// Nobody answered in time, the model is no longer what it was, or the approval is over.
    Expired,
    /// The gateway is going away; the request stays.
    Closing,
    /// There is no such request, or it cannot be read.
    Unknown,
}

impl Person {
    /// Whether the two are one: the same subject of the same provider, or the same verified address.
    pub fn is(&self, other: &Self) -> bool {
        let by_subject = self.subject == other.subject && self.provider == other.provider;
        let by_email = match (&self.email, &other.email) {
            // Mail hosts that tell upper from lower case are rarer than people who write both.
            (Some(ours), Some(theirs)) => ours.to_lowercase() == theirs.to_lowercase(),
            _ => false,
        };
        by_subject || by_email
    }

    /// Whether it is this very identity: subject and provider, as approvals are given.
    pub fn is_caller(&self, caller: &Caller) -> bool {
        self.subject == caller.subject && self.provider == caller.provider
    }
}

impl From<&Caller> for Person {
    fn from(caller: &Caller) -> Self {
        Self {
            subject: caller.subject.clone(),
            provider: caller.provider.clone(),
            user: caller.user().to_owned(),
            email: caller.email.clone(),
        }
    }
}

impl<'a> From<&'a Caller> for Decider<'a> {
    fn from(caller: &'a Caller) -> Self {
        Self { caller, source: None, transport: None }
    }
}

impl Request {
    /// `pending`, `approved`, `denied` or `expired`, at `now`: what nobody has noted yet is over all the same.
    pub fn word(&self, now: SystemTime) -> &'static str {
        match &self.state {
            State::Pending if now < self.lapses_at => "pending",
            State::Approved { until, .. } if now < *until => "approved",
            State::Denied => "denied",
            State::Pending | State::Approved { .. } | State::Ended { .. } | State::Expired => "expired",
        }
    }

    /// When what holds now ends, or ended: the request while it waits, the approval once it is given.
    pub fn ends_at(&self) -> SystemTime {
        match &self.state {
            State::Approved { until, .. } | State::Ended { until } => *until,
            State::Pending | State::Expired => self.lapses_at,
            State::Denied => self.votes.last().map_or(self.lapses_at, |vote| vote.at),
        }
    }

    /// How it was decided; `None` while it is pending.
    pub fn decision(&self) -> Option<Decision> {
        match &self.state {
            State::Pending => None,
            State::Approved { until, .. } => Some(Decision::Approved { until: *until }),
            State::Ended { .. } | State::Expired => Some(Decision::Expired),
            State::Denied => {
                let no = self.votes.iter().rfind(|vote| !vote.yes);
                Some(Decision::Denied {
                    by: no.map(|vote| vote.person.user.clone()).unwrap_or_default(),
                    comment: no.and_then(|vote| vote.comment.clone()),
                })
            }
        }
    }

    /// The groups that any of the terms names, sorted.
    pub fn approvers(&self) -> Vec<String> {
        let mut groups: Vec<String> =
            self.terms.iter().flat_map(|terms| terms.approvers.iter().cloned()).collect();
        groups.sort();
        groups.dedup();
        groups
    }

    /// The policies that led to it.
    pub fn policies(&self) -> Vec<String> {
        self.terms.iter().map(|terms| terms.policy.clone()).collect()
    }

    /// How long an approval lasts from the last yes: at most what the terms say, and no longer than who said yes so far wants.
    pub fn lasts(&self) -> Duration {
        let terms = self.terms.iter().map(|terms| terms.lasts).max().unwrap_or_default();
        self.votes.iter().filter_map(|vote| vote.lasts).fold(terms, Duration::min)
    }

    /// Whether it has had its yeses and nobody took them back.
    pub fn was_approved(&self) -> bool {
        matches!(self.state, State::Approved { .. } | State::Ended { .. })
    }

    /// Yeses so far, and how many it takes, of the terms that are closest to being met.
    pub fn progress(&self) -> (u32, u32) {
        let of = |terms: &Terms| (self.yeses(&terms.policy), terms.needed);
        self.terms.iter().map(of).min_by_key(|(got, needed)| needed.saturating_sub(*got)).unwrap_or((0, 1))
    }

    /// How many people said yes to the terms of a policy.
    pub fn yeses(&self, policy: &str) -> u32 {
        let counts = |vote: &&Vote| vote.yes && vote.policies.iter().any(|counted| counted == policy);
        u32::try_from(self.votes.iter().filter(counts).count()).unwrap_or(u32::MAX)
    }

    /// Whether it asks for the same as another: one approval serves both.
    pub fn sameness(&self) -> String {
        let asked = (
            &self.requester.provider,
            &self.requester.subject,
            &self.model,
            &self.model_identity,
            &self.terms,
        );
        // Plain data always has a JSON text; without one nothing would be the same.
        let text = serde_json::to_string(&asked).unwrap_or_else(|_| self.id.clone());
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
