//! Devices that wait: asked, approved or denied, and answered once. Both codes are kept as hashes alone.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{super::token::Failure, INTERVAL, LIFE};
use crate::{
    clock::{from_unix_millis, unix_millis},
    gateway::identity::{
        Caller, Identities, StoreError,
        sessions::{Beginning, SignedIn, database, sha256},
    },
    id,
    secret::{ExposeSecret, SecretString},
    wire::Refusal,
};

/// How long an answer, or that a request is over, can still be read after the request's end.
const MEMORY: Duration = Duration::from_secs(2 * 60);
/// Letters of user codes: no vowels, so that no code is a word (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters of a user code: 2³⁴ codes.
const CODE_LEN: usize = 8;

/// What a device says when it asks.
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) source: Option<IpAddr>,
    pub(super) provider: Option<String>,
}

/// A device that waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    /// As it is shown to the person, to compare.
    pub(super) user_code: String,
    pub(super) name: String,
    pub(super) source: Option<IpAddr>,
    pub(super) provider: Option<String>,
    /// Milliseconds since 1970.
    began: i64,
}

impl Waiting {
    fn end(&self) -> SystemTime {
        from_unix_millis(self.began) + LIFE
    }

    /// Whole minutes since it asked.
    pub(super) fn minutes(&self, now: SystemTime) -> u64 {
        now.duration_since(from_unix_millis(self.began)).unwrap_or_default().as_secs() / 60
    }
}

/// Somebody who signed in for a device.
#[derive(Serialize, Deserialize)]
pub(in crate::gateway::identity::authorization) struct Grant {
    /// With the session's id already chosen.
    pub(in crate::gateway::identity::authorization) caller: Caller,
    /// The provider's refresh token, sealed for the session.
    pub(in crate::gateway::identity::authorization) provider_refresh: Option<Vec<u8>>,
    /// When the provider wants the session to end at the latest, in milliseconds since 1970.
    #[serde(default)]
    pub(in crate::gateway::identity::authorization) ends: Option<i64>,
    #[serde(default)]
    pub(in crate::gateway::identity::authorization) signed_in: SignedIn,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Denied,
    Approved(Box<Grant>),
}

/// How a device has polled so far.
#[derive(Serialize, Deserialize)]
struct Polled {
    /// Milliseconds since 1970.
    at: i64,
    /// Seconds it must wait between two polls.
    interval: u64,
}

/// A device begins to wait: its device code and its user code.
pub(super) async fn begin(identities: &Identities, asked: Asked) -> Result<(SecretString, String), Refusal> {
    let now = identities.sessions.clock.now();
    let device_code = id::token();
    let request = hashed(device_code.expose_secret());
    let user_code = new_user_code();
    let Asked { name, source, provider } = asked;
    let shown = shown(&user_code);
    let waiting = Waiting { user_code: shown.clone(), name, source, provider, began: unix_millis(now) };
    put(identities, &key("device", &request), &waiting, now + LIFE + MEMORY).await?;
    put(identities, &key("user-code", &hashed(&user_code)), &request, now + LIFE).await?;
    Ok((device_code, shown))
}

/// The request of a user code as somebody typed it, and the device behind it.
pub(super) async fn find(identities: &Identities, typed: &str) -> Result<Option<(String, Waiting)>, Refusal> {
    let Some(user_code) = typed_code(typed) else { return Ok(None) };
    let request: Option<String> = peek(identities, &key("user-code", &hashed(&user_code))).await?;
    let Some(request) = request else { return Ok(None) };
    let waiting = undecided(identities, &request).await?;
    Ok(waiting.map(|waiting| (request, waiting)))
}

/// The device of a request that nobody has decided yet and that is not over.
pub(super) async fn undecided(identities: &Identities, request: &str) -> Result<Option<Waiting>, Refusal> {
    let now = identities.sessions.clock.now();
    let waiting: Option<Waiting> = peek(identities, &key("device", request)).await?;
    let key = key("decided", request);
    let decided = identities.sessions.store.peek_pending(&key, now).await.map_err(database)?.is_some();
    Ok(waiting.filter(|waiting| !decided && now < waiting.end()))
}

/// Somebody signed in for the device. False when it no longer waits.
pub(in crate::gateway::identity::authorization) async fn approve(
    identities: &Identities,
    request: &str,
    grant: Grant,
) -> Result<bool, Refusal> {
    decide(identities, request, &Answer::Approved(Box::new(grant))).await
}

/// The person does not want the device to be logged in. False when it no longer waits.
pub(in crate::gateway::identity::authorization) async fn deny(
    identities: &Identities,
    request: &str,
) -> Result<bool, Refusal> {
    decide(identities, request, &Answer::Denied).await
}

/// The first decision holds.
async fn decide(identities: &Identities, request: &str, answer: &Answer) -> Result<bool, Refusal> {
    let Some(waiting) = undecided(identities, request).await? else { return Ok(false) };
    let now = identities.sessions.clock.now();
    let until = waiting.end() + MEMORY;
    let store = &identities.sessions.store;
    if !store.claim_pending(&key("decided", request), now, until).await.map_err(database)? {
        return Ok(false);
    }
    put(identities, &key("answer", request), answer, until).await?;
    Ok(true)
}

