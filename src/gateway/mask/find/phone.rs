//! Telephone numbers: international by E.164, national by their plan's form, anything dialled after a label.

use super::{
    super::{
        input::{Input, class},
        labels::{Label, Labels},
    },
    Site,
};

/// As many groups of digits as a number has.
const GROUPS: usize = 8;
/// E.164: at most so many digits, an exit code and a national zero aside.
const DIGITS: usize = 15;

#[derive(Clone, Copy, Debug)]
struct Group {
    from: usize,
    digits: usize,
    end: usize,
    separator: u8,
    bracketed: bool,
}

/// Where the telephone number at the site ends.
pub(super) fn read(site: &Site<'_>) -> Option<usize> {
    let input = site.input;
    let before = input.before(site.at);
    if input.glued(site.at) || (before == b'$' || before == b'\xA3') {
        return None;
    }
    let (groups, plus) = groups(input, site.at)?;
    let number = Number { input, at: site.at, plus };
    (1..=groups.len()).rev().find_map(|count| {
        let part = groups.get(..count)?;
        let end = part.last()?.end;
        let next = groups.get(count).map(|g| g.separator);
        let open = match next {
            Some(separator) => separator == b' ' || separator == b'/',
            None => !input.closes_number(end),
        };
        if (next.is_none() && open) || (next.is_some() && !open) {
            return None;
        }
        number.accepts(part, site).then(|| extension(input, end))
    })
}

/// The groups of digits from `at`, brackets and a leading `+` included.
fn groups(input: &Input<'_>, at: usize) -> Option<(Vec<Group>, bool)> {
    let mut from = at;
    let wrapped = input.byte(from) == b'(' && input.byte(from + 1) == b'+';
    if wrapped {
        from += 1;
    }
    let plus = input.byte(from) == b'+';
    if plus {
        from += 1;
    }
    let (mut groups, mut total, mut separator) = (Vec::new(), 0, 0);
    while groups.len() < GROUPS {
        let bracketed = input.byte(from) == b'(';
        let start = if bracketed { from + 1 } else { from };
        let mut end = input.run(start, DIGITS + 3, |b| b.is_ascii_digit());
        let digits = end - start;
        total += digits;
        if digits == 0 || total > DIGITS + 3 {
            break;
        }
        let closing = bracketed || (wrapped && groups.is_empty());
        if closing {
            if digits > 5 || input.byte(end) != b')' {
                break;
            }
            end += 1;
        }
        groups.push(Group { from: start, digits, end, separator, bracketed });
        separator = input.byte(end);
        from = end;
        if matches!(separator, b' ' | b'-' | b'.' | b'/') {
            from += 1;
        } else if !(closing && separator.is_ascii_digit()) && separator != b'(' {
            break;
        }
        let next = input.byte(from);
        let goes_on = next.is_ascii_digit() || (next == b'(' && input.byte(from + 1).is_ascii_digit());
        if !goes_on {
            break;
        }
    }
    (!groups.is_empty()).then_some((groups, plus))
}

struct Number<'a> {
    input: &'a Input<'a>,
    at: usize,
    plus: bool,
}

impl Number<'_> {
    fn digits(&self, groups: &[Group]) -> Vec<u8> {
        groups.iter().flat_map(|g| self.input.slice(g.from, g.from + g.digits)).copied().collect()
    }

    fn accepts(&self, groups: &[Group], site: &Site<'_>) -> bool {
        let digits = self.digits(groups);
        let lengths: Vec<usize> = groups.iter().map(|g| g.digits).collect();
        if self.plus {
            return international(&digits);
        }
        if digits.iter().all(|d| Some(d) == digits.first()) || dated(&digits, &lengths) {
            return false;
        }
        let labels = site.labels();
        if labels.has(Label::Phone) {
            // A verb such as "call" has other objects, too.
            let likely = labels.direct || groups.len() > 1 || digits.len() > 8;
            return likely && (if labels.direct { 6 } else { 7 }..=DIGITS).contains(&digits.len());
        }
        if site.follows() || other(labels) {
            return false;
        }
        let grouped = groups.len() > 1;
        let exit = |code: &[u8]| digits.strip_prefix(code).is_some_and(international);
        grouped
            && (exit(b"00")
                || (exit(b"011") && lengths.first() == Some(&3))
                || national(&digits, &lengths, groups)
                || self.alone(groups, &digits))
    }

    /// The only thing on its line, below a line of words: how a letter is signed.
    fn alone(&self, groups: &[Group], digits: &[u8]) -> bool {
        let Some(end) = groups.last().map(|g| g.end) else { return false };
        if !(7..=12).contains(&digits.len()) || self.input.before(self.at) != b'\n' {
            return false;
        }
        let from = self.at.saturating_sub(64);
        let mut lines = self.input.slice(from, self.at - 1).rsplit(|b| *b == b'\n');
        let above = lines.next().unwrap_or_default();
        let worded = above.len() <= 48
            && above.iter().any(u8::is_ascii_alphabetic)
            && !above.iter().any(|b| b.is_ascii_digit() || matches!(b, b':' | b'|' | b'=' | b',' | b';'));
        let tail = self.input.run(end, 4, |b| matches!(b, b' ' | b'\t' | b'\r'));
        worded && matches!(self.input.byte(tail), b'\n' | 0)
    }
}

/// Something else is named, so that form alone does not make it a number to call.
fn other(labels: Labels) -> bool {
    labels.some() && !labels.has(Label::Phone)
}

