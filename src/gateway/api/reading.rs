//! Who reads what others did is recorded, before the answer is given.

use super::{ApiState, Guest};
use crate::{
    evidence::event::{self, Event},
    gateway::{identity::Caller, respond::Problem},
    wire::code,
};

/// Records that the guest reads a part of the audit log.
pub(super) async fn record(state: &ApiState, guest: &Guest, what: String) -> Result<(), Problem> {
    append(state, event(guest, "audit_read", what)).await
}

/// An event of the guest's reading.
pub(super) fn event(guest: &Guest, kind: &str, what: String) -> Event {
    let caller = &guest.caller;
    Event {
        kind: kind.to_owned(),
        caller: Some(event::Caller {
            subject: caller.subject.clone(),
            email: caller.email.clone(),
            groups: caller.groups.clone(),
            provider: caller.provider.clone(),
            client: None,
        }),
        session: Some(caller.session.clone()),
        detail: Some(what),
        source: guest.source.map(|source| source.to_string()),
        ..Event::default()
    }
}

/// Writes it to the audit log.
pub(super) async fn append(state: &ApiState, event: Event) -> Result<(), Problem> {
    state.scribe.record(event).await.map_err(|error| {
        tracing::error!(%error, "that the audit log is read could not be recorded");
        Problem::new(code::AUDIT_UNAVAILABLE, "what is read of the audit log cannot be recorded now")
            .remedy("try again; the gateway's log says why")
    })
}

/// Whether an event is about somebody else than the caller. What one reads about oneself is nobody's concern; that keeps a reader who
/// follows the log from recording their own reading for ever.
pub(super) fn of_others(event: &Event, caller: &Caller) -> bool {
    event.caller.as_ref().is_none_or(|of| of.subject != caller.subject || of.provider != caller.provider)
}
