//! `GET /api/v1/sessions`: who did what with which model; everybody may see their own, `read_audit` lets see everybody's.

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{ApiState, Guest, allowed, body, dress::ApiError, reading, routes::Route};
use crate::{
    clock::parse_rfc3339,
    evidence::event::Event,
    gateway::{
        audit::{AuditError, Filter, MAX_PAGE, Own, SessionFilter},
        policy::Action,
        respond::Problem,
    },
    wire::{
        api::{Session, Sessions},
        code,
    },
};

/// Sessions in an answer when the request does not say.
const USUAL_PAGE: usize = 50;
/// The most sessions in an answer.
const MOST: usize = 200;
/// The most callers and models that share a session's id and are shown with it.
const MOST_SHARING: usize = 16;
/// The longest id that is looked up, in bytes.
const MAX_ID: usize = 128;

/// The query's parameters, as the OpenAPI document has them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    since: Option<String>,
    until: Option<String>,
    user: Option<String>,
    model: Option<String>,
    verdict: Option<String>,
    masked: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

/// The parameters of one session's exchanges.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paging {
    after: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Shown {
    schema: u32,
    sessions: Vec<Session>,
    exchanges: Vec<Event>,
    next: Option<u64>,
}

/// `GET /api/v1/sessions`.
pub(super) async fn list(
    State(state): State<ApiState>,
    guest: Guest,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut filter = filter(&uri)?;
    filter.own = own(&state, &guest, Route::Sessions);
    let wanted = filter.limit;
    filter.limit += 1;
    let mut found = state.scribe.sessions(&filter).await.map_err(unread)?;
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next = found.last().filter(|_| more).map(|(seq, _)| *seq);
    let others = found.iter().filter(|(_, session)| of_others(session, &guest)).count();
    if others > 0 {
        let asked = uri.query().filter(|query| !query.is_empty()).unwrap_or("everything");
        reading::record(&state, &guest, format!("{others} sessions of others: {asked}")).await?;
    }
    let sessions = found.into_iter().map(|(_, session)| session).collect();
    Ok(body::json(&Sessions { schema: 1, sessions, next })?)
}

/// `GET /api/v1/sessions/{id}`: its exchanges, the oldest first.
pub(super) async fn show(
    State(state): State<ApiState>,
    guest: Guest,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let Paging { after, limit } = parameters(&uri)?;
    let limit = bounded(limit, MAX_PAGE, MAX_PAGE)?;
    let absent = || {
        Problem::new(code::BAD_REQUEST, "there is no such session that you may see")
            .status(StatusCode::NOT_FOUND)
            .remedy("`hoopctl sessions list` shows the ids")
    };
    if id.is_empty() || id.len() > MAX_ID {
        return Err(absent().into());
    }
    let own = own(&state, &guest, Route::Session);
    let shared = SessionFilter {
        session: Some(id.clone()),
        own: own.clone(),
        limit: MOST_SHARING,
        ..SessionFilter::default()
    };
    let found = state.scribe.sessions(&shared).await.map_err(unread)?;
    if found.is_empty() {
        return Err(absent().into());
    }
    let sessions: Vec<Session> = found.into_iter().map(|(_, session)| session).collect();
    if sessions.iter().any(|session| of_others(session, &guest)) {
        reading::record(&state, &guest, format!("the session {id}")).await?;
    }
    let filter = Filter {
        session: Some(id),
        kind: Some("exchange".to_owned()),
        own,
        after: Some(after.unwrap_or_default()),
        limit,
        ..Filter::default()
    };
    let page = state.scribe.query(&filter).await.map_err(unread)?;
    Ok(body::json(&Shown { schema: 1, sessions, exchanges: page.events, next: page.next })?)
}

/// Whom a caller's view is narrowed to; `None` with `read_audit`.
fn own(state: &ApiState, guest: &Guest, route: Route) -> Option<Own> {
    let everything = allowed(&state.policies.load(), &state.clock, guest, Action::ReadAudit, route);
    let caller = &guest.caller;
    (!everything).then(|| Own { subject: caller.subject.clone(), provider: caller.provider.clone() })
}

fn of_others(session: &Session, guest: &Guest) -> bool {
    let (of, caller) = (&session.caller, &guest.caller);
    of.subject != caller.subject || of.provider != caller.provider
}

fn unread(error: AuditError) -> Problem {
    tracing::error!(%error, "sessions could not be read");
    Problem::new(code::AUDIT_UNAVAILABLE, "the gateway's audit log cannot be read now")
        .remedy("try again; the gateway's log says why")
}

fn wrong(why: String) -> Problem {
    Problem::new(code::BAD_REQUEST, why).remedy("see /api/v1/openapi.json for the parameters")
}

fn parameters<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let Query(asked) = Query::<T>::try_from_uri(uri)
        .map_err(|e| wrong(format!("the query is not understood: {}", e.body_text())))?;
    Ok(asked)
}

fn bounded(limit: Option<usize>, usual: usize, most: usize) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(usual);
    if (1..=most).contains(&limit) {
        return Ok(limit);
    }
    Err(wrong(format!("`limit` must lie between 1 and {most}")))
}

