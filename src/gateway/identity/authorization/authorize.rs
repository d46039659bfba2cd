//! `GET /oauth2/authorize`: sends the browser to its provider, or asks which.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{RawQuery, State},
    http::{Extensions, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::future::join_all;
use url::Url;

use super::{
    AUTHORIZE, DEV, goal,
    params::Params,
    request::{Fault, Request, answer},
    sign_in::{from_this_machine, not_for_others},
};
use crate::{
    gateway::identity::{
        Identities,
        browser::{Goal, SignIn},
        pages::{self, Choice},
        provider::{Provider, ProviderError},
        saml::Start,
    },
    id,
    secret::{ExposeSecret, SecretString},
};

/// Set by the links of our own page.
const CHOSEN: &str = "chosen";
/// How long the page of providers waits for them.
const LOOK: Duration = Duration::from_secs(2);

/// The page or redirection for an authorization request.
pub(super) async fn authorize(
    State(identities): State<Arc<Identities>>,
    extensions: Extensions,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(params) = Params::read(query.unwrap_or_default().as_bytes()) else {
        return refused_page("The address of this page has too many parameters.");
    };
    let request = match Request::read(&params, &identities.issuer) {
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
    let offered = match offered(&identities, request.provider.as_deref()) {
        Ok(offered) => offered,
        Err(why) => {
            let state = request.state.as_deref();
            return refuse(&identities, &request.redirect_uri, state, "invalid_request", &why);
        }
    };
    let [provider] = offered.as_slice() else { return choose(&identities, &offered, &request).await };
    let goal = request.clone().into_goal();
    let error = match begin(&identities, &extensions, provider, &goal).await {
        Ok(response) => return response,
        Err(error) => error,
    };
    // Chosen on our own page: the page is shown again. A laptop that names a provider is told itself.
    let others = self::offered(&identities, None).unwrap_or_default();
    if matches!(params.one(CHOSEN), Ok(Some(_))) && others.len() > 1 {
        identities.login_failed(provider.name(), &error);
        return choose(&identities, &others, &request).await;
    }
    provider_failed(&identities, provider.name(), &goal, &error).await
}

/// The providers that people can sign in with, or the one of that name; never none.
pub(super) fn offered(identities: &Identities, wanted: Option<&str>) -> Result<Vec<Arc<Provider>>, String> {
    let mut offered = identities.sessions.providers();
    offered.retain(|provider| provider.interactive());
    if offered.is_empty() {
        return Err(
            "no identity provider of this gateway takes browser logins; log in with a workload token"
                .to_owned(),
        );
    }
    let Some(wanted) = wanted else { return Ok(offered) };
    match offered.iter().find(|provider| provider.name() == wanted) {
        Some(provider) => Ok(vec![Arc::clone(provider)]),
        None => {
            let names: Vec<&str> = offered.iter().map(|provider| provider.name()).collect();
            Err(format!(
                "no identity provider of that name takes browser logins at this gateway; there are: {}",
                names.join(", ")
            ))
        }
    }
}

/// Tells the client that its request fails (RFC 6749 §4.1.2.1, `iss` by RFC 9207).
pub(super) fn refuse(
    identities: &Identities,
    redirect_uri: &Url,
    state: Option<&str>,
    error: &str,
    description: &str,
) -> Response {
    redirect(&told(identities, redirect_uri, state, error, description))
}

/// The laptop's address with what it is told.
fn told(
    identities: &Identities,
    redirect_uri: &Url,
    state: Option<&str>,
    error: &str,
    description: &str,
) -> Url {
    answer(
        redirect_uri,
        &[
            ("error", Some(error)),
            ("error_description", Some(&plain(description))),
            ("state", state),
            ("iss", Some(&identities.issuer)),
        ],
    )
}

/// The characters that RFC 6749 §4.1.2.1 lets a description have, at most 500 of them.
fn plain(text: &str) -> String {
    let fits = |c: char| matches!(c, ' ' | '!' | '#'..='[' | ']'..='~');
    text.chars().take(500).map(|c| if fits(c) { c } else { '\'' }).collect()
}

/// A page that says why nothing happens.
pub(super) fn refused_page(why: &str) -> Response {
    pages::error(
        StatusCode::BAD_REQUEST,
        why,
        "Go back to where you came from and begin again; in a terminal that is `hoopctl login`.",
    )
}

/// 303: the browser GETs the address, whatever brought it here.
pub(super) fn redirect(to: &Url) -> Response {
    match HeaderValue::from_str(to.as_str()) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => refused_page("The address to go to is unusable."),
    }
}

/// Sends the browser to sign in with a provider, for `goal`.
pub(super) async fn begin(
    identities: &Identities,
    extensions: &Extensions,
    provider: &Provider,
    goal: &Goal,
) -> Result<Response, ProviderError> {
    let (key, nonce, verifier) = (id::token(), id::token(), id::token());
    let key = key.expose_secret();
    // An XML identifier begins with a letter or `_`.
    let nonce = SecretString::from(format!("_{}", nonce.expose_secret()));
    let sign_in = SignIn::new(
        goal.clone(),
        provider.name(),
        (nonce.expose_secret().to_owned(), verifier.expose_secret().to_owned()),
        identities.sessions.clock.now(),
    );
    let Some(cookie) = sign_in.cookie(&identities.sessions.seal, key) else {
        return Ok(pages::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The sign-in could not be begun.",
            "Try again.",
        ));
    };
    let mut response = match provider {
        Provider::Oidc(party) => {
            redirect(&party.authorization_url(key, nonce.expose_secret(), &verifier).await?)
        }
        Provider::Saml(party) => match party.begin(&sign_in.nonce, key).await? {
            Start::Redirect(url) => redirect(&url),
            Start::Form { action, request } => pages::saml(provider.name(), &action, &request, key),
        },
        Provider::Dev(_) if !from_this_machine(extensions) => return Ok(not_for_others()),
        Provider::Dev(dev) => pages::dev(DEV, key, goal, dev.users()),
        Provider::Workload(_) | Provider::Service(_) => {
            return Ok(refused_page("Workloads do not log in with a browser."));
        }
    };
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Tells whoever waits for the sign-in that its provider failed.
pub(super) async fn provider_failed(
    identities: &Identities,
    name: &str,
    goal: &Goal,
    error: &ProviderError,
) -> Response {
    identities.login_failed(name, error);
    goal::miss(identities, goal, "temporarily_unavailable", &error.of(name)).await
}

/// The page of providers: each a link to this very request with its name.
async fn choose(identities: &Identities, providers: &[Arc<Provider>], request: &Request) -> Response {
    let href = |provider: &Provider| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("client_id", request.client.id())
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", request.redirect_uri.as_str())
            .append_pair("code_challenge", &request.challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(state) = &request.state {
            query.append_pair("state", state);
        }
        query.append_pair("provider", provider.name()).append_pair(CHOSEN, "1");
        format!("{AUTHORIZE}?{}", query.finish())
    };
    let back = told(
        identities,
        &request.redirect_uri,
        request.state.as_deref(),
        "access_denied",
        "the sign-in was given up in the browser",
    );
    pages::choose(choices(providers, href).await, Some(back.as_str()))
}

/// The choices of a page of providers. One that cannot be asked now says why, and can still be tried.
pub(super) async fn choices(providers: &[Arc<Provider>], href: impl Fn(&Provider) -> String) -> Vec<Choice> {
    let troubles = join_all(providers.iter().map(|provider| trouble(provider))).await;
    let choice = |(provider, trouble): (&Arc<Provider>, _)| Choice {
        name: provider.name().to_owned(),
        href: href(provider),
        trouble,
    };
    providers.iter().zip(troubles).map(choice).collect()
}

/// Why a provider cannot be asked now, as far as that shows before anybody is sent there.
async fn trouble(provider: &Provider) -> Option<String> {
    let Provider::Oidc(party) = provider else { return None };
    match tokio::time::timeout(LOOK, party.available()).await {
        Ok(Ok(())) => None,
        Ok(Err(
            ProviderError::Unreachable(why) | ProviderError::Refused(why) | ProviderError::Invalid(why),
        )) => Some(why),
        Err(_) => Some(format!("it did not answer within {} s", LOOK.as_secs())),
    }
}
