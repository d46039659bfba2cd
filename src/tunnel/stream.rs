//! One bidirectional stream, whichever carrier it runs on.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{quic, tcp};

/// A bidirectional stream. `shutdown` sends FIN (half-close); EOF on read is the peer's FIN; a reset by the peer is an
/// [`io::Error`] whose code [`reset_code`](super::reset_code) reads. Written bytes leave at once, so flushing does nothing. Dropping an
/// unfinished stream resets it with [`reset::LEFT`](crate::wire::stream::reset::LEFT); one whose FIN was sent still delivers it.
pub struct Stream(Kind);

enum Kind {
    Quic(quic::Stream),
    Tcp(tcp::Stream),
}

impl Stream {
    pub(super) fn over_quic(stream: quic::Stream) -> Self {
        Self(Kind::Quic(stream))
    }

    pub(super) fn over_tcp(stream: tcp::Stream) -> Self {
        Self(Kind::Tcp(stream))
    }

    /// Ends both directions at once with a code of [`reset`](crate::wire::stream::reset); bytes the peer has not received are lost.
    pub fn reset(&mut self, code: u32) {
        match &mut self.0 {
            Kind::Quic(stream) => stream.reset(code),
            Kind::Tcp(stream) => stream.reset(code),
        }
    }
}

impl Stream {
    /// Ready once the peer takes nothing more of what is written here, or the connection is gone: it has left. After the peer's FIN nothing
    /// else tells, for nothing more is read. Never ready for a peer that only listens. Wakes one task.
    pub fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Kind::Quic(stream) => stream.poll_left(cx),
            Kind::Tcp(stream) => stream.poll_left(cx),
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Quic(_) => "Stream(quic)",
            Kind::Tcp(_) => "Stream(tcp)",
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Quic(stream) => stream.poll_read(cx, into),
            Kind::Tcp(stream) => stream.poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Quic(stream) => stream.poll_write(cx, from),
            Kind::Tcp(stream) => stream.poll_write(cx, from),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Quic(stream) => stream.finish(),
            Kind::Tcp(stream) => stream.finish(),
        }
        Poll::Ready(Ok(()))
    }
}
