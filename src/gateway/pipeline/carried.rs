//! A tunnel stream while HTTP is served on it: what the server reads and writes, and what this room alone may do to it.

use std::{
    io::{self, IoSlice},
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep, timeout},
};

use crate::{tunnel, wire::stream::reset};

/// A request's head must be complete this long after its first byte. A connection between requests may rest.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a FIN may take to leave.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Read at once to see which HTTP begins.
const FIRST_READ: usize = 4096;

/// What is taken in of a request whose caller waits for a person, bytes.
const READ_AHEAD: usize = 64 * 1024;

/// How HTTP/2 begins (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream that can be ended with a code.
pub(super) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Ends both directions at once.
    fn reset(&mut self, code: u32);
    /// Ready once the other side has left, also after its FIN.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

impl Carrier for tunnel::Stream {
    fn reset(&mut self, code: u32) {
        Self::reset(self, code);
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll_left(self, cx)
    }
}

/// What an exchange tells the server of its stream, and the reverse.
pub(super) struct Signals {
    h2: AtomicBool,
    cut: AtomicU32,
    begun: AtomicU64,
    under_way: AtomicUsize,
    waiting: AtomicUsize,
    abandoned: Arc<AtomicBool>,
    switched: Mutex<Option<Switched>>,
}

