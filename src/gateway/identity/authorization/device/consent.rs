//! The pages of a device login: the code is entered, the device shown, agreed to or denied, and then somebody signs in.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{RawQuery, Request, State},
    http::{Extensions, HeaderMap, StatusCode, header},
    response::Response,
};
use serde::{Deserialize, Serialize};

use super::{
    super::{
        authorize::{begin, choices, offered, provider_failed},
        params::Params,
        read_form,
        sign_in::without_cookie,
    },
    ANSWER, Desk, PAGE, SIGN_IN, source,
    waiting::{self, Waiting},
};
use crate::{
    clock::unix_millis,
    gateway::identity::{
        browser::{self, Goal},
        pages::{self, DeviceConsent},
        provider::Provider,
    },
    id,
    secret::ExposeSecret,
    wire::Refusal,
};

const UNKNOWN: &str =
    "No terminal waits with this code. Compare it letter by letter; codes last ten minutes.";
const TOO_MANY: &str = "Too many wrong codes were entered. Wait a minute, then try again.";
const NOT_ASKED: &str =
    "This page was not opened in this browser, or more than ten minutes ago. Nothing was signed in.";
const FOREIGN: &str = "This form does not stand on a page of this gateway. Nothing was signed in.";
const NEXT: &str = "Open the address that the terminal shows.";

/// What the consent page's browser keeps, sealed; the form's hidden field is its key.
#[derive(Serialize, Deserialize)]
struct Consent {
    request: String,
    /// Whether the person pressed "Continue".
    agreed: bool,
    /// Milliseconds since 1970.
    ends: i64,
}

/// `GET /device`: the form, filled in when the address brings a code. It asks nobody anything, so that programs that look
/// ahead at links change nothing.
pub(super) async fn page(RawQuery(query): RawQuery) -> Response {
    let params = Params::read(query.unwrap_or_default().as_bytes());
    let code = params.as_ref().and_then(|params| params.one("user_code").ok().flatten()).unwrap_or_default();
    let code: String = code.chars().filter(|c| c.is_ascii_alphabetic() || *c == '-').take(9).collect();
    pages::device_code(StatusCode::OK, PAGE, &code, "")
}

/// `POST /device`: shows the device behind a code.
pub(super) async fn entered(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let params = match form(&desk, &head.headers, body).await {
        Ok(params) => params,
        Err(why) => return refused(why),
    };
    let (identities, source) = (&desk.identities, source(&head.extensions));
    let typed = params.one("user_code").ok().flatten().unwrap_or_default();
    // Asked before the code is looked at: whoever has guessed too often learns nothing more.
    if !desk.guesses.has_room(source, identities.sessions.clock.now()) {
        return pages::device_code(StatusCode::TOO_MANY_REQUESTS, PAGE, "", TOO_MANY);
    }
    match waiting::find(identities, typed).await {
        Ok(Some((request, waiting))) => ask(&desk, request, &waiting),
        Ok(None) => {
            desk.guesses.allow(source, identities.sessions.clock.now());
            pages::device_code(StatusCode::BAD_REQUEST, PAGE, "", UNKNOWN)
        }
        Err(refusal) => failed(&refusal),
    }
}

/// `POST /device/answer`: the person agreed, or did not.
pub(super) async fn answered(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let params = match form(&desk, &head.headers, body).await {
        Ok(params) => params,
        Err(why) => return refused(why),
    };
    let key = params.one("consent").ok().flatten().unwrap_or_default();
    let Some(consent) = Consent::of(&desk, &head.headers, key) else { return refused(NOT_ASKED) };
    let identities = &desk.identities;
    match params.one("answer") {
        Ok(Some("continue")) => {
            let agreed = Consent { agreed: true, ..consent };
            let response = go_on(&desk, &head.extensions, &agreed, key, None).await;
            with_consent(&desk, response, &agreed, key)
        }
        Ok(Some("deny")) => match waiting::deny(identities, &consent.request).await {
            Ok(true) => {
                tracing::info!("a person denied a device login");
                without_cookie(pages::device_denied(), key)
            }
            Ok(false) => refused(UNKNOWN),
            Err(refusal) => failed(&refusal),
        },
        _ => refused("The form has no answer."),
    }
}

