//! Many refusals in ten minutes: what policy denies, and models that do not exist.
//!
//! Against the caller's own rate, and half a refusal at least, by the Chernoff bound of a Poisson tail (Mitzenmacher, Upfal: "Probability and
//! Computing", theorem 5.4): n where λ is usual has at most the chance e^(n − λ) (λ/n)^n. The score is its decimal logarithm, without its
//! sign. It needs no warm-up to be told; who probes has often just come.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Finding;
use crate::gateway::audit::anomalies::{RuleConfig, sketch::to_f64};

/// Seconds.
const WINDOW: i64 = 600;
/// Refusals of a window that are kept; more are as bad.
const MOST: usize = 128;
/// The share of the newest hour in the usual rate.
const NEW: f64 = 0.1;
/// The least that is usual in a window.
const LEAST: f64 = 0.5;

/// The refusals of a caller.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::gateway::audit::anomalies) struct Recent {
    /// Those of the window, seconds since 1970.
    at: VecDeque<i64>,
    hour: u32,
    /// Refusals in an active hour, a moving average.
    rate: f64,
}

impl Recent {
    pub(in crate::gateway::audit::anomalies) fn add(&mut self, at: i64) {
        self.at.retain(|before| (at - WINDOW..=at).contains(before));
        if self.at.len() >= MOST {
            self.at.pop_front();
        }
        self.at.push_back(at);
        self.hour = self.hour.saturating_add(1);
    }

    /// The hour is over; one with an alarm is learned as no worse than ten like the usual.
    pub(in crate::gateway::audit::anomalies) fn close(&mut self, alarmed: bool) {
        let seen = f64::from(std::mem::take(&mut self.hour));
        let learned = if alarmed { seen.min(10.0 * self.rate.max(LEAST)) } else { seen };
        self.rate = self.rate * (1.0 - NEW) + learned * NEW;
    }

    pub(in crate::gateway::audit::anomalies) fn forget(&mut self) {
        self.at.clear();
        self.hour = 0;
    }

    pub(in crate::gateway::audit::anomalies) fn judge(&self, rule: RuleConfig) -> Option<Finding> {
        let count = u64::try_from(self.at.len()).unwrap_or(u64::MAX);
        if count < rule.least.min(MOST as u64) {
            return None;
        }
        let (seen, usual) = (to_f64(count), (self.rate / 6.0).max(LEAST));
        let score = (seen * (seen / usual).ln() - seen + usual) / std::f64::consts::LN_10;
        (seen > usual && score >= rule.score).then(|| Finding {
            usual: format!("{:.1} refusals in an hour", self.rate),
            seen: format!(
                "{}{count} refusals in 10 minutes",
                if count >= MOST as u64 { "at least " } else { "" }
            ),
            score,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::audit::anomalies::Rule;

    fn judge(recent: &Recent) -> bool {
        recent.judge(RuleConfig::of(Rule::Denials)).is_some()
    }

    #[test]
    fn a_burst_is_found_and_as_many_over_hours_are_not() {
        let mut burst = Recent::default();
        (0..12).for_each(|second| burst.add(second));
        assert!(judge(&burst));
        let mut slow = Recent::default();
        (0..100).for_each(|n| slow.add(n * 120));
        assert!(!judge(&slow));
    }

    #[test]
    fn a_script_that_is_always_refused_becomes_usual() {
        let mut recent = Recent::default();
        for hour in 0..60 {
            (0..120).for_each(|n| recent.add(hour * 3600 + n * 30));
            recent.close(judge(&recent));
        }
        (0..20).for_each(|n| recent.add(60 * 3600 + n * 30));
        assert!(!judge(&recent), "{recent:?}");
    }

    #[test]
    fn a_flood_and_a_clock_that_runs_backwards_stay_small() {
        let mut recent = Recent::default();
        for n in 0..10_000 {
            recent.add(5_000 - n % 7_000);
        }
        assert!(recent.at.len() <= MOST);
    }
}
