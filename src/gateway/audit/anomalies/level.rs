//! One measure of a caller by the hour: what this hour has of it, and what is usual at this hour of the week.
//!
//! Usual is the larger of two: what the caller's own hours reach (nine in ten of them stay below; at hours at which the caller has not been
//! seen, one in two), and the most seen at this hour of the week or the ones beside it in weeks before, fading by a tenth of its logarithm
//! each week. The score is how many robust standard deviations of the logarithm the hour lies above it.

use serde::{Deserialize, Serialize};

use super::sketch::{Sketch, to_f64};

/// Hours of a week.
pub(super) const WEEK: usize = 168;
/// A logarithm in thousandths fits into 16 bits, whatever the count.
const FINE: f64 = 1000.0;
/// Between these the spread is believed: a job that does the same each hour still may do a third more, and who is all over the place must
/// not be let do anything.
const SPREADS: (f64, f64) = (0.35, 0.6);

/// A measure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Level {
    /// Of the hour under way.
    pub(super) now: u64,
    /// The most in recent weeks, by hour of the week; empty until there is any.
    weeks: Vec<u16>,
    /// Of the hours with any exchange.
    hours: Sketch,
}

/// How an hour compares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compared {
    /// At most this is usual.
    pub(super) usual: f64,
    /// Robust standard deviations above it.
    pub(super) score: f64,
}

impl Level {
    pub(super) fn add(&mut self, more: u64) {
        self.now = self.now.saturating_add(more);
    }

    /// How the hour under way compares, at this hour of the week.
    pub(super) fn compare(&self, slot: usize) -> Compared {
        let envelope = [WEEK - 1, 0, 1]
            .into_iter()
            .filter_map(|off| self.weeks.get((slot + off) % WEEK))
            .max()
            .map_or(0.0, |log| f64::from(*log) / FINE);
        let reach = self.hours.quantile(if envelope > 0.0 { 0.9 } else { 0.5 }).ln_1p();
        let usual = envelope.max(reach);
        let spread = self.hours.spread().clamp(SPREADS.0, SPREADS.1);
        Compared { usual: usual.exp_m1(), score: (to_f64(self.now).ln_1p() - usual) / spread }
    }

    /// The hour is over: it is learned. One that was an alarm counts as little more than what is usual (Huber's way with outliers), so that
    /// an attack teaches next to nothing, and what goes on for days becomes usual.
    pub(super) fn close(&mut self, slot: usize, alarmed: bool) {
        let compared = self.compare(slot);
        let seen = std::mem::take(&mut self.now);
        let spread = self.hours.spread().clamp(SPREADS.0, SPREADS.1);
        let bound = whole((compared.usual.ln_1p() + spread / 2.0).exp_m1());
        let learned = if alarmed { seen.min(bound) } else { seen };
        self.hours.add(learned);
        if learned > 0 && self.weeks.is_empty() {
            self.weeks.resize(WEEK, 0);
        }
        if let Some(most) = self.weeks.get_mut(slot % WEEK) {
            *most = (*most).max(thousandths(to_f64(learned).ln_1p()));
        }
    }

    /// A week of the caller's has passed.
    pub(super) fn fade(&mut self) {
        self.weeks.iter_mut().for_each(|log| *log -= *log / 10);
    }
}

/// The logarithm of a `u64` is at most 45, and never negative.
fn thousandths(log: f64) -> u16 {
    (log * FINE).clamp(0.0, f64::from(u16::MAX)) as u16
}

/// The whole number below; as much as fits.
pub(super) fn whole(value: f64) -> u64 {
    value.clamp(0.0, 9e18) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four weeks of 20 to 29 each working hour.
    fn office() -> Level {
        let mut level = Level::default();
        for week in 0..4_usize {
            for slot in (0..120).filter(|slot| (9..17).contains(&(slot % 24))) {
                level.add(20 + (slot as u64 * 7 + week as u64) % 10);
                level.close(slot, false);
            }
            level.fade();
        }
        level
    }

    fn score(level: &Level, slot: usize, now: u64) -> f64 {
        Level { now, ..level.clone() }.compare(slot).score
    }

    #[test]
    fn a_busy_hour_is_no_alarm_and_ten_times_as_much_is() {
        let level = office();
        assert!(score(&level, 34, 60) < 4.0);
        assert!(score(&level, 34, 300) > 4.0);
    }

    #[test]
    fn a_weekly_peak_is_usual_at_its_own_hour_alone() {
        let mut level = office();
        level.add(5_000);
        level.close(100, false);
        level.fade();
        for near in [99, 100, 101] {
            assert!(score(&level, near, 5_000) < 4.0, "{near}");
        }
        assert!(score(&level, 110, 5_000) > 4.0);
    }

    #[test]
    fn an_alarm_teaches_no_more_than_its_bound() {
        let (mut taught, mut robust) = (office(), office());
        for level in [&mut taught, &mut robust] {
            level.add(1_000_000);
        }
        taught.close(34, false);
        robust.close(34, true);
        assert!(score(&taught, 34, 1_000_000) < 1.0);
        assert!(score(&robust, 34, 1_000_000) > 4.0);
    }

    #[test]
    fn gigantic_counts_are_counts() {
        let mut level = office();
        level.add(u64::MAX);
        level.add(u64::MAX);
        assert!(level.compare(3).score.is_finite());
        level.close(3, true);
        level.add(u64::MAX);
        level.close(3, false);
        assert!(level.compare(3).usual.is_finite());
    }
}
