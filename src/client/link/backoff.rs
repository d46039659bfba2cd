//! How long to wait before the next attempt: exponential with full jitter, so that a thousand laptops do not
//! knock together when a gateway comes back.

use std::time::Duration;

use crate::id;

const BASE: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(10);

/// Counts attempts that failed.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failed: u32,
}

impl Backoff {
    /// The next wait, anywhere between nothing and the attempt's ceiling.
    pub(super) fn next(&mut self) -> Duration {
        let ceiling = ceiling(self.failed);
        self.failed = self.failed.saturating_add(1);
        let share = u32::from_ne_bytes(id::random());
        ceiling.mul_f64(f64::from(share) / f64::from(u32::MAX))
    }

    /// Attempts that failed so far.
    pub(super) fn failed(&self) -> u32 {
        self.failed
    }
}

fn ceiling(failed: u32) -> Duration {
    BASE.saturating_mul(2_u32.saturating_pow(failed)).min(CAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_100_ms_to_10_s_and_stay_there() {
        let ceilings: Vec<_> = [0, 1, 6, 7, 40, u32::MAX].map(ceiling).into();
        let wanted = [100, 200, 6_400, 10_000, 10_000, 10_000].map(Duration::from_millis);
        assert_eq!(ceilings, wanted);
    }

    #[test]
    fn every_wait_is_within_its_bounds_and_they_differ() {
        let mut waits = std::collections::HashSet::new();
        for _ in 0..100 {
            let mut backoff = Backoff::default();
            for failed in 0..20 {
                let wait = backoff.next();
                assert!(wait <= ceiling(failed));
                waits.insert(wait);
            }
        }
        assert!(waits.len() > 1_900, "jitter is spread: {}", waits.len());
    }
}
