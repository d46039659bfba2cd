//! Open-ended values under way: what still belongs to them is dropped as it comes.

use super::{find::Body, input::class};

/// A longer line without a break is key material, unless it is made of words.
const LINE: usize = 100;
/// So much of it is kept, for the end may begin in it.
const KEPT: usize = 16;
/// So many spaces make a line of words.
const WORDS: usize = 5;
const END: &[u8] = b"-----END ";

/// A value that goes on.
#[derive(Debug)]
pub(super) struct Swallow {
    body: Body,
    pem: Pem,
}

/// Where the body of a PEM block is.
#[derive(Debug, Default)]
struct Pem {
    /// A line shorter than the first was met: only the end may follow.
    short: bool,
    /// The length of the first line of base 64.
    first: usize,
    /// The line is so long that it was dropped before its end was known.
    long: bool,
}

/// How far the value reaches in what is known.
pub(super) struct End {
    pub(super) at: usize,
    /// The value is over there.
    pub(super) over: bool,
}

impl Swallow {
    pub(super) fn new(body: Body) -> Self {
        Self { body, pem: Pem::default() }
    }

    /// Drops what belongs to the value from `at`.
    pub(super) fn consume(&mut self, seen: &[u8], at: usize, last: bool) -> End {
        match self.body {
            Body::Pem => self.pem.consume(seen, at, last),
            body => run(body, seen, at, last),
        }
    }
}

fn run(body: Body, seen: &[u8], from: usize, last: bool) -> End {
    let belongs = |b: u8| match body {
        Body::Url | Body::Dotted => class::of(b) & class::ALNUM != 0 || matches!(b, b'_' | b'-'),
        Body::Base64 => class::of(b) & class::ALNUM != 0 || matches!(b, b'+' | b'/' | b'=' | b'_' | b'-'),
        Body::Word | Body::Pem => {
            class::of(b) & class::SPACE == 0 && !matches!(b, b'"' | b'\'' | b'`' | b'<')
        }
    };
    let mut at = from;
    while let Some(byte) = seen.get(at) {
        if belongs(*byte) {
            at += 1;
            continue;
        }
        if *byte == b'.' && body == Body::Dotted {
            match seen.get(at + 1) {
                // A dot belongs to it only between its parts.
                Some(b) if belongs(*b) || *b == b'.' => {
                    at += 1;
                    continue;
                }
                None if !last => return End { at, over: false },
                _ => {}
            }
        }
        return End { at, over: true };
    }
    End { at, over: last }
}

impl Pem {
    /// Line by line, real breaks and `\n` escapes alike, to the end of the block or to a line that cannot belong to it.
    fn consume(&mut self, seen: &[u8], from: usize, last: bool) -> End {
        let mut at = from;
        loop {
            let rest = seen.get(at..).unwrap_or_default();
            let window = rest.get(..LINE).unwrap_or(rest);
            if window.starts_with(END) {
                match find(window, b"-----", END.len()) {
                    // Invisible characters behind it are part of what is masked, so that what follows must be known.
                    Some(close) if at + close + 5 < seen.len() || last => {
                        return End { at: at + close + 5, over: true };
                    }
                    Some(_) => return End { at, over: false },
                    None if window.len() < LINE && !last => return End { at, over: false },
                    None => at += END.len(),
                }
                continue;
            }
            let step = match part(window) {
                Some((length, next)) => self.judge(window.get(..length).unwrap_or_default()).then_some(next),
                None if rest.len() >= LINE => {
                    let belongs = self.long || window.iter().filter(|b| **b == b' ').count() < WORDS;
                    self.long = true;
                    // What is left may be the beginning of the end.
                    belongs.then_some(LINE - KEPT)
                }
                None if !last => return End { at, over: false },
                None => return End { at: if self.judge(window) { seen.len() } else { at }, over: true },
            };
            match step {
                Some(step) => at += step,
                None => return End { at, over: true },
            }
        }
    }

    /// Whether a line belongs to the block.
    fn judge(&mut self, line: &[u8]) -> bool {
        if std::mem::take(&mut self.long) {
            return true;
        }
        let text = trimmed(line);
        if text.is_empty() {
            return !self.short;
        }
        let encoded = text
            .iter()
            .all(|b| class::of(*b) & class::ALNUM != 0 || matches!(b, b'+' | b'/' | b'=' | b'.' | b'*'))
            || text.len() > LINE / 2 && text.iter().filter(|b| **b == b' ').count() < WORDS;
        let header = self.first == 0 && text.contains(&b':')
            || text.starts_with(b"Proc-Type")
            || text.starts_with(b"DEK-Info");
        let sum = text.first() == Some(&b'=') && text.len() == 5;
        if header || sum {
            return true;
        }
        if !encoded || self.short {
            return false;
        }
        if self.first == 0 {
            self.first = text.len();
        }
        self.short = text.len() < self.first;
        true
    }
}

/// The length of the line without its break, and with it; the end of the block ends a line, too.
fn part(window: &[u8]) -> Option<(usize, usize)> {
    let real = memchr::memchr(b'\n', window).map(|at| (at, at + 1));
    let escape = find(window, b"\\n", 0).map(|at| (at, at + 2));
    let close = find(window, END, 0).map(|at| (at, at));
    [real, escape, close].into_iter().flatten().min()
}

/// Without indentation, quotes, and the marks of comments, quotations and string concatenation.
fn trimmed(line: &[u8]) -> &[u8] {
    let outer =
        |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'"' | b'\'' | b',' | b'>' | b'#' | b'|' | b'\\' | b';');
    let from = line.iter().position(|b| !outer(b)).unwrap_or(line.len());
    // A plus sign joins strings only where there are strings.
    let joined = line.iter().any(|b| matches!(b, b'"' | b'\''));
    let to = line.iter().rposition(|b| !(outer(b) || (joined && *b == b'+'))).map_or(from, |i| i + 1);
    line.get(from..to.max(from)).unwrap_or_default()
}

fn find(text: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(text.get(from..)?, needle).map(|at| at + from)
}
