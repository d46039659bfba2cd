//! `GET /oauth2/authorize`: sends the browser to its provider, or asks which.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::{Extensions, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use url::Url;

use super::{
    AUTHORIZE, DEV,
    params::Params,
    request::{Fault, Request, answer},
    sign_in::{from_this_machine, not_for_others},
};
use crate::{
    gateway::identity::{
        Identities,
        browser::SignIn,
        pages,
        provider::{Provider, ProviderError},
        saml::Start,
    },
    id,
    secret::{ExposeSecret, SecretString},
};

/// The page or redirection for an authorization request.
pub(super) async fn authorize(
    State(identities): State<Arc<Identities>>,
    extensions: Extensions,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(params) = Params::read(query.unwrap_or_default().as_bytes()) else {
        return refused_page("The address of this page has too many parameters.");
    };
    let request = match Request::read(&params) {
        Ok(request) => request,
        Err(Fault::Page(why)) => return refused_page(&why),
        Err(Fault::Redirect(told)) => {
            return refuse(
                &identities,
                &told.redirect_uri,
                told.state.as_deref(),
                told.error,
                &told.description,
            );
        }
    };
    let providers = &identities.sessions.providers;
    let mut offered: Vec<&Provider> = providers.iter().filter(|provider| provider.interactive()).collect();
    if let Some(name) = &request.provider {
        offered.retain(|provider| provider.name() == name);
    }
    match offered.as_slice() {
        [] => {
            let why = match &request.provider {
                Some(_) => "no identity provider of that name takes browser logins at this gateway",
                None => {
                    "no identity provider of this gateway takes browser logins; log in with a workload token"
                }
            };
            refuse(&identities, &request.redirect_uri, request.state.as_deref(), "invalid_request", why)
        }
        [Provider::Dev(_)] if !from_this_machine(&extensions) => not_for_others(),
        [provider] => begin(&identities, provider, &request).await,
        several => choose(several, &request),
    }
}

/// Tells the laptop that its request fails (RFC 6749 §4.1.2.1, `iss` by RFC 9207).
pub(super) fn refuse(
    identities: &Identities,
    redirect_uri: &Url,
    state: Option<&str>,
    error: &str,
    description: &str,
) -> Response {
    redirect(&answer(
        redirect_uri,
        &[
            ("error", Some(error)),
            ("error_description", Some(description)),
            ("state", state),
            ("iss", Some(&identities.issuer)),
        ],
    ))
}

/// A page that says why nothing happens.
pub(super) fn refused_page(why: &str) -> Response {
    pages::error(StatusCode::BAD_REQUEST, why, "Go back to the terminal and run `hoopctl login` again.")
}

/// 303: the browser GETs the address, whatever brought it here.
pub(super) fn redirect(to: &Url) -> Response {
    match HeaderValue::from_str(to.as_str()) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => refused_page("The address to go to is unusable."),
    }
}

async fn begin(identities: &Identities, provider: &Provider, request: &Request) -> Response {
    let (key, nonce, verifier) = (id::token(), id::token(), id::token());
    let key = key.expose_secret();
    // An XML identifier begins with a letter or `_`.
    let nonce = SecretString::from(format!("_{}", nonce.expose_secret()));
    let sign_in = SignIn::new(
        (request.redirect_uri.to_string(), request.state.clone(), request.challenge.clone()),
        provider.name(),
        (nonce.expose_secret().to_owned(), verifier.expose_secret().to_owned()),
        identities.sessions.clock.now(),
    );
    let Some(cookie) = sign_in.cookie(&identities.sessions.seal, key) else {
        return pages::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The sign-in could not be begun.",
            "Try again.",
        );
    };
    let mut response = match provider {
        Provider::Oidc(party) => match party.authorization_url(key, nonce.expose_secret(), &verifier).await {
            Ok(url) => redirect(&url),
            Err(error) => return provider_failed(identities, provider.name(), request, &error),
        },
        Provider::Saml(party) => match party.begin(&sign_in.nonce, key).await {
            Ok(Start::Redirect(url)) => redirect(&url),
            Ok(Start::Form { action, request }) => pages::saml(provider.name(), &action, &request, key),
            Err(error) => return provider_failed(identities, provider.name(), request, &error),
        },
        Provider::Dev(dev) => pages::dev(DEV, key, &request.redirect_uri, dev.users()),
        Provider::Workload(_) | Provider::Service(_) => {
            return refused_page("Workloads do not log in with a browser.");
        }
    };
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

fn provider_failed(
    identities: &Identities,
    name: &str,
    request: &Request,
    error: &ProviderError,
) -> Response {
    identities.login_failed(name, error);
    refuse(
        identities,
        &request.redirect_uri,
        request.state.as_deref(),
        "temporarily_unavailable",
        &format!("the identity provider `{name}` cannot be asked now; the gateway's log says why"),
    )
}

/// The page of providers: each a link to this very request with its name.
fn choose(providers: &[&Provider], request: &Request) -> Response {
    let links = providers.iter().map(|provider| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("client_id", crate::wire::api::CLIENT_ID)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", request.redirect_uri.as_str())
            .append_pair("code_challenge", &request.challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(state) = &request.state {
            query.append_pair("state", state);
        }
        query.append_pair("provider", provider.name());
        (provider.name().to_owned(), format!("{AUTHORIZE}?{}", query.finish()))
    });
    pages::choose(links.collect())
}
