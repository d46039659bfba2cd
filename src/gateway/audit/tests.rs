//! What the scribe promises, against a journal and a ledger in memory.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use tokio_util::sync::CancellationToken;

use super::{
    Config, Entry, Filter, Journal, Ledger, Parts, Scribe, Tuning,
    doubles::{MemoryJournal, MemoryLedger},
    record::{Tag, encode},
};
use crate::{
    clock::{Clock, Hand},
    evidence::event::{Event, Response, SCHEMA},
};

/// The real sizes at a pace for tests.
const TUNING: Tuning = Tuning {
    max_lag: 1024 * 1024 * 1024,
    rotate_at: 64 * 1024 * 1024,
    gather: Duration::from_millis(1),
    retry: Duration::from_millis(1),
    batch: 7,
};

/// A scribe with what it works on.
struct World {
    journal: MemoryJournal,
    ledger: MemoryLedger,
    scribe: Scribe,
    hand: Hand,
    stop: CancellationToken,
}

impl World {
    async fn new() -> Self {
        Self::with(Config::default(), TUNING, MemoryJournal::default(), MemoryLedger::default()).await
    }

    async fn with(config: Config, tuning: Tuning, journal: MemoryJournal, ledger: MemoryLedger) -> Self {
        let (clock, hand) = Clock::manual(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let stop = CancellationToken::new();
        let parts = Parts {
            journal: Arc::new(journal.clone()),
            ledger: Arc::new(ledger.clone()),
            clock,
            left: None,
            tuning,
        };
        let scribe = Scribe::open_tuned(config, parts, stop.clone()).await.unwrap();
        Self { journal, ledger, scribe, hand, stop }
    }

    async fn restarted(self) -> Self {
        self.stop.cancel();
        self.scribe.closed().await;
        Self::with(Config::default(), TUNING, self.journal, self.ledger).await
    }

    /// Outcomes in the ledger, once it has everything.
    async fn outcomes(&self) -> Vec<String> {
        self.scribe.query(&Filter::default()).await.unwrap();
        self.ledger.outcomes().into_iter().map(|(_, outcome)| outcome).collect()
    }
}

fn exchange() -> Event {
    Event { kind: "exchange".into(), ..Event::default() }
}

fn finished(outcome: &str) -> Event {
    Event { response: Some(Response { outcome: outcome.into(), ..Response::default() }), ..exchange() }
}

#[tokio::test]
async fn an_intent_is_in_the_journal_before_it_is_given_out_and_stamped() {
    let world = World::new().await;
    let intent = world.scribe.intend(exchange()).await.unwrap();
    assert_eq!(world.journal.count("intent "), 1);
    assert_eq!(intent.event().schema, SCHEMA);
    assert!(intent.event().id.starts_with("ev_"));
    assert_eq!(intent.event().time, "2027-01-15T08:00:00.000Z");
}

#[tokio::test]
async fn a_finish_keeps_the_intents_id_and_time() {
    let world = World::new().await;
    let intent = world.scribe.intend(exchange()).await.unwrap();
    let id = intent.event().id.clone();
    world.hand.advance(Duration::from_secs(5));
    intent.finish(Event { id: "ev_other".into(), time: "later".into(), ..finished("complete") }).unwrap();
    let page = world.scribe.query(&Filter::default()).await.unwrap();
    assert_eq!(page.events.len(), 1);
    assert_eq!((&page.events[0].id, page.events[0].time.as_str()), (&id, "2027-01-15T08:00:00.000Z"));
}

#[tokio::test]
async fn an_intent_is_finished_once_however_its_holder_ends() {
    let world = World::new().await;
    world.scribe.intend(exchange()).await.unwrap().finish(finished("complete")).unwrap();

    let dropped = world.scribe.intend(exchange()).await.unwrap();
    world.hand.advance(Duration::from_millis(1500));
    drop(dropped);

    let panics = world.scribe.intend(exchange()).await.unwrap();
    let task = tokio::spawn(async move {
        let _held = panics;
        panic!("a bug");
    });
    assert!(task.await.unwrap_err().is_panic());

    let cancelled = world.scribe.intend(exchange()).await.unwrap();
    let task = tokio::spawn(async move {
        let _held = cancelled;
        std::future::pending::<()>().await;
    });
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());

    assert_eq!(world.outcomes().await, ["complete", "aborted", "aborted", "aborted"]);
    let lasted = world.ledger.with(|s| s.entries[1].event.response.as_ref().unwrap().duration_ms);
    assert_eq!(lasted, 1500);
    let stats = world.scribe.stats();
    assert_eq!((stats.intended, stats.finished, stats.aborted, stats.open), (4, 1, 3, 0));
}

