//! Credentials against token servers and metadata services that answer as the vendors' references say, or badly.

mod cells;
mod clouds;
mod grants;
pub(super) mod vendor;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Credential, Joined, Kind, Oauth2, replace_keys, token::Environment};
use crate::{
    clock::{Clock, Hand},
    secret,
};

/// 2015-08-30T12:36:00Z, the moment of AWS's examples.
pub(super) const NOW: u64 = 1_440_938_160;

pub(super) fn clock() -> (Clock, Hand) {
    Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
}

/// A secret in a file.
pub(super) fn file(text: &str) -> (tempfile::TempDir, secret::Source) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, text).unwrap();
    (dir, secret::Source::File(path))
}

/// An environment of these variables.
pub(super) fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Arc::new(move |name| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
}

#[test]
fn no_key_of_the_callers_stays() {
    let mut headers = HeaderMap::new();
    let names = [
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "ocp-apim-subscription-key",
        "x-amz-security-token",
        "x-other",
    ];
    for name in names {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("callers"));
    }
    headers.append("authorization", HeaderValue::from_static("second"));
    replace_keys(&mut headers);
    assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-other"]);
}

#[test]
fn a_header_of_https_own_is_no_place_for_a_credential() {
    for header in ["host", "Transfer-Encoding", "not a header"] {
        let value = secret::Source::Env("PATH".into());
        let credential = Credential::Header { header: header.into(), prefix: String::new(), value };
        assert!(Joined::new("m", &credential, &Clock::system()).is_err(), "{header}");
    }
}

#[tokio::test]
async fn a_reload_keeps_the_token_and_asks_anew_with_what_was_read_anew() {
    let (vendor, url) = vendor::Vendor::start().await;
    let says = |token: &str| {
        vendor.says(
            "/token",
            200,
            serde_json::json!({"access_token": token, "token_type": "Bearer", "expires_in": 600}),
        );
    };
    let (_dir, client_secret) = file("s3cret");
    let config = Credential::Oauth2(Oauth2 {
        token_url: url.join("token").unwrap(),
        client_id: "gateway".to_owned(),
        client_secret,
        scope: None,
        audience: None,
        post: true,
        ca: None,
    });
    let token = async |joined: &Joined| {
        let Kind::Token(_, token) = &joined.kind else { panic!("not a token") };
        (*token.get().await.unwrap()).clone()
    };
    let (stopped, later) = (clock(), clock());
    let before = Joined::new("m", &config, &stopped.0).unwrap();
    says("t-1");
    assert_eq!(token(&before).await, "Bearer t-1");
    says("t-2");
    // Each has a clock of its own, by which it is seen whose renewal it is.
    let after = Joined::new("m", &config, &later.0).unwrap();
    after.inherit(&before);
    assert_eq!((token(&after).await, vendor.asked()), (HeaderValue::from_static("Bearer t-1"), 1));
    later.1.advance(Duration::from_secs(601));
    assert_eq!((token(&after).await, vendor.asked()), (HeaderValue::from_static("Bearer t-2"), 2));
}
