//! What is left when the process dies: at every byte of the journal, and again during recovery.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use tokio_util::sync::CancellationToken;

use super::{Config, Store, journal::FileJournal, lock::Lock};
use crate::{
    clock::Clock,
    evidence::event::{Event, Response},
    gateway::audit::{self, Filter, Journal, Ledger, Scribe, doubles::MemoryLedger},
};

const FIRST: &str = "00000000000000000000.log";

fn event(id: &str, outcome: &str) -> Event {
    let response = Response { outcome: outcome.into(), ..Response::default() };
    Event { id: id.into(), kind: "exchange".into(), response: Some(response), ..Event::default() }
}

fn journal(folder: &Path) -> Arc<dyn Journal> {
    fs::create_dir_all(folder).unwrap();
    let lock = Arc::new(Lock::take(&folder.join("lock")).unwrap());
    Arc::new(FileJournal::open(&folder.join("journal"), lock).unwrap())
}

/// A state folder as a dead process left it.
fn remains(bytes: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("journal")).unwrap();
    fs::write(dir.path().join("journal").join(FIRST), bytes).unwrap();
    dir
}

/// One life of a gateway: opens, records nothing, dies. The ledger and the journal's bytes afterwards.
async fn life(dir: &Path, ledger: &MemoryLedger) -> Vec<u8> {
    let (clock, _) = Clock::manual(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let stop = CancellationToken::new();
    let scribe =
        Scribe::open(audit::Config::default(), journal(dir), Arc::new(ledger.clone()), clock, stop.clone())
            .await
            .unwrap();
    scribe.query(&Filter::default()).await.unwrap();
    stop.cancel();
    scribe.closed().await;
    // Absent when the ledger no longer needs it.
    fs::read(dir.join("journal").join(FIRST)).unwrap_or_default()
}

/// What a journal of whole lines promises: ids with their outcome, an intent without a finish being interrupted.
fn promised(bytes: &[u8]) -> Vec<(String, String)> {
    let mut promised: Vec<(String, String)> = Vec::new();
    let whole = &bytes[..bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1)];
    for line in std::str::from_utf8(whole).unwrap().lines() {
        let mut words = line.splitn(3, ' ').skip(1);
        let (tag, json) = (words.next().unwrap(), words.next().unwrap());
        let event: Event = serde_json::from_str(json).unwrap();
        let outcome = match tag {
            "intent" => "interrupted".to_owned(),
            _ => event.response.unwrap().outcome,
        };
        promised.retain(|(id, _)| *id != event.id);
        promised.push((event.id, outcome));
    }
    promised.sort();
    promised
}

fn kept(ledger: &MemoryLedger) -> Vec<(String, String)> {
    let mut outcomes = ledger.outcomes();
    outcomes.sort();
    outcomes
}

/// A journal with every kind of record: finished, open, complete, aborted.
async fn busy_journal() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (clock, _) = Clock::manual(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let ledger = Arc::new(MemoryLedger::default());
    let scribe =
        Scribe::open(audit::Config::default(), journal(dir.path()), ledger, clock, CancellationToken::new())
            .await
            .unwrap();
    let a = scribe.intend(event("a", "")).await.unwrap();
    let b = scribe.intend(event("b", "")).await.unwrap();
    a.finish(event("a", "complete")).unwrap();
    scribe.record(event("c", "refused")).await.unwrap();
    drop(scribe.intend(event("d", "")).await.unwrap());
    let e = scribe.intend(event("e", "")).await.unwrap();
    let bytes = fs::read(dir.path().join("journal").join(FIRST)).unwrap();
    drop((b, e));
    bytes
}

#[tokio::test]
async fn killed_at_any_byte_everything_promised_is_there_once() {
    let bytes = busy_journal().await;
    let mut seen = std::collections::BTreeSet::new();
    for cut in 0..=bytes.len() {
        let dir = remains(&bytes[..cut]);
        let ledger = MemoryLedger::default();
        life(dir.path(), &ledger).await;
        assert_eq!(kept(&ledger), promised(&bytes[..cut]), "cut at {cut}");
        seen.insert(format!("{:?}", kept(&ledger)));
    }
    assert_eq!(seen.len(), 8, "the cuts went through every state");
}

