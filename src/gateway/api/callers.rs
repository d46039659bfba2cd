//! What callers learn about themselves, and the end of their sessions.

use axum::{
    extract::{Request, State},
    response::Response,
};
use serde::Serialize;

use super::{ApiState, Guest, allowed, body, dress::ApiError, forbidden, routes::Route};
use crate::{
    gateway::{policy::Action, respond::Problem},
    wire::{
        api::{CredentialRequest, Lifted, ModelTokenRequest, Revocation, Revoked},
        code,
    },
};

/// The longest name of whom to revoke, in bytes.
const MAX_WHO: usize = 512;

/// `GET /api/v1/me`.
#[derive(Serialize)]
struct Me<'a> {
    schema: u32,
    user: &'a str,
    subject: &'a str,
    email: Option<&'a str>,
    groups: &'a [String],
    provider: &'a str,
    workload: bool,
    session: &'a str,
}

pub(super) async fn me(guest: Guest) -> Result<Response, ApiError> {
    let caller = &guest.caller;
    let me = Me {
        schema: 1,
        user: caller.user(),
        subject: &caller.subject,
        email: caller.email.as_deref(),
        groups: &caller.groups,
        provider: &caller.provider,
        workload: caller.workload,
        session: &caller.session,
    };
    Ok(body::json(&me)?)
}

/// `GET /api/v1/models`: an array of [`crate::wire::api::Model`].
pub(super) async fn models(State(state): State<ApiState>, guest: Guest) -> Result<Response, ApiError> {
    let models = state.pipeline.models_for(&guest.caller, guest.source, guest.transport);
    Ok(body::json(&models)?)
}

/// `POST /api/v1/credentials`.
pub(super) async fn credentials(
    State(state): State<ApiState>,
    guest: Guest,
    request: Request,
) -> Result<Response, ApiError> {
    if guest.transport.is_some() {
        // A renewal reads the groups anew; this would go on with those of the login for as long as it lasts.
        let wrong = "a connection renews its credential over its control stream";
        return Err(Problem::new(code::BAD_REQUEST, wrong).into());
    }
    let asked: CredentialRequest = body::read(request).await?;
    Ok(body::json(&state.identities.issue(&guest.caller, &asked.csr).await?)?)
}

/// `POST /api/v1/tokens`.
pub(super) async fn tokens(
    State(state): State<ApiState>,
    guest: Guest,
    request: Request,
) -> Result<Response, ApiError> {
    let ModelTokenRequest { model } = body::read(request).await?;
    Ok(body::json(&state.identities.model_token(&guest.caller, &model).await?)?)
}

/// `POST /api/v1/revocations`.
pub(super) async fn revocations(
    State(state): State<ApiState>,
    guest: Guest,
    request: Request,
) -> Result<Response, ApiError> {
    if !allowed(&state.policies.load(), &state.clock, &guest, Action::Administer, Route::Revocations) {
        return Err(forbidden(&guest.caller, Action::Administer).into());
    }
    let Revocation { who } = named(request).await?;
    let ids = state.identities.revoke(&who, guest.caller.user()).await?;
    Ok(body::json(&Revoked { schema: 1, sessions: ids.len(), ids })?)
}

/// `POST /api/v1/suspensions/lift`.
pub(super) async fn lift(
    State(state): State<ApiState>,
    guest: Guest,
    request: Request,
) -> Result<Response, ApiError> {
    if !allowed(&state.policies.load(), &state.clock, &guest, Action::Administer, Route::Lift) {
        return Err(forbidden(&guest.caller, Action::Administer).into());
    }
    let Revocation { who } = named(request).await?;
    let now = state.clock.now();
    let lifted = state.answers.lift(&who, &guest.caller, &state.scribe, now).await.map_err(Problem::from)?;
    Ok(body::json(&Lifted { schema: 1, lifted: lifted.len() })?)
}

/// Whom a request is about.
async fn named(request: Request) -> Result<Revocation, ApiError> {
    let asked: Revocation = body::read(request).await?;
    if asked.who.is_empty() || asked.who.len() > MAX_WHO {
        let wrong = format!("`who` must name a session or a user in 1 to {MAX_WHO} bytes");
        return Err(Problem::new(code::BAD_REQUEST, wrong).into());
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;

    use super::*;
    use crate::gateway::{
        api::testing::{World, caller, json},
        audit::anomalies::{Answer, Held, doubles},
    };

    async fn ask(world: &World, by: &str, groups: &[&str], who: &str) -> Result<usize, String> {
        let guest = Guest { caller: caller(by, groups).into(), source: None, transport: None };
        let body = serde_json::to_vec(&Revocation { who: who.to_owned() }).unwrap();
        let request = Request::builder().header("content-type", "application/json").body(Body::from(body));
        match lift(State(world.state.clone()), guest, request.unwrap()).await {
            Ok(response) => Ok(json::<Lifted>(response).await.lifted),
            Err(error) => Err(error.0.code().to_owned()),
        }
    }

    #[tokio::test]
    async fn a_suspension_is_lifted_by_another_administrator_alone() {
        let world = World::new().await;
        let (state, alice) = (&world.state, caller("alice", &["admins"]));
        let now = state.clock.now();
        let held = Held {
            id: "ev_1".into(),
            rule: "rate".into(),
            answer: Answer::Suspend,
            provider: alice.provider.clone(),
            subject: alice.subject.clone(),
            email: alice.email.clone(),
            since: now,
            until: now + Duration::from_hours(1),
        };
        doubles::hold(&state.answers, held).await;
        let who = "alice@example.test";
        assert_eq!(ask(&world, "bob", &["auditors"], who).await, Err("denied".into()));
        assert_eq!(ask(&world, "alice", &["admins"], who).await, Err("denied".into()));
        assert!(state.answers.suspension(&alice, now).is_some());
        assert_eq!(ask(&world, "bob", &["admins"], "").await, Err("bad_request".into()));
        assert_eq!(ask(&world, "bob", &["admins"], "carol").await, Ok(0));
        assert_eq!(ask(&world, "bob", &["admins"], who).await, Ok(1));
        assert!(state.answers.suspension(&alice, now).is_none());
        let filter = crate::gateway::audit::Filter { limit: 10, ..Default::default() };
        let events = state.scribe.query(&filter).await.unwrap().events;
        let lifted: Vec<_> = events.iter().filter(|event| event.kind == "anomaly_lifted").collect();
        let [lifted] = lifted.as_slice() else { panic!("{events:?}") };
        assert!(lifted.detail.as_ref().unwrap().contains("alice@example.test is no longer suspended"));
        assert_eq!(lifted.caller.as_ref().unwrap().subject, "bob");
    }
}
