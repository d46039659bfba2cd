//! The way through plain text: past everything that begins no value, at the speed of a table.

use super::{input::class, rules::Rules};

/// A longer run of letters is looked at before its end is known.
const RUN: usize = 320;

/// Where the way through the text stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A value may begin here.
    Candidate(usize),
    /// A plain word or a mark stands here, which is a value only if it is named a secret.
    Named(usize),
    /// What begins here is not known far enough.
    Held(usize),
}

/// Text on which one walks, and whether it is the last.
pub(super) struct Walk<'a> {
    pub(super) text: &'a [u8],
    pub(super) last: bool,
    pub(super) rules: &'a Rules,
}

impl Walk<'_> {
    #[inline]
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// The byte at `at`; 0 past the end of the last text; `None` if it is not known.
    fn peek(&self, at: usize) -> Option<u8> {
        self.byte(at).or(self.last.then_some(0))
    }

    fn before(&self, at: usize) -> u8 {
        at.checked_sub(1).and_then(|i| self.byte(i)).unwrap_or(0)
    }

    /// The next place from `from` at which a value may begin.
    pub(super) fn next(&self, from: usize) -> Stop {
        let mut at = self.rest_of_word(from);
        while let Some(byte) = self.byte(at) {
            let kind = class::of(byte);
            let step = if kind & class::LETTER != 0 {
                self.word(at)
            } else if kind & class::DIGIT != 0 {
                return Stop::Candidate(at);
            } else if kind & class::HIGH != 0 {
                self.foreign(at)
            } else if kind & class::SPACE != 0 {
                Ok(at + 1)
            } else {
                self.sign(at, byte)
            };
            match step {
                Ok(next) => at = next,
                Err(stop) => return stop,
            }
        }
        Stop::Held(at)
    }

    /// Past what is left of a word that began before: no value begins inside it.
    fn rest_of_word(&self, from: usize) -> usize {
        let inside = class::of(self.before(from)) & class::ALNUM != 0 && !self.escaped(from);
        if !inside {
            return from;
        }
        self.skip(from)
    }

    fn escaped(&self, at: usize) -> bool {
        matches!(self.before(at), b'n' | b't' | b'r') && at > 1 && self.before(at - 1) == b'\\'
    }

    /// Past letters and digits.
    pub(super) fn skip(&self, from: usize) -> usize {
        let mut at = from;
        while self.byte(at).is_some_and(|b| class::of(b) & class::ALNUM != 0) {
            at += 1;
        }
        at
    }

    /// A word of letters: plain where a space or a mark ends it and nothing names it.
    fn word(&self, at: usize) -> Result<usize, Stop> {
        let mut end = at;
        loop {
            while self.byte(end).is_some_and(|b| class::of(b) & class::LETTER != 0) {
                end += 1;
            }
            if end - at > RUN {
                return Err(Stop::Candidate(at));
            }
            let Some(next) = self.peek(end) else { return Err(Stop::Held(at)) };
            let kind = class::of(next);
            if kind & class::PLAIN_END != 0 || next == 0 {
                return self.plain(at, end, next);
            }
            // A dot, a colon or an apostrophe is plain, too, if a space or another mark follows.
            if !matches!(next, b'.' | b':' | b'\'' | b'!' | b'?') && kind & class::HIGH == 0 {
                return Err(Stop::Candidate(at));
            }
            if kind & class::HIGH != 0 {
                match self.high(end) {
                    Some((true, length)) => end += length,
                    Some((false, _)) => return self.plain(at, end, b' '),
                    None => return Err(Stop::Held(at)),
                }
                continue;
            }
            let Some(after) = self.peek(end + 1) else { return Err(Stop::Held(at)) };
            if class::of(after) & (class::PLAIN_END | class::SPACE) != 0 || after == 0 {
                return self.plain(at, end, next);
            }
            if next == b'\'' && class::of(after) & class::LETTER != 0 {
                end += 1;
                continue;
            }
            return Err(Stop::Candidate(at));
        }
    }

    /// A word that ends plainly begins a value only if a separator stands before it, or if it is in capitals.
    fn plain(&self, at: usize, end: usize, next: u8) -> Result<usize, Stop> {
        let before = class::of(self.before(at));
        let led = before & class::LEADS != 0
            || (before & class::SPACE != 0 && at > 1 && class::of(self.before(at - 1)) & class::LEADS != 0);
        if self.rules.custom_begins(self.byte(at).unwrap_or(0)) {
            return Err(Stop::Candidate(at));
        }
        let plain = if led { Err(Stop::Named(at)) } else { Ok(end) };
        let length = end - at;
        let capital = |i: usize| self.byte(i).is_some_and(|b| class::of(b) & class::UPPER != 0);
        if length <= 5 && next == b' ' {
            // `AB 12 34 56 C`, `June 5`: the value may go on behind the space.
            let Some(after) = self.peek(end + 1) else {
                return if capital(at) { Err(Stop::Held(at)) } else { plain };
            };
            let goes_on = class::of(after) & class::DIGIT != 0 && capital(at);
            return if goes_on { Err(Stop::Candidate(at)) } else { plain };
        }
        let coded = length >= 8 && capital(at) && capital(at + 1) && capital(at + 2);
        let month = length > 5 && length < 10 && capital(at) && next == b' ';
        if coded {
            return Err(Stop::Candidate(at));
        }
        if month {
            let Some(after) = self.peek(end + 1) else { return Err(Stop::Held(at)) };
            if class::of(after) & class::DIGIT != 0 {
                return Err(Stop::Candidate(at));
            }
        }
        plain
    }

    /// A character outside ASCII: a letter that may begin a word, or anything else.
    fn foreign(&self, at: usize) -> Result<usize, Stop> {
        match self.high(at) {
            Some((true, _)) => self.word(at),
            Some((false, length)) => Ok(at + length),
            None => Err(Stop::Held(at)),
        }
    }

    /// Whether the character is a letter of a script that parts its words, and its length.
    fn high(&self, at: usize) -> Option<(bool, usize)> {
        let length = match self.byte(at)? {
            0x80..0xE0 => 2,
            0xE0..0xF0 => 3,
            _ => 4,
        };
        let char = std::str::from_utf8(self.text.get(at..at + length)?).ok()?.chars().next()?;
        Some((
            char.is_alphabetic() && u32::from(char) < 0x2E80 && !(0x0E00..0x0F00).contains(&u32::from(char)),
            length,
        ))
    }

    /// Whether an IPv6 address may begin here with its gap.
    fn opens_gap(&self, at: usize) -> bool {
        let before = self.before(at);
        before != b':' && class::of(before) & (class::ALNUM | class::HIGH) == 0
    }

    /// Any other mark.
    fn sign(&self, at: usize, byte: u8) -> Result<usize, Stop> {
        let known = |offset: usize| self.peek(at + offset).ok_or(Stop::Held(at));
        match byte {
            b'\\' => {
                let next = known(1)?;
                return Ok(if matches!(next, b'n' | b't' | b'r') { at + 2 } else { at + 1 });
            }
            b'+' | b'(' => {
                let next = known(1)?;
                if next.is_ascii_digit() || (byte == b'(' && next == b'+') {
                    return Err(Stop::Candidate(at));
                }
            }
            b':' if self.opens_gap(at) && known(1)? == b':' => return Err(Stop::Candidate(at)),
            b'-' => {
                for (offset, wanted) in b"-----BEGIN ".iter().enumerate() {
                    if known(offset)? != *wanted {
                        break;
                    }
                    if *wanted == b' ' {
                        return Err(Stop::Candidate(at));
                    }
                }
            }
            _ => {}
        }
        let before = class::of(self.before(at));
        let led = before & class::LEADS != 0
            || (before & class::SPACE != 0 && at > 1 && class::of(self.before(at - 1)) & class::LEADS != 0);
        let value = matches!(
            byte,
            b'%' | b'-'
                | b'_'
                | b'!'
                | b'#'
                | b'@'
                | b'$'
                | b'^'
                | b'&'
                | b'~'
                | b'.'
                | b'+'
                | b'/'
                | b'?'
                | b'='
        );
        if self.rules.custom_begins(byte) {
            return Err(Stop::Candidate(at));
        }
        if led && value && class::of(byte) & class::LEADS == 0 {
            return Err(Stop::Named(at));
        }
        Ok(at + 1)
    }
}
