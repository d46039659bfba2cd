//! A stream to a target, whose first bytes from the gateway are its answer: read when the caller reads, so
//! that nothing waits for it.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    client::{ClientError, Link},
    tunnel::{self, Stream},
    wire::{self, Refusal, stream::Answer},
};

/// A stream whose preamble was sent. What is written goes straight to the gateway; the first read takes the
/// gateway's answer off: a refusal is an [`io::Error`] in which [`refusal`](crate::client::refusal) finds it.
///
/// When the gateway stops listening, what is still written vanishes, and the reading side tells how the
/// exchange ended: an early answer to a long request arrives whole. Dropping an unfinished stream resets it
/// with [`LEFT`](wire::stream::reset::LEFT).
pub struct ModelStream {
    inner: Replying<Stream>,
    /// A link lasts as long as its streams.
    _link: Link,
    /// A draining connection waits for it.
    _open: TaskTrackerToken,
}

impl fmt::Debug for ModelStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelStream({:?})", self.inner.stream)
    }
}

impl ModelStream {
    pub(super) fn new(stream: Stream, link: Link, open: TaskTrackerToken) -> Self {
        Self { inner: Replying::new(stream), _link: link, _open: open }
    }

    /// Ends both directions at once with a code of [`wire::stream::reset`].
    pub fn reset(&mut self, code: u32) {
        self.inner.stream.reset(code);
    }

    /// Waits for the gateway's answer, which reading would do too.
    ///
    /// # Errors
    /// The refusal, or what the stream ended with.
    pub async fn answered(&mut self) -> Result<(), ClientError> {
        std::future::poll_fn(|cx| self.inner.poll_answer(cx)).await.map_err(|e| of_stream(&e))
    }

    /// Whether the gateway has joined the stream to its target, as far as it was read.
    pub(super) fn is_joined(&self) -> bool {
        matches!(self.inner.reply, Reply::Ok)
    }
}

/// What an error of a stream means to the person.
pub(super) fn of_stream(error: &(dyn std::error::Error + 'static)) -> ClientError {
    if let Some(refusal) = crate::client::refusal(error) {
        return ClientError::from(refusal.clone());
    }
    if tunnel::reset_code(error) == Some(wire::stream::reset::REVOKED) {
        return ClientError::login_needed("the gateway ended the stream: the login was revoked or has ended");
    }
    ClientError::unreachable(format!("the stream was cut: {}", super::https::deepest(error)))
        .remedy("try again; what arrived before is not the whole")
}

/// A stream that begins with an [`Answer`].
struct Replying<S> {
    stream: S,
    reply: Reply,
    /// The gateway takes no more bytes.
    deaf: bool,
}

enum Reply {
    /// So much of it is here.
    Awaited(Vec<u8>),
    Ok,
    Refused(Refusal),
}

impl<S> Replying<S> {
    fn new(stream: S) -> Self {
        Self { stream, reply: Reply::Awaited(Vec::new()), deaf: false }
    }
}

impl<S: AsyncRead + Unpin> Replying<S> {
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let head = match &mut self.reply {
                Reply::Ok => return Poll::Ready(Ok(())),
                Reply::Refused(refusal) => return Poll::Ready(Err(io::Error::other(refusal.clone()))),
                Reply::Awaited(head) => head,
            };
            match wire::decode::<Answer>(head, wire::MAX_FRAME) {
                Ok(Some((Answer::Ok, _))) => self.reply = Reply::Ok,
                Ok(Some((Answer::Refused(refusal), _))) => self.reply = Reply::Refused(refusal),
                Ok(None) => ready!(poll_more(&mut self.stream, head, cx))?,
                Err(error) => return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error))),
            }
        }
    }
}

/// Reads more of a frame, never past its end.
fn poll_more<S: AsyncRead + Unpin>(
    stream: &mut S,
    head: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let whole = match head.first_chunk::<2>() {
        Some(prefix) => 2 + usize::from(u16::from_be_bytes(*prefix)),
        None => 2,
    };
    let mut space = [0; 512];
    let room = whole.saturating_sub(head.len()).min(space.len());
    let mut space = ReadBuf::new(&mut space);
    let mut part = space.take(room);
    ready!(Pin::new(stream).poll_read(cx, &mut part))?;
    if part.filled().is_empty() {
        return Poll::Ready(Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the gateway ended the stream without an answer",
        )));
    }
    head.extend_from_slice(part.filled());
    Poll::Ready(Ok(()))
}

impl<S: AsyncRead + Unpin> AsyncRead for Replying<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> Replying<S> {
    /// A gateway that stopped listening is no error here: its answer is still to be read.
    fn heed<T>(&mut self, outcome: io::Result<T>, instead: T) -> io::Result<T> {
        match outcome {
            Err(error) if tunnel::reset_code(&error).is_some() => {
                self.deaf = true;
                Ok(instead)
            }
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replying<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(from.len()));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, from));
        Poll::Ready(self.heed(written, from.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        Poll::Ready(self.heed(flushed, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        let ended = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
        Poll::Ready(self.heed(ended, ()))
    }
}

impl AsyncRead for ModelStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, into)
    }
}

impl AsyncWrite for ModelStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::{client::Kind, wire::code};

    #[tokio::test]
    async fn the_answer_is_taken_off_however_it_is_cut_and_the_rest_passes() {
        let frame = wire::encode(&Answer::Ok).unwrap();
        for cut in 0..=frame.len() {
            let (near, mut far) = duplex(4096);
            let mut stream = Replying::new(near);
            stream.write_all(b"before any answer").await.unwrap();
            let reading = tokio::spawn(async move {
                let mut text = String::new();
                stream.read_to_string(&mut text).await.map(|_| text)
            });
            far.write_all(&frame[..cut]).await.unwrap();
            tokio::task::yield_now().await;
            far.write_all(&frame[cut..]).await.unwrap();
            far.write_all(b"HTTP/1.1 200 OK").await.unwrap();
            far.shutdown().await.unwrap();
            assert_eq!(reading.await.unwrap().unwrap(), "HTTP/1.1 200 OK");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_an_error_every_time_it_is_read() {
        let (near, mut far) = duplex(4096);
        let mut stream = Replying::new(near);
        let refused = Answer::Refused(Refusal::new(code::DENIED, "policy says no"));
        far.write_all(&wire::encode(&refused).unwrap()).await.unwrap();
        for _ in 0..2 {
            let error = stream.read_u8().await.unwrap_err();
            assert_eq!(of_stream(&error).kind, Kind::Denied);
        }
    }

    #[tokio::test]
    async fn no_answer_and_nonsense_are_errors() {
        let huge = [0xff, 0xff];
        for bytes in [b"".as_slice(), b"\0", b"\0\x02{}", &huge] {
            let (near, mut far) = duplex(64);
            far.write_all(bytes).await.unwrap();
            drop(far);
            assert!(Replying::new(near).read_u8().await.is_err(), "{bytes:?}");
        }
    }
}
