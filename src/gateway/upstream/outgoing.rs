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
};

use aws_lc_rs::digest;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::gateway::framing::{self, Malformed};

/// What is known of a request body while it passes.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    bytes: AtomicU64,
    sha256: OnceLock<[u8; 32]>,
    malformed: OnceLock<Malformed>,
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
    /// It is framed in a way that could be read in two ways.
    Malformed(Malformed),
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
            _ => self.malformed.get().map(|malformed| Fault::Malformed(*malformed)),
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
            Fault::Malformed(malformed) => {
                // The first says it.
                let _ = self.malformed.set(malformed);
                return;
            }
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
        };
        // The connection stops asking as soon as `is_end_stream` says so; the digest must be ready by then.
        if outgoing.is_end_stream() {
            outgoing.close();
        }
        outgoing
    }

    /// Where the body's figures can be read.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
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
        let this = &mut *self;
        let early = this.early.pop_front();
        let watched = early.is_none();
        let polled = match early {
            Some(frame) => Some(Ok(frame)),
            None => ready!(Pin::new(&mut this.body).poll_frame(cx)),
        };
        Poll::Ready(match polled {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref()
                    && let Err(cut) = this.pass(data, watched)
                {
                    return Poll::Ready(Some(Err(cut)));
                }
                if let Some(trailers) = frame.trailers_ref()
                    && !trailers.keys().all(|name| framing::trailer(name.as_str().as_bytes()))
                {
                    let fault = Fault::Malformed(Malformed::Trailer);
                    this.meter.cut(fault);
                    return Poll::Ready(Some(Err(Cut(fault))));
                }
                if frame.is_trailers() || this.is_end_stream() {
                    this.close();
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a request body broke");
                let fault = framing::refused_by(&error).map_or(Fault::Caller, Fault::Malformed);
                this.meter.cut(fault);
                Some(Err(Cut(fault)))
            }
            None => {
                this.close();
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.early.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let early: u64 = self.early.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum();
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(early));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(early));
        }
        hint
    }
}
