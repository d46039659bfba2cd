//! Groups of digits as numbers are written: parted by spaces, dashes, dots or slashes.

use super::super::input::{Input, class};

/// More groups than any number has.
const GROUPS: usize = 10;
/// More digits than any number has.
const DIGITS: usize = 24;

/// What stands at one place: groups of digits, each with its separator before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    /// The value of every digit, in order.
    digits: [u8; DIGITS + 1],
    count: usize,
    /// Per group: how many digits, what separates it from the group before, where it ends.
    groups: [Group; GROUPS],
    parts: usize,
    /// A digit and a space stand before: the number may be the rest of a longer one.
    pub(super) follows: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Group {
    pub(super) length: u8,
    pub(super) separator: u8,
    pub(super) end: usize,
}

/// One reading of [`Groups`]: as many of its first groups.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    /// Another group follows after the same separator: the number may be the beginning of a longer one.
    pub(super) goes_on: bool,
    pub(super) digits: &'a [u8],
    pub(super) groups: &'a [Group],
    pub(super) end: usize,
}

impl Groups {
    /// Reads the groups that begin at `at`.
    pub(super) fn read(input: &Input<'_>, at: usize) -> Self {
        let mut groups = Self { follows: follows(input, at), ..Self::default() };
        let (mut from, mut separator) = (at, 0);
        while groups.parts < GROUPS {
            let end = input.run(from, DIGITS + 1, |b| b.is_ascii_digit());
            if end == from {
                break;
            }
            for byte in input.slice(from, end) {
                if let Some(slot) = groups.digits.get_mut(groups.count) {
                    *slot = byte - b'0';
                }
                groups.count += 1;
            }
            if let Some(slot) = groups.groups.get_mut(groups.parts) {
                *slot = Group { length: u8::try_from(end - from).unwrap_or(u8::MAX), separator, end };
            }
            groups.parts += 1;
            if groups.count > DIGITS {
                break;
            }
            separator = input.byte(end);
            if !matches!(separator, b' ' | b'-' | b'.' | b'/') || !input.byte(end + 1).is_ascii_digit() {
                break;
            }
            from = end + 1;
        }
        groups
    }

    /// The groups met.
    pub(super) fn all(&self) -> &[Group] {
        self.groups.get(..self.parts).unwrap_or_default()
    }

    /// Every reading that may end where it ends, the longest first.
    pub(super) fn readings<'g>(&'g self, input: &'g Input<'_>) -> impl Iterator<Item = Reading<'g>> {
        (1..=self.parts).rev().filter_map(move |count| {
            let groups = self.all().get(..count)?;
            let end = groups.last()?.end;
            let digits: usize = groups.iter().map(|g| usize::from(g.length)).sum();
            let next = self.all().get(count).map(|g| g.separator);
            let ends = match next {
                // The number may be followed by another one.
                Some(separator) => separator == b' ',
                None => input.closes_number(end),
            };
            let goes_on = next.is_some() && next == groups.get(1).map(|g| g.separator);
            (ends && digits <= DIGITS).then_some(Reading {
                goes_on,
                digits: self.digits.get(..digits)?,
                groups,
                end,
            })
        })
    }
}

/// Whether a digit and one space stand before `at`.
fn follows(input: &Input<'_>, at: usize) -> bool {
    input.before(at) == b' ' && at > 1 && class::of(input.before(at - 1)) & class::DIGIT != 0
}

impl Reading<'_> {
    /// Whether the groups have these lengths, all parted by the same one of `separators`.
    pub(super) fn is(&self, lengths: &[u8], separators: &[u8]) -> bool {
        let same = |g: &Group| self.separator().is_some_and(|s| s == g.separator);
        self.lengths(lengths)
            && self.groups.iter().skip(1).all(same)
            && self.separator().is_none_or(|s| separators.contains(&s))
    }

    /// Whether the groups have these lengths, parted as said.
    pub(super) fn is_parted(&self, lengths: &[u8], separators: &[u8]) -> bool {
        self.lengths(lengths) && self.groups.iter().skip(1).map(|g| &g.separator).eq(separators)
    }

    fn lengths(&self, lengths: &[u8]) -> bool {
        self.groups.iter().map(|g| &g.length).eq(lengths)
    }

    /// The first separator; `None` for one unbroken group.
    pub(super) fn separator(&self) -> Option<u8> {
        self.groups.get(1).map(|g| g.separator)
    }

    /// Whether it is one unbroken group.
    pub(super) fn plain(&self) -> bool {
        self.groups.len() == 1
    }

    /// Whether dots, slashes or dashes mix with others.
    pub(super) fn uniform(&self) -> bool {
        self.groups.iter().skip(1).all(|g| Some(g.separator) == self.separator())
    }

    /// The length of the group at `index`.
    pub(super) fn length(&self, index: usize) -> u8 {
        self.groups.get(index).map_or(0, |g| g.length)
    }
}
