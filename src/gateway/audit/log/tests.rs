//! What the log promises, on a store in memory that dies at any write.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::{Log, LogStore, Sequencer};
use crate::{
    evidence::{
        event::Event,
        leaf::leaf,
        tlog::{Check, Checkpoint, Kept, MAX_ENTRY, Tile},
    },
    gateway::audit::{AuditError, Entry, Ledger, doubles::MemoryLedger},
    secret::{ExposeSecret, SecretString},
};

/// Files by path, and how many more writes succeed.
#[derive(Default)]
struct Disk {
    files: BTreeMap<String, Vec<u8>>,
    writes_left: Option<usize>,
    writes: usize,
}

#[derive(Clone, Default)]
struct MemoryLog(Arc<Mutex<Disk>>);

impl MemoryLog {
    fn with<T>(&self, look: impl FnOnce(&mut Disk) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Result<(), AuditError> {
        self.with(|disk| {
            if disk.writes_left == Some(0) {
                return Err(AuditError("killed".into()));
            }
            disk.writes_left = disk.writes_left.map(|left| left - 1);
            disk.writes += 1;
            disk.files.insert(path.to_owned(), bytes.to_vec());
            Ok(())
        })
    }

    /// What lies on the disk, for another life.
    fn copy(&self) -> Self {
        let files = self.with(|disk| disk.files.clone());
        Self(Arc::new(Mutex::new(Disk { files, ..Disk::default() })))
    }
}

impl LogStore for MemoryLog {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, AuditError> {
        Ok(self.with(|disk| disk.files.get(path).cloned()))
    }
    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), AuditError> {
        self.put(path, bytes)
    }
    fn remove(&self, path: &str) -> Result<(), AuditError> {
        self.with(|disk| {
            if disk.writes_left == Some(0) {
                return Err(AuditError("killed".into()));
            }
            disk.files.remove(path);
            Ok(())
        })
    }
    fn key(&self) -> Result<Option<SecretString>, AuditError> {
        Ok(self.read("key")?.map(|bytes| String::from_utf8(bytes).unwrap().into()))
    }
    fn keep_key(&self, key: &SecretString) -> Result<(), AuditError> {
        self.put("key", key.expose_secret().as_bytes())
    }
    fn keep_public_key(&self, key: &str) -> Result<(), AuditError> {
        self.put("vkey", key.as_bytes())
    }
}

fn entry(n: usize) -> Entry {
    let event = Event { id: format!("ev_{n}"), kind: "exchange".into(), ..Event::default() };
    Entry { json: serde_json::to_string(&event).unwrap(), event }
}

async fn record(ledger: &MemoryLedger, numbers: std::ops::Range<usize>) {
    ledger.append(&numbers.map(entry).collect::<Vec<_>>(), 1).await.unwrap();
}

async fn open(store: &MemoryLog, ledger: &MemoryLedger) -> Result<(Log, Sequencer), AuditError> {
    Log::open(Arc::new(store.clone()), Arc::new(ledger.clone()), "gateway.example.test/audit").await
}

/// A life that takes in everything the ledger has, if it can.
async fn life(store: &MemoryLog, ledger: &MemoryLedger) -> Result<Log, AuditError> {
    let (log, mut sequencer) = open(store, ledger).await?;
    sequencer.catch_up().await?;
    Ok(log)
}

/// Checks the log as an auditor does; its events' texts.
fn checked(store: &MemoryLog, log: &Log, kept: Vec<Kept>) -> Vec<String> {
    let head = Checkpoint::open(log.checkpoint().as_bytes(), &log.key().parse().unwrap()).unwrap();
    assert_eq!(store.read("checkpoint").unwrap().unwrap(), log.checkpoint().as_bytes());
    let mut texts = Vec::new();
    let mut check = Check::new(head, kept).unwrap();
    while let Some(tile) = check.wants() {
        let bytes = store.read(&tile.to_string()).unwrap();
        check.feed(bytes.as_deref()).unwrap();
        if tile.kind == crate::evidence::tlog::Kind::Entries {
            let bytes = bytes.unwrap();
            let entries = crate::evidence::tlog::entries(&bytes);
            texts.extend(entries.map(|entry| String::from_utf8(entry.unwrap().to_vec()).unwrap()));
        }
    }
    check.finish().unwrap();
    texts
}

