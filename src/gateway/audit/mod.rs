//! The scribe, the only writer of audit events: an exchange is intended before its first byte goes upstream and finished exactly once.
//!
//! ```text
//!  intend, finish, record ──one line, inline──▶ journal ──indexer, in batches──▶ ledger ◀── query
//!                                               a file: survives kill -9         SQL: searchable
//! ```
//!
//! A `write` into the page cache survives the death of the process and costs some 5 µs; a database commit costs some 180 µs. So the
//! journal carries the promise and the ledger follows. The position up to which the journal has been read is committed together with
//! the rows that came from it, so every event enters the ledger exactly once, whenever the process dies.

use std::{sync::Arc, time::SystemTime};

use crate::{evidence::event::Event, wire::api::Session};

pub mod anomalies;
#[cfg(test)]
pub(crate) mod doubles;
mod groups;
mod indexer;
mod log;
mod outage;
mod record;
mod recovery;
mod report;
mod scribe;
pub mod sinks;
#[cfg(test)]
mod tests;
mod writer;

pub use log::{Log, LogStore, Row, Sequencer};
pub use scribe::{Intent, Scribe, Stats};

/// What `[audit]` of `gateway.toml` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `durability = "power-loss"`: each group of records is synced to disk before its intents are given out.
    pub power_loss: bool,
    /// `input = "excerpt"`: the beginning of what is asked is part of an exchange's event.
    pub keeps_input: bool,
    /// `output = "excerpt"`: the beginning of what the model says is part of an exchange's event.
    pub keeps_output: bool,
}

/// Which events a query wants; every condition given must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Events of this time or later.
    pub since: Option<SystemTime>,
    /// Events before this time.
    pub until: Option<SystemTime>,
    /// The caller's subject or email address, exactly.
    pub user: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// [`Event::kind`].
    pub kind: Option<String>,
    /// The exchange's id.
    pub exchange: Option<String>,
    /// The session's id.
    pub session: Option<String>,
    /// `permit`, `ask` or `deny`.
    pub verdict: Option<String>,
    /// An entity that was masked in the answer.
    pub masked: Option<String>,
    /// Only events of this very caller, whatever `user` says.
    pub own: Option<Own>,
    /// Events after this cursor.
    pub after: Option<u64>,
    /// At most this many, 1–1000. The newest when no cursor is given, always in ascending order.
    pub limit: usize,
}

/// Which sessions a list wants; every condition given must hold.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// The session's id.
    pub session: Option<String>,
    /// With an exchange of this time or later.
    pub since: Option<SystemTime>,
    /// With an exchange before this time.
    pub until: Option<SystemTime>,
    /// The caller's subject or email address, exactly.
    pub user: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// With an exchange of this verdict.
    pub verdict: Option<String>,
    /// With an answer in which this entity was masked.
    pub masked: Option<String>,
    /// Only sessions of this very caller, whatever `user` says.
    pub own: Option<Own>,
    /// Only those whose last event lies before this place.
    pub before: Option<u64>,
    /// At most this many.
    pub limit: usize,
}

/// A caller as events name it: subjects are unique only within their provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The caller's subject.
    pub subject: String,
    /// The provider's name.
    pub provider: String,
}

/// The most events one query returns.
pub const MAX_PAGE: usize = 1000;

/// Some events, in the order in which they were completed.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The events, oldest first.
    pub events: Vec<Event>,
    /// The cursor to go on with; `None` when these were the last for now.
    pub next: Option<u64>,
    /// The cursor behind everything that was looked at: from here on later events are found.
    pub cursor: u64,
}

/// The audit log cannot be written or read: nothing may be forwarded.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the audit log is unavailable: {0}")]
pub struct AuditError(pub String);

/// A complete event on its way into the ledger.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The event.
    pub event: Event,
    /// Its JSON text as the journal has it; kept to the byte.
    pub json: String,
}

/// The SQL side; implemented by `store`.
#[async_trait::async_trait]
pub trait Ledger: Send + Sync {
    /// Appends events in one transaction with the journal position they were read up to. An event whose id is already there is left out.
    ///
    /// # Errors
    /// When the transaction fails; nothing of it is kept then.
    async fn append(&self, entries: &[Entry], journal_position: u64) -> Result<(), AuditError>;

    /// The position given with the last successful [`Self::append`]; 0 at first.
    ///
    /// # Errors
    /// When the database cannot be read.
    async fn journal_position(&self) -> Result<u64, AuditError>;

    /// Everything appended before the call survives a loss of power once it returns.
    ///
    /// # Errors
    /// When the database cannot be synced.
    async fn settle(&self) -> Result<(), AuditError>;

    /// The events a filter wants.
    ///
    /// # Errors
    /// When the database cannot be read.
    async fn query(&self, filter: &Filter) -> Result<Page, AuditError>;

