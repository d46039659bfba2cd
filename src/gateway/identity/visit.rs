//! People at the gateway's own pages: a browser signs in through our own authorization server and holds a sealed cookie that names
//! its login session, which is looked at for every request.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Caller, Identities, Whose,
    authorization::{self, Client, CodeError, Params, Presented, console_address},
    browser::{cookie, set},
    sessions::{database, sha256},
};
use crate::{
    clock::unix_millis,
    id,
    secret::{self, ExposeSecret},
    wire::{Refusal, code},
};

/// The cookie of a signed-in browser.
const COOKIE: &str = "__Host-hoopctl-console";
/// How long people may take to sign in.
const SIGN_IN: Duration = Duration::from_secs(10 * 60);
/// Characters of the state in a cookie's name: enough that sign-ins side by side do not meet.
const NAME_LEN: usize = 16;
/// How old the groups may be before the provider is asked again: as old as a laptop's are at most.
const FRESH: Duration = Duration::from_mins(15);
/// The longest address within the pages, in bytes.
const MAX_PAGE: usize = 256;

/// Somebody signed in to the gateway's pages, for one request.
pub(in crate::gateway) struct Visitor {
    /// Who, with groups no older than 15 minutes.
    pub(in crate::gateway) caller: Caller,
    /// What every form of theirs must bring back: known to their pages alone.
    pub(in crate::gateway) form_token: String,
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Visitor({})", self.caller.user())
    }
}

impl Visitor {
    /// Whether a form comes from one of this visitor's pages.
    pub(in crate::gateway) fn sent(&self, form_token: &str) -> bool {
        secret::same(self.form_token.as_bytes(), form_token.as_bytes())
    }
}

/// Where a browser goes next, with cookies to take along.
pub(in crate::gateway) struct Onward {
    /// Absolute at a sign-in's begin, a path at its end.
    pub(in crate::gateway) to: String,
    /// `Set-Cookie` headers.
    pub(in crate::gateway) cookies: Vec<HeaderValue>,
}

/// A sign-in under way; sealed in a cookie, so that nobody can finish what another browser began.
#[derive(Serialize, Deserialize)]
struct Begun {
    verifier: String,
    page: String,
    /// Milliseconds since 1970.
    ends: i64,
}

/// When the groups of sessions were last read for the pages, so that not every click asks the provider.
#[derive(Default)]
pub(super) struct Visits(Mutex<HashMap<String, SystemTime>>);

impl Visits {
    /// Whether the session's groups were read lately enough.
    fn fresh(&self, session: &str, now: SystemTime) -> bool {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back makes everything old.
        read.retain(|_, at| now.duration_since(*at).is_ok_and(|age| age < FRESH));
        read.contains_key(session)
    }

    /// The session's groups have just been read.
    fn note(&self, session: &str, now: SystemTime) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(session.to_owned(), now);
    }
}

