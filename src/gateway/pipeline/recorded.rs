//! What of an exchange goes into its recording: heads without secrets, what is asked masked, what is answered as the caller may see it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header, request, response};
use http_body::Frame;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Handle,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

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
        record::{About, Framing, Level, RecordError, Room, Sealed, Tape, Track, Veil},
        respond::Problem,
        upstream::Watch,
    },
};

/// What stands in place of a secret.
const REMOVED: &str = "[removed]";

/// What names of headers and of parameters say that hold secrets.
const SECRET: [&str; 13] = [
    "auth", "cookie", "token", "secret", "passw", "api-key", "apikey", "api_key", "credential", "signature",
    "session", "access-key", "accesskey",
];

/// Parameters that hold secrets though their names do not say so: Gemini's key, signed URLs, OAuth.
const SECRET_PARAMETERS: [&str; 4] = ["key", "sig", "code", "jwt"];

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

/// Holds an answer back.
pub(super) struct Hold {
    tape: Tape,
    room: Room,
    lost: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Hold {
    /// Ready when the answer may go on.
    ///
    /// # Errors
    /// Why it must not.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Problem>> {
        if self.lost.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(unrecorded(&self.tape)));
        }
        self.room.poll(cx).map(Ok)
    }
}

fn unrecorded(tape: &Tape) -> Problem {
    Problem::from(tape.lost().unwrap_or_else(|| RecordError(String::new())))
}

/// Reads a request's body on its way.
struct Tapped {
    tape: Tape,
    room: Room,
    inner: Option<Box<dyn Watch>>,
}

impl Watch for Tapped {
    fn passes(&mut self, bytes: &[u8]) -> bool {
        if self.inner.as_mut().is_some_and(|inner| !inner.passes(bytes)) {
            return false;
        }
        self.tape.heard(Side::Caller, bytes);
        true
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.room.poll(cx)
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        self.tape.note(What::Trailers { from: Side::Caller, headers: fields(trailers) });
    }

    fn ends(&mut self) {
        self.tape.over(Side::Caller, true);
    }
}

/// Records what is read of one side.
pub(super) struct Tap {
    tape: Tape,
    side: Side,
    room: Room,
}

/// One side of a conversation, recorded as it is read where there is a tap.
pub(super) struct Taped<S> {
    pub(super) io: S,
    tap: Option<Tap>,
}

impl<S> Taped<S> {
    pub(super) fn new(io: S, tap: Option<Tap>) -> Self {
        Self { io, tap }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        if let Some(tap) = &mut this.tap {
            ready!(tap.room.poll(cx));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        if let Some(tap) = &this.tap {
            tap.tape.heard(tap.side, buf.filled().get(before..).unwrap_or_default());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Masks one side for its recording alone.
struct Masks {
    answer: mask::Answer,
    decoder: Option<Decoder>,
    /// Where those are asked who find names: a writer's thread has no runtime of its own.
    runtime: Option<Handle>,
}

impl Masks {
    fn within<T>(&mut self, masks: impl FnOnce(&mut Self) -> Result<T, mask::NotUnderstood>) -> Result<T, String> {
        let runtime = self.runtime.clone();
        let _within = runtime.as_ref().map(Handle::enter);
        masks(self).map_err(|error| format!("{UNREADABLE}: {error}"))
    }
}

impl Veil for Masks {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let done = self.within(|this| match &mut this.decoder {
            None => this.answer.push(bytes, out),
            Some(decoder) => {
                let plain = decoder.push(bytes)?;
                this.answer.push(&plain, out)
            }
        });
        done.inspect_err(|_| self.answer.abort(out))
    }

    fn finish(&mut self, whole: bool, out: &mut Vec<u8>) -> Result<(), String> {
        if !whole {
            return self.within(|this| {
                this.answer.abort(out);
                Ok(())
            });
        }
        let done = self.within(|this| {
            if let Some(decoder) = &mut this.decoder {
                let plain = decoder.finish()?;
                this.answer.push(&plain, out)?;
            }
            this.answer.finish(out)
        });
        done.inspect_err(|_| self.answer.abort(out))
    }
}

/// The head of a request, as it came.
fn asked(head: &request::Parts, masking: Option<&Masking>) -> What {
    What::Request {
        method: head.method.as_str().to_owned(),
        path: path(head, masking),
        version: format!("{:?}", head.version),
        headers: fields(&head.headers),
    }
}

/// The path, and the query without secrets and masked as texts are.
fn path(head: &request::Parts, masking: Option<&Masking>) -> String {
    let path = head.uri.path().to_owned();
    let Some(query) = head.uri.query() else { return path };
    let shown = query.split('&').map(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else { return parameter.to_owned() };
        let lower = name.to_ascii_lowercase();
        if is_secret(&lower) || SECRET_PARAMETERS.contains(&lower.as_str()) {
            return format!("{name}={REMOVED}");
        }
        match masking {
            // Nobody waits for names here.
            Some(masking) if masking.asks_for_names() => format!("{name}=[MASKED]"),
            Some(masking) => format!("{name}={}", masking.excerpt(value, true)),
            None => parameter.to_owned(),
        }
    });
    let shown: Vec<String> = shown.collect();
    format!("{path}?{}", shown.join("&"))
}

/// Names and values of headers, without secrets.
pub(super) fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = headers.iter().map(|(name, value)| {
        let value = if is_secret(name.as_str()) && !is_public(name) {
            REMOVED.to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        (name.as_str().to_owned(), value)
    });
    shown.collect()
}

fn is_secret(name: &str) -> bool {
    name.ends_with("-key") || name.ends_with("_key") || SECRET.iter().any(|part| name.contains(part))
}

/// Headers whose names sound like secrets and are none.
fn is_public(name: &HeaderName) -> bool {
    *name == header::WWW_AUTHENTICATE || name == "idempotency-key" || name.as_str().contains("ratelimit")
}

fn framing(headers: &HeaderMap) -> Framing {
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    if kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) { Framing::Grpc } else { Framing::Bytes }
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

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn secrets_are_not_recorded() {
        let secret = ["s", "3", "cret"].concat();
        let mut request = Request::post(format!("/v1/m:generate?key={secret}&alt=sse&access_token={secret}&x"));
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "x-api-key",
            "api-key",
            "x-goog-api-key",
            "x-amz-security-token",
            "x-auth-token",
            "x-session-id",
            "ocp-apim-subscription-key",
        ] {
            request = request.header(name, &secret);
        }
        let (head, ()) = request.header("accept", "*/*").body(()).unwrap().into_parts();
        let What::Request { method, path, version, headers } = asked(&head, None) else { panic!() };
        assert_eq!((method.as_str(), version.as_str()), ("POST", "HTTP/1.1"));
        assert_eq!(path, "/v1/m:generate?key=[removed]&alt=sse&access_token=[removed]&x");
        assert!(!format!("{headers:?}").contains(&secret), "{headers:?}");
        assert!(headers.contains(&("accept".to_owned(), "*/*".to_owned())));
        let mut answer = HeaderMap::new();
        answer.insert("set-cookie", secret.parse().unwrap());
        assert_eq!(fields(&answer), [("set-cookie".to_owned(), REMOVED.to_owned())]);
    }
}
