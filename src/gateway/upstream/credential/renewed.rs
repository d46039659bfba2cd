//! A value with an end: had anew before it, by one renewal at a time, and kept in use until it really ends.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use tokio::{sync::watch, time};

use crate::{clock::Clock, id};

/// The longest that one renewal, or one exchange that has nothing else, waits.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it is looked whether a renewal is due without a request.
const TICK: Duration = Duration::from_secs(5);
/// A renewal comes this long before the end, or at three quarters of a shorter life; up to a fifth of that later, at random.
const MARGIN: Duration = Duration::from_mins(5);
/// Longer lives are not believed.
const MAX_LIFE: Duration = Duration::from_hours(24);
/// Between the first failure and the next try; doubled with each, half to all of it, at random.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest of those.
const MAX_REST: Duration = Duration::from_mins(1);
/// How often a refusal of the model's leads to a renewal.
const REFUSED_EVERY: Duration = Duration::from_secs(30);

/// What a renewal brought.
pub(super) struct Fresh<T> {
    pub(super) value: T,
    pub(super) life: Life,
}

/// How long a value can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Until then.
    Until(SystemTime),
    /// Nobody knows: it is looked at again after so long, and used until there is another.
    Unknown(Duration),
}

/// Where values come from. An error says why there is none, without a secret.
#[async_trait]
pub(super) trait Origin: Send + Sync + 'static {
    type Value: Send + Sync + 'static;
    async fn fetch(&self) -> Result<Fresh<Self::Value>, String>;
}

/// The value in use.
pub(super) struct Renewed<O: Origin>(Arc<Inner<O>>);

impl<O: Origin> Clone for Renewed<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<O: Origin> {
    model: String,
    origin: O,
    clock: Clock,
    held: ArcSwapOption<Held<O::Value>>,
    state: Mutex<State>,
    /// Changes with the end of each renewal.
    ended: watch::Sender<u64>,
    kept: AtomicBool,
}

struct Held<T> {
    value: Arc<T>,
    end: Option<SystemTime>,
    renew: SystemTime,
}

#[derive(Default)]
struct State {
    running: bool,
    failures: u32,
    /// No try before that.
    rest: Option<SystemTime>,
    refused: Option<SystemTime>,
    /// Why the last renewal failed.
    error: Option<String>,
}

/// Why a renewal is wished for.
#[derive(Clone, Copy)]
enum Why {
    Missing,
    Due,
    Refused,
}

/// What came of the wish for a renewal.
enum Begun {
    /// One is under way.
    Running,
    /// The last one failed and the next is not due yet.
    Resting(String),
    /// Another one has just brought a value.
    Done,
}

impl<O: Origin> Renewed<O> {
    /// Fetches nothing yet.
    pub(super) fn new(model: &str, origin: O, clock: &Clock) -> Self {
        Self(Arc::new(Inner {
            model: model.to_owned(),
            origin,
            clock: clock.clone(),
            held: ArcSwapOption::empty(),
            state: Mutex::default(),
            ended: watch::Sender::new(0),
            kept: AtomicBool::new(false),
        }))
    }

    /// Holds what `before` holds, until its end.
    pub(super) fn inherit(&self, before: &Self) {
        let refused = before.0.state().refused;
        self.0.state().refused = refused;
        self.0.held.store(before.0.held.load_full());
    }

    /// Renews also when nobody asks, for as long as this is in use.
    pub(super) fn keep(&self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && !self.0.kept.swap(true, Ordering::AcqRel)
        {
            runtime.spawn(keep(Arc::downgrade(&self.0)));
        }
    }

    /// The value. Waits only when there is none that can be used.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn get(&self) -> Result<Arc<O::Value>, String> {
        let now = self.0.clock.now();
        if let Some((value, due)) = self.0.usable(now) {
            if due {
                self.0.begin(now, Why::Due);
            }
            return Ok(value);
        }
        let mut ended = self.0.ended.subscribe();
        match self.0.begin(now, Why::Missing) {
            Begun::Resting(error) => return Err(error),
            Begun::Done => {}
            Begun::Running => {
                // Late or gone: what there is then is looked at below.
                let _ = time::timeout(PATIENCE, ended.changed()).await;
            }
        }
        let now = self.0.clock.now();
        self.0.usable(now).map(|(value, _)| value).ok_or_else(|| {
            let error = self.0.state().error.clone();
            error.unwrap_or_else(|| format!("there was no answer within {} s", PATIENCE.as_secs()))
        })
    }

    /// The model did not take the value: fetches another, at most every half minute.
    pub(super) fn refused(&self) {
        let now = self.0.clock.now();
        {
            let mut state = self.0.state();
            let lately = state.refused.and_then(|at| now.duration_since(at).ok());
            if lately.is_some_and(|ago| ago < REFUSED_EVERY) {
                return;
            }
            state.refused = Some(now);
        }
        self.0.begin(now, Why::Refused);
    }
}