#[tokio::test]
async fn killed_again_at_any_byte_of_the_recovery_everything_is_there_once() {
    let bytes = busy_journal().await;
    let promised = promised(&bytes);
    let dir = remains(&bytes);
    let recovered = life(dir.path(), &MemoryLedger::default()).await;
    assert!(recovered.len() > bytes.len(), "the marks are in the journal");
    for cut in bytes.len()..=recovered.len() {
        let dir = remains(&recovered[..cut]);
        // The ledger has nothing, or all that the journal had when it died for the first time.
        for index_first in [false, true] {
            let ledger = MemoryLedger::default();
            if index_first {
                let position = u64::try_from(bytes.len()).unwrap();
                let earlier = remains(&bytes);
                let complete = MemoryLedger::default();
                life(earlier.path(), &complete).await;
                let entries = complete.with(|s| s.entries.clone());
                let before = |id: &str| ["a", "c", "d"].contains(&id);
                let entries: Vec<_> = entries.into_iter().filter(|e| before(&e.event.id)).collect();
                ledger.append(&entries, position).await.unwrap();
            }
            life(dir.path(), &ledger).await;
            assert_eq!(kept(&ledger), promised, "cut at {cut}");
            life(dir.path(), &ledger).await;
            assert_eq!(kept(&ledger), promised, "cut at {cut}, a third life");
        }
    }
}

#[tokio::test]
async fn torn_bytes_of_any_kind_at_the_end_change_nothing() {
    let bytes = busy_journal().await;
    let promised = promised(&bytes);
    for tail in [&b"\0\0\0\0\0\0"[..], b"\n", b"ffffffff finish {}\n", b"0", &[0xff; 5000]] {
        let dir = remains(&[&bytes, tail].concat());
        let ledger = MemoryLedger::default();
        life(dir.path(), &ledger).await;
        assert_eq!(kept(&ledger), promised, "{tail:?}");
    }
}

/// The steps of a rotation as they lie on the disk: before, the new file half written, in place, the old one gone.
#[tokio::test]
async fn killed_at_any_step_of_a_rotation_no_intent_is_lost_or_doubled() {
    let bytes = busy_journal().await;
    let promised = promised(&bytes);
    let open: Vec<&[u8]> = bytes
        .split_inclusive(|b| *b == b'\n')
        .filter(|line| {
            line[9..].starts_with(b"intent ") && [&b"\"b\""[..], b"\"e\""].iter().any(|id| contains(line, id))
        })
        .collect();
    assert_eq!(open.len(), 2);
    let follow = open.concat();
    let (end, next) = (bytes.len() as u64, format!("{:020}", bytes.len()));
    for step in ["half", "whole", "renamed", "pruned"] {
        let dir = remains(&bytes);
        let folder = dir.path().join("journal");
        match step {
            "half" => fs::write(folder.join(format!("{next}.new")), &follow[..follow.len() / 2]).unwrap(),
            "whole" => fs::write(folder.join(format!("{next}.new")), &follow).unwrap(),
            _ => fs::write(folder.join(format!("{next}.log")), &follow).unwrap(),
        }
        let ledger = MemoryLedger::default();
        if step == "pruned" {
            let early = remains(&bytes);
            let complete = MemoryLedger::default();
            life(early.path(), &complete).await;
            let mut entries = complete.with(|s| s.entries.clone());
            entries.retain(|e| ["a", "c", "d"].contains(&e.event.id.as_str()));
            ledger.append(&entries, end).await.unwrap();
            fs::remove_file(folder.join(FIRST)).unwrap();
        }
        life(dir.path(), &ledger).await;
        assert_eq!(kept(&ledger), promised, "{step}");
        life(dir.path(), &ledger).await;
        assert_eq!(kept(&ledger), promised, "{step}, and once more");
    }
}

