//! Open-ended values under way: what still belongs to them is dropped as it comes.

use super::{find::Body, input::class};

/// A longer line without a break is key material, whatever it is made of.
const LINE: usize = 100;

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
        Body::Word | Body::Pem => class::of(b) & class::SPACE == 0 && !matches!(b, b'"' | b'\'' | b'`' | b'<'),
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
    /// Line by line, real breaks and `\n` escapes alike, to the line that ends the block or cannot belong to it.
    fn consume(&mut self, seen: &[u8], from: usize, last: bool) -> End {
        let mut at = from;
        loop {
            let rest = seen.get(at..).unwrap_or_default();
            let Some((length, next)) = line(rest) else {
                if rest.len() > LINE {
                    self.long = true;
                    // All but what might be the beginning of an escape.
                    return End { at: seen.len() - usize::from(rest.ends_with(b"\\")), over: false };
                }
                if last {
                    return self.rest(rest, at);
                }
                return End { at, over: false };
            };
            let text = rest.get(..length).unwrap_or_default();
            match self.judge(text) {
                Judged::Belongs => at += next,
                Judged::Ends(length) => return End { at: at + length, over: true },
                Judged::Stranger => return End { at, over: true },
            }
        }
    }

    /// The last line, without a break behind it.
    fn rest(&mut self, text: &[u8], at: usize) -> End {
        match self.judge(text) {
            Judged::Belongs => End { at: at + text.len(), over: true },
            Judged::Ends(length) => End { at: at + length, over: true },
            Judged::Stranger => End { at, over: true },
        }
    }

    fn judge(&mut self, line: &[u8]) -> Judged {
        if let Some(end) = find(line, b"-----END ") {
            let tail = line.get(end + 9..).unwrap_or_default();
            let close = find(tail, b"-----").map_or(line.len(), |c| end + 9 + c + 5);
            return Judged::Ends(close);
        }
        if std::mem::take(&mut self.long) {
            return Judged::Belongs;
        }
        let text = trimmed(line);
        if text.is_empty() {
            return if self.short { Judged::Stranger } else { Judged::Belongs };
        }
        let encoded = text.iter().all(|b| class::of(*b) & class::ALNUM != 0 || matches!(b, b'+' | b'/' | b'=' | b'.' | b'*'));
        let header = self.first == 0 && text.contains(&b':') || text.starts_with(b"Proc-Type") || text.starts_with(b"DEK-Info");
        let sum = text.first() == Some(&b'=') && text.len() == 5;
        if header || sum {
            return Judged::Belongs;
        }
        if !encoded || self.short {
            return Judged::Stranger;
        }
        if self.first == 0 {
            self.first = text.len();
        }
        self.short = text.len() < self.first;
        Judged::Belongs
    }
}

enum Judged {
    Belongs,
    /// The block ends within the line.
    Ends(usize),
    Stranger,
}

/// The length of the line without its break, and with it; `None` if its end is not known.
fn line(text: &[u8]) -> Option<(usize, usize)> {
    let real = memchr::memchr(b'\n', text).map(|at| (at, at + 1));
    let escape = find(text, b"\\n").map(|at| (at, at + 2));
    let end = match (real, escape) {
        (Some(a), Some(b)) => Some(if a.0 < b.0 { a } else { b }),
        (a, b) => a.or(b),
    };
    let closes = find(text, b"-----END ").and_then(|at| {
        let tail = text.get(at + 9..)?;
        find(tail, b"-----").map(|c| at + 9 + c + 5)
    });
    // The end of the block needs no break behind it.
    match (closes, end) {
        (Some(close), Some(end)) if close <= end.0 => Some((close, close)),
        (Some(close), None) => Some((close, close)),
        (_, end) => end,
    }
}

/// Without indentation, quotes, and the marks of comments, quotations and string concatenation.
fn trimmed(line: &[u8]) -> &[u8] {
    let outer = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'"' | b'\'' | b',' | b'>' | b'#' | b'|' | b'\\' | b';');
    let from = line.iter().position(|b| !outer(b)).unwrap_or(line.len());
    // A plus sign joins strings only where there are strings.
    let joined = line.iter().any(|b| matches!(b, b'"' | b'\''));
    let to = line.iter().rposition(|b| !outer(b) && !(joined && *b == b'+')).map_or(from, |i| i + 1);
    line.get(from..to.max(from)).unwrap_or_default()
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, needle)
}
