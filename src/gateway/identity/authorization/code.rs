//! Authorization codes: 60 seconds, one use; a second use ends the session made from the first.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::request::Client;
use crate::{
    clock::unix_millis,
    gateway::identity::{
        Caller, Identities,
        sessions::{Beginning, SignedIn, database, sha256},
    },
    id,
    secret::{self, ExposeSecret, SecretString},
    wire::Refusal,
};

/// How long a code can be used (RFC 6749 §4.1.2 wants at most 10 minutes).
const LIFE: Duration = Duration::from_secs(60);
/// How long a second use is recognised.
const MEMORY: Duration = Duration::from_secs(10 * 60);

/// What a code stands for.
#[derive(Serialize, Deserialize)]
pub(super) struct Grant {
    /// With the session's id already chosen.
    pub(super) caller: Caller,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    /// The provider's refresh token, sealed for the session.
    pub(super) provider_refresh: Option<Vec<u8>>,
    /// When the provider wants the session to end at the latest, in milliseconds since 1970.
    #[serde(default)]
    pub(super) ends: Option<i64>,
    #[serde(default)]
    pub(super) signed_in: SignedIn,
}

/// What a client presents with a code.
pub(in crate::gateway::identity) struct Presented<'a> {
    pub(in crate::gateway::identity) client: Client,
    pub(in crate::gateway::identity) code: &'a str,
    pub(in crate::gateway::identity) redirect_uri: &'a str,
    pub(in crate::gateway::identity) verifier: &'a str,
}

/// Why a code gives no session.
pub(in crate::gateway::identity) enum CodeError {
    /// `invalid_grant`, with a sentence.
    Invalid(&'static str),
    /// The database failed.
    Failed(Refusal),
}

impl From<Refusal> for CodeError {
    fn from(refusal: Refusal) -> Self {
        Self::Failed(refusal)
    }
}

/// Makes a code.
pub(super) async fn issue(identities: &Identities, grant: &Grant) -> Result<SecretString, Refusal> {
    let sessions = &identities.sessions;
    let code = id::token();
    let now = sessions.clock.now();
    let json = serde_json::to_string(grant).map_err(|e| database(super::super::StoreError(e.to_string())))?;
    let session = &grant.caller.session;
    sessions
        .store
        .put_pending(&key("used", code.expose_secret()), session, now + MEMORY)
        .await
        .map_err(database)?;
    sessions
        .store
        .put_pending(&key("code", code.expose_secret()), &json, now + LIFE)
        .await
        .map_err(database)?;
    Ok(code)
}

/// Trades a code for a session: its caller, its end in milliseconds since 1970, and the laptop's refresh token.
pub(in crate::gateway::identity) async fn redeem(
    identities: &Identities,
    presented: Presented<'_>,
) -> Result<(Caller, i64, Option<SecretString>), CodeError> {
    const UNKNOWN: CodeError = CodeError::Invalid("the code is unknown, over, or was used before");
    let sessions = &identities.sessions;
    let now = sessions.clock.now();
    let json = sessions.store.take_pending(&key("code", presented.code), now).await.map_err(database)?;
    let Some(grant) = json.and_then(|json| serde_json::from_str::<Grant>(&json).ok()) else {
        end_replayed(identities, presented.code).await?;
        return Err(UNKNOWN);
    };
    // From here on the code is spent, whatever is wrong: guessing a verifier has one try.
    if presented.client.redirect_uri(&grant.redirect_uri, &identities.issuer).is_none() {
        return Err(CodeError::Invalid("the code was given to another client"));
    }
    if grant.redirect_uri != presented.redirect_uri {
        return Err(CodeError::Invalid("redirect_uri is not the one of the authorization request"));
    }
    if !proves(presented.verifier, &grant.challenge) {
        return Err(CodeError::Invalid("code_verifier does not fit code_challenge"));
    }
    let expires_at = sessions.end(grant.ends);
    let session = grant.caller.session.clone();
    let refresh = sessions
        .begin(Beginning {
            caller: grant.caller.clone(),
            expires_at,
            // The gateway's own pages renew in place.
            refreshable: presented.client == Client::Laptop,
            provider_refresh: grant.provider_refresh,
            signed_in: grant.signed_in,
        })
        .await?;
    // A second use while the session was being made found none to end, and left this mark.
    let replayed =
        sessions.store.take_pending(&key("replayed", presented.code), now).await.map_err(database)?;
    if replayed.is_some() {
        identities.revoke(&session, REPLAYED).await?;
        return Err(UNKNOWN);
    }
    Ok((grant.caller, unix_millis(expires_at), refresh))
}

const REPLAYED: &str = "its authorization code was used twice";

/// Ends the session made from a code that is used a second time (RFC 6749 §4.1.2).
async fn end_replayed(identities: &Identities, code: &str) -> Result<(), Refusal> {
    let sessions = &identities.sessions;
    let now = sessions.clock.now();
    let session = sessions.store.take_pending(&key("used", code), now).await.map_err(database)?;
    if let Some(session) = session {
        sessions.store.put_pending(&key("replayed", code), "", now + MEMORY).await.map_err(database)?;
        identities.revoke(&session, REPLAYED).await?;
    }
    Ok(())
}

/// RFC 7636 §4.6, S256.
fn proves(verifier: &str, challenge: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(unreserved)
        && secret::same(URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes())).as_bytes(), challenge.as_bytes())
}

/// Codes are found by their hashes: a stolen database holds none.
pub(super) fn key(kind: &str, code: &str) -> String {
    format!("{kind}:{}", URL_SAFE_NO_PAD.encode(sha256(code.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_verifier_of_the_challenge_proves() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(proves(verifier, challenge));
        for wrong in [challenge, "", &verifier[1..], &verifier.to_lowercase(), &format!("{verifier} ")] {
            assert!(!proves(wrong, challenge), "{wrong}");
        }
    }
}
