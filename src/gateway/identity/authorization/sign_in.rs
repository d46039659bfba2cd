//! Where a sign-in ends: the provider's callback and the `dev` page's form. Both give the laptop a code.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Body,
    extract::{ConnectInfo, RawQuery, Request, State},
    http::{Extensions, HeaderMap, StatusCode, header},
    response::Response,
};
use url::Url;

use super::{
    authorize::{redirect, refuse, refused_page},
    code::{self, Grant},
    params::Params,
    read_form,
    request::{self, answer},
};
use crate::{
    gateway::identity::{
        Identities,
        browser::{self, SignIn},
        oidc::{Expected, RelyingParty},
        pages,
        provider::{Claimed, Provider, ProviderError},
    },
    secret::{ExposeSecret, SecretString},
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
    let Some(begun) = Begun::of(&identities, &headers, key) else { return refused_page(NOT_BEGUN) };
    let Some(Provider::Oidc(party)) = identities.sessions.provider(&begun.sign_in.provider) else {
        return refused_page(NOT_BEGUN);
    };
    let response = match claimed(party, &params, &begun.sign_in).await {
        Ok((claimed, refresh)) => finish(&identities, &begun, claimed, refresh, None).await,
        Err(error) => {
            identities.login_failed(party.name(), &error);
            begun.refuse(&identities, kind(&error), &error.to_string())
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
        Ok((key, begun, claimed)) => {
            let response = finish(&identities, &begun, claimed, None, None).await;
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
) -> Result<(String, Begun, Claimed), &'static str> {
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
    let begun = Begun::of(identities, headers, key).ok_or(NOT_BEGUN)?;
    let Some(Provider::Dev(dev)) = identities.sessions.provider(&begun.sign_in.provider) else {
        return Err(NOT_BEGUN);
    };
    let user = params.one("user").ok().flatten().and_then(|name| dev.user(name));
    let claimed = user.ok_or("No such user is in gateway.toml.")?;
    Ok((key.to_owned(), begun, claimed))
}

/// A sign-in of this browser, with the laptop's address read again.
pub(super) struct Begun {
    pub(super) sign_in: SignIn,
    redirect_uri: Url,
}

impl Begun {
    pub(super) fn of(identities: &Identities, headers: &HeaderMap, key: &str) -> Option<Self> {
        let sessions = &identities.sessions;
        let sign_in = SignIn::of(headers, &sessions.seal, key, sessions.clock.now())?;
        let redirect_uri = request::redirect_uri(&sign_in.redirect_uri)?;
        Some(Self { sign_in, redirect_uri })
    }

    pub(super) fn refuse(&self, identities: &Identities, error: &str, description: &str) -> Response {
        refuse(identities, &self.redirect_uri, self.sign_in.state.as_deref(), error, description)
    }
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
    Ok((claimed, answer.refresh_token))
}

/// Sends the browser to the laptop with a code, for a session that ends at `ends` (milliseconds since 1970) at the latest.
pub(super) async fn finish(
    identities: &Identities,
    begun: &Begun,
    claimed: Claimed,
    refresh: Option<SecretString>,
    ends: Option<i64>,
) -> Response {
    let sessions = &identities.sessions;
    let session = sessions.new_id();
    let grant = Grant {
        provider_refresh: refresh.and_then(|token| sessions.seal_refresh(&session, &token)),
        caller: claimed.caller(&begun.sign_in.provider, false, session),
        redirect_uri: begun.sign_in.redirect_uri.clone(),
        challenge: begun.sign_in.challenge.clone(),
        ends,
    };
    match code::issue(identities, &grant).await {
        Ok(code) => redirect(&answer(
            &begun.redirect_uri,
            &[
                ("code", Some(code.expose_secret())),
                ("state", begun.sign_in.state.as_deref()),
                ("iss", Some(&identities.issuer)),
            ],
        )),
        Err(refusal) => begun.refuse(identities, "server_error", &refusal.message),
    }
}

pub(super) fn without_cookie(mut response: Response, key: &str) -> Response {
    if let Some(cookie) = browser::clear(key) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
