//! The audit event of one exchange: drafted while the stages pass, intended before the first byte, finished exactly once.

use std::{fmt::Write, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header, request::Parts, response};
use http_body::Frame;
use tokio::time::Instant;

use super::{
    carried::Signals,
    dialect::{Asked, Call, Looked, Reading, Work},
    limits::{Admitted, Limits},
    meters::Meters,
    path::{Figures, Way},
    recorded::Recorded,
};
use crate::{
    clock,
    evidence::{
        event::{self, Event, Leg},
        recording::Side,
    },
    gateway::{
        approval::Grant,
        audit::{Intent, Scribe},
        identity::Caller,
        mask::Masking,
        policy::{self, Permit, Verdict},
        respond::Problem,
    },
    id,
};

/// Longest path kept in an audit event, bytes.
const MAX_PATH: usize = 4096;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The whole answer was passed on.
    Complete,
    /// A stage said no.
    Refused,
    /// The caller was gone before the answer was complete.
    CallerLeft,
    /// The model's server cut its answer.
    UpstreamCut,
    /// The model's server gave no answer.
    UpstreamFailed,
    /// The caller's authority ended.
    Revoked,
    /// The approval it lived by ended, by time or by a no.
    ApprovalEnded,
    /// The answer could not be masked.
    MaskingFailed,
    /// It could not be recorded any more.
    RecordingFailed,
    /// The gateway ended it.
    Aborted,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Refused => "refused",
            Self::CallerLeft => "caller_left",
            Self::UpstreamCut => "upstream_cut",
            Self::UpstreamFailed => "upstream_failed",
            Self::Revoked => "revoked",
            Self::ApprovalEnded => "approval_ended",
            Self::MaskingFailed => "masking_failed",
            Self::RecordingFailed => "recording_failed",
            Self::Aborted => "aborted",
        }
    }
}

/// An exchange before its intent.
pub(super) struct Draft {
    id: String,
    event: Event,
    began: Instant,
    /// An intent stands for the exchange: what becomes of it is written through that.
    intended: bool,
    /// What the answer is to be read as.
    counted: Option<Work>,
    asked: Option<Asked>,
    /// Masks what the event shows of the request, and counts what is masked of the answer.
    masking: Option<Arc<Masking>>,
    admitted: Option<Admitted>,
    recorded: Option<Recorded>,
}

impl Draft {
    pub(super) fn new(way: &Way, head: &Parts) -> Self {
        let now = way.stages.clock.now();
        let id = id::new("ex", now);
        let event = Event {
            schema: event::SCHEMA.to_owned(),
            id: id::new("ev", now),
            time: clock::rfc3339(now),
            kind: "exchange".to_owned(),
            model: Some(way.arrival.model.clone()),
            session: Some(way.arrival.session.clone()),
            exchange: Some(id.clone()),
            request: Some(event::Request {
                method: head.method.as_str().to_owned(),
                path: bounded(head.uri.path()),
                ..event::Request::default()
            }),
            evidence: Some(event::Evidence { client: Some(way.leg.clone()), upstream: None }),
            source: Some(way.arrival.source.to_string()),
            ..Event::default()
        };
        Self {
            id,
            event,
            began: Instant::now(),
            intended: false,
            counted: None,
            asked: None,
            masking: None,
            admitted: None,
            recorded: None,
        }
    }

