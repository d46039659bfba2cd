//! A clause as letters alone: lower case, without accents, with the places where its words begin and end.

use super::{Label, Labels, WINDOW, phrases::PHRASES};

/// As many words may stand between a label and its value.
const FILLERS: usize = 6;
/// What is written behind a label without a space.
const SUFFIXES: [&[u8]; 5] = [b"no", b"nr", b"num", b"number", b"id"];
/// The letters of a window, with room for digraphs.
const SQUEEZED: usize = WINDOW * 3 / 2;

/// A bit for every letter.
#[derive(Clone, Copy, Default)]
struct Marks([u64; SQUEEZED.div_ceil(64)]);

impl Marks {
    fn set(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    fn get(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// The last that is set before `end`.
    fn last(&self, end: usize) -> Option<usize> {
        let at = end.checked_sub(1)?;
        let below = self.0.get(at / 64)? & (u64::MAX >> (63 - at % 64));
        let highest = |index: usize, word: u64| {
            (word != 0).then(|| index * 64 + 63 - usize::try_from(word.leading_zeros()).unwrap_or(0))
        };
        highest(at / 64, below).or_else(|| {
            self.0.iter().enumerate().take(at / 64).rev().find_map(|(index, word)| highest(index, *word))
        })
    }
}

/// Letters, and where words begin among them.
#[derive(Clone, Copy)]
pub(super) struct Letters<'a> {
    bytes: &'a [u8],
    begins: &'a Marks,
}

impl<'a> Letters<'a> {
    pub(super) const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether a word begins at `at`.
    pub(super) fn begins(self, at: usize) -> bool {
        self.begins.get(at)
    }
}

/// The letters of a clause.
pub(super) struct Squeezed {
    text: [u8; SQUEEZED],
    length: usize,
    begins: Marks,
    ends: Marks,
    /// A sign of assignment was met since the last letter.
    assigns: bool,
    /// A comma was.
    lists: bool,
}

impl Squeezed {
    pub(super) fn of(clause: &[u8]) -> Self {
        let mut squeezed = Self {
            text: [0; SQUEEZED],
            length: 0,
            begins: Marks::default(),
            ends: Marks::default(),
            assigns: false,
            lists: false,
        };
        squeezed.read(clause);
        squeezed
    }

    fn read(&mut self, clause: &[u8]) {
        let (mut fresh, mut lower, mut in_tag) = (true, false, false);
        let mut at = 0;
        while let Some(byte) = clause.get(at).copied() {
            if byte >= 0x80 {
                let (char, length) = char_at(clause, at);
                self.foreign(char, &mut fresh);
                lower = char.is_lowercase();
                at += length;
                continue;
            }
            at += 1;
            if !byte.is_ascii_alphabetic() || in_tag {
                // The name in a closing tag says nothing new.
                in_tag = (in_tag && byte != b'>') || (byte == b'<' && clause.get(at) == Some(&b'/'));
                fresh = true;
                self.lists |= byte == b',';
                self.assigns |= matches!(byte, b':' | b'=' | b'|' | b'"' | b'`' | b'>' | b'\'');
                continue;
            }
            fresh |= byte.is_ascii_uppercase() && lower;
            lower = byte.is_ascii_lowercase();
            self.push(byte.to_ascii_lowercase(), fresh);
            fresh = false;
        }
        self.end_word();
    }

    pub(super) fn letters(&self) -> Letters<'_> {
        Letters { bytes: self.text.get(..self.length).unwrap_or_default(), begins: &self.begins }
    }

    fn push(&mut self, byte: u8, begins: bool) {
        if begins {
            self.end_word();
        }
        if let Some(slot) = self.text.get_mut(self.length) {
            *slot = byte;
            if begins {
                self.begins.set(self.length);
            }
            self.length += 1;
        }
        self.assigns = false;
        self.lists = false;
    }

    fn end_word(&mut self) {
        if let Some(last) = self.length.checked_sub(1) {
            self.ends.set(last);
        }
    }

