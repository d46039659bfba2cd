//! A source network (/24 of IPv4, /48 of IPv6) that the caller has not come from.
//!
//! As with models, by Good's and Laplace's estimate, over active hours: who was m times somewhere new in h hours is so again in one of
//! (h + 2) / (m + 1). The score is that number's decimal logarithm.

use super::{Finding, whole};
use crate::gateway::audit::anomalies::{RuleConfig, exchange::Prefix, profile::Profile};

/// Networks that are named.
const NAMED: usize = 3;

pub(in crate::gateway::audit::anomalies) fn judge(
    profile: &Profile,
    rule: RuleConfig,
    network: Prefix,
) -> Option<Finding> {
    let known = profile.networks();
    let score = ((profile.hours + 2.0) / (profile.moves + 1.0)).log10();
    if known.is_empty() || score < rule.score {
        return None;
    }
    let named: Vec<String> = known.iter().rev().take(NAMED).map(ToString::to_string).collect();
    let more = known.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(Finding {
        usual: format!("{}{more}, in some {} active hours", named.join(", "), whole(profile.hours)),
        seen: format!("{network}, for the first time"),
        score,
    })
}