    /// The sessions a filter wants, those with the newest exchange first, each with the place of its last event.
    ///
    /// # Errors
    /// When the database cannot be read.
    async fn sessions(&self, filter: &SessionFilter) -> Result<Vec<(u64, Session)>, AuditError>;

    /// The event of this id with its place; `None` when there is none.
    ///
    /// # Errors
    /// When the database cannot be read.
    async fn place(&self, id: &str) -> Result<Option<Row>, AuditError>;

    /// The place of the last event; 0 when there is none. The first event's is 1, and each follows the one before.
    ///
    /// # Errors
    /// When the database cannot be read.
    async fn last(&self) -> Result<u64, AuditError>;

    /// At most so many events behind a place, in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    async fn rows(&self, after: u64, most: usize) -> Result<Vec<Row>, AuditError>;

    /// The first and the last place of events not before `since` and before `until`; `None` when there is no such event. Between them may
    /// lie events of other times.
    ///
    /// # Errors
    /// When the database cannot be read.
    async fn places(
        &self,
        since: Option<SystemTime>,
        until: SystemTime,
    ) -> Result<Option<(u64, u64)>, AuditError>;

    /// Puts events back in their places, in one transaction.
    ///
    /// # Errors
    /// When the transaction fails, or a place is taken.
    async fn restore(&self, rows: &[Row]) -> Result<(), AuditError>;
}

/// A record of the journal as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The position after it.
    pub end: u64,
    /// Damaged bytes passed over to reach it; 0 unless the disk or someone else changed the file.
    pub skipped: u64,
    /// What was appended.
    pub bytes: Vec<u8>,
}

/// What a journal holds. Positions count bytes since the first record ever and never go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where the oldest kept file begins.
    pub start: u64,
    /// Where the file being written begins.
    pub current: u64,
    /// Where the second oldest file begins, if there is one: an index past it no longer needs the oldest.
    pub second: Option<u64>,
    /// After the last whole record.
    pub end: u64,
}

/// The append-only files in front of the ledger; implemented by `store`. A write that returned survives kill -9.
pub trait Journal: Send + Sync {
    /// Appends one record (no newline inside, at most [`MAX_RECORD`] bytes) and returns the position after it.
    ///
    /// # Errors
    /// When it is not whole in the file; then nothing of it will ever be read back by this process, and appending works again once the
    /// cause has gone.
    fn append(&self, record: &[u8]) -> Result<u64, AuditError>;

    /// Everything appended before the call survives a loss of power once it returns. Blocks.
    ///
    /// # Errors
    /// When the disk says so; what was not yet synced must then be taken for lost on a loss of power.
    fn sync(&self) -> Result<(), AuditError>;

    /// Records from `position` on: at most `max`, and some 8 MiB. Blocks.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn read_from(&self, position: u64, max: usize) -> Result<Vec<Record>, AuditError>;

    /// What the journal holds.
    fn extent(&self) -> Extent;

    /// Goes on in a new file that begins with the records of `carry`, at the present end or `at_least`, whichever is later; returns the
    /// new end. Until the new file is complete the old one stays the one being written.
    ///
    /// # Errors
    /// When the new file cannot be written; then everything is as before.
    fn rotate(&self, at_least: u64, carry: &[&[u8]]) -> Result<u64, AuditError>;

    /// Removes the files whose records all lie before `position`, after syncing those that stay. Blocks.
    ///
    /// # Errors
    /// When a file cannot be synced or removed.
    fn prune(&self, position: u64) -> Result<(), AuditError>;
}

/// The longest record, in bytes.
pub const MAX_RECORD: usize = 1024 * 1024;

/// Adds what else is known of an exchange whose end nobody saw. May block.
pub type Left = Arc<dyn Fn(&mut Event) + Send + Sync>;

/// What a scribe works with.
struct Parts {
    journal: Arc<dyn Journal>,
    ledger: Arc<dyn Ledger>,
    clock: crate::clock::Clock,
    left: Option<Left>,
    tuning: Tuning,
}

/// Sizes and paces; constant but in tests.
#[derive(Clone, Copy, Debug)]
struct Tuning {
    /// Journal bytes that the ledger may lag behind before new exchanges are refused. Some 700,000 exchanges.
    max_lag: u64,
    /// The size at which a journal file is followed by a new one, in bytes.
    rotate_at: u64,
    /// How long the indexer lets records gather.
    gather: std::time::Duration,
    /// How long it waits before it first tries again what failed.
    retry: std::time::Duration,
    /// The most records indexed in one transaction.
    batch: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            max_lag: 1024 * 1024 * 1024,
            rotate_at: 64 * 1024 * 1024,
            // Each batch writes the pages of seven indices anew; whoever queries does not wait for this.
            gather: std::time::Duration::from_millis(250),
            retry: std::time::Duration::from_millis(250),
            batch: 512,
        }
    }
}
