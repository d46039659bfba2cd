//! Requests of the last 60 seconds, to the second: no minute has a border at which twice as many would pass.

use std::collections::VecDeque;

/// How long a request counts, seconds.
pub(super) const SPAN: u64 = 60;

/// Requests by the second they came in; at most [`SPAN`] entries, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    seen: VecDeque<(u64, u64)>,
    total: u64,
}

impl Window {
    /// As it was written by [`Self::text`]; what cannot be read is left out.
    pub(super) fn parse(text: &str) -> Self {
        let mut window = Self::default();
        for entry in text.split(',').filter_map(|entry| entry.split_once(':')) {
            let (Ok(second), Ok(count)) = (entry.0.parse(), entry.1.parse::<u64>()) else { continue };
            let in_order = window.seen.back().is_none_or(|(last, _)| *last < second);
            if in_order && window.seen.len() < usize::try_from(SPAN).unwrap_or(usize::MAX) {
                window.seen.push_back((second, count));
                window.total = window.total.saturating_add(count);
            }
        }
        window
    }

    /// `second:count,…`.
    pub(super) fn text(&self) -> String {
        let entries: Vec<String> =
            self.seen.iter().map(|(second, count)| format!("{second}:{count}")).collect();
        entries.join(",")
    }

    /// Forgets what no longer counts at this second.
    pub(super) fn advance(&mut self, now: u64) {
        while let Some((second, count)) = self.seen.front().copied() {
            // A time far ahead was noted by a clock that has been set back since.
            if second.saturating_add(SPAN) > now && second <= now.saturating_add(SPAN) {
                break;
            }
            self.seen.pop_front();
            self.total = self.total.saturating_sub(count);
        }
    }

    /// Seconds until another request has room among `most`; 0 when it has now. After [`Self::advance`].
    pub(super) fn wait(&self, most: u64, now: u64) -> u64 {
        let mut excess = self.total.saturating_add(1).saturating_sub(most);
        if excess == 0 {
            return 0;
        }
        for (second, count) in &self.seen {
            excess = excess.saturating_sub(*count);
            if excess == 0 {
                return second.saturating_add(SPAN).saturating_sub(now).max(1);
            }
        }
        SPAN
    }

    /// A request. After [`Self::advance`].
    pub(super) fn count(&mut self, now: u64) {
        self.total = self.total.saturating_add(1);
        match self.seen.back_mut() {
            // Also when the clock was set back a little: the order must hold.
            Some((second, count)) if *second >= now => *count = count.saturating_add(1),
            _ => self.seen.push_back((now, 1)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, proptest};

    use super::*;

    #[test]
    fn a_minutes_border_gives_nothing_twice() {
        let mut window = Window::default();
        for _ in 0..10 {
            window.advance(59);
            assert_eq!(window.wait(10, 59), 0);
            window.count(59);
        }
        for now in [59, 60, 61, 118] {
            window.advance(now);
            assert_eq!(window.wait(10, now), 119 - now);
        }
        window.advance(119);
        assert_eq!(window.wait(10, 119), 0);
    }

    #[test]
    fn a_clock_set_back_by_years_does_not_lock_out() {
        let mut window = Window::default();
        window.count(1_000_000);
        window.advance(1_000);
        assert_eq!(window.wait(1, 1_000), 0);
    }

    #[test]
    fn a_limit_lowered_meanwhile_waits_for_enough_to_be_over() {
        let mut window = Window::default();
        for now in 0..10 {
            window.count(now);
        }
        assert_eq!(window.wait(3, 10), 7 + SPAN - 10);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_sixty_seconds_have_more_than_the_limit_and_the_wait_is_exact(
            most in 1_u64..20, steps in proptest::collection::vec(0_u64..9, 1..200)
        ) {
            let (mut window, mut now, mut passed) = (Window::default(), 1_000_u64, Vec::new());
            for step in steps {
                now += step;
                window.advance(now);
                let wait = window.wait(most, now);
                let recent = |at: u64| passed.iter().filter(|t: &&u64| **t + SPAN > at).count() as u64;
                assert_eq!(wait == 0, recent(now) < most);
                if wait == 0 {
                    window.count(now);
                    passed.push(now);
                } else {
                    assert!(recent(now + wait) < most && recent(now + wait - 1) >= most, "{wait}");
                }
                assert_eq!(Window::parse(&window.text()), window);
            }
        }
    }
}
