//! The scribe and the intents it gives out.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    AuditError, Config, Filter, Journal, Ledger, Left, Page, Parts, Row, SessionFilter, Tuning,
    groups::Groups,
    indexer::{Bell, Indexer, Progress},
    outage::{Missed, Outages},
    record::{Tag, encode},
    recovery,
    writer::Writer,
};
use crate::{
    clock::{Clock, rfc3339},
    evidence::event::{Event, SCHEMA},
    id,
    wire::api::Session,
};

/// The only writer of audit events. Cheap to clone.
#[derive(Clone)]
pub struct Scribe {
    desk: Arc<Desk>,
}

/// What all clones share.
struct Desk {
    parts: Arc<Parts>,
    writer: Arc<Writer>,
    bell: Arc<Bell>,
    progress: watch::Receiver<Progress>,
    /// Present with `durability = "power-loss"`.
    groups: Option<Arc<Groups>>,
    counters: Counters,
    outages: Arc<Outages>,
    keeps_input: bool,
    keeps_output: bool,
    /// Held by the one who reads the ledger at length: several at once would only slow each other, and exchanges.
    reading: tokio::sync::Mutex<()>,
    /// The indexer, and the one who syncs.
    tasks: TaskTracker,
}

#[derive(Default)]
struct Counters {
    intended: AtomicU64,
    finished: AtomicU64,
    aborted: AtomicU64,
    interrupted: AtomicU64,
    recorded: AtomicU64,
    failed: AtomicU64,
}

/// Figures for metrics; counts are since [`Scribe::open`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Intents given out.
    pub intended: u64,
    /// Intents finished by their holder.
    pub finished: u64,
    /// Intents dropped unfinished.
    pub aborted: u64,
    /// Intents of a former process, found open at the start.
    pub interrupted: u64,
    /// Complete events.
    pub recorded: u64,
    /// Appends that failed or were refused.
    pub failed: u64,
    /// Intents not yet finished in the journal.
    pub open: u64,
    /// Bytes of the journal that the ledger does not have yet.
    pub lag_bytes: u64,
    /// Bytes the kept journal files span.
    pub journal_bytes: u64,
    /// Whether the ledger took everything it was last given.
    pub indexing: bool,
}

impl Scribe {
    /// Marks every intent of a former process that has no finish `interrupted`, brings the ledger up to the journal's end, then starts
    /// the indexer. It runs until `stop`, which belongs after the last exchange; see [`Self::closed`].
    ///
    /// # Errors
    /// When the journal or the ledger cannot be read and written: a gateway must not start then.
    pub async fn open(
        config: Config,
        journal: Arc<dyn Journal>,
        ledger: Arc<dyn Ledger>,
        clock: Clock,
        stop: CancellationToken,
    ) -> Result<Self, AuditError> {
        let parts = Parts { journal, ledger, clock, left: None, tuning: Tuning::default() };
        Self::open_tuned(config, parts, stop).await
    }

