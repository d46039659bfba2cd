//! What became of a request that got no answer: whether a server can have seen any of it decides what may be done with it.

use std::io;

use http::Request;
use hyper::client::conn::TrySendError;

use super::{Fault, Meter, Outgoing, UpstreamError, verify};
use crate::gateway::framing;

/// A request that got no answer.
pub(super) enum Unsent {
    /// No server has acted on any of it: here it is back, with what would be said if nobody else takes it.
    Never(Box<Request<Outgoing>>, UpstreamError),
    /// One may have.
    Failed(UpstreamError),
}

/// Whether hyper gave the request back, which it does when none of its bytes were written.
pub(super) fn unsent(mut error: TrySendError<Request<Outgoing>>, meter: &Meter) -> Unsent {
    match error.take_message() {
        Some(request) => Unsent::Never(Box::new(request), ended()),
        None => Unsent::Failed(broke(&error.into_error(), meter)),
    }
}

/// A connection ended under a request of which nothing was sent.
pub(super) fn ended() -> UpstreamError {
    UpstreamError::Unreachable { cause: "the connection ended as it began".to_owned() }
}

/// Whether an HTTP/2 server has said itself that it did nothing with the request: it refused the stream (RFC 9113 §8.7), or went away
/// having taken only earlier ones (§6.8).
pub(super) fn refused(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<h2::Error>() {
            let stream = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
            return error.is_remote() && (stream || error.is_go_away());
        }
        source = cause.source();
    }
    false
}

impl UpstreamError {
    /// What a body's fault is to its request.
    pub(super) fn of(fault: Fault, meter: &Meter) -> Self {
        match fault {
            Fault::Caller => Self::RequestCut,
            Fault::Ambiguous => Self::RequestAmbiguous,
            Fault::Unreadable => Self::RequestUnreadable,
            Fault::Malformed(malformed) => Self::RequestMalformed(malformed),
            Fault::TooLong => Self::RequestTooLong { limit: meter.limit() },
        }
    }
}

/// Why a request that may have been sent got no answer.
pub(super) fn broke(error: &hyper::Error, meter: &Meter) -> UpstreamError {
    if let Some(fault) = meter.fault() {
        return UpstreamError::of(fault, meter);
    }
    if let Some(malformed) = framing::refused_by(error) {
        return UpstreamError::AnswerMalformed(malformed);
    }
    // TLS 1.3 servers judge a client certificate after the handshake is over on our side.
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let tls = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(tls) = tls.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return UpstreamError::Untrusted { reason: verify::reason(tls), cause: tls.to_string() };
        }
        source = cause.source();
    }
    UpstreamError::Broke { cause: chain(error) }
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
