//! What of an exchange goes into its recording: heads without secrets, what is asked masked, what is answered as the caller may see it.

mod heads;
mod masks;
mod taps;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header, request, response};
use http_body::Frame;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub(super) use self::taps::{Hold, Tap, Taped};
use self::{
    heads::{asked, fields},
    masks::Masks,
    taps::Tapped,
};
use super::{
    dialect::Call,
    exchange::Draft,
    headers,
    masking::{self, Plan},
    models::Model,
    path::Way,
    rewritten,
};
use crate::{
    evidence::{
        event,
        recording::{Side, What, sha256_text},
    },
    gateway::{
        identity::Caller,
        mask::{self, Decoder, Form, Masking, Unknown},
        record::{About, Framing, Level, RecordError, Sealed, Tape, Track, Veil},
        respond::Problem,
        upstream::Watch,
    },
};

/// Why a side is only counted.
const UNREADABLE: &str = "it cannot be masked";

/// The recording of an exchange under way.
pub(super) struct Recorded {
    tape: Tape,
    full: bool,
    /// Masks what the caller may see and who looks at recordings may not.
    plan: Option<Plan>,
    /// Bytes that nobody can mask are kept.
    unknown: Unknown,
    masking: Option<Arc<Masking>>,
}

/// Begins to record where the model says so.
///
/// # Errors
/// When the exchange must be recorded and cannot be.
pub(super) async fn begin(
    way: &Way,
    model: &Model,
    caller: &Caller,
    head: &request::Parts,
    draft: &Draft,
    unmasked: bool,
) -> Result<Option<Recorded>, Problem> {
    let terms = model.config.record;
    if terms.level == Level::Off {
        return Ok(None);
    }
    let full = terms.level == Level::Full;
    let masking = draft.masking().map(|masking| Arc::new(masking.quiet()));
    let about = About {
        exchange: draft.id(),
        session: &way.arrival.session,
        model: &model.config.name,
        dialect: model.config.dialect.name(),
        caller: caller.user(),
    };
    let tape = way.stages.recordings.begin(terms, about, asked(head, masking.as_deref())).await;
    let tape = tape.inspect_err(
        |error| tracing::error!(exchange = draft.id(), %error, "an exchange was refused: it must be recorded"),
    )?;
    let unknown = model.config.mask.as_ref().map_or(Unknown::Pass, |mask| mask.unknown);
    Ok(tape.map(|tape| {
        let plan = masking.as_ref().filter(|_| full && unmasked);
        let plan = plan.and_then(|masking| Plan::of(model, masking, head));
        let recorded = Recorded { tape, full, plan, unknown, masking };
        recorded.track(Side::Caller, || recorded.of_caller(model, head));
        recorded
    }))
}

impl Recorded {
    /// The recording's id.
    pub(super) fn id(&self) -> &str {
        self.tape.id()
    }

    /// Whether bodies are recorded.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Reads a request's body as it goes to the model; `early` was read before, `inner` reads too.
    pub(super) fn watch(&self, early: &[Frame<Bytes>], inner: Option<Box<dyn Watch>>) -> Box<dyn Watch> {
        for frame in early {
            self.said(Side::Caller, frame);
        }
        Box::new(Tapped { tape: self.tape.clone(), room: self.tape.room(Side::Caller), inner })
    }

    /// What the model gets is masked already.
    pub(super) fn asked_masked(&self, head: &request::Parts) {
        self.track(Side::Caller, || Track::kept(Side::Caller, None, framing(&head.headers)));
    }

    /// The answer begins, as the caller gets it.
    pub(super) fn replied(&self, head: &response::Parts, empty: bool) {
        let mut shown = head.headers.clone();
        let mut veiled = None;
        if let (Some(plan), false) = (&self.plan, empty) {
            veiled = Some(plan.veiled(head));
        }
        if let (Some(_), Some(masking)) = (&self.plan, &self.masking) {
            headers::mask_status(&mut shown, masking);
        }
        self.note(What::Response { status: head.status.as_u16(), headers: fields(&shown) });
        self.track(Side::Model, || {
            let framing = framing(&head.headers);
            match veiled {
                None => Track::kept(Side::Model, None, framing),
                Some(Some((Form::Binary, _))) => Track::kept(Side::Model, None, framing),
                Some(Some((form, decoder))) => {
                    let interface = self.plan.as_ref().is_some_and(Plan::is_interface);
                    Track::kept(Side::Model, self.veil(form, interface, decoder), framing)
                }
                Some(None) if self.unknown == Unknown::Pass => Track::kept(Side::Model, None, framing),
                Some(None) => Track::counted(UNREADABLE),
            }
        });
    }

