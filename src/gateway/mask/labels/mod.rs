//! What the words before a value call it: look-behind only, so that a label costs no delay.

mod columns;
mod words;

use std::sync::LazyLock;

pub(super) use columns::Columns;
pub(super) use words::Label;

/// How far back a label is looked for, in bytes.
pub(super) const WINDOW: usize = 120;
/// As many words may stand between a label and its value.
const FILLERS: usize = 6;
/// What is written behind a label without a space.
const SUFFIXES: [&[u8]; 5] = [b"no", b"nr", b"num", b"number", b"id"];
/// The letters of a window, with room for digraphs.
const SQUEEZED: usize = WINDOW * 3 / 2;

/// The labels that hold for one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels {
    bits: u128,
    /// Only separators, or a verb such as "is", stand between the label and the value.
    pub(super) direct: bool,
    /// A sign of assignment stands between them: `:`, `=`, `|`, a quote.
    pub(super) assigned: bool,
    /// What parts the columns, if the label is the head of one.
    pub(super) cells: Option<u8>,
}

impl Labels {
    pub(super) const fn has(self, label: Label) -> bool {
        self.bits >> (label as u8) & 1 == 1
    }

    pub(super) fn any(self, labels: &[Label]) -> bool {
        labels.iter().any(|l| self.has(*l))
    }

    /// Whether anything names the value.
    pub(super) const fn some(self) -> bool {
        self.bits != 0
    }
}

/// Every label phrase, squeezed and backwards: `htribfoetad`.
static PHRASES: LazyLock<Trie> = LazyLock::new(Trie::new);

/// A tree of phrases read from their ends.
struct Trie {
    nodes: Vec<Node>,
    verbs: Vec<&'static str>,
}

#[derive(Default)]
struct Node {
    next: Vec<(u8, usize)>,
    /// Which bytes may go on, by their low five bits: most go on nowhere.
    hint: u32,
    bits: u128,
}

impl Trie {
    fn new() -> Self {
        let mut trie = Self { nodes: vec![Node::default()], verbs: words::verbs().collect() };
        for (label, phrase) in words::phrases() {
            trie.insert(&Squeezed::of(phrase.as_bytes()), label);
        }
        trie
    }

    fn insert(&mut self, phrase: &Squeezed, label: Label) {
        let mut node = 0;
        for (byte, _) in phrase.letters().iter().rev() {
            node = match self.step(node, *byte) {
                Some(next) => next,
                None => {
                    let next = self.nodes.len();
                    self.nodes.push(Node::default());
                    if let Some(node) = self.nodes.get_mut(node) {
                        node.next.push((*byte, next));
                        node.hint |= 1 << (byte & 31);
                    }
                    next
                }
            };
        }
        if let Some(node) = self.nodes.get_mut(node) {
            node.bits |= 1 << (label as u8);
        }
    }

    #[inline]
    fn step(&self, node: usize, byte: u8) -> Option<usize> {
        let node = self.nodes.get(node)?;
        if node.hint >> (byte & 31) & 1 == 0 {
            return None;
        }
        node.next.iter().find(|(b, _)| *b == byte).map(|(_, next)| *next)
    }

    /// The longest phrase that ends at `end` and begins with a word: where it begins, and its labels.
    fn ending(&self, text: &[(u8, Mark)], end: usize) -> Option<(usize, u128)> {
        let (mut node, mut found) = (0, None);
        for (at, (byte, mark)) in text.get(..end)?.iter().enumerate().rev() {
            let Some(next) = self.step(node, *byte) else { break };
            node = next;
            let bits = self.nodes.get(node).map_or(0, |n| n.bits);
            if bits != 0 && mark.begins {
                found = Some((at, bits));
            }
        }
        found
    }
}

/// Reads the labels of the value that begins at the end of `before`.
pub(super) fn before(before: &[u8]) -> Labels {
    let clause = clause(before);
    if clause.is_empty() { Labels::default() } else { Squeezed::of(clause).labels() }
}

/// The labels of a whole cell: the header of a column.
pub(super) fn of_cell(cell: &[u8]) -> Labels {
    Squeezed::of(cell.get(..cell.len().min(WINDOW)).unwrap_or_default()).labels()
}

