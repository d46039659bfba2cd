//! Exchanges that leave HTTP (`101 Switching Protocols`, WebSocket above all): bytes both ways until either side ends.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response, header};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    answer::{Answer, Terms},
    engine::Engine,
    exchange::{Exchange, Outcome, ended},
    headers,
    masking::Plan,
    models::Model,
    path::{self, Way, failed},
    recorded::{Recorded, Tap, Taped},
    veiled::Veiled,
    websocket::{self, Close, Frames},
};
use crate::{
    evidence::recording::Side,
    gateway::{
        framing::Malformed,
        mask::Unknown,
        policy::Permit,
        respond::Problem,
        upstream::{Outgoing, UpstreamError},
    },
    tunnel,
};

/// For a caller to be told why their WebSocket ends; one who takes no bytes is cut.
pub(super) const LAST_WORD: Duration = Duration::from_millis(500);

/// For a caller to end their side of a WebSocket once the model's has ended. Other protocols may go on one way.
const PARTING: Duration = Duration::from_secs(10);

/// What masks the two sides of an exchange that leaves HTTP.
#[derive(Default)]
pub(super) struct Veils {
    /// What the model says.
    pub(super) answer: Option<Plan>,
    /// What the caller says, in a conversation.
    pub(super) asked: Option<Engine>,
}

impl Veils {
    /// Whether bytes may pass that are no conversation, and cannot be masked.
    fn let_pass(&self, model: &Model) -> bool {
        let unknown = model.config.mask.as_ref().map(|mask| mask.unknown);
        self.answer.is_none() && self.asked.is_none() || unknown == Some(Unknown::Pass)
    }
}

/// Sends a request that asks to leave HTTP. The model's server may say no, which is an answer like any other.
pub(super) async fn send(
    way: &Arc<Way>,
    model: &Model,
    permit: &Permit,
    request: Request<Outgoing>,
    caller: OnUpgrade,
    mut exchange: Exchange,
    veils: Veils,
) -> Result<Response<Answer>, Problem> {
    let asked: Vec<Vec<u8>> =
        headers::tokens(request.headers(), &header::UPGRADE).map(<[u8]>::to_vec).collect();
    let (mut answered, server) = match exchange.unless_ended(model.upstream.upgrade(permit, request)).await? {
        Ok(asked) => asked,
        Err(error) => return Err(failed(&error, exchange)),
    };
    if server.is_some() && !headers::switches_as_asked(&asked, &answered.head.headers) {
        // What speaks then is no protocol that anybody here has agreed to.
        return Err(failed(&UpstreamError::AnswerMalformed(Malformed::Unasked), exchange));
    }
    let idle = model.upstream.idle();
    let Some(server) = server else {
        headers::towards_caller(&mut answered.head.headers);
        let masked = path::masked(veils.answer.as_ref(), &mut answered, &mut exchange, idle).await?;
        exchange.replied(&answered.head, answered.body.is_end_stream());
        let terms = Terms { idle, deadline: None, in_trailers: false };
        let answer = Answer::streaming(answered.body, masked, exchange, terms);
        return Ok(Response::from_parts(answered.head, answer));
    };
    exchange.answered(answered.head.status, &answered.head.headers, &answered.leg);
    let converses = websocket::is_switch(&answered.head.headers);
    if !converses && !veils.let_pass(model) {
        return Err(path::unmaskable(Problem::answer_unknown(Some("an upgraded connection")), &mut exchange));
    }
    let masked = veils.answer.filter(|_| converses).map(|plan| plan.socket());
    let asked = veils.asked.filter(|_| converses);
    exchange.switched(&answered.head.headers);
    headers::towards_caller_switching(&mut answered.head.headers);
    if let Some(recorded) = exchange.recorded() {
        recorded.switched(&answered.head, converses, asked.is_some());
    }
    let frames = converses.then(Frames::default);
    way.signals.switch(Box::pin(carry(
        (caller, asked),
        (server, masked),
        frames,
        way.ended.clone(),
        exchange,
    )));
    Ok(Response::from_parts(answered.head, Answer::made(bytes::Bytes::new())))
}

