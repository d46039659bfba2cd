//! A request masked before anything of it is sent on: read as the caller wrote it, written as the model may see it.

use std::{
    borrow::Cow,
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;

use super::{
    dialect::{Call, Rpc, rpc},
    engine::{End, Engine},
    headers,
    masking::BINARY_TENSORS,
    models::Model,
};
use crate::gateway::{
    mask::{Decoder, Form, Masking, NotUnderstood, Unknown},
    respond::Problem,
    upstream::{Fault, Rewrite, Watch, broken},
};

/// A request's body on its way through its masking.
pub(super) struct Rewritten {
    /// What was read of the body before.
    early: VecDeque<Frame<Bytes>>,
    body: Incoming,
    /// Reads what the caller wrote.
    watch: Option<Box<dyn Watch>>,
    decoder: Option<Decoder>,
    engine: Engine,
    /// `None` while the caller's bytes flow; then the trailers that follow what is left, if there are any.
    ended: Option<Option<HeaderMap>>,
}

/// How a request's body is masked; `None`: it passes as it is.
///
/// # Errors
/// When it cannot be read, and must not pass unread.
pub(super) fn form(
    model: &Model,
    masking: &Arc<Masking>,
    head: &mut Parts,
    unknown: Unknown,
) -> Result<Option<(Engine, Option<Decoder>)>, Problem> {
    let call = Call::of(model.config.dialect, head);
    let Some(form) = of(head, call.is_some()) else {
        return match unknown {
            Unknown::Pass => Ok(None),
            Unknown::Refuse => Err(Problem::request_unreadable("nothing says of which kind its body is")),
        };
    };
    let mut encodings = headers::tokens(&head.headers, &header::CONTENT_ENCODING)
        .filter(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity"));
    let decoder =
        match (encodings.next().map(|one| std::str::from_utf8(one).map(Decoder::of)), encodings.next()) {
            (None, _) => None,
            (Some(Ok(Some(decoder))), None) => Some(decoder),
            _ if unknown == Unknown::Pass => return Ok(None),
            _ => {
                return Err(Problem::request_unreadable("it is compressed in a way that is not undone here"));
            }
        };
    drop(encodings);
    if form == Form::Binary {
        return Ok(None);
    }
    for name in [header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
        head.headers.remove(name);
    }
    for name in ["content-digest", "content-md5", "digest"] {
        head.headers.remove(name);
    }
    Ok(Some((Engine::new(form, call.is_some_and(|call| call.is_interface()), masking), decoder)))
}

/// What a request's body is. Servers of the dialects that are understood read JSON whatever the content type says.
pub(super) fn of(head: &Parts, understood: bool) -> Option<Form> {
    let kind = head.headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
    let path = head.uri.path();
    match kind {
        _ if head.headers.contains_key(BINARY_TENSORS) => None,
        Some(kind) if kind.starts_with("application/grpc") => match rpc(path) {
            Rpc::Inference { .. } => Some(Form::InferenceAsked),
            Rpc::Quiet => Some(Form::Binary),
            Rpc::Other => None,
        },
        Some(kind) if kind.starts_with("multipart/") => None,
        _ if understood => Some(Form::Asked),
        Some(kind) if kind.starts_with("application/x-www-form-urlencoded") => None,
        Some(kind) => match Form::of(kind)? {
            Form::Json => Some(Form::Asked),
            form => Some(form),
        },
        None => None,
    }
}

impl Rewritten {
    pub(super) fn new(
        early: Vec<Frame<Bytes>>,
        body: Incoming,
        watch: Option<Box<dyn Watch>>,
        (engine, decoder): (Engine, Option<Decoder>),
    ) -> Self {
        Self { early: early.into(), body, watch, decoder, engine, ended: None }
    }

    fn take(&mut self, frame: Option<Frame<Bytes>>) -> Result<(), NotUnderstood> {
        let (data, trailers) = match frame.map(Frame::into_data) {
            Some(Ok(data)) => (data, None),
            Some(Err(frame)) => (Bytes::new(), Some(frame.into_trailers().ok())),
            None => (Bytes::new(), Some(None)),
        };
        let over = self.early.is_empty() && self.body.is_end_stream();
        let ended = trailers.or_else(|| over.then_some(None));
        let end = if ended.is_some() { End::Whole } else { End::No };
        let plain = match &mut self.decoder {
            None => Cow::Borrowed(&data[..]),
            Some(decoder) => {
                let mut plain = decoder.push(&data)?;
                if end == End::Whole {
                    plain.extend(decoder.finish()?);
                }
                Cow::Owned(plain)
            }
        };
        self.engine.feed(&plain, end)?;
        self.ended = ended;
        Ok(())
    }

    /// What the caller wrote next, and `None` at its end.
    fn poll_asked(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, Fault>> {
        if let Some(frame) = self.early.pop_front() {
            return Poll::Ready(Ok(Some(frame)));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose();
        let frame = frame.map_err(|error| broken(&error))?;
        let watched = frame.as_ref().and_then(Frame::data_ref).zip(self.watch.as_mut());
        if watched.is_some_and(|(data, watch)| !watch.passes(data)) {
            return Poll::Ready(Err(Fault::Ambiguous));
        }
        Poll::Ready(Ok(frame))
    }
}

impl Rewrite for Rewritten {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let unreadable = |error: NotUnderstood| {
            tracing::debug!(%error, "a request cannot be masked");
            Poll::Ready(Some(Err(Fault::Unreadable)))
        };
        loop {
            if let Err(error) = ready!(self.engine.poll(cx)) {
                return unreadable(error);
            }
            if !self.engine.out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(mem::take(&mut self.engine.out).into()))));
            }
            if let Some(trailers) = &mut self.ended {
                return Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            let frame = match ready!(self.poll_asked(cx)) {
                Ok(frame) => frame,
                Err(fault) => return Poll::Ready(Some(Err(fault))),
            };
            if let Err(error) = self.take(frame) {
                return unreadable(error);
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.ended, Some(None)) && self.engine.is_idle()
    }
}
