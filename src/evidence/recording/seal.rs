//! One segment's contents: compressed with zstd and sealed with age to those who may open it (<https://c2sp.org/age>).

use std::io::{Read as _, Write as _};

use age::{Decryptor, Encryptor, x25519};

use super::MAX_SEALED;
use crate::secret::{ExposeSecret, SecretString};

/// The longest contents of a segment, bytes; what becomes longer when it is opened is refused.
pub const MAX_PLAIN: usize = 8 * 1024 * 1024;

/// The largest window that is granted to a zstd frame, as a power of two: contents are shorter than that.
const MAX_WINDOW_LOG: u32 = 23;

/// Fast: entries are written beside exchanges that go on.
const LEVEL: i32 = 1;

/// The longest file of identities, bytes.
const MAX_IDENTITIES: usize = 64 * 1024;

/// Those who can open what is sealed to them: age public keys.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Recipients(Vec<x25519::Recipient>);

/// Private keys of such.
#[derive(Clone)]
pub struct Identities(Vec<x25519::Identity>);

/// Seals segments; holds what compresses them.
pub struct Sealer {
    recipients: Recipients,
    compressor: zstd::bulk::Compressor<'static>,
}

/// A key that cannot be read. Nothing of it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A public key that is none.
    #[error("not an age public key, which begins with `age1`")]
    Recipient,
    /// A private key where a public one belongs.
    #[error("a private key, which must not stand here; its public half begins with `age1`")]
    Secret,
    /// A file of identities with another line in it.
    #[error("line {0} is no age identity, which begins with `AGE-SECRET-KEY-1`")]
    Identity(usize),
    /// Without any.
    #[error("there is no age identity in it")]
    None,
    /// It is longer than any such file.
    #[error("it is longer than any file of identities")]
    TooLong,
}

/// Why a segment cannot be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// None of the identities is one that it was sealed to.
    #[error("none of the identities given opens it")]
    NotForYou,
    /// It was changed, or is no age file.
    #[error("what is sealed is damaged: {0}")]
    Damaged(String),
    /// Its contents are longer than [`MAX_PLAIN`].
    #[error("its contents are longer than {MAX_PLAIN} bytes")]
    TooLong,
    /// Its contents do not say that they are this segment of this recording.
    #[error("it is sealed as another segment than the one it stands for")]
    Misplaced,
}

impl Recipients {
    /// Reads `age1…` public keys.
    ///
    /// # Errors
    /// With the place of the first that is none.
    pub fn parse<'t>(keys: impl IntoIterator<Item = &'t str>) -> Result<Self, (usize, KeyError)> {
        let read = |(place, key): (usize, &str)| recipient(key).map_err(|error| (place, error));
        keys.into_iter().enumerate().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their public keys, as they are written.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

fn recipient(key: &str) -> Result<x25519::Recipient, KeyError> {
    if key.trim().to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        return Err(KeyError::Secret);
    }
    key.parse().map_err(|_| KeyError::Recipient)
}

impl Identities {
    /// A new one.
    pub fn generate() -> Self {
        Self(vec![x25519::Identity::generate()])
    }

    /// Reads a file as `age-keygen` writes it: one identity a line, `#` begins a comment.
    ///
    /// # Errors
    /// When it has another line, or no identity.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_IDENTITIES {
            return Err(KeyError::TooLong);
        }
        let lines = text.lines().map(str::trim).enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let found = lines.map(|(place, line)| line.parse().map_err(|_| KeyError::Identity(place + 1)));
        let found: Vec<_> = found.collect::<Result<_, _>>()?;
        if found.is_empty() { Err(KeyError::None) } else { Ok(Self(found)) }
    }

    /// The file that [`Self::parse`] reads, with the public keys as comments.
    pub fn text(&self) -> SecretString {
        let mut text = zeroize::Zeroizing::new(String::new());
        for identity in &self.0 {
            text.push_str(&format!("# public key: {}\n", identity.to_public()));
            text.push_str(identity.to_string().expose_secret());
            text.push('\n');
        }
        text.as_str().into()
    }

    /// Who can open what is sealed to the first of them.
    pub fn recipients(&self) -> Recipients {
        Recipients(self.0.iter().take(1).map(x25519::Identity::to_public).collect())
    }

    /// Opens the segment `index` of `recording`: its entries, one a line.
    ///
    /// # Errors
    /// When none of them is a key to it, or it is not what it was.
    pub fn open(&self, recording: &str, index: u32, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let damaged = |error: &dyn std::fmt::Display| SealError::Damaged(error.to_string());
        let decryptor = Decryptor::new_buffered(sealed).map_err(|e| damaged(&e))?;
        let identities = self.0.iter().map(|identity| identity as &dyn age::Identity);
        let opened = decryptor.decrypt(identities).map_err(|error| match error {
            age::DecryptError::NoMatchingKeys => SealError::NotForYou,
            error => damaged(&error),
        })?;
        let mut unpacked = zstd::stream::read::Decoder::new(opened).map_err(|e| damaged(&e))?;
        unpacked.window_log_max(MAX_WINDOW_LOG).map_err(|e| damaged(&e))?;
        let mut contents = Vec::new();
        let most = u64::try_from(MAX_PLAIN).unwrap_or(u64::MAX).saturating_add(1);
        unpacked.take(most).read_to_end(&mut contents).map_err(|e| damaged(&e))?;
        if contents.len() > MAX_PLAIN {
            return Err(SealError::TooLong);
        }
        let first = first_line(recording, index);
        if !contents.starts_with(&first) {
            return Err(SealError::Misplaced);
        }
        Ok(contents.split_off(first.len()))
    }
}

impl Sealer {
    /// Seals to these.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(recipients: Recipients) -> Result<Self, SealError> {
        let compressor = zstd::bulk::Compressor::new(LEVEL).map_err(|e| SealError::Damaged(e.to_string()))?;
        Ok(Self { recipients, compressor })
    }

    /// Seals lines as the segment `index` of `recording`.
    ///
    /// # Errors
    /// When there are no recipients, or the lines are too long.
    pub fn seal(&mut self, recording: &str, index: u32, lines: &[u8]) -> Result<Vec<u8>, SealError> {
        let damaged = |error: &dyn std::fmt::Display| SealError::Damaged(error.to_string());
        let mut contents = first_line(recording, index);
        contents.extend_from_slice(lines);
        if contents.len() > MAX_PLAIN {
            return Err(SealError::TooLong);
        }
        let packed = self.compressor.compress(&contents).map_err(|e| damaged(&e))?;
        let recipients = self.recipients.0.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(recipients).map_err(|e| damaged(&e))?;
        let mut writer = encryptor.wrap_output(Vec::new()).map_err(|e| damaged(&e))?;
        writer.write_all(&packed).map_err(|e| damaged(&e))?;
        let sealed = writer.finish().map_err(|e| damaged(&e))?;
        if sealed.len() > MAX_SEALED { Err(SealError::TooLong) } else { Ok(sealed) }
    }
}

/// Says inside the seal which segment it is, so that none can be taken for another.
fn first_line(recording: &str, index: u32) -> Vec<u8> {
    format!("{recording} {index}\n").into_bytes()
}

impl std::fmt::Debug for Recipients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.texts()).finish()
    }
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identities({})", self.0.len())
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}
