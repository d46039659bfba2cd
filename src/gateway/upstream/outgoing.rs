//! A request body on its way to the model: passed on frame by frame, counted and hashed as it goes, cut at the model's limit.

mod meter;
mod source;

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time,
};

pub(crate) use self::{
    meter::{Fault, Meter},
    source::{Rewrite, Source, Watch, broken},
};
use super::UpstreamError;
use crate::gateway::framing::{self, Malformed};

/// A request body as the upstream connection takes it.
pub(crate) struct Outgoing {
    flow: Arc<Mutex<Flow>>,
    /// The sending this handle is for; a later one has made it void.
    turn: u32,
    meter: Arc<Meter>,
    /// Writes the body as something else on the wire.
    encoder: Option<Box<dyn Encode>>,
}

/// Another form of a body on the wire. The [`Meter`] counts what the caller sent.
pub(super) trait Encode: Send {
    /// Takes in bytes of the body; what they make goes out when there is enough of it.
    fn push(&mut self, data: Bytes);
    /// The body has ended.
    fn end(&mut self);
    /// What can go out now.
    fn pull(&mut self) -> Option<Bytes>;
    /// Whether everything has gone out.
    fn is_done(&self) -> bool;
    /// Bytes on the wire in all.
    fn length(&self) -> u64;
}

/// Where a body stands.
struct Flow {
    /// Read before the request was sent, or to be sent once more.
    early: VecDeque<Frame<Bytes>>,
    body: Source,
    watch: Option<Box<dyn Watch>>,
    /// `None` once the body has ended.
    hash: Option<digest::Context>,
    turn: u32,
    /// What has been passed on, while it may have to be once more and is not too long for that.
    kept: Option<Passed>,
    /// Nothing comes after `early`.
    ended: bool,
    /// For the bytes that were read ahead, until they have gone out.
    room: Option<SemaphorePermit<'static>>,
}

/// What came of reading ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    /// The body has ended.
    Whole,
    /// There is more of it than is read ahead.
    TooLong,
    /// Too many bytes of all requests are held already.
    NoRoom,
}

#[derive(Default)]
struct Passed {
    chunks: Vec<Bytes>,
    length: usize,
}

/// The longest body that is kept for a second sending, bytes.
const MAX_KEPT: usize = 64 * 1024;

/// The longest body that is read ahead for its length, bytes; and all of them at once.
const MAX_SETTLED: u64 = 1024 * 1024;
static SETTLING: Semaphore = Semaphore::const_new(64 * 1024 * 1024);

/// What is read ahead is put together to pieces of this size, bytes.
const PIECE: usize = 64 * 1024;

/// Holds what has been sent of a body, for a server that says that it did nothing with it.
pub(super) struct Kept {
    flow: Arc<Mutex<Flow>>,
    meter: Arc<Meter>,
}

impl Kept {
    /// The body from its beginning; `None` when too much of it has gone. The handle that was sent is void from here on.
    pub(super) fn rewind(self) -> Option<Outgoing> {
        let mut flow = lock(&self.flow);
        let passed = flow.kept.take()?;
        for chunk in passed.chunks.into_iter().rev() {
            flow.early.push_front(Frame::data(chunk));
        }
        flow.hash = Some(digest::Context::new(&digest::SHA256));
        flow.turn += 1;
        self.meter.bytes.store(0, Ordering::Relaxed);
        let turn = flow.turn;
        drop(flow);
        Some(Outgoing { flow: Arc::clone(&self.flow), turn, meter: Arc::clone(&self.meter), encoder: None })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        lock(&self.flow).kept = None;
    }
}

