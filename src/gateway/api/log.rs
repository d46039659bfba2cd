//! `GET /api/v1/audit/log/…`: the verifiable log as tlog-tiles serves it, for callers with `read_audit`.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{Path, State},
    response::Response,
};
use http::{HeaderValue, StatusCode, header};

use super::{ApiState, Guest, allowed, body, dress::ApiError, forbidden, reading, routes::Route};
use crate::{
    evidence::{
        event::Event,
        tlog::{Kind, Tile},
    },
    gateway::{audit::AuditError, policy::Action, respond::Problem},
    wire::{api::LogProof, code},
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

/// For a checkpoint to cover an event that has just been recorded.
const COVERED_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks for it.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// That an event is in the log: for whoever may read the event. The hashes on the way tell nothing of others.
pub(super) async fn proof(
    State(state): State<ApiState>,
    guest: Guest,
    Path(event): Path<String>,
) -> Result<Response, ApiError> {
    let unread = |error: AuditError| {
        tracing::error!(%error, "a proof of the audit log could not be made");
        Problem::new(code::AUDIT_UNAVAILABLE, "the gateway's audit log cannot be read now")
            .remedy("try again; the gateway's log says why")
    };
    let absent = || {
        Problem::new(code::BAD_REQUEST, "there is no such event that you may read")
            .status(StatusCode::NOT_FOUND)
            .remedy("`hoopctl audit query -o jsonl` shows the ids: ev_…")
    };
    let row = state.scribe.place(&event).await.map_err(unread)?.ok_or_else(absent)?;
    let read: Event = serde_json::from_str(&row.json).map_err(|_| absent())?;
    if reading::of_others(&read, &guest.caller) {
        if !allowed(&state.policies.load(), &state.clock, &guest, Action::ReadAudit, Route::LogProof) {
            return Err(absent().into());
        }
        reading::record(&state, &guest, format!("the proof of {event}")).await?;
    }
    let index = row.seq.saturating_sub(1);
    let until = tokio::time::Instant::now() + COVERED_WITHIN;
    let (proof, checkpoint) = loop {
        if let Some(found) = state.log.proof(index).await.map_err(unread)? {
            break found;
        }
        if tokio::time::Instant::now() >= until {
            return Err(unread(AuditError("no checkpoint covers the event yet".to_owned())).into());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    let proof = proof.iter().map(ToString::to_string).collect();
    Ok(body::json(&LogProof { schema: 1, event: row.json, index, proof, checkpoint })?)
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
    use axum::body::to_bytes;

    use super::*;
    use crate::{
        evidence::{
            event,
            leaf::leaf,
            tlog::{Check, Checkpoint, leaf_hash, verify_inclusion},
        },
        gateway::api::testing::{World, caller, json},
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

    #[tokio::test]
    async fn who_may_read_an_event_can_prove_that_it_is_in_the_log() {
        let world = world(3).await;
        let state = || State(world.state.clone());
        let own = event::Caller { subject: "alice".into(), provider: "corp".into(), ..Default::default() };
        let event =
            Event { id: "ev_own".into(), kind: "exchange".into(), caller: Some(own), ..Event::default() };
        world.state.scribe.record(event).await.unwrap();
        let answer = proof(state(), guest(&[]), Path("ev_own".into())).await.unwrap();
        let told: LogProof = json(answer).await;
        let key = world.state.log.key().parse().unwrap();
        let head = Checkpoint::open(told.checkpoint.as_bytes(), &key).unwrap();
        let steps: Vec<_> = told.proof.iter().map(|hash| hash.parse().unwrap()).collect();
        let hash = leaf_hash(&leaf(&told.event));
        assert!(verify_inclusion(&hash, told.index, head.size, &steps, &head.root));
        assert!(told.event.contains("ev_own"));
        for (groups, event) in [(&[][..], "ev_0"), (&["auditors"], "ev_none")] {
            let refused = proof(state(), guest(groups), Path(event.into())).await.unwrap_err();
            assert_eq!(refused.0.http_status(), StatusCode::NOT_FOUND, "{event}");
        }
        proof(state(), guest(&["auditors"]), Path("ev_0".into())).await.unwrap();
    }
}
