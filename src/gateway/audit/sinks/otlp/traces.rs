//! An exchange as a span: from its intent to its end, in the caller's trace or one of its own.

use std::time::Duration;

use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    trace::v1::{Span, Status, span::SpanKind, status::StatusCode},
};

use super::{
    genai::{self, Work},
    value::{nanos, number, text, truth},
};
use crate::{
    clock::parse_rfc3339,
    evidence::{
        event::{Event, Leg},
        trace::Place,
    },
    gateway::audit::sinks::GenAi,
};

/// The parent may be in another process (`SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE` and `…_IS_REMOTE`).
const REMOTE_PARENT: u32 = 0x100 | 0x200;
/// It is known that there is none elsewhere.
const NO_REMOTE_PARENT: u32 = 0x100;

/// The span of an exchange.
pub(super) fn span(event: &Event, conventions: GenAi) -> Span {
    let place = Place::of(event);
    let begun = parse_rfc3339(&event.time).map_or(0, nanos);
    let lasted = Duration::from_millis(event.response.as_ref().map_or(0, |response| response.duration_ms));
    let work = Work::of(event);
    let error = genai::error(event);
    let remote = if place.parent.is_some() { REMOTE_PARENT } else { NO_REMOTE_PARENT };
    Span {
        trace_id: place.trace.to_be_bytes().to_vec(),
        span_id: place.span.to_be_bytes().to_vec(),
        parent_span_id: place.parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
        flags: u32::from(place.flags) | remote,
        name: name(event, work),
        // The gateway asks the model: what the conventions call the client's side.
        kind: i32::from(SpanKind::Client),
        start_time_unix_nano: begun,
        end_time_unix_nano: begun.saturating_add(u64::try_from(lasted.as_nanos()).unwrap_or(u64::MAX)),
        attributes: attributes(event, work, conventions, error.as_deref()),
        status: Some(Status {
            message: error.clone().unwrap_or_default(),
            code: i32::from(if error.is_some() { StatusCode::Error } else { StatusCode::Unset }),
        }),
        ..Span::default()
    }
}

/// `chat gpt-4o`; for models that are not generative `POST fraud-detector`.
fn name(event: &Event, work: Option<Work>) -> String {
    let request = event.request.as_ref();
    let model = event.model.as_deref().unwrap_or_default();
    let named = match work {
        Some(work) => {
            let asked = request.and_then(|request| request.requested_model.as_deref());
            format!("{} {}", work.operation, asked.unwrap_or(model))
        }
        None => format!("{} {model}", request.map_or("", |request| request.method.as_str())),
    };
    named.trim().to_owned()
}

fn attributes(event: &Event, work: Option<Work>, conventions: GenAi, error: Option<&str>) -> Vec<KeyValue> {
    let mut all = work.map(|work| work.attributes(conventions)).unwrap_or_default();
    let request = event.request.as_ref();
    let response = event.response.as_ref();
    let caller = event.caller.as_ref();
    let decision = event.decision.as_ref();
    let asked = request.and_then(|request| request.requested_model.as_deref());
    let texts = [
        ("gen_ai.request.model", asked.filter(|_| work.is_some())),
        ("http.request.method", request.map(|request| request.method.as_str())),
        ("url.path", request.map(|request| request.path.as_str())),
        ("error.type", error),
        ("user.id", caller.map(|caller| caller.subject.as_str())),
        ("session.id", event.session.as_deref()),
        ("hoopctl.model", event.model.as_deref()),
        ("hoopctl.exchange", event.exchange.as_deref()),
        ("hoopctl.event.id", Some(event.id.as_str())),
        ("hoopctl.verdict", decision.map(|decision| decision.verdict.as_str())),
        ("hoopctl.outcome", response.map(|response| response.outcome.as_str())),
    ];
    all.extend(
        texts.into_iter().filter_map(|(key, value)| Some(text(key, value.filter(|v| !v.is_empty())?))),
    );
    if let Some(request) = request {
        all.push(number("http.request.body.size", request.bytes));
    }
    if let Some(response) = response {
        if response.status > 0 {
            all.push(number("http.response.status_code", response.status.into()));
        }
        all.push(number("http.response.body.size", response.bytes));
        if let Some(tokens) = response.tokens.filter(|_| work.is_some()) {
            all.push(number("gen_ai.usage.input_tokens", tokens.input));
            all.push(number("gen_ai.usage.output_tokens", tokens.output));
        }
        if let Some(first) = response.first_token_ms {
            all.push(number("hoopctl.first_token_ms", first));
        }
    }
    if let Some(evidence) = &event.evidence {
        all.extend(leg("client", evidence.client.as_ref()));
        all.extend(leg("upstream", evidence.upstream.as_ref()));
    }
    all
}

/// How a leg was encrypted.
fn leg(side: &str, leg: Option<&Leg>) -> Vec<KeyValue> {
    let Some(leg) = leg else { return Vec::new() };
    let texts =
        [("transport", &leg.transport), ("tls", &leg.tls), ("cipher", &leg.cipher), ("group", &leg.group)];
    let mut all: Vec<_> = texts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| text(&format!("hoopctl.{side}.{key}"), value))
        .collect();
    if let Some(verified) = leg.verified {
        all.push(truth(&format!("hoopctl.{side}.verified"), verified));
    }
    all
}