    fn foreign(&mut self, char: char, fresh: &mut bool) {
        if !char.is_alphabetic() && !matches!(u32::from(char), 0x0900..0x0E80) {
            *fresh = true;
            self.assigns |= matches!(char, '：' | '＝' | '「' | '«');
            return;
        }
        // A script without spaces: every character is a word.
        let alone = u32::from(char) >= 0x2E80 || (0x0E00..0x0F00).contains(&u32::from(char));
        let lowered = char.to_lowercase().next().unwrap_or(char);
        let mut buffer = [0; 4];
        let folded =
            unaccented(lowered).map_or_else(|| lowered.encode_utf8(&mut buffer).as_bytes(), str::as_bytes);
        for (i, byte) in folded.iter().enumerate() {
            self.push(*byte, (*fresh || alone) && i == 0);
        }
        *fresh = alone;
    }

    /// The nearest label, and those joined to it.
    pub(super) fn labels(&self) -> Labels {
        let mut before = self.length;
        for _ in 0..=FILLERS {
            let Some(last) = self.ends.last(before) else { break };
            if let Some((start, bits)) = self.phrase(last + 1) {
                let rest = self.letters().bytes().get(last + 1..).unwrap_or_default();
                let direct = (rest.is_empty() || PHRASES.is_verb(rest)) && (self.assigns || !self.lists);
                let bits = bits | self.joined(start);
                return Labels { bits, direct, assigned: direct && self.assigns, cells: None };
            }
            before = last;
        }
        Labels::default()
    }

    /// The phrase that ends at `end`, a plural's "s" aside.
    fn phrase(&self, end: usize) -> Option<(usize, u128)> {
        let text = self.letters();
        let plural = || {
            let last = end.checked_sub(1)?;
            (text.bytes().get(last) == Some(&b's') && !text.begins(last))
                .then(|| PHRASES.ending(text, last))
                .flatten()
        };
        PHRASES.ending(text, end).or_else(plural).or_else(|| self.suffixed(end))
    }

    /// The phrase before a suffix that is written without a space: `aadhaarno`, `ssnnumber`.
    fn suffixed(&self, end: usize) -> Option<(usize, u128)> {
        let text = self.letters();
        let word = text.bytes().get(..end)?;
        if !matches!(word.last(), Some(b'o' | b'r' | b'm' | b'd')) {
            return None;
        }
        SUFFIXES.iter().find_map(|suffix| {
            let from = word.strip_suffix(*suffix)?.len();
            let fits = !(from..end).any(|at| text.begins(at));
            fits.then(|| PHRASES.ending(text, from)).flatten()
        })
    }

    /// The labels that end no more than a short word before `start`: "SSN or ITIN".
    fn joined(&self, start: usize) -> u128 {
        let found = (start.saturating_sub(4).max(1)..=start)
            .rev()
            .filter(|end| self.ends.get(end - 1))
            .find_map(|end| self.phrase(end));
        found.map_or(0, |(_, bits)| bits & !(1 << (Label::Other as u8)))
    }
}

/// The character at `at`, and its length.
fn char_at(text: &[u8], at: usize) -> (char, usize) {
    let length = match text.get(at) {
        Some(0xC0..0xE0) => 2,
        Some(0xE0..0xF0) => 3,
        Some(0xF0..) => 4,
        _ => 1,
    };
    let char =
        text.get(at..at + length).and_then(|b| std::str::from_utf8(b).ok()).and_then(|s| s.chars().next());
    (char.unwrap_or(' '), length)
}

/// A Latin letter without its accent; a digraph where that is how it is transcribed.
fn unaccented(char: char) -> Option<&'static str> {
    Some(match char {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ė' | 'ę' | 'ě' => "e",
        'ğ' | 'ģ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'į' | 'ı' => "i",
        'ķ' => "k",
        'ł' | 'ľ' | 'ļ' | 'ĺ' => "l",
        'ñ' | 'ń' | 'ň' | 'ņ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ő' | 'ō' => "o",
        'ř' | 'ŕ' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ţ' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' | 'ų' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ž' | 'ż' => "z",
        'æ' => "ae",
        'œ' => "oe",
        _ => return None,
    })
}
