//! Anomalies: what is unusual for a caller, told as events of kind `anomaly`, and answered where the operator wants that.
//!
//! ```text
//!  ledger ──follow──▶ detector ──alarms──▶ scribe (an event)      snapshots ──▶ storage
//!            in order  pure: no IO,        answers (suspend, require_approval) ◀── pipeline asks before each exchange
//!                      no clock
//! ```
//!
//! The detector folds the log's events in their order, with their own times. Its state is saved together with the place in the ledger up to
//! which it was folded, and an alarm's event has an id that is made of the event it was raised by: after a crash the same alarms are raised
//! again, and the ledger, which takes each id once, has each of them once.

mod answers;
mod config;
mod detector;
#[cfg(test)]
pub(crate) mod doubles;
mod exchange;
mod follow;
mod level;
mod meters;
mod models;
mod profile;
mod rules;
mod sketch;
mod storage;
#[cfg(test)]
mod tests;
mod told;

pub use answers::{Answers, Held, NotLifted};
pub use config::{Config, RuleConfig};
pub use detector::{Alarm, Detector, MOST_CALLERS};
pub use follow::{Anomalies, Interrupt};
pub use meters::Meters;
pub use storage::{Keep, Kept, Snapshot};

/// What can be unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// More requests in an hour than the caller makes.
    Rate,
    /// More bytes or tokens of answers in an hour than the caller gets.
    Volume,
    /// The first use of a model by a caller who keeps to few.
    Model,
    /// Work at an hour at which the caller does not work.
    Hour,
    /// A source network the caller has not come from.
    Network,
    /// Many refusals in a short time.
    Denials,
    /// More masked values in an hour than the caller gets.
    Masked,
    /// Many distinct inputs, long answers, an even pace.
    Extraction,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 8] = [
        Self::Rate,
        Self::Volume,
        Self::Model,
        Self::Hour,
        Self::Network,
        Self::Denials,
        Self::Masked,
        Self::Extraction,
    ];

    /// Its name in events, metrics and `gateway.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Volume => "volume",
            Self::Model => "model",
            Self::Hour => "hour",
            Self::Network => "network",
            Self::Denials => "denials",
            Self::Masked => "masked",
            Self::Extraction => "extraction",
        }
    }
}

/// What follows from an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The rule raises none.
    Off,
    /// It is told.
    Notify,
    /// It is told, and for a time every exchange of the caller's needs a person's yes.
    RequireApproval,
    /// It is told, and for a time every exchange of the caller's is refused.
    Suspend,
}

impl Answer {
    /// Its name in events and `gateway.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Notify => "notify",
            Self::RequireApproval => "require_approval",
            Self::Suspend => "suspend",
        }
    }

    /// The answer of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Off, Self::Notify, Self::RequireApproval, Self::Suspend]
            .into_iter()
            .find(|answer| answer.name() == name)
    }
}
