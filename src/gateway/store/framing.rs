//! One line of the journal: `<CRC-32C of the record, 8 hex digits> <record>\n`. People can read it; a torn or damaged line is noticed.

use std::io::{self, BufRead, Read};

use crate::gateway::audit::MAX_RECORD;

/// Digits and space.
const HEAD: usize = 9;
/// The longest line, newline included.
const MAX_LINE: u64 = (HEAD + MAX_RECORD + 1) as u64;

/// Adds the record's line to `lines`. The record must hold no newline.
pub(super) fn encode(record: &[u8], lines: &mut Vec<u8>) {
    let sum = crc32c(record);
    for shift in (0..8).rev() {
        let digit = (sum >> (4 * shift)) & 0xf;
        lines.push(char::from_digit(digit, 16).map_or(b'0', |c| c as u8));
    }
    lines.push(b' ');
    lines.extend_from_slice(record);
    lines.push(b'\n');
}

/// Whether a line is neither torn nor damaged.
fn is_whole(line: &[u8]) -> bool {
    let parts = line.split_at_checked(HEAD).and_then(|(head, rest)| {
        let digits = std::str::from_utf8(head).ok()?.strip_suffix(' ')?;
        Some((u32::from_str_radix(digits, 16).ok()?, rest.strip_suffix(b"\n")?))
    });
    parts.is_some_and(|(sum, record)| sum == crc32c(record))
}

/// Reads lines, passing over what is damaged.
pub(super) struct Lines<R> {
    reader: R,
    /// Bytes still to read.
    left: u64,
    buffer: Vec<u8>,
}

/// A whole line.
pub(super) struct Line<'a> {
    pub(super) record: &'a [u8],
    /// Bytes of the line itself.
    pub(super) length: u64,
    /// Damaged bytes before it.
    pub(super) skipped: u64,
}

impl<R: BufRead> Lines<R> {
    /// Reads at most `left` bytes.
    pub(super) fn new(reader: R, left: u64) -> Self {
        Self { reader, left, buffer: Vec::new() }
    }

    /// The next whole line; `None` when there is none, whatever bytes are left.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut skipped = 0;
        let length = loop {
            self.buffer.clear();
            let bound = self.left.min(MAX_LINE);
            let length = self.reader.by_ref().take(bound).read_until(b'\n', &mut self.buffer)? as u64;
            if length == 0 {
                return Ok(None);
            }
            self.left -= length;
            if is_whole(&self.buffer) {
                break length;
            }
            skipped += length;
        };
        let record = self.buffer.get(HEAD..self.buffer.len() - 1).unwrap_or_default();
        Ok(Some(Line { record, length, skipped }))
    }
}

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4), eight bytes at a time.
fn crc32c(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut sum = !0_u32;
    for word in words {
        let ahead = (u64::from_le_bytes(*word) ^ u64::from(sum)).to_le_bytes();
        // A byte with seven behind it is carried over all of them at once.
        sum = TABLES.iter().rev().zip(ahead).fold(0, |sum, (table, byte)| sum ^ entry(table, byte));
    }
    let [table, ..] = &TABLES;
    for byte in rest {
        let [low, ..] = sum.to_le_bytes();
        sum = entry(table, low ^ byte) ^ (sum >> 8);
    }
    !sum
}

fn entry(table: &[u32; 256], byte: u8) -> u32 {
    #[expect(clippy::indexing_slicing, reason = "an index of one byte into 256 entries")]
    table[usize::from(byte)]
}

/// What a byte adds to the sum, with none to seven bytes behind it.
static TABLES: [[u32; 256]; 8] = tables();

#[expect(
    clippy::indexing_slicing,
    reason = "the loops' bounds are the tables' lengths; checked when compiling"
)]
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut index = 0_u32;
    while index < 256 {
        let mut value = index;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ 0x82f6_3b78 } else { value >> 1 };
            bit += 1;
        }
        tables[0][index as usize] = value;
        index += 1;
    }
    let mut behind = 1;
    while behind < 8 {
        let mut index = 0;
        while index < 256 {
            let value = tables[behind - 1][index];
            tables[behind][index] = tables[0][(value & 0xff) as usize] ^ (value >> 8);
            index += 1;
        }
        behind += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_rfcs() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        let counted: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&counted), 0x46dd_794e);
    }

    #[test]
    fn words_and_single_bytes_make_the_same_sum() {
        let bytes: Vec<u8> = (0..100_u8).map(|n| n.wrapping_mul(37) ^ 0x5a).collect();
        let [table, ..] = &TABLES;
        for length in 0..bytes.len() {
            let slowly = bytes[..length]
                .iter()
                .fold(!0_u32, |sum, byte| entry(table, sum.to_le_bytes()[0] ^ byte) ^ (sum >> 8));
            assert_eq!(crc32c(&bytes[..length]), !slowly, "{length}");
        }
    }

    #[test]
    fn a_line_cut_or_changed_anywhere_is_no_line() {
        let mut line = Vec::new();
        encode(b"event {\"a\":1}", &mut line);
        assert!(is_whole(&line));
        for cut in 0..line.len() {
            assert!(!is_whole(&line[..cut]));
        }
        for at in 0..line.len() {
            let mut changed = line.clone();
            changed[at] ^= 1;
            assert!(!is_whole(&changed), "byte {at}");
        }
    }

    #[test]
    fn reading_goes_on_after_damage() {
        let mut bytes = Vec::new();
        encode(b"one", &mut bytes);
        let first = bytes.len() as u64;
        bytes.extend_from_slice(&[0; 100]);
        bytes.extend_from_slice(b"\nnonsense\n");
        encode(b"two", &mut bytes);
        bytes.extend_from_slice(b"torn");
        let mut lines = Lines::new(&bytes[..], bytes.len() as u64);
        let line = lines.next().unwrap().unwrap();
        assert_eq!((line.record, line.length, line.skipped), (&b"one"[..], first, 0));
        let line = lines.next().unwrap().unwrap();
        assert_eq!((line.record, line.skipped), (&b"two"[..], 110));
        assert!(lines.next().unwrap().is_none());
    }
}
