//! The HTTPS face: signing in, the API, and a signpost for everything else.

use std::sync::Arc;

use axum::{Router, body::Body, response::Response};
use http::StatusCode;

use crate::{
    clock::Clock,
    gateway::{
        api::{self, ApiState},
        identity::Identities,
        respond::{Problem, Voice},
    },
    id,
    wire::code,
};

/// Everything that is served to HTTPS clients.
pub(super) fn router(identities: &Arc<Identities>, state: ApiState) -> Router {
    let clock = state.clock.clone();
    identities.router().merge(api::router(state)).fallback(move || std::future::ready(nothing_here(&clock)))
}

/// All that is said beside models where client certificates are asked for.
pub(super) fn signpost(clock: &Clock) -> Router {
    let clock = clock.clone();
    Router::new().fallback(move || std::future::ready(nothing_here(&clock)))
}

fn nothing_here(clock: &Clock) -> Response {
    Problem::new(code::BAD_REQUEST, "this gateway has nothing at this path")
        .status(StatusCode::NOT_FOUND)
        .remedy("to use a model, open a local port to it: hoopctl connect MODEL; or send requests to /models/MODEL/… with a token of `hoopctl token MODEL`")
        .answer(Voice::Plain, &id::new("req", clock.now()))
        .map(Body::from)
}
