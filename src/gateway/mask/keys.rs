//! The keys of the hashes: a session's is always the same, and that of no other session.

use std::sync::Arc;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::style::Key;

/// Makes the keys of sessions from a secret of the gateway, so that a hash stays what it was for the whole session, over all
/// its exchanges and a restart between them.
pub struct Keys(hmac::Key);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// Keys from a secret that outlives the process.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The key of a session.
    #[must_use]
    pub fn of(&self, session: &str) -> Arc<Key> {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(b"hoopctl mask 1\0");
        context.update(session.as_bytes());
        let mut key = Zeroizing::new([0; 32]);
        for (byte, derived) in key.iter_mut().zip(context.sign().as_ref()) {
            *byte = *derived;
        }
        Arc::new(Key::new(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::mask::{Masking, Rules, Style};

    #[test]
    fn a_value_is_one_hash_in_one_session_under_one_secret_and_another_elsewhere() {
        let hash = |secret: u8, session: &str| {
            let rules = Arc::new(Rules::everything(Style::Hash));
            Masking::new(rules, [].into(), Keys::new(&[secret; 32]).of(session)).text("alice@example.com")
        };
        let first = hash(1, "ses_a");
        assert!(first.starts_with("[EMAIL_"), "{first}");
        assert_eq!(hash(1, "ses_a"), first);
        assert_ne!(hash(1, "ses_b"), first);
        assert_ne!(hash(2, "ses_a"), first);
    }
}
