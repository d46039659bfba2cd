//! What identity and the gateway itself tell the audit log.

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

/// Writes identity's happenings to the audit log.
pub(super) fn witness(scribe: Scribe, clock: Clock) -> Witness {
    std::sync::Arc::new(move |happening| note(&scribe, event_of(happening, &clock)))
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
    fn a_revocation_of_very_many_sessions_stays_one_short_event() {
        let sessions = (0..10_000).map(|n| format!("ls_{n}")).collect();
        let happening = Happening::Revocation { by: "alice@example.test".to_owned(), sessions };
        let event = event_of(happening, &Clock::system());
        let detail = event.detail.unwrap();
        assert!(detail.starts_with("alice@example.test ended 10000 session(s): ls_0, "), "{detail}");
        assert!(detail.len() < 1024);
    }
}