    /// [`Self::open`], with what else is known of exchanges that a former process left open.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_after(
        config: Config,
        journal: Arc<dyn Journal>,
        ledger: Arc<dyn Ledger>,
        clock: Clock,
        left: Left,
        stop: CancellationToken,
    ) -> Result<Self, AuditError> {
        let parts = Parts { journal, ledger, clock, left: Some(left), tuning: Tuning::default() };
        Self::open_tuned(config, parts, stop).await
    }

    /// [`Self::open`] with journal files of another size, for other rooms' tests.
    #[cfg(test)]
    pub(crate) async fn open_with_files_of(
        rotate_at: u64,
        journal: Arc<dyn Journal>,
        ledger: Arc<dyn Ledger>,
        stop: CancellationToken,
    ) -> Result<Self, AuditError> {
        let gather = std::time::Duration::from_millis(1);
        let tuning = Tuning { rotate_at, gather, ..Tuning::default() };
        let parts = Parts { journal, ledger, clock: Clock::system(), left: None, tuning };
        Self::open_tuned(Config::default(), parts, stop).await
    }

    pub(super) async fn open_tuned(
        config: Config,
        parts: Parts,
        stop: CancellationToken,
    ) -> Result<Self, AuditError> {
        let parts = Arc::new(parts);
        let writer = Arc::new(Writer::new(Arc::clone(&parts.journal), parts.tuning.max_lag));
        let position = parts.ledger.journal_position().await?;
        // Before the lag is judged: a journal that the ledger is far behind of is caught up with here, whatever its size.
        let outages = Arc::new(Outages::default());
        let mut indexer =
            Indexer::new(Arc::clone(&parts), Arc::clone(&writer), Arc::clone(&outages), position);
        indexer.index().await?;
        let interrupted = recovery::recover(&parts, &writer, position).await?;
        indexer.index().await?;
        let groups = if config.power_loss {
            super::indexer::blocking({
                let journal = Arc::clone(&parts.journal);
                move || journal.sync()
            })
            .await?;
            Some(Arc::new(Groups::new()))
        } else {
            None
        };
        let tasks = TaskTracker::new();
        if let Some(groups) = &groups {
            let (groups, journal, writer, stop) =
                (Arc::clone(groups), Arc::clone(&parts.journal), Arc::clone(&writer), stop.clone());
            tasks.spawn(async move { groups.run(journal, &writer, stop).await });
        }
        let bell = Arc::new(Bell::default());
        let (sender, progress) =
            watch::channel(Progress { indexed: indexer.position(), ..Progress::default() });
        tasks.spawn(indexer.run(Arc::clone(&bell), sender, stop));
        tasks.close();
        let counters = Counters { interrupted: AtomicU64::new(interrupted), ..Counters::default() };
        let Config { keeps_input, keeps_output, .. } = config;
        let reading = tokio::sync::Mutex::default();
        let desk = Desk {
            parts,
            writer,
            bell,
            progress,
            groups,
            counters,
            outages,
            keeps_input,
            keeps_output,
            reading,
            tasks,
        };
        Ok(Self { desk: Arc::new(desk) })
    }

    /// Whether events hold the beginning of what is asked.
    pub fn keeps_input(&self) -> bool {
        self.desk.keeps_input
    }

    /// Whether the beginning of what models say is part of events.
    pub fn keeps_output(&self) -> bool {
        self.desk.keeps_output
    }

    /// Durable when it returns: only now may the exchange's first byte go upstream. Stamps schema, id and time where they are empty.
    ///
    /// # Errors
    /// When it is not: nothing may be forwarded.
    pub async fn intend(&self, event: Event) -> Result<Intent, AuditError> {
        let desk = &self.desk;
        let began = desk.parts.clock.now();
        let event = stamp(event, began);
        let record = desk.encoded(Tag::Intent, &event)?;
        let appended = desk.missed(Missed::Exchange, began, desk.writer.intend(record));
        let (ticket, position) = desk.count(&desk.counters.intended, appended)?;
        // From here on the intent finishes itself, also when the wait below fails or is cancelled.
        let intent = Intent { desk: Arc::clone(desk), event, ticket, began, done: false };
        desk.missed(Missed::Exchange, began, desk.durable(position).await)?;
        Ok(intent)
    }

    /// A complete event: refusals, logins, plaintext attempts … Durable when it returns.
    ///
    /// # Errors
    /// When it is not.
    pub async fn record(&self, event: Event) -> Result<(), AuditError> {
        let position = self.append(event)?;
        self.desk.durable(position).await
    }

    /// Like [`Self::record`] for places that cannot wait: survives kill -9 when it returns, a loss of power soon after.
    ///
    /// # Errors
    /// When it is not in the journal.
    pub fn note(&self, event: Event) -> Result<(), AuditError> {
        self.append(event)?;
        if let Some(groups) = &self.desk.groups {
            groups.ask();
        }
        Ok(())
    }

    /// Sees everything recorded before the call.
    ///
    /// # Errors
    /// When the ledger cannot be brought up to the journal's end, or read.
    pub async fn query(&self, filter: &Filter) -> Result<Page, AuditError> {
        self.barrier(self.desk.writer.end()).await?;
        self.desk.parts.ledger.query(filter).await
    }

    /// Sessions, with everything recorded before the call.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn sessions(&self, filter: &SessionFilter) -> Result<Vec<(u64, Session)>, AuditError> {
        self.barrier(self.desk.writer.end()).await?;
        self.desk.parts.ledger.sessions(filter).await
    }

    /// The event of this id with its place in the log, if it was recorded before the call.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn place(&self, id: &str) -> Result<Option<Row>, AuditError> {
        self.barrier(self.desk.writer.end()).await?;
        self.desk.parts.ledger.place(id).await
    }

    /// Figures for metrics.
    pub fn stats(&self) -> Stats {
        let Desk { counters, writer, parts, progress, .. } = self.desk.as_ref();
        let extent = parts.journal.extent();
        Stats {
            intended: counters.intended.load(Relaxed),
            finished: counters.finished.load(Relaxed),
            aborted: counters.aborted.load(Relaxed),
            interrupted: counters.interrupted.load(Relaxed),
            recorded: counters.recorded.load(Relaxed),
            failed: counters.failed.load(Relaxed),
            open: writer.open() as u64,
            lag_bytes: extent.end.saturating_sub(writer.indexed()),
            journal_bytes: extent.end.saturating_sub(extent.start),
            indexing: progress.borrow().fault.is_none(),
        }
    }

    /// Resolves when, after `stop`, everything has been indexed as far as it could be and nothing works on journal and ledger any more.
    pub async fn closed(&self) {
        self.desk.tasks.wait().await;
    }

    /// What the scribe works with.
    pub(super) fn parts(&self) -> &Arc<Parts> {
        &self.desk.parts
    }

    /// The journal's end: a [`Self::barrier`] there sees everything recorded before the call.
    pub(super) fn end(&self) -> u64 {
        self.desk.writer.end()
    }

    /// Waits for the turn to read the ledger at length.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.desk.reading.lock().await
    }

    /// The indexer's rounds, for those who follow it.
    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.desk.progress.clone()
    }

    fn append(&self, event: Event) -> Result<u64, AuditError> {
        let desk = &self.desk;
        let now = desk.parts.clock.now();
        let record = desk.encoded(Tag::Event, &stamp(event, now))?;
        let appended = desk.missed(Missed::Event, now, desk.writer.event(&record));
        desk.count(&desk.counters.recorded, appended)
    }

    /// Waits until the ledger has the journal up to `position`.
    pub(super) async fn barrier(&self, position: u64) -> Result<(), AuditError> {
        let mut progress = self.desk.progress.clone();
        let failures = {
            let now = progress.borrow();
            if now.indexed >= position {
                return Ok(());
            }
            now.failures
        };
        self.desk.bell.hurry.notify_one();
        let now = progress
            .wait_for(|p| p.indexed >= position || p.failures > failures || p.ended)
            .await
            .map_err(|_| AuditError("the indexer has died".into()))?;
        if now.indexed >= position {
            return Ok(());
        }
        Err(now.fault.clone().unwrap_or_else(|| AuditError("the gateway is stopping".into())))
    }
}

