//! What `[anomalies]` of `gateway.toml` says.

use std::{collections::BTreeMap, time::Duration};

use super::{Answer, Rule};

/// How unusual is told, and answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// From a caller's first exchange until anything can be unusual for them.
    pub warm_up: Duration,
    /// A rule must have been quiet about a caller for so long before it raises another alarm.
    pub cool_down: Duration,
    /// How long a suspension or the need of an approval lasts unless it is lifted.
    pub hold: Duration,
    /// Each rule; one that is missing is as by [`RuleConfig::of`].
    pub rules: BTreeMap<Rule, RuleConfig>,
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleConfig {
    /// What follows.
    pub answer: Answer,
    /// The score from which on it is an alarm.
    pub score: f64,
    /// The least that can be one, in what the rule counts; 0 where it counts nothing.
    pub least: u64,
}

impl RuleConfig {
    /// A rule as it is when nothing is said.
    pub fn of(rule: Rule) -> Self {
        let (score, least) = match rule {
            Rule::Rate => (4.0, 100),
            Rule::Volume => (4.0, 2 * 1024 * 1024),
            Rule::Model => (2.0, 0),
            Rule::Hour => (2.3, 20),
            Rule::Network => (1.7, 0),
            Rule::Denials => (6.0, 12),
            Rule::Masked => (4.0, 50),
            Rule::Extraction => (4.0, 200),
        };
        Self { answer: Answer::Notify, score, least }
    }
}

impl Config {
    /// What holds for a rule.
    pub fn rule(&self, rule: Rule) -> RuleConfig {
        self.rules.get(&rule).copied().unwrap_or_else(|| RuleConfig::of(rule))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            warm_up: Duration::from_hours(24 * 7),
            cool_down: Duration::from_hours(4),
            hold: Duration::from_hours(24),
            rules: Rule::ALL.into_iter().map(|rule| (rule, RuleConfig::of(rule))).collect(),
        }
    }
}