/// Carries the bytes of both sides until both have ended, or what the exchange lives by.
async fn carry(
    (caller, asked): (OnUpgrade, Option<Engine>),
    (server, masked): (OnUpgrade, Option<Engine>),
    frames: Option<Frames>,
    revoked: CancellationToken,
    mut exchange: Exchange,
) {
    let (caller, server) = match tokio::try_join!(caller, server) {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(exchange = exchange.id(), %error, "an exchange did not leave HTTP after all");
            exchange.signals().answer_cut();
            exchange.finish(Outcome::Aborted);
            return;
        }
    };
    let noting = Noting { io: TokioIo::new(caller), failed: false, frames, cut: false, close: None };
    let (of_caller, of_server) = (tap(&exchange, Side::Caller), tap(&exchange, Side::Model));
    let lost = exchange.recorded().map(Recorded::lost_token);
    let mut caller = Taped::new(Veiled::new(noting, asked), of_caller);
    let over = CancellationToken::new();
    let heard = Heard { io: TokioIo::new(server), exchange: &mut exchange, deaf: false, over: over.clone() };
    let mut server = Taped::new(Veiled::new(heard, masked), of_server);
    let grant = server.io.side.exchange.grant().cloned();
    let spliced = tokio::select! {
        biased;
        () = revoked.cancelled() => {
            server.io.side.exchange.finish(Outcome::Revoked);
            if !caller.io.side.say(Close::Policy).await {
                server.io.side.exchange.signals().revoke();
            }
            return;
        }
        () = ended(grant.as_ref()) => {
            server.io.side.exchange.finish(Outcome::ApprovalEnded);
            if !caller.io.side.say(Close::Policy).await {
                server.io.side.exchange.signals().answer_cut();
            }
            return;
        }
        () = cancelled(lost) => {
            server.io.side.exchange.finish(Outcome::RecordingFailed);
            if !caller.io.side.say(Close::Unrecorded).await {
                server.io.side.exchange.signals().answer_cut();
            }
            return;
        }
        spliced = tunnel::splice(&mut caller, &mut server) => spliced.map(drop),
        () = async { over.cancelled().await; sleep(PARTING).await } => {
            // A caller who does not end their side holds nothing open: their stream is dropped.
            let _ = timeout(LAST_WORD, caller.shutdown()).await;
            Ok(())
        }
    };
    let unreadable = server.io.is_unreadable() || caller.io.is_unreadable();
    let caller = &mut caller.io;
    match spliced {
        Ok(()) => {
            exchange.finish(if caller.side.cut { Outcome::UpstreamCut } else { Outcome::Complete });
        }
        Err(error) => {
            tracing::debug!(exchange = exchange.id(), %error, "a switched exchange was cut");
            let (outcome, close) = match (caller.side.failed, unreadable) {
                (true, _) => (Outcome::CallerLeft, Close::BadGateway),
                (false, true) => (Outcome::MaskingFailed, Close::Unreadable),
                (false, false) => (Outcome::UpstreamCut, Close::BadGateway),
            };
            exchange.finish(outcome);
            if caller.side.failed || !caller.side.say(close).await {
                exchange.signals().answer_cut();
            }
        }
    }
}

/// What records one side, where it is recorded.
fn tap(exchange: &Exchange, side: Side) -> Option<Tap> {
    exchange.recorded().map(|recorded| recorded.tap(side))
}

/// Resolves when a token is cancelled; never without one.
async fn cancelled(token: Option<CancellationToken>) {
    match token {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}

/// The model's side, whose bytes are read as they pass. Of a WebSocket it is the close frame that ends what the server says: many
/// servers drop their connection right behind it, without a TLS goodbye or with bytes of the caller unread, and the code must arrive.
struct Heard<'e, IO> {
    io: IO,
    exchange: &'e mut Exchange,
    /// The server takes no more bytes; what it has said before is still to be read.
    deaf: bool,
    /// Cancelled once nothing more comes from the server.
    over: CancellationToken,
}

