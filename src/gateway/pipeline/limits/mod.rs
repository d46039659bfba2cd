//! Limits of a model: requests in a minute, tokens in a day, exchanges at once; for all, for each caller, for groups.
//!
//! ```text
//! Limits ── counters of every model, saved behind ──▶ Counts ── one model ──▶ Admitted ── held by an exchange until its end
//! ```

mod counter;
mod counts;
mod keeper;
mod storage;
#[cfg(test)]
mod tests;
mod window;

use std::{collections::BTreeMap, sync::Arc};

pub(super) use self::counts::{Admitted, Counts};
pub use self::{
    keeper::Limits,
    storage::{Holder, Row, Store, StoreError},
};
use super::super::{identity::Caller, respond::Problem};
use crate::clock;

/// What `limits` of a model says; nothing said is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// For the model as a whole.
    pub all: Amounts,
    /// For each caller.
    pub per_caller: Amounts,
    /// For all members of a group together, by the group's name.
    pub groups: BTreeMap<String, Amounts>,
}

/// How much; `None`: any amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Requests in any 60 seconds.
    pub requests_per_minute: Option<u64>,
    /// Tokens, input and output, of a day in UTC.
    pub tokens_per_day: Option<u64>,
    /// Exchanges under way at once.
    pub concurrent: Option<u64>,
}

impl Amounts {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Config {
    /// Whether there is no limit at all.
    pub fn is_nothing(&self) -> bool {
        self.all.is_nothing() && self.per_caller.is_nothing() && self.groups.values().all(Amounts::is_nothing)
    }

    /// Whether tokens are limited for anybody.
    pub fn counts_tokens(&self) -> bool {
        let rest = [&self.all, &self.per_caller];
        rest.into_iter().chain(self.groups.values()).any(|amounts| amounts.tokens_per_day.is_some())
    }

    /// The limits that hold for a caller, each with who shares it.
    fn of(&self, caller: &Caller) -> Vec<(Holder, Amounts)> {
        let mut held = Vec::with_capacity(2);
        if !self.all.is_nothing() {
            held.push((Holder::Model, self.all));
        }
        if !self.per_caller.is_nothing() {
            let (provider, subject) = (caller.provider.clone(), caller.subject.clone());
            held.push((Holder::Caller { provider, subject }, self.per_caller));
        }
        for (name, amounts) in &self.groups {
            if !amounts.is_nothing() && caller.groups.contains(name) {
                held.push((Holder::Group(name.clone()), *amounts));
            }
        }
        held
    }
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Requests,
    Tokens,
    Concurrent,
}

/// A limit that has no room.
fn refused(model: &str, holder: &Holder, full: counter::Full, now: u64) -> Problem {
    let (most, one) = (full.most, full.most == 1);
    let amount = match full.kind {
        Kind::Requests => format!("{most} {} a minute", if one { "request" } else { "requests" }),
        Kind::Tokens => format!("{most} {} a day (UTC)", if one { "token" } else { "tokens" }),
        Kind::Concurrent => format!("{most} {} at once", if one { "exchange" } else { "exchanges" }),
    };
    let whose = match holder {
        Holder::Model => format!("`{model}` as a whole"),
        Holder::Group(name) => format!("the group `{name}` on `{model}`"),
        Holder::Caller { .. } => format!("you on `{model}`"),
    };
    let again = match full.kind {
        Kind::Concurrent => "when one of them has ended".to_owned(),
        Kind::Requests => format!("in {} s", full.wait),
        Kind::Tokens => {
            let seconds = i64::try_from(now.saturating_add(full.wait)).unwrap_or(i64::MAX);
            format!("at {}", clock::rfc3339(clock::from_unix_millis(seconds.saturating_mul(1000))))
        }
    };
    Problem::limited(
        format!("the limit of {whose} is used up: {amount}; there is room again {again}"),
        full.wait,
    )
}

/// The counters of a model, if it has limits.
pub(super) fn counts(limits: &Limits, model: &str, config: &Config) -> Option<Arc<Counts>> {
    (!config.is_nothing()).then(|| limits.of(model))
}
