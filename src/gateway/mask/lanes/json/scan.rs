//! JSON as it comes, in any pieces: RFC 8259 without a document in memory. Anything else than JSON is an error, said at its byte.

use super::Path;

/// The deepest nesting of arrays and objects.
const DEEPEST: usize = 128;
/// The longest number, bytes.
const LONGEST_NUMBER: usize = 1_024;
/// The longest key that is remembered for paths, bytes; what follows belongs to no rule.
const LONGEST_KEY: usize = 256;

/// What hears of a document.
pub(in super::super) trait Sink {
    /// Bytes that are no value's: white space, commas, colons, whole keys with their quotes.
    fn raw(&mut self, bytes: &[u8]);
    /// An object or an array begins; `bracket` is `{` or `[`.
    fn enter(&mut self, path: &Path, bracket: u8);
    /// It ends, with `}` or `]`.
    fn leave(&mut self, bracket: u8);
    /// A string value begins; its opening quote is part of it.
    fn open(&mut self, path: &Path);
    /// Some of its text, unescaped.
    fn text(&mut self, piece: &str);
    /// It ends, with its closing quote.
    fn close(&mut self);
    /// A number, `true`, `false` or `null`.
    fn scalar(&mut self, path: &Path, text: &str);
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
enum State {
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
    Hex { key: bool, digits: u8, value: u16 },
    /// In a number or a literal.
    Scalar,
}

/// The reader of one document.
#[derive(Debug)]
pub(in super::super) struct Scanner {
    state: State,
    path: Path,
    /// The scalar so far; of a string, the bytes of a character whose rest has not come.
    held: Vec<u8>,
    /// The first half of a surrogate pair.
    half: Option<u16>,
    read: u64,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { state: State::Value, path: Path::default(), held: Vec::new(), half: None, read: 0 }
    }
}

