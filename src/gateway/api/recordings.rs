//! `GET /api/v1/recordings/{exchange}`: a recording, for whom policy lets `replay` the model; that it is read, or refused, is recorded first.

use std::io::{self, BufReader, Read};

use axum::{
    body::Body,
    extract::{Path, Query, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderValue, Uri, header};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{ApiState, Guest, dress::ApiError, reading, routes::Route};
use crate::{
    evidence::{
        event::{self, Decision, Event},
        recording::{Identities, Reader, SealError},
    },
    gateway::{
        audit::{AuditError, Filter},
        policy::{Action, Context, Outcome, Question, Resource, Verdict},
        record::{RecordError, Recordings},
        respond::Problem,
    },
    wire::code,
};

/// Pieces that are read ahead of the caller.
const AHEAD: usize = 8;
/// A piece of a sealed recording, in bytes.
const PIECE: usize = 64 * 1024;
/// The longest id that is looked up, in bytes.
const MAX_ID: usize = 64;
/// The most events that are looked through for the one that says that a recording was removed.
const MOST_READ: usize = 1000;

/// The query's parameters, as the OpenAPI document has them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default, rename = "for")]
    what_for: For,
    #[serde(default)]
    form: Form,
}

/// What it is read for, as its reader says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum For {
    #[default]
    Replay,
    Export,
    Verify,
}

/// As what it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    /// As it is stored.
    Sealed,
    /// Its entries, one a line, where the gateway has the key.
    Opened,
    /// Opened where that is possible.
    #[default]
    Either,
}

type Source = Box<dyn Read + Send>;

pub(super) async fn read(
    State(state): State<ApiState>,
    guest: Guest,
    Path(exchange): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let wrong = |why: String| {
        Problem::new(code::BAD_REQUEST, why).remedy("see /api/v1/openapi.json for the parameters")
    };
    let Query(asked) = Query::<Parameters>::try_from_uri(&uri)
        .map_err(|e| wrong(format!("the query is not understood: {}", e.body_text())))?;
    if exchange.len() > MAX_ID {
        return Err(absent().into());
    }
    let filter = Filter {
        exchange: Some(exchange.clone()),
        kind: Some("exchange".to_owned()),
        limit: 1,
        ..Filter::default()
    };
    let of = state.scribe.query(&filter).await.map_err(unread_log)?.events.pop();
    let verdict = judge(&state, &guest, of.as_ref());
    let reads =
        Reads { state: &state, guest: &guest, exchange: &exchange, of: of.as_ref(), verdict: &verdict };
    if verdict.outcome != Outcome::Permit {
        reads.record(format!("refused: {}", word(asked.what_for))).await?;
        return Err(forbidden(&guest, of.as_ref()).into());
    }
    let recordings = state.pipeline.recordings().clone();
    let Some(found) = find(&recordings, &exchange, asked.form).await? else {
        return Err(missing(&state, of.as_ref()).await?.into());
    };
    let (how, kind, ending) = match found {
        Found::Sealed(_) => ("sealed", "application/octet-stream", "rec"),
        Found::Opened(..) => ("opened by the gateway", "application/x-ndjson", "jsonl"),
    };
    reads.record(format!("{}, {how}", word(asked.what_for))).await?;
    let mut response = Response::new(found.body());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let name = format!("attachment; filename=\"{exchange}.{ending}\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

fn word(what_for: For) -> &'static str {
    match what_for {
        For::Replay => "replay",
        For::Export => "export",
        For::Verify => "verify",
    }
}

/// May this caller read recordings of the model? Of one that is configured no more, or where nobody knows which it is, the gateway is
/// asked for as a whole.
fn judge(state: &ApiState, guest: &Guest, of: Option<&Event>) -> Verdict {
    let model = of.and_then(|event| event.model.as_deref());
    let described = model.and_then(|model| state.pipeline.described(model));
    let question = Question {
        caller: &guest.caller,
        action: Action::Replay,
        resource: described.as_ref().map_or(Resource::Gateway, |model| Resource::Model(&model.name)),
        context: Context {
            transport: guest.transport,
            upstream_encrypted: described.as_ref().is_some_and(|model| model.tls == "required"),
            source_ip: guest.source,
            now: state.clock.now(),
            method: Route::Recording.method(),
            path: Route::Recording.path(),
            requested_model: None,
        },
    };
    state.policies.load().decide(&question, false)
}

/// Who reads what, for the audit log.
struct Reads<'r> {
    state: &'r ApiState,
    guest: &'r Guest,
    exchange: &'r str,
    of: Option<&'r Event>,
    verdict: &'r Verdict,
}

impl Reads<'_> {
    async fn record(&self, detail: String) -> Result<(), Problem> {
        let verdict = if self.verdict.outcome == Outcome::Permit { "permit" } else { "deny" };
        let event = Event {
            model: self.of.and_then(|event| event.model.clone()),
            exchange: Some(self.exchange.to_owned()),
            decision: Some(Decision {
                verdict: verdict.to_owned(),
                policies: self.verdict.policies.clone(),
                approval: None,
            }),
            recording: self.of.and_then(|event| event.recording.as_ref()).map(|recording| event::Recording {
                id: recording.id.clone(),
                ..event::Recording::default()
            }),
            ..reading::event(self.guest, "recording_read", detail)
        };
        reading::append(self.state, event).await
    }
}

