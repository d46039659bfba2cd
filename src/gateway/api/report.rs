//! `GET /api/v1/audit/report`: the encryption-in-transit report of a time, for callers with `read_audit`.

use std::time::Duration;

use axum::{
    extract::{Query, State},
    response::Response,
};
use http::Uri;
use serde::Deserialize;

use super::{ApiState, Guest, allowed, body, dress::ApiError, forbidden, reading, routes::Route};
use crate::{
    clock::{parse_rfc3339, rfc3339},
    gateway::{policy::Action, respond::Problem},
    wire::code,
};

/// The query's parameters, as the OpenAPI document has them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    since: Option<String>,
    until: Option<String>,
}

/// The report, after it was recorded that it is read.
pub(super) async fn report(
    State(state): State<ApiState>,
    guest: Guest,
    uri: Uri,
) -> Result<Response, ApiError> {
    if !allowed(&state.policies.load(), &state.clock, &guest, Action::ReadAudit, Route::Report) {
        return Err(forbidden(&guest.caller, Action::ReadAudit).into());
    }
    let wrong = |why: String| {
        Problem::new(code::BAD_REQUEST, why).remedy("see /api/v1/openapi.json for the parameters")
    };
    let Query(asked) = Query::<Parameters>::try_from_uri(&uri)
        .map_err(|e| wrong(format!("the query is not understood: {}", e.body_text())))?;
    let time = |name: &str, text: Option<&str>| {
        text.map(|text| {
            parse_rfc3339(text)
                .ok_or_else(|| wrong(format!("`{name}` must be a time like 2026-11-23T07:15:46Z")))
        })
        .transpose()
    };
    let since = time("since", asked.since.as_deref())?;
    let until = time("until", asked.until.as_deref())?;
    if since.is_some_and(|since| since >= until.unwrap_or_else(|| state.clock.now())) {
        return Err(wrong("`since` must lie before `until`".to_owned()).into());
    }
    let from = since.map_or_else(|| "the beginning".to_owned(), rfc3339);
    let to = until.map_or_else(|| "now".to_owned(), rfc3339);
    reading::record(&state, &guest, format!("report of {from} to {to}")).await?;
    // What was recorded in this very millisecond is in it, also that it is read.
    let until = until.unwrap_or_else(|| state.clock.now() + Duration::from_millis(1));
    let report = state.scribe.report(&state.log, since, until).await.map_err(|error| {
        tracing::error!(%error, "the audit log could not be read");
        Problem::new(code::AUDIT_UNAVAILABLE, "the gateway's audit log cannot be read now")
            .remedy("try again; the gateway's log says why")
    })?;
    Ok(body::json(&report)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::{event::Event, report::Report, tlog::Checkpoint},
        gateway::api::testing::{World, caller, json},
    };

    fn guest(groups: &[&str]) -> Guest {
        Guest { caller: caller("ana", groups).into(), source: None, transport: None }
    }

    async fn asked(world: &World, groups: &[&str], query: &str) -> Result<Report, Problem> {
        let uri = format!("/api/v1/audit/report{query}").parse().unwrap();
        match report(State(world.state.clone()), guest(groups), uri).await {
            Ok(response) => Ok(json(response).await),
            Err(error) => Err(error.0),
        }
    }

    #[tokio::test]
    async fn the_report_is_of_the_whole_time_and_its_head_covers_it() {
        let world = World::new().await;
        for n in 0..1200 {
            let event = Event { id: format!("ev_{n}"), kind: "exchange".into(), ..Event::default() };
            world.state.scribe.record(event).await.unwrap();
        }
        let report = asked(&world, &["auditors"], "").await.unwrap();
        assert_eq!((report.schema, report.exchanges.total, report.access.audit_reads), (1, 1200, 1));
        let head = report.checkpoint.unwrap();
        assert!(head.covers && !head.verified);
        let signed = Checkpoint::open(head.note.as_bytes(), &head.key.parse().unwrap()).unwrap();
        assert_eq!((signed.size, signed.root.to_string()), (head.size, head.root));
        let reads =
            asked(&world, &["auditors"], "?since=1970-01-01T00:00:00Z").await.unwrap().access.audit_reads;
        assert_eq!(reads, 2, "that it was read is in it");
        let before = asked(&world, &["auditors"], "?until=1990-01-01T00:00:00Z").await.unwrap();
        assert_eq!((before.events.total, before.exchanges.total), (0, 0));
    }

    #[tokio::test]
    async fn without_read_audit_or_with_a_bad_time_there_is_none() {
        let world = World::new().await;
        assert_eq!(asked(&world, &["admins"], "").await.unwrap_err().code(), code::DENIED);
        for query in [
            "?since=yesterday",
            "?until=1",
            "?colour=green",
            "?since=2026-11-23T07:00:00Z&until=2026-11-23T07:00:00Z",
        ] {
            assert_eq!(
                asked(&world, &["auditors"], query).await.unwrap_err().code(),
                code::BAD_REQUEST,
                "{query}"
            );
        }
    }
}
