//! One webhook by the Standard Webhooks specification: signed, at least once, with an id that stays the same however often it is sent.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderName, Request, StatusCode, header};
use serde::Serialize;
use url::Url;

use super::{Delivered, Kind, Notice, retry_after};
use crate::{
    clock::{Clock, rfc3339},
    gateway::outbound::{Outbound, acceptable},
    secret::{self, ExposeSecret, SecretString},
    wire::api::Approval,
};

/// Before the key of a secret, in base64.
const PREFIX: &str = "whsec_";
/// Bytes a key may have.
const KEY: std::ops::RangeInclusive<usize> = 24..=64;
/// Keys at once: the new one and those not everybody has forgotten yet.
const MAX_KEYS: usize = 4;
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// One of `[approvals] webhooks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// https, or http on loopback.
    pub url: Url,
    /// `whsec_` and 24 to 64 bytes in base64. A message is signed with each, so that a receiver may know either while one
    /// replaces the other.
    pub secrets: Vec<secret::Source>,
}

/// A webhook, opened.
pub(super) struct Webhook {
    url: Url,
    keys: Vec<hmac::Key>,
    outbound: Outbound,
    clock: Clock,
}

/// What is posted.
#[derive(Serialize)]
struct Payload<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    data: &'a Approval,
}

impl Webhook {
    /// Reads the secrets; blocks on files and commands.
    pub(super) fn open(config: &WebhookConfig, clock: Clock) -> Result<Self, String> {
        if !acceptable(&config.url) {
            return Err("its url must be https, or http on loopback".to_owned());
        }
        if config.secrets.is_empty() || config.secrets.len() > MAX_KEYS {
            return Err(format!("it needs 1 to {MAX_KEYS} secrets"));
        }
        let read = |source: &secret::Source| key(&source.read().map_err(|e| e.to_string())?);
        let keys = config.secrets.iter().map(read).collect::<Result<_, String>>()?;
        Ok(Self { url: config.url.clone(), keys, outbound: Outbound::new(None)?, clock })
    }

    /// Sends a notice once.
    pub(super) async fn deliver(&self, notice: &Notice) -> Delivered {
        if notice.kind == Kind::Progress {
            return Delivered::Done;
        }
        let id = notice.id();
        let kind = format!("approval.{}", notice.kind.word());
        let payload = Payload { kind: &kind, timestamp: rfc3339(notice.at), data: &notice.approval };
        let Ok(body) = serde_json::to_vec(&payload) else {
            return Delivered::Never("the payload cannot be written as JSON".to_owned());
        };
        let timestamp = self.clock.unix_seconds();
        let request = Request::post(self.url.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("hoopctl/", env!("CARGO_PKG_VERSION")))
            .header(ID, &id)
            .header(TIMESTAMP, timestamp)
            .header(SIGNATURE, signatures(&self.keys, &id, timestamp, &body))
            .body(body);
        let request = match request {
            Ok(request) => request,
            Err(error) => return Delivered::Never(error.to_string()),
        };
        match self.outbound.send(request).await {
            Ok(answer) if answer.status().is_success() => Delivered::Done,
            Ok(answer) if answer.status() == StatusCode::GONE => {
                Delivered::Off("it answered 410 Gone".to_owned())
            }
            Ok(answer) => Delivered::Again {
                why: format!("it answered {}", answer.status()),
                after: retry_after(answer.headers()),
            },
            Err(error) => Delivered::Again { why: error.to_string(), after: None },
        }
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
