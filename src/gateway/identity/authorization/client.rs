//! The grant of service accounts (RFC 6749 §4.4): who asks proves an account by secret or signature, and gets a session.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, header, request::Parts},
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use url::form_urlencoded;

use super::{
    TOKEN,
    params::Params,
    token::{Failure, Granted, answer},
};
use crate::gateway::identity::{
    Identities,
    provider::Provider,
    service::{Proven, Shown, named_by},
    sessions::{Beginning, database, sha256},
};

/// The one kind of signed assertion (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Every refusal takes this long from the request on: how long judging took tells nothing.
const REFUSAL: Duration = Duration::from_millis(250);

/// What the request shows, and whose it says it is.
struct Claim {
    account: String,
    proof: Proof,
}

enum Proof {
    Secret(String),
    Assertion(String),
}

/// Answers one request.
pub(super) async fn grant(
    identities: &Identities,
    head: &Parts,
    params: &Params,
) -> Result<Response, Failure> {
    let began = tokio::time::Instant::now();
    let claim = claim(&head.headers, params)?;
    let source = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let granted = enter(identities, &claim, source).await;
    if granted.is_err() {
        tokio::time::sleep_until(began + REFUSAL).await;
    }
    granted
}

async fn enter(identities: &Identities, claim: &Claim, source: Option<IpAddr>) -> Result<Response, Failure> {
    if identities.failures.too_many(source, &claim.account) {
        return Err(Failure::new("slow_down", "too many attempts failed from here; try again in a minute"));
    }
    let (provider, proven) = match prove(identities, claim).await? {
        Ok(found) => found,
        Err((provider, reason)) => {
            identities.failures.note(source, &claim.account);
            identities.login_failed(&provider, reason);
            return Err(Failure::new("invalid_client", "no such account, or not its secret or signature"));
        }
    };
    let sessions = &identities.sessions;
    let caller = proven.claimed.caller(&provider, true, sessions.new_id());
    let session_end = sessions.clock.now() + sessions.life;
    let beginning = Beginning {
        caller: caller.clone(),
        expires_at: session_end,
        refreshable: false,
        provider_refresh: None,
        signed_in: sessions.signed_in(&provider),
    };
    sessions.begin(beginning).await?;
    answer(identities, Granted { caller: &caller, model: None, session_end, refresh: None }, None)
}

/// The account behind a claim, and its provider's name; else why not, for the log.
async fn prove(
    identities: &Identities,
    claim: &Claim,
) -> Result<Result<(String, Proven), (String, &'static str)>, Failure> {
    let endpoint = format!("{}{TOKEN}", identities.issuer);
    let sessions = &identities.sessions;
    let shown = match &claim.proof {
        Proof::Secret(secret) => Shown::Secret(secret),
        Proof::Assertion(jwt) => Shown::Assertion(jwt),
    };
    let mut found = Err(("service".to_owned(), "this gateway has no service accounts"));
    for provider in sessions.providers() {
        let Provider::Service(service) = &*provider else { continue };
        match service.prove(&claim.account, &shown, &endpoint, &sessions.clock) {
            Ok(proven) => {
                found = Ok((service.name().to_owned(), proven));
                break;
            }
            Err(reason) if found.is_err() => found = Err((service.name().to_owned(), reason)),
            Err(_) => {}
        }
    }
    if let Ok((provider, Proven { once: Some((id, end)), .. })) = &found {
        let name = format!("{provider}\n{}\n{id}", claim.account);
        let key = format!("jti:{}", id_of(&name));
        let end = crate::clock::from_unix_millis(end.saturating_mul(1000));
        let fresh = sessions.store.claim_pending(&key, sessions.clock.now(), end).await.map_err(database)?;
        if !fresh {
            return Ok(Err((provider.clone(), "the assertion was used before")));
        }
    }
    Ok(found)
}

/// A name of bounded length.
fn id_of(name: &str) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha256(name.as_bytes()))
}

/// Reads the one way in which the client shows who it is (RFC 6749 §2.3: never two).
fn claim(headers: &HeaderMap, params: &Params) -> Result<Claim, Failure> {
    let invalid = |why: &str| Failure::new("invalid_request", why);
    let (id, secret) = (params.one("client_id")?, params.one("client_secret")?);
    let (kind, assertion) = (params.one("client_assertion_type")?, params.one("client_assertion")?);
    let basic = headers.get(header::AUTHORIZATION).map(|value| basic(value.to_str().ok()));
    if [basic.is_some(), secret.is_some(), assertion.is_some()].into_iter().filter(|one| *one).count() > 1 {
        return Err(invalid("the client shows itself in two ways"));
    }
    if let Some(basic) = basic {
        let (account, secret) =
            basic.ok_or_else(|| invalid("the Authorization header is not Basic credentials"))?;
        if id.is_some_and(|id| id != account) {
            return Err(invalid("client_id is another than in the Authorization header"));
        }
        return Ok(Claim { account, proof: Proof::Secret(secret) });
    }
    if let Some(jwt) = assertion {
        if kind != Some(JWT_BEARER) {
            return Err(invalid(
                "client_assertion_type must be urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ));
        }
        let account =
            named_by(jwt).ok_or_else(|| invalid("the client_assertion is no JWT with a subject"))?;
        if id.is_some_and(|id| id != account) {
            return Err(invalid("client_id is another than in the assertion"));
        }
        return Ok(Claim { account, proof: Proof::Assertion(jwt.to_owned()) });
    }
    match (id, secret) {
        (Some(id), Some(secret)) => {
            Ok(Claim { account: id.to_owned(), proof: Proof::Secret(secret.to_owned()) })
        }
        _ => Err(Failure::new("invalid_client", "the client does not show who it is")),
    }
}

/// Account and secret of HTTP Basic, both form-encoded inside (RFC 6749 §2.3.1); a bare `=` or `&`, which many
/// clients leave as it is, counts as itself.
fn basic(value: Option<&str>) -> Option<(String, String)> {
    let (scheme, encoded) = value?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (account, secret) = text.split_once(':')?;
    let decoded = |part: &str| {
        let part = part.replace('=', "%3D").replace('&', "%26");
        form_urlencoded::parse(part.as_bytes()).next().map(|(text, _)| text.into_owned())
    };
    Some((decoded(account)?, decoded(secret)?))
}
