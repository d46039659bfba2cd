//! Reads JSON as it passes: values near the root are told, everything else is skipped, in bounded memory and without copies.

/// Levels below the document's root at which names are known.
const TRACKED: usize = 6;

/// Deepest nesting that is followed; deeper documents are taken for broken.
const MAX_DEPTH: u32 = 127;

/// Longest name that can have a meaning, bytes.
const MAX_NAME: usize = 64;
/// Longest name of a model, bytes.
pub(super) const MAX_TEXT: usize = 256;

/// A name without a meaning, and the place of everything in a list.
pub(super) const UNKNOWN: u8 = 0;

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar<'t> {
    /// A text with its escapes resolved.
    Text(&'t [u8]),
    /// The beginning of a text longer than wanted; it may end within a character.
    LongText(&'t [u8]),
    /// A whole number, not negative.
    Number(u64),
    /// `true` or `false`.
    Truth(bool),
    /// `null`.
    Nothing,
    /// Anything else, among them the beginning of a list or table.
    Other,
}

/// Who listens. A path is the meaning of each name from the root down; a list at the root is not part of it.
pub(super) trait Listener {
    /// What a name means; [`UNKNOWN`] is nothing.
    fn name(&self, name: &[u8]) -> u8;
    /// How much of the text at this place is wanted, bytes; `None`: nothing, it is told as [`Scalar::Other`].
    fn wants_text(&self, path: &[u8]) -> Option<usize>;
    /// A value at this place.
    fn value(&mut self, path: &[u8], value: Scalar<'_>);
    /// A document is complete; of a list at the root, one of its elements.
    fn end(&mut self);
    /// What was told since the last end belongs to no document after all.
    fn broken(&mut self);
}

/// Where the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value.
    Value,
    /// A value or the end of an empty list.
    FirstElement,
    /// A name or the end of an empty table.
    FirstName,
    /// A name.
    Name,
    Colon,
    /// A comma or an end.
    After,
    Text {
        name: bool,
    },
    Escape {
        name: bool,
    },
    /// Hexadecimal digits still to come.
    Unicode {
        name: bool,
        left: u8,
    },
    Number,
    /// Letters still to come.
    Word(&'static [u8], Word),
    Broken,
}

/// The three words of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    True,
    False,
    Null,
}

/// Reads documents one after the other, cut into pieces anywhere.
#[derive(Debug)]
pub(super) struct Scanner {
    state: State,
    depth: u32,
    /// One bit a level: a table.
    tables: u128,
    /// The document is a list; its elements are told as documents.
    listed: bool,
    names: [u8; TRACKED],
    /// A document has been read to its end.
    whole: bool,
    /// The name or text being read is kept up to this length.
    kept: Option<usize>,
    over: bool,
    text: Vec<u8>,
    /// The `\u` escape being read, and the first half of a pair before it.
    unit: u16,
    high: Option<u16>,
    /// The number being read, `None` once it is no whole number.
    number: Option<u64>,
}

impl Scanner {
    pub(super) fn new() -> Self {
        Self {
            state: State::Value,
            depth: 0,
            tables: 0,
            listed: false,
            names: [UNKNOWN; TRACKED],
            whole: false,
            kept: None,
            over: false,
            text: Vec::new(),
            unit: 0,
            high: None,
            number: None,
        }
    }

    /// Whether what came is no JSON.
    pub(super) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Whether a document has been read to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether the document is a table or a list.
    pub(super) fn holds_others(&self) -> bool {
        self.listed || self.tables & 1 == 1
    }

    /// Whether nothing of a document has come.
    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Value && self.depth == 0
    }

    /// Whether the documents are the elements of a list at the root.
    pub(super) fn is_listed(&self) -> bool {
        self.listed
    }

    /// Begins anew; an incomplete document is forgotten.
    pub(super) fn restart(&mut self, listener: &mut impl Listener) {
        if !self.is_idle() {
            if !self.is_broken() {
                listener.broken();
            }
            (self.state, self.depth, self.tables, self.listed) = (State::Value, 0, 0, false);
            self.whole = false;
        }
    }

    /// Reads a piece.
    pub(super) fn feed(&mut self, mut bytes: &[u8], listener: &mut impl Listener) {
        while !bytes.is_empty() && !self.is_broken() {
            bytes = self.advance(bytes, listener);
        }
    }

    /// Reads a piece of the first document alone. What is behind its end, or where it is broken, is left.
    pub(super) fn feed_first<'b>(&mut self, mut bytes: &'b [u8], listener: &mut impl Listener) -> &'b [u8] {
        while !bytes.is_empty() && !self.is_broken() && !self.whole {
            bytes = self.advance(bytes, listener);
        }
        bytes
    }

    /// Reads a byte or more, and returns what is left.
    fn advance<'b>(&mut self, bytes: &'b [u8], listener: &mut impl Listener) -> &'b [u8] {
        let Some((&byte, rest)) = bytes.split_first() else { return bytes };
        match self.state {
            State::Text { name } => {
                let end = bytes.iter().position(|b| matches!(b, b'"' | b'\\'));
                let (text, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                self.keep(text);
                let Some((mark, rest)) = rest.split_first() else { return rest };
                if *mark == b'\\' {
                    self.state = State::Escape { name };
                } else {
                    self.text_ends(name, listener);
                }
                rest
            }
            State::Number => {
                if self.digit(byte) {
                    return rest;
                }
                let number = self.number.map_or(Scalar::Other, Scalar::Number);
                self.tell(number, listener);
                self.value_ends(listener);
                bytes
            }
            _ => {
                self.step(byte, listener);
                rest
            }
        }
    }

    fn step(&mut self, byte: u8, listener: &mut impl Listener) {
        let blank = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match (self.state, byte) {
            (State::Escape { name }, _) => self.escape(byte, name, listener),
            (State::Unicode { name, left }, _) => self.unicode(byte, name, left, listener),
            (State::Word(left, word), _) => match left.split_first() {
                Some((expected, [])) if *expected == byte => {
                    let meant = match word {
                        Word::True => Scalar::Truth(true),
                        Word::False => Scalar::Truth(false),
                        Word::Null => Scalar::Nothing,
                    };
                    self.tell(meant, listener);
                    self.value_ends(listener);
                }
                Some((expected, left)) if *expected == byte => self.state = State::Word(left, word),
                _ => self.fail(listener),
            },
            (_, _) if blank => (),
            (State::FirstElement, b']') | (State::FirstName, b'}') => self.close(listener),
            (State::Value | State::FirstElement, _) => self.value(byte, listener),
            (State::FirstName | State::Name, b'"') => {
                self.text_begins(true, self.path().map(|_| MAX_NAME));
            }
            (State::Colon, b':') => self.state = State::Value,
            (State::After, b',') => {
                self.state = if self.in_table() { State::Name } else { State::Value };
            }
            (State::After, b'}') if self.in_table() => self.close(listener),
            (State::After, b']') if !self.in_table() => self.close(listener),
            _ => self.fail(listener),
        }
    }

    fn value(&mut self, byte: u8, listener: &mut impl Listener) {
        match byte {
            b'"' => {
                let wanted = self.path().and_then(|path| listener.wants_text(path));
                self.text_begins(false, wanted);
            }
            b'{' | b'[' => self.open(byte == b'{', listener),
            b't' => self.state = State::Word(b"rue", Word::True),
            b'f' => self.state = State::Word(b"alse", Word::False),
            b'n' => self.state = State::Word(b"ull", Word::Null),
            b'-' | b'0'..=b'9' => {
                (self.state, self.number) = (State::Number, Some(0));
                self.digit(byte);
            }
            _ => self.fail(listener),
        }
    }

    /// Takes a byte of a number; false when it is none.
    fn digit(&mut self, byte: u8) -> bool {
        match byte {
            b'0'..=b'9' => {
                let digit = u64::from(byte - b'0');
                self.number = self.number.and_then(|n| n.checked_mul(10)?.checked_add(digit));
                true
            }
            b'-' | b'+' | b'.' | b'e' | b'E' => {
                self.number = None;
                true
            }
            _ => false,
        }
    }

    fn open(&mut self, table: bool, listener: &mut impl Listener) {
        self.tell(Scalar::Other, listener);
        if self.depth == MAX_DEPTH {
            return self.fail(listener);
        }
        if self.depth == 0 {
            self.listed = !table;
        }
        let bit = 1_u128.checked_shl(self.depth).unwrap_or(0);
        self.tables = if table { self.tables | bit } else { self.tables & !bit };
        self.depth += 1;
        self.name_is(UNKNOWN);
        self.state = if table { State::FirstName } else { State::FirstElement };
    }

    fn close(&mut self, listener: &mut impl Listener) {
        self.depth = self.depth.saturating_sub(1);
        self.value_ends(listener);
    }

    fn value_ends(&mut self, listener: &mut impl Listener) {
        self.state = if self.depth == 0 { State::Value } else { State::After };
        self.whole |= self.depth == 0;
        if self.depth == u32::from(self.listed) {
            listener.end();
        }
    }

    fn fail(&mut self, listener: &mut impl Listener) {
        self.state = State::Broken;
        listener.broken();
    }

    fn in_table(&self) -> bool {
        let bit = self.depth.checked_sub(1).and_then(|level| 1_u128.checked_shl(level)).unwrap_or(0);
        self.tables & bit != 0
    }

    /// The names down to here; `None` where they are no longer known.
    fn path(&self) -> Option<&[u8]> {
        let levels = self.depth.saturating_sub(u32::from(self.listed));
        self.names.get(..usize::try_from(levels).ok()?)
    }

    fn name_is(&mut self, meaning: u8) {
        let level = self.depth.checked_sub(1 + u32::from(self.listed)).and_then(|l| usize::try_from(l).ok());
        if let Some(name) = level.and_then(|level| self.names.get_mut(level)) {
            *name = meaning;
        }
    }

    fn tell(&self, value: Scalar<'_>, listener: &mut impl Listener) {
        if let Some(path) = self.path() {
            listener.value(path, value);
        }
    }

    fn text_begins(&mut self, name: bool, kept: Option<usize>) {
        self.state = State::Text { name };
        (self.kept, self.over, self.high) = (kept, false, None);
        self.text.clear();
    }

    fn text_ends(&mut self, name: bool, listener: &mut impl Listener) {
        self.lone_half();
        if name {
            let meaning = if self.kept.is_some() && !self.over { listener.name(&self.text) } else { UNKNOWN };
            self.name_is(meaning);
            self.state = State::Colon;
            return;
        }
        match (self.kept, self.over) {
            (Some(_), false) => self.tell(Scalar::Text(&self.text), listener),
            (Some(_), true) => self.tell(Scalar::LongText(&self.text), listener),
            (None, _) => self.tell(Scalar::Other, listener),
        }
        self.value_ends(listener);
    }

    fn keep(&mut self, text: &[u8]) {
        if self.kept.is_none() || text.is_empty() {
            return;
        }
        self.lone_half();
        self.append(text);
    }

    fn append(&mut self, text: &[u8]) {
        let room = self.kept.unwrap_or(0).saturating_sub(self.text.len());
        self.over |= text.len() > room;
        self.text.extend_from_slice(text.get(..room).unwrap_or(text));
    }

    fn escape(&mut self, byte: u8, name: bool, listener: &mut impl Listener) {
        let meant = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                self.unit = 0;
                self.state = State::Unicode { name, left: 4 };
                return;
            }
            _ => return self.fail(listener),
        };
        self.keep(&[meant]);
        self.state = State::Text { name };
    }

    fn unicode(&mut self, byte: u8, name: bool, left: u8, listener: &mut impl Listener) {
        let Some(digit) = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok()) else {
            return self.fail(listener);
        };
        self.unit = (self.unit << 4) | digit;
        if left > 1 {
            self.state = State::Unicode { name, left: left - 1 };
            return;
        }
        self.state = State::Text { name };
        if self.kept.is_none() {
            return;
        }
        let unit = self.unit;
        match (self.high.take(), unit) {
            (Some(high), 0xDC00..=0xDFFF) => self.character(char::decode_utf16([high, unit]).next()),
            (high, 0xD800..=0xDBFF) => {
                if high.is_some() {
                    self.character(None);
                }
                self.high = Some(unit);
            }
            (high, _) => {
                if high.is_some() {
                    self.character(None);
                }
                self.character(char::decode_utf16([unit]).next());
            }
        }
    }

    /// Half of a pair stands for no character.
    fn lone_half(&mut self) {
        if self.high.take().is_some() {
            self.character(None);
        }
    }

    fn character(&mut self, read: Option<Result<char, std::char::DecodeUtf16Error>>) {
        let character = read.and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.append(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}
