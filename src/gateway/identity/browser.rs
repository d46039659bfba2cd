//! What ties a sign-in to the browser that began it: a sealed cookie, so that the gateway keeps nothing of
//! unauthenticated visitors and a sign-in begun by somebody else cannot be finished here (login CSRF).

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::seal::Seal;
use crate::clock::unix_millis;

/// How long people may take to sign in.
const LIFE: Duration = Duration::from_secs(10 * 60);
/// Characters of the state in the cookie's name: enough that sign-ins side by side do not meet.
const NAME_LEN: usize = 16;

/// What a sign-in is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Goal {
    /// An authorization request: the browser is sent on with a code.
    Redirect {
        /// Validated.
        redirect_uri: String,
        /// The client's own state, handed back to it.
        state: Option<String>,
        /// PKCE, S256.
        challenge: String,
    },
    /// A device that waits elsewhere (RFC 8628) and was agreed to in this browser.
    Device {
        /// Under which the device's request is kept.
        request: String,
    },
}

/// A sign-in under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SignIn {
    /// What it is for.
    pub(super) goal: Goal,
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
    pub(super) fn new(goal: Goal, provider: &str, secrets: (String, String), now: SystemTime) -> Self {
        let (nonce, verifier) = secrets;
        Self { goal, provider: provider.to_owned(), nonce, verifier, ends: unix_millis(now + LIFE) }
    }

    /// The `Set-Cookie` header that gives it to the browser. `key` is the state sent to the provider (or in the form).
    pub(super) fn cookie(&self, seal: &Seal, key: &str) -> Option<HeaderValue> {
        keep(seal, &context(key), key, self)
    }

    /// The sign-in of this key, if this browser began it and it is not over.
    pub(super) fn of(headers: &HeaderMap, seal: &Seal, key: &str, now: SystemTime) -> Option<Self> {
        let sign_in: Self = kept(headers, seal, &context(key), key)?;
        (unix_millis(now) < sign_in.ends).then_some(sign_in)
    }
}

/// The `Set-Cookie` header that gives the browser something sealed for `context`, found again by `key`.
pub(super) fn keep(seal: &Seal, context: &str, key: &str, what: &impl Serialize) -> Option<HeaderValue> {
    let json = serde_json::to_vec(what).ok()?;
    let value = URL_SAFE_NO_PAD.encode(seal.seal(context, &json)?);
    set_cookie(key, &value, LIFE)
}

/// What [`keep`] gave this browser, for the same context and key.
pub(super) fn kept<T: DeserializeOwned>(
    headers: &HeaderMap,
    seal: &Seal,
    context: &str,
    key: &str,
) -> Option<T> {
    let wanted = name(key)?;
    let value = cookie(headers, &wanted)?;
    let json = seal.open_sealed(context, &URL_SAFE_NO_PAD.decode(value).ok()?)?;
    serde_json::from_slice(&json).ok()
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
        let goal = Goal::Redirect {
            redirect_uri: "http://127.0.0.1:1/callback".to_owned(),
            state: None,
            challenge: "c".to_owned(),
        };
        let sign_in = SignIn::new(goal, "idp", ("n".to_owned(), "v".to_owned()), UNIX_EPOCH);
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
