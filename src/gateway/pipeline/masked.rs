//! An answer's body masked while it streams: read as it comes, its texts replaced, its end told truly.

use std::{
    borrow::Cow,
    future::poll_fn,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame};

use super::{
    engine::{End, Engine},
    exchange::Exchange,
    headers,
};
use crate::gateway::{
    mask::{Decoder, Form, Masking, NotUnderstood},
    upstream::{self, BodyError},
};

/// One answer's body on its way through its masking.
pub(super) struct Masked {
    masking: Arc<Masking>,
    decoder: Option<Decoder>,
    engine: Engine,
    form: Form,
    /// The caller reads what was masked in a trailer.
    trailers: bool,
    state: State,
}

/// Where the model's bytes stand.
enum State {
    Flowing,
    /// They have ended, and these trailers follow.
    Ended(Option<HeaderMap>),
    /// They broke off, or cannot be read; what may go on of them goes first.
    Broken(Broken),
    Over,
}

/// Why an answer ends early.
#[derive(Debug)]
pub(super) enum Broken {
    /// The model's server cut it.
    Cut(BodyError),
    /// It cannot be masked.
    Unreadable(NotUnderstood),
}

impl Masked {
    pub(super) fn new(
        form: Form,
        interface: bool,
        decoder: Option<Decoder>,
        masking: &Arc<Masking>,
        trailers: bool,
    ) -> Self {
        let engine = Engine::new(form, interface, masking);
        let masking = Arc::clone(masking);
        Self { masking, decoder, engine, form, trailers, state: State::Flowing }
    }

    /// Whether it is one document, whose beginning tells whether it can be read at all.
    pub(super) fn is_document(&self) -> bool {
        self.form == Form::Json
    }

    /// Whether nothing more is to come.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The next frame for the caller.
    pub(super) fn poll_frame(
        &mut self,
        body: &mut upstream::Body,
        exchange: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            ready!(self.poll_masked(cx));
            if !self.engine.out.is_empty() || !matches!(self.state, State::Flowing) {
                return Poll::Ready(self.give(exchange));
            }
            self.take(ready!(Pin::new(&mut *body).poll_frame(cx)), body.is_end_stream(), exchange);
        }
    }

    /// Takes the beginning of a body before anything is given of it.
    ///
    /// # Errors
    /// When that cannot be read.
    pub(super) async fn begin(
        &mut self,
        frame: Option<Result<Frame<Bytes>, BodyError>>,
        last: bool,
        exchange: &mut Exchange,
    ) -> Result<(), NotUnderstood> {
        self.take(frame, last, exchange);
        poll_fn(|cx| self.poll_masked(cx)).await;
        match &self.state {
            State::Broken(Broken::Unreadable(error)) => Err(*error),
            _ => Ok(()),
        }
    }

    /// What an answer's trailers say in words, and how many values were masked.
    pub(super) fn tell(&self, trailers: &mut HeaderMap) {
        headers::mask_status(trailers, &self.masking);
        if self.trailers
            && let Some(counts) = counted(&self.masking)
        {
            trailers.insert(headers::MASKED, counts);
        }
    }

    /// Ready when all that was taken is masked.
    fn poll_masked(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Err(error) = ready!(self.engine.poll(cx)) {
            self.state = State::Broken(Broken::Unreadable(error));
        }
        Poll::Ready(())
    }

    fn take(&mut self, frame: Option<Result<Frame<Bytes>, BodyError>>, last: bool, exchange: &mut Exchange) {
        let (data, end, then) = match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) if !last => (data, End::No, State::Flowing),
            Some(Ok(Ok(data))) => (data, End::Whole, State::Ended(None)),
            Some(Ok(Err(frame))) => (Bytes::new(), End::Whole, State::Ended(frame.into_trailers().ok())),
            None => (Bytes::new(), End::Whole, State::Ended(None)),
            Some(Err(error)) => (Bytes::new(), End::Cut, State::Broken(Broken::Cut(error))),
        };
        let fed = match self.plain(&data, end) {
            Ok(plain) => {
                exchange.observed(&plain);
                self.engine.feed(&plain, end)
            }
            // What came before it goes on as of an answer that was cut.
            Err(error) => self.engine.feed(&[], End::Cut).and(Err(error)),
        };
        self.state = match fed {
            Ok(()) => then,
            Err(error) => State::Broken(Broken::Unreadable(error)),
        };
    }

    /// The bytes as they are without their compression.
    fn plain<'d>(&mut self, data: &'d [u8], end: End) -> Result<Cow<'d, [u8]>, NotUnderstood> {
        let Some(decoder) = &mut self.decoder else { return Ok(Cow::Borrowed(data)) };
        let mut plain = decoder.push(data)?;
        if end == End::Whole {
            plain.extend(decoder.finish()?);
        }
        Ok(Cow::Owned(plain))
    }

    /// What is there: bytes first, then trailers or why there is no end.
    fn give(&mut self, exchange: &mut Exchange) -> Option<Result<Frame<Bytes>, Broken>> {
        if !self.engine.out.is_empty() {
            let data = Bytes::from(mem::take(&mut self.engine.out));
            exchange.passed(data.len() as u64);
            if let State::Ended(None) = &self.state
                && !(self.trailers && counted(&self.masking).is_some())
            {
                self.state = State::Over;
            }
            return Some(Ok(Frame::data(data)));
        }
        match mem::replace(&mut self.state, State::Over) {
            State::Ended(Some(trailers)) => Some(Ok(Frame::trailers(trailers))),
            State::Ended(None) if self.trailers && counted(&self.masking).is_some() => {
                Some(Ok(Frame::trailers(HeaderMap::new())))
            }
            State::Broken(why) => Some(Err(why)),
            State::Flowing | State::Ended(None) | State::Over => None,
        }
    }
}

/// How many values were masked, as a dictionary (RFC 9651 §3.2) of entities in lower case; `None` when none was.
fn counted(masking: &Masking) -> Option<HeaderValue> {
    let counts = masking.counts();
    let told: Vec<String> =
        counts.iter().map(|(entity, count)| format!("{}={count}", entity.to_ascii_lowercase())).collect();
    HeaderValue::from_str(&told.join(", ")).ok().filter(|value| !value.is_empty())
}