fn recorded(ledger: &MemoryLedger) -> Vec<String> {
    ledger.with(|s| s.entries.iter().map(|entry| entry.json.clone()).collect())
}

fn kept(log: &Log) -> Kept {
    let checkpoint = Checkpoint::open(log.checkpoint().as_bytes(), &log.key().parse().unwrap()).unwrap();
    Kept { checkpoint, name: "kept".into() }
}

#[tokio::test]
async fn the_ledgers_events_are_the_leaves_in_order_across_lives() {
    let (store, ledger) = (MemoryLog::default(), MemoryLedger::default());
    let mut heads = vec![kept(&life(&store, &ledger).await.unwrap())];
    for (from, to) in [(0, 1), (1, 255), (255, 256), (256, 256), (256, 700), (700, 5000)] {
        record(&ledger, from..to).await;
        let log = life(&store, &ledger).await.unwrap();
        assert_eq!(log.size(), to as u64);
        assert_eq!(checked(&store, &log, heads.clone()), recorded(&ledger));
        heads.push(kept(&log));
    }
    let partial = store.with(|disk| disk.files.keys().filter(|path| path.contains(".p/")).count());
    assert_eq!(partial, 3, "those of the present head alone: entries, and two levels");
}

#[tokio::test]
async fn killed_at_any_write_no_event_is_lost_or_doubled_and_no_head_is_taken_back() {
    let (whole, ledger) = (MemoryLog::default(), MemoryLedger::default());
    record(&ledger, 0..300).await;
    let before = kept(&life(&whole, &ledger).await.unwrap());
    record(&ledger, 300..900).await;
    let all = whole.copy();
    life(&all, &ledger).await.unwrap();
    let writes = all.with(|disk| disk.writes);
    assert!(writes > 8, "{writes} writes");
    for left in 0..=writes {
        let store = whole.copy();
        store.with(|disk| disk.writes_left = Some(left));
        let died = life(&store, &ledger).await.is_err();
        assert_eq!(died, left < writes, "{left} of {writes}");
        let store = store.copy();
        let log = life(&store, &ledger).await.unwrap();
        assert_eq!(checked(&store, &log, vec![before.clone()]), recorded(&ledger), "killed at {left}");
    }
    // And at the very first start.
    for left in 0..4 {
        let store = MemoryLog::default();
        store.with(|disk| disk.writes_left = Some(left));
        drop(life(&store, &ledger).await);
        let store = store.copy();
        let log = life(&store, &ledger).await.unwrap();
        assert_eq!(checked(&store, &log, Vec::new()), recorded(&ledger));
    }
}

#[tokio::test]
async fn trouble_ends_when_its_cause_does() {
    let (store, ledger) = (MemoryLog::default(), MemoryLedger::default());
    record(&ledger, 0..10).await;
    let (log, mut sequencer) = open(&store, &ledger).await.unwrap();
    store.with(|disk| disk.writes_left = Some(1));
    assert!(sequencer.catch_up().await.is_err());
    assert_eq!(log.size(), 0, "what is not on disk is not published");
    record(&ledger, 10..600).await;
    store.with(|disk| disk.writes_left = None);
    sequencer.catch_up().await.unwrap();
    assert_eq!(checked(&store, &log, Vec::new()), recorded(&ledger));
}

