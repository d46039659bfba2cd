//! An answer's body masked while it streams: read as it comes, its texts replaced, its end told truly.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame};

use super::{exchange::Exchange, headers};
use crate::gateway::{
    mask::{self, Decoder, Form, Masking, NotUnderstood},
    upstream::{self, BodyError},
};

/// One answer's body on its way through its masking.
pub(super) struct Masked {
    masking: Arc<Masking>,
    decoder: Option<Decoder>,
    answer: mask::Answer,
    form: Form,
    /// The caller reads what was masked in a trailer.
    trailers: bool,
    /// What may go on.
    out: Vec<u8>,
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
        let answer = mask::Answer::new(form, interface, masking);
        let masking = Arc::clone(masking);
        Self { masking, decoder, answer, form, trailers, out: Vec::new(), state: State::Flowing }
    }

    /// For what the caller says in a conversation.
    pub(super) fn asked(masking: &Arc<Masking>) -> Self {
        Self::new(Form::WebSocketAsked, true, None, masking, false)
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
        while self.out.is_empty() && matches!(self.state, State::Flowing) {
            self.take(ready!(Pin::new(&mut *body).poll_frame(cx)), body.is_end_stream(), exchange);
        }
        Poll::Ready(self.give(exchange))
    }

    /// Takes the beginning of a body before anything is given of it.
    ///
    /// # Errors
    /// When that cannot be read.
    pub(super) fn begin(
        &mut self,
        frame: Option<Result<Frame<Bytes>, BodyError>>,
        last: bool,
        exchange: &mut Exchange,
    ) -> Result<(), NotUnderstood> {
        self.take(frame, last, exchange);
        match &self.state {
            State::Broken(Broken::Unreadable(error)) => Err(*error),
            _ => Ok(()),
        }
    }

    /// Masks bytes that no body frames: a conversation's. What may go on is added to `out`.
    ///
    /// # Errors
    /// When they cannot be read; what may go on of them was added.
    pub(super) fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        let passed = self.answer.push(bytes, out);
        if passed.is_err() {
            self.answer.abort(out);
        }
        passed
    }

    /// Such bytes have ended, or were cut: nobody frames them.
    pub(super) fn cut_off(&mut self, out: &mut Vec<u8>) {
        self.answer.abort(out);
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

    fn take(&mut self, frame: Option<Result<Frame<Bytes>, BodyError>>, last: bool, exchange: &mut Exchange) {
        let taken = match frame {
            None => self.finish(None, exchange),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self
                    .push(&data, exchange)
                    .and_then(|()| if last { self.finish(None, exchange) } else { Ok(()) }),
                Err(frame) => self.finish(frame.into_trailers().ok(), exchange),
            },
            Some(Err(error)) => {
                self.broken(Broken::Cut(error));
                return;
            }
        };
        if let Err(error) = taken {
            self.broken(Broken::Unreadable(error));
        }
    }

    fn push(&mut self, data: &[u8], exchange: &mut Exchange) -> Result<(), NotUnderstood> {
        let Some(decoder) = &mut self.decoder else {
            exchange.observed(data);
            return self.answer.push(data, &mut self.out);
        };
        let plain = decoder.push(data)?;
        exchange.observed(&plain);
        self.answer.push(&plain, &mut self.out)
    }

    fn finish(&mut self, trailers: Option<HeaderMap>, exchange: &mut Exchange) -> Result<(), NotUnderstood> {
        if let Some(decoder) = &mut self.decoder {
            let plain = decoder.finish()?;
            exchange.observed(&plain);
            self.answer.push(&plain, &mut self.out)?;
        }
        self.answer.finish(&mut self.out)?;
        self.state = State::Ended(trailers);
        Ok(())
    }

    fn broken(&mut self, why: Broken) {
        self.answer.abort(&mut self.out);
        self.state = State::Broken(why);
    }

    /// What is there: bytes first, then trailers or why there is no end.
    fn give(&mut self, exchange: &mut Exchange) -> Option<Result<Frame<Bytes>, Broken>> {
        if !self.out.is_empty() {
            let data = Bytes::from(mem::take(&mut self.out));
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
