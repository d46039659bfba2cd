//! The signature itself, as AWS's reference calculates it ("Create a signed AWS API request").

use std::{collections::BTreeMap, time::SystemTime};

use aws_lc_rs::{digest, hmac};
use http::{HeaderMap, HeaderName, Request, header};
use zeroize::Zeroizing;

use super::{AccessKeys, hex, spelling};
use crate::{clock, secret::ExposeSecret};

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a signature is good for.
#[derive(Clone)]
pub(super) struct Scope {
    pub(super) region: String,
    pub(super) service: String,
}

/// When it was made.
pub(super) struct Moment {
    /// `20150830T123600Z`
    pub(super) stamp: String,
    /// `20150830`
    day: String,
}

/// The key of one day, region and service.
pub(super) struct Secrets {
    id: String,
    key: hmac::Key,
}

/// A signature in both its forms.
pub(super) struct Signed {
    pub(super) authorization: String,
    pub(super) signature: String,
}

impl Moment {
    pub(super) fn of(now: SystemTime) -> Self {
        let text = clock::rfc3339(now);
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        let (day, rest) = text.split_once('T').unwrap_or((&text, ""));
        let time = rest.split('.').next().unwrap_or_default();
        let day = digits(day);
        Self { stamp: format!("{day}T{}Z", digits(time)), day }
    }

    fn scope(&self, scope: &Scope) -> String {
        format!("{}/{}/{}/aws4_request", self.day, scope.region, scope.service)
    }
}

impl Secrets {
    pub(super) fn new(keys: &AccessKeys, scope: &Scope, moment: &Moment) -> Self {
        let first = Zeroizing::new(format!("AWS4{}", keys.secret.expose_secret()));
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, first.as_bytes());
        for part in [&moment.day, &scope.region, &scope.service, "aws4_request"] {
            let tag = hmac::sign(&key, part.as_bytes());
            key = hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref());
        }
        Self { id: keys.id.clone(), key }
    }

    pub(super) fn sign(&self, text: &str) -> String {
        hex(hmac::sign(&self.key, text.as_bytes()).as_ref())
    }

    /// For what signs on while a body streams.
    pub(super) fn key(&self) -> hmac::Key {
        self.key.clone()
    }
}

/// Signs the request; `content` is the value of `x-amz-content-sha256`.
pub(super) fn signed<B>(
    request: &Request<B>,
    scope: &Scope,
    secrets: &Secrets,
    moment: &Moment,
    content: &str,
) -> Signed {
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    let headers = covered(request.headers(), authority);
    let names = headers.keys().copied().collect::<Vec<_>>().join(";");
    let written: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = format!(
        "{}\n{}\n{}\n{written}\n{names}\n{content}",
        request.method(),
        spelling::canonical_path(request.uri().path(), &scope.service),
        spelling::canonical_query(request.uri().query().unwrap_or_default()),
    );
    let credential = moment.scope(scope);
    let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let signature = secrets.sign(&format!("{ALGORITHM}\n{}\n{credential}\n{hash}", moment.stamp));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{credential}, SignedHeaders={names}, Signature={signature}",
        secrets.id
    );
    Signed { authorization, signature }
}

/// What is signed of a chunk, but for its own hash and the signature before it.
pub(super) fn chunk_preamble(scope: &Scope, moment: &Moment) -> String {
    format!("{ALGORITHM}-PAYLOAD\n{}\n{}", moment.stamp, moment.scope(scope))
}

/// The headers that AWS wants signed, and that nothing between here and there changes: where it goes, what kind of content it is, and
/// everything of AWS's own. Connections, lengths, encodings and agents stay outside.
fn covered<'h>(headers: &'h HeaderMap, authority: Option<&str>) -> BTreeMap<&'h str, String> {
    let mut covered = BTreeMap::new();
    for name in headers.keys() {
        let text = name.as_str();
        let wanted = text.starts_with("x-amz-")
            || [header::HOST, header::CONTENT_TYPE, header::CONTENT_ENCODING, CONTENT_MD5].contains(name);
        if wanted {
            let values = headers.get_all(name).iter().map(|value| folded(value.as_bytes()));
            covered.insert(text, values.collect::<Vec<_>>().join(","));
        }
    }
    // HTTP/2 says `:authority`, which servers sign as the host.
    if let Some(authority) = authority {
        covered.insert("host", authority.to_owned());
    }
    covered
}

/// Without spaces at the ends, and with single ones inside.
fn folded(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    text.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
