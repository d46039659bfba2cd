//! `GET /api/v1/audit/events`: everybody may read what is recorded about themselves; `read_audit` lets read everything.

use std::time::SystemTime;

use axum::{
    extract::{Query, State},
    response::Response,
};
use http::Uri;
use serde::{Deserialize, Serialize};

use super::{ApiState, Guest, allowed, body, dress::ApiError, routes::Route};
use crate::{
    clock::parse_rfc3339,
    evidence::event::Event,
    gateway::{
        audit::{Filter, MAX_PAGE, Own, Scribe},
        identity::Caller,
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
    after: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Answer {
    schema: u32,
    events: Vec<Event>,
    next: Option<u64>,
}

pub(super) async fn events(
    State(state): State<ApiState>,
    guest: Guest,
    uri: Uri,
) -> Result<Response, ApiError> {
    let everything = allowed(&state.policies.load(), &state.clock, &guest, Action::ReadAudit, Route::Events);
    let answer = find(&state.scribe, &guest.caller, everything, &uri).await?;
    Ok(body::json(&answer)?)
}

async fn find(scribe: &Scribe, caller: &Caller, everything: bool, uri: &Uri) -> Result<Answer, Problem> {
    let mut filter = filter(uri)?;
    if !everything {
        filter.own = Some(Own { subject: caller.subject.clone(), provider: caller.provider.clone() });
    }
    let page = scribe.query(&filter).await.map_err(|error| {
        tracing::error!(%error, "the audit log could not be read");
        Problem::new(code::AUDIT_UNAVAILABLE, "the gateway's audit log cannot be read now")
            .remedy("try again; the gateway's log says why")
    })?;
    Ok(Answer { schema: 1, events: page.events, next: page.next })
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
        own: None,
        after: asked.after,
        limit,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        clock::Clock,
        evidence::event,
        gateway::{
            audit,
            policy::Policies,
            store::{self, Store},
        },
    };

    fn caller(subject: &str, provider: &str, groups: &[&str]) -> Caller {
        Caller {
            subject: subject.into(),
            email: Some(format!("{subject}@example.test")),
            name: None,
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            provider: provider.into(),
            workload: false,
            session: "ses_1".into(),
        }
    }

    /// A scribe with events of alice at two providers, of bob, and of nobody.
    async fn scribe(dir: &tempfile::TempDir) -> Scribe {
        let config = store::Config { state: dir.path().into(), database: dir.path().join("gateway.db") };
        let store = Store::open(&config).await.unwrap();
        let (journal, ledger) = (store.journal(), store.ledger());
        let scribe = Scribe::open(
            audit::Config::default(),
            journal,
            ledger,
            Clock::system(),
            CancellationToken::new(),
        )
        .await
        .unwrap();
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
            scribe.record(event).await.unwrap();
        }
        scribe
    }

    async fn ids(scribe: &Scribe, everything: bool, query: &str) -> Vec<String> {
        let uri = format!("/api/v1/audit/events{query}").parse().unwrap();
        let answer = find(scribe, &caller("alice", "corp", &[]), everything, &uri).await.unwrap();
        answer.events.into_iter().map(|e| e.id).collect()
    }

    #[tokio::test]
    async fn without_read_audit_a_caller_sees_their_own_events_whatever_they_ask_for() {
        let dir = tempfile::tempdir().unwrap();
        let scribe = scribe(&dir).await;
        assert_eq!(ids(&scribe, false, "").await, ["ev_1"]);
        assert_eq!(ids(&scribe, false, "?after=0&limit=1000").await, ["ev_1"]);
        assert!(ids(&scribe, false, "?user=bob").await.is_empty());
        assert_eq!(ids(&scribe, true, "").await, ["ev_1", "ev_2", "ev_3", "ev_4"]);
        assert_eq!(ids(&scribe, true, "?user=bob").await, ["ev_2"]);
    }

    #[tokio::test]
    async fn the_permission_is_policys_to_give() {
        let policy = r#"@id("auditors") permit(principal in Group::"auditors", action == Action::"read_audit", resource);"#;
        let policies = Policies::parse(&[(PathBuf::from("a.cedar"), policy.into())], &[]).unwrap();
        let may = |groups: &[&str]| {
            let guest =
                Guest { caller: caller("alice", "corp", groups).into(), source: None, transport: None };
            allowed(&policies, &Clock::system(), &guest, Action::ReadAudit, Route::Events)
        };
        assert!(may(&["auditors"]));
        assert!(!may(&["ml-engineers"]));
        assert!(!may(&[]));
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
