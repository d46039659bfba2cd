//! Identifiers: prefixed, ordered by time, safe in URLs and file names.

use std::time::SystemTime;

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use uuid::Uuid;

use crate::clock::unix_millis;

/// A new identifier such as `ex_0193590c5a7b7c3e8f0d1b2a3c4d5e6f`: the prefix, then a UUIDv7 (RFC 9562) in hex.
pub fn new(prefix: &str, now: SystemTime) -> String {
    let millis = u64::try_from(unix_millis(now)).unwrap_or(0);
    let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &random()).into_uuid();
    let mut digits = Uuid::encode_buffer();
    [prefix, "_", uuid.simple().encode_lower(&mut digits)].concat()
}

/// An unguessable URL-safe token of 32 random bytes.
pub fn token() -> SecretString {
    URL_SAFE_NO_PAD.encode(random::<32>()).into()
}

/// Bytes from the system's cryptographic generator.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "a machine without randomness must not go on")]
    rand::fill(&mut bytes).expect("the operating system's random generator answers");
    bytes
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn later_identifiers_sort_after_earlier_ones() {
        let early = new("ex", UNIX_EPOCH + Duration::from_secs(1));
        let late = new("ex", UNIX_EPOCH + Duration::from_secs(2));
        assert!(early < late);
        assert_eq!(early.len(), 3 + 32);
    }
}