async fn keep<O: Origin>(inner: Weak<Inner<O>>) {
    while let Some(inner) = inner.upgrade() {
        let now = inner.clock.now();
        if inner.usable(now).is_none_or(|(_, due)| due) {
            inner.begin(now, Why::Due);
        }
        drop(inner);
        time::sleep(TICK).await;
    }
}

impl<O: Origin> Inner<O> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value that has not ended, and whether it should be renewed.
    fn usable(&self, now: SystemTime) -> Option<(Arc<O::Value>, bool)> {
        let held = self.held.load_full()?;
        held.end.is_none_or(|end| now < end).then(|| (Arc::clone(&held.value), now >= held.renew))
    }

    /// Starts a renewal, unless one runs, the last failure is too fresh, or another has brought what was missing.
    fn begin(self: &Arc<Self>, now: SystemTime, why: Why) -> Begun {
        let mut state = self.state();
        let done = match (why, self.usable(now)) {
            (Why::Missing, Some(_)) => true,
            (Why::Due, Some((_, due))) => !due,
            _ => false,
        };
        if done {
            return Begun::Done;
        }
        if state.running {
            return Begun::Running;
        }
        if let Some(rest) = state.rest
            && now < rest
            // A clock that was set back does not lengthen the rest.
            && rest.duration_since(now).is_ok_and(|left| left <= MAX_REST)
        {
            return Begun::Resting(state.error.clone().unwrap_or_default());
        }
        state.running = true;
        drop(state);
        let renewal = Renewal { inner: Arc::clone(self), outcome: None };
        tokio::spawn(renewal.run());
        Begun::Running
    }

    fn succeeded(&self, fresh: Fresh<O::Value>) -> Result<(), String> {
        let now = self.clock.now();
        let (end, renew) = match fresh.life {
            Life::Until(end) => {
                let end = end.min(now + MAX_LIFE);
                let left = end.duration_since(now).unwrap_or_default();
                if left.is_zero() {
                    return Err("what came has expired already; check the clocks".to_owned());
                }
                let margin = MARGIN.min(left / 4);
                (Some(end), end - margin.mul_f64(jitter(0.8)))
            }
            Life::Unknown(again) => (None, now + again.mul_f64(jitter(0.8))),
        };
        self.held.store(Some(Arc::new(Held { value: Arc::new(fresh.value), end, renew })));
        Ok(())
    }

    /// One renewal is over.
    fn over(&self, outcome: Result<(), String>) {
        let now = self.clock.now();
        let mut state = self.state();
        state.running = false;
        match outcome {
            Ok(()) => {
                *state = State { refused: state.refused, ..State::default() };
                tracing::debug!(model = self.model, "the model's credential was renewed");
            }
            Err(error) => {
                let rest = FIRST_REST.saturating_mul(1 << state.failures.min(6)).min(MAX_REST);
                state.rest = Some(now + rest.mul_f64(jitter(0.5)));
                state.failures = state.failures.saturating_add(1);
                let consequence = if self.usable(now).is_some() {
                    "the last one stays in use until it ends"
                } else {
                    "exchanges with the model are refused until there is one"
                };
                tracing::warn!(
                    model = self.model,
                    failures = state.failures,
                    error,
                    "the model's credential could not be renewed; {consequence}"
                );
                state.error = Some(error);
            }
        }
        drop(state);
        self.ended.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// A renewal under way. However it ends, the next one can begin.
struct Renewal<O: Origin> {
    inner: Arc<Inner<O>>,
    outcome: Option<Result<(), String>>,
}

impl<O: Origin> Renewal<O> {
    async fn run(mut self) {
        let fetched = time::timeout(PATIENCE, self.inner.origin.fetch()).await;
        self.outcome = Some(match fetched {
            Ok(fetched) => fetched.and_then(|fresh| self.inner.succeeded(fresh)),
            Err(_) => Err(format!("there was no answer within {} s", PATIENCE.as_secs())),
        });
    }
}

impl<O: Origin> Drop for Renewal<O> {
    fn drop(&mut self) {
        let outcome = self.outcome.take();
        self.inner.over(outcome.unwrap_or_else(|| Err("the renewal was given up".to_owned())));
    }
}

/// A share between `least` and one, so that gateways do not all come at once.
fn jitter(least: f64) -> f64 {
    let [byte] = id::random::<1>();
    least + (1.0 - least) * f64::from(byte) / 255.0
}
