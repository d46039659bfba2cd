//! SAML's endpoints: the gateway's metadata, where providers deliver answers, and where the browser that asked goes on.
//!
//! An answer comes with a POST of another site, with which browsers send no `SameSite=Lax` cookie: the browser cannot be
//! recognised there. So a verified answer is kept under a one-time handle, and a GET of our own checks the cookie.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Path, RawQuery, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    SAML,
    authorize::{redirect, refused_page},
    code, goal,
    params::Params,
    read_form_of,
    sign_in::{NOT_BEGUN, begun, kind, without_cookie},
};
use crate::{
    clock::unix_millis,
    gateway::identity::{
        Identities,
        provider::{Claimed, Provider, ProviderError},
        saml::{Received, ServiceProvider},
        sessions::{SignedIn, database},
    },
    id,
    secret::ExposeSecret,
};

/// The longest form, in bytes: a response of 256 KiB in base64, its `+` and `/` percent-encoded, and the relay state.
const MAX_FORM: usize = 640 * 1024;
/// How long the browser may take from the delivery to the next page.
const MEMORY: Duration = Duration::from_secs(60);
/// The longest a delivered assertion is remembered; a browser's sign-in lasts ten minutes, and answers nothing after.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest relay state looked at, in bytes: ours are shorter.
const MAX_RELAY: usize = 80;
/// What seals a failure into an address.
const FAILURE: &str = "saml failure";

/// A verified answer, until its browser comes for it.
#[derive(Serialize, Deserialize)]
struct Arrived {
    provider: String,
    /// Of the sign-in.
    relay: String,
    in_response_to: String,
    claimed: Claimed,
    ends: Option<i64>,
    #[serde(default)]
    signed_in: SignedIn,
}

/// Why there is no answer, for the laptop of the sign-in.
#[derive(Serialize, Deserialize)]
struct Failed {
    provider: String,
    relay: String,
    kind: String,
    why: String,
}

