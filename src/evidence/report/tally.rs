//! Counting by name with bounded memory: names are foreign text, and there may be any number of them.

use std::collections::BTreeMap;

use super::{Count, Listed, Share};

/// The longest name, in characters; what is longer is cut.
const MAX_NAME: usize = 200;
/// What stands for names beyond the bound.
pub(super) const OTHERS: &str = "others";

/// Foreign text, cut to a length in characters.
pub(super) fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some((at, _)) => text.get(..at).unwrap_or_default().to_owned() + "…",
    }
}

/// A name as it is kept.
pub(super) fn name(text: &str) -> String {
    cut(text, MAX_NAME)
}

/// How often each name came.
#[derive(Debug)]
pub(super) struct Tally {
    most: usize,
    counts: BTreeMap<String, u64>,
    others: u64,
}

impl Tally {
    /// A tally that tells so many names apart.
    pub(super) fn of(most: usize) -> Self {
        Self { most, counts: BTreeMap::new(), others: 0 }
    }

    pub(super) fn add(&mut self, what: &str, count: u64) {
        if let Some(known) = self.counts.get_mut(what) {
            *known = known.saturating_add(count);
            return;
        }
        let what = name(what);
        if self.counts.len() < self.most || self.counts.contains_key(&what) {
            let known = self.counts.entry(what).or_default();
            *known = known.saturating_add(count);
        } else {
            self.others = self.others.saturating_add(count);
        }
    }

    /// In the order of the names.
    pub(super) fn by_name(self) -> Vec<Count> {
        let others = self.others;
        let named = self.counts.into_iter().map(|(name, count)| Count { name, count });
        let others = (others > 0).then(|| Count { name: OTHERS.to_owned(), count: others });
        named.chain(others).collect()
    }

    /// The most frequent first, those without a name of their own last.
    pub(super) fn by_count(self) -> Vec<Count> {
        let mut counts = self.by_name();
        counts.sort_by(|a, b| (a.name == OTHERS, b.count).cmp(&(b.name == OTHERS, a.count)));
        counts
    }

    /// As [`Self::by_count`], of which at most so many are shown.
    pub(super) fn listed(self, most: usize) -> Listed<Count> {
        let mut shown = self.by_count();
        let total = shown.len() as u64;
        shown.truncate(most);
        Listed { total, shown }
    }
}

/// Shares of a whole.
pub(super) fn shares(tally: Tally, whole: u64, unencrypted: impl Fn(&str) -> bool) -> Vec<Share> {
    let share = |Count { name, count }| Share {
        percent: percent(count, whole),
        unencrypted: unencrypted(&name),
        name,
        exchanges: count,
    };
    tally.by_count().into_iter().map(share).collect()
}

/// A part of a whole with two digits behind the point, rounded down, so that all but one of a million is not called all.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    let hundredths = u128::from(part) * 10_000 / u128::from(whole.max(1));
    f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0
}

/// The first of many things, and how many there are.
#[derive(Debug)]
pub(super) struct First<T> {
    most: usize,
    listed: Listed<T>,
}

impl<T> First<T> {
    /// Keeps at most so many.
    pub(super) fn of(most: usize) -> Self {
        Self { most, listed: Listed::default() }
    }

    pub(super) fn push(&mut self, make: impl FnOnce() -> T) {
        self.listed.total += 1;
        if self.listed.shown.len() < self.most {
            self.listed.shown.push(make());
        }
    }

    pub(super) fn listed(self) -> Listed<T> {
        self.listed
    }
}
