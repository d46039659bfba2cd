//! What ties a sign-in to the browser that began it: a sealed cookie, so that the gateway keeps nothing of
//! unauthenticated visitors and a sign-in begun by somebody else cannot be finished here (login CSRF).

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};

use super::seal::Seal;
use crate::clock::unix_millis;

/// How long people may take to sign in.
const LIFE: Duration = Duration::from_secs(10 * 60);
/// Characters of the state in the cookie's name: enough that sign-ins side by side do not meet.
const NAME_LEN: usize = 16;

/// A sign-in under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SignIn {
    /// Of the laptop's authorization request, validated.
    pub(super) redirect_uri: String,
    /// The laptop's own state, handed back to it.
    pub(super) state: Option<String>,
    /// PKCE, S256.
    pub(super) challenge: String,
    /// The provider's name.
    pub(super) provider: String,
    /// In the ID token.
    pub(super) nonce: String,
    /// Our own PKCE towards the provider.
    pub(super) verifier: String,
    /// Milliseconds since 1970.
    ends: i64,
}

impl SignIn {
    /// A sign-in that begins now.
    pub(super) fn new(
        request: (String, Option<String>, String),
        provider: &str,
        secrets: (String, String),
        now: SystemTime,
    ) -> Self {
        let (redirect_uri, state, challenge) = request;
        let (nonce, verifier) = secrets;
        let ends = unix_millis(now + LIFE);
        Self { redirect_uri, state, challenge, provider: provider.to_owned(), nonce, verifier, ends }
    }

    /// The `Set-Cookie` header that gives it to the browser. `key` is the state sent to the provider (or in the form).
    pub(super) fn cookie(&self, seal: &Seal, key: &str) -> Option<HeaderValue> {
        let json = serde_json::to_vec(self).ok()?;
        let value = URL_SAFE_NO_PAD.encode(seal.seal(&context(key), &json)?);
        set_cookie(key, &value, LIFE)
    }

    /// The sign-in of this key, if this browser began it and it is not over.
    pub(super) fn of(headers: &HeaderMap, seal: &Seal, key: &str, now: SystemTime) -> Option<Self> {
        let wanted = name(key)?;
        let value = cookie(headers, &wanted)?;
        let json = seal.open_sealed(&context(key), &URL_SAFE_NO_PAD.decode(value).ok()?)?;
        let sign_in: Self = serde_json::from_slice(&json).ok()?;
        (unix_millis(now) < sign_in.ends).then_some(sign_in)
    }
}

/// The `Set-Cookie` header that takes a finished sign-in away again.
pub(super) fn clear(key: &str) -> Option<HeaderValue> {
    set_cookie(key, "", Duration::ZERO)
}

fn set_cookie(key: &str, value: &str, life: Duration) -> Option<HeaderValue> {
    set(&name(key)?, value, life)
}

/// The value of a cookie.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == wanted).then_some(value))
}

/// A `Set-Cookie` header of ours; the name begins with `__Host-`.
pub(super) fn set(name: &str, value: &str, life: Duration) -> Option<HeaderValue> {
    let age = life.as_secs();
    // `Lax`, because the provider sends the browser back from another site; `__Host-` binds it to this origin.
    HeaderValue::from_str(&format!("{name}={value}; Path=/; Max-Age={age}; Secure; HttpOnly; SameSite=Lax"))
        .ok()
}

fn name(key: &str) -> Option<String> {
    let fits = key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    key.get(..NAME_LEN).filter(|_| fits).map(|start| format!("__Host-hoopctl-{start}"))
}

/// The whole key is bound into the seal; the cookie's name shows only its start.
fn context(key: &str) -> String {
    format!("sign-in {key}")
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789_-ABCDE";

    fn begun() -> (tempfile::TempDir, Seal, SignIn, HeaderMap) {
        let dir = tempfile::tempdir().unwrap();
        let seal = Seal::open(dir.path()).unwrap();
        let request = ("http://127.0.0.1:1/callback".to_owned(), None, "c".to_owned());
        let sign_in = SignIn::new(request, "idp", ("n".to_owned(), "v".to_owned()), UNIX_EPOCH);
        let set = sign_in.cookie(&seal, KEY).unwrap();
        let set = set.to_str().unwrap();
        for attribute in ["__Host-", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/;"] {
            assert!(set.contains(attribute), "{set}");
        }
        assert!(!set.contains("Domain"), "{set}");
        let mut headers = HeaderMap::new();
        let pair = set.split(';').next().unwrap();
        headers.insert(header::COOKIE, HeaderValue::from_str(&format!("other=1; {pair}")).unwrap());
        (dir, seal, sign_in, headers)
    }

    #[test]
    fn a_sign_in_comes_back_to_its_browser_in_time() {
        let (_dir, seal, sign_in, headers) = begun();
        assert_eq!(SignIn::of(&headers, &seal, KEY, UNIX_EPOCH), Some(sign_in));
        assert_eq!(SignIn::of(&headers, &seal, KEY, UNIX_EPOCH + LIFE), None);
    }

    #[test]
    fn another_browser_another_state_and_forged_cookies_get_nothing() {
        let (_dir, seal, _, headers) = begun();
        assert_eq!(SignIn::of(&HeaderMap::new(), &seal, KEY, UNIX_EPOCH), None);
        let same_name = KEY.replace("ABCDE", "ABCDF");
        assert_eq!(SignIn::of(&headers, &seal, &same_name, UNIX_EPOCH), None);
        for key in ["", "short", "a;b=cdefghijklmnopqrstuvwxyz", "\u{fc}bcdefghijklmnopqrstuvwxyz"] {
            assert_eq!(SignIn::of(&headers, &seal, key, UNIX_EPOCH), None);
        }
        let (_other_dir, other, ..) = begun();
        assert_eq!(SignIn::of(&headers, &other, KEY, UNIX_EPOCH), None);
    }
}
