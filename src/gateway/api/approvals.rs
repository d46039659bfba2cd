//! `/api/v1/approvals`: requests for approval, as their requesters and approvers see and decide them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    extract::{Path, Query, Request, State},
    response::Response,
};
use http::Uri;
use serde::{Deserialize, Serialize};

use super::{ApiState, Guest, allowed, body, dress::ApiError, routes::Route};
use crate::{
    clock::rfc3339,
    gateway::{
        approval::{self, ApprovalError, Decider, Filter, MAX_PAGE, notify::Describe},
        audit::{self, Own},
        policy::Action,
        respond::Problem,
    },
    wire::{
        api::{Approval, ApprovalDecision, ApprovalHistory, ApprovalRequest},
        code,
    },
};

/// Requests in an answer when the query does not say.
const USUAL_PAGE: usize = 50;
/// The most requests looked through for one answer; those a caller may not see are left out.
const MOST_READ: usize = 1000;
/// What a requester did with a model is told for so long.
const HISTORY: Duration = Duration::from_hours(24 * 7);
/// The most events counted for a history, in pages of the audit log.
const MOST_PAGES: usize = 10;
/// The longest id that is looked up, in bytes.
const MAX_ID: usize = 64;
/// The longest shortening that is understood, in seconds; it is bounded by the policy anyway.
const MAX_LASTS: u64 = 10_000 * 86_400;

/// The query's parameters, as the OpenAPI document has them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    state: Option<String>,
    before: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Listed {
    schema: u32,
    approvals: Vec<Approval>,
    next: Option<String>,
}

/// `GET /api/v1/approvals`.
pub(super) async fn list(
    State(state): State<ApiState>,
    guest: Guest,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut filter = filter(&uri)?;
    let wanted = filter.limit;
    filter.limit = MAX_PAGE;
    let everything = reads_everything(&state, &guest);
    let (mut approvals, mut read, mut next) = (Vec::new(), 0, None);
    'pages: while read < MOST_READ {
        let page = state.approvals.list(&filter).await.map_err(ApprovalError::from).map_err(Problem::from)?;
        let last = page.len() < MAX_PAGE;
        for request in page {
            if approvals.len() == wanted {
                next.clone_from(&filter.before);
                break 'pages;
            }
            read += 1;
            filter.before = Some(request.id.clone());
            if everything || visible(&state, &guest, &request) {
                approvals.push(shown(&state, &guest, &request));
            }
        }
        if last {
            break;
        }
        if read >= MOST_READ {
            next.clone_from(&filter.before);
        }
    }
    Ok(body::json(&Listed { schema: 1, approvals, next })?)
}

/// `GET /api/v1/approvals/{id}`.
pub(super) async fn show(
    State(state): State<ApiState>,
    guest: Guest,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let request = find(&state, &guest, &id).await?;
    let mut approval = shown(&state, &guest, &request);
    approval.history = Some(history(&state, &request).await?);
    Ok(body::json(&approval)?)
}

/// `POST /api/v1/approvals`.
pub(super) async fn request(
    State(state): State<ApiState>,
    guest: Guest,
    request: Request,
) -> Result<Response, ApiError> {
    let asked: ApprovalRequest = body::read(request).await?;
    let reason = asked.reason.as_deref();
    let request = state
        .pipeline
        .request_approval(&guest.caller, guest.source, guest.transport, &asked.model, reason)
        .await?;
    Ok(body::json(&shown(&state, &guest, &request))?)
}

/// `POST /api/v1/approvals/{id}/approve`.
pub(super) async fn approve(
    State(state): State<ApiState>,
    guest: Guest,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    find(&state, &guest, &id).await?;
    let ApprovalDecision { lasts, comment } = body::read(request).await?;
    if lasts.is_some_and(|lasts| lasts > MAX_LASTS) {
        return Err(Problem::new(code::BAD_REQUEST, "`lasts` is longer than 10,000 days").into());
    }
    let lasts = lasts.map(Duration::from_secs);
    let decided = state.approvals.approve(&id, decider(&guest), lasts, comment.as_deref()).await;
    let decided = decided.map_err(Problem::from)?;
    Ok(body::json(&shown(&state, &guest, &decided))?)
}

/// `POST /api/v1/approvals/{id}/deny`.
pub(super) async fn deny(
    State(state): State<ApiState>,
    guest: Guest,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    find(&state, &guest, &id).await?;
    let ApprovalDecision { lasts, comment } = body::read(request).await?;
    if lasts.is_some() {
        return Err(Problem::new(code::BAD_REQUEST, "only a yes can have `lasts`").into());
    }
    let decided = state.approvals.deny(&id, decider(&guest), comment.as_deref()).await;
    let decided = decided.map_err(Problem::from)?;
    Ok(body::json(&shown(&state, &guest, &decided))?)
}

