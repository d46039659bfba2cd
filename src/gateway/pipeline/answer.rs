//! An answer on its way to the caller: every frame passed on as it comes, the end told truly.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::{
    task::AbortHandle,
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{
    carried::{Signals, UnderWay},
    exchange::{Exchange, Outcome},
    headers,
    masked::{Broken, Masked},
    recorded::{Hold, Recorded},
};
use crate::{
    gateway::{
        respond::Problem,
        upstream::{self, Fault, UpstreamError},
    },
    wire::code,
};

/// The body the HTTP server writes.
pub struct Answer {
    kind: Kind,
    _under_way: Option<UnderWay>,
    _held: Option<Arc<()>>,
}

enum Kind {
    /// Made by the gateway.
    Made(Option<Bytes>),
    /// The model's.
    Streaming(Box<Streaming>),
    /// The model's, for as long as an approval lasts.
    Granted(Granted),
}

struct Streaming {
    body: upstream::Body,
    /// What stands between the body and the caller, if anything does.
    masked: Option<Box<Masked>>,
    exchange: Exchange,
    /// Longest silence of the model.
    idle: Duration,
    last: Instant,
    /// Made when the model is waited for the first time.
    silence: Option<Pin<Box<Sleep>>>,
    /// The end of the caller's own patience.
    deadline: Option<Pin<Box<Sleep>>>,
    /// The caller hears of an early end in trailers.
    in_trailers: bool,
    ending: Ending,
    authority: Option<Authority>,
    /// Ends it, or holds it back, for its recording's sake.
    recording: Option<Hold>,
}

/// What becomes of an answer that the gateway ends early, once what came before has been sent.
enum Ending {
    /// It goes on.
    None,
    /// It is cut.
    Cut,
    /// Trailers say why, and then that is all.
    Told(Option<HeaderMap>),
}

impl Ending {
    fn of(problem: &Problem, in_trailers: bool) -> Self {
        if in_trailers { Self::Told(Some(problem.grpc_trailers())) } else { Self::Cut }
    }
}

/// How an answer under way may end early.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Longest silence of the model.
    pub(super) idle: Duration,
    /// The end of the caller's own patience.
    pub(super) deadline: Option<Instant>,
    /// The caller hears of an early end in trailers (gRPC); others are cut.
    pub(super) in_trailers: bool,
}

/// The caller's authority, where nobody but the answer itself looks at it while it is given.
struct Authority {
    ended: CancellationToken,
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Answer {
    /// An answer of the gateway's own.
    pub(super) fn made(body: Bytes) -> Self {
        Self { kind: Kind::Made(Some(body)), _under_way: None, _held: None }
    }

    /// A model's answer, masked or as it is, which finishes its exchange with its last frame.
    pub(super) fn streaming(
        body: upstream::Body,
        masked: Option<Masked>,
        mut exchange: Exchange,
        terms: Terms,
    ) -> Self {
        if masked.is_none() && body.is_end_stream() {
            // Nobody asks an empty body for its end.
            exchange.finish(Outcome::Complete);
        }
        let Terms { idle, deadline, in_trailers } = terms;
        let grant = exchange.grant().map(|grant| {
            let ended = Problem::approval_ended(&grant.id, exchange.model());
            (grant.ended().clone(), Ending::of(&ended, in_trailers))
        });
        let signals = Arc::clone(exchange.signals());
        let recording = exchange.recorded().map(Recorded::hold);
        let streaming = Box::new(Streaming {
            body,
            masked: masked.map(Box::new),
            exchange,
            idle,
            last: Instant::now(),
            silence: None,
            deadline: deadline.map(|at| Box::pin(sleep_until(at))),
            in_trailers,
            ending: Ending::None,
            authority: None,
            recording,
        });
        let kind = match grant {
            None => Kind::Streaming(streaming),
            Some((ended, ending)) => Kind::Granted(Granted::new(streaming, ended, ending, signals)),
        };
        Self { kind, _under_way: None, _held: None }
    }

    /// Keeps the exchange under way until the answer is dropped.
    pub(super) fn holding(self, under_way: UnderWay) -> Self {
        Self { _under_way: Some(under_way), ..self }
    }

    /// Cuts the answer when `ended` is cancelled, and holds `held` until it is dropped.
    pub(super) fn until(mut self, ended: CancellationToken, held: Arc<()>) -> Self {
        match &mut self.kind {
            Kind::Made(_) => {}
            Kind::Streaming(streaming) => streaming.until(ended),
            Kind::Granted(granted) => {
                if let Some(streaming) = granted.held().as_mut() {
                    streaming.until(ended);
                }
            }
        }
        Self { _held: Some(held), ..self }
    }
}

/// The answer ends here though it is not complete; the server turns this into a reset.
#[derive(Debug)]
pub struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the model's answer was cut")
    }
}

