//! The authorization server the CLI and the gateway's own pages log in to: OAuth 2.1's shape for two public clients, PKCE always.

mod authorize;
mod client;
mod code;
mod device;
mod discovery;
mod exchange;
mod goal;
mod params;
mod request;
mod revoke;
mod saml;
mod sign_in;
mod token;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;

use super::Identities;
pub(super) use {
    code::{CodeError, Presented, redeem},
    params::Params,
    request::{Client, console_address},
};

/// Where providers send browsers back to.
pub(super) const CALLBACK: &str = "/login/callback";
/// Where the `dev` sign-in page posts to.
const DEV: &str = "/login/dev";
/// Where the gateway's own pages take the codes they asked for.
const CONSOLE_CALLBACK: &str = "/console/callback";
/// Where SAML lives: `/saml/{provider}/…`.
pub(super) const SAML: &str = "/saml";
pub(super) const AUTHORIZE: &str = "/oauth2/authorize";
const TOKEN: &str = "/oauth2/token";
const REVOKE: &str = "/oauth2/revoke";
/// The longest form read, in bytes: a workload's token is the longest field.
const MAX_FORM: usize = 64 * 1024;
/// How long a form may take to arrive.
const FORM_TIME: Duration = Duration::from_secs(10);

/// Every page and endpoint of the room.
pub(super) fn router(identities: Arc<Identities>) -> Router {
    Router::new()
        .route("/.well-known/hoopctl", get(discovery::hoopctl))
        .route("/.well-known/oauth-authorization-server", get(discovery::metadata))
        .route(AUTHORIZE, get(authorize::authorize))
        .route(TOKEN, post(token::token))
        .route(REVOKE, post(revoke::revoke))
        .route(CALLBACK, get(sign_in::callback))
        .route(DEV, post(sign_in::dev))
        .route(&format!("{SAML}/{{name}}/metadata"), get(saml::metadata))
        .route(&format!("{SAML}/{{name}}/acs"), post(saml::acs))
        .route(&format!("{SAML}/{{name}}/continue"), get(saml::resume))
        .with_state(Arc::clone(&identities))
        .merge(device::router(identities))
        .layer(middleware::from_fn(guard))
}

/// What every answer to a browser carries: never cached, never framed, never sniffed, no address leaked to the next site.
pub(in crate::gateway) async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: browsers then send `Origin: null` with our own forms, and `dev` asks for ours.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}

/// Reads a form's body, bounded in length and time.
pub(in crate::gateway) async fn read_form(headers: &HeaderMap, body: Body) -> Result<Bytes, &'static str> {
    read_form_of(headers, body, MAX_FORM).await
}

/// Reads a form's body of at most `longest` bytes, bounded in time.
async fn read_form_of(headers: &HeaderMap, body: Body, longest: usize) -> Result<Bytes, &'static str> {
    let form = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    if !form {
        return Err("the body must be application/x-www-form-urlencoded");
    }
    match tokio::time::timeout(FORM_TIME, axum::body::to_bytes(body, longest)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err("the body is too long or was cut"),
        Err(_) => Err("the body did not arrive in time"),
    }
}