#[tokio::test]
async fn an_event_too_long_for_a_record_ends_as_aborted() {
    let world = World::new().await;
    let intent = world.scribe.intend(exchange()).await.unwrap();
    let huge = Event { detail: Some("x".repeat(super::MAX_RECORD)), ..finished("complete") };
    assert!(intent.finish(huge).is_err());
    assert_eq!(world.outcomes().await, ["aborted"]);
}

#[tokio::test]
async fn what_a_former_process_left_open_is_interrupted_once() {
    let world = World::new().await;
    std::mem::forget(world.scribe.intend(exchange()).await.unwrap());
    world.scribe.intend(exchange()).await.unwrap().finish(finished("complete")).unwrap();
    let world = world.restarted().await;
    assert_eq!(world.scribe.stats().interrupted, 1);
    assert_eq!(world.outcomes().await, ["complete", "interrupted"]);
    let world = world.restarted().await;
    assert_eq!(world.scribe.stats().interrupted, 0);
    assert_eq!(world.outcomes().await, ["complete", "interrupted"]);
}

#[tokio::test]
async fn without_room_nothing_is_intended_and_all_is_well_when_room_returns() {
    let world = World::new().await;
    let before = world.scribe.intend(exchange()).await.unwrap();
    world.journal.with(|s| s.fail_append = Some(Box::new(|_| true)));
    let error = world.scribe.intend(exchange()).await.unwrap_err();
    assert!(error.to_string().contains("no space left"), "{error}");
    assert!(world.scribe.record(finished("refused")).await.is_err());
    assert!(before.finish(finished("complete")).is_err(), "it is not durable yet");
    assert_eq!(world.scribe.stats().open, 1);

    world.journal.with(|s| s.fail_append = None);
    world.scribe.intend(exchange()).await.unwrap().finish(finished("complete")).unwrap();
    assert_eq!(world.outcomes().await, ["complete", "complete"]);
    assert_eq!(world.scribe.stats().open, 0);
}

#[tokio::test]
async fn an_owed_finish_is_written_without_anyone_asking() {
    let world = World::new().await;
    let intent = world.scribe.intend(exchange()).await.unwrap();
    world.journal.with(|s| s.fail_append = Some(Box::new(|_| true)));
    assert!(intent.finish(finished("complete")).is_err());
    world.journal.with(|s| s.fail_append = None);
    let mut progress = world.scribe.progress();
    while world.scribe.stats().open > 0 {
        progress.changed().await.unwrap();
    }
    assert_eq!(world.outcomes().await, ["complete"]);
}