impl std::error::Error for Cut {}

impl Body for Answer {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut self.kind {
            Kind::Made(body) => {
                Poll::Ready(body.take().filter(|body| !body.is_empty()).map(|body| Ok(Frame::data(body))))
            }
            Kind::Streaming(streaming) => streaming.poll_frame(cx),
            Kind::Granted(granted) => granted.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Made(body) => body.as_ref().is_none_or(Bytes::is_empty),
            Kind::Streaming(streaming) => streaming.is_over(),
            Kind::Granted(granted) => granted.held().as_ref().is_some_and(|streaming| streaming.is_over()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Made(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Kind::Streaming(streaming) => streaming.size_hint(),
            Kind::Granted(granted) => {
                granted.held().as_ref().map(|streaming| streaming.size_hint()).unwrap_or_default()
            }
        }
    }
}

/// An answer that a task takes away when its approval ends, also from a caller who reads nothing meanwhile.
struct Granted {
    /// Empty once the approval has ended.
    streaming: Arc<Mutex<Option<Box<Streaming>>>>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    taker: AbortHandle,
    signals: Arc<Signals>,
    /// What is done at the end.
    ending: Ending,
    /// The end was seen, and what came before it is being sent.
    cutting: bool,
}

impl Granted {
    fn new(
        streaming: Box<Streaming>,
        ended: CancellationToken,
        ending: Ending,
        signals: Arc<Signals>,
    ) -> Self {
        let streaming = Arc::new(Mutex::new(Some(streaming)));
        let taker = tokio::spawn({
            let (streaming, ended) = (Arc::clone(&streaming), ended.clone());
            async move {
                ended.cancelled().await;
                take(&streaming);
            }
        });
        let ended = Box::pin(ended.cancelled_owned());
        Self { streaming, ended, taker: taker.abort_handle(), signals, ending, cutting: false }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.cutting {
            return match &mut self.ending {
                Ending::Told(trailers) => Poll::Ready(trailers.take().map(|told| Ok(Frame::trailers(told)))),
                Ending::None | Ending::Cut => {
                    self.signals.answer_cut();
                    Poll::Ready(Some(Err(Cut)))
                }
            };
        }
        if self.ended.as_mut().poll(cx).is_ready() {
            if take(&self.streaming) {
                return Poll::Ready(None);
            }
            self.cutting = true;
            // As with every cut: the server writes out what it holds when a body has nothing to give.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.held().as_mut() {
            Some(streaming) => streaming.poll_frame(cx),
            None => Poll::Pending,
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<Box<Streaming>>> {
        self.streaming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        self.taker.abort();
    }
}

/// Ends an answer whose approval has ended, and its model's work; true when it was complete before.
fn take(streaming: &Mutex<Option<Box<Streaming>>>) -> bool {
    let mut held = streaming.lock().unwrap_or_else(PoisonError::into_inner);
    if held.as_ref().is_some_and(|streaming| streaming.is_over()) {
        return true;
    }
    if let Some(mut streaming) = held.take() {
        streaming.exchange.finish(Outcome::ApprovalEnded);
    }
    false
}

impl Streaming {
    fn until(&mut self, ended: CancellationToken) {
        if !self.is_body_over() {
            let ending = Box::pin(ended.clone().cancelled_owned());
            self.authority = Some(Authority { ended, ending });
        }
    }

    fn is_body_over(&self) -> bool {
        self.masked.as_ref().map_or_else(|| self.body.is_end_stream(), |masked| masked.is_over())
    }

    fn size_hint(&self) -> SizeHint {
        // Nobody knows how long masked text will be.
        if self.masked.is_some() { SizeHint::default() } else { self.body.size_hint() }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.masked {
            Some(masked) => masked.poll_frame(&mut self.body, &mut self.exchange, cx),
            None => {
                let polled = Pin::new(&mut self.body).poll_frame(cx).map_err(Broken::Cut);
                if let Poll::Ready(Some(Ok(frame))) = &polled
                    && let Some(data) = frame.data_ref()
                {
                    self.exchange.read(data);
                }
                polled
            }
        }
    }

    fn is_over(&self) -> bool {
        match &self.ending {
            Ending::None => self.is_body_over(),
            Ending::Cut => false,
            Ending::Told(trailers) => trailers.is_none(),
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut self.ending {
            Ending::None => {}
            Ending::Cut => {
                self.exchange.signals().answer_cut();
                return Poll::Ready(Some(Err(Cut)));
            }
            Ending::Told(trailers) => {
                return Poll::Ready(trailers.take().map(|told| Ok(Frame::trailers(told))));
            }
        }
        if let Some(authority) = &mut self.authority
            && authority.ending.as_mut().poll(cx).is_ready()
        {
            return self.revoked(cx);
        }
        if let Some(recording) = &mut self.recording
            && let Err(problem) = ready!(recording.poll(cx))
        {
            self.exchange.finish(Outcome::RecordingFailed);
            return self.fail(&problem, cx);
        }
        match self.poll_body(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    headers::trailers_towards_caller(trailers);
                    if let Some(masked) = &self.masked {
                        masked.tell(trailers);
                    }
                }
                self.last = Instant::now();
                self.exchange.gave(&frame);
                // The server does not ask again once it knows the end, and trailers are one; by then the finish must be written.
                if frame.is_trailers() || self.is_body_over() {
                    self.exchange.finish(Outcome::Complete);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(Broken::Cut(error)))) => {
                tracing::warn!(exchange = self.exchange.id(), %error, "a model's answer was cut");
                self.fail(&Problem::answer_cut(), cx)
            }
            Poll::Ready(Some(Err(Broken::Unreadable(error)))) => {
                tracing::warn!(exchange = self.exchange.id(), %error, "a model's answer was cut: it cannot be masked");
                self.exchange.finish(Outcome::MaskingFailed);
                self.fail(&Problem::answer_unreadable(&error), cx)
            }
            Poll::Ready(None) => {
                self.exchange.finish(Outcome::Complete);
                Poll::Ready(None)
            }
            Poll::Pending if self.is_silent(cx) => {
                tracing::warn!(
                    exchange = self.exchange.id(),
                    "a model fell silent in the middle of its answer"
                );
                self.fail(&Problem::from(&UpstreamError::Timeout { after: self.idle }), cx)
            }
            Poll::Pending if self.deadline.as_mut().is_some_and(|at| at.as_mut().poll(cx).is_ready()) => {
                self.exchange.finish(Outcome::Aborted);
                self.fail(&Problem::deadline_passed(), cx)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Ends the exchange now, and the answer with the next poll: the server writes out what it holds only when a body has nothing to
    /// give, and those bytes came before the cut.
    fn fail(&mut self, problem: &Problem, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.ending = Ending::of(problem, self.in_trailers);
        self.exchange.finish(match self.exchange.figures().fault() {
            Some(Fault::Caller) => Outcome::CallerLeft,
            Some(Fault::Unreadable) => Outcome::MaskingFailed,
            Some(Fault::TooLong | Fault::Ambiguous | Fault::Malformed(_)) => Outcome::Aborted,
            None => Outcome::UpstreamCut,
        });
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn revoked(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let over = Problem::new(code::LOGIN_REQUIRED, "the session has been ended");
        self.ending = Ending::of(&over, self.in_trailers);
        self.exchange.signals().revoke();
        self.exchange.finish(Outcome::Revoked);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether nothing has come for too long. The timer is moved only when it rings, not with every frame.
    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        let (last, idle) = (self.last, self.idle);
        let silence = self.silence.get_or_insert_with(|| Box::pin(sleep_until(last + idle)));
        while silence.as_mut().poll(cx).is_ready() {
            if last + idle <= Instant::now() {
                return true;
            }
            silence.as_mut().reset(last + idle);
        }
        false
    }
}

impl Drop for Streaming {
    /// Tells the exchange, which is dropped next, why: a caller who takes no bytes does not ask for the end either.
    fn drop(&mut self) {
        if self.authority.as_ref().is_some_and(|authority| authority.ended.is_cancelled()) {
            self.exchange.signals().revoke();
        }
    }
}
