//! An HTTP/2 CONNECT stream with the tunnel's manners.

use std::{
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream, client::ResponseFuture};
use http::StatusCode;
use tokio::{
    io::ReadBuf,
    runtime::Handle,
    sync::{OwnedSemaphorePermit, oneshot},
    time::timeout,
};

use super::{GOODBYE, MAX_DATA, line::Line, of_reason, to_reason};
use crate::{
    tunnel::{TunnelError, error::PeerReset},
    wire::stream::reset,
};

/// What is handed to HTTP/2 for sending.
pub(super) enum Payload {
    Data(Bytes),
    /// FIN, without bytes; the sender is dropped once it is on its way.
    Fin(#[expect(dead_code, reason = "its drop is the message")] oneshot::Sender<()>),
}

impl Buf for Payload {
    fn remaining(&self) -> usize {
        self.chunk().len()
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Data(bytes) => bytes,
            Self::Fin(_) => &[],
        }
    }

    fn advance(&mut self, by: usize) {
        if let Self::Data(bytes) = self {
            bytes.advance(by);
        }
    }
}

/// Both directions of one CONNECT stream.
pub(in crate::tunnel) struct Stream {
    sending: Sending,
    receiving: Receiving,
    /// Received and not read yet; its flow-control credit is given back as it is read.
    chunk: Bytes,
    // Reader and writer may be different tasks, so each waits for itself.
    read_words: Option<LastWords>,
    write_words: Option<LastWords>,
    line: Arc<Line>,
}

enum Sending {
    Open(Sender),
    /// FIN was sent; the receiver resolves when it has been handed to the socket, or never will be.
    Finished(Sender, oneshot::Receiver<()>),
    Over,
}

/// The direction away from here, with the slot it takes on the laptop's connection.
struct Sender {
    stream: SendStream<Payload>,
    slot: Option<OwnedSemaphorePermit>,
}

enum Receiving {
    /// The gateway's 200 is on its way.
    Answer(ResponseFuture),
    Body(RecvStream),
    Over,
}

/// Resolves with why the connection has failed under a stream; the driver knows it a moment later than the stream.
type LastWords = Pin<Box<dyn Future<Output = TunnelError> + Send + Sync>>;

impl Stream {
    pub(super) fn asked(
        answer: ResponseFuture,
        stream: SendStream<Payload>,
        line: Arc<Line>,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        Self::new(Sender { stream, slot: Some(slot) }, Receiving::Answer(answer), line)
    }

    pub(super) fn accepted(body: RecvStream, stream: SendStream<Payload>, line: Arc<Line>) -> Self {
        Self::new(Sender { stream, slot: None }, Receiving::Body(body), line)
    }

    fn new(sender: Sender, receiving: Receiving, line: Arc<Line>) -> Self {
        let sending = Sending::Open(sender);
        Self { sending, receiving, chunk: Bytes::new(), read_words: None, write_words: None, line }
    }

    pub(in crate::tunnel) fn reset(&mut self, code: u32) {
        if let Sending::Open(mut sender) | Sending::Finished(mut sender, _) =
            mem::replace(&mut self.sending, Sending::Over)
        {
            sender.stream.send_reset(to_reason(code));
        }
        self.chunk = Bytes::new();
    }

    pub(in crate::tunnel) fn finish(&mut self) {
        match mem::replace(&mut self.sending, Sending::Over) {
            Sending::Open(mut sender) => {
                let (guard, flushed) = oneshot::channel();
                // Fails only where the peer has reset the stream or the connection is gone, which reading tells.
                let _ = sender.stream.send_data(Payload::Fin(guard), true);
                self.sending = Sending::Finished(sender, flushed);
            }
            other => self.sending = other,
        }
    }

