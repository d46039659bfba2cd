//! The model's side of a conversation whose frames are masked before the caller gets them.

use std::{
    io::{self, IoSlice},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::masked::Masked;

/// Read at once, bytes.
const READ: usize = 8 * 1024;

/// A side that is read through a masking, if there is one.
pub(super) struct Veiled<S> {
    pub(super) side: S,
    masked: Option<Box<Masked>>,
    /// What may go on, and how much of it has.
    out: Vec<u8>,
    given: usize,
    /// Nothing more is to be read.
    ended: bool,
    /// The side has sent what cannot be masked; nothing of it goes on.
    unreadable: bool,
}

impl<S> Veiled<S> {
    pub(super) fn new(side: S, masked: Option<Masked>) -> Self {
        let masked = masked.map(Box::new);
        Self { side, masked, out: Vec::new(), given: 0, ended: false, unreadable: false }
    }

    /// Whether it broke because something could not be masked.
    pub(super) fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// Gives what is there.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let rest = self.out.get(self.given..).unwrap_or_default();
        let giving = rest.get(..rest.len().min(buf.remaining())).unwrap_or_default();
        buf.put_slice(giving);
        self.given += giving.len();
        if self.given == self.out.len() {
            // An idle conversation holds no buffer.
            self.given = 0;
            drop(mem::take(&mut self.out));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Veiled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(masked) = &mut this.masked else { return Pin::new(&mut this.side).poll_read(cx, buf) };
        let mut raw = [0; READ];
        while this.out.is_empty() && !this.ended {
            let mut read = ReadBuf::new(&mut raw);
            match ready!(Pin::new(&mut this.side).poll_read(cx, &mut read)) {
                Ok(()) if read.filled().is_empty() => {
                    this.ended = true;
                    masked.cut_off(&mut this.out);
                }
                Ok(()) => {
                    if let Err(error) = masked.pass(read.filled(), &mut this.out) {
                        this.unreadable = true;
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                    }
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        this.give(buf);
        Poll::Ready(Ok(()))
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
