//! Login by a code that a browser anywhere confirms (RFC 8628).

use std::time::Duration;

use tokio::time::{Instant, sleep};
use url::Url;

use super::{DeviceCode, Talk, Visit};
use crate::{
    client::{
        ClientError, Kind,
        oauth::{self, Polled},
    },
    wire::api::DeviceAuthorization,
};

/// What an answer of `slow_down` adds, and a gateway that did not answer (RFC 8628 §3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// However short the gateway's interval is, and however long its patience.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST_LIFE: Duration = Duration::from_hours(1);
/// The longest code that is shown, in characters.
const MAX_CODE: usize = 32;

/// Shows the code and asks until somebody has confirmed it.
pub(super) async fn login(
    visit: Visit<'_>,
    provider: Option<&str>,
    name: &str,
    talk: &dyn Talk,
) -> Result<(), ClientError> {
    let begun = oauth::device(visit.https, visit.discovery, provider, name).await?;
    talk.code(&shown(&visit.profile.gateway, &begun)?);
    let waiting = talk.waiting("waiting for the browser to confirm the code …");
    let life = Duration::from_secs(begun.expires_in).min(LONGEST_LIFE);
    let end = Instant::now() + life;
    let mut interval = Duration::from_secs(begun.interval).max(SHORTEST);
    let granted = loop {
        sleep(interval).await;
        match oauth::poll(visit.https, visit.discovery, &begun.device_code).await {
            Ok(Polled::Granted(granted)) => break granted,
            Ok(Polled::Pending) => {}
            Ok(Polled::SlowDown) => interval += SLOWER,
            Err(error) if error.kind == Kind::Unreachable => {
                tracing::debug!(%error, "the gateway did not answer; it is asked again");
                interval += SLOWER;
            }
            Err(error) => return Err(error),
        }
        if Instant::now() >= end {
            return Err(ClientError::login_needed(format!(
                "nobody confirmed the code within {} minutes",
                life.as_secs() / 60
            )));
        }
    };
    drop(waiting);
    visit.complete(granted).await.map(drop)
}

/// What the person is shown: addresses of the gateway itself, and a code that is one.
fn shown(gateway: &Url, begun: &DeviceAuthorization) -> Result<DeviceCode, ClientError> {
    let own = |text: &str| Url::parse(text).ok().filter(|url| url.origin() == gateway.origin());
    let url = own(&begun.verification_uri).ok_or_else(|| {
        ClientError::untrusted(format!(
            "{gateway} sends people to {}, which is not its own address",
            begun.verification_uri
        ))
    })?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if begun.user_code.is_empty() || begun.user_code.len() > MAX_CODE || !begun.user_code.chars().all(plain) {
        return Err(ClientError::failed("protocol", "the gateway's code cannot be shown"));
    }
    Ok(DeviceCode {
        url,
        complete: begun.verification_uri_complete.as_deref().and_then(own),
        code: begun.user_code.clone(),
        life: Duration::from_secs(begun.expires_in),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{FirstTrust, StoreChoice, login::Way, testing};

    #[tokio::test]
    async fn a_login_by_code_is_kept_and_remembered() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::File);
        let talk = testing::Silent::default();
        fake.state.lock().unwrap().device = testing::Device::confirmed_after(1);
        let status =
            laptop.login(fake.fingerprint(), testing::person(Some(Way::Device)), &talk).await.unwrap();
        assert_eq!((status.user.as_str(), status.method.as_deref()), ("alice@example.test", Some("device")));
        assert_eq!(talk.codes(), ["WDJB-MJHT"]);
        assert!(talk.visited().is_empty(), "no browser is opened");
        // Asked for once, it is the way of this profile.
        fake.state.lock().unwrap().device = testing::Device::confirmed_after(0);
        laptop.login(FirstTrust::Known, testing::person(None), &talk).await.unwrap();
        assert_eq!(talk.codes().len(), 2);
    }

    #[tokio::test]
    async fn a_no_and_the_end_of_patience_need_another_login() {
        let fake = testing::Fake::start().await;
        for word in ["access_denied", "expired_token"] {
            let home = tempfile::tempdir().unwrap();
            let laptop = fake.laptop(home.path(), StoreChoice::File);
            fake.state.lock().unwrap().device = testing::Device::refused(word);
            let talk = testing::Silent::default();
            let person = testing::person(Some(Way::Device));
            let error = laptop.login(fake.fingerprint(), person, &talk).await.unwrap_err();
            assert_eq!((error.kind, error.code.as_str()), (Kind::LoginNeeded, word));
            assert_eq!(laptop.status().unwrap_err().kind, Kind::LoginNeeded);
        }
    }

    #[test]
    fn people_are_sent_to_the_gateway_alone() {
        let gateway = Url::parse("https://gateway.example.test").unwrap();
        let begun = |uri: &str, code: &str| DeviceAuthorization {
            device_code: "d".into(),
            user_code: code.into(),
            verification_uri: uri.into(),
            verification_uri_complete: Some("https://evil.example.test/device?user_code=X".into()),
            expires_in: 600,
            interval: 5,
        };
        let good = shown(&gateway, &begun("https://gateway.example.test/device", "WDJB-MJHT")).unwrap();
        assert_eq!((good.code.as_str(), good.complete), ("WDJB-MJHT", None));
        let foreign = shown(&gateway, &begun("https://evil.example.test/device", "WDJB-MJHT")).unwrap_err();
        assert_eq!(foreign.kind, Kind::Trust);
        for code in ["", "\u{1b}[2J", &"A".repeat(33)] {
            assert!(shown(&gateway, &begun("https://gateway.example.test/device", code)).is_err());
        }
    }
}
