//! The HTTPS face: signing in, the API, the pages, Slack's buttons, and a signpost for everything else.

use std::sync::Arc;

use axum::{Router, body::Body, response::Response};
use http::StatusCode;

use crate::{
    clock::Clock,
    gateway::{
        api::{self, ApiState},
        approval::notify::Notifier,
        console::{self, Console},
        respond::{Problem, Voice},
    },
    id,
    wire::code,
};

/// Everything that is served to HTTPS clients.
pub(super) fn router(state: ApiState, notifier: &Arc<Notifier>) -> Router {
    let clock = state.clock.clone();
    let console = Console {
        identities: Arc::clone(&state.identities),
        approvals: state.approvals.clone(),
        describe: api::describe(state.clone()),
        pipeline: state.pipeline.clone(),
        clock: clock.clone(),
    };
    let pages = console::router(console).merge(notifier.router());
    let signing_in = state.identities.router();
    signing_in
        .merge(pages)
        .merge(api::router(state))
        .fallback(move || std::future::ready(nothing_here(&clock)))
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
