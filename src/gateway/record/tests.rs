//! Recordings while they are written: what is kept, and what is said when something is not.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, mpsc},
    task::Poll,
    time::{Duration, SystemTime},
};

use super::{
    About, Failure, Framing, Level, Place, RecordError, Recordings, Removed, Sealed, Shelf, Tape, Terms, Track,
    Veil,
    doubles::{MemoryShelf, memory, opened},
};
use crate::{
    clock::{Clock, Hand},
    evidence::recording::{End, Side, What, check},
    id,
};

fn world() -> (MemoryShelf, Recordings, Clock, Hand) {
    let (clock, hand) = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_418_146));
    let (shelf, recordings) = memory(clock.clone());
    (shelf, recordings, clock, hand)
}

fn request() -> What {
    What::Request { method: "GET".into(), path: "/".into(), version: "HTTP/1.1".into(), headers: Vec::new() }
}

async fn begin(recordings: &Recordings, clock: &Clock, failure: Failure) -> Result<Tape, RecordError> {
    let exchange = id::new("ex", clock.now());
    let about = About { exchange: &exchange, session: "s", model: "m", dialect: "http", caller: "alice" };
    let terms = Terms { level: Level::Full, failure, keep: None };
    let tape = recordings.begin(terms, about, request()).await?.unwrap();
    for side in [Side::Caller, Side::Model] {
        tape.track(side, Track::kept(side, None, Framing::Bytes));
    }
    Ok(tape)
}

fn end(tape: &Tape) -> Sealed {
    let (tell, told) = mpsc::channel();
    tape.end("complete", move |sealed| tell.send(sealed).unwrap());
    told.recv_timeout(Duration::from_secs(60)).unwrap()
}

fn said(file: &[u8]) -> Vec<What> {
    opened(file).into_iter().map(|entry| entry.what).collect()
}

