//! Login without a browser at hand (RFC 8628): a terminal shows a code, a browser anywhere else agrees to it and signs in.
//!
//! ```text
//!  terminal ── POST /oauth2/device_authorization ──▶ device_code (its secret), user_code (shown)
//!  browser  ── /device: user_code ──▶ "is this you?" ──▶ provider ──▶ the request is approved
//!  terminal ── POST /oauth2/token, every 5 s ──▶ authorization_pending … tokens, once
//! ```

mod consent;
mod pace;
mod waiting;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Request, State},
    http::{Extensions, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use super::{
    authorize::offered,
    params::Params,
    token::{Failure, check_client, read},
};
use crate::{gateway::identity::Identities, secret::ExposeSecret, wire::api::DeviceAuthorization};
use pace::Pace;
pub(super) use waiting::{Grant, approve, deny, redeem};

/// The grant's name at the token endpoint.
pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Where devices ask.
pub(super) const AUTHORIZATION: &str = "/oauth2/device_authorization";
/// Where people enter the code.
const PAGE: &str = "/device";
/// Where the consent form goes.
const ANSWER: &str = "/device/answer";
/// Where somebody who agreed goes on to sign in, when there are several providers.
const SIGN_IN: &str = "/device/sign-in";

/// How long a request waits for its person.
const LIFE: Duration = Duration::from_secs(10 * 60);
/// Seconds between two polls (RFC 8628 §3.5), and what a poll that comes too early adds.
const INTERVAL: u64 = 5;
/// The longest name a device may give itself, in characters.
const MAX_NAME: usize = 80;

/// Requests a minute from one source and altogether: each is kept until it is over.
const REQUESTS: (u32, u32) = (20, 120);
/// Wrong codes a minute from one source and altogether. At this pace all of 20⁸ codes take 160 years.
const GUESSES: (u32, u32) = (10, 300);

/// What the pages and the endpoint share.
struct Desk {
    identities: Arc<Identities>,
    requests: Pace,
    guesses: Pace,
}

/// The endpoint and the pages.
pub(super) fn router(identities: Arc<Identities>) -> Router {
    let desk = Desk {
        identities,
        requests: Pace::new(REQUESTS.0, REQUESTS.1),
        guesses: Pace::new(GUESSES.0, GUESSES.1),
    };
    Router::new()
        .route(AUTHORIZATION, post(authorization))
        .route(PAGE, get(consent::page).post(consent::entered))
        .route(ANSWER, post(consent::answered))
        .route(SIGN_IN, get(consent::sign_in))
        .with_state(Arc::new(desk))
}

/// `POST /oauth2/device_authorization` (RFC 8628 §3.1): a device begins to wait.
async fn authorization(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    match begin(&desk, request).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

async fn begin(desk: &Desk, request: Request) -> Result<Response, Failure> {
    let source = source(request.extensions());
    let (_, params) = read(request).await?;
    check_client(&params)?;
    let identities = &desk.identities;
    let provider = params.one("provider")?.map(str::to_owned);
    offered(identities, provider.as_deref()).map_err(|why| Failure::new("invalid_request", why))?;
    if !desk.requests.allow(source, identities.sessions.clock.now()) {
        return Err(Failure::new(
            "temporarily_unavailable",
            "too many devices ask to be logged in just now; try again in a minute",
        ));
    }
    let asked = waiting::Asked { name: name(&params)?, source, provider };
    let (device_code, user_code) = waiting::begin(identities, asked).await?;
    let page = format!("{}{PAGE}", identities.issuer);
    let body = DeviceAuthorization {
        device_code: device_code.expose_secret().to_owned(),
        verification_uri_complete: Some(format!("{page}?user_code={user_code}")),
        user_code,
        verification_uri: page,
        expires_in: LIFE.as_secs(),
        interval: INTERVAL,
    };
    Ok((StatusCode::OK, Json(body)).into_response())
}

/// What the device calls itself: its own word, so it is shown as that, bounded and without what moves text about.
fn name(params: &Params) -> Result<String, Failure> {
    let said = params.one("device_name")?.unwrap_or("a program that did not say its name");
    let plain =
        |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '-' | '_' | '/' | '(' | ')' | '@' | '+');
    Ok(said.chars().filter(plain).take(MAX_NAME).collect())
}

/// Who sent a request, as far as this gateway sees.
fn source(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical())
}
