//! More bytes or tokens of answers in an hour than the caller gets; statistics as those of the rate.

use super::{Finding, at_most};
use crate::{
    clock,
    gateway::audit::anomalies::{RuleConfig, profile::Profile},
};

/// Bytes that a token stands for where one least is given for both.
const TOKEN: u64 = 4;

pub(in crate::gateway::audit::anomalies) fn judge(profile: &Profile, rule: RuleConfig) -> Option<Finding> {
    let measures = [(&profile.bytes, 1, "bytes of answers"), (&profile.tokens, TOKEN, "tokens of answers")];
    for (level, weight, of) in measures {
        if level.now.saturating_mul(weight) < rule.least {
            continue;
        }
        let compared = level.compare(profile.slot());
        if compared.score >= rule.score {
            let since = clock::rfc3339(clock::from_unix_millis(profile.hour_began().saturating_mul(1000)));
            return Some(Finding {
                usual: at_most(compared.usual, of),
                seen: format!("{} {of} in the hour from {since}", level.now),
                score: compared.score,
            });
        }
    }
    None
}
