//! Events in, a report out: a pure fold with bounded memory, whoever reads the events.

use std::{collections::BTreeMap, time::SystemTime};

use super::{
    Access, Day, Events, Exchanges, Happening, Head, Plaintext, Recordings, Report, SCHEMA,
    approvals::Approvals,
    control,
    legs::{Legs, Protection},
    lives::Lives,
    tally::{First, OTHERS, Tally, cut, name},
    uses::{Manner, Uses, span},
};
use crate::{
    clock::{parse_rfc3339, rfc3339},
    evidence::event::Event,
};

/// Kinds, outcomes and verdicts told apart.
const KINDS: usize = 64;
/// Sources of plaintext attempts told apart, and those in the report.
const SOURCES: usize = 10_000;
const SOURCES_SHOWN: usize = 100;
/// Days told apart: ten years.
const DAYS: usize = 3_660;
/// Happenings of each sort in the report.
const SHOWN: usize = 300;
/// The longest detail, in characters.
const DETAIL: usize = 400;

/// The fold. Feed it every event of a log in order; those of other times are passed over.
#[derive(Debug)]
pub struct Folding {
    since: Option<SystemTime>,
    until: SystemTime,
    events: Events,
    /// The index behind the last event that counted.
    end: u64,
    kinds: Tally,
    exchanges: Exchanges,
    outcomes: Tally,
    verdicts: Tally,
    client: Legs,
    upstream: Legs,
    uses: Uses,
    attempts: u64,
    attempt_days: Tally,
    attempt_sources: Tally,
    certificates: First<Happening>,
    changes: First<Happening>,
    revocations: First<Happening>,
    failed_recordings: First<Happening>,
    recorded: u64,
    approvals: Approvals,
    access: Access,
    lives: Lives,
    days: BTreeMap<String, Day>,
}

/// Who makes a report, and what stands behind it.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// When, RFC 3339.
    pub at: String,
    /// By which program, and from what.
    pub by: String,
    /// The log's head; `covers` is found out here.
    pub head: Option<Head>,
}

impl Folding {
    /// Of events not before `since` and before `until`.
    pub fn new(since: Option<SystemTime>, until: SystemTime) -> Self {
        Self {
            since,
            until,
            events: Events::default(),
            end: 0,
            kinds: Tally::of(KINDS),
            exchanges: Exchanges::default(),
            outcomes: Tally::of(KINDS),
            verdicts: Tally::of(KINDS),
            client: Legs::new(),
            upstream: Legs::new(),
            uses: Uses::default(),
            attempts: 0,
            attempt_days: Tally::of(DAYS),
            attempt_sources: Tally::of(SOURCES),
            certificates: First::of(SHOWN),
            changes: First::of(SHOWN),
            revocations: First::of(SHOWN),
            failed_recordings: First::of(SHOWN),
            recorded: 0,
            approvals: Approvals::default(),
            access: Access::default(),
            lives: Lives::new(),
            days: BTreeMap::new(),
        }
    }

    /// The log's entry at `index`, as JSON; what is not an event is counted as such.
    pub fn entry(&mut self, index: u64, json: &[u8]) {
        match serde_json::from_slice::<Event>(json) {
            // An event too long for an entry: its digest, kind and time are there, and nothing to count.
            Ok(event) if is_whole(&event, json) => self.event(index, &event),
            _ => self.events.unread += 1,
        }
    }

    fn event(&mut self, index: u64, event: &Event) {
        let Some(at) = parse_rfc3339(&event.time) else {
            self.events.unread += 1;
            return;
        };
        if self.since.is_some_and(|since| at < since) || at >= self.until {
            return;
        }
        self.events.total += 1;
        self.end = self.end.max(index.saturating_add(1));
        // One spelling, whatever the event's: times are compared as text.
        let time = rfc3339(at);
        span(&mut self.events.first, &mut self.events.last, &time);
        self.kinds.add(&event.kind, 1);
        self.lives.event(event, at);
        match event.kind.as_str() {
            "exchange" => self.exchange(event, &time),
            "login" => self.access.logins += 1,
            "renewal" => self.access.renewals += 1,
            "login_failed" => add(&mut self.access.failed_logins, event.count),
            "unknown_caller" => add(&mut self.access.unknown_callers, event.count),
            "recording_read" => self.access.recording_reads += 1,
            "audit_read" => self.access.audit_reads += 1,
            "plaintext_attempt" => self.attempt(event, &time),
            "revocation" => {
                self.access.revocations += 1;
                self.revocations.push(|| happening(event));
            }
            "gateway_start" | "gateway_reload" | "gateway_reload_refused" => {
                self.changes.push(|| happening(event));
            }
            kind if kind.starts_with("certificate_") => self.certificates.push(|| happening(event)),
            kind if kind.starts_with("recording_") => self.failed_recordings.push(|| happening(event)),
            kind => {
                if let Some(state) = kind.strip_prefix("approval_") {
                    self.approvals.change(state, event);
                }
            }
        }
    }

