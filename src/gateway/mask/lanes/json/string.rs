//! The strings of a document: escapes undone, characters that a cut has parted put together.

use super::{Malformed, Scanner, Sink, scan::State};

/// The longest key that is remembered for paths, bytes; what follows belongs to no rule.
const LONGEST_KEY: usize = 256;
/// What stands for bytes that are no character.
const REPLACEMENT: &str = "\u{fffd}";

impl Scanner {
    pub(super) fn text(&mut self, rest: &[u8], key: bool, sink: &mut impl Sink) -> Result<usize, Malformed> {
        let lenient = self.lenient;
        let ends = |byte: u8| matches!(byte, b'"' | b'\\') || byte < 0x20 && !lenient;
        let end = rest.iter().position(|byte| ends(*byte));
        let run = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if !run.is_empty() {
            self.lone_half(key, sink);
            self.run(run, key, sink);
        }
        let Some(stop) = end.and_then(|end| rest.get(end)) else { return Ok(rest.len()) };
        match stop {
            b'"' => {
                self.lone_half(key, sink);
                self.cut_character(key, sink);
                sink.close(&self.escapes, self.read + run.len() as u64 + 1);
                self.state = if key { State::Colon } else { State::After };
            }
            b'\\' => {
                self.cut_character(key, sink);
                self.state = State::Escape { key };
            }
            _ => return Err(Malformed::At(0)),
        }
        Ok(run.len() + 1)
    }

    /// Plain bytes of a string; a character cut in two waits for its rest.
    fn run(&mut self, run: &[u8], key: bool, sink: &mut impl Sink) {
        let joined;
        let mut rest = if self.held.is_empty() {
            run
        } else {
            self.held.extend_from_slice(run);
            joined = std::mem::take(&mut self.held);
            joined.as_slice()
        };
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => return self.plain(text, key, sink),
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    self.plain(std::str::from_utf8(good).unwrap_or_default(), key, sink);
                    let Some(length) = error.error_len() else {
                        self.held = bad.to_vec();
                        return;
                    };
                    self.piece(REPLACEMENT, key, sink);
                    rest = bad.get(length..).unwrap_or_default();
                }
            }
        }
    }

    fn plain(&mut self, text: &str, key: bool, sink: &mut impl Sink) {
        self.escapes.met_plain(text);
        self.piece(text, key, sink);
    }

    /// A character whose rest never came.
    fn cut_character(&mut self, key: bool, sink: &mut impl Sink) {
        if !std::mem::take(&mut self.held).is_empty() {
            self.piece(REPLACEMENT, key, sink);
        }
    }

    /// The first half of a pair whose second never came.
    fn lone_half(&mut self, key: bool, sink: &mut impl Sink) {
        if self.half.take().is_some() {
            self.piece(REPLACEMENT, key, sink);
        }
    }

    fn piece(&mut self, text: &str, key: bool, sink: &mut impl Sink) {
        if key {
            self.path.extend_key(text, LONGEST_KEY);
        }
        if !text.is_empty() {
            sink.text(text, &self.escapes);
        }
    }

    pub(super) fn escape(&mut self, rest: &[u8], sink: &mut impl Sink) -> Result<usize, Malformed> {
        let Some(byte) = rest.first() else { return Ok(0) };
        let (State::Escape { key } | State::Hex { key, .. }) = self.state else { return Ok(0) };
        if let State::Hex { digits, value, upper, .. } = self.state {
            let Some(digit) = char::from(*byte).to_digit(16).and_then(|d| u16::try_from(d).ok()) else {
                if !self.lenient {
                    return Err(Malformed::At(0));
                }
                // What stands here is read again, as text.
                self.lone_half(key, sink);
                self.state = State::Text { key };
                self.piece(REPLACEMENT, key, sink);
                return Ok(0);
            };
            let upper = if byte.is_ascii_alphabetic() { Some(byte.is_ascii_uppercase()) } else { upper };
            let value = value << 4 | digit;
            if digits < 3 {
                self.state = State::Hex { key, digits: digits + 1, value, upper };
            } else {
                self.state = State::Text { key };
                self.unit(value, upper, key, sink);
            }
        } else if *byte == b'u' {
            self.state = State::Hex { key, digits: 0, value: 0, upper: None };
        } else {
            return self.short(*byte, key, sink);
        }
        Ok(1)
    }

    /// A backslash and one letter or sign.
    fn short(&mut self, byte: u8, key: bool, sink: &mut impl Sink) -> Result<usize, Malformed> {
        let (text, means) = match byte {
            b'"' => ("\"", b'"'),
            b'\\' => ("\\", b'\\'),
            b'/' => ("/", b'/'),
            b'b' => ("\u{8}", 0x8),
            b'f' => ("\u{c}", 0xc),
            b'n' => ("\n", b'\n'),
            b'r' => ("\r", b'\r'),
            b't' => ("\t", b'\t'),
            _ if self.lenient => {
                // `\_`: the character itself was meant.
                self.lone_half(key, sink);
                self.state = State::Text { key };
                return Ok(0);
            }
            _ => return Err(Malformed::At(0)),
        };
        self.lone_half(key, sink);
        self.escapes.met_short(means);
        self.state = State::Text { key };
        self.piece(text, key, sink);
        Ok(1)
    }

    /// One UTF-16 unit of an escape.
    fn unit(&mut self, unit: u16, upper: Option<bool>, key: bool, sink: &mut impl Sink) {
        let pair: Vec<u16> = self.half.take().into_iter().chain([unit]).collect();
        let mut buffer = [0; 4];
        for read in char::decode_utf16(pair) {
            match read {
                Ok(char) => {
                    self.escapes.met_hex(char, upper);
                    self.piece(char.encode_utf8(&mut buffer), key, sink);
                }
                Err(lone)
                    if (0xD800..0xDC00).contains(&lone.unpaired_surrogate())
                        && lone.unpaired_surrogate() == unit =>
                {
                    self.half = Some(unit);
                }
                Err(_) => self.piece(REPLACEMENT, key, sink),
            }
        }
    }
}
