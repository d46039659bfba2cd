//! The indexer moves the journal's complete events into the ledger, in batches, each event once.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    AuditError, Entry, Parts, Record,
    outage::Outages,
    record::{Tag, parse},
    writer::Writer,
};
use crate::{
    clock::{Clock, rfc3339},
    evidence::event::{Event, SCHEMA},
    id,
};

/// The pause between attempts doubles up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How far the ledger has come, for those who wait for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// Everything before this position of the journal is in the ledger.
    pub(super) indexed: u64,
    /// Rounds that failed.
    pub(super) failures: u64,
    /// Why the last round failed; `None` when it did not.
    pub(super) fault: Option<AuditError>,
    /// The indexer has stopped.
    pub(super) ended: bool,
}

/// How others get the indexer's attention.
#[derive(Default)]
pub(super) struct Bell {
    /// Something was appended: index it when enough has gathered.
    pub(super) wake: Notify,
    /// Someone waits: index now.
    pub(super) hurry: Notify,
}

/// The indexer's own state.
pub(super) struct Indexer {
    parts: Arc<Parts>,
    writer: Arc<Writer>,
    outages: Arc<Outages>,
    /// Read up to here.
    read: u64,
    /// Committed to the ledger up to here; what lies between held no complete event.
    committed: u64,
    /// What was last said about trouble, so that it is said once.
    said: Option<String>,
}

impl Indexer {
    /// An indexer that goes on where the ledger stands.
    pub(super) fn new(parts: Arc<Parts>, writer: Arc<Writer>, outages: Arc<Outages>, position: u64) -> Self {
        writer.set_indexed(position);
        Self { parts, writer, outages, read: position, committed: position, said: None }
    }

    /// Up to where the ledger has the journal.
    pub(super) fn position(&self) -> u64 {
        self.read
    }

    /// Runs until `stop`, then indexes what is left.
    pub(super) async fn run(
        mut self,
        bell: Arc<Bell>,
        progress: tokio::sync::watch::Sender<Progress>,
        stop: CancellationToken,
    ) {
        let mut trouble = None;
        loop {
            let last = self.rest(&bell, trouble, &stop).await;
            let result = self.round().await;
            let retry = self.parts.tuning.retry;
            trouble = (result.is_err() || self.writer.troubled())
                .then(|| trouble.map_or(retry, |pause: Duration| (pause * 2).min(LONGEST_PAUSE)));
            let indexed = self.read;
            progress.send_modify(|p| {
                p.indexed = indexed;
                p.failures += u64::from(result.is_err());
                p.fault = result.err();
                p.ended = last;
            });
            if last {
                return;
            }
        }
    }

    /// Waits for something to do, or after trouble for the next attempt; true when it is time to stop.
    async fn rest(&self, bell: &Bell, trouble: Option<Duration>, stop: &CancellationToken) -> bool {
        if let Some(pause) = trouble {
            return tokio::select! {
                () = sleep(pause) => false,
                () = bell.hurry.notified() => false,
                () = stop.cancelled() => true,
            };
        }
        tokio::select! {
            () = bell.wake.notified() => {}
            () = bell.hurry.notified() => return false,
            () = stop.cancelled() => return true,
        }
        tokio::select! {
            () = sleep(self.parts.tuning.gather) => false,
            () = bell.hurry.notified() => false,
            () = stop.cancelled() => true,
        }
    }

    /// Pays what is owed, indexes everything there is, and keeps the journal's files few.
    async fn round(&mut self) -> Result<(), AuditError> {
        let mut mended = Ok(());
        if self.writer.troubled() {
            let writer = Arc::clone(&self.writer);
            mended = blocking(move || writer.mend()).await;
        }
        let mut indexed = self.index().await;
        // Also when nobody comes any more, the log says what it could not record.
        if indexed.is_ok() && mended.is_ok() && self.outages.tell(&self.writer, &self.parts.clock) {
            indexed = self.index().await;
        }
        if indexed.is_ok() {
            indexed = self.tidy().await;
        }
        self.say(mended.as_ref().err().or(indexed.as_ref().err()).map(|e| e.0.clone()));
        indexed
    }

