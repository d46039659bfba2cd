//! The heads of columns: in CSV and Markdown tables the label of a value may stand many lines above it.

use super::{Labels, of_cell};

/// Longer lines are no rows of a table one reads.
const LINE: usize = 1024;
/// Longer cells name nothing.
const CELL: usize = 40;
/// More columns than a table has.
const COLUMNS: usize = 64;

/// The table that the text is in, if it is in one.
#[derive(Debug, Default)]
pub(in super::super) struct Columns {
    line: Vec<u8>,
    /// The line is longer than [`LINE`].
    long: bool,
    separator: u8,
    heads: Vec<Labels>,
    /// The line before, if it may be the head of a table that is ruled off below it.
    above: Vec<Labels>,
}

impl Columns {
    /// Takes text that was decided.
    pub(in super::super) fn take(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let (line, tail) = rest.split_at(at);
            self.add(line);
            self.end_line();
            rest = tail.get(1..).unwrap_or_default();
        }
        self.add(rest);
    }

    fn add(&mut self, part: &[u8]) {
        if self.long || self.line.len() + part.len() > LINE {
            self.long = true;
            self.line.clear();
        } else {
            self.line.extend_from_slice(part);
        }
    }

    /// The head of the column in which the text ends, and how far back its cell begins; `None` outside tables, and
    /// where a table has two columns, of which the first names the second.
    pub(in super::super) fn cell(&self) -> Option<(Labels, usize)> {
        if self.heads.is_empty() || self.long {
            return None;
        }
        let column = separators(&self.line, self.separator);
        let begin = memchr::memrchr(self.separator, &self.line).map_or(0, |at| at + 1);
        let head = self.heads.get(column).copied().unwrap_or_default();
        let edges = if self.separator == b'|' { 2 } else { 0 };
        if !head.some() && self.heads.len() <= 2 + edges {
            return None;
        }
        Some((Labels { cells: Some(self.separator), ..head }, self.line.len() - begin))
    }

    fn end_line(&mut self) {
        let in_table = !self.long
            && !self.heads.is_empty()
            && (separators(&self.line, self.separator) + 1 == self.heads.len() || ruled(&self.line));
        if !in_table {
            self.heads.clear();
            let above = std::mem::take(&mut self.above);
            if ruled(&self.line) && self.line.contains(&b'-') {
                self.separator = b'|';
                self.heads = above;
            } else if !self.long {
                self.head();
            }
        }
        self.line.clear();
        self.long = false;
    }

    /// Reads the line as the heads of a table: every cell short, without figures, and one of them a label.
    fn head(&mut self) {
        for separator in *b"|\t,;" {
            if !self.line.contains(&separator) {
                continue;
            }
            let cells = || self.line.split(|b| *b == separator);
            if !cells().all(|c| names(c, separator)) || cells().count() > COLUMNS {
                continue;
            }
            let heads: Vec<Labels> = cells().map(of_cell).map(settle).collect();
            if !heads.iter().any(|h| h.some()) {
                continue;
            }
            if separator == b'|' {
                self.above = heads;
            } else {
                self.separator = separator;
                self.heads = heads;
            }
            return;
        }
    }
}

/// A column names its values without a word between.
fn settle(labels: Labels) -> Labels {
    if labels.direct { Labels { assigned: true, ..labels } } else { Labels::default() }
}

fn names(cell: &[u8], separator: u8) -> bool {
    let words = cell.split(|b| *b == b' ').filter(|w| !w.is_empty()).count();
    let bar = separator == b'|';
    cell.len() <= CELL
        && words <= if bar || cell.first().is_some_and(|b| *b != b' ') { 5 } else { 3 }
        && (bar || words > 0)
        && cell.iter().filter(|b| b.is_ascii_digit()).count() < 3
        && [(b'(', b')'), (b'[', b']')].iter().all(|(a, b)| count(cell, *a) == count(cell, *b))
        && !cell.iter().any(|b| matches!(b, b'!' | b'?' | b'{' | b'}' | b'=' | b':'))
}

fn count(cell: &[u8], byte: u8) -> usize {
    cell.iter().filter(|b| **b == byte).count()
}

/// `|---|:--:|`
fn ruled(line: &[u8]) -> bool {
    !line.is_empty() && line.iter().all(|b| matches!(b, b'|' | b'-' | b':' | b' ' | b'\r' | b'+'))
}

/// Separators outside double quotes.
fn separators(line: &[u8], separator: u8) -> usize {
    let mut quoted = false;
    line.iter()
        .filter(|b| {
            quoted ^= **b == b'"';
            **b == separator && !quoted
        })
        .count()
}