impl Identities {
    /// Sends a browser to sign in; it comes back to `page`, a path below `/console/`, or to the pages' beginning.
    pub(in crate::gateway) fn begin_visit(&self, page: &str) -> Option<Onward> {
        let (state, verifier) = (id::token(), id::token());
        let (state, verifier) = (state.expose_secret(), verifier.expose_secret());
        let begun = Begun {
            verifier: verifier.to_owned(),
            page: if is_page(page) { page } else { FIRST_PAGE }.to_owned(),
            ends: unix_millis(self.sessions.clock.now() + SIGN_IN),
        };
        let json = serde_json::to_vec(&begun).ok()?;
        let sealed = self.sessions.seal.seal(&context(state), &json)?;
        let cookie = set(&name(state)?, &URL_SAFE_NO_PAD.encode(sealed), SIGN_IN)?;
        let mut to = Url::parse(&format!("{}{}", self.issuer, authorization::AUTHORIZE)).ok()?;
        to.query_pairs_mut()
            .append_pair("client_id", Client::Console.id())
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", &console_address(&self.issuer))
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes())))
            .append_pair("code_challenge_method", "S256")
            .append_pair("state", state);
        Some(Onward { to: to.into(), cookies: vec![cookie] })
    }

    /// What `/console/callback` was asked with becomes a signed-in browser, or a sentence that says why not.
    ///
    /// # Errors
    /// When this browser did not begin the sign-in, it was refused, or its code is over.
    pub(in crate::gateway) async fn finish_visit(
        &self,
        headers: &HeaderMap,
        query: &str,
    ) -> Result<Onward, String> {
        let params = Params::read(query.as_bytes()).ok_or("The answer has too many parameters.")?;
        let one = |name| params.one(name).map_err(|_| format!("The answer says `{name}` twice."));
        let state = one("state")?.ok_or(NOT_BEGUN)?;
        let begun = self.begun(headers, state).ok_or(NOT_BEGUN)?;
        if one("iss")? != Some(&self.issuer) {
            return Err("The answer is not of this gateway.".to_owned());
        }
        if one("error")?.is_some() {
            let why = one("error_description")?.unwrap_or("no reason was given");
            return Err(format!("The sign-in failed: {why}."));
        }
        let presented = Presented {
            client: Client::Console,
            code: one("code")?.ok_or("The answer has no code.")?,
            redirect_uri: &console_address(&self.issuer),
            verifier: &begun.verifier,
        };
        let (caller, ..) = authorization::redeem(self, presented).await.map_err(|error| match error {
            CodeError::Invalid(why) => format!("The sign-in failed: {why}."),
            CodeError::Failed(refusal) => format!("The sign-in failed: {}.", refusal.message),
        })?;
        // The login has just said the groups.
        self.visits.note(&caller.session, self.sessions.clock.now());
        let failed = || "The sign-in could not be finished.".to_owned();
        let sealed = self.sessions.seal.seal(VISIT, caller.session.as_bytes()).ok_or_else(failed)?;
        let signed_in = set(COOKIE, &URL_SAFE_NO_PAD.encode(sealed), self.sessions.life);
        let done = name(state).and_then(|name| set(&name, "", Duration::ZERO));
        let cookies = [signed_in.ok_or_else(failed)?].into_iter().chain(done).collect();
        Ok(Onward { to: begun.page, cookies })
    }

    /// Who is at this browser, if its login session lives; groups are read anew when they are 15 minutes old.
    ///
    /// # Errors
    /// `internal` when the database fails or the provider's answer is not believed: then nobody knows the groups.
    pub(in crate::gateway) async fn visitor(&self, headers: &HeaderMap) -> Result<Option<Visitor>, Refusal> {
        let Some(session) = self.visiting(headers) else { return Ok(None) };
        let caller = match self.current(&session).await {
            Ok(caller) => caller,
            Err(refusal) if refusal.code == code::LOGIN_REQUIRED => return Ok(None),
            Err(refusal) => return Err(refusal),
        };
        let form_token = self.sessions.seal.form_token(&session);
        Ok(Some(Visitor { caller, form_token }))
    }

    /// Ends a browser's session; returns the `Set-Cookie` header that takes its cookie away.
    ///
    /// # Errors
    /// `internal` when the database fails: then the session still lives.
    pub(in crate::gateway) async fn end_visit(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<HeaderValue>, Refusal> {
        if let Some(session) = self.visiting(headers) {
            self.sessions.revoke(&session, "they signed out of the gateway's pages").await?;
        }
        Ok(set(COOKIE, "", Duration::ZERO))
    }

    /// The person of a verified email address, as their newest login session says; groups as for [`Self::visitor`].
    /// `None` when they are not logged in.
    ///
    /// # Errors
    /// `internal` when the database fails or the provider's answer is not believed.
    pub(in crate::gateway) async fn logged_in(&self, email: &str) -> Result<Option<Caller>, Refusal> {
        let sessions = &self.sessions;
        let rows = sessions
            .store
            .live_sessions(Whose::Email(email), sessions.clock.now())
            .await
            .map_err(database)?;
        for row in rows {
            match self.current(&row.id).await {
                Ok(caller) => return Ok(Some(caller)),
                Err(refusal) if refusal.code == code::LOGIN_REQUIRED => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(None)
    }

    /// Somebody's groups as their newest login session has them; none when they are not logged in. To be shown, not to decide by.
    pub(in crate::gateway) async fn groups_of(&self, provider: &str, subject: &str) -> Vec<String> {
        let sessions = &self.sessions;
        let whose = Whose::Subject { provider, subject };
        match sessions.store.live_sessions(whose, sessions.clock.now()).await {
            Ok(rows) => rows.into_iter().next().map(|row| row.caller.groups).unwrap_or_default(),
            Err(error) => {
                tracing::error!(%error, "login sessions could not be read");
                Vec::new()
            }
        }
    }

    /// The caller with groups of lately. Nobody is told the old ones while they are being read: whoever asks at the same time waits
    /// for the answer, or asks too.
    async fn current(&self, session: &str) -> Result<Caller, Refusal> {
        let now = self.sessions.clock.now();
        if self.visits.fresh(session, now) {
            return Ok(self.sessions.live(session).await?.caller);
        }
        let row = self.sessions.renew(session).await?;
        self.visits.note(session, now);
        Ok(row.caller)
    }

    fn visiting(&self, headers: &HeaderMap) -> Option<String> {
        let sealed = URL_SAFE_NO_PAD.decode(cookie(headers, COOKIE)?).ok()?;
        let session = self.sessions.seal.open_sealed(VISIT, &sealed)?;
        String::from_utf8(session.to_vec()).ok()
    }

    fn begun(&self, headers: &HeaderMap, state: &str) -> Option<Begun> {
        let sealed = URL_SAFE_NO_PAD.decode(cookie(headers, &name(state)?)?).ok()?;
        let json = self.sessions.seal.open_sealed(&context(state), &sealed)?;
        let begun: Begun = serde_json::from_slice(&json).ok()?;
        (unix_millis(self.sessions.clock.now()) < begun.ends).then_some(begun)
    }
}

const NOT_BEGUN: &str =
    "This sign-in was not begun in this browser, or more than ten minutes ago. Nothing was signed in.";
/// Where people begin.
const FIRST_PAGE: &str = "/console/approvals";
/// What a browser's cookie is sealed for.
const VISIT: &str = "visit of the gateway's pages";

fn context(state: &str) -> String {
    format!("sign-in to the gateway's pages {state}")
}

fn name(state: &str) -> Option<String> {
    let fits = state.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    state.get(..NAME_LEN).filter(|_| fits).map(|start| format!("{COOKIE}-{start}"))
}

/// A path of the gateway's pages and of nowhere else, in characters that no browser reads as anything more.
fn is_page(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/_-".contains(&b);
    path.len() <= MAX_PAGE && path.starts_with("/console/") && !path.contains("//") && path.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_come_back_to_the_pages_and_nowhere_else() {
        for good in ["/console/approvals", "/console/approvals/apr_01", "/console/"] {
            assert!(is_page(good), "{good}");
        }
        let long = format!("/console/{}", "a".repeat(MAX_PAGE));
        for bad in [
            "",
            "/",
            "/console",
            "console/",
            "//evil.test/console/",
            "/console//evil.test",
            "/console/../x",
            "/console/\\evil.test",
            "/console/?x",
            "/console/#x",
            "/console/%2e",
            "https://evil.test/console/",
            "/console/\r\nx",
            &long,
        ] {
            assert!(!is_page(bad), "{bad}");
        }
    }
}