impl Scanner {
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
                sink.enter(&self.path, *byte);
                self.state = self.path.enter(*byte == b'[');
                return Ok(through.len());
            }
            (State::Value | State::FirstElement, b'"') => {
                sink.raw(before);
                sink.open(&self.path);
                self.state = State::Text { key: false };
                return Ok(through.len());
            }
            (State::FirstKey | State::Key, b'"') => {
                self.path.forget_key();
                self.state = State::Text { key: true };
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
            (State::Value | State::FirstElement, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
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
        sink.leave(bracket);
        self.path.leave();
        self.state = State::After;
        before.len() + 1
    }

    fn text(&mut self, rest: &[u8], key: bool, sink: &mut impl Sink) -> Result<usize, Malformed> {
        let end = rest.iter().position(|b| matches!(b, b'"' | b'\\') || *b < 0x20);
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
                if key {
                    sink.raw(b"\"");
                    self.state = State::Colon;
                } else {
                    sink.close();
                    self.state = State::After;
                }
            }
            b'\\' => {
                self.cut_character(key, sink);
                if key {
                    sink.raw(b"\\");
                }
                self.state = State::Escape { key };
            }
            _ => return Err(Malformed::At(0)),
        }
        Ok(run.len() + 1)
    }

    /// Plain bytes of a string; a character cut in two waits for its rest.
    fn run(&mut self, run: &[u8], key: bool, sink: &mut impl Sink) {
        if key {
            sink.raw(run);
        }
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
                Ok(text) => return self.piece(text, key, sink),
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    self.piece(std::str::from_utf8(good).unwrap_or_default(), key, sink);
                    let Some(length) = error.error_len() else {
                        self.held = bad.to_vec();
                        return;
                    };
                    self.piece("\u{fffd}", key, sink);
                    rest = bad.get(length..).unwrap_or_default();
                }
            }
        }
    }

    /// A character whose rest never came.
    fn cut_character(&mut self, key: bool, sink: &mut impl Sink) {
        if !std::mem::take(&mut self.held).is_empty() {
            self.piece("\u{fffd}", key, sink);
        }
    }

    /// The first half of a pair whose second never came.
    fn lone_half(&mut self, key: bool, sink: &mut impl Sink) {
        if self.half.take().is_some() {
            self.piece("\u{fffd}", key, sink);
        }
    }

    fn piece(&mut self, text: &str, key: bool, sink: &mut impl Sink) {
        if key {
            self.path.extend_key(text, LONGEST_KEY);
        } else if !text.is_empty() {
            sink.text(text);
        }
    }

    fn escape(&mut self, rest: &[u8], sink: &mut impl Sink) -> Result<usize, Malformed> {
        let Some(byte) = rest.first() else { return Ok(0) };
        let (State::Escape { key } | State::Hex { key, .. }) = self.state else { return Ok(0) };
        if let State::Hex { digits, value, .. } = self.state {
            let digit = char::from(*byte).to_digit(16).and_then(|d| u16::try_from(d).ok());
            let value = value << 4 | digit.ok_or(Malformed::At(0))?;
            if digits < 3 {
                self.state = State::Hex { key, digits: digits + 1, value };
            } else {
                self.state = State::Text { key };
                self.unit(value, key, sink);
            }
        } else if *byte == b'u' {
            self.state = State::Hex { key, digits: 0, value: 0 };
        } else {
            let text = match byte {
                b'"' => "\"",
                b'\\' => "\\",
                b'/' => "/",
                b'b' => "\u{8}",
                b'f' => "\u{c}",
                b'n' => "\n",
                b'r' => "\r",
                b't' => "\t",
                _ => return Err(Malformed::At(0)),
            };
            self.lone_half(key, sink);
            self.state = State::Text { key };
            self.piece(text, key, sink);
        }
        if key {
            sink.raw(std::slice::from_ref(byte));
        }
        Ok(1)
    }

    /// One UTF-16 unit of an escape.
    fn unit(&mut self, unit: u16, key: bool, sink: &mut impl Sink) {
        let pair: Vec<u16> = self.half.take().into_iter().chain([unit]).collect();
        let mut buffer = [0; 4];
        for read in char::decode_utf16(pair) {
            match read {
                Ok(c) => self.piece(c.encode_utf8(&mut buffer), key, sink),
                Err(lone)
                    if (0xD800..0xDC00).contains(&lone.unpaired_surrogate())
                        && lone.unpaired_surrogate() == unit =>
                {
                    self.half = Some(unit);
                }
                Err(_) => self.piece("\u{fffd}", key, sink),
            }
        }
    }

    fn scalar(&mut self, rest: &[u8], sink: &mut impl Sink) -> Result<usize, Malformed> {
        let run =
            rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.')).count();
        self.held.extend_from_slice(rest.get(..run).unwrap_or_default());
        if self.held.len() > LONGEST_NUMBER {
            return Err(Malformed::At(0));
        }
        if run < rest.len() {
            self.scalar_done(sink)?;
        }
        Ok(run)
    }

    fn scalar_done(&mut self, sink: &mut impl Sink) -> Result<(), Malformed> {
        let held = std::mem::take(&mut self.held);
        let text = std::str::from_utf8(&held).unwrap_or_default();
        if !matches!(text, "true" | "false" | "null") && !is_number(text) {
            return Err(Malformed::At(0));
        }
        self.state = State::After;
        sink.scalar(&self.path, text);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a document says, and its bytes as they would be written again.
    #[derive(Default)]
    struct Heard {
        out: String,
        said: Vec<String>,
        now: Option<String>,
    }

    impl Sink for Heard {
        fn raw(&mut self, bytes: &[u8]) {
            self.out.push_str(std::str::from_utf8(bytes).unwrap());
        }
        fn enter(&mut self, _: &Path, bracket: u8) {
            self.out.push(char::from(bracket));
        }
        fn leave(&mut self, bracket: u8) {
            self.out.push(char::from(bracket));
        }
        fn open(&mut self, path: &Path) {
            self.said.push(path.to_string());
            self.now = Some(String::new());
        }
        fn text(&mut self, piece: &str) {
            self.now.as_mut().unwrap().push_str(piece);
        }
        fn close(&mut self) {
            let text = self.now.take().unwrap();
            self.out.push_str(&serde_json::to_string(&text).unwrap());
            self.said.push(text);
        }
        fn scalar(&mut self, path: &Path, text: &str) {
            self.out.push_str(text);
            self.said.push(format!("{path}={text}"));
        }
    }

    fn read(pieces: &[&[u8]]) -> Result<Heard, Malformed> {
        let (mut scanner, mut heard) = (Scanner::default(), Heard::default());
        for piece in pieces {
            scanner.feed(piece, &mut heard)?;
        }
        scanner.finish(&mut heard)?;
        Ok(heard)
    }

    #[test]
    fn every_value_is_told_with_its_path_whatever_the_cuts() {
        let json =
            br#" {"a":[1,-2.5e+3,"x\u00e9\ud83d\ude00y"], "b\u0062":{"c":null,"":true}, "d":"\ud800z\\\n"} "#;
        let whole = read(&[json]).unwrap();
        assert_eq!(
            whole.said,
            [
                "$.a[0]=1",
                "$.a[1]=-2.5e+3",
                "$.a[2]",
                "xé😀y",
                "$.bb.c=null",
                "$.bb.=true",
                "$.d",
                "\u{fffd}z\\\n"
            ]
        );
        for first in 0..json.len() {
            for second in first..json.len() {
                let cut = read(&[&json[..first], &json[first..second], &json[second..]]).unwrap();
                assert_eq!((cut.said, cut.out), (whole.said.clone(), whole.out.clone()), "{first} {second}");
            }
        }
    }

    #[test]
    fn what_is_written_again_is_the_same_json() {
        for json in ["[]", "{}", "[[],{}]", "\"\"", "0", "[0,{\"a\":{}}]", "{\"é\":\"é\"}", "[1,2 ,3]"] {
            assert_eq!(read(&[json.as_bytes()]).unwrap().out, json);
        }
    }

    #[test]
    fn anything_else_is_an_error() {
        let deep = "[".repeat(DEEPEST + 1);
        for (json, error) in [
            ("", Malformed::Short),
            ("{", Malformed::Short),
            ("\"a", Malformed::Short),
            ("[1,]", Malformed::At(3)),
            ("{\"a\":1,}", Malformed::At(7)),
            ("[1 2]", Malformed::At(3)),
            ("01", Malformed::At(0)),
            ("[-]", Malformed::At(2)),
            ("1.", Malformed::At(0)),
            ("nul", Malformed::At(0)),
            ("{1:2}", Malformed::At(1)),
            ("[}", Malformed::At(1)),
            ("{\"a\":1]", Malformed::At(6)),
            ("1 2", Malformed::At(2)),
            ("\"\\x\"", Malformed::At(2)),
            ("\"\\u12g4\"", Malformed::At(5)),
            ("\"a\nb\"", Malformed::At(1)),
            (deep.as_str(), Malformed::Deep),
        ] {
            let got = read(&[json.as_bytes()]).err();
            let same =
                matches!((got, error), (Some(Malformed::At(_)), Malformed::At(_))) || got == Some(error);
            assert!(same, "{json}: {got:?}");
        }
    }

    #[test]
    fn broken_utf8_becomes_the_replacement_character_whatever_the_cuts() {
        let json = b"\"a\xff\xc3(\xe2\x82\"";
        for cut in 0..json.len() {
            assert_eq!(read(&[&json[..cut], &json[cut..]]).unwrap().said[1], "a\u{fffd}\u{fffd}(\u{fffd}");
        }
    }
}
