//! Joins two byte streams: every read is passed on at once, and an idle pair holds no buffer.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes moved at a time; also the most a blocked direction holds.
const SCRATCH: usize = 64 * 1024;
/// Reads in one turn before others get theirs.
const TURN: usize = 32;

thread_local! {
    // One scratch buffer per thread serves all its streams: it is only filled between a read and the write that follows at once.
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// What [`splice`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spliced {
    /// Bytes moved from `a` to `b`.
    pub to_b: u64,
    /// Bytes moved from `b` to `a`.
    pub to_a: u64,
}

/// Copies both ways until both sides have ended: EOF on one side becomes `shutdown` on the other, every read is written and flushed at once,
/// buffers exist only while bytes are in flight (idle streams hold none; a direction whose receiver is slow holds at most 64 KiB).
///
/// # Errors
/// The first error of either side, in either direction, ends both directions. Neither side is reset then: the caller reads the code
/// ([`reset_code`](super::reset_code)) and decides what to tell the side that still lives; dropping a tunnel stream tells it
/// [`LEFT`](crate::wire::stream::reset::LEFT).
pub async fn splice<A, B>(a: &mut A, b: &mut B) -> io::Result<Spliced>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut to_b, mut to_a) = (Direction::default(), Direction::default());
    poll_fn(|cx| {
        let there = to_b.poll(cx, a, b)?;
        let back = to_a.poll(cx, b, a)?;
        if there.is_pending() || back.is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(Spliced { to_b: to_b.moved, to_a: to_a.moved }))
    })
    .await
}

/// One way of a splice.
#[derive(Default)]
struct Direction {
    /// What was read and the receiver has not taken yet; no allocation when empty.
    held: Vec<u8>,
    /// How much of `held` it has taken.
    taken: usize,
    unflushed: bool,
    state: State,
    moved: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Copying,
    /// The sender has ended; the receiver has yet to be told.
    Ending,
    Ended,
}

impl Direction {
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        if self.state == State::Ended {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..TURN {
            ready!(self.poll_drain(cx, to))?;
            if self.state == State::Ending {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.state = State::Ended;
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_move(cx, from, to))?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Hands on what is held, then flushes.
    fn poll_drain<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        while let Some(rest @ [_, ..]) = self.held.get(self.taken..) {
            self.taken += ready!(poll_some(cx, to, rest))?;
        }
        if self.taken > 0 {
            self.held = Vec::new();
            self.taken = 0;
        }
        if self.unflushed {
            ready!(Pin::new(to).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once and writes what came; keeps only what the receiver would not take.
    fn poll_move<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut scratch = SPARE.take().unwrap_or_else(|| vec![0; SCRATCH].into_boxed_slice());
        let mut buffer = ReadBuf::new(&mut scratch);
        let read = Pin::new(from).poll_read(cx, &mut buffer);
        let outcome = match read {
            Poll::Ready(Ok(())) => Poll::Ready(self.pass_on(cx, buffer.filled(), to)),
            other => other,
        };
        SPARE.set(Some(scratch));
        outcome
    }

    fn pass_on<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        mut bytes: &[u8],
        to: &mut W,
    ) -> io::Result<()> {
        if bytes.is_empty() {
            self.state = State::Ending;
            return Ok(());
        }
        self.moved += bytes.len() as u64;
        self.unflushed = true;
        while !bytes.is_empty() {
            match poll_some(cx, to, bytes) {
                Poll::Ready(written) => bytes = bytes.get(written?..).unwrap_or_default(),
                Poll::Pending => {
                    self.held = bytes.to_vec();
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn poll_some<W: AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    to: &mut W,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(to).poll_write(cx, bytes))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        written => Poll::Ready(Ok(written)),
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn each_end_is_passed_on_and_the_other_way_goes_on() {
        let (mut app, mut a) = duplex(1024);
        let (mut b, mut server) = duplex(1024);
        let splicing = tokio::spawn(async move { splice(&mut a, &mut b).await });
        app.write_all(b"question").await.unwrap();
        app.shutdown().await.unwrap();
        let mut heard = String::new();
        server.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "question");
        server.write_all(b"the answer").await.unwrap();
        let mut answer = [0; 10];
        app.read_exact(&mut answer).await.unwrap();
        assert!(!splicing.is_finished(), "one side is still open");
        server.shutdown().await.unwrap();
        assert_eq!(splicing.await.unwrap().unwrap(), Spliced { to_b: 8, to_a: 10 });
        assert_eq!((&answer, app.read(&mut [0]).await.unwrap()), (b"the answer", 0));
    }

    #[tokio::test]
    async fn a_direction_holds_bytes_only_while_its_receiver_is_slow() {
        let (mut sender, mut from) = duplex(64);
        let (mut to, mut receiver) = duplex(4);
        let mut direction = Direction::default();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(direction.poll(&mut cx, &mut from, &mut to).is_pending());
        assert_eq!(direction.held.capacity(), 0, "idle");
        sender.write_all(b"0123456789").await.unwrap();
        assert!(direction.poll(&mut cx, &mut from, &mut to).is_pending());
        assert_eq!(direction.held, b"456789", "only what the receiver did not take");
        for part in [b"0123", b"4567"] {
            let mut taken = [0; 4];
            receiver.read_exact(&mut taken).await.unwrap();
            assert_eq!(&taken, part);
            assert!(direction.poll(&mut cx, &mut from, &mut to).is_pending());
        }
        assert_eq!((direction.held.capacity(), direction.moved), (0, 10), "drained");
    }

    #[tokio::test]
    async fn an_error_on_one_side_ends_both_ways() {
        let (app, mut a) = duplex(64);
        let mut b = tokio::io::join(tokio::io::empty(), Broken);
        drop(app);
        let error = splice(&mut a, &mut b).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    struct Broken;

    impl AsyncWrite for Broken {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        }
    }
}