#[tokio::test]
async fn whichever_write_fails_each_intent_given_out_ends_once() {
    for broken in 1..=12 {
        let world = World::new().await;
        world.journal.with(|s| s.fail_append = Some(Box::new(move |n| n == broken)));
        let mut given = Vec::new();
        for _ in 0..4 {
            if let Ok(intent) = world.scribe.intend(exchange()).await {
                given.push(intent.event().id.clone());
                // An error says that it is owed.
                let _ = intent.finish(finished("complete"));
            }
        }
        world.journal.with(|s| s.fail_append = None);
        world.scribe.intend(exchange()).await.unwrap().finish(finished("last")).unwrap();
        world.scribe.query(&Filter::default()).await.unwrap();
        let mut outcomes = world.ledger.outcomes();
        assert_eq!(outcomes.pop().unwrap().1, "last");
        assert_eq!(outcomes, given.into_iter().map(|id| (id, "complete".to_owned())).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn with_power_loss_each_intent_is_synced_and_waiters_share_a_sync() {
    let config = Config { power_loss: true, ..Config::default() };
    let world = World::with(config, TUNING, MemoryJournal::default(), MemoryLedger::default()).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let scribe = world.scribe.clone();
        tasks.spawn(async move {
            scribe.intend(exchange()).await.unwrap().finish(finished("complete")).unwrap();
        });
    }
    tasks.join_all().await;
    let syncs = world.journal.with(|s| s.syncs);
    assert!((1..400).contains(&syncs), "{syncs} syncs for 500 intents");
    assert_eq!(world.outcomes().await.len(), 500);
}

#[tokio::test]
async fn a_failed_sync_refuses_until_a_new_file_can_be_synced() {
    let config = Config { power_loss: true, ..Config::default() };
    let world = World::with(config, TUNING, MemoryJournal::default(), MemoryLedger::default()).await;
    world.journal.with(|s| s.fail_sync = true);
    assert!(world.scribe.intend(exchange()).await.is_err());
    assert!(world.scribe.intend(exchange()).await.is_err());
    assert_eq!(world.outcomes().await, ["aborted"], "the one that came as far as the journal");

    world.journal.with(|s| s.fail_sync = false);
    let mut progress = world.scribe.progress();
    let intent = loop {
        match world.scribe.intend(exchange()).await {
            Ok(intent) => break intent,
            Err(_) => progress.changed().await.unwrap(),
        }
    };
    assert!(world.journal.with(|s| s.rotations) > 0);
    intent.finish(finished("complete")).unwrap();
}

#[tokio::test]
async fn an_intent_cancelled_while_it_waits_for_the_disk_is_aborted() {
    let config = Config { power_loss: true, ..Config::default() };
    let world = World::with(config, TUNING, MemoryJournal::default(), MemoryLedger::default()).await;
    let mut waiting = Box::pin(world.scribe.intend(exchange()));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    drop(waiting);
    assert_eq!(world.outcomes().await, ["aborted"]);
}

#[tokio::test]
async fn a_ledger_too_far_behind_refuses_what_is_new_and_finishes_what_is_not() {
    let tuning = Tuning { max_lag: 2000, ..TUNING };
    let ledger = MemoryLedger::default();
    ledger.with(|s| s.appends_left = Some(0));
    let world = World::with(Config::default(), tuning, MemoryJournal::default(), ledger).await;
    let first = world.scribe.intend(exchange()).await.unwrap();
    let mut given = 1;
    while let Ok(intent) = world.scribe.intend(exchange()).await {
        intent.finish(finished("complete")).unwrap();
        given += 1;
        assert!(given < 100, "the bound holds");
    }
    first.finish(finished("complete")).unwrap();
    assert!(world.scribe.query(&Filter::default()).await.is_err());
    world.ledger.with(|s| s.appends_left = None);
    assert_eq!(world.outcomes().await.len(), given);
    drop(world.scribe.intend(exchange()).await.unwrap());
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_brings_no_event_twice() {
    let ledger = MemoryLedger::default();
    ledger.with(|s| (s.appends_left, s.fails_after_commit) = (Some(0), true));
    let world = World::with(Config::default(), TUNING, MemoryJournal::default(), ledger).await;
    world.scribe.record(exchange()).await.unwrap();
    assert!(world.scribe.query(&Filter::default()).await.is_err());
    world.ledger.with(|s| s.appends_left = None);
    assert_eq!(world.outcomes().await.len(), 1);
}

#[tokio::test]
async fn a_new_file_begins_with_the_open_intents_and_loses_none() {
    let tuning = Tuning { rotate_at: 1, ..TUNING };
    let world =
        World::with(Config::default(), tuning, MemoryJournal::default(), MemoryLedger::default()).await;
    let open = world.scribe.intend(exchange()).await.unwrap();
    let id = open.event().id.clone();
    world.scribe.record(exchange()).await.unwrap();
    world.scribe.query(&Filter::default()).await.unwrap();
    world.scribe.record(exchange()).await.unwrap();
    world.scribe.query(&Filter::default()).await.unwrap();
    let carried = world.journal.with(|s| {
        let current = s.current;
        s.records.retain(|(end, _)| *end > current);
        s.records.iter().filter(|(_, r)| r.starts_with(b"intent ")).count()
    });
    assert_eq!(carried, 1, "once in the file that is left");
    std::mem::forget(open);
    let world = world.restarted().await;
    world.scribe.query(&Filter::default()).await.unwrap();
    assert_eq!(world.ledger.outcomes().last().unwrap(), &(id, "interrupted".to_owned()));
}

#[tokio::test]
async fn thousands_at_once_are_all_there_once() {
    let world = World::new().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..4000 {
        let scribe = world.scribe.clone();
        tasks.spawn(async move {
            let intent = scribe.intend(exchange()).await.unwrap();
            tokio::task::yield_now().await;
            if n % 2 == 0 {
                intent.finish(finished("complete")).unwrap();
            }
        });
    }
    tasks.join_all().await;
    let outcomes = world.outcomes().await;
    assert_eq!(outcomes.len(), 4000);
    assert_eq!(outcomes.iter().filter(|o| *o == "complete").count(), 2000);
}

#[tokio::test]
async fn a_journal_shorter_than_the_ledger_knows_loses_nothing_new() {
    let (journal, ledger) = (MemoryJournal::default(), MemoryLedger::default());
    let intent = Event { id: "ev_open".into(), ..exchange() };
    journal.append(&encode(Tag::Intent, &intent).unwrap()).unwrap();
    ledger.append(&[] as &[Entry], 1_000_000).await.unwrap();
    let world = World::with(Config::default(), TUNING, journal, ledger).await;
    world.scribe.record(finished("complete")).await.unwrap();
    assert_eq!(world.outcomes().await, ["", "interrupted", "complete"]);
    assert_eq!(world.ledger.with(|s| s.entries[0].event.kind.clone()), "journal_damaged", "it is said");
}

#[tokio::test]
async fn a_record_that_is_not_understood_is_said_to_be_there() {
    let journal = MemoryJournal::default();
    journal.append(b"checkpoint {}").unwrap();
    let world = World::with(Config::default(), TUNING, journal, MemoryLedger::default()).await;
    let page = world.scribe.query(&Filter::default()).await.unwrap();
    assert_eq!(page.events[0].kind, "journal_damaged");
}

#[tokio::test]
async fn after_the_stop_everything_is_in_the_ledger() {
    let world = World::new().await;
    for _ in 0..100 {
        world.scribe.note(exchange()).unwrap();
    }
    world.stop.cancel();
    world.scribe.closed().await;
    assert_eq!(world.ledger.outcomes().len(), 100);
}

/// A journal that takes nothing from now on.
fn fails(world: &World) {
    world.journal.with(|s| s.fail_append = Some(Box::new(|_| true)));
}

fn works_again(world: &World) {
    world.journal.with(|s| s.fail_append = None);
}

/// What is told of outages: since when, and how many things were missed.
fn outages(world: &World) -> Vec<(String, u64)> {
    world.ledger.with(|s| {
        let told = s.entries.iter().filter(|entry| entry.event.kind == "audit_outage");
        told.map(|entry| (entry.event.since.clone().unwrap(), entry.event.count.unwrap())).collect()
    })
}

#[tokio::test]
async fn a_failure_to_audit_is_an_event_as_soon_as_auditing_works_again() {
    let world = World::new().await;
    fails(&world);
    world.hand.advance(Duration::from_secs(1));
    for _ in 0..2 {
        world.scribe.intend(exchange()).await.unwrap_err();
        world.hand.advance(Duration::from_secs(60));
    }
    world.scribe.record(Event { kind: "login".into(), ..Event::default() }).await.unwrap_err();
    works_again(&world);
    world.scribe.intend(exchange()).await.unwrap().finish(finished("complete")).unwrap();
    world.scribe.query(&Filter::default()).await.unwrap();
    assert_eq!(outages(&world), [("2027-01-15T08:00:01.000Z".to_owned(), 3)], "told once");
    let detail = world.ledger.with(|s| s.entries[0].event.detail.clone().unwrap());
    assert!(detail.contains("2 exchanges were refused, and 1 other events are not in the log"), "{detail}");
}

#[tokio::test]
async fn a_failure_to_audit_is_told_also_when_nobody_comes_any_more() {
    let world = World::new().await;
    fails(&world);
    world.scribe.intend(exchange()).await.unwrap_err();
    works_again(&world);
    let mut progress = world.scribe.progress();
    while outages(&world).is_empty() {
        tokio::time::timeout(Duration::from_secs(30), progress.changed()).await.unwrap().unwrap();
    }
    assert_eq!(outages(&world).len(), 1);
}

#[tokio::test]
async fn a_clock_that_goes_back_loses_no_event_and_changes_no_order() {
    let (journal, ledger) = (MemoryJournal::default(), MemoryLedger::default());
    let later = World::with(Config::default(), TUNING, journal, ledger).await;
    later.hand.advance(Duration::from_secs(3600));
    later.scribe.record(Event { id: "ev_late".into(), ..exchange() }).await.unwrap();
    let held = later.scribe.intend(Event { id: "ev_held".into(), ..exchange() }).await.unwrap();
    // A process whose clock stands an hour earlier.
    std::mem::forget(held);
    let earlier = later.restarted().await;
    earlier.scribe.record(Event { id: "ev_early".into(), ..exchange() }).await.unwrap();
    drop(earlier.scribe.intend(exchange()).await.unwrap());
    earlier.scribe.query(&Filter::default()).await.unwrap();
    let ids: Vec<String> = earlier.ledger.outcomes().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids[..3], ["ev_late", "ev_held", "ev_early"], "as they came, whatever their times");
    let times = earlier.ledger.with(|s| [s.entries[0].event.time.clone(), s.entries[2].event.time.clone()]);
    assert!(times[0] > times[1]);
    let lasted = earlier.ledger.with(|s| s.entries[3].event.response.as_ref().unwrap().duration_ms);
    assert_eq!(lasted, 0);
}
