//! Attempts in plaintext or without a token on their way to the audit log: the first of a source at once, its others counted and told
//! once a minute, so that a flood cannot fill the log.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::ration::neighbourhood;
use crate::{
    clock::{Clock, rfc3339},
    evidence::event::{Event, SCHEMA},
    gateway::audit::Scribe,
    id,
};

/// How often counted attempts are told.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Sources told one by one in a window; the rest are counted together.
const MOST_SOURCES: usize = 256;

/// What was attempted, as the audit log has it.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    event: &'static str,
    one: &'static str,
    /// Behind their number.
    more: &'static str,
}

/// Connections without TLS.
pub(super) const PLAINTEXT: Kind = Kind {
    event: "plaintext_attempt",
    one: "an unencrypted connection to the TLS port was refused",
    more: "more unencrypted connections to the TLS port were refused",
};

/// Requests to a model that no caller stood behind.
pub(super) const STRANGERS: Kind = Kind {
    event: "unknown_caller",
    one: "a request to a model without a token that holds was refused",
    more: "more requests to models without a token that holds were refused",
};

/// Counts attempts of one kind and writes them down. Cheap to clone.
#[derive(Clone)]
pub(super) struct Attempts {
    kind: Kind,
    scribe: Scribe,
    clock: Clock,
    window: Arc<Mutex<Window>>,
}

impl Attempts {
    pub(super) fn new(kind: Kind, scribe: Scribe, clock: Clock) -> Self {
        Self { kind, scribe, clock, window: Arc::default() }
    }

    /// One attempt from `source`, which is all that is kept of it.
    pub(super) async fn note(&self, source: IpAddr) {
        let told = self.window.lock().unwrap_or_else(PoisonError::into_inner).note(source, self.kind);
        if let Some(attempt) = told {
            self.write(attempt).await;
        }
    }

    /// Ends the window: what was only counted is told.
    pub(super) async fn tell(&self) {
        let told = self.window.lock().unwrap_or_else(PoisonError::into_inner).turn(self.kind);
        for attempt in told {
            self.write(attempt).await;
        }
    }

    async fn write(&self, attempt: Attempt) {
        let now = self.clock.now();
        let event = Event {
            schema: SCHEMA.to_owned(),
            id: id::new("ev", now),
            time: rfc3339(now),
            kind: self.kind.event.to_owned(),
            detail: Some(attempt.detail),
            source: Some(attempt.source),
            count: (attempt.count > 1).then_some(attempt.count),
            ..Event::default()
        };
        if let Err(error) = self.scribe.record(event).await {
            tracing::error!(%error, kind = self.kind.event, "an attempt could not be written to the audit log");
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Attempt {
    source: String,
    detail: String,
    count: u64,
}

/// Attempts since the last turn, beyond those told at once.
#[derive(Default)]
struct Window {
    more: HashMap<IpAddr, u64>,
    others: u64,
}

impl Window {
    fn note(&mut self, source: IpAddr, kind: Kind) -> Option<Attempt> {
        let place = neighbourhood(source);
        if let Some(more) = self.more.get_mut(&place) {
            *more += 1;
            return None;
        }
        if self.more.len() >= MOST_SOURCES {
            self.others += 1;
            return None;
        }
        self.more.insert(place, 0);
        let detail = kind.one.to_owned();
        Some(Attempt { source: source.to_canonical().to_string(), detail, count: 1 })
    }

    fn turn(&mut self, kind: Kind) -> Vec<Attempt> {
        let counted =
            std::mem::take(&mut self.more).into_iter().map(|(place, more)| (place.to_string(), more));
        let others = std::mem::take(&mut self.others);
        let mut told: Vec<_> = counted
            .chain([("many".to_owned(), others)])
            .filter(|(_, more)| *more > 0)
            .map(|(source, more)| Attempt { source, detail: format!("{more} {}", kind.more), count: more })
            .collect();
        told.sort_by(|a, b| a.source.cmp(&b.source));
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_from_one_source_is_one_line_now_and_one_with_the_count_later() {
        let mut window = Window::default();
        let source = "192.0.2.1".parse().unwrap();
        assert!(window.note(source, PLAINTEXT).is_some());
        for _ in 0..1_000 {
            assert!(window.note(source, PLAINTEXT).is_none());
        }
        let told = window.turn(PLAINTEXT);
        assert_eq!(told.len(), 1);
        assert!(told[0].detail.starts_with("1000 more"), "{told:?}");
        assert!(window.turn(PLAINTEXT).is_empty(), "told once");
    }

    #[test]
    fn a_flood_from_everywhere_is_bounded_too() {
        let mut window = Window::default();
        let told = (0..10_000_u32).filter_map(|n| window.note(IpAddr::V4(n.into()), PLAINTEXT)).count();
        assert_eq!(told, MOST_SOURCES);
        let rest = window.turn(PLAINTEXT);
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].source, "many");
    }
}
