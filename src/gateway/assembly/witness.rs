//! What identity and the gateway itself tell the audit log.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use crate::{
    clock::{Clock, rfc3339},
    evidence::event::{self, Event, SCHEMA},
    gateway::{
        audit::Scribe,
        identity::{Caller, Happening, Witness},
    },
    id,
};

/// The most session ids named in one event.
const MOST_SESSIONS: usize = 64;

/// Failed logins told one by one in [`WINDOW`]; more are counted. Anybody can fail to log in, and nobody shall fill the log by it.
const MOST_FAILURES: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);

/// Writes identity's happenings to the audit log.
pub(super) fn witness(scribe: Scribe, clock: Clock) -> Witness {
    let failures = Mutex::new(Failures::default());
    Arc::new(move |happening| {
        let failed = matches!(happening, Happening::LoginFailed { .. });
        let now = clock.now();
        let (more, tell) = failures.lock().unwrap_or_else(PoisonError::into_inner).note(failed, now);
        if let Some(more) = more {
            let detail = format!("{more} more logins failed in a minute before this");
            note(&scribe, Event { detail: Some(detail), ..blank(&clock, "login_failed") });
        }
        if tell {
            note(&scribe, event_of(happening, &clock));
        }
    })
}

/// Failed logins since a window began.
#[derive(Default)]
struct Failures {
    began: Option<SystemTime>,
    told: u32,
    more: u64,
}

impl Failures {
    /// Takes note of a happening: the failures only counted in the window that ends with it, and whether it is told itself.
    fn note(&mut self, failed: bool, now: SystemTime) -> (Option<u64>, bool) {
        // A clock that was set back ends the window too.
        let over =
            self.began.is_some_and(|began| now.duration_since(began).map_or(true, |age| age >= WINDOW));
        let more = over.then(|| std::mem::take(self).more).filter(|more| *more > 0);
        if !failed {
            return (more, true);
        }
        self.began.get_or_insert(now);
        if self.told < MOST_FAILURES {
            self.told += 1;
            return (more, true);
        }
        self.more += 1;
        (more, false)
    }
}

/// Writes an event of the gateway itself: `gateway_start`, `gateway_stop`, `gateway_reload`.
pub(super) fn tell(scribe: &Scribe, clock: &Clock, kind: &str, detail: impl Into<String>) {
    note(scribe, Event { detail: Some(detail.into()), ..blank(clock, kind) });
}

fn note(scribe: &Scribe, event: Event) {
    let kind = event.kind.clone();
    if let Err(error) = scribe.note(event) {
        tracing::error!(%error, kind, "an event could not be written to the audit log");
    }
}

fn event_of(happening: Happening, clock: &Clock) -> Event {
    match happening {
        Happening::Login(caller) => of_caller(&caller, blank(clock, "login")),
        Happening::Renewal(caller) => of_caller(&caller, blank(clock, "renewal")),
        Happening::LoginFailed { provider, reason } => Event {
            detail: Some(format!("a login with the identity provider {provider} failed: {reason}")),
            ..blank(clock, "login_failed")
        },
        Happening::Revocation { by, sessions } => {
            let count = sessions.len();
            let named: Vec<_> = sessions.into_iter().take(MOST_SESSIONS).collect();
            let detail = format!("{by} ended {count} session(s): {}", named.join(", "));
            Event { detail: Some(detail), ..blank(clock, "revocation") }
        }
    }
}

fn of_caller(caller: &Caller, event: Event) -> Event {
    Event {
        caller: Some(event::Caller {
            subject: caller.subject.clone(),
            email: caller.email.clone(),
            groups: caller.groups.clone(),
            provider: caller.provider.clone(),
            client: None,
        }),
        session: Some(caller.session.clone()),
        ..event
    }
}

fn blank(clock: &Clock, kind: &str) -> Event {
    let now = clock.now();
    Event {
        schema: SCHEMA.to_owned(),
        id: id::new("ev", now),
        time: rfc3339(now),
        kind: kind.to_owned(),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_failed_logins_is_told_in_part_and_then_counted() {
        let start = SystemTime::UNIX_EPOCH + WINDOW;
        let mut failures = Failures::default();
        let told = (0..10_000).filter(|_| failures.note(true, start).1).count();
        assert_eq!(told, 60);
        assert_eq!(failures.note(false, start), (None, true), "everything else is told at once");
        assert_eq!(failures.note(true, start + WINDOW), (Some(9_940), true));
        assert_eq!(failures.note(true, start), (None, true), "the clock was set back");
    }

    #[test]
    fn a_revocation_of_very_many_sessions_stays_one_short_event() {
        let sessions = (0..10_000).map(|n| format!("ls_{n}")).collect();
        let happening = Happening::Revocation { by: "alice@example.test".to_owned(), sessions };
        let event = event_of(happening, &Clock::system());
        let detail = event.detail.unwrap();
        assert!(detail.starts_with("alice@example.test ended 10000 session(s): ls_0, "), "{detail}");
        assert!(detail.len() < 1024);
    }
}
