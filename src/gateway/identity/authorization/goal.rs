//! What a sign-in was for, reached or missed: the client gets its code, the waiting device its answer.

use axum::{http::StatusCode, response::Response};
use url::Url;

use super::{
    authorize::{redirect, refuse, refused_page},
    code::{self, Grant},
    device,
    request::{Client, answer},
};
use crate::{
    gateway::identity::{
        Identities,
        browser::{Goal, SignIn},
        pages,
        provider::Claimed,
        sessions::SignedIn,
    },
    secret::{ExposeSecret, SecretString},
};

const NOBODY_WAITS: &str = "Nobody waits for this sign-in any more.";

/// Somebody signed in, for a session that ends at `ends` (milliseconds since 1970) at the latest.
pub(super) async fn reach(
    identities: &Identities,
    sign_in: &SignIn,
    (claimed, signed_in): (Claimed, SignedIn),
    refresh: Option<SecretString>,
    ends: Option<i64>,
) -> Response {
    let sessions = &identities.sessions;
    let session = sessions.new_id();
    let provider_refresh = refresh.and_then(|token| sessions.seal_refresh(&session, &token));
    let caller = claimed.caller(&sign_in.provider, false, session);
    match &sign_in.goal {
        Goal::Redirect { redirect_uri, state, challenge } => {
            let Some(to) = Client::of_redirect(redirect_uri, &identities.issuer) else {
                return refused_page(NOBODY_WAITS);
            };
            let grant = Grant {
                caller,
                redirect_uri: redirect_uri.clone(),
                challenge: challenge.clone(),
                provider_refresh,
                ends,
                signed_in,
            };
            match code::issue(identities, &grant).await {
                Ok(code) => send_code(identities, &to, state.as_deref(), &code),
                Err(refusal) => refuse(identities, &to, state.as_deref(), "server_error", &refusal.message),
            }
        }
        Goal::Device { request } => {
            let user = caller.user().to_owned();
            let grant = device::Grant { caller, provider_refresh, ends, signed_in };
            match device::approve(identities, request, grant).await {
                Ok(true) => pages::device_done(&user),
                Ok(false) => refused_page(NOBODY_WAITS),
                Err(refusal) => pages::error(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    &refusal.message,
                    "Go back to the terminal and run `hoopctl login` again.",
                ),
            }
        }
    }
}

/// Nobody signed in: `error` is a word of RFC 6749 §4.1.2.1.
pub(super) async fn miss(identities: &Identities, goal: &Goal, error: &str, why: &str) -> Response {
    match goal {
        Goal::Redirect { redirect_uri, state, .. } => {
            match Client::of_redirect(redirect_uri, &identities.issuer) {
                Some(to) => refuse(identities, &to, state.as_deref(), error, why),
                None => refused_page(NOBODY_WAITS),
            }
        }
        Goal::Device { request } => {
            // A provider that is away leaves the device waiting, so that the person can try again.
            let next = if error == "access_denied" {
                if let Err(refusal) = device::deny(identities, request).await {
                    tracing::error!(error = %refusal, "a device could not be told that it is denied");
                }
                "Nothing was signed in, and the terminal says so. Run `hoopctl login` there to try again."
            } else {
                "The terminal still waits: open its address again in a moment, or press Ctrl-C there."
            };
            pages::error(StatusCode::BAD_GATEWAY, why, next)
        }
    }
}

fn send_code(identities: &Identities, to: &Url, state: Option<&str>, code: &SecretString) -> Response {
    redirect(&answer(
        to,
        &[("code", Some(code.expose_secret())), ("state", state), ("iss", Some(&identities.issuer))],
    ))
}
