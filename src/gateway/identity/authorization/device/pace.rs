//! So many attempts a minute from one source, and altogether.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const WINDOW: Duration = Duration::from_secs(60);

/// Counts attempts in windows of a minute. What it remembers is bounded by what it allows.
pub(super) struct Pace {
    each: u32,
    all: u32,
    counted: Mutex<Counted>,
}

struct Counted {
    since: SystemTime,
    all: u32,
    each: HashMap<Option<IpAddr>, u32>,
}

impl Pace {
    /// `each` from one source, `all` altogether.
    pub(super) fn new(each: u32, all: u32) -> Self {
        let counted = Counted { since: UNIX_EPOCH, all: 0, each: HashMap::new() };
        Self { each, all, counted: Mutex::new(counted) }
    }

    /// Whether another attempt is within the bounds; nothing is counted.
    pub(super) fn has_room(&self, source: Option<IpAddr>, now: SystemTime) -> bool {
        self.with(now, |counted| self.room(counted, neighbourhood(source)))
    }

    /// Counts an attempt, unless it is beyond the bounds: false then.
    pub(super) fn allow(&self, source: Option<IpAddr>, now: SystemTime) -> bool {
        let source = neighbourhood(source);
        self.with(now, |counted| {
            let room = self.room(counted, source);
            if room {
                counted.all += 1;
                *counted.each.entry(source).or_default() += 1;
            }
            room
        })
    }

    fn room(&self, counted: &Counted, source: Option<IpAddr>) -> bool {
        counted.all < self.all && counted.each.get(&source).is_none_or(|count| *count < self.each)
    }

    fn with<T>(&self, now: SystemTime, look: impl FnOnce(&mut Counted) -> T) -> T {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back begins a window too: otherwise nobody would be let in until it caught up.
        if now.duration_since(counted.since).map_or(true, |age| age >= WINDOW) {
            *counted = Counted { since: now, all: 0, each: HashMap::new() };
        }
        look(&mut counted)
    }
}

/// One IPv6 customer has a whole /64.
fn neighbourhood(source: Option<IpAddr>) -> Option<IpAddr> {
    source.map(|address| match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    fn from(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn one_source_runs_out_before_the_others_and_all_of_them_in_the_end() {
        let pace = Pace::new(2, 5);
        for source in [from("192.0.2.1"), from("2001:db8::1"), None] {
            assert!(pace.has_room(source, at(0)));
        }
        assert!(pace.allow(from("192.0.2.1"), at(0)) && pace.allow(from("192.0.2.1"), at(59)));
        assert!(!pace.allow(from("192.0.2.1"), at(59)) && !pace.has_room(from("192.0.2.1"), at(59)));
        assert!(pace.allow(from("2001:db8::1"), at(59)) && pace.allow(from("2001:db8::ffff"), at(59)));
        assert!(!pace.allow(from("2001:db8::2"), at(59)), "one /64 is one source");
        assert!(pace.allow(None, at(59)));
        assert!(!pace.allow(from("192.0.2.9"), at(59)), "altogether five");
        assert!(pace.allow(from("192.0.2.1"), at(60)), "a minute later");
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let pace = Pace::new(1, 1);
        assert!(pace.allow(None, at(100)) && !pace.allow(None, at(100)));
        assert!(pace.allow(None, at(0)));
    }
}
