//! SHA-256 as RFC 6962 §2.1 uses it: leaves and inner nodes are told apart by a first byte.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256, digest};

/// A SHA-256 value.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash([u8; Self::LEN]);

impl Hash {
    /// Bytes of a hash.
    pub const LEN: usize = 32;

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The hash that these bytes are; `None` unless there are 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl std::str::FromStr for Hash {
    type Err = NoHash;

    /// 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, NoHash> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |one: &u8| char::from(*one).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
        bytes.filter(|_| rest.is_empty()).and_then(|bytes| Self::from_bytes(&bytes)).ok_or(NoHash)
    }
}

/// A text that is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no hash: 64 hexadecimal digits")]
pub struct NoHash;

impl fmt::Display for Hash {
    /// Hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Plain SHA-256.
pub fn sha256(bytes: &[u8]) -> Hash {
    Hash::from_bytes(digest(&SHA256, bytes).as_ref()).unwrap_or_default()
}

/// The hash of a leaf: SHA-256 of 0x00 and its bytes.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    prefixed(0, leaf, &[])
}

/// The hash of an inner node: SHA-256 of 0x01 and its children's hashes.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    prefixed(1, &left.0, &right.0)
}

fn prefixed(prefix: u8, first: &[u8], second: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[prefix]);
    context.update(first);
    context.update(second);
    // SHA-256 has always 32 bytes.
    Hash::from_bytes(context.finish().as_ref()).unwrap_or_default()
}
