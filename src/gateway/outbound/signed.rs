//! Messages signed as the Standard Webhooks specification says: an id, a time, and a signature by each key.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderName;

use crate::secret::{self, ExposeSecret, SecretString};

/// Before the key of a secret, in base64.
const PREFIX: &str = "whsec_";
/// Bytes a key may have.
const KEY: std::ops::RangeInclusive<usize> = 24..=64;
/// Keys at once: the new one and those not everybody has forgotten yet.
const MAX_KEYS: usize = 4;
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What messages to one receiver are signed with.
pub(in crate::gateway) struct SigningKeys(Vec<hmac::Key>);

impl SigningKeys {
    /// Reads the secrets; blocks on files and commands.
    ///
    /// # Errors
    /// When one is missing or of the wrong shape, or there are none or too many.
    pub(in crate::gateway) fn read(secrets: &[secret::Source]) -> Result<Self, String> {
        if secrets.is_empty() || secrets.len() > MAX_KEYS {
            return Err(format!("it needs 1 to {MAX_KEYS} secrets"));
        }
        let read = |source: &secret::Source| key(&source.read().map_err(|e| e.to_string())?);
        secrets.iter().map(read).collect::<Result<_, String>>().map(Self)
    }

    /// The headers of a message: its id, the time in seconds since 1970, and the signatures.
    pub(in crate::gateway) fn headers(
        &self,
        id: &str,
        timestamp: i64,
        body: &[u8],
    ) -> [(HeaderName, String); 3] {
        let signatures = signatures(&self.0, id, timestamp, body);
        [(ID, id.to_owned()), (TIMESTAMP, timestamp.to_string()), (SIGNATURE, signatures)]
    }
}

/// The signatures of a message by each key, separated by spaces.
fn signatures(keys: &[hmac::Key], id: &str, timestamp: i64, body: &[u8]) -> String {
    let sign = |key: &hmac::Key| {
        let mut context = hmac::Context::with_key(key);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    };
    keys.iter().map(sign).collect::<Vec<_>>().join(" ")
}

fn key(secret: &SecretString) -> Result<hmac::Key, String> {
    let wrong = || {
        format!(
            "a secret must be `{PREFIX}` and {} to {} bytes in base64: printf 'whsec_%s' \"$(openssl rand -base64 32)\"",
            KEY.start(),
            KEY.end()
        )
    };
    let encoded = secret.expose_secret().strip_prefix(PREFIX).ok_or_else(wrong)?;
    let bytes = zeroize::Zeroizing::new(STANDARD.decode(encoded).map_err(|_| wrong())?);
    if !KEY.contains(&bytes.len()) {
        return Err(wrong());
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(bytes: usize) -> SecretString {
        format!("{PREFIX}{}", STANDARD.encode(vec![7; bytes])).into()
    }

    #[test]
    fn the_published_example_has_the_published_signature() {
        // From the test suites of github.com/standard-webhooks.
        let key = key(&format!("{PREFIX}{}", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").into()).unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signed =
            signatures(std::slice::from_ref(&key), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let rotating = signatures(&[key.clone(), key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(rotating, format!("{signed} {signed}"));
    }

    #[test]
    fn a_secret_is_marked_and_of_24_to_64_bytes() {
        for good in [24, 32, 64] {
            assert!(key(&secret(good)).is_ok(), "{good}");
        }
        for bad in [0, 23, 65] {
            assert!(key(&secret(bad)).is_err(), "{bad}");
        }
        for bad in
            ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64 not base64 not base64"]
        {
            let error = key(&bad.to_owned().into()).unwrap_err();
            assert!(error.contains("openssl rand") && !error.contains("not base64"), "{error}");
        }
    }
}
