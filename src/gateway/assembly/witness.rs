//! What identity and the gateway itself tell the audit log.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use crate::{
    clock::{Clock, rfc3339},
    evidence::{
        event::{self, Configuration, Event, SCHEMA},
        recording::sha256_text,
    },
    gateway::{
        approval::{self, Change, Kind, State},
        audit::{self, Scribe},
        certs,
        identity::{Caller, Happening, Witness},
        record::{RecordError, Recordings, Removed},
    },
    id,
};

/// The most session ids named in one event.
const MOST_SESSIONS: usize = 64;
/// The most groups named in one event's detail.
const MOST_GROUPS: usize = 8;

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
            note(&scribe, Event { detail: Some(detail), count: Some(more), ..blank(&clock, "login_failed") });
        }
        if tell {
            note(&scribe, event_of(happening, &clock));
        }
    })
}

/// Writes what happens to requests for approval to the audit log.
pub(super) fn of_approvals(scribe: Scribe, clock: Clock) -> approval::Witness {
    Arc::new(move |change| note(&scribe, event_of_change(change, &clock)))
}

/// Writes what happens to the gateway's certificates to the audit log.
pub(super) fn of_certificates(scribe: Scribe, clock: Clock) -> certs::Witness {
    Arc::new(move |happening| {
        let (kind, detail) = of_certificate(happening);
        note(&scribe, Event { detail: Some(detail), ..blank(&clock, kind) });
    })
}

/// Writes what is removed of recordings to the audit log, before it is.
pub(super) fn of_recordings(
    scribe: Scribe,
    clock: Clock,
) -> impl Fn(Removed) -> Result<(), RecordError> + Send + Sync + 'static {
    move |removed| {
        let Removed { model, keep, recordings } = removed;
        let days = keep.as_secs() / 86_400;
        let kept = if days > 0 { format!("{days}d") } else { format!("{}h", keep.as_secs() / 3600) };
        let detail = format!("recordings are removed, which are kept for {kept}: {}", recordings.join(" "));
        let event = Event { model: Some(model), detail: Some(detail), ..blank(&clock, "recording_deleted") };
        scribe.note(event).map_err(|error| RecordError(error.to_string()))
    }
}

/// Names what is on the shelf of a recording whose exchange was under way when its process died.
pub(super) fn of_recordings_left(recordings: Recordings) -> audit::Left {
    Arc::new(move |event: &mut Event| {
        let (Some(exchange), Some(recording)) = (&event.exchange, &mut event.recording) else { return };
        match recordings.found(exchange) {
            Some(checked) => recording.sha256 = Some(sha256_text(&checked.sha256)),
            None => recording.failure = Some("it is not there, or damaged".to_owned()),
        }
    })
}

fn of_certificate(happening: certs::Happening) -> (&'static str, String) {
    match happening {
        certs::Happening::Made { fingerprint } => {
            ("certificate_made", format!("the gateway's CA was made: {fingerprint}"))
        }
        certs::Happening::Imported { fingerprint, expires_at } => {
            let end = rfc3339(expires_at);
            (
                "certificate_imported",
                format!("the changed server certificate is in use: {fingerprint}, until {end}"),
            )
        }
        certs::Happening::Renewed { by, fingerprint, expires_at } => {
            let end = rfc3339(expires_at);
            (
                "certificate_renewed",
                format!("the server certificate was renewed by {by}: {fingerprint}, until {end}"),
            )
        }
        certs::Happening::Refused { problem } => {
            ("certificate_refused", format!("{problem}; the old certificate stays in use"))
        }
        certs::Happening::RotationAnnounced { fingerprint, switch_at } => {
            let at = rfc3339(switch_at);
            (
                "certificate_rotation",
                format!("laptops are told of the CA's next root {fingerprint}, which signs from {at}"),
            )
        }
        certs::Happening::RotationSwitched { fingerprint, retire_at } => {
            let at = rfc3339(retire_at);
            (
                "certificate_rotation",
                format!("the CA's root {fingerprint} signs now; the old one is believed until {at}"),
            )
        }
        certs::Happening::RotationRetired { fingerprint } => {
            ("certificate_rotation", format!("the CA's old root {fingerprint} is believed no longer"))
        }
        certs::Happening::Expiring { what, fingerprint, expires_at, days, remedy } => {
            let (end, when) = (rfc3339(expires_at), if days == 0 { "has ended" } else { "ends soon" });
            ("certificate_expiring", format!("{what} {fingerprint} {when}: {end}; {remedy}"))
        }
    }
}

