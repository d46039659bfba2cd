//! What masks the bytes of one side of an exchange: in place, or beside the connection's thread where somebody is asked for names.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::task::{JoinHandle, spawn_blocking};

use crate::gateway::mask::{Answer, Form, Masking, NotUnderstood};

/// One side of an exchange on its way through its masking.
pub(super) struct Engine {
    place: Place,
    /// Whoever masks may block, and so must not do it on a thread that serves others.
    blocks: bool,
    /// What may go on.
    pub(super) out: Vec<u8>,
}

enum Place {
    Here(Box<Answer>),
    Away(JoinHandle<Done>),
    /// It was lost, which happens only when the program ends.
    Gone,
}

/// Whether a side has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// More may come.
    #[default]
    No,
    /// It is complete.
    Whole,
    /// It was cut.
    Cut,
}

type Done = (Box<Answer>, Vec<u8>, Result<(), NotUnderstood>);

impl Engine {
    pub(super) fn new(form: Form, interface: bool, masking: &Arc<Masking>) -> Self {
        let answer = Box::new(Answer::new(form, interface, masking));
        Self { place: Place::Here(answer), blocks: masking.asks_for_names(), out: Vec::new() }
    }

    /// Gives it bytes; [`Self::poll`] says when it is done with them, and must have said so of those before.
    ///
    /// # Errors
    /// When they cannot be read. What may go on of them is in `out` then too.
    pub(super) fn feed(&mut self, bytes: &[u8], end: End) -> Result<(), NotUnderstood> {
        match mem::replace(&mut self.place, Place::Gone) {
            Place::Here(mut answer) if !self.blocks => {
                let done = work(&mut answer, bytes, end, &mut self.out);
                self.place = Place::Here(answer);
                done
            }
            Place::Here(mut answer) => {
                let (bytes, mut out) = (bytes.to_vec(), mem::take(&mut self.out));
                self.place = Place::Away(spawn_blocking(move || {
                    let done = work(&mut answer, &bytes, end, &mut out);
                    (answer, out, done)
                }));
                Ok(())
            }
            Place::Away(_) | Place::Gone => Err(LOST),
        }
    }

    /// Whether nothing is being masked, and nothing left that may go on.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.place, Place::Here(_)) && self.out.is_empty()
    }

    /// Ready when nothing is being masked.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NotUnderstood>> {
        let Place::Away(away) = &mut self.place else { return Poll::Ready(Ok(())) };
        match ready!(Pin::new(away).poll(cx)) {
            Ok((answer, out, done)) => {
                self.place = Place::Here(answer);
                self.out = out;
                Poll::Ready(done)
            }
            Err(_) => {
                self.place = Place::Gone;
                Poll::Ready(Err(LOST))
            }
        }
    }
}

const LOST: NotUnderstood = NotUnderstood::Malformed("nobody masks it any more");

fn work(answer: &mut Answer, bytes: &[u8], end: End, out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
    let mut done = answer.push(bytes, out);
    if done.is_ok() && end == End::Whole {
        done = answer.finish(out);
    }
    if done.is_err() || end == End::Cut {
        answer.abort(out);
    }
    done
}
