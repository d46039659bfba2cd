//! A QUIC stream with the tunnel's manners: a drop before the end is a reset, not a FIN.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use quinn::{ReadError, RecvStream, SendStream, StoppedError, VarInt, WriteError};
use tokio::io::ReadBuf;

use crate::{
    tunnel::{
        Side,
        error::{self, PeerReset},
    },
    wire::stream::reset,
};

/// Both directions of one QUIC stream.
pub(in crate::tunnel) struct Stream {
    side: Side,
    send: SendStream,
    recv: RecvStream,
    /// FIN or a reset was sent.
    sent_end: bool,
    /// The peer's FIN or reset was read, or it was asked to stop.
    read_end: bool,
    /// Whoever watches for the peer's leaving waits here.
    stopped: Option<Stopped>,
}

type Stopped = Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + Send + Sync>>;

impl Stream {
    pub(super) fn new(side: Side, send: SendStream, recv: RecvStream) -> Self {
        Self { side, send, recv, sent_end: false, read_end: false, stopped: None }
    }

    pub(in crate::tunnel) fn reset(&mut self, code: u32) {
        let code = VarInt::from_u32(code);
        // Both fail only where the direction has ended already.
        let _ = self.send.reset(code);
        let _ = self.recv.stop(code);
        (self.sent_end, self.read_end) = (true, true);
    }

    pub(in crate::tunnel) fn finish(&mut self) {
        // Fails only where the direction has ended already.
        let _ = self.send.finish();
        self.sent_end = true;
    }

    pub(in crate::tunnel) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stopped = self.stopped.get_or_insert_with(|| Box::pin(self.send.stopped()));
        match ready!(stopped.as_mut().poll(cx)) {
            // All was delivered: nobody can leave it any more.
            Ok(None) => {
                self.stopped = Some(Box::pin(std::future::pending()));
                Poll::Pending
            }
            Ok(Some(_)) | Err(_) => {
                self.stopped = None;
                Poll::Ready(())
            }
        }
    }

    pub(in crate::tunnel) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (into.filled().len(), into.remaining());
        let outcome = ready!(self.recv.poll_read_buf(cx, into));
        let ended = outcome.is_err() || (room > 0 && into.filled().len() == before);
        self.read_end |= ended;
        Poll::Ready(outcome.map_err(|e| match e {
            ReadError::Reset(code) => peer_reset(code),
            ReadError::ConnectionLost(e) => error::of_quic(self.side, &e).into_io(),
            ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => closed(),
        }))
    }

    pub(in crate::tunnel) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        if from.is_empty() {
            return Poll::Ready(Ok(0));
        }
        Poll::Ready(ready!(Pin::new(&mut self.send).poll_write(cx, from)).map_err(|e| match e {
            WriteError::Stopped(code) => peer_reset(code),
            WriteError::ConnectionLost(e) => error::of_quic(self.side, &e).into_io(),
            WriteError::ClosedStream | WriteError::ZeroRttRejected => closed(),
        }))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // quinn would end an unfinished stream with a FIN, which says "this is the whole".
        if !self.sent_end {
            let _ = self.send.reset(VarInt::from_u32(reset::LEFT));
        }
        if !self.read_end {
            let _ = self.recv.stop(VarInt::from_u32(reset::LEFT));
        }
    }
}

fn peer_reset(code: VarInt) -> io::Error {
    PeerReset(u32::try_from(code.into_inner()).unwrap_or(u32::MAX)).into_io()
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "this side of the stream has ended")
}