    /// Tells the operator when trouble begins, changes or ends.
    fn say(&mut self, trouble: Option<String>) {
        match &trouble {
            same if *same == self.said => return,
            Some(error) => tracing::error!(error, "the audit log is in trouble"),
            None => tracing::info!("the audit log works again"),
        }
        self.said = trouble;
    }

    /// Indexes everything there is.
    pub(super) async fn index(&mut self) -> Result<(), AuditError> {
        loop {
            let parts = Arc::clone(&self.parts);
            let from = self.read;
            let records = blocking(move || parts.journal.read_from(from, parts.tuning.batch)).await?;
            let Some(end) = records.last().map(|r| r.end) else {
                return Ok(());
            };
            let entries = entries(&records, &self.parts.clock);
            // Intents alone change nothing in the ledger: its position may stay behind them.
            if !entries.is_empty() {
                self.commit(&entries, end).await?;
            }
            self.read = end;
            self.writer.set_indexed(end);
        }
    }

    async fn commit(&mut self, entries: &[Entry], end: u64) -> Result<(), AuditError> {
        self.parts.ledger.append(entries, end).await?;
        self.committed = end;
        Ok(())
    }

    /// Follows a large journal file with a new one, and removes files that the ledger has durably.
    ///
    /// A crash at any step loses nothing: the new file takes effect by one rename, when it already begins with every open intent; until
    /// then the old one counts. An intent in both files is one intent, because they are paired by id. The old file goes only after the
    /// new one and the ledger are synced; if it is found again after a crash, the ledger's position lies past it, so its events are not
    /// indexed twice, and its intents are either finished in it, or carried over.
    async fn tidy(&mut self) -> Result<(), AuditError> {
        let extent = self.parts.journal.extent();
        if extent.end.saturating_sub(extent.current) >= self.parts.tuning.rotate_at {
            let writer = Arc::clone(&self.writer);
            if let Err(error) = blocking(move || writer.rotate(0)).await {
                // The present file goes on to be used; that it grows is no reason to refuse anybody.
                tracing::warn!(%error, "the audit journal could not begin a new file");
            }
        }
        let Some(second) = self.parts.journal.extent().second.filter(|s| *s <= self.read) else {
            return Ok(());
        };
        if self.committed < second {
            self.commit(&[], self.read).await?;
        }
        self.parts.ledger.settle().await?;
        let (parts, position) = (Arc::clone(&self.parts), self.committed);
        blocking(move || parts.journal.prune(position)).await
    }
}

/// Runs file work where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AuditError> + Send + 'static,
) -> Result<T, AuditError> {
    spawn_blocking(work).await.map_err(|e| AuditError(format!("a journal task died: {e}")))?
}

/// The complete events among records; damage to the journal becomes an event itself, so that the log says that it has a hole.
fn entries(records: &[Record], clock: &Clock) -> Vec<Entry> {
    let mut entries = Vec::new();
    for record in records {
        if record.skipped > 0 {
            let detail =
                format!("{} bytes before journal position {} are damaged", record.skipped, record.end);
            entries.extend(damaged(detail, clock));
        }
        match parse(&record.bytes) {
            Some(parsed) if parsed.tag == Tag::Intent => {}
            Some(parsed) => match parsed.event() {
                Some(event) => entries.push(Entry { event, json: parsed.json.to_owned() }),
                None => entries.extend(unreadable(record, clock)),
            },
            None => entries.extend(unreadable(record, clock)),
        }
    }
    entries
}

fn unreadable(record: &Record, clock: &Clock) -> Option<Entry> {
    damaged(format!("the record before journal position {} is not understood", record.end), clock)
}

fn damaged(detail: String, clock: &Clock) -> Option<Entry> {
    let event = damage(detail, clock);
    let json = serde_json::to_string(&event).ok()?;
    Some(Entry { event, json })
}

/// Says that the journal is damaged, and is the event of it.
pub(super) fn damage(detail: String, clock: &Clock) -> Event {
    tracing::error!(detail, "the audit journal is damaged");
    let now = clock.now();
    Event {
        schema: SCHEMA.to_owned(),
        id: id::new("ev", now),
        time: rfc3339(now),
        kind: "journal_damaged".to_owned(),
        detail: Some(detail),
        ..Event::default()
    }
}
