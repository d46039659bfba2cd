//! The gateway's own pages for people: approvals, on any screen, without script. A browser signs in through the gateway's own
//! authorization server; every form is bound to its session.
//!
//! ```text
//!  request ─▶ guard (headers) ─▶ visitor (session, groups) ─▶ page; forms: same origin and the session's token
//! ```

mod approvals;
mod decide;
mod shape;
mod visit;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{
    Router, middleware,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};

use crate::{
    clock::Clock,
    gateway::{
        approval::{Approvals, notify::Describe},
        identity::{Identities, guard},
        pipeline::Pipeline,
    },
};

/// What the pages show and do.
#[derive(Clone)]
pub struct Console {
    /// Who is at the browser.
    pub identities: Arc<Identities>,
    /// The requests.
    pub approvals: Approvals,
    /// How a request is shown, with what its requester did lately.
    pub describe: Describe,
    /// The models.
    pub pipeline: Pipeline,
    /// The time.
    pub clock: Clock,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Console")
    }
}

/// `/console` and everything below it.
pub fn router(console: Console) -> Router {
    let first = || async { Redirect::to(FIRST).into_response() };
    Router::new()
        .route("/console", get(first))
        .route("/console/", get(first))
        .route("/console/callback", get(visit::callback))
        .route("/console/sign-out", post(visit::sign_out))
        .route("/console/signed-out", get(visit::signed_out))
        .route(FIRST, get(approvals::all))
        .route("/console/approvals/{id}", get(approvals::one).post(decide::decide))
        .with_state(console)
        .layer(middleware::from_fn(guard))
}

/// Where people begin.
const FIRST: &str = "/console/approvals";