/// What remains to be done with a stream that has left HTTP.
pub type Switched = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Signals {
    pub(super) fn new(h2: bool) -> Arc<Self> {
        Self::with(h2, Arc::default())
    }

    /// Signals of one exchange on a connection that this room does not serve: its server learns of a cut from the answer's body, and
    /// says in `abandoned` when the gateway stops serving it.
    pub(super) fn of_one(abandoned: Arc<AtomicBool>) -> Arc<Self> {
        Self::with(true, abandoned)
    }

    fn with(h2: bool, abandoned: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self {
            h2: AtomicBool::new(h2),
            cut: AtomicU32::new(0),
            begun: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            abandoned,
            switched: Mutex::new(None),
        })
    }

    /// An exchange begins; it is under way until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// The answer being given is not the whole. On HTTP/2 its own stream is reset and the others live on; HTTP/1.1 has no other
    /// word for it than the end of the connection (RFC 9112 §8).
    pub(super) fn answer_cut(&self) {
        if !self.h2.load(Ordering::Relaxed) {
            self.cut(reset::CUT);
        }
    }

    /// Authority has ended: everything on the stream ends with it.
    pub(super) fn revoke(&self) {
        self.cut(reset::REVOKED);
    }

    pub(super) fn revoked(&self) -> bool {
        self.code() == reset::REVOKED
    }

    /// The gateway itself stops serving the stream.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    pub(super) fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// What to do once the server has let go of the stream.
    pub(super) fn switch(&self, next: Switched) {
        *lock(&self.switched) = Some(next);
    }

    pub(super) fn take_switched(&self) -> Option<Switched> {
        lock(&self.switched).take()
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    /// An exchange waits for a person; it does until the guard is dropped.
    pub(super) fn wait(self: &Arc<Self>) -> Waits {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waits(Arc::clone(self))
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn cut(&self, code: u32) {
        // The first reason stands.
        let _ = self.cut.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn code(&self) -> u32 {
        self.cut.load(Ordering::Relaxed)
    }
}

/// Says that an exchange is under way for as long as it lives.
pub(super) struct UnderWay(Arc<Signals>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says that an exchange waits for as long as it lives.
pub(super) struct Waits(Arc<Signals>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that the HTTP server and this room share.
pub(super) struct Carried<IO>(Arc<Mutex<Shared<IO>>>);

struct Shared<IO> {
    io: IO,
    /// Read before the server asked for it.
    early: Bytes,
    /// The caller's FIN has been read.
    ended: bool,
    /// Ours has been sent.
    closed: bool,
}

/// What [`Carried::watch`] saw.
pub(super) enum Watched {
    /// Nothing new.
    Quiet,
    /// Something for the server to read.
    News,
    /// The caller has reset the stream.
    Gone,
}

impl<IO: Carrier> Carried<IO> {
    pub(super) fn new(io: IO) -> Self {
        let shared = Shared { io, early: Bytes::new(), ended: false, closed: false };
        Self(Arc::new(Mutex::new(shared)))
    }

    /// Waits for the first bytes and says whether HTTP/2 begins with them. `None`: the stream ended, or its first bytes took too long.
    pub(super) async fn is_h2(&self) -> Option<bool> {
        let mut first = BytesMut::with_capacity(FIRST_READ);
        let mut more = self.read_more(&mut first).await?;
        let undecided = |first: &[u8]| first.len() < PREFACE.len() && PREFACE.starts_with(first);
        let decide = async {
            while more && undecided(&first) {
                more = self.read_more(&mut first).await?;
            }
            Some(())
        };
        timeout(HEAD_TIMEOUT, decide).await.ok()??;
        let h2 = first.starts_with(PREFACE);
        let mut shared = lock(&self.0);
        shared.early = first.freeze();
        shared.ended = !more;
        Some(h2)
    }

    /// Reads once. `Some(false)`: the end; `None`: an error, or the end before any byte.
    async fn read_more(&self, into: &mut BytesMut) -> Option<bool> {
        let mut buffer = [0; FIRST_READ];
        let read = std::future::poll_fn(|cx| {
            let mut buffer = ReadBuf::new(&mut buffer);
            ready!(Pin::new(&mut lock(&self.0).io).poll_read(cx, &mut buffer))?;
            Poll::Ready(io::Result::Ok(buffer.filled().len()))
        })
        .await
        .ok()?;
        into.extend_from_slice(buffer.get(..read)?);
        if read == 0 && into.is_empty() { None } else { Some(read > 0) }
    }

    /// The stream as the HTTP server has it.
    pub(super) fn wire(&self, signals: &Arc<Signals>) -> Wire<IO> {
        Wire { shared: Arc::clone(&self.0), signals: Arc::clone(signals), partial: None, timer: None }
    }

    /// Looks at the caller's bytes while the server does not: one that half-closes is not read from in the middle of an exchange, and
    /// so would not notice a reset.
    pub(super) fn watch(&self, cx: &mut Context<'_>) -> Watched {
        let shared = &mut *lock(&self.0);
        if shared.ended || !shared.early.is_empty() {
            return match shared.io.poll_left(cx) {
                Poll::Ready(()) => Watched::Gone,
                Poll::Pending => Watched::Quiet,
            };
        }
        let mut buffer = [0; 1024];
        let mut buffer = ReadBuf::new(&mut buffer);
        match Pin::new(&mut shared.io).poll_read(cx, &mut buffer) {
            Poll::Pending => Watched::Quiet,
            Poll::Ready(Err(_)) => Watched::Gone,
            Poll::Ready(Ok(())) => {
                shared.early = Bytes::copy_from_slice(buffer.filled());
                shared.ended = shared.early.is_empty();
                Watched::News
            }
        }
    }

    /// Looks for the end of a caller who waits for a person, which may come behind a body that is not read meanwhile: up to
    /// [`READ_AHEAD`] of that is taken in. With a longer one only a reset is seen.
    pub(super) fn watch_waiting(&self, cx: &mut Context<'_>) -> Watched {
        let shared = &mut *lock(&self.0);
        let mut buffer = [0; FIRST_READ];
        while !shared.ended && shared.early.len() < READ_AHEAD {
            let mut buffer = ReadBuf::new(&mut buffer);
            match Pin::new(&mut shared.io).poll_read(cx, &mut buffer) {
                Poll::Pending => return Watched::Quiet,
                Poll::Ready(Err(_)) => return Watched::Gone,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => shared.ended = true,
                Poll::Ready(Ok(())) => {
                    let mut early = BytesMut::from(mem::take(&mut shared.early));
                    early.extend_from_slice(buffer.filled());
                    shared.early = early.freeze();
                }
            }
        }
        if shared.ended { Watched::Gone } else { Watched::Quiet }
    }

    /// Ends the stream: with a reset when a signal says that something was cut, else with FIN.
    pub(super) async fn close(self, signals: &Signals) {
        let code = signals.code();
        if code != 0 {
            lock(&self.0).io.reset(code);
            return;
        }
        if lock(&self.0).closed {
            return;
        }
        let fin = std::future::poll_fn(|cx| Pin::new(&mut lock(&self.0).io).poll_shutdown(cx));
        // Whether the caller still takes our FIN is theirs to say; there is nothing more to tell.
        let _ = timeout(CLOSE_TIMEOUT, fin).await;
    }
}

/// A poisoned lock guards plain values, which are whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the HTTP server reads and writes.
pub(super) struct Wire<IO> {
    shared: Arc<Mutex<Shared<IO>>>,
    signals: Arc<Signals>,
    /// Bytes of a head have come since the exchange of this number.
    partial: Option<u64>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<IO: Carrier> Wire<IO> {
    fn poll_shared(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let shared = &mut *lock(&self.shared);
        if !shared.early.is_empty() {
            let length = shared.early.len().min(buf.remaining());
            buf.put_slice(shared.early.get(..length).unwrap_or_default());
            shared.early.advance(length);
            return Poll::Ready(Ok(()));
        }
        if shared.ended {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut shared.io).poll_read(cx, buf)
    }

    /// The head under way has been waited for long enough. The timer starts only when bytes of one are there and no more come, which
    /// an ordinary request never sees.
    fn late(&mut self, cx: &mut Context<'_>) -> bool {
        let waiting = self.partial == Some(self.signals.begun.load(Ordering::Relaxed))
            && !self.signals.h2.load(Ordering::Relaxed);
        if !waiting || self.signals.is_under_way() {
            self.timer = None;
            return false;
        }
        self.timer.get_or_insert_with(|| Box::pin(sleep(HEAD_TIMEOUT))).as_mut().poll(cx).is_ready()
    }

    fn poll_io<T>(&self, poll: impl FnOnce(Pin<&mut IO>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        poll(Pin::new(&mut lock(&self.shared).io))
    }
}

impl<IO: Carrier> AsyncRead for Wire<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = self.poll_shared(cx, buf);
        if read.is_pending() {
            return if self.late(cx) {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            } else {
                Poll::Pending
            };
        }
        if buf.filled().len() > before && !self.signals.is_under_way() {
            let begun = self.signals.begun.load(Ordering::Relaxed);
            if self.partial != Some(begun) {
                self.partial = Some(begun);
                self.timer = None;
            }
        }
        read
    }
}

impl<IO: Carrier> AsyncWrite for Wire<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_io(|io| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(|io| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        lock(&self.shared).io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_io(|io| io.poll_flush(cx))
    }

    /// Sends FIN, unless what was sent is not the whole: then a FIN would say that it is.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.signals.code() != 0 {
            return Poll::Ready(Ok(()));
        }
        let closed = ready!(self.poll_io(|io| io.poll_shutdown(cx)));
        lock(&self.shared).closed = true;
        Poll::Ready(closed)
    }
}
