//! One file for each rule: what it compares, with which statistics, and whose they are.

pub(super) mod denials;
pub(super) mod extraction;
pub(super) mod hour;
pub(super) mod masked;
pub(super) mod model;
pub(super) mod network;
pub(super) mod rate;
pub(super) mod volume;

use super::level::whole;

/// Something that is as unusual as the rule wants.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    /// What is usual.
    pub(super) usual: String,
    /// What was seen.
    pub(super) seen: String,
    /// How unusual, on the rule's own scale.
    pub(super) score: f64,
}

/// "at most 80 requests": a bound for people to read.
fn at_most(usual: f64, of: &str) -> String {
    format!("at most {} {of} in an hour like this", whole(usual.round()))
}
