//! REST API `/api/v1/*`, over HTTPS with a bearer token and over the tunnel, where the caller is known.
//!
//! ```text
//!  request ─▶ dress (request id, errors, no-store) ─▶ guest (who is asking) ─▶ one of `Route::ALL`
//! ```

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;

use crate::{
    clock::Clock,
    gateway::{
        approval::Approvals,
        audit::{Log, Scribe, anomalies::Answers},
        identity::{Caller, Identities},
        pipeline::Pipeline,
        policy::{Action, Context, Outcome, Policies, Question, Resource},
        respond::Problem,
    },
    wire::code,
};

mod approvals;
mod body;
mod callers;
mod dress;
mod events;
mod guest;
mod log;
mod openapi;
mod reading;
mod recordings;
mod report;
mod routes;
mod serve;
mod sessions;

pub use approvals::describe;
pub use serve::{serve_stream, tunnel_handler};

use guest::Guest;
use routes::Route;

/// What the API answers from.
#[derive(Clone)]
pub struct ApiState {
    /// Who is calling, credentials, revocation.
    pub identities: Arc<Identities>,
    /// The models.
    pub pipeline: Pipeline,
    /// Requests for approval.
    pub approvals: Approvals,
    /// Who may read the audit log and revoke.
    pub policies: Arc<ArcSwap<Policies>>,
    /// What alarms about unusual use were answered with.
    pub answers: Answers,
    /// The audit log.
    pub scribe: Scribe,
    /// Its verifiable side.
    pub log: Log,
    /// The time.
    pub clock: Clock,
}

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiState")
    }
}

/// The routes of `/api/v1/*`, to be merged into the HTTPS face and served on tunnel streams. Anything else below `/api/` is answered 404.
pub fn router(state: ApiState) -> Router {
    let clock = state.clock.clone();
    let routes = Route::ALL.iter().fold(Router::new(), |router, route| route.attach(router));
    dress::dress(routes.with_state(state), clock)
}

/// Whether policy lets a caller do something with the gateway as a whole.
fn allowed(policies: &Policies, clock: &Clock, guest: &Guest, action: Action, route: Route) -> bool {
    let question = Question {
        caller: &guest.caller,
        action,
        resource: Resource::Gateway,
        context: Context {
            transport: guest.transport,
            upstream_encrypted: false,
            source_ip: guest.source,
            now: clock.now(),
            method: route.method(),
            path: route.path(),
            requested_model: None,
        },
    };
    policies.decide(&question, false).outcome == Outcome::Permit
}

/// The answer to a caller whom policy does not let `action`.
fn forbidden(caller: &Caller, action: Action) -> Problem {
    let (user, action) = (caller.user(), action.name());
    Problem::new(code::DENIED, format!("policy does not let {user} {} the gateway", action.replace('_', " ")))
        .remedy(format!(
            "ask the gateway's operator for a policy that permits Action::\"{action}\" on Gateway::\"gateway\""
        ))
}

#[cfg(test)]
mod testing;