    /// The exchange's id, which is the request id in every answer the gateway makes.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn caller(&mut self, caller: &Caller, way: &Way) {
        self.event.caller = Some(event::Caller {
            subject: caller.subject.clone(),
            email: caller.email.clone(),
            groups: caller.groups.clone(),
            provider: caller.provider.clone(),
            client: way.arrival.client.clone(),
        });
    }

    /// What the request shows of itself.
    pub(super) fn understood(&mut self, call: &Call, looked: &Looked) {
        self.counted = call.counted.then_some(call.work);
        self.asked.clone_from(&looked.asked);
        if let Some(request) = &mut self.event.request {
            request.requested_model.clone_from(&looked.model);
        }
    }

    /// What of the exchange is shown to anybody is masked by this.
    pub(super) fn masked_by(&mut self, masking: &Arc<Masking>) {
        self.masking = Some(Arc::clone(masking));
    }

    /// What masks it, where anything of it is masked.
    pub(super) fn masking(&self) -> Option<&Arc<Masking>> {
        self.masking.as_ref()
    }

    /// These policies let the caller see the answer as it is.
    pub(super) fn unmasked(&mut self, policies: Vec<String>) {
        self.event.unmasked = Some(event::Unmasked { policies });
    }

    /// Limits have room; it is held until the exchange ends.
    pub(super) fn admitted(&mut self, admitted: Admitted) {
        self.admitted = Some(admitted);
    }

    /// It is recorded, if it is; thrown away unless it is intended.
    pub(super) fn recorded(&mut self, recorded: Option<Recorded>) {
        self.event.recording = recorded
            .as_ref()
            .map(|recorded| event::Recording { id: recorded.id().to_owned(), ..event::Recording::default() });
        self.recorded = recorded;
    }

    /// Its recording.
    pub(super) fn recording(&self) -> Option<&Recorded> {
        self.recorded.as_ref()
    }

    /// Whether its bodies are recorded.
    pub(super) fn records_bodies(&self) -> bool {
        self.recorded.as_ref().is_some_and(Recorded::is_full)
    }

    pub(super) fn permitted(&mut self, permit: &Permit, grant: Option<&Grant>) {
        self.decided("permit", permit.policies(), grant.map(|grant| grant.id.clone()));
    }

    /// The exchange goes on after a wait: that is not the model's time, and the caller may have other groups now.
    pub(super) fn resumed(&mut self, caller: &Caller, way: &Way) {
        self.event.time = clock::rfc3339(way.stages.clock.now());
        self.began = Instant::now();
        self.caller(caller, way);
    }

    /// The approval that is missing has been asked for.
    pub(super) fn waits_for(&mut self, approval: &str) {
        if let Some(decision) = &mut self.event.decision {
            decision.approval = Some(approval.to_owned());
        }
    }

    /// Policy did not say yes.
    pub(super) fn verdict(&mut self, verdict: &Verdict) {
        let word = match verdict.outcome {
            policy::Outcome::Ask => "ask",
            policy::Outcome::Permit | policy::Outcome::Deny => "deny",
        };
        self.decided(word, &verdict.policies, None);
    }

    fn decided(&mut self, verdict: &str, policies: &[String], approval: Option<String>) {
        self.event.decision =
            Some(event::Decision { verdict: verdict.to_owned(), policies: policies.to_vec(), approval });
    }

    /// Writes the intent; durable when it returns.
    pub(super) async fn intend(
        &mut self,
        way: &Way,
        figures: Figures,
        grant: Option<Grant>,
    ) -> Result<Exchange, Problem> {
        show(&mut self.event, self.asked.as_ref(), self.masking.as_ref()).await;
        let intent = way.stages.scribe.intend(self.event.clone()).await.inspect_err(
            |error| tracing::error!(exchange = self.id(), %error, "an exchange was refused: its intent cannot be written"),
        )?;
        self.intended = true;
        Ok(Exchange {
            id: self.id.clone(),
            open: Some((intent, std::mem::take(&mut self.event))),
            began: self.began,
            first_byte: None,
            first_token: None,
            figures,
            signals: Arc::clone(&way.signals),
            status: 0,
            bytes: 0,
            sent: None,
            leg: None,
            counted: self.counted,
            asked: self.asked.take(),
            masking: self.masking.take(),
            converses: false,
            reading: None,
            admitted: self.admitted.take(),
            recorded: self.recorded.take(),
            limits: way.stages.limits.clone(),
            meters: way.stages.meters.clone(),
            grant,
        })
    }

    /// Writes the complete event of an exchange that no intent stands for.
    pub(super) async fn refused(&mut self, scribe: &Scribe, problem: &Problem) {
        if self.intended {
            return;
        }
        let mut event = self.event.clone();
        // What was begun of it is thrown away.
        event.recording = None;
        show(&mut event, self.asked.as_ref(), self.masking.as_ref()).await;
        event.detail = Some(format!("{}: {}", problem.code(), problem.message()));
        event.response = Some(event::Response {
            status: problem.http_status().as_u16(),
            duration_ms: millis(self.began),
            outcome: Outcome::Refused.word().to_owned(),
            ..event::Response::default()
        });
        if let Err(error) = scribe.record(event).await {
            // The caller is refused either way; nothing was forwarded.
            tracing::error!(exchange = self.id(), %error, "a refusal could not be written to the audit log");
        }
    }
}

