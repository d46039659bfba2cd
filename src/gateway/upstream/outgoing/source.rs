//! Where a request body comes from: the caller, or what has read the caller's bytes and writes others.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::Fault;
use crate::gateway::framing;

/// Reads a body as it passes.
pub(crate) trait Watch: Send {
    /// Whether these bytes may go on; false cuts the request here.
    fn passes(&mut self, bytes: &[u8]) -> bool;

    /// Ready when it can read more.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    /// The body's trailers.
    fn trailers(&mut self, _: &HeaderMap) {}

    /// The body is complete. May be said twice.
    fn ends(&mut self) {}
}

/// A body whose bytes become others before anything else looks at them.
pub(crate) trait Rewrite: Send {
    /// The next frame; none follows a fault.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>>;
    /// Whether no frame is to come.
    fn is_end_stream(&self) -> bool;
}

/// Where a body comes from.
pub(crate) enum Source {
    /// The caller.
    Caller(Incoming),
    /// The caller, and what rewrites their bytes.
    Rewritten(Box<dyn Rewrite>),
}

impl Source {
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self {
            Self::Caller(body) => Pin::new(body).poll_frame(cx).map_err(|error| broken(&error)),
            Self::Rewritten(body) => body.poll_frame(cx),
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Caller(body) => body.is_end_stream(),
            Self::Rewritten(body) => body.is_end_stream(),
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Caller(body) => body.size_hint(),
            Self::Rewritten(_) => SizeHint::default(),
        }
    }
}

/// Why the caller's bytes broke.
pub(crate) fn broken(error: &hyper::Error) -> Fault {
    tracing::debug!(%error, "a request body broke");
    framing::refused_by(error).map_or(Fault::Caller, Fault::Malformed)
}
