//! Quantiles of counts with a bounded relative error, in a few hundred bytes.
//!
//! The buckets are those of DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
//! guarantees", VLDB 2019): each reaches [`GROWTH`] times as far as the one before. So a quantile is off by an eighth at most, and one
//! wild value is one count, however wild. Old counts fade by halving.

use serde::{Deserialize, Serialize};

const GROWTH: f64 = 1.25;
/// Enough for every `u64`.
const BUCKETS: usize = 201;
/// Counts are halved when there are so many: some ten working weeks of hours.
const MOST: u32 = 400;

/// Counts of values by their size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sketch {
    /// From the smallest bucket to the largest that has any.
    counts: Vec<u16>,
    total: u32,
}

impl Sketch {
    pub(super) fn add(&mut self, value: u64) {
        let at = bucket(value);
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(at) {
            *count = count.saturating_add(1);
            self.total = self.total.saturating_add(1);
        }
        if self.total >= MOST {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().map(|count| u32::from(*count)).sum();
        }
    }

    /// The value below which this share of them lies; 0 when there is none.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let wanted = share.clamp(0.0, 1.0) * f64::from(self.total);
        let mut below = 0.0;
        for (at, count) in self.counts.iter().enumerate() {
            below += f64::from(*count);
            if *count > 0 && below >= wanted {
                return middle(at);
            }
        }
        0.0
    }

    /// The share of values between these two.
    pub(super) fn share(&self, least: f64, most: f64) -> f64 {
        let inside = |(at, count): (usize, &u16)| {
            if (least..=most).contains(&middle(at)) { u32::from(*count) } else { 0 }
        };
        let inside: u32 = self.counts.iter().enumerate().map(inside).sum();
        f64::from(inside) / f64::from(self.total.max(1))
    }

    /// The median absolute deviation of the values' logarithms from that of their median, times 1.4826: what the standard deviation is
    /// where they are normal (Rousseeuw, Croux: "Alternatives to the median absolute deviation", JASA 1993).
    pub(super) fn spread(&self) -> f64 {
        let center = self.quantile(0.5).ln_1p();
        let mut away: Vec<(f64, u32)> = self
            .counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(at, count)| ((middle(at).ln_1p() - center).abs(), u32::from(*count)))
            .collect();
        away.sort_by(|a, b| a.0.total_cmp(&b.0));
        let half = self.total.div_ceil(2);
        let mut below = 0;
        for (distance, count) in away {
            below += count;
            if below >= half {
                return 1.4826 * distance;
            }
        }
        0.0
    }
}

/// 0 is the first bucket; the n-th after it begins at `GROWTH`^(n−1).
fn bucket(value: u64) -> usize {
    (0..BUCKETS - 1).take_while(|at| starts(*at) <= to_f64(value)).count()
}

/// Where the bucket after the `at`-th begins.
fn starts(at: usize) -> f64 {
    GROWTH.powi(i32::try_from(at).unwrap_or(i32::MAX))
}

fn middle(at: usize) -> f64 {
    match at.checked_sub(1) {
        None => 0.0,
        Some(0) => 1.0,
        Some(before) => starts(before) * 2.0 * GROWTH / (1.0 + GROWTH),
    }
}

/// A count as a real number; above 2^53 the last digits do not matter here.
pub(super) fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_off_by_an_eighth_at_most() {
        let mut sketch = Sketch::default();
        (1..=300).for_each(|value| sketch.add(value));
        for share in [0.1, 0.5, 0.9, 1.0] {
            let (found, exact) = (sketch.quantile(share), 300.0 * share);
            assert!((found / exact - 1.0).abs() < 0.126, "{share}: {found} for {exact}");
        }
    }

    #[test]
    fn a_share_is_that_of_the_values_between() {
        let mut sketch = Sketch::default();
        (1..=100).for_each(|value| sketch.add(value));
        assert!((sketch.share(25.0, 75.0) - 0.5).abs() < 0.1, "{}", sketch.share(25.0, 75.0));
        assert_eq!(sketch.share(1_000.0, 2_000.0), 0.0);
    }

    #[test]
    fn one_wild_value_moves_nothing() {
        let mut sketch = Sketch::default();
        (0..100).for_each(|n| sketch.add(20 + n % 5));
        let (before, spread) = (sketch.quantile(0.9), sketch.spread());
        sketch.add(u64::MAX);
        assert_eq!((sketch.quantile(0.9), sketch.spread()), (before, spread));
        assert!((20.0..=27.0).contains(&before), "{before}");
    }

    #[test]
    fn nothing_and_zeros_are_zero() {
        let mut sketch = Sketch::default();
        assert_eq!((sketch.quantile(0.5), sketch.spread()), (0.0, 0.0));
        sketch.add(0);
        assert_eq!((sketch.quantile(0.5), sketch.spread()), (0.0, 0.0));
    }

    #[test]
    fn it_stays_small_and_forgets() {
        let mut sketch = Sketch::default();
        (0..10_000).for_each(|_| sketch.add(u64::MAX));
        (0..3_000).for_each(|_| sketch.add(3));
        assert!(sketch.counts.len() <= BUCKETS && sketch.total < MOST);
        assert!(sketch.quantile(0.99) < 5.0, "{}", sketch.quantile(0.99));
    }
}
