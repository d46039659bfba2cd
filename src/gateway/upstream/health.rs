//! Whether a server is worth an exchange: its failures in a row, and the circuit that opens after them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use crate::clock::Clock;

/// When a server rests, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// So many failures in a row open the circuit. Default 5.
    pub failures: u32,
    /// How long it stays open the first time; twice as long each time after that. Default 1 s.
    pub pause: Duration,
    /// The longest it stays open. Default 30 s.
    pub longest_pause: Duration,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { failures: 5, pause: Duration::from_secs(1), longest_pause: Duration::from_secs(30) }
    }
}

/// The state of a server's circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// Exchanges go there.
    Closed,
    /// One exchange finds out whether others may.
    HalfOpen,
    /// None goes there until its pause is over.
    Open,
}

/// One server's health, as its exchanges show it.
pub(super) struct Health {
    config: HealthConfig,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    standing: Standing,
    /// In a row.
    failures: u32,
    /// How long the circuit stays open the next time.
    pause: Duration,
    /// Since the start.
    failed: u64,
}

#[derive(Clone, Copy)]
enum Standing {
    Closed,
    Probing,
    Open { since: SystemTime, pause: Duration },
}

impl Standing {
    /// What is left of the pause; `None` when it is over. A clock that was set back ends it too: no pause outlives its length.
    fn left(self, now: SystemTime) -> Option<Duration> {
        let Self::Open { since, pause } = self else { return None };
        pause.checked_sub(now.duration_since(since).ok()?).filter(|left| !left.is_zero())
    }
}

impl Health {
    pub(super) fn new(config: HealthConfig, clock: Clock) -> Arc<Self> {
        let state = State { standing: Standing::Closed, failures: 0, pause: config.pause, failed: 0 };
        Arc::new(Self { config, clock, state: Mutex::new(state) })
    }

    /// Lets an exchange at the server, if it may go there: while the circuit is closed every one, after its pause a single one.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Trial> {
        let now = self.clock.now();
        let mut state = self.lock();
        let probe = match state.standing {
            Standing::Closed => false,
            Standing::Probing => return None,
            open @ Standing::Open { .. } if open.left(now).is_some() => return None,
            Standing::Open { .. } => true,
        };
        if probe {
            state.standing = Standing::Probing;
        }
        Some(Trial { health: Arc::clone(self), probe })
    }

    /// How long until the next exchange may try. Zero while one is trying, or when none needs to wait.
    pub(super) fn wait(&self) -> Duration {
        let now = self.clock.now();
        self.lock().standing.left(now).unwrap_or_default()
    }

    pub(super) fn circuit(&self) -> Circuit {
        match self.lock().standing {
            Standing::Closed => Circuit::Closed,
            Standing::Probing => Circuit::HalfOpen,
            Standing::Open { .. } => Circuit::Open,
        }
    }

    /// Failures since the start.
    pub(super) fn failed(&self) -> u64 {
        self.lock().failed
    }

    /// A poisoned lock guards plain values, which are whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One exchange at the server. Dropped without a verdict it says nothing of the server, and the next may probe.
pub(super) struct Trial {
    health: Arc<Health>,
    /// The circuit is half-open, and this is the exchange that decides.
    probe: bool,
}

impl Trial {
    /// The server took the connection. Others may follow a probe from here on: a model can think for minutes before it answers. One
    /// more failure opens the circuit again, for longer.
    pub(super) fn reached(&mut self) {
        if std::mem::take(&mut self.probe) {
            let mut state = self.health.lock();
            state.standing = Standing::Closed;
            state.failures = self.health.config.failures.saturating_sub(1);
        }
    }

    /// The server answered.
    pub(super) fn well(mut self) {
        self.probe = false;
        let mut state = self.health.lock();
        state.standing = Standing::Closed;
        state.failures = 0;
        state.pause = self.health.config.pause;
    }

