//! `GET /api/v1/audit/events`: everybody may read what is recorded about themselves; `read_audit` lets read everything.

use std::time::SystemTime;

use axum::{
    extract::{Query, State},
    response::Response,
};
use http::Uri;
use serde::{Deserialize, Serialize};

use super::{ApiState, Guest, allowed, body, dress::ApiError, reading, routes::Route};
use crate::{
    clock::parse_rfc3339,
    evidence::event::Event,
    gateway::{
        audit::{Filter, MAX_PAGE, Own},
        policy::Action,
        respond::Problem,
    },
    wire::code,
};

/// Events in an answer when the request does not say.
const USUAL_PAGE: usize = 100;

/// The query's parameters, as the OpenAPI document has them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    since: Option<String>,
    until: Option<String>,
    user: Option<String>,
    model: Option<String>,
    kind: Option<String>,
    exchange: Option<String>,
    session: Option<String>,
    verdict: Option<String>,
    masked: Option<String>,
    after: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Answer {
    schema: u32,
    events: Vec<Event>,
    next: Option<u64>,
    cursor: u64,
}

pub(super) async fn events(
    State(state): State<ApiState>,
    guest: Guest,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut filter = filter(&uri)?;
    if !allowed(&state.policies.load(), &state.clock, &guest, Action::ReadAudit, Route::Events) {
        let caller = &guest.caller;
        filter.own = Some(Own { subject: caller.subject.clone(), provider: caller.provider.clone() });
    }
    let page = state.scribe.query(&filter).await.map_err(|error| {
        tracing::error!(%error, "the audit log could not be read");
        Problem::new(code::AUDIT_UNAVAILABLE, "the gateway's audit log cannot be read now")
            .remedy("try again; the gateway's log says why")
    })?;
    let others = page.events.iter().filter(|event| reading::of_others(event, &guest.caller)).count();
    if others > 0 {
        let asked = uri.query().filter(|query| !query.is_empty()).unwrap_or("everything");
        reading::record(&state, &guest, format!("{others} events of others: {asked}")).await?;
    }
    Ok(body::json(&Answer { schema: 1, events: page.events, next: page.next, cursor: page.cursor })?)
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
    let time = |name: &str, text: Option<String>| -> Result<Option<SystemTime>, Problem> {
        text.map(|text| {
            parse_rfc3339(&text)
                .ok_or_else(|| wrong(format!("`{name}` must be a time like 2026-11-23T07:15:46Z")))
        })
        .transpose()
    };
    Ok(Filter {
        since: time("since", asked.since)?,
        until: time("until", asked.until)?,
        user: asked.user,
        model: asked.model,
        kind: asked.kind,
        exchange: asked.exchange,
        session: asked.session,
        verdict: asked.verdict,
        masked: asked.masked,
        own: None,
        after: asked.after,
        limit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::event,
        gateway::api::testing::{World, caller, json},
    };

    /// A world with events of alice at two providers, of bob, and of nobody.
    async fn world() -> World {
        let world = World::new().await;
        for (id, subject, provider) in [
            ("ev_1", "alice", "corp"),
            ("ev_2", "bob", "corp"),
            ("ev_3", "alice", "partners"),
            ("ev_4", "", ""),
        ] {
            let who =
                event::Caller { subject: subject.into(), provider: provider.into(), ..Default::default() };
            let event = Event {
                id: id.into(),
                kind: "exchange".into(),
                caller: (!subject.is_empty()).then_some(who),
                ..Event::default()
            };
            world.state.scribe.record(event).await.unwrap();
        }
        world
    }

    async fn ids(world: &World, groups: &[&str], query: &str) -> Vec<String> {
        let guest = Guest { caller: caller("alice", groups).into(), source: None, transport: None };
        let uri = format!("/api/v1/audit/events{query}").parse().unwrap();
        let response = events(State(world.state.clone()), guest, uri).await.unwrap();
        let answer: serde_json::Value = json(response).await;
        assert_eq!(answer["schema"], 1);
        let events = answer["events"].as_array().unwrap();
        events.iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn without_read_audit_a_caller_sees_their_own_events_whatever_they_ask_for() {
        let world = world().await;
        for groups in [&[][..], &["ml-engineers"], &["admins"]] {
            assert_eq!(ids(&world, groups, "").await, ["ev_1"]);
            assert_eq!(ids(&world, groups, "?after=0&limit=1000").await, ["ev_1"]);
            assert!(ids(&world, groups, "?user=bob").await.is_empty());
        }
        assert_eq!(ids(&world, &["auditors"], "").await, ["ev_1", "ev_2", "ev_3", "ev_4"]);
        assert_eq!(ids(&world, &["auditors"], "?user=bob").await, ["ev_2"]);
    }

    #[tokio::test]
    async fn reading_what_others_did_is_recorded_and_reading_that_is_not() {
        let world = world().await;
        let reads = || async { ids(&world, &[], "?kind=audit_read").await.len() };
        ids(&world, &["auditors"], "?user=alice&limit=1").await;
        ids(&world, &[], "").await;
        assert_eq!(reads().await, 1, "alice of another provider is somebody else");
        ids(&world, &["auditors"], "?user=bob&limit=7").await;
        assert_eq!(reads().await, 2);
        let filter = Filter { kind: Some("audit_read".into()), limit: 10, ..Filter::default() };
        let read = world.state.scribe.query(&filter).await.unwrap().events.pop().unwrap();
        assert_eq!(read.detail.as_deref(), Some("1 events of others: user=bob&limit=7"));
        assert_eq!(read.caller.unwrap().subject, "alice");
        ids(&world, &["auditors"], "?kind=audit_read").await;
        assert_eq!(reads().await, 2, "one's own reading");
    }

    #[test]
    fn parameters_are_checked_before_anything_is_read() {
        let wrong = |query: &str| {
            filter(&format!("/api/v1/audit/events?{query}").parse().unwrap())
                .err()
                .map(|p| p.code().to_owned())
        };
        for query in
            ["limit=0", "limit=1001", "limit=x", "since=yesterday", "after=-1", "usr=alice", "kind=a&kind=b"]
        {
            assert_eq!(wrong(query).as_deref(), Some(code::BAD_REQUEST), "{query}");
        }
        let uri = "/api/v1/audit/events?since=2026-11-23T07%3A15%3A46.123Z&verdict=deny&limit=7&after=3"
            .parse()
            .unwrap();
        let filter = filter(&uri).unwrap();
        assert_eq!(filter.since, parse_rfc3339("2026-11-23T07:15:46.123Z"));
        assert_eq!((filter.verdict.as_deref(), filter.limit, filter.after), (Some("deny"), 7, Some(3)));
    }
}
