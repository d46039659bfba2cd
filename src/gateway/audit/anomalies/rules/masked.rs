//! More masked values in an hour than the caller gets, of models whose answers were masked before; statistics as those of the rate.

use super::{Finding, at_most};
use crate::{
    clock,
    gateway::audit::anomalies::{RuleConfig, profile::Profile},
};

pub(in crate::gateway::audit::anomalies) fn judge(profile: &Profile, rule: RuleConfig) -> Option<Finding> {
    let now = profile.masked.now;
    if now < rule.least {
        return None;
    }
    let compared = profile.masked.compare(profile.slot());
    let since = clock::rfc3339(clock::from_unix_millis(profile.hour_began().saturating_mul(1000)));
    (compared.score >= rule.score).then(|| Finding {
        usual: at_most(compared.usual, "masked values"),
        seen: format!("{now} masked values in the hour from {since}"),
        score: compared.score,
    })
}
