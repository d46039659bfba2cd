//! A checkpoint: the signed head of a log (c2sp.org/tlog-checkpoint).

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    hash::Hash,
    note::{Note, NoteError, SigningKey, VerifyingKey},
};

/// A log's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: the name of its key.
    pub origin: String,
    /// Its leaves.
    pub size: u64,
    /// The root of its tree.
    pub root: Hash,
}

impl Checkpoint {
    /// The signed note of this head, whose origin must be the key's name.
    pub fn sign(&self, key: &SigningKey) -> String {
        key.sign(&format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.as_bytes())))
    }

    /// Reads a signed note, if this key has signed it and it is of the key's log.
    ///
    /// # Errors
    /// When it is not.
    pub fn open(note: &[u8], key: &VerifyingKey) -> Result<Self, NoteError> {
        let checkpoint = Self::parse(Note::parse(note)?.verify(key)?).ok_or(NoteError::NoCheckpoint)?;
        if checkpoint.origin == key.name() { Ok(checkpoint) } else { Err(NoteError::Origin) }
    }

    /// The text of the note; extension lines are passed over.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let origin = lines.next().filter(|line| !line.is_empty())?.to_owned();
        let size_text = lines.next()?;
        let size: u64 = size_text.parse().ok()?;
        let root = Hash::from_bytes(&STANDARD.decode(lines.next()?).ok()?)?;
        let only_one_spelling = size.to_string() == size_text && lines.all(|line| !line.is_empty());
        only_one_spelling.then_some(Self { origin, size, root })
    }
}
