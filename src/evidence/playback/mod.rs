//! Recordings played back: their entries in order, the text in an answer, and the archive that browsers' developer tools read.
//!
//! ```text
//!  sealed file, or lines ─▶ Playback ─▶ entries ─▶ Words (text of the answer) │ Har (HAR 1.2)
//! ```

mod body;
mod har;
mod words;

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Chain, Cursor, Read},
};

pub use body::Unpacked;
pub use har::{Framed, Har, MAX_BODY};
pub use words::{Words, message};

use super::recording::{self, End, Entry, Fault, Header, Identities, MAX_PLAIN, SealError};

/// The longest line of an opened recording, bytes.
const MAX_LINE: usize = MAX_PLAIN;

/// Why a recording cannot be played, or not further.
#[derive(Debug, thiserror::Error)]
pub enum PlaybackError {
    /// It begins as no recording does.
    #[error("this is no recording: it begins neither as a sealed nor as an opened one")]
    NotARecording,
    /// It is sealed, and there is no key.
    #[error("the recording is sealed, and no age identity was given to open it")]
    Sealed,
    /// None of the keys given is one that it is sealed to.
    #[error("the recording is sealed to others: none of the age identities given opens it")]
    NotForYou,
    /// What is sealed is not what was written.
    #[error("segment {segment}: {error}")]
    Altered {
        /// Counted from 0; those before are good.
        segment: u32,
        /// What is wrong.
        error: SealError,
    },
    /// The file is not what was written, or cannot be read.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// An opened recording is not what was written.
    #[error("line {0} of the opened recording is longer than any is")]
    TooLong(u64),
}

impl From<io::Error> for PlaybackError {
    fn from(error: io::Error) -> Self {
        Self::Fault(Fault::Io(error))
    }
}

type Source<R> = BufReader<Chain<Cursor<Vec<u8>>, R>>;

enum Form<R> {
    /// As it was stored.
    Sealed(Box<recording::Reader<Source<R>>>, Identities),
    /// Entries, one a line, as the gateway opens them and as they are exported.
    Lines(Source<R>),
}

/// The entries of one recording after each other, sealed or opened. Holds one segment.
pub struct Playback<R> {
    form: Form<R>,
    ready: VecDeque<Entry>,
    lines: u64,
    unknown: u64,
    ended: bool,
}

impl<R: Read> Playback<R> {
    /// Looks at the beginning of a recording: a sealed file needs an identity.
    ///
    /// # Errors
    /// [`PlaybackError::NotARecording`], [`PlaybackError::Sealed`], or what reading failed with.
    pub fn open(mut source: R, identities: Option<&Identities>) -> Result<Self, PlaybackError> {
        let mut first = Vec::new();
        (&mut source).take(BEGINNING).read_to_end(&mut first)?;
        let line = first.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let header: Option<Header> = serde_json::from_slice(line).ok();
        let sealed = header.is_some_and(|header| header.schema == recording::SCHEMA);
        let opened = first.starts_with(b"{\"at\":");
        let source = BufReader::new(Cursor::new(first).chain(source));
        let form = if sealed {
            let identities = identities.ok_or(PlaybackError::Sealed)?.clone();
            Form::Sealed(Box::new(recording::Reader::new(source)?), identities)
        } else if opened {
            Form::Lines(source)
        } else {
            return Err(PlaybackError::NotARecording);
        };
        Ok(Self { form, ready: VecDeque::new(), lines: 0, unknown: 0, ended: false })
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// When what follows is not what was written; everything before it was.
    pub fn entry(&mut self) -> Result<Option<Entry>, PlaybackError> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                self.ended |= matches!(entry.what, recording::What::Ended(_));
                return Ok(Some(entry));
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    /// Whether the recording goes to the end of its exchange; known once [`Self::entry`] has returned `None`. A gateway that was killed
    /// leaves one that does not.
    pub fn is_whole(&self) -> bool {
        match &self.form {
            Form::Sealed(reader, _) => reader.end() == Some(End::Whole),
            Form::Lines(_) => self.ended,
        }
    }

    /// Lines that were passed over because they are of no kind known here.
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Reads on; false at the end.
    fn more(&mut self) -> Result<bool, PlaybackError> {
        match &mut self.form {
            Form::Sealed(reader, identities) => {
                let Some(segment) = reader.segment()? else { return Ok(false) };
                let lines = segment.open(reader.header(), identities).map_err(|error| match error {
                    SealError::NotForYou => PlaybackError::NotForYou,
                    error => PlaybackError::Altered { segment: segment.index, error },
                })?;
                self.take(&lines);
            }
            Form::Lines(source) => {
                let mut line = Vec::new();
                let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX).saturating_add(1);
                source.take(most).read_until(b'\n', &mut line)?;
                self.lines += 1;
                if line.len() > MAX_LINE {
                    return Err(PlaybackError::TooLong(self.lines));
                }
                if line.is_empty() {
                    return Ok(false);
                }
                self.take(&line);
            }
        }
        Ok(true)
    }

    fn take(&mut self, lines: &[u8]) {
        for entry in recording::entries(lines) {
            match entry {
                Ok(entry) => self.ready.push_back(entry),
                Err(_) => self.unknown += 1,
            }
        }
    }
}

/// As much of a file as tells what it is, bytes: more than the longest header.
const BEGINNING: u64 = 8192;
