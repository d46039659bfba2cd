//! Tokens as an answer counts them: read from its bytes while they pass, documents and streams alike.

use http::{HeaderMap, header};

use super::{
    Work,
    json::{Listener, Scalar, Scanner, UNKNOWN},
};
use crate::evidence::event::Tokens;

/// Names with a meaning.
const USAGE: u8 = 1;
const RESPONSE: u8 = 2;
const MESSAGE: u8 = 3;
const USAGE_METADATA: u8 = 4;
/// Ollama's counts, which stand at the root.
const EVALUATED_PROMPT: u8 = 5;
const EVALUATED: u8 = 6;
/// Names of counts; the place in the tally is what is above this.
const COUNTS: u8 = 16;
const INPUT: usize = 0;
const OUTPUT: usize = 1;
const CACHE_WRITTEN: usize = 2;
const CACHE_READ: usize = 3;
const TOOLS: usize = 4;
const THOUGHTS: usize = 5;
const TOTAL: usize = 6;

const NAMES: [(&[u8], u8); 18] = [
    (b"usage", USAGE),
    (b"response", RESPONSE),
    (b"message", MESSAGE),
    (b"usageMetadata", USAGE_METADATA),
    (b"prompt_tokens", COUNTS),
    (b"input_tokens", COUNTS),
    (b"prompt_eval_count", EVALUATED_PROMPT),
    (b"promptTokenCount", COUNTS),
    (b"completion_tokens", COUNTS + 1),
    (b"output_tokens", COUNTS + 1),
    (b"eval_count", EVALUATED),
    (b"candidatesTokenCount", COUNTS + 1),
    (b"cache_creation_input_tokens", COUNTS + 2),
    (b"cache_read_input_tokens", COUNTS + 3),
    (b"toolUsePromptTokenCount", COUNTS + 4),
    (b"thoughtsTokenCount", COUNTS + 5),
    (b"total_tokens", COUNTS + 6),
    (b"totalTokenCount", COUNTS + 6),
];

/// About so many bytes of text are a token.
const BYTES_PER_TOKEN: u64 = 4;

/// How an answer is cut into JSON documents.
#[derive(Debug, PartialEq, Eq)]
enum Framing {
    /// One, or several after each other.
    Documents,
    /// One a line.
    Lines,
    /// In the data of server-sent events.
    Events(Events),
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
        }
    }

    /// What was counted, or an estimate that says so; `sent` is the request body's length, `complete` whether the whole answer passed.
    pub(in crate::gateway::pipeline) fn tokens(&self, sent: u64, complete: bool) -> Option<Tokens> {
        let counts = &self.tally.counts;
        let told = counts.iter().any(Option::is_some);
        let sum = |of: &[usize]| {
            let told = of.iter().filter_map(|at| counts.get(*at).copied().flatten());
            told.reduce(u64::saturating_add)
        };
        let streams = matches!(self.framing, Framing::Lines | Framing::Events(_));
        if told && (complete || !streams || self.work != Work::Generate) {
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
            Work::Generate if streams => self.tally.documents,
            Work::Generate => self.bytes / BYTES_PER_TOKEN,
        };
        let input = sum(&[INPUT, CACHE_WRITTEN, CACHE_READ, TOOLS]).unwrap_or(sent.div_ceil(BYTES_PER_TOKEN));
        let output = sum(&[OUTPUT, THOUGHTS]).unwrap_or(0).max(guessed);
        Some(Tokens { input, output, total: None, estimated: true })
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

/// The latest counts of complete documents: streams tell them again and again, each time for the whole so far.
#[derive(Debug, Default)]
struct Tally {
    counts: [Option<u64>; 7],
    /// Of the document being read.
    pending: [Option<u64>; 7],
    documents: u64,
}

impl Listener for Tally {
    fn name(&self, name: &[u8]) -> u8 {
        NAMES.iter().find(|(known, _)| *known == name).map_or(UNKNOWN, |(_, meaning)| *meaning)
    }

    fn wants_text(&self, _: &[u8]) -> bool {
        false
    }

    fn value(&mut self, path: &[u8], value: Scalar<'_>) {
        let Scalar::Number(number) = value else { return };
        let at = match path {
            // OpenAI, Anthropic; their streams; Gemini.
            [USAGE | USAGE_METADATA, count] | [RESPONSE | MESSAGE, USAGE, count] => {
                count.checked_sub(COUNTS).map(usize::from)
            }
            [EVALUATED_PROMPT] => Some(INPUT),
            [EVALUATED] => Some(OUTPUT),
            _ => return,
        };
        if let Some(pending) = at.and_then(|at| self.pending.get_mut(at)) {
            *pending = Some(number);
        }
    }

    fn end(&mut self) {
        self.documents = self.documents.saturating_add(1);
        for (count, pending) in self.counts.iter_mut().zip(&mut self.pending) {
            *count = pending.take().or(*count);
        }
    }

    fn broken(&mut self) {
        self.pending = Default::default();
    }
}

/// Reads server-sent events (WHATWG HTML §9.2): lines end with CR, LF or both, an empty one ends an event.
#[derive(Debug, Default, PartialEq, Eq)]
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
