//! An event as a log record: its JSON text to the byte as the body, and what receivers filter by as attributes.

use std::time::SystemTime;

use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::value::{body, nanos, text};
use crate::{
    clock::parse_rfc3339,
    evidence::trace::Place,
    gateway::audit::sinks::{batch::Parcel, severity::Severity},
};

/// The record of an event, seen now.
pub(super) fn record(parcel: &Parcel, now: SystemTime) -> LogRecord {
    let event = &parcel.event;
    let (severity_number, severity_text) = Severity::of(event).opentelemetry();
    let caller = event.caller.as_ref();
    let known = [
        ("hoopctl.event.id", Some(event.id.as_str())),
        ("hoopctl.event.kind", Some(event.kind.as_str())),
        ("hoopctl.model", event.model.as_deref()),
        ("hoopctl.exchange", event.exchange.as_deref()),
        ("user.id", caller.map(|caller| caller.subject.as_str())),
        ("user.email", caller.and_then(|caller| caller.email.as_deref())),
        ("hoopctl.verdict", event.decision.as_ref().map(|decision| decision.verdict.as_str())),
        ("hoopctl.outcome", event.response.as_ref().map(|response| response.outcome.as_str())),
        ("session.id", event.session.as_deref()),
        ("client.address", event.source.as_deref()),
    ];
    let attributes =
        known.into_iter().filter_map(|(key, value)| Some(text(key, value.filter(|v| !v.is_empty())?)));
    let mut record = LogRecord {
        time_unix_nano: parse_rfc3339(&event.time).map_or(0, nanos),
        observed_time_unix_nano: nanos(now),
        severity_number,
        severity_text: severity_text.to_owned(),
        body: body(&parcel.json),
        attributes: attributes.collect(),
        event_name: format!("hoopctl.audit.{}", event.kind),
        ..LogRecord::default()
    };
    if event.kind == "exchange" {
        let place = Place::of(event);
        record.trace_id = place.trace.to_be_bytes().to_vec();
        record.span_id = place.span.to_be_bytes().to_vec();
        record.flags = u32::from(place.flags);
    }
    record
}
