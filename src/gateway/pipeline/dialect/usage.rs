//! Tokens as an answer counts them: read from its bytes while they pass, documents, streams and conversations alike.

use http::{HeaderMap, header};

use super::{
    Work,
    json::Scanner,
    socket::Socket,
    tally::{CACHE_READ, CACHE_WRITTEN, INPUT, OUTPUT, THOUGHTS, TOOLS, TOTAL, Tally},
};
use crate::evidence::event::Tokens;

/// About so many bytes of text are a token.
const BYTES_PER_TOKEN: u64 = 4;

/// How an answer is cut into JSON documents.
#[derive(Debug)]
enum Framing {
    /// One, or several after each other.
    Documents,
    /// One a line.
    Lines,
    /// In the data of server-sent events.
    Events(Events),
    /// In the messages of a WebSocket.
    Socket(Socket),
    /// Nothing that is read.
    Opaque,
}

/// Reads one answer.
#[derive(Debug)]
pub(in crate::gateway::pipeline) struct Reading {
    work: Work,
    framing: Framing,
    scanner: Scanner,
    tally: Tally,
    bytes: u64,
}

impl Reading {
    /// For an answer with these headers to this work.
    pub(in crate::gateway::pipeline) fn new(work: Work, headers: &HeaderMap) -> Self {
        Self { work, framing: framing(headers), scanner: Scanner::new(), tally: Tally::default(), bytes: 0 }
    }

    /// Keeps the beginning of what the answer says.
    pub(in crate::gateway::pipeline) fn keeping(mut self) -> Self {
        self.tally.keep(!matches!(self.framing, Framing::Documents));
        self
    }

    /// What was kept of what the answer says, and whether that is all of it.
    pub(in crate::gateway::pipeline) fn said(&self) -> Option<(String, bool)> {
        self.tally.said()
    }

    /// For a conversation over WebSocket, whose messages are read if they are of a dialect that is understood.
    pub(in crate::gateway::pipeline) fn conversation(understood: bool) -> Self {
        let (framing, tally) = (Framing::Socket(Socket::new(understood)), Tally::adding());
        Self { work: Work::Other, framing, scanner: Scanner::new(), tally, bytes: 0 }
    }

    /// Whether a conversation has been closed by the model's side: what comes after that is no part of it.
    pub(in crate::gateway::pipeline) fn is_closed(&self) -> bool {
        matches!(&self.framing, Framing::Socket(socket) if socket.is_closed())
    }

    /// Whether the first of what the model has made has come; of an answer that is no stream this is not known.
    pub(in crate::gateway::pipeline) fn has_begun(&self) -> bool {
        // A list at the root is how Gemini streams when it is not asked for events.
        self.tally.begun() && (!matches!(self.framing, Framing::Documents) || self.scanner.is_listed())
    }

