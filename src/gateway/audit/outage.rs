//! Failures to audit are events too: as soon as recording works again, the log says from when on it did not, and what was refused.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use super::{
    AuditError,
    record::{Tag, encode},
    writer::Writer,
};
use crate::{
    clock::{Clock, rfc3339},
    evidence::event::{Event, SCHEMA},
    id,
};

/// What could not be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// The intent of an exchange, which was refused therefore.
    Exchange,
    /// An event of another kind.
    Event,
}

/// The outage there is, if there is one.
#[derive(Default)]
pub(super) struct Outages {
    /// Whether there is one: looked at with every record.
    open: AtomicBool,
    outage: Mutex<Option<Outage>>,
}

struct Outage {
    since: SystemTime,
    exchanges: u64,
    events: u64,
    /// Why, as it was first said.
    why: String,
}

impl Outages {
    /// Something could not be recorded.
    pub(super) fn note(&self, what: Missed, now: SystemTime, error: &AuditError) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let outage = outage.get_or_insert_with(|| Outage {
            since: now,
            exchanges: 0,
            events: 0,
            why: error.0.chars().take(300).collect(),
        });
        match what {
            Missed::Exchange => outage.exchanges += 1,
            Missed::Event => outage.events += 1,
        }
        self.open.store(true, Ordering::Release);
    }

    /// Writes the event of an outage, if there is one and it is over; true when it did.
    pub(super) fn tell(&self, writer: &Writer, clock: &Clock) -> bool {
        if !self.open.load(Ordering::Acquire) {
            return false;
        }
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(over) = outage.as_ref() else { return false };
        let written = encode(Tag::Event, &event(over, clock)).and_then(|record| writer.event(&record));
        if written.is_ok() {
            *outage = None;
            self.open.store(false, Ordering::Release);
        }
        written.is_ok()
    }
}

fn event(outage: &Outage, clock: &Clock) -> Event {
    let Outage { since, exchanges, events, why } = outage;
    let (now, since) = (clock.now(), rfc3339(*since));
    Event {
        schema: SCHEMA.to_owned(),
        id: id::new("ev", now),
        time: rfc3339(now),
        kind: "audit_outage".to_owned(),
        detail: Some(format!(
            "from {since} on the audit log could not be written ({why}): {exchanges} exchanges were refused, and {events} other events are not in the log"
        )),
        count: Some(exchanges.saturating_add(*events)),
        since: Some(since),
        ..Event::default()
    }
}
