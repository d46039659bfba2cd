//! What is known of one TCP connection by everyone who uses it: whether it lives, why it ended, when it was last heard.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{Notify, watch},
};

use super::of_reason;
use crate::tunnel::{
    Side, TunnelError,
    error::{self, meaning},
};

/// Shared by the connection, its driver and its streams.
pub(super) struct Line {
    side: Side,
    /// The first thing that went wrong. HTTP/2 keeps only the words of an IO error, so it is caught below it.
    cause: OnceLock<TunnelError>,
    /// The final word, once the driver has ended.
    end: watch::Sender<Option<TunnelError>>,
    /// The code to close with, once someone on this side wants that.
    wish: watch::Sender<Option<u32>>,
    /// Reads that brought bytes.
    heard: AtomicU64,
    /// Bytes that were taken to be sent.
    sent: AtomicU64,
    /// Someone on this side wants a sign of life.
    ping: Notify,
    /// Nothing is read any more, so that HTTP/2 sees the end and closes in order.
    deaf: AtomicBool,
}

impl Line {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            cause: OnceLock::new(),
            end: watch::Sender::new(None),
            wish: watch::Sender::new(None),
            heard: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            ping: Notify::new(),
            deaf: AtomicBool::new(false),
        }
    }

    /// This side wants the connection closed.
    pub(super) fn close(&self, code: u32) {
        let _ = self.cause.set(TunnelError::closed_here());
        self.wish.send_if_modified(|wish| {
            let first = wish.is_none();
            wish.get_or_insert(code);
            first
        });
    }

    /// Waits until this side wants the connection closed: the code.
    pub(super) async fn close_wanted(&self) -> u32 {
        match self.wish.subscribe().wait_for(Option::is_some).await {
            Ok(wish) => wish.unwrap_or_default(),
            // The sender lives as long as `self`.
            Err(_) => 0,
        }
    }

    pub(super) fn stop_listening(&self) {
        self.deaf.store(true, Ordering::Relaxed);
    }

    /// Grows whenever the peer is heard.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// The bytes that were taken to be sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The driver is to send a ping.
    pub(super) fn want_ping(&self) {
        self.ping.notify_one();
    }

    /// Waits until a ping is wanted. Cancel safe.
    pub(super) async fn ping_wanted(&self) {
        self.ping.notified().await;
    }

    /// The peer is gone, although nothing said so.
    pub(super) fn give_up(&self) {
        let _ = self.cause.set(TunnelError::closed("the other side has not been heard of for too long"));
    }

    /// The driver's last act.
    pub(super) fn end(&self, outcome: Result<(), h2::Error>) {
        let why = match outcome {
            Ok(()) => self.why(),
            Err(e) => self.why_of(&e),
        };
        self.end.send_replace(Some(why));
    }

    /// Waits for the end: why.
    pub(super) async fn ended(&self) -> TunnelError {
        match self.end.subscribe().wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or_else(TunnelError::closed_here),
            Err(_) => TunnelError::closed_here(),
        }
    }

    /// Why the connection has ended or is about to.
    pub(super) fn why(&self) -> TunnelError {
        self.known().unwrap_or_else(|| TunnelError::closed("the other side closed it"))
    }

    /// As [`why`](Self::why), if anything is known yet.
    pub(super) fn known(&self) -> Option<TunnelError> {
        self.end.borrow().clone().or_else(|| self.cause.get().cloned())
    }

    /// Why, when HTTP/2 reports `error` for the whole connection.
    pub(super) fn why_of(&self, error: &h2::Error) -> TunnelError {
        let goodbye = error.reason().filter(|_| error.is_go_away() && error.is_remote()).and_then(of_reason);
        if let Some(code) = goodbye {
            return TunnelError::Closed { code: Some(code), reason: meaning(code) };
        }
        match self.cause.get() {
            Some(cause) => cause.clone(),
            None => TunnelError::Protocol(format!("HTTP/2 failed: {error}")),
        }
    }
}

/// The socket, with an ear for its end.
pub(super) struct Watched<T> {
    io: T,
    line: Arc<Line>,
}

impl<T> Watched<T> {
    pub(super) fn new(io: T, line: Arc<Line>) -> Self {
        Self { io, line }
    }

    fn taken(&self, outcome: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = outcome {
            self.line.sent.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
    }

    fn note(&self, error: &io::Error) {
        let _ = self.line.cause.set(error::of_tls(self.line.side, error));
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.line.deaf.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        let outcome = ready!(Pin::new(&mut self.io).poll_read(cx, into));
        match &outcome {
            Ok(()) if into.filled().len() > before => {
                self.line.heard.fetch_add(1, Ordering::Relaxed);
            }
            Ok(()) if into.remaining() > 0 => {
                let _ = self.line.cause.set(TunnelError::closed("the other side closed it"));
            }
            Ok(()) => {}
            Err(e) => self.note(e),
        }
        Poll::Ready(outcome)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(cx, from);
        self.taken(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write_vectored(cx, from);
        self.taken(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
