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

use super::{Credential, Joined, replace_keys, token::Environment};
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
