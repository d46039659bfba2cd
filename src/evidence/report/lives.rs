//! What the log does not show, or not whole: damage, exchanges without an end, time without a gateway, a clock that went back.

use std::time::{Duration, SystemTime};

use super::{
    Gap, Listed,
    fold::user,
    tally::{First, cut, name},
};
use crate::{
    clock::{parse_rfc3339, rfc3339},
    evidence::event::Event,
};

/// Gaps named one by one.
const SHOWN: usize = 300;
/// The longest detail, in characters.
const DETAIL: usize = 400;
/// Events of one moment may stand in the log in another order than they were stamped in; what is more is a clock that was set back.
const JITTER: Duration = Duration::from_secs(5);

/// The gateway's life as far as the log has it, and the gaps in it.
#[derive(Debug)]
pub(super) struct Lives {
    gaps: First<Gap>,
    interrupted: u64,
    /// The latest moment of any event so far.
    latest: Option<SystemTime>,
    /// Whether the gateway runs, as far as it is known.
    runs: Option<bool>,
    stopped_at: String,
}

impl Lives {
    pub(super) fn new() -> Self {
        Self { gaps: First::of(SHOWN), interrupted: 0, latest: None, runs: None, stopped_at: String::new() }
    }

    /// Exchanges whose end nobody saw.
    pub(super) fn interrupted(&self) -> u64 {
        self.interrupted
    }

    /// Takes note of an event of the time.
    pub(super) fn event(&mut self, event: &Event, at: SystemTime) {
        let detail = || cut(event.detail.as_deref().unwrap_or_default(), DETAIL);
        match event.kind.as_str() {
            "exchange" => {
                self.runs.get_or_insert(true);
                self.exchange(event);
                // Its time is when it began: it says nothing of the clock at the place where it stands.
                self.latest = self.latest.max(Some(at));
                return;
            }
            "gateway_start" => self.start(event),
            "gateway_stop" => {
                self.runs = Some(false);
                self.stopped_at.clone_from(&event.time);
            }
            "journal_damaged" => self.gap("journal_damaged", &event.time, "", detail()),
            "audit_outage" => {
                let from = event.since.as_deref().filter(|since| parse_rfc3339(since).is_some());
                self.gap("audit_outage", from.unwrap_or(&event.time), &event.time, detail());
            }
            // Whoever is served is served by a gateway that runs, also when it was started before the time.
            "login" | "renewal" | "audit_read" | "gateway_reload" => {
                self.runs.get_or_insert(true);
            }
            _ => {}
        }
        self.clock(event, at);
    }

    fn exchange(&mut self, event: &Event) {
        if event.response.as_ref().is_none_or(|response| response.outcome != "interrupted") {
            return;
        }
        self.interrupted += 1;
        let text = |text: &Option<String>| name(text.as_deref().unwrap_or("-"));
        let detail = format!(
            "the exchange {} of {} with {} has no end: the gateway's process died while it ran",
            text(&event.exchange),
            user(event),
            text(&event.model),
        );
        self.gap("interrupted", &event.time, "", detail);
    }

    fn start(&mut self, event: &Event) {
        match self.runs {
            Some(false) => {
                let from = std::mem::take(&mut self.stopped_at);
                let detail = "the gateway was stopped, and nobody was served".to_owned();
                self.gap("stopped", &from, &event.time, detail);
            }
            Some(true) => {
                let from = self.latest.map(rfc3339).unwrap_or_default();
                let detail = "the gateway's process ended without a stop; the last event before it is of the first of these times";
                self.gap("crashed", &from, &event.time, detail.to_owned());
            }
            None => {}
        }
        self.runs = Some(true);
    }

    fn clock(&mut self, event: &Event, at: SystemTime) {
        let Some(latest) = self.latest.filter(|latest| at < *latest) else {
            self.latest = Some(at);
            return;
        };
        let back = latest.duration_since(at).unwrap_or_default();
        if back > JITTER {
            let detail = format!(
                "the clock went back by {} s: events from here on may have times that were already passed",
                back.as_secs()
            );
            self.gap("clock_back", &rfc3339(latest), &event.time, detail);
            // From here on it is compared with the new time, so that it is told once.
            self.latest = Some(at);
        }
    }

    fn gap(&mut self, kind: &str, from: &str, until: &str, detail: String) {
        self.gaps.push(|| Gap { kind: kind.to_owned(), from: name(from), until: name(until), detail });
    }

    /// All gaps; `unread` entries of the log are one too, and so is a gateway that does not run at the end.
    pub(super) fn listed(mut self, unread: u64, until: &str) -> Listed<Gap> {
        if self.runs == Some(false) {
            let from = std::mem::take(&mut self.stopped_at);
            let detail =
                "the gateway was stopped, and was not started again in the time of the report".to_owned();
            self.gap("stopped", &from, "", detail);
        }
        let mut gaps = self.gaps.listed();
        if unread > 0 {
            gaps.total += 1;
            let detail = format!(
                "{unread} entries of the log are not understood, or stand in it as a digest because they are too long: no figure has them"
            );
            gaps.shown.insert(
                0,
                Gap { kind: "unread".to_owned(), from: until.to_owned(), until: String::new(), detail },
            );
        }
        gaps
    }
}
