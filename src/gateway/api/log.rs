//! `GET /api/v1/audit/log/…`: the verifiable log as tlog-tiles serves it, for callers with `read_audit`.

use axum::{
    body::Body,
    extract::{Path, State},
    response::Response,
};
use http::{HeaderValue, StatusCode, header};

use super::{ApiState, Guest, allowed, dress::ApiError, forbidden, reading, routes::Route};
use crate::{
    evidence::tlog::{Kind, Tile},
    gateway::{policy::Action, respond::Problem},
    wire::code,
};

/// The public key, a vkey and a newline; no secret, for every caller.
pub(super) async fn key(State(state): State<ApiState>, _guest: Guest) -> Response {
    text(format!("{}\n", state.log.key()))
}

/// The signed head.
pub(super) async fn checkpoint(State(state): State<ApiState>, guest: Guest) -> Result<Response, ApiError> {
    admit(&state, &guest, Route::LogCheckpoint)?;
    Ok(text(state.log.checkpoint()))
}

/// A tile or entry bundle. Entries are events, and that they were read is recorded.
pub(super) async fn tile(
    State(state): State<ApiState>,
    guest: Guest,
    Path(path): Path<String>,
) -> Result<Response, ApiError> {
    admit(&state, &guest, Route::LogTile)?;
    let absent = || {
        Problem::new(code::BAD_REQUEST, "the log has no such tile")
            .status(StatusCode::NOT_FOUND)
            .remedy("ask for tiles of the size that /api/v1/audit/log/checkpoint says, named as c2sp.org/tlog-tiles does")
    };
    let tile: Tile = format!("tile/{path}").parse().map_err(|_| absent())?;
    let bytes = state.log.tile(tile).await.map_err(|error| {
        tracing::error!(%error, "the verifiable log could not be read");
        Problem::new(code::AUDIT_UNAVAILABLE, "the gateway's verifiable log cannot be read now")
            .remedy("try again; the gateway's log says why")
    })?;
    let bytes = bytes.ok_or_else(absent)?;
    if tile.kind == Kind::Entries {
        let first = tile.first_leaf();
        let last = first + tile.width - 1;
        reading::record(&state, &guest, format!("entries {first} to {last} of the log")).await?;
    }
    let mut response = Response::new(Body::from(bytes));
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

fn admit(state: &ApiState, guest: &Guest, route: Route) -> Result<(), Problem> {
    if allowed(&state.policies.load(), &state.clock, guest, Action::ReadAudit, route) {
        return Ok(());
    }
    Err(forbidden(&guest.caller, Action::ReadAudit))
}

fn text(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::to_bytes;

    use super::*;
    use crate::{
        evidence::{
            event::Event,
            tlog::{Check, Checkpoint},
        },
        gateway::api::testing::{World, caller},
    };

    fn guest(groups: &[&str]) -> Guest {
        Guest { caller: caller("alice", groups).into(), source: None, transport: None }
    }

    async fn bytes(response: Response) -> Vec<u8> {
        to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()
    }

    /// A world whose log has this many events and more.
    async fn world(events: u64) -> World {
        let world = World::new().await;
        for n in 0..events {
            let event = Event { id: format!("ev_{n}"), kind: "exchange".into(), ..Event::default() };
            world.state.scribe.record(event).await.unwrap();
        }
        tokio::time::timeout(Duration::from_secs(30), world.state.log.covers(events)).await.unwrap();
        world
    }

    #[tokio::test]
    async fn a_caller_without_read_audit_gets_the_key_and_nothing_else() {
        let world = world(1).await;
        let state = || State(world.state.clone());
        assert!(!bytes(key(state(), guest(&[])).await).await.is_empty());
        for groups in [&[][..], &["admins"]] {
            let refused = checkpoint(state(), guest(groups)).await.unwrap_err();
            assert_eq!(refused.0.code(), code::DENIED);
            let refused = tile(state(), guest(groups), Path("entries/000.p/1".into())).await.unwrap_err();
            assert_eq!(refused.0.code(), code::DENIED);
        }
    }

    #[tokio::test]
    async fn an_auditor_can_check_the_whole_log_and_that_they_read_it_is_recorded() {
        let world = world(300).await;
        let state = || State(world.state.clone());
        let key = String::from_utf8(bytes(key(state(), guest(&[])).await).await).unwrap();
        let note = bytes(checkpoint(state(), guest(&["auditors"])).await.unwrap()).await;
        let head = Checkpoint::open(&note, &key.parse().unwrap()).unwrap();
        let mut check = Check::new(head.clone(), Vec::new()).unwrap();
        let mut bundles = 0;
        while let Some(wanted) = check.wants() {
            bundles += usize::from(wanted.kind == Kind::Entries);
            let path = Path(wanted.to_string().strip_prefix("tile/").unwrap().to_owned());
            let found = tile(state(), guest(&["auditors"]), path).await.unwrap();
            check.feed(Some(&bytes(found).await)).unwrap();
        }
        check.finish().unwrap();
        let narrow = tile(state(), guest(&["auditors"]), Path("0/000.p/3".into())).await.unwrap();
        assert_eq!(bytes(narrow).await.len(), 96, "as wide as it was earlier");
        for absent in ["0/002", "0/001", "9/000", "entries/../../gateway.db", "entries/999"] {
            let refused = tile(state(), guest(&["auditors"]), Path(absent.into())).await.unwrap_err();
            assert_eq!(refused.0.http_status(), StatusCode::NOT_FOUND, "{absent}");
        }
        let reads = crate::gateway::audit::Filter {
            kind: Some("audit_read".into()),
            limit: 100,
            ..Default::default()
        };
        assert_eq!(world.state.scribe.query(&reads).await.unwrap().events.len(), bundles);
    }
}
