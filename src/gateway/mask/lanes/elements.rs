//! A JSON body: one document, or a list of events that comes element by element, as Gemini streams without server-sent events.

use std::sync::Arc;

use super::{
    NotUnderstood,
    deltas::Carrier,
    document::Document,
    events::{Events, Sent},
    json::Malformed,
    shape::Shape,
    sse::LONGEST,
};
use crate::gateway::mask::Masking;

/// A longer first element is no event of a stream, bytes.
const LONGEST_FIRST: usize = 64 * 1024;

/// A body and what it has turned out to be.
#[derive(Debug)]
pub(super) struct Elements {
    masking: Arc<Masking>,
    shape: Shape,
    state: State,
    /// Before that is known, what came; then the element under way.
    held: Vec<u8>,
    element: Element,
    /// Whether an element was written.
    written: bool,
}

#[derive(Debug)]
enum State {
    /// White space, a bracket, and the first element.
    Before,
    Document(Box<Document>),
    /// Within the list, between elements or in one.
    List(Box<Events>),
    /// After the list's end.
    Ended,
}

/// Where an element's end is looked for.
#[derive(Debug, Default)]
struct Element {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Element {
    /// Whether the element ends with this byte.
    fn ends(&mut self, byte: u8) -> bool {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

impl Elements {
    pub(super) fn new(masking: &Arc<Masking>, shape: Shape) -> Self {
        Self {
            masking: Arc::clone(masking),
            shape,
            state: State::Before,
            held: Vec::new(),
            element: Element::default(),
            written: false,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        if let State::Document(document) = &mut self.state {
            return Ok(document.push(bytes, out)?);
        }
        for (at, byte) in bytes.iter().enumerate() {
            match &mut self.state {
                State::Before => self.before(*byte, out)?,
                State::List(_) => self.list(*byte, out)?,
                State::Ended if byte.is_ascii_whitespace() => out.push(*byte),
                State::Ended => return Err(Malformed::At(at as u64).into()),
                State::Document(document) => {
                    return Ok(document.push(bytes.get(at..).unwrap_or_default(), out)?);
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        match &mut self.state {
            // An answer without a body has nothing to mask.
            State::Before if self.held.trim_ascii().is_empty() => {
                out.append(&mut self.held);
                Ok(())
            }
            State::Before => self.document(out).and_then(|()| self.finish(out)),
            State::Document(document) => Ok(document.finish(out)?),
            State::List(_) => {
                self.abort(out);
                Err(Malformed::Short.into())
            }
            State::Ended => Ok(()),
        }
    }

    pub(super) fn abort(&mut self, out: &mut Vec<u8>) {
        match &mut self.state {
            State::Document(document) => document.release(false, out),
            State::List(_) => self.rests(false, out),
            // The beginning of an element may be the beginning of anything.
            State::Before | State::Ended => {}
        }
        self.held.clear();
    }

    fn before(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        self.held.push(byte);
        if self.element.depth < 2 && !self.element.in_string {
            let expected =
                byte.is_ascii_whitespace() || matches!((self.element.depth, byte), (0, b'[') | (1, b'{'));
            if !expected {
                return self.document(out);
            }
        }
        self.element.ends(byte);
        let ended = byte == b'}' && self.element.depth == 1 && !self.element.in_string;
        if !ended {
            return if self.held.len() > LONGEST_FIRST { self.document(out) } else { Ok(()) };
        }
        let start = self.held.iter().position(|byte| *byte == b'{').unwrap_or_default();
        let events = Events::new(&self.masking, Carrier::Records);
        if !events.knows(self.held.get(start..).unwrap_or_default()) {
            return self.document(out);
        }
        let element = self.held.split_off(start);
        out.append(&mut self.held);
        self.element = Element::default();
        self.state = State::List(Box::new(events));
        self.event(&element, out)
    }

    /// It is a document like any other.
    fn document(&mut self, out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        let mut document = Box::new(Document::new(&self.masking, self.shape));
        let pushed = document.push(&std::mem::take(&mut self.held), out);
        self.state = State::Document(document);
        Ok(pushed?)
    }

    fn list(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        if self.held.is_empty() {
            match byte {
                b'{' => {}
                b']' => {
                    self.rests(true, out);
                    self.state = State::Ended;
                    out.push(byte);
                    return Ok(());
                }
                b',' | b' ' | b'\n' | b'\r' | b'\t' => {
                    out.push(byte);
                    return Ok(());
                }
                _ => return Err(NotUnderstood::Malformed("its JSON is malformed")),
            }
        }
        self.held.push(byte);
        if self.element.ends(byte) {
            let element = std::mem::take(&mut self.held);
            return self.event(&element, out);
        }
        if self.held.len() > LONGEST { Err(NotUnderstood::TooLong) } else { Ok(()) }
    }

    fn event(&mut self, element: &[u8], out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        let State::List(events) = &mut self.state else { return Ok(()) };
        for sent in events.event(None, element)? {
            match sent {
                Sent::Same => out.extend_from_slice(element),
                Sent::Changed(json) => out.extend_from_slice(&json),
                Sent::More(_, json) => {
                    out.extend_from_slice(&json);
                    out.push(b',');
                }
            }
        }
        self.written = true;
        Ok(())
    }

    /// The rests of all texts, as elements behind the last.
    fn rests(&mut self, whole: bool, out: &mut Vec<u8>) {
        let State::List(events) = &mut self.state else { return };
        for sent in events.finish(whole).unwrap_or_default() {
            if let Sent::More(_, json) = sent {
                if self.written {
                    out.push(b',');
                }
                self.written = true;
                out.extend_from_slice(&json);
            }
        }
    }
}
