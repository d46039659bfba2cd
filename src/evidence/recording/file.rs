//! A recording's file: a header line, then segments, each chained to the one before. Written by [`Chain`], read by [`Reader`].

use std::io::{self, Read};

use aws_lc_rs::digest::{self, SHA256};
use serde::{Deserialize, Serialize};

use super::{Identities, SCHEMA, SealError};

/// The longest header line, bytes, its newline among them.
pub const MAX_HEADER: usize = 4096;

/// The longest sealed contents of a segment, bytes.
pub const MAX_SEALED: usize = 9 * 1024 * 1024;

/// How a segment begins: these, its index and the length of what is sealed (both 32 bits, big endian), 1 for the last or 0, the
/// SHA-256 that ends the segment before (of the header line, for the first), and the first four bytes of the SHA-256 of all that: a
/// length must not be believed that was changed, or the rest of the file would pass for cut off.
const MARK: &[u8; 4] = b"HRS1";
const PLAIN: usize = 4 + 4 + 4 + 1 + HASH;
const HEAD: usize = PLAIN + 4;
const HASH: usize = 32;

type Hash = [u8; HASH];

/// The first line of a recording, in plain: nothing of the exchange's contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`SCHEMA`].
    pub schema: String,
    /// `rec_…`.
    pub recording: String,
    /// `ex_…`.
    pub exchange: String,
}

/// Makes the bytes of a recording, piece by piece.
#[derive(Clone, Debug)]
pub struct Chain {
    index: u32,
    previous: Hash,
}

impl Chain {
    /// Begins a recording; with the bytes it begins with.
    ///
    /// # Errors
    /// When the header is too long.
    pub fn begin(header: &Header) -> Result<(Self, Vec<u8>), Damage> {
        let mut line = serde_json::to_vec(header).map_err(|_| Damage::Header)?;
        line.push(b'\n');
        if line.len() > MAX_HEADER {
            return Err(Damage::Header);
        }
        Ok((Self { index: 0, previous: sha256(&[&line]) }, line))
    }

    /// The index of the next segment.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The next segment's bytes.
    ///
    /// # Errors
    /// When what is sealed is too long, or there are too many segments.
    pub fn segment(&self, sealed: &[u8], last: bool) -> Result<(Self, Vec<u8>), Damage> {
        let length = u32::try_from(sealed.len()).ok().filter(|_| sealed.len() <= MAX_SEALED);
        let length = length.ok_or(Damage::Length)?;
        let mut bytes = Vec::with_capacity(HEAD + sealed.len() + HASH);
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(&self.index.to_be_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.push(u8::from(last));
        bytes.extend_from_slice(&self.previous);
        let sum = sha256(&[&bytes]);
        bytes.extend(sum.iter().take(HEAD - PLAIN));
        bytes.extend_from_slice(sealed);
        let hash = sha256(&[&bytes]);
        bytes.extend_from_slice(&hash);
        let index = self.index.checked_add(1).ok_or(Damage::Index)?;
        Ok((Self { index, previous: hash }, bytes))
    }
}

/// One whole segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its place, counted from 0.
    pub index: u32,
    /// Whether the recording ends with it.
    pub last: bool,
    /// What is sealed: an age file.
    pub sealed: Vec<u8>,
}

impl Segment {
    /// Opens it: its entries, one a line; see [`super::entries`].
    ///
    /// # Errors
    /// As [`Identities::open`].
    pub fn open(&self, header: &Header, identities: &Identities) -> Result<Vec<u8>, SealError> {
        identities.open(&header.recording, self.index, &self.sealed)
    }
}

/// How a file ends that is not damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its last segment.
    Whole,
    /// Before it: the gateway was killed, or still writes. So many bytes follow the last whole segment.
    Cut {
        /// Bytes of a segment that is not whole.
        left_over: u64,
    },
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// No header, or none of this version.
    #[error("it does not begin with the header of a recording")]
    Header,
    /// A segment does not begin as one.
    #[error("it does not begin as a segment")]
    Mark,
    /// It has another number than its place.
    #[error("it is not the segment that belongs here: one was dropped, repeated or moved")]
    Index,
    /// A length that no segment has.
    #[error("its length is none that a segment has")]
    Length,
    /// It does not follow the one before.
    #[error("it does not follow the one before it")]
    Chain,
    /// Its bytes are not those that were written.
    #[error("its bytes were changed")]
    Bytes,
    /// Something follows the last segment.
    #[error("something follows the last segment")]
    Trailing,
}

