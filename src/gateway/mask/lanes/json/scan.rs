//! JSON as it comes, in any pieces: RFC 8259 without a document in memory. Anything else than JSON is an error, said at its byte.

use super::{Escapes, Path};

/// The deepest nesting of arrays and objects.
pub(super) const DEEPEST: usize = 128;
/// The longest number, bytes.
const LONGEST_NUMBER: usize = 1_024;

/// What hears of a document.
pub(in super::super) trait Sink {
    /// Bytes that are no value's and no key's: white space, commas, colons.
    fn raw(&mut self, bytes: &[u8]);
    /// An object or an array begins at the byte `at`; `bracket` is `{` or `[`.
    fn enter(&mut self, path: &Path, bracket: u8, at: u64);
    /// It ends before the byte `end`, with `}` or `]`.
    fn leave(&mut self, bracket: u8, end: u64);
    /// A key or a string value begins; its opening quote, at the byte `at`, is part of it.
    fn open(&mut self, path: &Path, key: bool, at: u64);
    /// Some of its text, unescaped; `escapes` tells how the document writes it.
    fn text(&mut self, piece: &str, escapes: &Escapes);
    /// It ends, with its closing quote, before the byte `end`.
    fn close(&mut self, escapes: &Escapes, end: u64);
    /// A number, `true`, `false` or `null`, that ends before the byte `end`.
    fn scalar(&mut self, path: &Path, text: &str, end: u64);
}

/// Why bytes are not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum Malformed {
    /// A byte that cannot stand where it does.
    #[error("the JSON is malformed at byte {0}")]
    At(u64),
    /// Deeper than anything that is read.
    #[error("the JSON is nested deeper than {DEEPEST} levels")]
    Deep,
    /// It ended in the middle.
    #[error("the JSON ended before it was complete")]
    Short,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Before a value.
    Value,
    /// After `[`: a value or `]`.
    FirstElement,
    /// After `{`: a key or `}`.
    FirstKey,
    /// After `,` in an object.
    Key,
    /// After a key.
    Colon,
    /// After a value: `,` or the end of what it stands in.
    After,
    /// In a string; `key` tells which kind.
    Text { key: bool },
    /// After `\`.
    Escape { key: bool },
    /// After `\u` and so many digits.
    Hex { key: bool, digits: u8, value: u16, upper: Option<bool> },
    /// In a number or a literal.
    Scalar,
}

/// The reader of one document.
#[derive(Debug)]
pub(in super::super) struct Scanner {
    pub(super) state: State,
    pub(super) path: Path,
    /// The scalar so far; of a string, the bytes of a character whose rest has not come.
    pub(super) held: Vec<u8>,
    /// The first half of a surrogate pair.
    pub(super) half: Option<u16>,
    pub(super) escapes: Escapes,
    /// Whether what models get wrong in a string or a scalar is read as it was meant.
    pub(super) lenient: bool,
    pub(super) read: u64,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            state: State::Value,
            path: Path::default(),
            held: Vec::new(),
            half: None,
            escapes: Escapes::default(),
            lenient: false,
            read: 0,
        }
    }
}

impl Scanner {
    /// A reader of what a model wrote: control characters and unknown escapes in strings are no errors, nor is `NaN`.
    pub(in super::super) fn lenient() -> Self {
        Self { lenient: true, ..Self::default() }
    }

    /// A reader that knows how its document's writer has written others.
    pub(in super::super) fn writing_like(escapes: &Escapes) -> Self {
        Self { escapes: escapes.clone(), ..Self::default() }
    }

    /// The bytes of a scalar that was not told, when reading has ended with an error.
    pub(in super::super) fn untold(&mut self) -> Vec<u8> {
        if self.state == State::Scalar { std::mem::take(&mut self.held) } else { Vec::new() }
    }

    /// How the document writes its strings, so far.
    pub(in super::super) fn escapes(&self) -> &Escapes {
        &self.escapes
    }

