//! A journal and a ledger in memory, whose failures a test commands.

use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use super::{AuditError, Entry, Extent, Filter, Journal, Ledger, Page, Record, Row, SessionFilter};
use crate::wire::api::Session;

/// Commands and contents of a [`MemoryJournal`].
#[derive(Default)]
pub(crate) struct JournalState {
    /// Each with the position after it.
    pub(crate) records: Vec<(u64, Vec<u8>)>,
    pub(crate) end: u64,
    pub(crate) current: u64,
    pub(crate) appends: u64,
    pub(crate) syncs: u64,
    pub(crate) rotations: u64,
    /// Fails the appends that this says of their number, counted from 1.
    pub(crate) fail_append: Option<Box<dyn Fn(u64) -> bool + Send>>,
    pub(crate) fail_sync: bool,
}

/// A journal that forgets nothing.
#[derive(Clone, Default)]
pub(crate) struct MemoryJournal(Arc<Mutex<JournalState>>);

impl MemoryJournal {
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut JournalState) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// The records that begin with a word.
    pub(crate) fn count(&self, word: &str) -> usize {
        self.with(|s| s.records.iter().filter(|(_, r)| r.starts_with(word.as_bytes())).count())
    }
}

impl Journal for MemoryJournal {
    fn append(&self, record: &[u8]) -> Result<u64, AuditError> {
        self.with(|s| {
            s.appends += 1;
            if s.fail_append.as_ref().is_some_and(|fails| fails(s.appends)) {
                return Err(AuditError("no space left".into()));
            }
            s.end += record.len() as u64;
            let end = s.end;
            s.records.push((end, record.to_vec()));
            Ok(end)
        })
    }

    fn sync(&self) -> Result<(), AuditError> {
        self.with(|s| {
            s.syncs += 1;
            if s.fail_sync { Err(AuditError("input/output error".into())) } else { Ok(()) }
        })
    }

    fn read_from(&self, position: u64, max: usize) -> Result<Vec<Record>, AuditError> {
        self.with(|s| {
            let records = s.records.iter().filter(|(end, _)| *end > position).take(max);
            Ok(records.map(|(end, bytes)| Record { end: *end, skipped: 0, bytes: bytes.clone() }).collect())
        })
    }

    fn extent(&self) -> Extent {
        self.with(|s| Extent { start: 0, current: s.current, second: None, end: s.end })
    }

    fn rotate(&self, at_least: u64, carry: &[&[u8]]) -> Result<u64, AuditError> {
        self.with(|s| {
            if s.fail_append.as_ref().is_some_and(|fails| fails(s.appends)) {
                return Err(AuditError("no space left".into()));
            }
            s.rotations += 1;
            s.end = s.end.max(at_least);
            s.current = s.end;
            for record in carry {
                s.end += record.len() as u64;
                let end = s.end;
                s.records.push((end, record.to_vec()));
            }
            Ok(s.end)
        })
    }

    fn prune(&self, _position: u64) -> Result<(), AuditError> {
        Ok(())
    }
}

/// Commands and contents of a [`MemoryLedger`].
#[derive(Default)]
pub(crate) struct LedgerState {
    pub(crate) entries: Vec<Entry>,
    pub(crate) position: u64,
    /// Appends still to succeed; after them every one fails. `None`: all succeed.
    pub(crate) appends_left: Option<u64>,
    /// A failing append has taken effect all the same, as a commit whose answer was lost.
    pub(crate) fails_after_commit: bool,
}

/// A ledger that keeps to the rules: one transaction, ids once.
#[derive(Clone, Default)]
pub(crate) struct MemoryLedger(Arc<Mutex<LedgerState>>);

impl MemoryLedger {
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut LedgerState) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Event ids and outcomes, in order.
    pub(crate) fn outcomes(&self) -> Vec<(String, String)> {
        self.with(|s| {
            let outcome =
                |e: &Entry| e.event.response.as_ref().map(|r| r.outcome.clone()).unwrap_or_default();
            // What is told of outages is no outcome of anything.
            let told = s.entries.iter().filter(|e| e.event.kind != "audit_outage");
            told.map(|e| (e.event.id.clone(), outcome(e))).collect()
        })
    }
}

#[async_trait::async_trait]
impl Ledger for MemoryLedger {
    async fn append(&self, entries: &[Entry], journal_position: u64) -> Result<(), AuditError> {
        self.with(|s| {
            let fails = s.appends_left == Some(0);
            if !fails || s.fails_after_commit {
                for entry in entries {
                    if !s.entries.iter().any(|known| known.event.id == entry.event.id) {
                        s.entries.push(entry.clone());
                    }
                }
                s.position = journal_position;
            }
            if fails {
                return Err(AuditError("database is locked".into()));
            }
            s.appends_left = s.appends_left.map(|left| left - 1);
            Ok(())
        })
    }

    async fn journal_position(&self) -> Result<u64, AuditError> {
        Ok(self.with(|s| s.position))
    }

    async fn settle(&self) -> Result<(), AuditError> {
        Ok(())
    }

    async fn query(&self, _filter: &Filter) -> Result<Page, AuditError> {
        let events = self.with(|s| s.entries.iter().map(|e| e.event.clone()).collect());
        Ok(Page { events, next: None, cursor: 0 })
    }

    async fn sessions(&self, _filter: &SessionFilter) -> Result<Vec<(u64, Session)>, AuditError> {
        Ok(Vec::new())
    }

    async fn place(&self, id: &str) -> Result<Option<Row>, AuditError> {
        let rows = self.rows(0, usize::MAX).await?;
        let found = self.with(|s| s.entries.iter().position(|entry| entry.event.id == id));
        Ok(found.and_then(|at| rows.into_iter().nth(at)))
    }

    async fn last(&self) -> Result<u64, AuditError> {
        Ok(self.with(|s| s.entries.len() as u64))
    }

    async fn rows(&self, after: u64, most: usize) -> Result<Vec<Row>, AuditError> {
        self.with(|s| {
            let rows = (1..).zip(&s.entries).filter(|(seq, _)| *seq > after).take(most);
            Ok(rows.map(|(seq, entry)| Row { seq, json: entry.json.clone() }).collect())
        })
    }

    async fn places(
        &self,
        _since: Option<SystemTime>,
        _until: SystemTime,
    ) -> Result<Option<(u64, u64)>, AuditError> {
        Ok(Some((1, self.last().await?)).filter(|(_, last)| *last > 0))
    }

    async fn restore(&self, rows: &[Row]) -> Result<(), AuditError> {
        self.with(|s| {
            for row in rows {
                assert_eq!(row.seq, s.entries.len() as u64 + 1, "rows are put back in order, at the end");
                let event = serde_json::from_str(&row.json).unwrap();
                s.entries.push(Entry { event, json: row.json.clone() });
            }
            Ok(())
        })
    }
}
