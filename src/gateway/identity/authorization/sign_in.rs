//! Where a sign-in ends: the provider's callback and the `dev` page's form.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Body,
    extract::{ConnectInfo, RawQuery, Request, State},
    http::{Extensions, HeaderMap, StatusCode, header},
    response::Response,
};

use super::{authorize::refused_page, goal, params::Params, read_form};
use crate::{
    gateway::identity::{
        Identities,
        browser::{self, SignIn},
        oidc::{Expected, RelyingParty},
        pages,
        provider::{Claimed, Provider, ProviderError},
    },
    secret::SecretString,
};

pub(super) const NOT_BEGUN: &str =
    "This sign-in was not begun in this browser, or more than ten minutes ago. Nothing was signed in.";

/// `GET /login/callback`: the provider sends the browser back.
pub(super) async fn callback(
    State(identities): State<Arc<Identities>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(params) = Params::read(query.unwrap_or_default().as_bytes()) else {
        return refused_page("The identity provider's answer has too many parameters.");
    };
    let Ok(Some(key)) = params.one("state") else {
        return refused_page("The identity provider's answer has no state.");
    };
    let Some(sign_in) = begun(&identities, &headers, key) else { return refused_page(NOT_BEGUN) };
    let signed_in = identities.sessions.signed_in(&sign_in.provider);
    let provider = identities.sessions.provider(&sign_in.provider);
    let Some(Provider::Oidc(party)) = provider.as_deref() else {
        return refused_page(NOT_BEGUN);
    };
    let response = match claimed(party, &params, &sign_in).await {
        Ok((claimed, refresh)) => {
            goal::reach(&identities, &sign_in, (claimed, signed_in), refresh, None).await
        }
        Err(error) => {
            identities.login_failed(party.name(), &error);
            goal::miss(&identities, &sign_in.goal, kind(&error), &error.of(party.name())).await
        }
    };
    without_cookie(response, key)
}

/// The word of RFC 6749 §4.1.2.1 for a provider's error.
pub(super) fn kind(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::Refused(_) => "access_denied",
        ProviderError::Unreachable(_) => "temporarily_unavailable",
        ProviderError::Invalid(_) => "server_error",
    }
}

/// `POST /login/dev`: somebody on this machine chose a user.
pub(super) async fn dev(State(identities): State<Arc<Identities>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if !from_this_machine(&head.extensions) {
        return not_for_others();
    }
    match chosen(&identities, &head.headers, body).await {
        Ok((key, sign_in, claimed)) => {
            let signed_in = identities.sessions.signed_in(&sign_in.provider);
            let response = goal::reach(&identities, &sign_in, (claimed, signed_in), None, None).await;
            without_cookie(response, &key)
        }
        Err(why) => refused_page(why),
    }
}

/// Whether the connection comes from this machine; without an address it does not.
pub(super) fn from_this_machine(extensions: &Extensions) -> bool {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback())
}

/// The page for everybody else.
pub(super) fn not_for_others() -> Response {
    pages::error(
        StatusCode::FORBIDDEN,
        "This sign-in asks for no password, so it serves the gateway's own machine alone.",
        "Configure a real identity provider in gateway.toml.",
    )
}

async fn chosen(
    identities: &Identities,
    headers: &HeaderMap,
    body: Body,
) -> Result<(String, SignIn, Claimed), &'static str> {
    // Browsers say where a form stands; a form of another site is not ours, whatever it holds.
    let foreign =
        headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes() != identities.issuer.as_bytes());
    if foreign {
        return Err("This form does not stand on a page of this gateway.");
    }
    let form = read_form(headers, body).await?;
    let params = Params::read(&form).ok_or("The form has too many fields.")?;
    // The key is known to the page and the cookie alone, and fits one cookie: it is the form's CSRF token.
    let key = params.one("login").ok().flatten().ok_or(NOT_BEGUN)?;
    let sign_in = begun(identities, headers, key).ok_or(NOT_BEGUN)?;
    let provider = identities.sessions.provider(&sign_in.provider);
    let Some(Provider::Dev(dev)) = provider.as_deref() else {
        return Err(NOT_BEGUN);
    };
    let user = params.one("user").ok().flatten().and_then(|name| dev.user(name));
    let claimed = user.ok_or("No such user is in gateway.toml.")?;
    Ok((key.to_owned(), sign_in, claimed))
}

/// The sign-in of this browser.
pub(super) fn begun(identities: &Identities, headers: &HeaderMap, key: &str) -> Option<SignIn> {
    let sessions = &identities.sessions;
    SignIn::of(headers, &sessions.seal, key, sessions.clock.now())
}

/// Reads the provider's answer (OpenID Connect Core §3.1.2.5, RFC 9207) and trades its code.
async fn claimed(
    party: &RelyingParty,
    params: &Params,
    sign_in: &SignIn,
) -> Result<(Claimed, Option<SecretString>), ProviderError> {
    let one = |name| {
        params.one(name).map_err(|_| ProviderError::Invalid(format!("its answer says `{name}` twice")))
    };
    party.check_issuer(one("iss")?).await?;
    if let Some(error) = one("error")? {
        let word: String = error.chars().filter(char::is_ascii_graphic).take(64).collect();
        return Err(match word.as_str() {
            "temporarily_unavailable" | "server_error" => ProviderError::Unreachable(word),
            _ => ProviderError::Refused(word),
        });
    }
    let code = one("code")?.ok_or_else(|| ProviderError::Invalid("its answer has no code".to_owned()))?;
    let answer = party.redeem(code, &sign_in.verifier.clone().into()).await?;
    let claimed = party.identify(&answer, Expected::Nonce(&sign_in.nonce)).await?;
    let claimed = claimed.ok_or_else(|| ProviderError::Invalid("its answer names nobody".to_owned()))?;
    if answer.refresh_token.is_none() {
        tracing::warn!(
            provider = party.name(),
            "the provider gave no refresh token: groups stay as they are until the session's end"
        );
    }
    Ok((claimed, Some(party.keep(&answer))))
}

pub(super) fn without_cookie(mut response: Response, key: &str) -> Response {
    if let Some(cookie) = browser::clear(key) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