impl<IO: AsyncWrite + Unpin> Heard<'_, IO> {
    /// Counts what the server has taken.
    fn took(&mut self, polled: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(taken)) = polled {
            self.exchange.sent(*taken);
        }
    }

    /// Lets a server that takes no more bytes finish what it says: its own end tells how it ended.
    fn told<T>(&mut self, polled: Poll<io::Result<T>>, instead: T) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(Err(error)) if self.exchange.converses() => {
                tracing::debug!(exchange = self.exchange.id(), %error, "a model's server takes no more of a conversation");
                self.deaf = true;
                Poll::Ready(Ok(instead))
            }
            polled => polled,
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Heard<'_, IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        self.exchange.read(buf.filled().get(before..).unwrap_or_default());
        let room = buf.remaining() > 0;
        let ended = room && read.is_ready() && buf.filled().len() == before;
        if self.exchange.converses() && (ended || self.exchange.is_closed()) {
            self.over.cancel();
        }
        match read {
            Poll::Ready(Err(error)) if self.exchange.is_closed() => {
                tracing::debug!(exchange = self.exchange.id(), %error, "a model's server left behind its close frame");
                Poll::Ready(Ok(()))
            }
            read => read,
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Heard<'_, IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(buf.len()));
        }
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.took(&polled);
        self.told(polled, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum();
        if self.deaf {
            return Poll::Ready(Ok(length));
        }
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.took(&polled);
        self.told(polled, length)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.told(polled, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut self.io).poll_shutdown(cx);
        self.told(polled, ())
    }
}

/// The caller's side of a splice, which does not tell whose error ended it.
struct Noting<IO> {
    io: IO,
    /// Reading or writing has failed.
    failed: bool,
    /// What has been sent of a WebSocket.
    frames: Option<Frames>,
    /// The server has ended a WebSocket without a Close.
    cut: bool,
    /// A Close that stands in for the one the server did not send, while it is written.
    close: Option<VecDeque<u8>>,
}

impl<IO: AsyncWrite + Unpin> Noting<IO> {
    /// Ends a WebSocket with a Close. False where none can be said: it is no WebSocket, a frame is under way, or nobody takes it.
    async fn say(&mut self, close: Close) -> bool {
        if !self.frames.as_ref().is_some_and(Frames::is_open) {
            return false;
        }
        let saying = async {
            self.write_all(&close.frame()).await?;
            self.shutdown().await
        };
        timeout(LAST_WORD, saying).await.is_ok_and(|said| said.is_ok())
    }
}

impl<IO: Unpin> Noting<IO> {
    fn poll<T>(&mut self, poll: impl FnOnce(Pin<&mut IO>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let polled = poll(Pin::new(&mut self.io));
        self.failed |= matches!(polled, Poll::Ready(Err(_)));
        polled
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Noting<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll(|io| io.poll_read(cx, buf))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Noting<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(self.poll(|io| io.poll_write(cx, buf)))?;
        if let Some(frames) = &mut self.frames {
            frames.read(buf.get(..written).unwrap_or_default());
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|io| io.poll_flush(cx))
    }

    /// A server that ends without a Close has been cut: the caller is told so (RFC 6455 §7.1.5).
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.close.is_none() {
            let frames = this.frames.take();
            this.cut = frames.as_ref().is_some_and(|frames| !frames.is_over());
            let open = frames.is_some_and(|frames| frames.is_open());
            this.close = Some(if open { Close::BadGateway.frame().into() } else { VecDeque::new() });
        }
        while let Some(mut close) = this.close.take().filter(|close| !close.is_empty()) {
            let written = this.poll(|io| io.poll_write(cx, close.make_contiguous()));
            let Poll::Ready(Ok(written)) = written else {
                this.close = Some(close);
                return written.map_ok(|_| ());
            };
            close.drain(..written.min(close.len()));
            this.close = Some(close);
        }
        this.close = Some(VecDeque::new());
        this.poll(|io| io.poll_shutdown(cx))
    }
}