/// Where reading ended early.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file is not what was written.
    #[error("segment {segment}, at byte {offset}: {damage}")]
    Damaged {
        /// The first segment that is wrong, counted from 0; those before are good.
        segment: u32,
        /// Where it begins.
        offset: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// The file cannot be read.
    #[error("the recording cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Reads a recording segment by segment and checks that each is whole and in its place. Opens none.
pub struct Reader<R> {
    source: R,
    header: Header,
    chain: Chain,
    /// Bytes up to the end of the last whole segment.
    offset: u64,
    whole: digest::Context,
    end: Option<End>,
    /// Whether the file has been read to its end.
    over: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When there is none, or the file cannot be read.
    pub fn new(mut source: R) -> Result<Self, Fault> {
        let mut line = Vec::new();
        let damaged = || Fault::Damaged { segment: 0, offset: 0, damage: Damage::Header };
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            if line.len() >= MAX_HEADER || fill(&mut source, &mut byte)? == 0 {
                return Err(damaged());
            }
            line.extend_from_slice(&byte);
        }
        let header: Header = serde_json::from_slice(&line).map_err(|_| damaged())?;
        if header.schema != SCHEMA {
            return Err(damaged());
        }
        let chain = Chain { index: 0, previous: sha256(&[&line]) };
        let mut whole = digest::Context::new(&SHA256);
        whole.update(&line);
        Ok(Self { source, header, chain, offset: line.len() as u64, whole, end: None, over: false })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next segment; `None` at the end, of which [`Self::end`] tells more.
    ///
    /// # Errors
    /// When the next is damaged: nothing after it can be trusted. Those before it can.
    pub fn segment(&mut self) -> Result<Option<Segment>, Fault> {
        if self.end.is_some() {
            let behind = if self.over { 0 } else { fill(&mut self.source, &mut [0])? };
            self.over = true;
            return if behind > 0 { Err(self.damaged(Damage::Trailing)) } else { Ok(None) };
        }
        let mut head = [0; HEAD];
        let there = fill(&mut self.source, &mut head)?;
        if there < HEAD {
            // What is there of it must at least begin as one.
            if !MARK.starts_with(head.get(..there.min(MARK.len())).unwrap_or_default()) {
                return Err(self.damaged(Damage::Mark));
            }
            return self.cut(there);
        }
        let (length, last) = self.judge(&head)?;
        let mut sealed = Vec::new();
        let most = u64::try_from(length).unwrap_or(u64::MAX);
        (&mut self.source).take(most).read_to_end(&mut sealed)?;
        let mut hash = [0; HASH];
        let hashed = if sealed.len() < length { 0 } else { fill(&mut self.source, &mut hash)? };
        if hashed < HASH {
            return self.cut(HEAD + sealed.len() + hashed);
        }
        if sha256(&[&head, &sealed]) != hash {
            return Err(self.damaged(Damage::Bytes));
        }
        for bytes in [&head[..], &sealed, &hash] {
            self.whole.update(bytes);
            self.offset += bytes.len() as u64;
        }
        let index = self.chain.index;
        let next = index.checked_add(1).ok_or_else(|| self.damaged(Damage::Index))?;
        self.chain = Chain { index: next, previous: hash };
        self.end = last.then_some(End::Whole);
        Ok(Some(Segment { index, last, sealed }))
    }

    /// How the file ends, once [`Self::segment`] has returned `None`.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Bytes up to the end of the last whole segment read.
    pub fn bytes(&self) -> u64 {
        self.offset
    }

    /// SHA-256 of the file up to the end of the last whole segment read. Of a whole recording it is the file's, as its audit event has it.
    pub fn sha256(&self) -> [u8; 32] {
        hash_of(&self.whole.clone().finish())
    }

    /// Length of what is sealed, and whether it is the last.
    fn judge(&self, head: &[u8; HEAD]) -> Result<(usize, bool), Fault> {
        let word =
            |at: usize| head.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
        if !head.starts_with(MARK) {
            return Err(self.damaged(Damage::Mark));
        }
        let (told, sum) = head.split_at(PLAIN);
        if !sha256(&[told]).starts_with(sum) {
            return Err(self.damaged(Damage::Bytes));
        }
        if word(4) != Some(self.chain.index) {
            return Err(self.damaged(Damage::Index));
        }
        let length = word(8).and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| *length <= MAX_SEALED);
        let last = match head.get(12) {
            Some(0) => false,
            Some(1) => true,
            _ => return Err(self.damaged(Damage::Bytes)),
        };
        if head.get(13..PLAIN) != Some(&self.chain.previous[..]) {
            return Err(self.damaged(Damage::Chain));
        }
        length.map(|length| (length, last)).ok_or_else(|| self.damaged(Damage::Length))
    }

    fn cut(&mut self, left_over: usize) -> Result<Option<Segment>, Fault> {
        self.end = Some(End::Cut { left_over: left_over as u64 });
        self.over = true;
        Ok(None)
    }

    fn damaged(&self, damage: Damage) -> Fault {
        Fault::Damaged { segment: self.chain.index, offset: self.offset, damage }
    }
}

/// What a look at a whole file found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its header.
    pub header: Header,
    /// Whole segments.
    pub segments: u32,
    /// Bytes up to the end of the last of them.
    pub bytes: u64,
    /// SHA-256 of these bytes.
    pub sha256: [u8; 32],
    /// How the file ends.
    pub end: End,
}

/// Checks a whole file without any key: its segments are whole, in their places, and chained.
///
/// # Errors
/// With the first segment that is damaged.
pub fn check(source: impl Read) -> Result<Checked, Fault> {
    let mut reader = Reader::new(source)?;
    while reader.segment()?.is_some() {}
    Ok(Checked {
        header: reader.header.clone(),
        segments: reader.chain.index,
        bytes: reader.bytes(),
        sha256: reader.sha256(),
        end: reader.end.unwrap_or(End::Cut { left_over: 0 }),
    })
}

/// A digest as audit events write it: lowercase hex.
pub fn sha256_text(sha256: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().map_or('0', char::from);
    sha256.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub(super) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hash = digest::Context::new(&SHA256);
    for part in parts {
        hash.update(part);
    }
    hash_of(&hash.finish())
}

fn hash_of(digest: &digest::Digest) -> Hash {
    let mut hash = [0; HASH];
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// Reads until the buffer is full or the source ends; returns how much is there.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut there = 0;
    while let Some(room) = buffer.get_mut(there..).filter(|room| !room.is_empty()) {
        match source.read(room) {
            Ok(0) => break,
            Ok(read) => there += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(there)
}
