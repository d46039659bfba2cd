//! Signed notes and their keys (c2sp.org/signed-note), Ed25519 only.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    encoding::AsBigEndian,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::hash::sha256;
use crate::secret::SecretString;

/// The longest note that is read, in bytes: room for some hundred cosignatures.
pub(super) const MAX_NOTE: usize = 64 * 1024;

/// The byte that says Ed25519.
const TYPE: u8 = 1;
const SEED: usize = 32;

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of the form of a key.
    #[error("it is no key of a log: NAME+KEYID+BASE64, as in `gateway.example.com/audit+0a1b2c3d+AT…`")]
    Malformed,
    /// A key, of another algorithm.
    #[error("its algorithm is not Ed25519")]
    Algorithm,
    /// The identifier is not that of the name and key.
    #[error("its identifier does not belong to its name and key: it is damaged")]
    Identifier,
    /// No space and no plus sign may be in a name.
    #[error("a key's name must not be empty nor hold spaces or `+`")]
    Name,
}

/// Why a note is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a signed note.
    #[error("it is no signed note")]
    Malformed,
    /// The key has not signed it.
    #[error("it is not signed by the key it should be signed by")]
    Unsigned,
    /// A signature that names the key is not the key's.
    #[error("its signature is wrong")]
    Forged,
    /// A note, of something else than a log's head.
    #[error("it is no checkpoint")]
    NoCheckpoint,
    /// A checkpoint of another log.
    #[error("it is a checkpoint of another log")]
    Origin,
}

/// A key that checkpoints are signed with. Never printed.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: VerifyingKey,
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// When the name cannot be a key's.
    pub fn generate(name: &str) -> Result<Self, KeyError> {
        Self::from_seed(name, &crate::id::random::<SEED>())
    }

    fn from_seed(name: &str, seed: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Malformed)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Malformed)?;
        Ok(Self { public: VerifyingKey::new(name, public)?, pair })
    }

    /// Reads what [`Self::secret`] wrote.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let rest = text.trim_end().strip_prefix("PRIVATE+KEY+").ok_or(KeyError::Malformed)?;
        let (name, id, bytes) = parts(rest)?;
        let Some((&TYPE, seed)) = bytes.split_first() else { return Err(KeyError::Algorithm) };
        let key = Self::from_seed(name, seed)?;
        if key.public.id == id { Ok(key) } else { Err(KeyError::Identifier) }
    }

    /// The key as text: `PRIVATE+KEY+NAME+KEYID+BASE64`, as Go's `note` package writes it.
    pub fn secret(&self) -> Option<SecretString> {
        let seed = self.pair.seed().ok()?.as_be_bytes().ok()?;
        let mut bytes = zeroize::Zeroizing::new(vec![TYPE]);
        bytes.extend_from_slice(seed.as_ref());
        let VerifyingKey { name, id, .. } = &self.public;
        let key = zeroize::Zeroizing::new(STANDARD.encode(&*bytes));
        Some(format!("PRIVATE+KEY+{name}+{id:08x}+{}\n", key.as_str()).into())
    }

    /// The other half.
    pub fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// Signs a text, which must end in a newline.
    pub fn sign(&self, text: &str) -> String {
        let mut bytes = self.public.id.to_be_bytes().to_vec();
        bytes.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n\u{2014} {} {}\n", self.public.name, STANDARD.encode(bytes))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// A key that notes are checked with; as text a vkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    id: u32,
    key: [u8; 32],
}

impl VerifyingKey {
    fn new(name: &str, key: [u8; 32]) -> Result<Self, KeyError> {
        let wrong = |one: char| one.is_whitespace() || one.is_control() || one == '+';
        if name.is_empty() || name.contains(wrong) {
            return Err(KeyError::Name);
        }
        let mut named = name.as_bytes().to_vec();
        named.extend_from_slice(&[b'\n', TYPE]);
        named.extend_from_slice(&key);
        let [a, b, c, d, ..] = *sha256(&named).as_bytes();
        Ok(Self { name: name.to_owned(), id: u32::from_be_bytes([a, b, c, d]), key })
    }

    /// The name, which is also the log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for VerifyingKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, id, bytes) = parts(text.trim())?;
        let Some((&TYPE, key)) = bytes.split_first() else { return Err(KeyError::Algorithm) };
        let key = Self::new(name, key.try_into().map_err(|_| KeyError::Malformed)?)?;
        if key.id == id { Ok(key) } else { Err(KeyError::Identifier) }
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![TYPE];
        bytes.extend_from_slice(&self.key);
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(bytes))
    }
}

/// Name, identifier and bytes of a key's text. Only the base64 may hold a plus sign.
fn parts(text: &str) -> Result<(&str, u32, zeroize::Zeroizing<Vec<u8>>), KeyError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(KeyError::Malformed);
    };
    if id.len() != 8 {
        return Err(KeyError::Malformed);
    }
    let id = u32::from_str_radix(id, 16).map_err(|_| KeyError::Malformed)?;
    let key = STANDARD.decode(key).map_err(|_| KeyError::Malformed)?;
    Ok((name, id, zeroize::Zeroizing::new(key)))
}

/// A note taken apart; nothing in it is believed before [`Self::verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    text: &'a str,
    signatures: &'a str,
}

impl<'a> Note<'a> {
    /// Takes a note apart.
    ///
    /// # Errors
    /// When it is none, or longer than 64 KiB.
    pub fn parse(note: &'a [u8]) -> Result<Self, NoteError> {
        let note = std::str::from_utf8(note).map_err(|_| NoteError::Malformed)?;
        let control = |one: char| one < ' ' && one != '\n';
        if note.len() > MAX_NOTE || note.contains(control) {
            return Err(NoteError::Malformed);
        }
        let at = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
        let (text, signatures) = (note.get(..=at), note.get(at + 2..));
        let (Some(text), Some(signatures)) = (text, signatures) else { return Err(NoteError::Malformed) };
        let note = Self { text, signatures };
        let whole = signatures.ends_with('\n') && signatures.lines().all(|line| signature(line).is_some());
        if whole { Ok(note) } else { Err(NoteError::Malformed) }
    }

    /// The text, if this key has signed it. Signatures of other keys are passed over.
    ///
    /// # Errors
    /// When the key has not.
    pub fn verify(&self, key: &VerifyingKey) -> Result<&'a str, NoteError> {
        let mut signed = false;
        for (name, id, bytes) in self.signatures.lines().filter_map(signature) {
            if name == key.name && id == key.id {
                UnparsedPublicKey::new(&ED25519, key.key)
                    .verify(self.text.as_bytes(), &bytes)
                    .map_err(|_| NoteError::Forged)?;
                signed = true;
            }
        }
        if signed { Ok(self.text) } else { Err(NoteError::Unsigned) }
    }
}

/// Key name, key identifier and signature of a signature line.
fn signature(line: &str) -> Option<(&str, u32, Vec<u8>)> {
    let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    if name.is_empty() || name.contains('+') {
        return None;
    }
    let bytes = STANDARD.decode(encoded).ok()?;
    let (id, signature) = bytes.split_first_chunk()?;
    (!signature.is_empty()).then(|| (name, u32::from_be_bytes(*id), signature.to_vec()))
}
