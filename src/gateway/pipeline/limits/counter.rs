//! What one limit's holder has used: of a minute, of a day, and at this moment.

use super::{Amounts, Kind, window::Window};

/// Seconds of a day, UTC.
pub(super) const DAY: u64 = 86_400;

/// The counts of a model, a caller or a group.
#[derive(Debug, Default)]
pub(super) struct Counter {
    pub(super) recent: Window,
    /// Days since 1970, UTC.
    pub(super) day: u64,
    pub(super) tokens: u64,
    pub(super) running: u64,
    /// Changed since it was saved.
    pub(super) dirty: bool,
}

/// What has no room, and for how many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full {
    pub(super) kind: Kind,
    pub(super) most: u64,
    pub(super) wait: u64,
}

impl Counter {
    /// The first limit without room, the one with the longest wait.
    pub(super) fn full(&mut self, most: &Amounts, now: u64) -> Option<Full> {
        self.advance(now);
        let tokens = most.tokens_per_day.filter(|most| self.tokens >= *most).map(|most| Full {
            kind: Kind::Tokens,
            most,
            wait: (self.day + 1).saturating_mul(DAY).saturating_sub(now).max(1),
        });
        let requests = most.requests_per_minute.and_then(|most| {
            let wait = self.recent.wait(most, now);
            (wait > 0).then_some(Full { kind: Kind::Requests, most, wait })
        });
        // Nobody knows when an exchange ends.
        let running = most.concurrent.filter(|most| self.running >= *most);
        let running = running.map(|most| Full { kind: Kind::Concurrent, most, wait: 1 });
        tokens.or(requests).or(running)
    }

    /// An exchange begins.
    pub(super) fn begin(&mut self, most: &Amounts, now: u64) {
        self.running += 1;
        if most.requests_per_minute.is_some() {
            self.recent.count(now);
            self.dirty = true;
        }
    }

    /// An exchange has used so many tokens.
    pub(super) fn spend(&mut self, tokens: u64, now: u64) {
        self.advance(now);
        self.tokens = self.tokens.saturating_add(tokens);
        self.dirty = true;
    }

    /// Forgets what is over at this second.
    pub(super) fn advance(&mut self, now: u64) {
        self.recent.advance(now);
        let day = now / DAY;
        // A clock set back a little at midnight gives no second day; one that was years ahead does not lock out.
        if day > self.day || self.day > day + 1 {
            (self.day, self.tokens) = (day, 0);
        }
    }

    /// Whether nothing would be lost with it.
    pub(super) fn is_idle(&self) -> bool {
        self.running == 0 && self.tokens == 0 && self.recent.is_empty() && !self.dirty
    }
}