/// The request, if the guest may see it.
async fn find(state: &ApiState, guest: &Guest, id: &str) -> Result<Arc<approval::Request>, Problem> {
    if id.len() > MAX_ID {
        return Err(ApprovalError::Unknown.into());
    }
    let found = state.approvals.get(id).await.map_err(ApprovalError::from)?;
    found
        .filter(|request| reads_everything(state, guest) || visible(state, guest, request))
        .ok_or_else(|| ApprovalError::Unknown.into())
}

fn filter(uri: &Uri) -> Result<Filter, Problem> {
    let wrong = |why: String| {
        Problem::new(code::BAD_REQUEST, why).remedy("see /api/v1/openapi.json for the parameters")
    };
    let Query(asked) = Query::<Parameters>::try_from_uri(uri)
        .map_err(|e| wrong(format!("the query is not understood: {}", e.body_text())))?;
    let limit = asked.limit.unwrap_or(USUAL_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(wrong(format!("`limit` must lie between 1 and {MAX_PAGE}")));
    }
    let state = match asked.state.as_deref() {
        None | Some("pending") => Some("pending"),
        Some("approved") => Some("approved"),
        Some("denied") => Some("denied"),
        Some("expired") => Some("expired"),
        Some("all") => None,
        Some(_) => {
            return Err(wrong("`state` must be pending, approved, denied, expired or all".to_owned()));
        }
    };
    Ok(Filter { state, before: asked.before, limit, ..Filter::default() })
}

fn decider(guest: &Guest) -> Decider<'_> {
    Decider { caller: &guest.caller, source: guest.source, transport: guest.transport }
}

fn visible(state: &ApiState, guest: &Guest, request: &approval::Request) -> bool {
    request.requester.is_caller(&guest.caller) || state.approvals.may_decide(request, decider(guest))
}

fn reads_everything(state: &ApiState, guest: &Guest) -> bool {
    let policies = state.policies.load();
    [Action::ReadAudit, Action::Administer]
        .into_iter()
        .any(|action| allowed(&policies, &state.clock, guest, action, Route::Approvals))
}

/// How a request is shown to nobody in particular, with its requester's last seven days: on pages and in messages.
pub fn describe(state: ApiState) -> Describe {
    Arc::new(move |request| {
        let state = state.clone();
        Box::pin(async move {
            let mut approval = plain(&state, &request);
            // Logged there; a message without the history is better than none.
            approval.history = history(&state, &request).await.ok();
            approval
        })
    })
}

fn shown(state: &ApiState, guest: &Guest, request: &approval::Request) -> Approval {
    let mut approval = plain(state, request);
    let open = matches!(approval.state.as_str(), "pending" | "approved");
    approval.decidable = open && state.approvals.may_decide(request, decider(guest));
    approval
}

fn plain(state: &ApiState, request: &approval::Request) -> Approval {
    let now = state.clock.now();
    let word = request.word(now);
    let (approvals, needed) = request.progress();
    let voters = |yes: bool| request.votes.iter().filter(move |vote| vote.yes == yes);
    Approval {
        schema: 1,
        id: request.id.clone(),
        state: word.to_owned(),
        model: request.model.clone(),
        requester: request.requester.user.clone(),
        reason: request.reason.clone(),
        approvals,
        needed,
        expires_at: rfc3339(request.ends_at()),
        created_at: rfc3339(request.created_at),
        lasts: request.lasts().as_secs(),
        approvers: request.approvers(),
        approved_by: voters(true).map(|vote| vote.person.user.clone()).collect(),
        denied_by: voters(false).next_back().map(|vote| vote.person.user.clone()),
        comment: request.votes.last().and_then(|vote| vote.comment.clone()),
        url: state.approvals.page(&request.id),
        decidable: false,
        history: None,
    }
}