impl Desk {
    /// The record of an event; one that cannot be written at all is counted, and no outage.
    fn encoded(&self, tag: Tag, event: &Event) -> Result<Vec<u8>, AuditError> {
        encode(tag, event).inspect_err(|_| {
            self.counters.failed.fetch_add(1, Relaxed);
        })
    }

    /// Remembers what could not be recorded, to tell it when recording works again; tells it when this worked.
    fn missed<T>(
        &self,
        what: Missed,
        now: SystemTime,
        result: Result<T, AuditError>,
    ) -> Result<T, AuditError> {
        match &result {
            Ok(_) => drop(self.outages.tell(&self.writer, &self.parts.clock)),
            Err(error) => self.outages.note(what, now, error),
        }
        result
    }

    /// Counts an append by its result and tells the indexer.
    fn count<T>(&self, counter: &AtomicU64, result: Result<T, AuditError>) -> Result<T, AuditError> {
        if result.is_ok() { counter } else { &self.counters.failed }.fetch_add(1, Relaxed);
        self.bell.wake.notify_one();
        result
    }

    async fn durable(&self, position: u64) -> Result<(), AuditError> {
        match &self.groups {
            Some(groups) => groups.wait(position).await,
            None => Ok(()),
        }
    }

    fn finish(&self, ticket: u64, record: Vec<u8>, counter: &AtomicU64) -> Result<(), AuditError> {
        self.count(counter, self.writer.finish(ticket, record))?;
        if let Some(groups) = &self.groups {
            groups.ask();
        }
        Ok(())
    }
}

/// An intended exchange. Dropped unfinished, it finishes with outcome `aborted`.
pub struct Intent {
    desk: Arc<Desk>,
    event: Event,
    ticket: u64,
    began: SystemTime,
    done: bool,
}

impl Intent {
    /// Writes the complete event, exactly once. Schema, id and time are the intent's own, whatever `event` says.
    ///
    /// # Errors
    /// When it is not durable yet. The scribe keeps it and writes it as soon as the journal takes records again; if the process dies
    /// before that, the exchange is found `interrupted`. An event too long for a record is replaced by an `aborted` one.
    pub fn finish(mut self, mut event: Event) -> Result<(), AuditError> {
        event.schema.clone_from(&self.event.schema);
        event.id.clone_from(&self.event.id);
        event.time.clone_from(&self.event.time);
        let record = encode(Tag::Finish, &event)?;
        self.done = true;
        self.desk.finish(self.ticket, record, &self.desk.counters.finished)
    }

    /// The event as intended, with id and time.
    pub fn event(&self) -> &Event {
        &self.event
    }
}

impl Drop for Intent {
    fn drop(&mut self) {
        if mem::replace(&mut self.done, true) {
            return;
        }
        let mut event = mem::take(&mut self.event);
        let lasted = self.desk.parts.clock.now().duration_since(self.began).unwrap_or_default();
        let response = event.response.get_or_insert_default();
        response.outcome = "aborted".to_owned();
        response.duration_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
        let written = encode(Tag::Finish, &event)
            .and_then(|record| self.desk.finish(self.ticket, record, &self.desk.counters.aborted));
        if let Err(error) = written {
            tracing::error!(%error, event = event.id, "an exchange ended and the audit log does not say so yet");
        }
    }
}

impl std::fmt::Debug for Scribe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scribe").field("stats", &self.stats()).finish()
    }
}

impl std::fmt::Debug for Intent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intent").field("event", &self.event.id).finish_non_exhaustive()
    }
}

fn stamp(mut event: Event, now: SystemTime) -> Event {
    if event.schema.is_empty() {
        SCHEMA.clone_into(&mut event.schema);
    }
    if event.id.is_empty() {
        event.id = id::new("ev", now);
    }
    if event.time.is_empty() {
        event.time = rfc3339(now);
    }
    event
}