/// A poisoned lock guards a body under way: whatever becomes of it, it is counted.
fn lock(flow: &Mutex<Flow>) -> MutexGuard<'_, Flow> {
    flow.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outgoing {
    /// Wraps a body of at most `limit` bytes, of which `early` was read already; `watch` reads what follows that.
    pub(crate) fn new(
        early: Vec<Frame<Bytes>>,
        body: Source,
        watch: Option<Box<dyn Watch>>,
        limit: u64,
    ) -> Self {
        let meter = Arc::new(Meter::new(limit));
        let hash = Some(digest::Context::new(&digest::SHA256));
        let mut flow =
            Flow { early: early.into(), body, watch, hash, turn: 0, kept: None, ended: false, room: None };
        // The connection stops asking as soon as `is_end_stream` says so; the digest must be ready by then.
        if flow.is_end_stream() {
            flow.close(&meter);
        }
        Self { flow: Arc::new(Mutex::new(flow)), turn: 0, meter, encoder: None }
    }

    /// Whether its bytes are others than the caller's.
    pub(crate) fn is_rewritten(&self) -> bool {
        matches!(lock(&self.flow).body, Source::Rewritten(_))
    }

    /// Where the body's figures can be read.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Keeps what is sent from here on, up to [`MAX_KEPT`] bytes, for as long as the value lives.
    pub(super) fn keep(&self) -> Kept {
        lock(&self.flow).kept = Some(Passed::default());
        Kept { flow: Arc::clone(&self.flow), meter: Arc::clone(&self.meter) }
    }

    /// Reads ahead until the body has ended, `most` bytes are there, or `budget`, in bytes, has no room for what came.
    ///
    /// # Errors
    /// When the caller's bytes break or are not let through, or none come for `silence`.
    pub(super) async fn gather(
        &mut self,
        most: u64,
        silence: Duration,
        budget: &'static Semaphore,
    ) -> Result<Gathered, Fault> {
        let gone_on = || poll_fn(|cx| lock(&self.flow).poll_ahead(cx, &self.meter));
        let early = |frame| lock(&self.flow).early.push_back(frame);
        let mut bytes: u64 =
            lock(&self.flow).early.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum();
        // Put together: a caller's bytes may come one by one.
        let mut pending = BytesMut::new();
        let gathered = loop {
            if bytes > most {
                break Gathered::TooLong;
            }
            if bytes > self.meter.limit() {
                self.meter.cut(Fault::TooLong);
                return Err(Fault::TooLong);
            }
            if !lock(&self.flow).take_room(budget, bytes) {
                break Gathered::NoRoom;
            }
            let Ok(polled) = time::timeout(silence, gone_on()).await else {
                self.meter.cut(Fault::Caller);
                return Err(Fault::Caller);
            };
            match polled.map_err(|Cut(fault)| fault)?.map(Frame::into_data) {
                None => break Gathered::Whole,
                Some(Ok(data)) => {
                    bytes += data.len() as u64;
                    pending.extend_from_slice(&data);
                    if pending.len() >= PIECE {
                        early(Frame::data(pending.split().freeze()));
                    }
                }
                Some(Err(trailers)) => {
                    if !pending.is_empty() {
                        early(Frame::data(pending.split().freeze()));
                    }
                    early(trailers);
                }
            }
        };
        // Also of a body that goes on without having been read to its end.
        if !pending.is_empty() {
            early(Frame::data(pending.freeze()));
        }
        let mut flow = lock(&self.flow);
        if flow.is_end_stream() {
            flow.close(&self.meter);
        }
        Ok(gathered)
    }

    /// Reads a body of unknown length ahead, so that its length can be told where it is short: many servers want one.
    ///
    /// # Errors
    /// As the body breaks while it is read.
    pub(crate) async fn settle(&mut self, silence: Duration) -> Result<(), UpstreamError> {
        if self.plain_length().is_some() {
            return Ok(());
        }
        let settled = self.gather(MAX_SETTLED, silence, &SETTLING).await;
        // What is too long for that goes on without a length.
        settled.map(drop).map_err(|fault| UpstreamError::of(fault, &self.meter))
    }

    /// SHA-256 of what was read ahead and has not gone out.
    pub(super) fn gathered_sha256(&self) -> digest::Digest {
        let mut hash = digest::Context::new(&digest::SHA256);
        for data in lock(&self.flow).early.iter().filter_map(Frame::data_ref) {
            hash.update(data);
        }
        hash.finish()
    }

    /// Bytes of the body as the caller sends it, if that is known.
    pub(super) fn plain_length(&self) -> Option<u64> {
        lock(&self.flow).size_hint().exact()
    }

    /// From now on the body goes out in another form, or as it is again.
    pub(super) fn encode(&mut self, encoder: Option<Box<dyn Encode>>) {
        self.encoder = encoder;
    }

    fn poll_plain(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let mut flow = lock(&self.flow);
        if flow.turn != self.turn {
            // The body goes out once more elsewhere: this is the rest of a sending that came to nothing.
            return Poll::Ready(Some(Err(Cut(Fault::Caller))));
        }
        flow.poll_frame(cx, &self.meter)
    }

    fn poll_encoded(
        &self,
        encoder: &mut dyn Encode,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        loop {
            if let Some(bytes) = encoder.pull() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if encoder.is_done() {
                return Poll::Ready(None);
            }
            match ready!(self.poll_plain(cx)) {
                // Trailers have no place in the other form.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        encoder.push(data);
                    }
                }
                Some(Err(cut)) => return Poll::Ready(Some(Err(cut))),
                None => encoder.end(),
            }
        }
    }
}

impl Flow {
    /// The next frame, watched, which is to be put behind `early`; `None` at the end.
    fn poll_ahead(&mut self, cx: &mut Context<'_>, meter: &Meter) -> Poll<Result<Option<Frame<Bytes>>, Cut>> {
        if self.ended || self.body.is_end_stream() {
            return Poll::Ready(Ok(None));
        }
        ready!(self.poll_watch(cx));
        Poll::Ready(match ready!(self.body.poll_frame(cx)) {
            Some(Ok(frame)) => {
                self.watch_trailers(&frame);
                if let Some(data) = frame.data_ref()
                    && self.watch.as_mut().is_some_and(|watch| !watch.passes(data))
                {
                    meter.cut(Fault::Ambiguous);
                    return Poll::Ready(Err(Cut(Fault::Ambiguous)));
                }
                Ok(Some(frame))
            }
            Some(Err(fault)) => {
                meter.cut(fault);
                Err(Cut(fault))
            }
            None => {
                self.ended = true;
                Ok(None)
            }
        })
    }