#[tokio::test]
async fn a_gateway_that_is_killed_leaves_what_was_said_up_to_the_last_second() {
    let (shelf, recordings, clock, _) = world();
    let tape = begin(&recordings, &clock, Failure::Refuse).await.unwrap();
    tape.heard(Side::Model, b"before");
    // The segment is closed by its age, with the exchange still under way.
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while check(&shelf.files()[0][..]).unwrap().segments == 0 {
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    let file = shelf.files().remove(0);
    assert_eq!(check(&file[..]).unwrap().end, End::Cut { left_over: 0 });
    let what = said(&file);
    assert!(matches!(what.last(), Some(What::Body { bytes, .. }) if &bytes[..] == b"before"), "{what:?}");
    // And an exchange that never was leaves nothing.
    drop(tape);
    recordings.closed().await;
    assert!(shelf.files().is_empty());
}

#[tokio::test]
async fn with_continue_a_gap_is_named_in_the_recording_and_at_its_end() {
    let (shelf, recordings, clock, _) = world();
    let tape = begin(&recordings, &clock, Failure::Continue).await.unwrap();
    let long = vec![b'a'; 130 * 1024];
    tape.heard(Side::Model, b"one");
    shelf.full(true);
    tape.heard(Side::Model, &long);
    // The lines are lost when their segment cannot be kept, which is tried at once.
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    let gaps = || {
        let mut text = String::new();
        let mut registry = prometheus_client::registry::Registry::default();
        recordings.meters().register(&mut registry);
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text.contains("recordings_gaps_total 1")
    };
    while !gaps() {
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    shelf.full(false);
    tape.heard(Side::Model, b"two");
    let sealed = end(&tape);
    assert!(sealed.gaps == 1 && sealed.failure.is_some() && sealed.sha256.is_some(), "{sealed:?}");
    let file = shelf.files().remove(0);
    assert_eq!(check(&file[..]).unwrap().end, End::Whole);
    let what = said(&file);
    let gap = what.iter().find_map(|what| match what {
        What::Omitted { from: Side::Model, bytes, .. } => Some(*bytes),
        _ => None,
    });
    assert_eq!(gap, Some(3 + long.len() as u64));
    assert!(what.iter().any(|what| matches!(what, What::Body { bytes, .. } if &bytes[..] == b"two")));
}

#[tokio::test]
async fn a_store_that_is_stuck_holds_an_exchange_back_for_a_bounded_time_and_bytes() {
    let (shelf, recordings, clock, _) = world();
    let refused = begin(&recordings, &clock, Failure::Refuse).await.unwrap();
    let goes_on = begin(&recordings, &clock, Failure::Continue).await.unwrap();
    // Only now: a clock that stands still runs on while nothing but a writer's thread works.
    tokio::time::pause();
    shelf.stuck(true);
    let chunk = vec![b'a'; 64 * 1024];
    let mut room = refused.room(Side::Model);
    let mut given = 0;
    let held_back = async {
        loop {
            std::future::poll_fn(|cx| room.poll(cx)).await;
            if refused.lost().is_some() {
                return given;
            }
            refused.heard(Side::Model, &chunk);
            given += chunk.len();
        }
    };
    let given = tokio::time::timeout(Duration::from_secs(600), held_back).await.unwrap();
    assert!(given <= 4 * 1024 * 1024, "{given} bytes were queued");
    assert!(refused.lost().unwrap().0.contains("slow"));
    // The other loses what finds no room, and says so.
    for _ in 0..64 {
        std::future::poll_fn(|cx| goes_on.room(Side::Model).poll(cx)).await;
        goes_on.heard(Side::Model, &chunk);
    }
    assert!(goes_on.lost().is_none());
    shelf.stuck(false);
    let sealed = end(&goes_on);
    assert!(sealed.gaps > 0 && sealed.failure.unwrap().contains("slow"));
    let kept: u64 = said(&shelf.files()[1]).iter().map(|what| match what {
        What::Body { bytes, .. } => bytes.len() as u64,
        What::Omitted { bytes, .. } => *bytes,
        _ => 0,
    }).sum();
    assert_eq!(kept, 64 * chunk.len() as u64, "what is not there is named to the byte");
}

#[tokio::test]
async fn an_end_is_told_in_time_also_when_the_store_is_stuck() {
    let (shelf, recordings, clock, _) = world();
    let tape = begin(&recordings, &clock, Failure::Continue).await.unwrap();
    tokio::time::pause();
    shelf.stuck(true);
    let told: Arc<Mutex<Option<Sealed>>> = Arc::default();
    let tell = Arc::clone(&told);
    tape.end("complete", move |sealed| *tell.lock().unwrap() = Some(sealed));
    let stop = tokio_util::sync::CancellationToken::new();
    let keeping = tokio::spawn(recordings.clone().keep(stop.clone(), |_| Ok(())));
    tokio::time::sleep(Duration::from_secs(12)).await;
    let sealed = told.lock().unwrap().clone().expect("nobody waits for ever");
    assert!(sealed.sha256.is_none() && sealed.failure.is_some());
    stop.cancel();
    shelf.stuck(false);
    keeping.await.unwrap();
}

#[tokio::test]
async fn recordings_are_kept_as_long_as_is_said_and_no_deletion_goes_untold() {
    let (shelf, recordings, clock, hand) = world();
    let place = |at| Place::of("m", &id::new("ex", at)).unwrap();
    let old = place(clock.now());
    shelf.create(&old, b"x").unwrap();
    shelf.create(&Place::of("other", &id::new("ex", clock.now())).unwrap(), b"x").unwrap();
    hand.advance(Duration::from_secs(3600));
    shelf.create(&place(clock.now()), b"x").unwrap();
    let keep = Duration::from_hours(24 * 90);
    recordings.keep_for(BTreeMap::from([("m".to_owned(), keep)]));
    let told = Mutex::new(Vec::new());
    let tell = |removed: Removed| {
        assert_eq!(shelf.files().len(), 3, "told before it is done");
        told.lock().unwrap().push(removed);
        Ok(())
    };
    recordings.sweep(clock.now(), &tell);
    hand.advance(keep - Duration::from_secs(1800));
    recordings.sweep(clock.now(), &|_| Err(RecordError("the audit log is full".into())));
    assert_eq!(shelf.files().len(), 3, "nothing is removed that nobody hears of");
    recordings.sweep(clock.now(), &tell);
    assert_eq!(shelf.files().len(), 2);
    let removed = Removed { model: "m".into(), keep, recordings: vec![old.name().to_owned()] };
    assert_eq!(*told.lock().unwrap(), [removed]);
}

/// Masks nothing, and then cannot go on.
struct Gives(usize);

impl Veil for Gives {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        self.0 = self.0.checked_sub(1).ok_or("it cannot be masked")?;
        out.extend(bytes.iter().map(|_| b'x'));
        Ok(())
    }

    fn finish(&mut self, _: bool, out: &mut Vec<u8>) -> Result<(), String> {
        out.push(b'!');
        Ok(())
    }
}

#[tokio::test]
async fn what_cannot_be_masked_is_left_out_and_named() {
    let (shelf, recordings, clock, _) = world();
    let tape = begin(&recordings, &clock, Failure::Refuse).await.unwrap();
    tape.track(Side::Caller, Track::kept(Side::Caller, Some(Box::new(Gives(1))), Framing::Bytes));
    tape.track(Side::Model, Track::kept(Side::Model, Some(Box::new(Gives(9))), Framing::Bytes));
    tape.heard(Side::Caller, b"ab");
    tape.heard(Side::Caller, b"secret");
    tape.heard(Side::Caller, b"more");
    tape.heard(Side::Model, b"c");
    let sealed = end(&tape);
    assert_eq!(sealed.failure.as_deref(), Some("it cannot be masked"));
    let what = said(&shelf.files()[0]);
    let text = format!("{what:?}");
    assert!(!text.contains("secret") && !text.contains("more"), "{text}");
    let missing: u64 = what.iter().map(|what| if let What::Omitted { bytes, .. } = what { *bytes } else { 0 }).sum();
    assert_eq!(missing, 10);
    assert!(text.contains("b\"xx\"") && text.contains("b\"!\""), "{text}");
}

#[tokio::test]
async fn a_recording_is_found_by_its_exchange_and_room_is_there_at_once() {
    let (_, recordings, clock, _) = world();
    let exchange = id::new("ex", clock.now());
    let about = About { exchange: &exchange, session: "s", model: "m", dialect: "http", caller: "alice" };
    let off = recordings.begin(Terms::default(), about, request()).await.unwrap();
    assert!(off.is_none() && recordings.read(&exchange).unwrap().is_none());
    let terms = Terms { level: Level::Metadata, ..Terms::default() };
    let tape = recordings.begin(terms, about, request()).await.unwrap().unwrap();
    let mut room = tape.room(Side::Caller);
    assert!(std::future::poll_fn(|cx| Poll::Ready(room.poll(cx))).await.is_ready());
    tape.heard(Side::Caller, b"abc");
    let sealed = end(&tape);
    let found = recordings.found(&exchange).unwrap();
    assert_eq!((Some(found.sha256), found.end), (sealed.sha256, End::Whole));
    assert!(recordings.read("ex_../../etc/passwd").unwrap().is_none());
    let bad = About { model: "../m", ..about };
    assert!(recordings.begin(terms, bad, request()).await.is_err());
}
