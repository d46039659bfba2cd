//! A model's answer: its head, and its body as the frames come.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::response;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::{BodyError, Meter, http1::Http1, http2::Ticket, pool::Pool};
use crate::evidence::event::Leg;

/// The head of an answer, and the rest of it.
pub struct Answered {
    /// Status and headers as the model's server sent them.
    pub head: response::Parts,
    /// The body, still under way.
    pub body: Body,
    /// How the leg was encrypted.
    pub leg: Arc<Leg>,
}

/// The body of an answer. Dropping it before its end ends the request at the server at once.
pub struct Body {
    incoming: Incoming,
    line: Held,
}

enum Held {
    /// An HTTP/1.1 connection, driven by whoever polls the body.
    Alone { connection: Box<Http1>, pool: Arc<Pool>, meter: Arc<Meter> },
    /// A place on a shared HTTP/2 connection.
    Shared { _ticket: Ticket },
    /// The connection has been given back, or has ended.
    Released,
}

impl Body {
    pub(super) fn alone(
        incoming: Incoming,
        connection: Box<Http1>,
        pool: Arc<Pool>,
        meter: Arc<Meter>,
    ) -> Self {
        Self { incoming, line: Held::Alone { connection, pool, meter } }
    }

    pub(super) fn shared(incoming: Incoming, ticket: Ticket) -> Self {
        Self { incoming, line: Held::Shared { _ticket: ticket } }
    }

    /// A body whose connection takes care of itself.
    pub(super) fn loose(incoming: Incoming) -> Self {
        Self { incoming, line: Held::Released }
    }

    /// Gives the connection back when the body has ended.
    pub(super) fn release_at_end(&mut self, cx: &mut Context<'_>) {
        if self.incoming.is_end_stream() {
            self.release(cx);
        }
    }

    fn release(&mut self, cx: &mut Context<'_>) {
        if let Held::Alone { mut connection, pool, meter } = std::mem::replace(&mut self.line, Held::Released)
            // A request that was answered before its body had ended leaves the connection in the middle of it.
            && meter.sha256().is_some()
            && connection.ready(cx)
        {
            pool.keep(connection);
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let mut polled = Pin::new(&mut this.incoming).poll_frame(cx);
        if polled.is_pending()
            && let Held::Alone { connection, .. } = &mut this.line
        {
            connection.drive(cx);
            polled = Pin::new(&mut this.incoming).poll_frame(cx);
        }
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                // Nothing follows trailers, and whoever got them asks no more.
                if frame.is_trailers() || this.incoming.is_end_stream() {
                    this.release(cx);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.line = Held::Released;
                Poll::Ready(Some(Err(BodyError::Cut(error))))
            }
            Poll::Ready(None) => {
                let missing = match this.line {
                    Held::Alone { .. } => this.incoming.size_hint().lower(),
                    Held::Shared { .. } | Held::Released => 0,
                };
                if missing > 0 {
                    this.line = Held::Released;
                    return Poll::Ready(Some(Err(BodyError::Short { missing })));
                }
                this.release(cx);
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
