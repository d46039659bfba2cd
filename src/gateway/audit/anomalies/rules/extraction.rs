//! Many distinct inputs, long answers, an even pace: a model or its data taken out piece by piece.
//!
//! A run is a caller's exchanges with one model without a longer pause. Its distinct inputs are estimated by adaptive sampling (Flajolet: "On
//! adaptive sampling", Computing 1990). Its pace is even when most gaps lie within a factor of two of their median: of a program nearly all
//! do, of chance (exponential gaps, by which people are bursty still: Goh, Barabási, "Burstiness and memory in complex systems", EPL 2008)
//! less than half; a share of a median is not moved by what else the caller does. The score is how many times longer the run is than the
//! longest of the same shape that the caller usually makes; a quarter of the least, where there is none.

use serde::{Deserialize, Serialize};

use super::{Finding, whole};
use crate::gateway::audit::anomalies::{
    RuleConfig,
    exchange::Exchange,
    sketch::{Sketch, to_f64},
};

/// A longer silence ends a run, seconds.
const PAUSE: i64 = 15 * 60;
/// Inputs that are sampled: the estimate is off by some 15 %.
const SAMPLED: usize = 64;
/// The share of inputs that must be distinct.
const DISTINCT: f64 = 0.7;
/// The share of gaps within a factor of two of their median from which on a pace is even.
const EVEN: f64 = 0.7;
/// How long answers are on average, in bytes.
const LONG: f64 = 1024.0;
/// From here on a run of the shape is one to be known.
const SHORTEST: u64 = 20;
/// A fading that leaves the usual after some weeks.
const FADE: f64 = 0.9;

/// The run under way, and what runs are usual.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::gateway::audit::anomalies) struct Run {
    model: u64,
    /// Seconds since 1970.
    last: i64,
    count: u64,
    bytes: u64,
    /// Between the exchanges, seconds.
    gaps: Sketch,
    /// Hashes of inputs whose last `level` bits are zero.
    sample: Vec<u64>,
    level: u32,
    /// The longest of the shape, fading.
    usual: f64,
    alarmed: bool,
}

impl Run {
    /// An exchange more.
    pub(in crate::gateway::audit::anomalies) fn add(&mut self, exchange: &Exchange) {
        let gap = exchange.at.saturating_sub(self.last);
        if !(-PAUSE..=PAUSE).contains(&gap) {
            self.end();
        } else if exchange.model != self.model && self.count > 0 {
            // What somebody does beside it is no end of a run, once it is one.
            if self.count >= SHORTEST {
                return;
            }
            self.end();
        }
        if self.count > 0 {
            self.gaps.add(gap.unsigned_abs());
        }
        (self.model, self.last) = (exchange.model, exchange.at);
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(exchange.bytes);
        if let Some(input) = exchange.input {
            self.sample(input);
        }
    }

    /// What runs are usual fades with a week of the caller's.
    pub(in crate::gateway::audit::anomalies) fn fade(&mut self) {
        self.usual *= FADE;
    }

    /// The run under way is dropped.
    pub(in crate::gateway::audit::anomalies) fn forget(&mut self) {
        *self = Self { usual: self.usual, ..Self::default() };
    }

    pub(in crate::gateway::audit::anomalies) fn judge(&mut self, rule: RuleConfig) -> Option<Finding> {
        if self.count < rule.least.max(SHORTEST) || !self.has_the_shape() {
            return None;
        }
        let usual = self.usual.max(to_f64(rule.least) / 4.0).max(1.0);
        let score = to_f64(self.count) / usual;
        if score < rule.score {
            return None;
        }
        self.alarmed = true;
        let distinct = self.distinct().min(to_f64(self.count));
        Some(Finding {
            usual: format!("runs of at most {} requests of this shape", whole(self.usual.round())),
            seen: format!(
                "a run of {} requests, some {} of them distinct, {} bytes each on average, one in {} s, evenly",
                self.count,
                whole(distinct),
                self.bytes / self.count.max(1),
                whole(self.gaps.quantile(0.5).round()),
            ),
            score,
        })
    }

    fn end(&mut self) {
        if self.count >= SHORTEST && self.has_the_shape() {
            let most = if self.alarmed { self.usual.max(to_f64(SHORTEST)) * 3.0 } else { f64::INFINITY };
            self.usual = self.usual.max(to_f64(self.count).min(most));
        }
        self.forget();
    }

    fn has_the_shape(&self) -> bool {
        let count = to_f64(self.count);
        let median = self.gaps.quantile(0.5);
        let even = median > 0.0 && self.gaps.share(median / 2.0, median * 2.0) >= EVEN;
        even && to_f64(self.bytes) / count >= LONG && self.distinct() >= DISTINCT * count
    }

    fn sample(&mut self, input: u64) {
        if input.trailing_zeros() < self.level || self.sample.contains(&input) {
            return;
        }
        self.sample.push(input);
        while self.sample.len() > SAMPLED && self.level < 64 {
            self.level += 1;
            let level = self.level;
            self.sample.retain(|input| input.trailing_zeros() >= level);
        }
        self.sample.truncate(SAMPLED);
    }

    fn distinct(&self) -> f64 {
        to_f64(u64::try_from(self.sample.len()).unwrap_or(u64::MAX))
            * 2_f64.powi(i32::try_from(self.level).unwrap_or(64))
    }
}