/// Trades a device code for a session: its caller, its end, and its refresh token.
pub(in crate::gateway::identity::authorization) async fn redeem(
    identities: &Identities,
    device_code: &str,
) -> Result<(Caller, SystemTime, Option<SecretString>), Failure> {
    let request = hashed(device_code);
    let waiting: Option<Waiting> = peek(identities, &key("device", &request)).await?;
    let Some(waiting) = waiting else {
        return Err(Failure::new("invalid_grant", "the device code is unknown, over, or was used before"));
    };
    // Taking it is the one use: of two polls at once, one gets the answer.
    match take::<Answer>(identities, &key("answer", &request)).await? {
        Some(Answer::Approved(grant)) => {
            forget(identities, &request, &waiting).await?;
            log_in(identities, *grant).await
        }
        Some(Answer::Denied) => {
            forget(identities, &request, &waiting).await?;
            Err(Failure::new("access_denied", "the login was denied in the browser"))
        }
        None if identities.sessions.clock.now() >= waiting.end() => {
            Err(Failure::new("expired_token", "nobody finished this login within ten minutes"))
        }
        None => Err(pace(identities, &request).await?),
    }
}

async fn log_in(
    identities: &Identities,
    grant: Grant,
) -> Result<(Caller, SystemTime, Option<SecretString>), Failure> {
    let sessions = &identities.sessions;
    let expires_at = sessions.end(grant.ends);
    let beginning = Beginning {
        caller: grant.caller.clone(),
        expires_at,
        refreshable: true,
        provider_refresh: grant.provider_refresh,
        signed_in: grant.signed_in,
    };
    let refresh = sessions.begin(beginning).await?;
    Ok((grant.caller, expires_at, refresh))
}

/// Nothing is decided yet: `authorization_pending`, or `slow_down` for who asks too often (RFC 8628 §3.5).
async fn pace(identities: &Identities, request: &str) -> Result<Failure, Refusal> {
    let now = identities.sessions.clock.now();
    let key = key("polled", request);
    let before: Option<Polled> = peek(identities, &key).await?;
    let interval = before.as_ref().map_or(INTERVAL, |polled| polled.interval);
    // A second of grace: networks deliver late and then early.
    let early = before.is_some_and(|polled| {
        let due = from_unix_millis(polled.at) + Duration::from_secs(interval.saturating_sub(1));
        now < due
    });
    let interval = if early { interval.saturating_add(INTERVAL) } else { interval };
    put(identities, &key, &Polled { at: unix_millis(now), interval }, now + LIFE).await?;
    Ok(if early {
        Failure::new("slow_down", format!("ask every {interval} s, no more often"))
    } else {
        Failure::new("authorization_pending", "nobody has signed in for this device yet")
    })
}

async fn forget(identities: &Identities, request: &str, waiting: &Waiting) -> Result<(), Refusal> {
    let user_code: String = waiting.user_code.chars().filter(char::is_ascii_alphabetic).collect();
    for key in [key("device", request), key("user-code", &hashed(&user_code)), key("polled", request)] {
        let now = identities.sessions.clock.now();
        identities.sessions.store.take_pending(&key, now).await.map_err(database)?;
    }
    Ok(())
}

/// Eight letters, each as likely as the others.
fn new_user_code() -> String {
    let mut code = String::with_capacity(CODE_LEN);
    while code.len() < CODE_LEN {
        // 240 is a multiple of 20: what lies above would make some letters likelier.
        let [byte] = id::random::<1>();
        let letter = LETTERS.get(usize::from(byte % 20)).filter(|_| byte < 240);
        code.extend(letter.copied().map(char::from));
    }
    code
}

/// `WDJB-MJHT`.
fn shown(user_code: &str) -> String {
    let (left, right) = user_code.split_at_checked(CODE_LEN / 2).unwrap_or((user_code, ""));
    format!("{left}-{right}")
}

/// The code as it is kept, whatever its case and whatever stands between its letters.
fn typed_code(typed: &str) -> Option<String> {
    let code: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .take(CODE_LEN + 1)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    (code.len() == CODE_LEN && code.bytes().all(|b| LETTERS.contains(&b))).then_some(code)
}

fn hashed(code: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(code.as_bytes()))
}

fn key(kind: &str, hash: &str) -> String {
    format!("{kind}:{hash}")
}

async fn put(
    identities: &Identities,
    key: &str,
    what: &impl Serialize,
    until: SystemTime,
) -> Result<(), Refusal> {
    let json = serde_json::to_string(what).map_err(|e| database(StoreError(e.to_string())))?;
    identities.sessions.store.put_pending(key, &json, until).await.map_err(database)
}

async fn peek<T: DeserializeOwned>(identities: &Identities, key: &str) -> Result<Option<T>, Refusal> {
    let sessions = &identities.sessions;
    let json = sessions.store.peek_pending(key, sessions.clock.now()).await.map_err(database)?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}

async fn take<T: DeserializeOwned>(identities: &Identities, key: &str) -> Result<Option<T>, Refusal> {
    let sessions = &identities.sessions;
    let json = sessions.store.take_pending(key, sessions.clock.now()).await.map_err(database)?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_eight_letters_that_make_no_words() {
        for _ in 0..100 {
            let code = new_user_code();
            assert_eq!(code.len(), 8);
            assert!(code.bytes().all(|b| b.is_ascii_uppercase() && !b"AEIOUY".contains(&b)), "{code}");
            assert_eq!(typed_code(&shown(&code)), Some(code));
        }
    }

    #[test]
    fn people_type_codes_as_they_like() {
        for typed in ["WDJB-MJHT", "wdjbmjht", " wdjb mjht ", "W-D-J-B M-J-H-T"] {
            assert_eq!(typed_code(typed).as_deref(), Some("WDJBMJHT"), "{typed}");
        }
        for wrong in
            ["", "WDJB-MJH", "WDJB-MJHTX", "ADJB-MJHT", "WDJB_MJHT", "\u{fc}DJB-MJHT", &"W".repeat(10_000)]
        {
            assert_eq!(typed_code(wrong), None, "{wrong:.20}");
        }
    }
}
