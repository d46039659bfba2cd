//! The bytes of a connection to a model's server, encrypted or not, counted for as long as it is open.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::client::TlsStream;

/// A connection's bytes.
pub(super) struct Socket {
    bytes: Bytes,
    _open: Open,
}

/// How they travel.
pub(super) enum Bytes {
    Plain(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Counts open connections. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Count(Arc<AtomicUsize>);

struct Open(Count);

impl Count {
    /// How many are open now.
    pub(super) fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Socket {
    pub(super) fn new(bytes: Bytes, count: &Count) -> Self {
        count.0.fetch_add(1, Ordering::Relaxed);
        Self { bytes, _open: Open(count.clone()) }
    }
}

/// Does the same on any kind.
macro_rules! on {
    ($socket:expr, $inner:ident => $what:expr) => {
        match &mut $socket.get_mut().bytes {
            Bytes::Plain(socket) => {
                let $inner = Pin::new(socket);
                $what
            }
            Bytes::Unix(socket) => {
                let $inner = Pin::new(socket);
                $what
            }
            Bytes::Tls(stream) => {
                let $inner = Pin::new(stream.as_mut());
                $what
            }
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on!(self, inner => inner.poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on!(self, inner => inner.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on!(self, inner => inner.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.bytes {
            Bytes::Plain(socket) => socket.is_write_vectored(),
            Bytes::Unix(socket) => socket.is_write_vectored(),
            Bytes::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on!(self, inner => inner.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on!(self, inner => inner.poll_shutdown(cx))
    }
}
