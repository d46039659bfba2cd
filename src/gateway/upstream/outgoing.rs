//! A request body on its way to the model: passed on frame by frame, counted and hashed as it goes, cut at the model's limit.

use std::{
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
            _ => None,
        }
    }

    /// The longest body the model takes, bytes.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    fn cut(&self, fault: Fault) {
        self.fault.store(if fault == Fault::Caller { 1 } else { 2 }, Ordering::Relaxed);
    }
}

/// A request body as the upstream connection takes it.
pub(crate) struct Outgoing {
    body: Incoming,
    meter: Arc<Meter>,
    /// `None` once the body has ended.
    hash: Option<digest::Context>,
}

impl Outgoing {
    /// Wraps a body of at most `limit` bytes.
    pub(crate) fn new(body: Incoming, limit: u64) -> Self {
        let mut outgoing = Self {
            hash: Some(digest::Context::new(&digest::SHA256)),
            meter: Arc::new(Meter { limit, ..Meter::default() }),
            body,
        };
        // The connection stops asking as soon as `is_end_stream` says so; the digest must be ready by then.
        if outgoing.body.is_end_stream() {
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

    fn pass(&mut self, data: &Bytes) -> Result<(), Cut> {
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
        Poll::Ready(match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref()
                    && let Err(cut) = this.pass(data)
                {
                    return Poll::Ready(Some(Err(cut)));
                }
                if frame.is_trailers() || this.body.is_end_stream() {
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

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
