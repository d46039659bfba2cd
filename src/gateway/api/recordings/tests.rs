//! Recordings over the API: for whom, as what, and what is told of it.

use std::sync::Arc;

use axum::{body::to_bytes, extract::Path};

use super::*;
use crate::{
    clock::Clock,
    evidence::recording::{Chain, Entry, Header, Outcome as Ended, SCHEMA, Sealer, What, entries},
    gateway::{
        api::testing::{World, caller},
        record::{Keys, Place, Shelf, doubles::MemoryShelf},
    },
};

const EXCHANGE: &str = "ex_0193590c5a7b7c3e8f0d1b2a3c4d5e6f";
const RECORDING: &str = "rec_0193590c5a7b7c3e8f0d1b2a3c4d5e6f";

/// A recording of one entry, sealed to the first of these.
fn file(identities: &Identities) -> Vec<u8> {
    let header = Header { schema: SCHEMA.into(), recording: RECORDING.into(), exchange: EXCHANGE.into() };
    let (chain, mut file) = Chain::begin(&header).unwrap();
    let mut lines = Vec::new();
    let entry = Entry { at: 7, what: What::Ended(Ended { outcome: "complete".into() }) };
    entry.write(&mut lines).unwrap();
    let sealed = Sealer::new(identities.recipients()).unwrap().seal(RECORDING, 0, &lines).unwrap();
    file.extend(chain.segment(&sealed, true).unwrap().1);
    file
}

/// A world with the event of the exchange, if it is to have one, and its recording, if that is on the shelf.
async fn world(identities: Option<&Identities>, stored: Option<&[u8]>, event: bool) -> World {
    let shelf = MemoryShelf::default();
    if let Some(bytes) = stored {
        shelf.create(&Place::of("llama", EXCHANGE).unwrap(), bytes).unwrap();
    }
    let keys = Keys { recipients: Identities::generate().recipients(), identities: identities.cloned() };
    let world = World::recording(Recordings::new(keys, Arc::new(shelf), Clock::system())).await;
    if event {
        let recording = event::Recording { id: RECORDING.into(), ..event::Recording::default() };
        let event = Event {
            id: "ev_1".into(),
            kind: "exchange".into(),
            model: Some("llama".into()),
            exchange: Some(EXCHANGE.into()),
            recording: Some(recording),
            ..Event::default()
        };
        world.state.scribe.record(event).await.unwrap();
    }
    world
}

async fn ask(world: &World, groups: &[&str], query: &str) -> Result<(String, Vec<u8>), (String, u16)> {
    let guest = Guest { caller: caller("alice", groups).into(), source: None, transport: None };
    let uri = format!("/api/v1/recordings/{EXCHANGE}{query}").parse().unwrap();
    let read = read(State(world.state.clone()), guest, Path(EXCHANGE.to_owned()), uri).await;
    let response = read.map_err(|error| (error.0.code().to_owned(), error.0.http_status().as_u16()))?;
    let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    Ok((kind, to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()))
}

async fn reads(world: &World) -> Vec<(String, String)> {
    let filter = Filter { kind: Some("recording_read".into()), limit: 10, ..Filter::default() };
    let events = world.state.scribe.query(&filter).await.unwrap().events;
    let told = |event: Event| {
        assert_eq!(event.exchange.as_deref(), Some(EXCHANGE));
        assert_eq!(event.caller.unwrap().subject, "alice");
        (event.decision.unwrap().verdict, event.detail.unwrap())
    };
    events.into_iter().map(told).collect()
}

#[tokio::test]
async fn only_who_may_replay_reads_a_recording_and_each_look_is_recorded_before_it_is_given() {
    let identities = Identities::generate();
    let stored = file(&identities);
    let world = world(Some(&identities), Some(&stored), true).await;
    for groups in [&[][..], &["admins"]] {
        assert_eq!(ask(&world, groups, "?for=export").await, Err((code::DENIED.to_owned(), 403)));
    }
    let (kind, lines) = ask(&world, &["auditors"], "").await.unwrap();
    assert_eq!(kind, "application/x-ndjson");
    assert_eq!(entries(&lines).next().unwrap().unwrap().at, 7);
    let (kind, bytes) = ask(&world, &["auditors"], "?for=verify&form=sealed").await.unwrap();
    assert_eq!((kind.as_str(), bytes), ("application/octet-stream", stored));
    let told = |verdict: &str, detail: &str| (verdict.to_owned(), detail.to_owned());
    assert_eq!(
        reads(&world).await,
        [
            told("deny", "refused: export"),
            told("deny", "refused: export"),
            told("permit", "replay, opened by the gateway"),
            told("permit", "verify, sealed"),
        ]
    );
    for query in ["?for=fun", "?form=paper", "?x=1"] {
        assert_eq!(
            ask(&world, &["auditors"], query).await,
            Err((code::BAD_REQUEST.to_owned(), 400)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn what_is_sealed_to_others_is_given_sealed_or_not_at_all() {
    let stored = file(&Identities::generate());
    for own in [None, Some(Identities::generate())] {
        let world = world(own.as_ref(), Some(&stored), true).await;
        let given = ask(&world, &["auditors"], "").await.unwrap();
        assert_eq!(given, ("application/octet-stream".to_owned(), stored.clone()));
        let refused = ask(&world, &["auditors"], "?form=opened").await;
        assert_eq!(refused, Err((code::RECORDING_SEALED.to_owned(), 409)));
    }
}

#[tokio::test]
async fn one_that_is_missing_is_told_from_one_that_was_deleted() {
    let world = world(None, None, true).await;
    assert_eq!(ask(&world, &["auditors"], "").await, Err((code::RECORDING_ABSENT.to_owned(), 404)));
    let deleted = Event {
        kind: "recording_deleted".into(),
        model: Some("llama".into()),
        detail: Some(format!("recordings are removed, which are kept for 1d: rec_0 {RECORDING}")),
        ..Event::default()
    };
    world.state.scribe.record(deleted).await.unwrap();
    assert_eq!(ask(&world, &["auditors"], "").await, Err((code::RECORDING_DELETED.to_owned(), 410)));
    assert!(reads(&world).await.is_empty(), "nothing was given");
}

#[tokio::test]
async fn a_recording_without_its_event_can_be_looked_into_and_a_damaged_one_is_not_passed_off_as_whole() {
    let identities = Identities::generate();
    let mut stored = file(&identities);
    let without = world(Some(&identities), Some(&stored), false).await;
    assert!(ask(&without, &["auditors"], "").await.is_ok());
    assert_eq!(ask(&without, &["ml"], "").await, Err((code::DENIED.to_owned(), 403)));
    let last = stored.len() - 40;
    stored[last] ^= 1;
    let damaged = world(Some(&identities), Some(&stored), true).await;
    assert_eq!(ask(&damaged, &["auditors"], "").await, Err((code::INTERNAL.to_owned(), 500)));
    assert_eq!(
        ask(&damaged, &["auditors"], "?form=sealed").await.unwrap().1,
        stored,
        "for whoever verifies it"
    );
}