fn contains(line: &[u8], needle: &[u8]) -> bool {
    line.windows(needle.len()).any(|w| w == needle)
}

#[tokio::test]
async fn the_database_has_each_event_once_however_often_the_gateway_starts() {
    let bytes = busy_journal().await;
    let dir = tempfile::tempdir().unwrap();
    let config = Config { state: dir.path().to_owned(), database: dir.path().join("gateway.db") };
    fs::create_dir(dir.path().join("journal")).unwrap();
    fs::write(dir.path().join("journal").join(FIRST), &bytes).unwrap();
    for _ in 0..3 {
        let store = Store::open(&config).await.unwrap();
        let stop = CancellationToken::new();
        let scribe = Scribe::open(
            audit::Config { power_loss: true, ..audit::Config::default() },
            store.journal(),
            store.ledger(),
            Clock::system(),
            stop.clone(),
        )
        .await
        .unwrap();
        let page = scribe.query(&Filter { limit: 100, ..Filter::default() }).await.unwrap();
        let outcome = |e: &Event| (e.id.clone(), e.response.as_ref().unwrap().outcome.clone());
        let mut outcomes: Vec<_> = page.events.iter().map(outcome).collect();
        outcomes.sort();
        assert_eq!(outcomes, promised(&bytes));
        stop.cancel();
        scribe.closed().await;
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_follow_each_other_under_load_lose_and_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { state: dir.path().to_owned(), database: dir.path().join("gateway.db") };
    let files = || fs::read_dir(dir.path().join("journal")).unwrap().count();
    let store = Store::open(&config).await.unwrap();
    let stop = CancellationToken::new();
    let scribe =
        Scribe::open_with_files_of(4096, store.journal(), store.ledger(), stop.clone()).await.unwrap();
    let old = scribe.intend(event("oldest", "")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let scribe = scribe.clone();
        tasks.spawn(async move {
            for n in 0..100 {
                let id = format!("{task}-{n:02}");
                let intent = scribe.intend(event(&id, "")).await.unwrap();
                tokio::task::yield_now().await;
                if n == 99 {
                    // Its holder dies with the process.
                    std::mem::forget(intent);
                } else {
                    intent.finish(event(&id, "complete")).unwrap();
                }
            }
        });
    }
    tasks.join_all().await;
    scribe.query(&Filter::default()).await.unwrap();
    let extent = store.journal().extent();
    assert!(extent.start > 0, "files have been followed and removed");
    std::mem::forget(old);
    stop.cancel();
    scribe.closed().await;
    // What was forgotten holds the scribe, and with it the lock: the state goes on in another folder.
    store.close().await;
    let moved = tempfile::tempdir().unwrap();
    fs::create_dir(moved.path().join("journal")).unwrap();
    for file in fs::read_dir(dir.path().join("journal")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), moved.path().join("journal").join(file.file_name())).unwrap();
    }
    fs::copy(&config.database, moved.path().join("gateway.db")).unwrap();
    assert!(files() < 5, "{} files", files());

    let config = Config { state: moved.path().to_owned(), database: moved.path().join("gateway.db") };
    let store = Store::open(&config).await.unwrap();
    let stop = CancellationToken::new();
    let scribe = Scribe::open_with_files_of(4096, store.journal(), store.ledger(), stop).await.unwrap();
    assert_eq!(scribe.stats().interrupted, 9);
    let mut seen = std::collections::BTreeMap::new();
    let mut after = Some(0);
    while let Some(cursor) = after {
        let filter = Filter { after: Some(cursor), limit: 1000, ..Filter::default() };
        let page = scribe.query(&filter).await.unwrap();
        for event in page.events {
            assert!(seen.insert(event.id, event.response.unwrap().outcome).is_none());
        }
        after = page.next;
    }
    assert_eq!(seen.len(), 801);
    assert_eq!(seen.values().filter(|outcome| *outcome == "interrupted").count(), 9);
    assert_eq!(seen["oldest"], "interrupted");
}
