//! Between a connection and hyper: the bytes pass through here on their way in, and only what is well formed goes on.

use std::{
    error::Error,
    io::{self, IoSlice},
    mem,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Method, Request, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    Malformed,
    course::{Course, Failed, Side},
    interim::Interim,
    stand_in,
};

/// How often bytes behind a malformed request are thrown away before others get their turn.
const THROWN_AT_ONCE: usize = 16;

/// What the requests of an HTTP/1 connection and their server tell each other.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Requests {
    /// The request that a stand-in was given for, by its number.
    refused: OnceLock<(u64, Malformed)>,
    served: AtomicU64,
    answered: AtomicU64,
    left: AtomicBool,
    interim: Interim,
}

impl Requests {
    /// An interim answer for the request that waits for its answer. To be told from within the server's own polling, which writes it.
    pub(in crate::gateway) fn interim(&self, status: StatusCode, headers: &HeaderMap) {
        self.interim.tell(status, headers);
    }

    /// A request has come to the server; returns its number. To be told of each, in their order. Why it is to be refused, if it is, is
    /// found as a [`Malformed`] among its extensions from now on, and this beside it.
    pub(in crate::gateway) fn arrived<B>(self: &Arc<Self>, request: &mut Request<B>) -> u64 {
        request.extensions_mut().insert(Arc::clone(self));
        let number = self.served.fetch_add(1, Ordering::Relaxed);
        if let Some((_, malformed)) = self.refused.get().filter(|(refused, _)| *refused == number) {
            request.extensions_mut().insert(*malformed);
        }
        number
    }

    /// The request of this number is about to get this answer.
    pub(in crate::gateway) fn answered(&self, number: u64, status: StatusCode) {
        self.left.store(status == StatusCode::SWITCHING_PROTOCOLS, Ordering::Relaxed);
        self.answered.store(number + 1, Ordering::Release);
    }

    /// Whether the request of a number has left HTTP; `None` before its answer.
    pub(super) fn left(&self, number: u64) -> Option<bool> {
        (self.answered.load(Ordering::Acquire) > number).then(|| self.left.load(Ordering::Relaxed))
    }
}

/// What a client of an HTTP/1 connection tells about the answer that must come next.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Answers(AtomicU8);

/// What an answer is expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Any,
    /// One without a body, whatever its head says.
    Head,
    /// It may leave HTTP.
    Leave,
}

impl Answers {
    /// A request is about to be sent; `leave`: it asks to leave HTTP.
    pub(in crate::gateway) fn expect(&self, method: &Method, leave: bool) {
        let expected = match method {
            _ if leave => 3,
            &Method::HEAD => 2,
            _ => 1,
        };
        self.0.store(expected, Ordering::Release);
    }

    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// The answer has come.
    pub(super) fn take(&self) -> Expected {
        match self.0.swap(0, Ordering::AcqRel) {
            2 => Expected::Head,
            3 => Expected::Leave,
            _ => Expected::Any,
        }
    }
}

/// A connection whose bytes are read on their way in.
pub(in crate::gateway) struct Guard<IO> {
    io: IO,
    course: Course,
    /// The beginning of a section that is not whole yet.
    held: Vec<u8>,
    /// To be given out before anything else.
    ready: Bytes,
    fate: Fate,
    /// An interim answer while it is written.
    interim: Bytes,
    /// Something was written that may be in the middle of an answer.
    written: bool,
}

/// What becomes of a connection.
enum Fate {
    Going,
    /// A stand-in was given; what follows it is thrown away.
    StoodIn,
    /// The message under way is malformed, and part of it has gone on.
    Failed(Malformed),
}

impl<IO> Guard<IO> {
    /// Lets requests through.
    pub(in crate::gateway) fn requests(io: IO, requests: &Arc<Requests>) -> Self {
        Self::new(io, Side::Requests(Arc::clone(requests)))
    }

    /// Lets answers through.
    pub(in crate::gateway) fn answers(io: IO, answers: &Arc<Answers>) -> Self {
        Self::new(io, Side::Answers(Arc::clone(answers)))
    }