    /// The exchange leaves HTTP. `masked`: what the caller says is masked before it is read here.
    pub(super) fn switched(&self, head: &response::Parts, converses: bool, masked: bool) {
        self.note(What::Response { status: head.status.as_u16(), headers: fields(&head.headers) });
        let framing = if converses { Framing::WebSocket } else { Framing::Bytes };
        self.track(Side::Caller, || match (masked, converses) {
            (true, _) => Track::kept(Side::Caller, None, framing),
            (false, true) => Track::kept(Side::Caller, self.veil(Form::WebSocketAsked, true, None), framing),
            (false, false) if self.unknown == Unknown::Pass => Track::kept(Side::Caller, None, framing),
            (false, false) => Track::counted(UNREADABLE),
        });
        self.track(Side::Model, || match (&self.plan, converses) {
            (None, _) => Track::kept(Side::Model, None, framing),
            (Some(plan), true) => {
                Track::kept(Side::Model, self.veil(Form::WebSocket, plan.is_interface(), None), framing)
            }
            (Some(_), false) => Track::counted(UNREADABLE),
        });
    }

    /// Records one side of an exchange that left HTTP, as it is read.
    pub(super) fn tap(&self, side: Side) -> Tap {
        Tap { tape: self.tape.clone(), side, room: self.tape.room(side) }
    }

    /// A frame of a body goes on.
    pub(super) fn said(&self, side: Side, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.tape.heard(side, data);
        } else if let Some(trailers) = frame.trailers_ref() {
            self.trailers(side, trailers);
        }
    }

    /// What ends an answer that cannot be recorded any more, and holds it back while it cannot be yet.
    pub(super) fn hold(&self) -> Hold {
        let lost = Box::pin(self.tape.lost_token().cancelled_owned());
        Hold { tape: self.tape.clone(), room: self.tape.room(Side::Model), lost }
    }

    /// Cancelled when the exchange must not go on.
    pub(super) fn lost_token(&self) -> CancellationToken {
        self.tape.lost_token()
    }

    /// Resolves when the exchange must not go on.
    pub(super) async fn lost(&self) -> Problem {
        self.tape.lost_token().cancelled().await;
        unrecorded(&self.tape)
    }

    /// The exchange has ended.
    pub(super) fn end(self, outcome: &str, told: impl FnOnce(event::Recording) + Send + 'static) {
        self.tape.end(outcome, move |sealed| told(of(sealed)));
    }

    fn trailers(&self, side: Side, trailers: &HeaderMap) {
        let mut shown = trailers.clone();
        if let (Some(_), Some(masking)) = (&self.plan, &self.masking) {
            headers::mask_status(&mut shown, masking);
        }
        self.note(What::Trailers { from: side, headers: fields(&shown) });
    }

    fn note(&self, what: What) {
        self.tape.note(what);
    }

    /// How a side is written down, where more than its size is.
    fn track(&self, side: Side, track: impl FnOnce() -> Track) {
        if self.full {
            self.tape.track(side, track());
        }
    }

    fn of_caller(&self, model: &Model, head: &request::Parts) -> Track {
        let call = Call::of(model.config.dialect, head);
        let framing = framing(&head.headers);
        match (rewritten::of(head, call.is_some()), masking::decoder(&head.headers)) {
            (Some(Form::Binary), _) => Track::kept(Side::Caller, None, framing),
            (Some(form), Some(decoder)) => {
                let interface = call.is_some_and(|call| call.is_interface());
                Track::kept(Side::Caller, self.veil(form, interface, decoder), framing)
            }
            _ if self.unknown == Unknown::Pass => Track::kept(Side::Caller, None, framing),
            _ => Track::counted(UNREADABLE),
        }
    }

    fn veil(&self, form: Form, interface: bool, decoder: Option<Decoder>) -> Option<Box<dyn Veil>> {
        let masking = self.masking.as_ref()?;
        let answer = mask::Answer::new(form, interface, masking);
        Some(Box::new(Masks { answer, decoder, runtime: Handle::try_current().ok() }))
    }
}

fn unrecorded(tape: &Tape) -> Problem {
    Problem::from(tape.lost().unwrap_or_else(|| RecordError(String::new())))
}

fn framing(headers: &HeaderMap) -> Framing {
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    if kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
        Framing::Grpc
    } else {
        Framing::Bytes
    }
}

/// What the audit event says of a recording.
fn of(sealed: Sealed) -> event::Recording {
    event::Recording {
        id: sealed.recording,
        sha256: sealed.sha256.as_ref().map(sha256_text),
        gaps: sealed.gaps,
        failure: sealed.failure,
    }
}