    /// The server could not be reached, was not trusted, fell silent, or ended the connection.
    pub(super) fn failed(mut self) {
        let probe = std::mem::take(&mut self.probe);
        let config = self.health.config;
        let now = self.health.clock.now();
        let mut state = self.health.lock();
        state.failed += 1;
        state.failures = state.failures.saturating_add(1);
        let opens = match state.standing {
            Standing::Closed => state.failures >= config.failures,
            // An exchange from before it opened says nothing new.
            Standing::Probing | Standing::Open { .. } => probe,
        };
        if opens {
            state.standing = Standing::Open { since: now, pause: state.pause };
            state.pause = state.pause.saturating_mul(2).min(config.longest_pause);
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if self.probe {
            let since = self.health.clock.now();
            let mut state = self.health.lock();
            // An exchange from before it opened may have been answered in the meantime.
            if matches!(state.standing, Standing::Probing) {
                state.standing = Standing::Open { since, pause: Duration::ZERO };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Hand;

    fn health() -> (Arc<Health>, Hand) {
        let (clock, hand) = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
        (Health::new(HealthConfig { failures: 3, ..HealthConfig::default() }, clock), hand)
    }

    fn fail(health: &Arc<Health>) {
        health.admit().unwrap().failed();
    }

    #[test]
    fn failures_in_a_row_open_the_circuit_and_an_answer_between_them_does_not() {
        let (health, _hand) = health();
        for _ in 0..5 {
            fail(&health);
            fail(&health);
            health.admit().unwrap().well();
        }
        assert_eq!((health.circuit(), health.failed()), (Circuit::Closed, 10));
        for _ in 0..3 {
            fail(&health);
        }
        assert_eq!(health.circuit(), Circuit::Open);
        assert!(health.admit().is_none());
        assert_eq!(health.wait(), Duration::from_secs(1));
    }

    #[test]
    fn after_the_pause_one_exchange_probes_and_the_others_wait_for_it() {
        let (health, hand) = health();
        (0..3).for_each(|_| fail(&health));
        hand.advance(Duration::from_millis(999));
        assert!(health.admit().is_none());
        hand.advance(Duration::from_millis(1));
        let mut probe = health.admit().unwrap();
        assert_eq!(health.circuit(), Circuit::HalfOpen);
        assert!(health.admit().is_none(), "one at a time");
        // A connection is enough for the others; an answer makes it well.
        probe.reached();
        let other = health.admit().unwrap();
        probe.well();
        other.failed();
        assert_eq!(health.circuit(), Circuit::Closed);
    }

    #[test]
    fn each_failed_probe_doubles_the_pause_up_to_the_longest() {
        let (health, hand) = health();
        (0..3).for_each(|_| fail(&health));
        for seconds in [1, 2, 4, 8, 16, 30, 30, 30] {
            assert_eq!(health.wait(), Duration::from_secs(seconds));
            hand.advance(Duration::from_secs(seconds));
            fail(&health);
        }
        hand.advance(Duration::from_secs(30));
        let mut probe = health.admit().unwrap();
        probe.reached();
        probe.failed();
        assert_eq!(health.wait(), Duration::from_secs(30), "a connection alone forgets nothing");
        hand.advance(Duration::from_secs(30));
        health.admit().unwrap().well();
        (0..3).for_each(|_| fail(&health));
        assert_eq!(health.wait(), Duration::from_secs(1), "an answer forgets everything");
    }

    #[test]
    fn a_probe_that_was_given_up_leaves_the_next_one_to_find_out() {
        let (health, hand) = health();
        (0..3).for_each(|_| fail(&health));
        hand.advance(Duration::from_secs(1));
        drop(health.admit().unwrap());
        assert!(health.admit().is_some());
    }

    #[test]
    fn a_probe_that_was_given_up_does_not_open_what_an_answer_has_closed() {
        let (health, hand) = health();
        let slow = health.admit().unwrap();
        (0..3).for_each(|_| fail(&health));
        hand.advance(Duration::from_secs(1));
        let probe = health.admit().unwrap();
        slow.well();
        drop(probe);
        assert_eq!(health.circuit(), Circuit::Closed);
    }

    #[test]
    fn exchanges_from_before_it_opened_do_not_lengthen_the_pause() {
        let (health, _hand) = health();
        let crowd: Vec<Trial> = (0..100).map(|_| health.admit().unwrap()).collect();
        crowd.into_iter().for_each(Trial::failed);
        assert_eq!((health.wait(), health.failed()), (Duration::from_secs(1), 100));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_waiting() {
        let standing = Standing::Open {
            since: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
            pause: Duration::from_secs(30),
        };
        assert_eq!(standing.left(SystemTime::UNIX_EPOCH), None);
    }
}