/// The end of `before` that still speaks of what follows: back to a digit, the end of a sentence, or the line before.
fn clause(before: &[u8]) -> &[u8] {
    let floor = before.len().saturating_sub(WINDOW);
    let mut at = before.len();
    let mut letters = false;
    let mut bars = 0;
    while at > floor {
        let byte = before.get(at - 1).copied().unwrap_or(0);
        let next = before.get(at).copied().unwrap_or(b' ');
        let ends = match byte {
            b'\n' => {
                (letters && !continues(before.get(at..)))
                    || before.get(at.wrapping_sub(2)) == Some(&b'\n')
                    || (!letters && lists(before.get(at..)))
            }
            b'.' => letters && next == b' ' && !abbreviated(before.get(..at - 1)),
            b'!' | b'?' => letters && next == b' ',
            b';' => letters,
            b'|' => {
                bars += 1;
                if bars > 1 && letters && !first_cell(before.get(..at - 1)) {
                    return &[];
                }
                bars > 1 && letters
            }
            b'}' | b']' => letters && next != b'"' && next != b'\'',
            _ => byte.is_ascii_digit() && !ordinal(before, at),
        };
        if ends {
            break;
        }
        letters |= byte.is_ascii_alphabetic() || byte >= 0x80;
        at -= 1;
    }
    let mut clause = before.get(at..).unwrap_or_default();
    while clause.first().is_some_and(|b| b & 0xC0 == 0x80) {
        clause = clause.get(1..).unwrap_or_default();
    }
    clause
}

/// Whether nothing but the number of a row stands before on the line: further to the right, cells do not name each other.
fn first_cell(before: Option<&[u8]>) -> bool {
    let line = before.unwrap_or_default().rsplit(|b| *b == b'\n').next().unwrap_or_default();
    line.iter().all(|b| b.is_ascii_digit() || matches!(b, b'|' | b' ' | b'\t' | b'>'))
}

/// `value: …` on the line below a name, as in Kubernetes manifests.
fn continues(line: Option<&[u8]>) -> bool {
    let word: Vec<u8> = line
        .unwrap_or_default()
        .iter()
        .filter(|b| b.is_ascii_alphabetic())
        .map(u8::to_ascii_lowercase)
        .collect();
    matches!(word.as_slice(), b"value" | b"val" | b"defaultvalue" | b"text")
}

/// Whether what follows a line break begins a list of its own: the line before does not name it.
fn lists(line: Option<&[u8]>) -> bool {
    line.is_some_and(|l| l.iter().any(|b| matches!(b, b':' | b'=' | b',')))
}

/// `no.`, `nr.`, `St.-Nr.`: a short word with its dot.
fn abbreviated(before: Option<&[u8]>) -> bool {
    let word = before.unwrap_or_default().rsplit(|b| !b.is_ascii_alphabetic()).next().unwrap_or_default();
    matches!(word.len(), 1..=4)
}

/// A single digit that belongs to a name: `address1`, `phone 2:`, `(1)`.
fn ordinal(before: &[u8], at: usize) -> bool {
    let left = at.checked_sub(2).and_then(|i| before.get(i)).copied().unwrap_or(0);
    let right = before.get(at).copied().unwrap_or(0);
    let named = left.is_ascii_alphabetic() || matches!(left, b'_' | b'(' | b'[' | b' ' | b'#');
    named && matches!(right, b':' | b'_' | b')' | b']' | b'=' | b'"' | b'\'' | b'<' | b'>')
}

/// A clause as letters alone, with the places where its words begin and end.
struct Squeezed {
    text: [(u8, Mark); SQUEEZED],
    length: usize,
    /// A sign of assignment was met since the last letter.
    assigns: bool,
    /// A comma was.
    lists: bool,
}

#[derive(Clone, Copy, Default)]
struct Mark {
    begins: bool,
    ends: bool,
}

