//! What is known of each model: since when it is used, and since when answers of it are masked.

use std::{collections::HashMap, time::Duration};

use serde::{Deserialize, Serialize};

/// Models that are remembered, the last used.
const MOST: usize = 1024;

/// A model; hours since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    first: i64,
    last: i64,
    masked: Option<i64>,
}

/// The models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Models(HashMap<u64, Seen>);

impl Models {
    pub(super) fn note(&mut self, model: u64, at: i64, masked: bool) {
        let hour = at.div_euclid(3600);
        if !self.0.contains_key(&model) && self.0.len() >= MOST {
            let oldest = self.0.iter().min_by_key(|(_, seen)| seen.last).map(|(model, _)| *model);
            oldest.and_then(|oldest| self.0.remove(&oldest));
        }
        let seen = self.0.entry(model).or_insert(Seen { first: hour, last: hour, masked: None });
        seen.last = hour;
        if masked {
            seen.masked.get_or_insert(hour);
        }
    }

    /// Whether the model has been in use for so long.
    pub(super) fn is_warm(&self, model: u64, warm_up: Duration) -> bool {
        self.0.get(&model).is_some_and(|seen| lasts(seen.first, seen.last, warm_up))
    }

    /// Whether answers of it have been masked for so long.
    pub(super) fn masks(&self, model: u64, warm_up: Duration) -> bool {
        self.0
            .get(&model)
            .is_some_and(|seen| seen.masked.is_some_and(|since| lasts(since, seen.last, warm_up)))
    }

    pub(super) fn kept(&self) -> Vec<(u64, Seen)> {
        self.0.iter().map(|(model, seen)| (*model, *seen)).collect()
    }

    pub(super) fn restore(&mut self, kept: Vec<(u64, Seen)>) {
        self.0 = kept.into_iter().take(MOST).collect();
    }
}

fn lasts(since: i64, until: i64, warm_up: Duration) -> bool {
    let seconds = until.saturating_sub(since).saturating_mul(3600);
    seconds >= i64::try_from(warm_up.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: Duration = Duration::from_hours(24 * 7);

    #[test]
    fn a_model_is_warm_after_its_time_and_masks_after_it_began_to() {
        let mut models = Models::default();
        models.note(1, 0, false);
        models.note(1, 7 * 86_400, true);
        assert!(models.is_warm(1, WEEK) && !models.masks(1, WEEK));
        models.note(1, 14 * 86_400, false);
        assert!(models.masks(1, WEEK));
        assert!(!models.is_warm(2, WEEK));
    }

    #[test]
    fn names_without_end_take_no_memory_without_end() {
        let mut models = Models::default();
        (0..10_000).for_each(|model| models.note(model, i64::try_from(model).unwrap() * 3600, false));
        assert_eq!(models.0.len(), MOST);
        assert!(models.0.contains_key(&9_999) && !models.0.contains_key(&0));
    }
}