    pub(in crate::tunnel) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sending {
            Sending::Open(sender) => sender.stream.poll_reset(cx).map(drop),
            Sending::Finished(..) | Sending::Over => Poll::Pending,
        }
    }

    pub(in crate::tunnel) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while self.chunk.is_empty() {
            let error = match &mut self.receiving {
                Receiving::Answer(answer) => match ready!(Pin::new(answer).poll(cx)) {
                    Ok(response) if response.status() == StatusCode::OK => {
                        self.receiving = Receiving::Body(response.into_body());
                        continue;
                    }
                    Ok(response) => {
                        let words = format!("the gateway answered CONNECT with {}", response.status());
                        return Poll::Ready(Err(TunnelError::Protocol(words).into_io()));
                    }
                    Err(e) => e,
                },
                Receiving::Body(body) => match ready!(body.poll_data(cx)) {
                    Some(Ok(bytes)) => {
                        self.chunk = bytes;
                        continue;
                    }
                    Some(Err(e)) => e,
                    None => {
                        self.receiving = Receiving::Over;
                        return Poll::Ready(Ok(()));
                    }
                },
                Receiving::Over => return Poll::Ready(Ok(())),
            };
            return poll_broken(cx, &error, &mut self.read_words, &self.line).map(Err);
        }
        let taken = self.chunk.len().min(into.remaining());
        into.put_slice(self.chunk.get(..taken).unwrap_or_default());
        self.chunk.advance(taken);
        if let Receiving::Body(body) = &mut self.receiving {
            // Fails only for more than was received.
            let _ = body.flow_control().release_capacity(taken);
        }
        Poll::Ready(Ok(()))
    }

    pub(in crate::tunnel) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        // An empty DATA frame would only cost the peer.
        if from.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Sending::Open(Sender { stream, .. }) = &mut self.sending else {
            return Poll::Ready(Err(ended()));
        };
        let wanted = from.len().min(MAX_DATA as usize);
        stream.reserve_capacity(wanted);
        let granted = match stream.capacity() {
            0 => match ready!(stream.poll_capacity(cx)) {
                Some(Ok(granted)) => granted,
                Some(Err(_)) | None => 0,
            },
            granted => granted,
        };
        let part = from.get(..wanted.min(granted)).unwrap_or_default();
        if granted > 0 && stream.send_data(Payload::Data(Bytes::copy_from_slice(part)), false).is_ok() {
            return Poll::Ready(Ok(part.len()));
        }
        // The stream takes no more; what it was reset with says why.
        if self.line.known().is_some() {
            return poll_last_words(cx, &mut self.write_words, &self.line).map(Err);
        }
        match stream.poll_reset(cx) {
            Poll::Ready(Ok(reason)) => Poll::Ready(Err(peer_reset(reason))),
            Poll::Ready(Err(e)) => poll_broken(cx, &e, &mut self.write_words, &self.line).map(Err),
            Poll::Pending => Poll::Ready(Err(ended())),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        match mem::replace(&mut self.sending, Sending::Over) {
            Sending::Open(mut sender) => sender.stream.send_reset(to_reason(reset::LEFT)),
            Sending::Finished(mut sender, flushed) if !matches!(self.receiving, Receiving::Over) => {
                // A reset overtakes what is queued, so it waits until our last byte has gone. Without a runtime the process is ending.
                if let Ok(runtime) = Handle::try_current() {
                    runtime.spawn(async move {
                        let _ = flushed.await;
                        sender.stream.send_reset(to_reason(reset::LEFT));
                        drop(sender.slot);
                    });
                }
            }
            Sending::Finished(..) | Sending::Over => {}
        }
    }
}

fn poll_broken(
    cx: &mut Context<'_>,
    error: &h2::Error,
    words: &mut Option<LastWords>,
    line: &Arc<Line>,
) -> Poll<io::Error> {
    match error.reason() {
        Some(reason) if error.is_reset() && error.is_remote() => Poll::Ready(peer_reset(reason)),
        _ if error.is_io() || error.is_go_away() => poll_last_words(cx, words, line),
        _ => Poll::Ready(ended()),
    }
}

fn poll_last_words(cx: &mut Context<'_>, words: &mut Option<LastWords>, line: &Arc<Line>) -> Poll<io::Error> {
    let waiting = words.get_or_insert_with(|| {
        let line = Arc::clone(line);
        Box::pin(async move { timeout(GOODBYE, line.ended()).await.unwrap_or_else(|_| line.why()) })
    });
    let why = ready!(waiting.as_mut().poll(cx));
    *words = None;
    Poll::Ready(why.into_io())
}

fn peer_reset(reason: Reason) -> io::Error {
    let code = of_reason(reason).unwrap_or(match reason {
        Reason::NO_ERROR | Reason::CANCEL => reset::LEFT,
        Reason::REFUSED_STREAM => reset::DRAINING,
        _ => reset::PROTOCOL,
    });
    PeerReset(code).into_io()
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "this side of the stream has ended")
}