/// An exchange whose intent is written. Dropped before its end, it finishes by what is known then.
pub(super) struct Exchange {
    id: String,
    /// `None` once finished.
    open: Option<(Intent, Event)>,
    began: Instant,
    first_byte: Option<u64>,
    first_token: Option<u64>,
    figures: Figures,
    signals: Arc<Signals>,
    status: u16,
    bytes: u64,
    /// What the model's side has taken since the exchange left HTTP; `None` before.
    sent: Option<u64>,
    leg: Option<Leg>,
    counted: Option<Work>,
    asked: Option<Asked>,
    masking: Option<Arc<Masking>>,
    converses: bool,
    reading: Option<Box<Reading>>,
    admitted: Option<Admitted>,
    recorded: Option<Recorded>,
    limits: Limits,
    meters: Meters,
    /// The approval it lives by.
    grant: Option<Grant>,
}

impl Exchange {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The model's name.
    pub(super) fn model(&self) -> &str {
        self.open.as_ref().and_then(|(_, event)| event.model.as_deref()).unwrap_or_default()
    }

    pub(super) fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }

    /// Does something unless the approval or the recording ends before it is done: then it is dropped, the exchange finished and the
    /// caller told.
    pub(super) async fn unless_ended<T>(&mut self, what: impl Future<Output = T>) -> Result<T, Problem> {
        let grant = self.grant.as_ref();
        if grant.is_none() && self.recorded.is_none() {
            return Ok(what.await);
        }
        let (problem, outcome) = tokio::select! {
            biased;
            () = ended(grant) => {
                let id = grant.map(|grant| grant.id.as_str()).unwrap_or_default();
                (Problem::approval_ended(id, self.model()), Outcome::ApprovalEnded)
            }
            problem = lost(self.recorded.as_ref()) => (problem, Outcome::RecordingFailed),
            done = what => return Ok(done),
        };
        self.status(problem.http_status());
        self.finish(outcome);
        Err(problem)
    }

    /// Its recording, while it is under way.
    pub(super) fn recorded(&self) -> Option<&Recorded> {
        self.recorded.as_ref()
    }

    /// The answer's head goes on to the caller; `empty`: no body follows.
    pub(super) fn replied(&self, head: &response::Parts, empty: bool) {
        if let Some(recorded) = &self.recorded {
            recorded.replied(head, empty);
        }
    }

    /// A frame of the answer goes on to the caller.
    pub(super) fn gave(&self, frame: &Frame<Bytes>) {
        if let Some(recorded) = &self.recorded {
            recorded.said(Side::Model, frame);
        }
    }

    pub(super) fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    pub(super) fn figures(&self) -> &Figures {
        &self.figures
    }

    pub(super) fn status(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }

    /// The head of the answer has come.
    pub(super) fn answered(&mut self, status: StatusCode, headers: &HeaderMap, leg: &Leg) {
        self.status(status);
        self.leg = Some(leg.clone());
        // What a model refuses or fails at costs no tokens.
        let work = self.counted.filter(|_| status.is_success());
        self.reading = work.map(|work| Box::new(Reading::new(work, headers)));
    }

    /// The exchange leaves HTTP, for a conversation over WebSocket if the answer's headers say so.
    pub(super) fn switched(&mut self, headers: &HeaderMap) {
        let websocket =
            headers.get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
        let understood = self.counted.is_some();
        self.reading = websocket.then(|| Box::new(Reading::conversation(understood)));
        self.converses = websocket;
        self.sent = Some(0);
    }

    /// The model's side has taken bytes of an exchange that left HTTP.
    pub(super) fn sent(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.sent = self.sent.map(|sent| sent.saturating_add(bytes));
    }

    /// Whether the exchange is a conversation over WebSocket.
    pub(super) fn converses(&self) -> bool {
        self.converses
    }

    /// Whether the model's side has closed the conversation in so many words.
    pub(super) fn is_closed(&self) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.is_closed())
    }

    /// Bytes of the answer's body pass, and are read on their way.
    pub(super) fn read(&mut self, data: &[u8]) {
        self.passed(data.len() as u64);
        self.observed(data);
    }

    /// Bytes of the answer are read that may be others before they pass.
    pub(super) fn observed(&mut self, data: &[u8]) {
        let Some(reading) = &mut self.reading else { return };
        reading.read(data);
        if self.first_token.is_none() && reading.has_begun() {
            self.first_token = Some(millis(self.began));
            let model = self.open.as_ref().and_then(|(_, event)| event.model.as_deref());
            self.meters.first_token(model.unwrap_or_default(), self.began.elapsed());
        }
    }

    /// So many bytes go on to the caller.
    pub(super) fn passed(&mut self, bytes: u64) {
        if self.first_byte.is_none() && bytes > 0 {
            self.first_byte = Some(millis(self.began));
        }
        self.bytes += bytes;
    }

    /// Writes the finish; what comes later changes nothing. What left HTTP has no body, and so no digest.
    pub(super) fn finish(&mut self, outcome: Outcome) {
        let Some((intent, mut event)) = self.open.take() else { return };
        let (bytes, sha256) = match self.sent {
            Some(sent) => (sent, None),
            None => (self.figures.bytes(), self.figures.sha256().map(|sha256| hex(sha256))),
        };
        if self.masking.as_ref().is_none_or(|masking| !masking.asks_for_names()) {
            show_now(&mut event, self.asked.as_ref(), self.masking.as_deref());
        }
        let complete = outcome == Outcome::Complete;
        let tokens = self.reading.take().and_then(|reading| reading.tokens(bytes, complete));
        if let Some(admitted) = self.admitted.take()
            && let Some(tokens) = tokens
        {
            admitted.spend(tokens.input.saturating_add(tokens.output), self.limits.now());
        }
        if let Some(request) = &mut event.request {
            request.bytes = bytes;
            request.sha256 = sha256;
        }
        if let Some(masking) = &self.masking {
            event.masked = masking.counts();
            self.meters.masked(event.model.as_deref().unwrap_or_default(), &event.masked);
        }
        if let Some(evidence) = &mut event.evidence {
            evidence.upstream = self.leg.take();
        }
        event.response = Some(event::Response {
            status: self.status,
            bytes: self.bytes,
            tokens,
            first_byte_ms: self.first_byte,
            first_token_ms: self.first_token,
            duration_ms: millis(self.began),
            outcome: outcome.word().to_owned(),
        });
        match self.recorded.take() {
            None => write(intent, event),
            // The event has the recording's digest, and waits for it no longer than is bounded there.
            Some(recorded) => recorded.end(outcome.word(), move |recording| {
                event.recording = Some(recording);
                write(intent, event);
            }),
        }
    }
}