/// A country code and a national number of a length its plan knows (ITU-T E.164).
fn international(digits: &[u8]) -> bool {
    let text = std::str::from_utf8(digits).unwrap_or_default();
    let Some((code, least, most)) = CODES.iter().find(|(code, ..)| text.starts_with(code)) else {
        return false;
    };
    // A national zero is often written in brackets.
    let rest = text.len() - code.len();
    (*least..=*most + 1).contains(&rest)
}

/// Numbers as the national plans write them.
fn national(digits: &[u8], lengths: &[usize], groups: &[Group]) -> bool {
    let first = digits.first().copied().unwrap_or(0);
    let second = digits.get(1).copied().unwrap_or(0);
    let bracketed = groups.first().is_some_and(|g| g.bracketed);
    let separator = groups.get(1).map_or(0, |g| g.separator);
    match lengths {
        // North America.
        [3, 3, 4] => (first >= b'2' || bracketed) && first != b'0' || trunk(digits, lengths),
        [1, 3, 3, 4] => first == b'1' && second >= b'2',
        // Brazil.
        [2, 4 | 5, 4] if bracketed => true,
        // Spain, Portugal and others: mobile and fixed lines.
        [3, 2, 2, 2] => matches!(first, b'6'..=b'9') || first == b'0',
        // Chinese mobiles.
        [3, 4, 4] => (first == b'1' && second >= b'3' && separator != b'.') || first == b'0',
        // Russia.
        [1, 3, 3, 2, 2] => first == b'8' || first == b'7',
        _ => trunk(digits, lengths) || (bracketed && (8..=12).contains(&digits.len())),
    }
}

/// A national number with its trunk zero.
fn trunk(digits: &[u8], lengths: &[usize]) -> bool {
    let area = lengths.first().copied().unwrap_or(0);
    digits.first() == Some(&b'0')
        && digits.get(1).is_some_and(|d| *d != b'0')
        && (9..=12).contains(&digits.len())
        && (2..=6).contains(&area)
        && lengths.iter().all(|l| *l <= 8)
}

/// A date, or a date and more, is no number to call.
fn dated(digits: &[u8], lengths: &[usize]) -> bool {
    let year = |at: usize| matches!(digits.get(at..at + 2), Some([b'1', b'9'] | [b'2', b'0']));
    match lengths {
        [4, 2, 2, ..] => year(0),
        [1 | 2, 1 | 2, 4, ..] => lengths.iter().take(2).sum::<usize>() == 4 && year(4),
        _ => false,
    }
}

/// An extension belongs to the number: `ext. 12`, `x12`.
fn extension(input: &Input<'_>, end: usize) -> usize {
    let from = if input.byte(end) == b' ' { end + 1 } else { end };
    if !matches!(input.byte(from), b'x' | b'e' | b'E') {
        return end;
    }
    let mut at = match () {
        () if input.starts_folded(from, b"extension") => from + 9,
        () if input.starts_folded(from, b"ext") => from + 3,
        () if input.byte(from) == b'x' => from + 1,
        () => return end,
    };
    while matches!(input.byte(at), b'.' | b' ' | b':') && at < from + 12 {
        at += 1;
    }
    let last = input.run(at, 7, |b| class::of(b) & class::DIGIT != 0);
    if last > at && last - at < 7 && input.closes(last) { last } else { end }
}

/// Country codes with the least and most digits of a national number; longer codes first where one begins another.
const CODES: &[(&str, usize, usize)] = &[
    ("1", 10, 10),
    ("20", 8, 10),
    ("27", 9, 9),
    ("30", 10, 10),
    ("31", 9, 10),
    ("32", 8, 9),
    ("33", 9, 9),
    ("34", 9, 9),
    ("36", 8, 9),
    ("39", 6, 12),
    ("40", 9, 9),
    ("41", 9, 9),
    ("43", 7, 13),
    ("44", 9, 10),
    ("45", 8, 8),
    ("46", 7, 10),
    ("47", 8, 8),
    ("48", 9, 9),
    ("49", 6, 12),
    ("51", 8, 9),
    ("52", 10, 11),
    ("53", 6, 8),
    ("54", 10, 11),
    ("55", 10, 11),
    ("56", 9, 9),
    ("57", 8, 10),
    ("58", 10, 10),
    ("60", 7, 10),
    ("61", 9, 9),
    ("62", 7, 12),
    ("63", 8, 10),
    ("64", 8, 10),
    ("65", 8, 8),
    ("66", 8, 9),
    ("7", 10, 10),
    ("81", 8, 10),
    ("82", 8, 10),
    ("84", 9, 10),
    ("86", 10, 11),
    ("90", 10, 10),
    ("91", 10, 10),
    ("92", 9, 10),
    ("93", 9, 9),
    ("94", 9, 9),
    ("95", 7, 10),
    ("98", 10, 10),
    ("21", 7, 9),
    ("22", 7, 9),
    ("23", 7, 10),
    ("24", 6, 9),
    ("25", 6, 9),
    ("26", 7, 9),
    ("29", 5, 7),
    ("35", 7, 12),
    ("37", 7, 9),
    ("38", 7, 9),
    ("42", 7, 9),
    ("50", 7, 8),
    ("59", 7, 9),
    ("67", 5, 8),
    ("68", 5, 7),
    ("69", 4, 7),
    ("85", 8, 10),
    ("87", 9, 12),
    ("88", 8, 10),
    ("96", 7, 9),
    ("97", 8, 9),
    ("99", 8, 9),
    ("80", 8, 8),
    ("28", 5, 9),
];
