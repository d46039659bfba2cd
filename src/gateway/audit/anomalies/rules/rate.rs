//! More requests in an hour than the caller makes: the hour's count against the caller's hours, robustly, by [`crate::gateway::audit`]'s
//! levels (median and MAD of logarithms: Iglewicz, Hoaglin, "How to detect and handle outliers", 1993).

use super::{Finding, at_most};
use crate::{
    clock,
    gateway::audit::anomalies::{RuleConfig, profile::Profile},
};

pub(in crate::gateway::audit::anomalies) fn judge(profile: &Profile, rule: RuleConfig) -> Option<Finding> {
    let now = profile.requests.now;
    if now < rule.least {
        return None;
    }
    let compared = profile.requests.compare(profile.slot());
    let since = clock::rfc3339(clock::from_unix_millis(profile.hour_began().saturating_mul(1000)));
    (compared.score >= rule.score).then(|| Finding {
        usual: at_most(compared.usual, "requests"),
        seen: format!("{now} requests in the hour from {since}"),
        score: compared.score,
    })
}