/// `GET /device/sign-in`: who agreed chose a provider.
pub(super) async fn sign_in(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    extensions: Extensions,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(params) = Params::read(query.unwrap_or_default().as_bytes()) else { return refused(NOT_ASKED) };
    let key = params.one("consent").ok().flatten().unwrap_or_default();
    let consent = Consent::of(&desk, &headers, key).filter(|consent| consent.agreed);
    let (Some(consent), Ok(Some(provider))) = (consent, params.one("provider")) else {
        return refused(NOT_ASKED);
    };
    go_on(&desk, &extensions, &consent, key, Some(provider)).await
}

/// Sends who agreed to a provider, or asks which.
async fn go_on(
    desk: &Desk,
    extensions: &Extensions,
    consent: &Consent,
    key: &str,
    chosen: Option<&str>,
) -> Response {
    let identities = &desk.identities;
    let waiting = match waiting::undecided(identities, &consent.request).await {
        Ok(Some(waiting)) => waiting,
        Ok(None) => return refused(UNKNOWN),
        Err(refusal) => return failed(&refusal),
    };
    // What the device asked for goes before what a link says.
    let wanted = waiting.provider.as_deref().or(chosen);
    let offered_now = match offered(identities, wanted) {
        Ok(offered) => offered,
        Err(why) => return refused(&why),
    };
    let [provider] = offered_now.as_slice() else { return choose(&offered_now, key).await };
    let goal = Goal::Device { request: consent.request.clone() };
    let error = match begin(identities, extensions, provider, &goal).await {
        Ok(response) => return response,
        Err(error) => error,
    };
    let others = offered(identities, None).unwrap_or_default();
    if waiting.provider.is_none() && others.len() > 1 {
        identities.login_failed(provider.name(), &error);
        return choose(&others, key).await;
    }
    provider_failed(identities, provider.name(), &goal, &error).await
}

/// The page of providers: each a link that goes on with this consent.
async fn choose(providers: &[Arc<Provider>], key: &str) -> Response {
    let href = |provider: &Provider| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("consent", key)
            .append_pair("provider", provider.name())
            .finish();
        format!("{SIGN_IN}?{query}")
    };
    pages::choose(choices(providers, href).await, None)
}

/// "Is this you?"
fn ask(desk: &Desk, request: String, waiting: &Waiting) -> Response {
    let now = desk.identities.sessions.clock.now();
    let key = id::token();
    let consent = Consent { request, agreed: false, ends: unix_millis(now + super::LIFE) };
    let source =
        waiting.source.map_or_else(|| "an address that is not known".to_owned(), |ip| ip.to_string());
    let page = pages::device_consent(&DeviceConsent {
        action: ANSWER,
        key: key.expose_secret(),
        code: &waiting.user_code,
        name: &waiting.name,
        source: &source,
        minutes: waiting.minutes(now),
    });
    with_consent(desk, page, &consent, key.expose_secret())
}

impl Consent {
    fn of(desk: &Desk, headers: &HeaderMap, key: &str) -> Option<Self> {
        let sessions = &desk.identities.sessions;
        let consent: Self = browser::kept(headers, &sessions.seal, &context(key), key)?;
        (unix_millis(sessions.clock.now()) < consent.ends).then_some(consent)
    }
}

/// Adds the consent's cookie beside the one of a sign-in that the response may begin.
fn with_consent(desk: &Desk, mut response: Response, consent: &Consent, key: &str) -> Response {
    match browser::keep(&desk.identities.sessions.seal, &context(key), key, consent) {
        Some(cookie) => {
            response.headers_mut().append(header::SET_COOKIE, cookie);
            response
        }
        None => refused("The login could not be begun."),
    }
}

fn context(key: &str) -> String {
    format!("device consent {key}")
}

/// Reads a form that stands on our own pages: browsers say where a form stands, and these forms decide over a login.
async fn form(desk: &Desk, headers: &HeaderMap, body: Body) -> Result<Params, &'static str> {
    let own = headers
        .get(header::ORIGIN)
        .is_some_and(|origin| origin.as_bytes() == desk.identities.issuer.as_bytes());
    if !own {
        return Err(FOREIGN);
    }
    let form = read_form(headers, body).await?;
    Params::read(&form).ok_or("The form has too many fields.")
}

fn refused(why: &str) -> Response {
    pages::error(StatusCode::BAD_REQUEST, why, NEXT)
}

fn failed(refusal: &Refusal) -> Response {
    pages::error(StatusCode::INTERNAL_SERVER_ERROR, &refusal.message, "Try again in a moment.")
}