fn filter(uri: &Uri) -> Result<SessionFilter, Problem> {
    let asked: Parameters = parameters(uri)?;
    let time = |name: &str, text: Option<String>| {
        let read = |text: String| {
            parse_rfc3339(&text)
                .ok_or_else(|| wrong(format!("`{name}` must be a time like 2026-11-23T07:15:46Z")))
        };
        text.map(read).transpose()
    };
    Ok(SessionFilter {
        session: None,
        since: time("since", asked.since)?,
        until: time("until", asked.until)?,
        user: asked.user,
        model: asked.model,
        verdict: asked.verdict,
        masked: asked.masked,
        own: None,
        before: asked.before,
        limit: bounded(asked.limit, USUAL_PAGE, MOST)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::event,
        gateway::api::testing::{World, caller, json},
    };

    /// A world with sessions of alice at two providers and of bob, who used alice's id once.
    async fn world() -> World {
        let world = World::new().await;
        for (n, session, subject, provider) in [
            (1, "ses_a", "alice", "corp"),
            (2, "ses_a", "alice", "corp"),
            (3, "ses_b", "bob", "corp"),
            (4, "ses_a", "bob", "corp"),
            (5, "ses_c", "alice", "partners"),
        ] {
            let who =
                event::Caller { subject: subject.into(), provider: provider.into(), ..Default::default() };
            let event = Event {
                id: format!("ev_{n}"),
                kind: "exchange".into(),
                caller: Some(who),
                model: Some("llama".into()),
                session: Some(session.into()),
                exchange: Some(format!("ex_{n}")),
                ..Event::default()
            };
            world.state.scribe.record(event).await.unwrap();
        }
        world
    }

    fn guest(groups: &[&str]) -> Guest {
        Guest { caller: caller("alice", groups).into(), source: None, transport: None }
    }

    async fn ids(world: &World, groups: &[&str], query: &str) -> (Vec<String>, Option<u64>) {
        let uri = format!("/api/v1/sessions{query}").parse().unwrap();
        let answer: Sessions =
            json(list(State(world.state.clone()), guest(groups), uri).await.unwrap()).await;
        (answer.sessions.into_iter().map(|session| session.session).collect(), answer.next)
    }

    async fn exchanges(world: &World, groups: &[&str], id: &str) -> Result<Vec<String>, u16> {
        // The path is taken apart before; of the address only the query is read.
        let uri = "/api/v1/sessions/id".parse().unwrap();
        let shown = show(State(world.state.clone()), guest(groups), Path(id.to_owned()), uri).await;
        let answer: serde_json::Value = json(shown.map_err(|error| error.0.http_status().as_u16())?).await;
        let found = answer["exchanges"].as_array().unwrap();
        Ok(found.iter().map(|event| event["exchange"].as_str().unwrap().to_owned()).collect())
    }

    #[tokio::test]
    async fn without_read_audit_a_caller_sees_their_own_sessions_whatever_they_ask_for() {
        let world = world().await;
        assert_eq!(ids(&world, &[], "").await.0, ["ses_a"]);
        assert!(ids(&world, &["admins"], "?user=bob").await.0.is_empty());
        assert_eq!(ids(&world, &["auditors"], "").await.0, ["ses_c", "ses_a", "ses_b", "ses_a"]);
        assert_eq!(exchanges(&world, &[], "ses_a").await.unwrap(), ["ex_1", "ex_2"]);
        assert_eq!(exchanges(&world, &["auditors"], "ses_a").await.unwrap(), ["ex_1", "ex_2", "ex_4"]);
        for id in ["ses_b", "ses_c", "ses_none", "\u{1b}[2J"] {
            assert_eq!(exchanges(&world, &[], id).await, Err(404), "{id}");
        }
    }

    #[tokio::test]
    async fn pages_follow_each_other_and_reading_others_is_recorded() {
        let world = world().await;
        let (first, next) = ids(&world, &["auditors"], "?limit=3").await;
        assert_eq!(first, ["ses_c", "ses_a", "ses_b"]);
        let (rest, next) = ids(&world, &["auditors"], &format!("?limit=3&before={}", next.unwrap())).await;
        assert_eq!((rest, next), (vec!["ses_a".to_owned()], None));
        exchanges(&world, &[], "ses_a").await.unwrap();
        exchanges(&world, &["auditors"], "ses_b").await.unwrap();
        let reads = Filter { kind: Some("audit_read".into()), limit: 10, ..Filter::default() };
        let events = world.state.scribe.query(&reads).await.unwrap().events;
        let details: Vec<_> = events.iter().filter_map(|event| event.detail.as_deref()).collect();
        assert_eq!(details, ["3 sessions of others: limit=3", "the session ses_b"]);
    }

    #[test]
    fn parameters_are_checked_before_anything_is_read() {
        for query in ["limit=0", "limit=201", "since=yesterday", "before=-1", "usr=alice"] {
            let uri = format!("/api/v1/sessions?{query}").parse().unwrap();
            assert_eq!(filter(&uri).unwrap_err().code(), code::BAD_REQUEST, "{query}");
        }
    }
}