    /// Reads on. After an error the rest of `bytes` from [`Scanner::read`] on was not told to `sink`.
    pub(in super::super) fn feed(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), Malformed> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let taken = match self.state {
                State::Text { key } => self.text(rest, key, sink),
                State::Escape { .. } | State::Hex { .. } => self.escape(rest, sink),
                State::Scalar => self.scalar(rest, sink),
                _ => self.structure(rest, sink),
            };
            match taken {
                Ok(count) => {
                    at += count;
                    self.read += count as u64;
                }
                Err(Malformed::At(_)) => return Err(Malformed::At(self.read)),
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// The document's end.
    pub(in super::super) fn finish(&mut self, sink: &mut impl Sink) -> Result<(), Malformed> {
        if self.state == State::Scalar {
            self.scalar_done(sink)?;
        }
        if self.is_complete() { Ok(()) } else { Err(Malformed::Short) }
    }

    /// Whether a whole value has been read and nothing of another.
    pub(in super::super) fn is_complete(&self) -> bool {
        self.state == State::After && self.path.is_root()
    }

    /// Bytes read and told.
    pub(in super::super) fn read(&self) -> u64 {
        self.read
    }

    fn structure(&mut self, rest: &[u8], sink: &mut impl Sink) -> Result<usize, Malformed> {
        let blank = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
        let Some(byte) = rest.get(blank) else {
            sink.raw(rest);
            return Ok(rest.len());
        };
        let through = rest.get(..=blank).unwrap_or_default();
        let before = rest.get(..blank).unwrap_or_default();
        match (self.state, byte) {
            (State::Value | State::FirstElement, b'{' | b'[') => {
                if self.path.depth() >= DEEPEST {
                    return Err(Malformed::Deep);
                }
                sink.raw(before);
                sink.enter(&self.path, *byte, self.read + blank as u64);
                self.state = self.path.enter(*byte == b'[');
                return Ok(through.len());
            }
            (State::Value | State::FirstElement, b'"') => {
                sink.raw(before);
                sink.open(&self.path, false, self.read + blank as u64);
                self.state = State::Text { key: false };
                return Ok(through.len());
            }
            (State::FirstKey | State::Key, b'"') => {
                self.path.forget_key();
                sink.raw(before);
                sink.open(&self.path, true, self.read + blank as u64);
                self.state = State::Text { key: true };
                return Ok(through.len());
            }
            (State::Colon, b':') => self.state = State::Value,
            (State::After, b',') if !self.path.is_root() => {
                self.state = if self.path.next() { State::Value } else { State::Key };
            }
            (State::FirstElement, b']') | (State::FirstKey, b'}') => {
                return Ok(self.leave(before, *byte, sink));
            }
            (State::After, b']') if self.path.in_array() => return Ok(self.leave(before, *byte, sink)),
            (State::After, b'}') if self.path.in_object() => return Ok(self.leave(before, *byte, sink)),
            (State::Value | State::FirstElement, byte) if self.begins_scalar(*byte) => {
                sink.raw(before);
                self.state = State::Scalar;
                return Ok(blank);
            }
            _ => return Err(Malformed::At(0)),
        }
        sink.raw(through);
        Ok(through.len())
    }

    fn leave(&mut self, before: &[u8], bracket: u8, sink: &mut impl Sink) -> usize {
        sink.raw(before);
        sink.leave(bracket, self.read + before.len() as u64 + 1);
        self.path.leave();
        self.state = State::After;
        before.len() + 1
    }

    fn scalar(&mut self, rest: &[u8], sink: &mut impl Sink) -> Result<usize, Malformed> {
        let run =
            rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.')).count();
        self.held.extend_from_slice(rest.get(..run).unwrap_or_default());
        // What was read of it stays held, should it be none: it was not told.
        self.read += run as u64;
        if self.held.len() > LONGEST_NUMBER {
            return Err(Malformed::At(0));
        }
        if run < rest.len() {
            self.scalar_done(sink)?;
        }
        self.read -= run as u64;
        Ok(run)
    }

    fn begins_scalar(&self, byte: u8) -> bool {
        matches!(byte, b'-' | b'0'..=b'9' | b't' | b'f' | b'n')
            || self.lenient && (byte.is_ascii_alphabetic() || matches!(byte, b'+' | b'.'))
    }

    fn scalar_done(&mut self, sink: &mut impl Sink) -> Result<(), Malformed> {
        let text = std::str::from_utf8(&self.held).unwrap_or_default();
        if !matches!(text, "true" | "false" | "null") && !is_number(text) && !self.lenient {
            return Err(Malformed::At(0));
        }
        self.state = State::After;
        sink.scalar(&self.path, text, self.read);
        self.held.clear();
        Ok(())
    }
}

/// RFC 8259 §6.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

impl Path {
    /// One level down; what is expected there.
    fn enter(&mut self, array: bool) -> State {
        self.push(array);
        if array { State::FirstElement } else { State::FirstKey }
    }
}