    /// Bytes pass.
    pub(in crate::gateway::pipeline) fn read(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        match &mut self.framing {
            Framing::Opaque => (),
            Framing::Documents => self.scanner.feed(bytes, &mut self.tally),
            Framing::Lines => {
                for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
                    if at > 0 {
                        // A number may end with its line.
                        self.scanner.feed(b"\n", &mut self.tally);
                        self.scanner.restart(&mut self.tally);
                    }
                    self.scanner.feed(line, &mut self.tally);
                }
            }
            Framing::Events(events) => events.read(bytes, &mut self.scanner, &mut self.tally),
            Framing::Socket(socket) => socket.read(bytes, &mut self.scanner, &mut self.tally),
        }
    }

    /// What was counted, or an estimate that says so; `sent` is the request body's length, `complete` whether the whole answer passed.
    pub(in crate::gateway::pipeline) fn tokens(&self, sent: u64, complete: bool) -> Option<Tokens> {
        let sum = |of: &[usize]| self.tally.sum(of);
        let streams = matches!(self.framing, Framing::Lines | Framing::Events(_));
        if matches!(self.framing, Framing::Socket(_)) {
            return self.conversed();
        }
        if self.tally.told() && (complete || !streams || self.work != Work::Generate) {
            let input = sum(&[INPUT, CACHE_WRITTEN, CACHE_READ, TOOLS]).unwrap_or(0);
            let output = sum(&[OUTPUT, THOUGHTS]).unwrap_or(0);
            return Some(Tokens { input, output, total: sum(&[TOTAL]), estimated: false });
        }
        if self.work == Work::Other {
            return None;
        }
        let guessed = match self.work {
            Work::Embed | Work::Other => 0,
            // Servers send about a token in each message of a stream.
            Work::Generate if streams => self.tally.deltas(),
            Work::Generate => self.bytes / BYTES_PER_TOKEN,
        };
        let input = sum(&[INPUT, CACHE_WRITTEN, CACHE_READ, TOOLS]).unwrap_or(sent.div_ceil(BYTES_PER_TOKEN));
        let output = sum(&[OUTPUT, THOUGHTS]).unwrap_or(0).max(guessed);
        Some(Tokens { input, output, total: None, estimated: true })
    }

    /// Of a conversation: what each answer told, and a token for each message of one that was left before it did.
    fn conversed(&self) -> Option<Tokens> {
        let untold = self.tally.untold();
        if !self.tally.told() && untold == 0 {
            return None;
        }
        let input = self.tally.sum(&[INPUT, CACHE_WRITTEN, CACHE_READ, TOOLS]).unwrap_or(0);
        let output = self.tally.sum(&[OUTPUT, THOUGHTS]).unwrap_or(0).saturating_add(untold);
        let total = self.tally.sum(&[TOTAL]).filter(|_| untold == 0);
        Some(Tokens { input, output, total, estimated: untold > 0 })
    }
}

fn framing(headers: &HeaderMap) -> Framing {
    let encoded = headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        _ if encoded => Framing::Opaque,
        "text/event-stream" => Framing::Events(Events::default()),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
            Framing::Lines
        }
        "application/json" => Framing::Documents,
        other if other.ends_with("+json") => Framing::Documents,
        _ => Framing::Opaque,
    }
}

/// Reads server-sent events (WHATWG HTML §9.2): lines end with CR, LF or both, an empty one ends an event.
#[derive(Debug, Default)]
struct Events {
    line: Line,
    after_cr: bool,
    /// The event has had a line of data.
    data: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// So many bytes of the field's name have come.
    Field(usize),
    /// Right behind the colon.
    Colon,
    Data,
    Skipped,
    #[default]
    Begins,
}

const DATA: &[u8] = b"data";

impl Events {
    fn read(&mut self, mut bytes: &[u8], scanner: &mut Scanner, tally: &mut Tally) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                bytes = rest;
                continue;
            }
            let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(bytes.len());
            let (line, rest) = bytes.split_at(end);
            self.part(line, scanner, tally);
            let Some((ending, rest)) = rest.split_first() else { return };
            self.after_cr = *ending == b'\r';
            bytes = rest;
            if self.line == Line::Begins {
                if std::mem::take(&mut self.data) {
                    scanner.feed(b"\n", tally);
                }
                scanner.restart(tally);
            }
            self.line = Line::Begins;
        }
    }

    /// A piece of a line, without its end.
    fn part(&mut self, mut piece: &[u8], scanner: &mut Scanner, tally: &mut Tally) {
        while let Some((&byte, rest)) = piece.split_first() {
            self.line = match self.line {
                Line::Skipped => return,
                Line::Data => return scanner.feed(piece, tally),
                Line::Begins if byte == b'd' => Line::Field(1),
                Line::Field(read) if DATA.get(read) == Some(&byte) => Line::Field(read + 1),
                Line::Field(read) if read == DATA.len() && byte == b':' => {
                    if std::mem::replace(&mut self.data, true) {
                        // The lines of one event are joined.
                        scanner.feed(b"\n", tally);
                    }
                    Line::Colon
                }
                Line::Begins | Line::Field(_) => Line::Skipped,
                Line::Colon => {
                    scanner.feed(&[byte], tally);
                    Line::Data
                }
            };
            piece = rest;
        }
    }
}

#[cfg(test)]
mod tests;