impl Squeezed {
    fn of(clause: &[u8]) -> Self {
        let mut squeezed =
            Self { text: [(0, Mark::default()); SQUEEZED], length: 0, assigns: false, lists: false };
        let (mut fresh, mut lower, mut in_tag) = (true, false, false);
        let mut at = 0;
        while let Some(byte) = clause.get(at).copied() {
            if byte >= 0x80 {
                let (char, length) = char_at(clause, at);
                squeezed.foreign(char, &mut fresh);
                lower = char.is_lowercase();
                at += length;
                continue;
            }
            at += 1;
            if !byte.is_ascii_alphabetic() || in_tag {
                // The name in a closing tag says nothing new.
                in_tag = (in_tag && byte != b'>') || (byte == b'<' && clause.get(at) == Some(&b'/'));
                fresh = true;
                squeezed.lists |= byte == b',';
                squeezed.assigns |= matches!(byte, b':' | b'=' | b'|' | b'"' | b'`' | b'>' | b'\'');
                continue;
            }
            fresh |= byte.is_ascii_uppercase() && lower;
            lower = byte.is_ascii_lowercase();
            squeezed.push(byte.to_ascii_lowercase(), fresh);
            fresh = false;
        }
        squeezed.end_word();
        squeezed
    }

    fn letters(&self) -> &[(u8, Mark)] {
        self.text.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, byte: u8, begins: bool) {
        if begins {
            self.end_word();
        }
        if let Some(slot) = self.text.get_mut(self.length) {
            *slot = (byte, Mark { begins, ends: false });
            self.length += 1;
        }
        self.assigns = false;
        self.lists = false;
    }

    fn end_word(&mut self) {
        if let Some((_, mark)) = self.length.checked_sub(1).and_then(|i| self.text.get_mut(i)) {
            mark.ends = true;
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
    fn labels(&self) -> Labels {
        let text = self.letters();
        let mut words = 0;
        for end in (1..=text.len()).rev() {
            if !text.get(end - 1).is_some_and(|(_, m)| m.ends) {
                continue;
            }
            if let Some((start, bits)) = self.phrase(end) {
                let direct = self.verbs_only(end) && (self.assigns || !self.lists);
                let bits = bits | self.joined(start);
                return Labels { bits, direct, assigned: direct && self.assigns, cells: None };
            }
            words += 1;
            if words > FILLERS {
                break;
            }
        }
        Labels::default()
    }

    /// The phrase that ends at `end`, a plural's "s" aside.
    fn phrase(&self, end: usize) -> Option<(usize, u128)> {
        let text = self.letters();
        let plural = || {
            let (last, mark) = text.get(end.checked_sub(1)?)?;
            (*last == b's' && !mark.begins).then(|| PHRASES.ending(text, end - 1)).flatten()
        };
        PHRASES.ending(text, end).or_else(plural).or_else(|| self.suffixed(end))
    }

    /// The phrase before a suffix that is written without a space: `aadhaarno`, `ssnnumber`.
    fn suffixed(&self, end: usize) -> Option<(usize, u128)> {
        let text = self.letters();
        SUFFIXES.iter().find_map(|suffix| {
            let from = end.checked_sub(suffix.len())?;
            let tail = text.get(from..end)?;
            let fits = tail.iter().map(|(b, _)| b).eq(suffix.iter()) && !tail.iter().any(|(_, m)| m.begins);
            fits.then(|| PHRASES.ending(text, from)).flatten()
        })
    }

    /// The labels that end no more than a short word before `start`: "SSN or ITIN".
    fn joined(&self, start: usize) -> u128 {
        let ends = |end: &usize| self.letters().get(end - 1).is_some_and(|(_, m)| m.ends);
        let found =
            (start.saturating_sub(4).max(1)..=start).rev().filter(ends).find_map(|end| self.phrase(end));
        found.map_or(0, |(_, bits)| bits & !(1 << (Label::Other as u8)))
    }

    /// Whether all that follows says no more than "is".
    fn verbs_only(&self, from: usize) -> bool {
        let rest = self.letters().get(from..).unwrap_or_default();
        let is = |verb: &&str| verb.len() == rest.len() && verb.bytes().eq(rest.iter().map(|(b, _)| *b));
        rest.is_empty() || PHRASES.verbs.iter().any(is)
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
