//! Where an exchange is listened to, and held back while its recording cannot keep up.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{heads::fields, unrecorded};
use crate::{
    evidence::recording::{Side, What},
    gateway::{
        record::{Room, Tape},
        respond::Problem,
        upstream::Watch,
    },
};

/// Holds an answer back.
pub(in crate::gateway::pipeline) struct Hold {
    pub(super) tape: Tape,
    pub(super) room: Room,
    pub(super) lost: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Hold {
    /// Ready when the answer may go on.
    ///
    /// # Errors
    /// Why it must not.
    pub(in crate::gateway::pipeline) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Problem>> {
        if self.lost.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(unrecorded(&self.tape)));
        }
        self.room.poll(cx).map(Ok)
    }
}

/// Reads a request's body on its way.
pub(super) struct Tapped {
    pub(super) tape: Tape,
    pub(super) room: Room,
    pub(super) inner: Option<Box<dyn Watch>>,
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
pub(in crate::gateway::pipeline) struct Tap {
    pub(super) tape: Tape,
    pub(super) side: Side,
    pub(super) room: Room,
}

/// One side of a conversation, recorded as it is read where there is a tap.
pub(in crate::gateway::pipeline) struct Taped<S> {
    pub(in crate::gateway::pipeline) io: S,
    tap: Option<Tap>,
}

impl<S> Taped<S> {
    pub(in crate::gateway::pipeline) fn new(io: S, tap: Option<Tap>) -> Self {
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