    fn new(io: IO, side: Side) -> Self {
        Self {
            io,
            course: Course::new(side),
            held: Vec::new(),
            ready: Bytes::new(),
            fate: Fate::Going,
            interim: Bytes::new(),
            written: false,
        }
    }

    /// Reads what has just come behind `before` in the buffer, and leaves there what may go on.
    fn inspect(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let new = buf.filled().get(before..).unwrap_or_default();
        if self.held.is_empty() {
            // The usual way: nothing is copied.
            let read = self.course.read(new);
            let passes = match &read {
                Ok(passes) => *passes,
                Err(failed) => failed.passes,
            };
            let rest = new.get(passes..).unwrap_or_default();
            match read {
                Ok(_) => self.held.extend_from_slice(rest),
                Err(failed) => self.ready = self.fail(&failed, rest).into(),
            }
            buf.set_filled(before + passes);
            return;
        }
        self.held.extend_from_slice(new);
        buf.set_filled(before);
        match self.course.read(&self.held) {
            Ok(0) => {}
            Ok(passes) => {
                let rest = self.held.split_off(passes);
                self.ready = mem::replace(&mut self.held, rest).into();
            }
            Err(failed) => {
                let rest = self.held.split_off(failed.passes);
                let mut ready = mem::take(&mut self.held);
                ready.extend(self.fail(&failed, &rest));
                self.ready = ready.into();
            }
        }
    }

    /// What hyper gets in place of the malformed message.
    fn fail(&mut self, failed: &Failed, malformed: &[u8]) -> Vec<u8> {
        tracing::debug!(why = %failed.malformed, "a malformed HTTP message goes no further");
        match (self.course.side(), failed.whole) {
            (Side::Requests(requests), Some(number)) => {
                // Once: nothing is read behind it.
                let _ = requests.refused.set((number, failed.malformed));
                self.fate = Fate::StoodIn;
                stand_in::of(malformed)
            }
            _ => {
                self.fate = Fate::Failed(failed.malformed);
                Vec::new()
            }
        }
    }
}

impl<IO: AsyncRead + Unpin> Guard<IO> {
    /// Throws away what follows a malformed request. Its refusal is under way, and an end of the input does not stop it.
    fn throw_away(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [0; 1024];
        for _ in 0..THROWN_AT_ONCE {
            let mut scratch = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut scratch))?;
            if scratch.filled().is_empty() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Guard<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.ready.is_empty() {
                let length = this.ready.len().min(buf.remaining());
                buf.put_slice(this.ready.get(..length).unwrap_or_default());
                this.ready.advance(length);
                return Poll::Ready(Ok(()));
            }
            match this.fate {
                Fate::Going => {}
                Fate::StoodIn => return this.throw_away(cx),
                Fate::Failed(malformed) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, malformed)));
                }
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
            if buf.filled().len() == before || this.course.is_over() {
                return Poll::Ready(Ok(()));
            }
            this.inspect(buf, before);
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<IO: AsyncWrite + Unpin> Guard<IO> {
    /// Writes the interim answers that wait, before the answer they belong to. Where it cannot be known that nothing of another answer
    /// is under way, there is no place for them.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Side::Requests(requests) = self.course.side()
            && self.interim.is_empty()
        {
            let waiting = requests.interim.take();
            if !self.written {
                self.interim = waiting.into();
            }
        }
        while !self.interim.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.interim))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim.advance(written.min(self.interim.len()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Guard<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        self.written = true;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        self.written = true;
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// Called when hyper has written all it has: what is told now comes before the answer that it will write next.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.written = false;
        ready!(self.poll_interim(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// What a guard has found wrong, when that is behind an error of hyper's.
pub(in crate::gateway) fn refused_by(error: &(dyn Error + 'static)) -> Option<Malformed> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(malformed) = inner.and_then(|inner| inner.downcast_ref()) {
            return Some(*malformed);
        }
        next = error.source();
    }
    None
}