    fn exchange(&mut self, event: &Event, time: &str) {
        let outcome = event.response.as_ref().map_or("not said", |response| response.outcome.as_str());
        let refused = outcome == "refused";
        self.outcomes.add(outcome, 1);
        self.verdicts.add(event.decision.as_ref().map_or("none", |decision| decision.verdict.as_str()), 1);
        let evidence = event.evidence.as_ref();
        let client = evidence.and_then(|both| both.client.as_ref()).map(|leg| self.client.add(leg));
        let upstream = evidence.and_then(|both| both.upstream.as_ref()).map(|leg| self.upstream.add(leg));
        let legs = [client, upstream].into_iter().flatten();
        let unencrypted = legs.clone().any(|leg| !leg.encrypted());
        let figures = &mut self.exchanges;
        figures.total += 1;
        if client.or(upstream).is_none() {
            figures.unknown += 1;
        } else if unencrypted {
            figures.unencrypted += 1;
            figures.unencrypted_local += u64::from(!legs.clone().any(|leg| leg == Protection::Plaintext));
        } else {
            figures.encrypted += 1;
            figures.post_quantum += u64::from(legs.clone().all(|leg| leg == Protection::PostQuantum));
        }
        self.uses.exchange(event, Manner { refused, unencrypted, upstream });
        if event.decision.as_ref().is_some_and(|decision| decision.verdict == "permit") {
            self.approvals.used(event);
        }
        self.recorded += u64::from(event.recording.is_some());
        if outcome == "recording_failed" {
            self.failed_recordings.push(|| happening(event));
        }
        let day = self.day(time);
        day.exchanges += 1;
        day.refused += u64::from(refused);
        day.unencrypted += u64::from(unencrypted);
    }

    fn day(&mut self, time: &str) -> &mut Day {
        let day = time.get(..10).unwrap_or(OTHERS);
        let full = self.days.len() >= DAYS && !self.days.contains_key(day);
        let day = if full { OTHERS } else { day };
        self.days.entry(day.to_owned()).or_insert_with(|| Day { day: day.to_owned(), ..Day::default() })
    }

    fn attempt(&mut self, event: &Event, time: &str) {
        let count = event.count.unwrap_or(1);
        self.attempts = self.attempts.saturating_add(count);
        self.attempt_days.add(time.get(..10).unwrap_or(OTHERS), count);
        self.attempt_sources.add(event.source.as_deref().unwrap_or("not said"), count);
    }

    /// What it comes to.
    pub fn finish(mut self, made: Made) -> Report {
        let until = rfc3339(self.until);
        self.events.kinds = self.kinds.by_count();
        self.exchanges.outcomes = self.outcomes.by_count();
        self.exchanges.verdicts = self.verdicts.by_count();
        let end = self.end;
        let tables = self.uses.tables();
        let interrupted = self.lives.interrupted();
        let mut report = Report {
            schema: SCHEMA,
            made_at: made.at,
            made_by: made.by,
            since: self.since.map(rfc3339).unwrap_or_default(),
            gaps: self.lives.listed(self.events.unread, &until),
            until,
            events: self.events,
            exchanges: self.exchanges,
            client: self.client.figures(),
            upstream: self.upstream.figures(),
            relaxed: tables.relaxed,
            plaintext: Plaintext {
                attempts: self.attempts,
                days: self.attempt_days.by_name(),
                sources: self.attempt_sources.listed(SOURCES_SHOWN),
            },
            certificates: self.certificates.listed(),
            approvals: self.approvals.listed(),
            masked: tables.masked,
            unmasked: tables.unmasked,
            changes: self.changes.listed(),
            revocations: self.revocations.listed(),
            access: self.access,
            recordings: Recordings { recorded: self.recorded, failures: self.failed_recordings.listed() },
            days: self.days.into_values().collect(),
            callers: tables.callers,
            models: tables.models,
            controls: Vec::new(),
            checkpoint: made.head.map(|head| Head { covers: end <= head.size, ..head }),
        };
        report.controls = control::controls(&report, interrupted);
        report
    }
}

/// Adds what an event stands for, which a log may say as it likes.
fn add(sum: &mut u64, count: Option<u64>) {
    *sum = sum.saturating_add(count.unwrap_or(1));
}

/// Whether an entry is the event itself, not the digest of one that is too long.
fn is_whole(event: &Event, json: &[u8]) -> bool {
    // A digest has none of the fields that events have beyond the head, and is short.
    let bare = event.caller.is_none() && event.detail.is_none() && event.response.is_none();
    !(bare && json.len() <= 2048 && serde_json::from_slice::<crate::evidence::leaf::Stub>(json).is_ok())
}

/// Who an event is of: the email address, or the subject.
pub(super) fn user(event: &Event) -> String {
    let caller = event.caller.as_ref();
    name(caller.map_or("-", |caller| caller.email.as_deref().unwrap_or(&caller.subject)))
}

fn happening(event: &Event) -> Happening {
    Happening {
        time: name(&event.time),
        kind: name(&event.kind),
        user: if event.caller.is_some() { user(event) } else { String::new() },
        detail: cut(event.detail.as_deref().unwrap_or_default(), DETAIL),
    }
}
