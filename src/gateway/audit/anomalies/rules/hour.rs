//! Work at an hour at which the caller does not work.
//!
//! The share of active hours at this hour of the day and the two beside it, on working days or on weekends, with Krichevsky and Trofimov's
//! half a count added to each ("The performance of universal encoding", IEEE Transactions on Information Theory 1981). The score is its
//! decimal logarithm, without its sign. Who works around the clock has no unusual hour.

use super::{Finding, whole};
use crate::gateway::audit::anomalies::{RuleConfig, profile::Profile};

pub(in crate::gateway::audit::anomalies) fn judge(profile: &Profile, rule: RuleConfig) -> Option<Finding> {
    if profile.requests.now < rule.least {
        return None;
    }
    let (near, all) = profile.at_this_hour();
    let score = -((near + 0.5) / (all + 24.0)).log10();
    let (slot, now) = (profile.slot(), profile.requests.now);
    let days = if slot >= 120 { "weekends" } else { "working days" };
    (score >= rule.score).then(|| Finding {
        usual: format!(
            "{} of {} active hours around this one on {days}",
            whole(near.round()),
            whole(all.round())
        ),
        seen: format!("{now} requests between {0:02}:00 and {0:02}:59 UTC", slot % 24),
        score,
    })
}