fn event_of_change(change: &Change, clock: &Clock) -> Event {
    let request = &change.request;
    let (user, model) = (&request.requester.user, &request.model);
    let (got, needed) = request.progress();
    let comment = request.votes.last().and_then(|vote| vote.comment.as_deref());
    let comment = comment.map(|said| format!(": {said}")).unwrap_or_default();
    let mut policies = request.policies();
    let (kind, detail) = match change.kind {
        Kind::Requested => {
            let reason = request.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            ("approval_requested", format!("{user} asks for an approval of {model}{reason}"))
        }
        Kind::Approved => {
            ("approval_approved", format!("yes {got} of {needed} to {user} for {model}{comment}"))
        }
        Kind::Granted => {
            if let State::Approved { policies: met, .. } = &request.state {
                policies.clone_from(met);
            }
            let until = rfc3339(request.ends_at());
            ("approval_granted", format!("{user} may use {model} until {until}"))
        }
        Kind::Denied => ("approval_denied", format!("no to {user} for {model}{comment}")),
        Kind::Expired => (
            "approval_expired",
            format!("nobody answered {user}'s request for {model} in time, or the model was changed"),
        ),
        Kind::Ended => ("approval_ended", format!("the approval of {user} for {model} has ended")),
    };
    let event = Event {
        model: Some(model.clone()),
        decision: Some(event::Decision {
            verdict: "ask".to_owned(),
            policies,
            approval: Some(request.id.clone()),
        }),
        detail: Some(detail),
        ..blank(clock, kind)
    };
    match &change.by {
        Some(caller) => of_caller(caller, event),
        None => event,
    }
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

/// Writes an event that says what configuration is in force: `gateway_start`, `gateway_reload`.
pub(super) fn tell_configuration(
    scribe: &Scribe,
    clock: &Clock,
    kind: &str,
    detail: String,
    configuration: Configuration,
) {
    let configuration = Some(configuration);
    note(scribe, Event { detail: Some(detail), configuration, ..blank(clock, kind) });
}

/// Writes another event of the gateway itself: `gateway_stop`, `gateway_reload_refused`.
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
        Happening::Login(caller) => {
            let with = if caller.workload { "a token of" } else { "the identity provider" };
            let detail = format!("logged in with {with} {}, {}", caller.provider, groups(&caller.groups));
            Event { detail: Some(detail), ..of_caller(&caller, blank(clock, "login")) }
        }
        Happening::Renewal(caller) => {
            let detail = format!("login renewed, {}", groups(&caller.groups));
            Event { detail: Some(detail), ..of_caller(&caller, blank(clock, "renewal")) }
        }
        Happening::LoginFailed { provider, reason } => Event {
            detail: Some(format!("a login with the identity provider {provider} failed: {reason}")),
            ..blank(clock, "login_failed")
        },
        Happening::Revocation { by, sessions } => {
            let count = sessions.len();
            let named: Vec<_> = sessions.into_iter().take(MOST_SESSIONS).collect();
            let detail = format!("login ended ({by}); {count} session(s): {}", named.join(", "));
            Event { detail: Some(detail), ..blank(clock, "revocation") }
        }
    }
}

/// The first groups by name, the others by number; the event's caller has them all.
fn groups(groups: &[String]) -> String {
    if groups.is_empty() {
        return "no groups".to_owned();
    }
    let named: Vec<&str> = groups.iter().take(MOST_GROUPS).map(String::as_str).collect();
    let mut text = format!("groups {}", named.join(", "));
    if groups.len() > MOST_GROUPS {
        text.push_str(&format!(" and {} more", groups.len().saturating_sub(MOST_GROUPS)));
    }
    text
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

    fn caller(groups: &[&str], workload: bool) -> Caller {
        Caller {
            subject: "alice".to_owned(),
            email: None,
            name: None,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            provider: "corp".to_owned(),
            workload,
            session: "ls_1".to_owned(),
        }
    }

    #[test]
    fn every_happening_says_what_happened() {
        for (happening, kind, detail) in [
            (
                Happening::Login(caller(&["ml", "risk"], false)),
                "login",
                "logged in with the identity provider corp, groups ml, risk",
            ),
            (Happening::Login(caller(&[], true)), "login", "logged in with a token of corp, no groups"),
            (Happening::Renewal(caller(&["ml"], false)), "renewal", "login renewed, groups ml"),
            (
                Happening::Renewal(caller(&["a"; 10], false)),
                "renewal",
                "login renewed, groups a, a, a, a, a, a, a, a and 2 more",
            ),
        ] {
            let event = event_of(happening, &Clock::system());
            assert_eq!((event.kind.as_str(), event.detail.as_deref()), (kind, Some(detail)));
            assert_eq!(event.session.as_deref(), Some("ls_1"));
        }
    }

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
        assert!(detail.starts_with("login ended (alice@example.test); 10000 session(s): ls_0, "), "{detail}");
        assert!(detail.len() < 1024);
    }
}
