//! A request body on its way to the model: passed on frame by frame, counted and hashed as it goes, cut at the model's limit.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use aws_lc_rs::digest;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time;

/// What is known of a request body while it passes.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    bytes: AtomicU64,
    sha256: OnceLock<[u8; 32]>,
    fault: AtomicU8,
    limit: u64,
}

/// Why a request body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The caller's bytes ended or broke.
    Caller,
    /// It passed the model's limit.
    TooLong,
    /// Its [`Watch`] stopped it.
    Ambiguous,
}

/// Reads a body as it passes.
pub(crate) trait Watch: Send {
    /// Whether these bytes may go on; false cuts the request here.
    fn passes(&mut self, bytes: &[u8]) -> bool;
}

impl Meter {
    /// Bytes passed so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// SHA-256 of the whole body, once the whole of it has passed.
    pub(crate) fn sha256(&self) -> Option<&[u8; 32]> {
        self.sha256.get()
    }

    /// Why the body was cut, if it was.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match self.fault.load(Ordering::Relaxed) {
            1 => Some(Fault::Caller),
            2 => Some(Fault::TooLong),
            3 => Some(Fault::Ambiguous),
            _ => None,
        }
    }

    /// The longest body the model takes, bytes.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    fn cut(&self, fault: Fault) {
        let number = match fault {
            Fault::Caller => 1,
            Fault::TooLong => 2,
            Fault::Ambiguous => 3,
        };
        self.fault.store(number, Ordering::Relaxed);
    }
}

/// A request body as the upstream connection takes it.
pub(crate) struct Outgoing {
    /// Read before the request was sent.
    early: VecDeque<Frame<Bytes>>,
    body: Incoming,
    watch: Option<Box<dyn Watch>>,
    meter: Arc<Meter>,
    /// `None` once the body has ended.
    hash: Option<digest::Context>,
    /// Writes the body as something else on the wire.
    encoder: Option<Box<dyn Encode>>,
    /// Nothing comes after `early`.
    ended: bool,
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

impl Outgoing {
    /// Wraps a body of at most `limit` bytes, of which `early` was read already; `watch` reads what follows that.
    pub(crate) fn new(
        early: Vec<Frame<Bytes>>,
        body: Incoming,
        watch: Option<Box<dyn Watch>>,
        limit: u64,
    ) -> Self {
        let mut outgoing = Self {
            early: early.into(),
            watch,
            hash: Some(digest::Context::new(&digest::SHA256)),
            meter: Arc::new(Meter { limit, ..Meter::default() }),
            body,
            encoder: None,
            ended: false,
        };
        // The connection stops asking as soon as `is_end_stream` says so; the digest must be ready by then.
        if outgoing.has_ended() {
            outgoing.close();
        }
        outgoing
    }

    /// Where the body's figures can be read.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Reads ahead until the body has ended or `most` bytes are there; whether it has ended.
    ///
    /// # Errors
    /// When the caller's bytes break or are not let through, or none come for `silence`.
    pub(super) async fn gather(&mut self, most: u64, silence: Duration) -> Result<bool, Fault> {
        let mut bytes = self.gathered().map(|data| data.len() as u64).sum::<u64>();
        while !self.ended && !self.body.is_end_stream() {
            if bytes > most {
                return Ok(false);
            }
            let frame = match time::timeout(silence, self.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => {
                    self.ended = true;
                    break;
                }
                Ok(Some(Err(_))) | Err(_) => return Err(self.fault(Fault::Caller)),
            };
            if let Some(data) = frame.data_ref() {
                bytes += data.len() as u64;
                if self.watch.as_mut().is_some_and(|watch| !watch.passes(data)) {
                    return Err(self.fault(Fault::Ambiguous));
                }
                if bytes > self.meter.limit {
                    return Err(self.fault(Fault::TooLong));
                }
            }
            self.early.push_back(frame);
        }
        if self.has_ended() {
            self.close();
        }
        Ok(bytes <= most)
    }

    /// What was read ahead and has not gone out.
    pub(super) fn gathered(&self) -> impl Iterator<Item = &Bytes> {
        self.early.iter().filter_map(Frame::data_ref)
    }

    /// Bytes of the body as the caller sends it, if that is known.
    pub(super) fn plain_length(&self) -> Option<u64> {
        self.plain_hint().exact()
    }

    /// From now on the body goes out in another form, or as it is again.
    pub(super) fn encode(&mut self, encoder: Option<Box<dyn Encode>>) {
        self.encoder = encoder;
    }

    fn fault(&self, fault: Fault) -> Fault {
        self.meter.cut(fault);
        fault
    }

    fn close(&mut self) {
        if let Some(hash) = self.hash.take() {
            let mut sha256 = [0; 32];
            sha256.copy_from_slice(hash.finish().as_ref());
            // Set once: `hash` is taken once.
            let _ = self.meter.sha256.set(sha256);
        }
    }

    fn pass(&mut self, data: &Bytes, watched: bool) -> Result<(), Cut> {
        if watched && self.watch.as_mut().is_some_and(|watch| !watch.passes(data)) {
            self.meter.cut(Fault::Ambiguous);
            return Err(Cut(Fault::Ambiguous));
        }
        let length = data.len() as u64;
        let total = self.meter.bytes.fetch_add(length, Ordering::Relaxed) + length;
        if total > self.meter.limit {
            self.meter.bytes.fetch_sub(length, Ordering::Relaxed);
            self.meter.cut(Fault::TooLong);
            return Err(Cut(Fault::TooLong));
        }
        if let Some(hash) = &mut self.hash {
            hash.update(data);
        }
        Ok(())
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
        })
    }
}

impl std::error::Error for Cut {}

impl Outgoing {
    fn poll_plain(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self;
        let early = this.early.pop_front();
        let watched = early.is_none();
        let polled = match early {
            Some(frame) => Some(Ok(frame)),
            None if this.ended => None,
            None => ready!(Pin::new(&mut this.body).poll_frame(cx)),
        };
        Poll::Ready(match polled {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref()
                    && let Err(cut) = this.pass(data, watched)
                {
                    return Poll::Ready(Some(Err(cut)));
                }
                if frame.is_trailers() || this.has_ended() {
                    this.close();
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a request body broke");
                this.meter.cut(Fault::Caller);
                Some(Err(Cut(Fault::Caller)))
            }
            None => {
                this.close();
                None
            }
        })
    }

    fn poll_encoded(
        &mut self,
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

    fn has_ended(&self) -> bool {
        self.early.is_empty() && (self.ended || self.body.is_end_stream())
    }

    fn plain_hint(&self) -> SizeHint {
        let early: u64 = self.early.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum();
        let rest = if self.ended { SizeHint::with_exact(0) } else { self.body.size_hint() };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(early));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(early));
        }
        hint
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Some(mut encoder) = this.encoder.take() else { return this.poll_plain(cx) };
        let polled = this.poll_encoded(&mut *encoder, cx);
        this.encoder = Some(encoder);
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.encoder {
            Some(encoder) => encoder.is_done(),
            None => self.has_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.encoder {
            Some(encoder) => SizeHint::with_exact(encoder.length()),
            None => self.plain_hint(),
        }
    }
}