    /// Ready when whoever reads the body can read more.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.watch.as_mut().map_or(Poll::Ready(()), |watch| watch.poll_ready(cx))
    }

    fn watch_trailers(&mut self, frame: &Frame<Bytes>) {
        if let (Some(watch), Some(trailers)) = (&mut self.watch, frame.trailers_ref()) {
            watch.trailers(trailers);
        }
    }

    fn size_hint(&self) -> SizeHint {
        let early: u64 = self.early.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum();
        let rest = if self.ended { SizeHint::with_exact(0) } else { self.body.size_hint() };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(early));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(early));
        }
        hint
    }

    /// Takes what is missing of the room for `bytes`; false when there is none.
    fn take_room(&mut self, budget: &'static Semaphore, bytes: u64) -> bool {
        let held = self.room.as_ref().map_or(0, SemaphorePermit::num_permits);
        let missing = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_sub(held);
        let Ok(missing) = u32::try_from(missing) else { return false };
        let Ok(more) = budget.try_acquire_many(missing) else { return false };
        match &mut self.room {
            Some(room) => room.merge(more),
            None => self.room = Some(more),
        }
        true
    }

    fn close(&mut self, meter: &Meter) {
        self.room = None;
        if let Some(hash) = self.hash.take() {
            if let Some(watch) = &mut self.watch {
                watch.ends();
            }
            let mut sha256 = [0; 32];
            sha256.copy_from_slice(hash.finish().as_ref());
            // Set once: a body that was sent twice is the same both times.
            let _ = meter.sha256.set(sha256);
        }
    }

    fn pass(&mut self, data: &Bytes, watched: bool, meter: &Meter) -> Result<(), Cut> {
        if watched && self.watch.as_mut().is_some_and(|watch| !watch.passes(data)) {
            meter.cut(Fault::Ambiguous);
            return Err(Cut(Fault::Ambiguous));
        }
        let length = data.len() as u64;
        let total = meter.bytes.fetch_add(length, Ordering::Relaxed) + length;
        if total > meter.limit() {
            meter.bytes.fetch_sub(length, Ordering::Relaxed);
            meter.cut(Fault::TooLong);
            return Err(Cut(Fault::TooLong));
        }
        if let Some(hash) = &mut self.hash {
            hash.update(data);
        }
        if let Some(passed) = &mut self.kept {
            passed.length = passed.length.saturating_add(data.len());
            if passed.length > MAX_KEPT {
                self.kept = None;
            } else {
                passed.chunks.push(data.clone());
            }
        }
        Ok(())
    }

    fn is_end_stream(&self) -> bool {
        self.early.is_empty() && (self.ended || self.body.is_end_stream())
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>, meter: &Meter) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let early = self.early.pop_front();
        let watched = early.is_none();
        let polled = match early {
            Some(frame) => Some(Ok(frame)),
            None if self.ended => None,
            None => {
                ready!(self.poll_watch(cx));
                ready!(self.body.poll_frame(cx))
            }
        };
        Poll::Ready(match polled {
            Some(Ok(frame)) => {
                if watched {
                    self.watch_trailers(&frame);
                }
                if let Some(data) = frame.data_ref() {
                    if let Err(cut) = self.pass(data, watched, meter) {
                        return Poll::Ready(Some(Err(cut)));
                    }
                } else {
                    // Trailers are read once.
                    self.kept = None;
                }
                if let Some(trailers) = frame.trailers_ref()
                    && !trailers.keys().all(|name| framing::trailer(name.as_str().as_bytes()))
                {
                    let fault = Fault::Malformed(Malformed::Trailer);
                    meter.cut(fault);
                    return Poll::Ready(Some(Err(Cut(fault))));
                }
                if frame.is_trailers() || self.is_end_stream() {
                    self.close(meter);
                }
                Some(Ok(frame))
            }
            Some(Err(fault)) => {
                meter.cut(fault);
                Some(Err(Cut(fault)))
            }
            None => {
                self.close(meter);
                None
            }
        })
    }
}

/// Ends the upstream request; the reason is read from the [`Meter`].
#[derive(Debug)]
pub(crate) struct Cut(Fault);

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Fault::Caller => "the caller's request body ended early",
            Fault::TooLong => "the request body is longer than the model takes",
            Fault::Ambiguous => "servers could take another model from the request body",
            Fault::Unreadable => "the caller's request body cannot be masked",
            Fault::Malformed(_) => "the caller's request body is malformed",
        })
    }
}

impl std::error::Error for Cut {}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(mut encoder) = self.encoder.take() else { return self.poll_plain(cx) };
        let polled = self.poll_encoded(&mut *encoder, cx);
        self.encoder = Some(encoder);
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.encoder {
            Some(encoder) => encoder.is_done(),
            None => lock(&self.flow).is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.encoder {
            Some(encoder) => SizeHint::with_exact(encoder.length()),
            None => lock(&self.flow).size_hint(),
        }
    }
}

#[cfg(test)]
mod tests;
