//! Growing pauses between attempts, each a little different: receivers that come back are not met by every gateway at once.

use std::time::Duration;

use crate::id;

/// How pauses grow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The pause after the first failure.
    pub(super) first: Duration,
    /// The longest.
    pub(super) longest: Duration,
}

impl Pace {
    /// The pause after so many failures in a row: twice as long each time, of that a half at least and by chance up to the whole.
    pub(super) fn pause(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1);
        let whole = self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.longest);
        let half = whole / 2;
        half + half.mul_f64(f64::from(u16::from_le_bytes(id::random())) / f64::from(u16::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ() {
        let pace = Pace { first: Duration::from_secs(1), longest: Duration::from_mins(5) };
        for (failures, whole) in [(0, 1), (1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (u32::MAX, 300)] {
            let whole = Duration::from_secs(whole);
            for _ in 0..100 {
                let pause = pace.pause(failures);
                assert!(pause >= whole / 2 && pause <= whole, "{failures}: {pause:?}");
            }
        }
        let some: std::collections::BTreeSet<_> = (0..20).map(|_| pace.pause(10)).collect();
        assert!(some.len() > 10);
    }
}
