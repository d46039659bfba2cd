//! Whether a request is Slack's: `v0`, HMAC-SHA256 over its time and body.

use std::time::Duration;

use aws_lc_rs::hmac;
use http::HeaderMap;

use crate::{
    clock::Clock,
    secret::{ExposeSecret, SecretString},
};

/// How old a request may be, and how far ahead Slack's clock.
const WINDOW: Duration = Duration::from_mins(5);
/// Bytes of the signature.
const LEN: usize = 32;

/// Whether Slack signed this body within the last five minutes.
pub(super) fn is_slacks(secret: &SecretString, headers: &HeaderMap, body: &[u8], clock: &Clock) -> bool {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
    };
    let Some(written) = one("x-slack-request-timestamp") else { return false };
    let Some(signature) = one("x-slack-signature").and_then(|text| text.strip_prefix("v0=")).and_then(bytes)
    else {
        return false;
    };
    let digits = !written.is_empty() && written.len() <= 15 && written.bytes().all(|b| b.is_ascii_digit());
    let in_time =
        written.parse::<i64>().is_ok_and(|at| clock.unix_seconds().abs_diff(at) <= WINDOW.as_secs());
    if !digits || !in_time {
        return false;
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let mut signed = format!("v0:{written}:").into_bytes();
    signed.extend_from_slice(body);
    // In time that does not depend on the signature.
    hmac::verify(&key, &signed, &signature).is_ok()
}

/// 64 hexadecimal digits.
fn bytes(hex: &str) -> Option<[u8; LEN]> {
    let mut bytes = [0; LEN];
    if hex.len() != LEN * 2 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const AT: u64 = 1_531_420_618;

    fn headers(timestamp: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("x-slack-request-timestamp", timestamp.parse().unwrap());
        headers.insert("x-slack-signature", signature.parse().unwrap());
        headers
    }

    #[test]
    fn slacks_own_example_is_believed_for_five_minutes_and_nothing_else() {
        // The worked example of "Verifying requests from Slack".
        let secret: SecretString = ["8f742231b10e8888", "abcd99yyyzzz85a5"].concat().into();
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let at = |seconds| Clock::manual(UNIX_EPOCH + Duration::from_secs(seconds)).0;
        let good = headers("1531420618", signature);
        for seconds in [AT - 300, AT, AT + 300] {
            assert!(is_slacks(&secret, &good, body.as_bytes(), &at(seconds)));
        }
        for seconds in [0, AT - 301, AT + 301] {
            assert!(!is_slacks(&secret, &good, body.as_bytes(), &at(seconds)), "{seconds}");
        }
        let now = at(AT);
        assert!(!is_slacks(&secret, &good, format!("{body}x").as_bytes(), &now));
        assert!(!is_slacks(&"other".to_owned().into(), &good, body.as_bytes(), &now));
        let twice = {
            let mut headers = good.clone();
            headers.append("x-slack-signature", signature.parse().unwrap());
            headers
        };
        for wrong in [
            HeaderMap::new(),
            twice,
            headers("1531420619", signature),
            headers("+1531420618", signature),
            headers("", signature),
            headers("99999999999999999999", signature),
            headers("1531420618", &signature.replace("v0=", "")),
            headers("1531420618", &signature.replace("v0=", "v1=")),
            headers("1531420618", &signature.replace('a', "b")),
            headers("1531420618", "v0="),
            headers("1531420618", "v0=zz"),
        ] {
            assert!(!is_slacks(&secret, &wrong, body.as_bytes(), &now), "{wrong:?}");
        }
    }
}