fn forbidden(guest: &Guest, of: Option<&Event>) -> Problem {
    let user = guest.caller.user();
    let (what, resource) = match of.and_then(|event| event.model.as_deref()) {
        Some(model) => (format!("recordings of {model}"), format!("Model::{model:?}")),
        None => ("this recording".to_owned(), "Gateway::\"gateway\"".to_owned()),
    };
    Problem::new(code::DENIED, format!("policy does not let {user} replay {what}")).remedy(format!(
        "ask the gateway's operator for a policy that permits Action::\"replay\" on {resource}"
    ))
}

fn absent() -> Problem {
    Problem::new(code::RECORDING_ABSENT, "the gateway has no recording of this exchange")
        .remedy("`hoopctl sessions show` tells whether there should be one; `record` of the model says what is recorded")
}

/// There is none: was it removed as configured?
async fn missing(state: &ApiState, of: Option<&Event>) -> Result<Problem, Problem> {
    let Some(recording) = of.and_then(|event| event.recording.as_ref()) else { return Ok(absent()) };
    let filter = Filter {
        kind: Some("recording_deleted".to_owned()),
        model: of.and_then(|event| event.model.clone()),
        limit: MOST_READ,
        ..Filter::default()
    };
    let events = state.scribe.query(&filter).await.map_err(unread_log)?.events;
    let names = |event: &&Event| {
        let detail = event.detail.as_deref().unwrap_or_default();
        detail.split_whitespace().any(|word| word == recording.id)
    };
    Ok(events.iter().rev().find(names).map_or_else(absent, |event| {
        let text =
            format!("the recording was deleted at {}, as the audit event {} says", event.time, event.id);
        Problem::new(code::RECORDING_DELETED, text)
            .remedy("`keep` of the model in gateway.toml says how long recordings are kept")
    }))
}

/// A recording that can be given.
enum Found {
    Sealed(Source),
    /// Its first segment is open already.
    Opened(Box<Reader<BufReader<Source>>>, Vec<u8>, Identities),
}

async fn find(recordings: &Recordings, exchange: &str, form: Form) -> Result<Option<Found>, Problem> {
    let (recordings, exchange) = (recordings.clone(), exchange.to_owned());
    let found = tokio::task::spawn_blocking(move || look(&recordings, &exchange, form)).await;
    found.map_err(|error| unread(&RecordError(error.to_string())))?
}

/// Opens the file, and the first segment where it is wanted open. Blocks.
fn look(recordings: &Recordings, exchange: &str, form: Form) -> Result<Option<Found>, Problem> {
    let again = || recordings.read(exchange).map_err(|error| unread(&error));
    let Some(source) = again()? else { return Ok(None) };
    if form == Form::Sealed {
        return Ok(Some(Found::Sealed(source)));
    }
    let damaged = |error: &dyn std::fmt::Display| unread(&RecordError(error.to_string()));
    if let Some(identities) = recordings.identities() {
        let mut reader = Reader::new(BufReader::new(source)).map_err(|e| damaged(&e))?;
        let first = reader.segment().map_err(|e| damaged(&e))?;
        let opened = first.map(|segment| segment.open(reader.header(), identities)).transpose();
        match opened {
            Ok(lines) => {
                let lines = lines.unwrap_or_default();
                return Ok(Some(Found::Opened(Box::new(reader), lines, identities.clone())));
            }
            Err(SealError::NotForYou) => {}
            Err(error) => return Err(damaged(&error)),
        }
    }
    if form == Form::Opened {
        return Err(Problem::new(
            code::RECORDING_SEALED,
            "the recording is sealed to its recipients, and the gateway is none of them",
        )
        .remedy("open it where the age identity of a recipient is: --identity FILE"));
    }
    Ok(again()?.map(Found::Sealed))
}

impl Found {
    fn body(self) -> Body {
        let (sender, mut receiver) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || match self {
            Self::Sealed(source) => pass(source, &sender),
            Self::Opened(reader, lines, identities) => open(*reader, lines, &identities, &sender),
        });
        let pieces = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
        Body::from_stream(pieces)
    }
}

type Sender = mpsc::Sender<io::Result<Bytes>>;

fn pass(mut source: Source, sender: &Sender) {
    loop {
        let mut piece = vec![0; PIECE];
        let sent = match source.read(&mut piece) {
            Ok(0) => return,
            Ok(read) => {
                piece.truncate(read);
                Ok(piece.into())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = sent.is_err();
        // Whoever read it has left.
        if sender.blocking_send(sent).is_err() || failed {
            return;
        }
    }
}

fn open(mut reader: Reader<BufReader<Source>>, lines: Vec<u8>, identities: &Identities, sender: &Sender) {
    let mut next = Ok(Some(lines));
    while let Some(sent) = next.transpose() {
        let failed = sent.is_err();
        if let Err(error) = &sent {
            tracing::error!(%error, "a recording could not be read to its end");
        }
        if sender.blocking_send(sent.map(Bytes::from)).is_err() || failed {
            return;
        }
        next = match reader.segment() {
            Ok(None) => Ok(None),
            Ok(Some(segment)) => {
                segment.open(reader.header(), identities).map(Some).map_err(io::Error::other)
            }
            Err(fault) => Err(io::Error::other(fault)),
        };
    }
}

fn unread(error: &RecordError) -> Problem {
    tracing::error!(%error, "a recording could not be read");
    Problem::new(code::INTERNAL, "the recording cannot be read")
        .remedy("tell the gateway's operator: the gateway's log says why; `hoopctl sessions verify` tells whether it was altered")
}

fn unread_log(error: AuditError) -> Problem {
    tracing::error!(%error, "the exchange of a recording could not be looked up");
    Problem::new(code::AUDIT_UNAVAILABLE, "the gateway's audit log cannot be read now")
        .remedy("try again; the gateway's log says why")
}

#[cfg(test)]
mod tests;
