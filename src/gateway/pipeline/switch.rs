//! Exchanges that leave HTTP (`101 Switching Protocols`, WebSocket above all): bytes both ways until either side ends.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    answer::Answer,
    exchange::{Exchange, Outcome},
    headers,
    models::Model,
    path::{Way, failed},
};
use crate::{
    gateway::{policy::Permit, respond::Problem, upstream::Outgoing},
    tunnel,
};

/// Sends a request that asks to leave HTTP. The model's server may say no, which is an answer like any other.
pub(super) async fn send(
    way: &Arc<Way>,
    model: &Model,
    permit: &Permit,
    request: Request<Outgoing>,
    caller: OnUpgrade,
    mut exchange: Exchange,
) -> Result<Response<Answer>, Problem> {
    let (mut answered, server) = match model.upstream.upgrade(permit, request).await {
        Ok(asked) => asked,
        Err(error) => return Err(failed(&error, exchange)),
    };
    exchange.answered(answered.head.status, &answered.leg);
    let Some(server) = server else {
        headers::towards_caller(&mut answered.head.headers);
        let answer = Answer::streaming(answered.body, exchange, model.upstream.idle());
        return Ok(Response::from_parts(answered.head, answer));
    };
    headers::towards_caller_switching(&mut answered.head.headers);
    way.signals.switch(Box::pin(carry(caller, server, exchange)));
    Ok(Response::from_parts(answered.head, Answer::made(bytes::Bytes::new())))
}

/// Carries the bytes of both sides until both have ended.
async fn carry(caller: OnUpgrade, server: OnUpgrade, mut exchange: Exchange) {
    let (caller, server) = match tokio::try_join!(caller, server) {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(exchange = exchange.id(), %error, "an exchange did not leave HTTP after all");
            exchange.signals().answer_cut();
            exchange.finish(Outcome::Aborted);
            return;
        }
    };
    let (mut caller, mut server) = (Noting { io: TokioIo::new(caller), failed: false }, TokioIo::new(server));
    match tunnel::splice(&mut caller, &mut server).await {
        Ok(spliced) => {
            exchange.passed(spliced.to_a);
            exchange.finish_switched(Outcome::Complete, spliced.to_b);
        }
        Err(error) => {
            tracing::debug!(exchange = exchange.id(), %error, "a switched exchange was cut");
            let outcome = if caller.failed { Outcome::CallerLeft } else { Outcome::UpstreamCut };
            exchange.signals().answer_cut();
            exchange.finish_switched(outcome, 0);
        }
    }
}

/// One side of a splice, which does not tell whose error ended it.
struct Noting<IO> {
    io: IO,
    /// Reading or writing has failed.
    failed: bool,
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
        self.poll(|io| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(|io| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|io| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|io| io.poll_shutdown(cx))
    }
}
