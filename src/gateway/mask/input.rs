//! The text under decision: reading past its end says so, which is what makes every decision independent of the cuts.

use std::cell::Cell;

/// What is known about a byte of the view.
pub(super) mod class {
    pub(in super::super) const LETTER: u8 = 1;
    pub(in super::super) const DIGIT: u8 = 2;
    pub(in super::super) const UPPER: u8 = 4;
    pub(in super::super) const HEX: u8 = 8;
    /// After one of these a value may begin.
    pub(in super::super) const LEADS: u8 = 16;
    /// A word that ends here begins nothing but a word.
    pub(in super::super) const PLAIN_END: u8 = 32;
    pub(in super::super) const HIGH: u8 = 64;
    pub(in super::super) const SPACE: u8 = 128;
    pub(in super::super) const ALNUM: u8 = LETTER | DIGIT;

    static TABLE: [u8; 256] = table();

    const fn table() -> [u8; 256] {
        let mut table = [0_u8; 256];
        let mut byte = 0_u8;
        loop {
            let mut bits = 0;
            if byte.is_ascii_alphabetic() {
                bits |= LETTER;
            }
            if byte.is_ascii_digit() {
                bits |= DIGIT;
            }
            if byte.is_ascii_uppercase() {
                bits |= UPPER;
            }
            if byte.is_ascii_hexdigit() {
                bits |= HEX;
            }
            if matches!(byte, b':' | b'=' | b'"' | b'\'' | b'`' | b'|' | b'>' | b'*') {
                bits |= LEADS;
            }
            if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                bits |= SPACE;
            }
            if matches!(
                byte,
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b';' | b')' | b'"' | b'<' | b'>' | b'|' | b'*'
            ) {
                bits |= PLAIN_END;
            }
            if byte >= 0x80 {
                bits |= HIGH;
            }
            #[expect(clippy::indexing_slicing, reason = "a byte always lies within 256 entries")]
            {
                table[byte as usize] = bits;
            }
            if byte == u8::MAX {
                return table;
            }
            byte += 1;
        }
    }

    /// The classes of `byte`.
    #[inline]
    pub(in super::super) fn of(byte: u8) -> u8 {
        TABLE.get(usize::from(byte)).copied().unwrap_or(0)
    }
}

/// The view of a stream: what was decided (as far as look-behind needs it) and what is not.
pub(super) struct Input<'a> {
    text: &'a [u8],
    last: bool,
    starved: Cell<bool>,
}

impl<'a> Input<'a> {
    /// `last` says that nothing follows `text`.
    pub(super) fn new(text: &'a [u8], last: bool) -> Self {
        Self { text, last, starved: Cell::new(false) }
    }

    /// Whether a decision read past what is known, and so is none.
    pub(super) fn starved(&self) -> bool {
        self.starved.get()
    }

    /// The byte at `at`; 0 past the end, which is remembered unless the end is the text's own.
    #[inline]
    pub(super) fn byte(&self, at: usize) -> u8 {
        match self.text.get(at) {
            Some(byte) => *byte,
            None => {
                if !self.last {
                    self.starved.set(true);
                }
                0
            }
        }
    }

    /// The byte before `at`; 0 at the very beginning.
    #[inline]
    pub(super) fn before(&self, at: usize) -> u8 {
        at.checked_sub(1).and_then(|i| self.text.get(i)).copied().unwrap_or(0)
    }

    /// How many bytes are known.
    pub(super) fn known(&self) -> usize {
        self.text.len()
    }

    /// Known bytes of a range already read.
    pub(super) fn slice(&self, from: usize, to: usize) -> &'a [u8] {
        self.text.get(from..to.min(self.text.len())).unwrap_or_default()
    }

    /// Whether `at` begins with `what`; reads no further than the first difference.
    pub(super) fn starts(&self, at: usize, what: &[u8]) -> bool {
        what.iter().enumerate().all(|(i, wanted)| self.byte(at + i) == *wanted)
    }

    /// [`Input::starts`], ASCII letters in either case; `what` is lower case.
    pub(super) fn starts_folded(&self, at: usize, what: &[u8]) -> bool {
        what.iter().enumerate().all(|(i, wanted)| self.byte(at + i).to_ascii_lowercase() == *wanted)
    }

    /// Where the run of bytes that `keep` begins at `at`; at most `most` bytes are read.
    pub(super) fn run(&self, at: usize, most: usize, keep: impl Fn(u8) -> bool) -> usize {
        let mut end = at;
        while end - at < most && keep(self.byte(end)) {
            end += 1;
        }
        end
    }

    /// The character at `at`, and its length; NUL past the end.
    pub(super) fn char(&self, at: usize) -> (char, usize) {
        let first = self.byte(at);
        let length = match first {
            0..0x80 => return (char::from(first), 1),
            0x80..0xE0 => 2,
            0xE0..0xF0 => 3,
            _ => 4,
        };
        let char = std::str::from_utf8(self.slice(at, at + length)).ok().and_then(|s| s.chars().next());
        (char.unwrap_or(char::REPLACEMENT_CHARACTER), length)
    }

    /// The character before `at`; NUL at the very beginning.
    pub(super) fn char_before(&self, at: usize) -> char {
        let first = self.before(at);
        if first < 0x80 {
            return char::from(first);
        }
        let from = (at.saturating_sub(4)..at).rev().find(|i| self.before(i + 1) & 0xC0 != 0x80);
        from.and_then(|from| std::str::from_utf8(self.slice(from, at)).ok())
            .and_then(|s| s.chars().next())
            .unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    /// Whether a value may begin at `at`: what stands before is not part of the same word.
    pub(super) fn opens(&self, at: usize) -> bool {
        let before = self.before(at);
        if class::of(before) & class::ALNUM != 0 {
            return self.escaped(at);
        }
        before < 0x80 || !joins(self.char_before(at))
    }

    /// Whether the letter before `at` is the end of an escape, as in `\n`.
    fn escaped(&self, at: usize) -> bool {
        matches!(self.before(at), b'n' | b't' | b'r') && at > 1 && self.before(at - 1) == b'\\'
    }

    /// Whether a value may end at `at`: what stands there does not go on with the same word.
    pub(super) fn closes(&self, at: usize) -> bool {
        let next = self.byte(at);
        if class::of(next) & class::ALNUM != 0 || next == b'_' {
            return false;
        }
        next < 0x80 || !joins(self.char(at).0)
    }

    /// [`Input::closes`], and no digit or word hangs on by a dash, dot, slash or colon.
    pub(super) fn closes_number(&self, at: usize) -> bool {
        if !self.closes(at) {
            return false;
        }
        match self.byte(at) {
            b'-' | b'@' => class::of(self.byte(at + 1)) & class::ALNUM == 0,
            b'.' | b':' | b'/' => class::of(self.byte(at + 1)) & class::DIGIT == 0,
            _ => true,
        }
    }

    /// Whether a word hangs on before `at` by a dash, dot, or the like: the inside of a longer name.
    pub(super) fn glued(&self, at: usize) -> bool {
        matches!(self.before(at), b'-' | b'.' | b'_' | b'/' | b'#' | b'~' | b'@' | b'+' | b'%')
            && at > 1
            && class::of(self.before(at - 1)) & (class::ALNUM | class::HIGH) != 0
    }
}

/// Whether a character is a letter of a script that writes words apart.
fn joins(char: char) -> bool {
    char.is_alphanumeric() && u32::from(char) < 0x2E80 && !matches!(u32::from(char), 0x0E00..0x0F00)
}