#[tokio::test]
async fn what_is_lost_altered_or_replaced_is_said_and_nothing_starts() {
    let (whole, ledger) = (MemoryLog::default(), MemoryLedger::default());
    record(&ledger, 0..300).await;
    life(&whole, &ledger).await.unwrap();
    let refused = async |change: &dyn Fn(&mut Disk)| {
        let store = whole.copy();
        store.with(|disk| change(disk));
        open(&store, &ledger).await.err().map(|e| e.to_string()).unwrap_or_default()
    };
    let other = MemoryLog::default();
    life(&other, &MemoryLedger::default()).await.unwrap();
    let other_key = other.read("key").unwrap().unwrap();
    for (said, why) in [
        (refused(&|d| drop(d.files.remove("key"))).await, "its key is missing"),
        (
            refused(&|d| drop(d.files.insert("key".into(), other_key.clone()))).await,
            "not the one that signed",
        ),
        (
            refused(&|d| drop(d.files.insert("key".into(), b"nonsense".to_vec()))).await,
            "its key cannot be used",
        ),
        (refused(&|d| drop(d.files.remove("checkpoint"))).await, "its checkpoint is missing"),
        (refused(&|d| d.files.get_mut("checkpoint").unwrap()[30] ^= 1).await, "its checkpoint was altered"),
        (refused(&|d| drop(d.files.remove("tile/0/001.p/44"))).await, "tile/0/001.p/44 is missing"),
        (refused(&|d| d.files.get_mut("tile/0/001.p/44").unwrap()[7] ^= 1).await, "last tiles"),
        (refused(&|d| d.files.get_mut("tile/1/000.p/1").unwrap()[7] ^= 1).await, "last tiles"),
        (refused(&|d| d.files.get_mut("tile/0/001.p/44").unwrap().truncate(64)).await, "44 hashes long"),
        (
            refused(&|d| d.files.get_mut("tile/entries/001.p/44").unwrap()[70] ^= 1).await,
            "tile/entries/001.p/44 was altered",
        ),
    ] {
        assert!(said.contains(why) && said.contains("restore"), "{why}: {said:?}");
    }
    assert!(open(&whole.copy(), &ledger).await.is_ok());
}

#[tokio::test]
async fn a_database_that_lost_its_end_gets_it_back_from_the_log() {
    for (logged, left) in [(300, 290), (300, 256), (300, 100), (300, 0), (512, 512), (1, 0)] {
        let (store, ledger) = (MemoryLog::default(), MemoryLedger::default());
        record(&ledger, 0..logged).await;
        life(&store, &ledger).await.unwrap();
        let before = recorded(&ledger);
        ledger.with(|s| s.entries.truncate(left));
        let (log, mut sequencer) = open(&store, &ledger).await.unwrap();
        assert_eq!(recorded(&ledger), before, "{left} of {logged}");
        record(&ledger, logged..logged + 5).await;
        sequencer.catch_up().await.unwrap();
        assert_eq!(checked(&store, &log, Vec::new()), recorded(&ledger));
    }
}

#[tokio::test]
async fn a_database_whose_last_events_are_not_the_logs_is_said() {
    let (store, ledger) = (MemoryLog::default(), MemoryLedger::default());
    record(&ledger, 0..300).await;
    life(&store, &ledger).await.unwrap();
    ledger.with(|s| s.entries[298] = entry(7000));
    let error = open(&store, &ledger).await.err().unwrap().to_string();
    assert!(error.contains("event 298 of the database"), "{error}");
}

#[tokio::test]
async fn an_event_too_long_for_a_bundle_stands_in_the_log_as_its_digest() {
    let (store, ledger) = (MemoryLog::default(), MemoryLedger::default());
    let event = Event { id: "ev_long".into(), detail: Some("x".repeat(MAX_ENTRY)), ..Event::default() };
    let json = serde_json::to_string(&event).unwrap();
    ledger.append(&[Entry { event, json: json.clone() }], 1).await.unwrap();
    record(&ledger, 0..3).await;
    let log = life(&store, &ledger).await.unwrap();
    let texts = checked(&store, &log, Vec::new());
    assert_eq!(texts[0].as_bytes(), &*leaf(&json));
    assert!(life(&store, &ledger).await.is_ok(), "and is compared as such");
}

#[tokio::test]
async fn tiles_are_served_at_any_width_they_had_and_none_else() {
    let (store, ledger) = (MemoryLog::default(), MemoryLedger::default());
    record(&ledger, 0..300).await;
    let log = life(&store, &ledger).await.unwrap();
    let get = async |path: &str| log.tile(path.parse::<Tile>().unwrap()).await.unwrap().map(|b| b.len());
    assert_eq!(get("tile/0/000").await, Some(8192));
    assert_eq!(get("tile/0/000.p/255").await, Some(255 * 32));
    assert_eq!(get("tile/0/001.p/44").await, Some(44 * 32));
    assert_eq!(get("tile/0/001.p/1").await, Some(32));
    assert_eq!(get("tile/0/001.p/45").await, None);
    assert_eq!(get("tile/0/001").await, None);
    assert_eq!(get("tile/1/000.p/1").await, Some(32));
    let first = entry(256).json.len() + 2;
    assert_eq!(get("tile/entries/001.p/1").await, Some(first));
}
