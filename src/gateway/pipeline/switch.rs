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
    exchange::{Exchange, Outcome, ended},
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
    let (mut answered, server) = match exchange.unless_ended(model.upstream.upgrade(permit, request)).await? {
        Ok(asked) => asked,
        Err(error) => return Err(failed(&error, exchange)),
    };
    exchange.answered(answered.head.status, &answered.head.headers, &answered.leg);
    let Some(server) = server else {
        headers::towards_caller(&mut answered.head.headers);
        let answer = Answer::streaming(answered.body, exchange, model.upstream.idle());
        return Ok(Response::from_parts(answered.head, answer));
    };
    exchange.switched(&answered.head.headers);
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
    let mut caller = Noting { io: TokioIo::new(caller), failed: false };
    let mut server = Heard { io: TokioIo::new(server), exchange: &mut exchange, deaf: false };
    let grant = server.exchange.grant().cloned();
    let spliced = tokio::select! {
        biased;
        () = ended(grant.as_ref()) => {
            exchange.signals().answer_cut();
            return exchange.finish_switched(Outcome::ApprovalEnded, 0);
        }
        spliced = tunnel::splice(&mut caller, &mut server) => spliced,
    };
    match spliced {
        Ok(spliced) => {
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

/// The model's side, whose bytes are read as they pass. Of a WebSocket it is the close frame that ends what the server says: many
/// servers drop their connection right behind it, without a TLS goodbye or with bytes of the caller unread, and the code must arrive.
struct Heard<'e, IO> {
    io: IO,
    exchange: &'e mut Exchange,
    /// The server takes no more bytes; what it has said before is still to be read.
    deaf: bool,
}

impl<IO: AsyncWrite + Unpin> Heard<'_, IO> {
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