/// What the requester did with the model in the last seven days: at most [`MOST_PAGES`] pages of events are counted.
async fn history(state: &ApiState, request: &approval::Request) -> Result<ApprovalHistory, Problem> {
    let now = state.clock.now();
    let since = now.checked_sub(HISTORY).unwrap_or(SystemTime::UNIX_EPOCH);
    let person = &request.requester;
    let mut history = ApprovalHistory::default();
    let mut after = Some(0);
    for _ in 0..MOST_PAGES {
        let Some(cursor) = after else { break };
        let filter = audit::Filter {
            since: Some(since),
            model: Some(request.model.clone()),
            kind: Some("exchange".to_owned()),
            own: Some(Own { subject: person.subject.clone(), provider: person.provider.clone() }),
            after: Some(cursor),
            limit: audit::MAX_PAGE,
            ..audit::Filter::default()
        };
        let page = state.scribe.query(&filter).await.map_err(|error| {
            tracing::error!(%error, "the audit log could not be read");
            Problem::new(code::AUDIT_UNAVAILABLE, "the gateway's audit log cannot be read now")
                .remedy("try again; the gateway's log says why")
        })?;
        for event in page.events {
            match event.response.as_ref().is_some_and(|response| response.outcome == "refused") {
                true => history.refused += 1,
                false => history.exchanges += 1,
            }
            history.last = Some(event.time);
        }
        after = page.next;
    }
    let given = Filter {
        requester: Some((person.provider.clone(), person.subject.clone())),
        model: Some(request.model.clone()),
        since: Some(since),
        limit: MAX_PAGE,
        ..Filter::default()
    };
    let given = state.approvals.list(&given).await.map_err(ApprovalError::from)?;
    history.approved = given.iter().filter(|request| request.was_approved()).count() as u64;
    Ok(history)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::gateway::{
        api::testing::{World, caller, json},
        approval::Asking,
        policy::Terms,
    };

    fn guest(subject: &str, groups: &[&str]) -> Guest {
        Guest { caller: caller(subject, groups).into(), source: None, transport: None }
    }

    /// A world in which alice waits for somebody of `risk`.
    async fn world() -> (World, String) {
        let world = World::new().await;
        let alice = caller("alice", &[]);
        let terms = [Terms {
            policy: "jit".into(),
            digest: String::new(),
            approvers: vec!["risk".into()],
            lasts: HISTORY,
            needed: 1,
        }];
        let asking =
            Asking { caller: &alice, model: "m", model_identity: "one", terms: &terms, reason: Some("why") };
        let id = world.state.approvals.ask(asking).await.unwrap().id.clone();
        world.state.approvals.models_are([("m".to_owned(), "one".to_owned())].into());
        (world, id)
    }

    async fn listed(world: &World, guest: Guest, query: &str) -> usize {
        let uri = format!("/api/v1/approvals{query}").parse().unwrap();
        let answer: serde_json::Value =
            json(list(State(world.state.clone()), guest, uri).await.unwrap()).await;
        answer["approvals"].as_array().unwrap().len()
    }

    #[tokio::test]
    async fn requesters_deciders_and_auditors_see_a_request_and_nobody_else() {
        let (world, id) = world().await;
        for (guest, sees) in [
            (guest("alice", &[]), 1),
            (guest("bob", &["risk"]), 1),
            (guest("erin", &["auditors"]), 1),
            (guest("dave", &["admins"]), 1),
            (guest("carol", &["ml"]), 0),
        ] {
            assert_eq!(listed(&world, guest.clone(), "").await, sees, "{guest:?}");
            let shown = show(State(world.state.clone()), guest, Path(id.clone())).await;
            assert_eq!(shown.is_ok(), sees == 1);
            if let Err(ApiError(problem)) = shown {
                assert_eq!(problem.http_status(), 404);
            }
        }
        assert_eq!(listed(&world, guest("alice", &[]), "?state=denied").await, 0);
    }

    #[tokio::test]
    async fn a_decision_is_answered_once_and_then_with_a_conflict() {
        let (world, id) = world().await;
        let say = |guest: Guest, body: &'static str| {
            approve(State(world.state.clone()), guest, Path(id.clone()), Request::new(Body::from(body)))
        };
        let own = say(guest("alice", &["risk"]), "{}").await.unwrap_err().0;
        assert_eq!((own.code(), own.http_status().as_u16()), (code::DENIED, 403));
        let auditor = say(guest("erin", &["auditors"]), "{}").await.unwrap_err().0;
        assert_eq!(auditor.http_status(), 403);
        let approved: Approval = json(say(guest("bob", &["risk"]), r#"{"lasts":900}"#).await.unwrap()).await;
        assert_eq!((approved.state.as_str(), approved.lasts, approved.approvals), ("approved", 900, 1));
        let again = say(guest("carol", &["risk"]), "{}").await.unwrap_err().0;
        assert_eq!((again.http_status().as_u16(), again.message()), (409, "the request is approved already"));
    }
}
