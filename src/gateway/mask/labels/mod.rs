//! What the words before a value call it: look-behind only, so that a label costs no delay.

mod columns;
mod phrases;
mod squeezed;
mod words;

pub(super) use columns::Columns;
use squeezed::Squeezed;
pub(super) use words::Label;

/// How far back a label is looked for, in bytes.
pub(super) const WINDOW: usize = 120;

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
