//! The model's side of a conversation whose frames are masked before the caller gets them.

use std::{
    io::{self, IoSlice},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::engine::{End, Engine};

/// Read at once, bytes.
const READ: usize = 8 * 1024;

/// A side that is read through a masking, if there is one.
pub(super) struct Veiled<S> {
    pub(super) side: S,
    engine: Option<Box<Engine>>,
    /// How much of what may go on has.
    given: usize,
    /// Nothing more is to be read.
    ended: bool,
    /// The side has sent what cannot be masked; nothing of it goes on.
    unreadable: bool,
}

impl<S> Veiled<S> {
    pub(super) fn new(side: S, engine: Option<Engine>) -> Self {
        Self { side, engine: engine.map(Box::new), given: 0, ended: false, unreadable: false }
    }

    /// Whether it broke because something could not be masked.
    pub(super) fn is_unreadable(&self) -> bool {
        self.unreadable
    }
}

/// Gives of `out` what there is room for.
fn give(out: &mut Vec<u8>, given: &mut usize, buf: &mut ReadBuf<'_>) {
    let rest = out.get(*given..).unwrap_or_default();
    let giving = rest.get(..rest.len().min(buf.remaining())).unwrap_or_default();
    buf.put_slice(giving);
    *given += giving.len();
    if *given == out.len() {
        // An idle conversation holds no buffer.
        *given = 0;
        drop(mem::take(out));
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Veiled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(engine) = &mut this.engine else { return Pin::new(&mut this.side).poll_read(cx, buf) };
        let mut raw = [0; READ];
        loop {
            let mut masked = ready!(engine.poll(cx));
            if masked.is_ok() && engine.out.is_empty() && !this.ended {
                let mut read = ReadBuf::new(&mut raw);
                ready!(Pin::new(&mut this.side).poll_read(cx, &mut read))?;
                this.ended = read.filled().is_empty();
                // Nobody frames a conversation's end: whatever is held may be the beginning of anything.
                masked = engine.feed(read.filled(), if this.ended { End::Cut } else { End::No });
                if masked.is_ok() {
                    continue;
                }
            }
            if let Err(error) = masked {
                this.unreadable = true;
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
            give(&mut engine.out, &mut this.given, buf);
            return Poll::Ready(Ok(()));
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Veiled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.side).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.side).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.side.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.side).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.side).poll_shutdown(cx)
    }
}