fn write(intent: Intent, event: Event) {
    let exchange = event.exchange.clone();
    if let Err(error) = intent.finish(event) {
        // The intent stays on record, so the exchange is found `interrupted`, never lost.
        tracing::error!(exchange, %error, "the end of an exchange could not be written to the audit log");
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.finish(if self.signals.revoked() {
            Outcome::Revoked
        } else if self.grant.as_ref().is_some_and(|grant| grant.ended().is_cancelled()) {
            Outcome::ApprovalEnded
        } else if self.signals.abandoned() {
            Outcome::Aborted
        } else {
            Outcome::CallerLeft
        });
    }
}

/// Resolves when an approval ends; never without one.
pub(super) async fn ended(grant: Option<&Grant>) {
    match grant {
        Some(grant) => grant.ended().cancelled().await,
        None => std::future::pending().await,
    }
}

/// Resolves when an exchange that must be recorded cannot be; never where it need not be.
pub(super) async fn lost(recorded: Option<&Recorded>) -> Problem {
    match recorded {
        Some(recorded) => recorded.lost().await,
        None => std::future::pending().await,
    }
}

/// What is known of the request by now, masked beside this thread where that may block.
async fn show(event: &mut Event, asked: Option<&Asked>, masking: Option<&Arc<Masking>>) {
    let (Some(asked), Some(masking)) = (asked, masking.filter(|masking| masking.asks_for_names())) else {
        return show_now(event, asked, masking.map(AsRef::as_ref));
    };
    let (beside, masking) = (asked.clone(), Arc::clone(masking));
    let input = tokio::task::spawn_blocking(move || beside.input(&masking)).await;
    show_now(event, Some(asked), None);
    if let (Some(request), Ok(input)) = (&mut event.request, input) {
        request.input = input;
    }
}

/// What is known of the request by now.
fn show_now(event: &mut Event, asked: Option<&Asked>, masking: Option<&Masking>) {
    if let Some(request) = &mut event.request
        && let Some(asked) = asked
    {
        request.stream = asked.streams();
        request.input = masking.and_then(|masking| asked.input(masking));
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn bounded(path: &str) -> String {
    let end = path.floor_char_boundary(MAX_PATH);
    path.get(..end).unwrap_or_default().to_owned()
}

/// Lowercase hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