/// `GET /saml/{name}/metadata`.
pub(super) async fn metadata(
    State(identities): State<Arc<Identities>>,
    Path(name): Path<String>,
) -> Response {
    match identities.sessions.provider(&name).as_deref() {
        Some(Provider::Saml(party)) => {
            ([(header::CONTENT_TYPE, "application/samlmetadata+xml")], party.descriptor()).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `POST /saml/{name}/acs`: the assertion consumer service, HTTP-POST binding.
pub(super) async fn acs(
    State(identities): State<Arc<Identities>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let provider = identities.sessions.provider(&name);
    let Some(Provider::Saml(party)) = provider.as_deref() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (head, body) = request.into_parts();
    let form = match read_form_of(&head.headers, body, MAX_FORM).await {
        Ok(form) => form,
        Err(why) => return refused_page(&format!("The identity provider's answer cannot be read: {why}.")),
    };
    let params = Params::read(&form);
    let one = |name| params.as_ref().and_then(|params| params.one(name).ok().flatten());
    let Some(response) = one("SAMLResponse") else {
        return refused_page("The identity provider's answer holds no SAMLResponse.");
    };
    let relay = one("RelayState").filter(|relay| relay.len() <= MAX_RELAY);
    let Some(relay) = relay else {
        return refused_page(
            "The identity provider's answer says nothing about a sign-in of this gateway (RelayState). Sign-ins begin at the gateway.",
        );
    };
    match arrived(&identities, party, response, relay).await {
        Ok(handle) => onward(&identities, party, "h", &handle),
        Err(error) => failed(&identities, party, relay, &error),
    }
}

/// `GET /saml/{name}/continue`: the browser comes for its answer, with its cookie.
pub(super) async fn resume(
    State(identities): State<Arc<Identities>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let params = Params::read(query.unwrap_or_default().as_bytes());
    let one = |name| params.as_ref().and_then(|params| params.one(name).ok().flatten());
    if let Some(sealed) = one("e") {
        return told(&identities, &headers, &name, sealed).await.unwrap_or_else(|| refused_page(NOT_BEGUN));
    }
    let sessions = &identities.sessions;
    let Some(handle) = one("h") else { return refused_page(NOT_BEGUN) };
    let json = match sessions.store.take_pending(&code::key("saml", handle), sessions.clock.now()).await {
        Ok(json) => json,
        Err(error) => return refused_page(&database(error).message),
    };
    let arrived = json.and_then(|json| serde_json::from_str::<Arrived>(&json).ok());
    let Some(arrived) = arrived.filter(|arrived| arrived.provider == name) else {
        return refused_page(NOT_BEGUN);
    };
    // Only the browser that asked has the cookie, and only its own request's identifier is in it.
    let sign_in = begun(&identities, &headers, &arrived.relay)
        .filter(|sign_in| sign_in.provider == name && sign_in.nonce == arrived.in_response_to);
    let Some(sign_in) = sign_in else {
        let error = ProviderError::Invalid("it answers a sign-in of another browser".to_owned());
        identities.login_failed(&name, &error);
        return refused_page(NOT_BEGUN);
    };
    let claimed = (arrived.claimed, arrived.signed_in);
    let response = goal::reach(&identities, &sign_in, claimed, None, arrived.ends).await;
    without_cookie(response, &arrived.relay)
}

/// Verifies an answer, remembers that it came, and keeps it: the handle.
async fn arrived(
    identities: &Identities,
    party: &ServiceProvider,
    response: &str,
    relay: &str,
) -> Result<String, ProviderError> {
    let sessions = &identities.sessions;
    let signed_in = sessions.signed_in(party.name());
    let Received { claimed, in_response_to, assertion, delivered_until, session_end } =
        party.receive(response).await?;
    let stored = |error| ProviderError::Unreachable(database(error).message);
    let now = sessions.clock.now();
    // Gateways that share a database share this memory too.
    let seen = code::key("saml-assertion", &format!("{} {assertion}", party.name()));
    let until = delivered_until.min(now + LONGEST);
    if !sessions.store.claim_pending(&seen, now, until).await.map_err(stored)? {
        return Err(ProviderError::Invalid("its assertion was delivered before".to_owned()));
    }
    let arrived = Arrived {
        provider: party.name().to_owned(),
        relay: relay.to_owned(),
        in_response_to,
        claimed,
        ends: session_end.map(unix_millis),
        signed_in,
    };
    let json = serde_json::to_string(&arrived).map_err(|error| ProviderError::Invalid(error.to_string()))?;
    let handle = id::token();
    let handle = handle.expose_secret();
    sessions.store.put_pending(&code::key("saml", handle), &json, now + MEMORY).await.map_err(stored)?;
    Ok(handle.to_owned())
}

/// Sends the browser on with a failure sealed into the address: the gateway keeps nothing of answers it does not believe.
fn failed(identities: &Identities, party: &ServiceProvider, relay: &str, error: &ProviderError) -> Response {
    identities.login_failed(party.name(), error);
    let failed = Failed {
        provider: party.name().to_owned(),
        relay: relay.to_owned(),
        kind: kind(error).to_owned(),
        why: error.of(party.name()),
    };
    let sealed =
        serde_json::to_vec(&failed).ok().and_then(|json| identities.sessions.seal.seal(FAILURE, &json));
    match sealed {
        Some(sealed) => onward(identities, party, "e", &URL_SAFE_NO_PAD.encode(sealed)),
        None => refused_page(&error.to_string()),
    }
}

/// Tells whoever waits for this browser's sign-in about a failure.
async fn told(identities: &Identities, headers: &HeaderMap, name: &str, sealed: &str) -> Option<Response> {
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let json = identities.sessions.seal.open_sealed(FAILURE, &sealed)?;
    let failed: Failed = serde_json::from_slice(&json).ok()?;
    let sign_in = begun(identities, headers, &failed.relay)?;
    if failed.provider != name || sign_in.provider != name {
        return None;
    }
    let response = goal::miss(identities, &sign_in.goal, &failed.kind, &failed.why).await;
    Some(without_cookie(response, &failed.relay))
}

fn onward(identities: &Identities, party: &ServiceProvider, key: &str, value: &str) -> Response {
    let address = format!("{}{SAML}/{}/continue", identities.issuer, party.name());
    match Url::parse_with_params(&address, [(key, value)]) {
        Ok(url) => redirect(&url),
        Err(_) => refused_page("The address to go to is unusable."),
    }
}
