//! The first use of a model by a caller who keeps to few.
//!
//! The chance that the next of n exchanges is with a model not seen among the k before is about (k + 1) / (n + 2) at most (Good: "The
//! population frequencies of species and the estimation of population parameters", Biometrika 1953, with Laplace's rule where nothing was
//! new). The score is that chance's decimal logarithm, without its sign: 2 is one in a hundred.

use super::{Finding, whole};
use crate::gateway::audit::anomalies::{RuleConfig, profile::Profile};

/// What a caller's colleagues, those who share a group, do with the model.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::gateway::audit::anomalies) struct Peers {
    pub(in crate::gateway::audit::anomalies) all: usize,
    pub(in crate::gateway::audit::anomalies) users: usize,
}

impl Peers {
    /// With so many colleagues, and so large a share of them, a model is nothing special.
    fn use_it(self) -> bool {
        self.all >= 4 && self.users * 5 >= self.all
    }
}

pub(in crate::gateway::audit::anomalies) fn judge(
    profile: &Profile,
    rule: RuleConfig,
    peers: impl FnOnce() -> Peers,
) -> Option<Finding> {
    let known = profile.models();
    let chance = (f64::from(u32::try_from(known).unwrap_or(u32::MAX)) + 1.0) / (profile.exchanges + 2.0);
    let score = -chance.log10();
    if known == 0 || score < rule.score {
        return None;
    }
    let peers = peers();
    (!peers.use_it()).then(|| Finding {
        usual: format!("{known} models in some {} exchanges", whole(profile.exchanges)),
        seen: format!(
            "the first use of this model; {} of {} callers of the same groups use it",
            peers.users, peers.all
        ),
        score,
    })
}
