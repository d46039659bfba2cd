//! The work of one sink: reads behind its place, sends, and moves the place when the receiver has taken what was sent.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{sync::Notify, time::sleep};

use super::{
    Surroundings,
    batch::{Parcel, pack},
    config::SinkConfig,
    pace::Pace,
    receiver::{Delivered, Receiver},
    standing::Figures,
};
use crate::{clock::parse_rfc3339, evidence::event::Event, gateway::audit::AuditError};

/// The kind of the events that say what a receiver has refused.
const SINK_FAILED: &str = "sink_failed";
/// Ids named in one such event.
const MOST_NAMED: usize = 16;
/// Of a receiver's own words, in characters.
const MOST_SAID: usize = 200;

/// Sizes and paces; constant but in tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    /// The most events of a batch.
    pub(super) events: usize,
    /// The most bytes of a batch, unless one event has more.
    pub(super) bytes: usize,
    /// How long events gather after the first.
    pub(super) gather: Duration,
    /// Pauses between attempts.
    pub(super) pace: Pace,
    /// So often one event is refused before it is set aside.
    pub(super) refusals: u32,
    /// So many are set aside in a row; then it is the receiver that is wrong, not the events.
    pub(super) most_aside: u32,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            events: 512,
            bytes: 1024 * 1024,
            gather: Duration::from_secs(1),
            pace: Pace { first: Duration::from_secs(1), longest: Duration::from_mins(5) },
            refusals: 5,
            most_aside: 10,
        }
    }
}

/// Who does it.
pub(super) struct Worker {
    config: SinkConfig,
    receiver: Arc<ArcSwap<Receiver>>,
    replaced: Arc<Notify>,
    around: Surroundings,
    figures: Arc<Figures>,
    tuning: Tuning,
    /// Events sent at once: halved when a batch is refused, doubled when one is taken.
    size: usize,
    /// Events set aside since something was taken.
    aside: u32,
    /// The lag when trouble was last told of; `None` without trouble.
    told: Option<u64>,
    /// Failures of the database in a row.
    faults: u32,
}

impl Worker {
    pub(super) fn new(
        config: SinkConfig,
        receiver: Arc<ArcSwap<Receiver>>,
        replaced: Arc<Notify>,
        around: Surroundings,
        figures: Arc<Figures>,
        tuning: Tuning,
    ) -> Self {
        let size = tuning.events;
        Self { config, receiver, replaced, around, figures, tuning, size, aside: 0, told: None, faults: 0 }
    }

    /// Works until the indexer has ended.
    pub(super) async fn run(mut self) {
        let mut progress = self.around.scribe.progress();
        let mut place = self.begin().await;
        loop {
            progress.borrow_and_update();
            let rows = loop {
                match self.around.ledger.rows(place, self.tuning.events).await {
                    Ok(rows) => break rows,
                    Err(error) => self.database_failed(&error).await,
                }
            };
            let (parcels, end) = pack(rows, &self.config.kinds, self.tuning.bytes);
            let Some(end) = end else {
                self.figures.waits(None);
                if progress.changed().await.is_err() {
                    return;
                }
                sleep(self.tuning.gather).await;
                continue;
            };
            self.ship(&parcels).await;
            if parcels.last().is_none_or(|last| last.place < end) {
                // Past those behind the last, too, which it does not want.
                self.moved(end).await;
            }
            place = end;
        }
    }

    /// Where to go on; for a sink that was never seen, where to begin.
    async fn begin(&mut self) -> u64 {
        let (found, last) = loop {
            match self.stands().await {
                Ok(found) => break found,
                Err(error) => self.database_failed(&error).await,
            }
        };
        let place = match found {
            Some(place) => place.min(last),
            None => {
                let place = if self.config.from_start { 0 } else { last };
                self.moved(place).await;
                place
            }
        };
        self.figures.at(place);
        place
    }

    /// Where the sink stood, and where the ledger ends.
    async fn stands(&self) -> Result<(Option<u64>, u64), AuditError> {
        Ok((self.around.cursors.cursor(&self.config.name).await?, self.around.ledger.last().await?))
    }

    /// Sends until everything was taken or set aside, in order.
    async fn ship(&mut self, parcels: &[Parcel]) {
        let mut left = parcels;
        let (mut failures, mut refusals) = (0_u32, 0_u32);
        while let Some(first) = left.first() {
            self.figures.waits(parse_rfc3339(&first.event.time));
            let (now, later) = left.split_at(self.size.clamp(1, left.len()));
            let receiver = self.receiver.load_full();
            let (why, after) = match receiver.deliver(now).await {
                Delivered::Done => {
                    self.taken(now).await;
                    (left, failures, refusals) = (later, 0, 0);
                    continue;
                }
                Delivered::Partly { refused, why } => {
                    self.figures.set_aside(refused);
                    self.tell_refused(now, &format!("{refused} records of a batch with"), &why);
                    self.taken(now).await;
                    (left, failures, refusals) = (later, 0, 0);
                    continue;
                }
                Delivered::Refused(_) if now.len() > 1 => {
                    // One of them is meant: in halves it is found, and the others are taken.
                    self.figures.failed();
                    self.size = now.len() / 2;
                    continue;
                }
                Delivered::Refused(why) => {
                    refusals = refusals.saturating_add(1);
                    if refusals >= self.tuning.refusals && self.aside < self.tuning.most_aside {
                        self.set_aside(now, &why).await;
                        (left, failures, refusals) = (later, 0, 0);
                        continue;
                    }
                    (why, None)
                }
                Delivered::Again { why, after } => (why, after),
            };
            failures = failures.saturating_add(1);
            self.figures.failed();
            let pause = self.tuning.pace.pause(failures).max(after.unwrap_or_default());
            self.complain(&why, pause);
            self.rest(pause).await;
        }
    }

    /// The receiver has taken these.
    async fn taken(&mut self, parcels: &[Parcel]) {
        self.figures.delivered(parcels.len());
        if let Some(last) = parcels.last() {
            self.moved(last.place).await;
        }
        self.aside = 0;
        self.size = self.size.saturating_mul(2).min(self.tuning.events);
        if self.told.take().is_some() {
            tracing::info!(sink = self.config.name, "the sink takes audit events again");
        }
    }

    /// Goes on without these, and says so in the log itself.
    async fn set_aside(&mut self, parcels: &[Parcel], why: &str) {
        self.aside = self.aside.saturating_add(1);
        self.figures.set_aside(parcels.len() as u64);
        // Before the place moves on: a crash between may say it twice, and never not at all.
        self.tell_refused(parcels, "for good", why);
        if let Some(last) = parcels.last() {
            self.moved(last.place).await;
        }
    }

    fn tell_refused(&self, parcels: &[Parcel], what: &str, why: &str) {
        let sink = &self.config.name;
        let named: Vec<&str> = parcels.iter().take(MOST_NAMED).map(|p| p.event.id.as_str()).collect();
        let more = parcels.len().saturating_sub(named.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let why: String = why.chars().filter(|c| !c.is_control()).take(MOST_SAID).collect();
        let detail = format!("the sink {sink} refused {what} {}{more}: {why}", named.join(" "));
        tracing::error!(sink, detail, "audit events were refused");
        // What is told of a refusal may be refused itself: that is not told of again.
        if parcels.iter().all(|parcel| parcel.event.kind == SINK_FAILED) {
            return;
        }
        let event = Event { kind: SINK_FAILED.to_owned(), detail: Some(detail), ..Event::default() };
        if let Err(error) = self.around.scribe.note(event) {
            tracing::error!(%error, sink, "the audit log does not say that a sink refused events");
        }
    }

    /// Everything up to here is done with. Comes back when that is durable.
    async fn moved(&mut self, place: u64) {
        while let Err(error) = self.around.cursors.advance(&self.config.name, place).await {
            self.database_failed(&error).await;
        }
        self.faults = 0;
        self.figures.at(place);
    }

    /// Waits before the database is tried again.
    async fn database_failed(&mut self, error: &AuditError) {
        self.faults = self.faults.saturating_add(1);
        let pause = self.tuning.pace.pause(self.faults);
        self.complain(&error.to_string(), pause);
        sleep(pause).await;
    }

    /// Tells the operator when trouble begins, and each time ten times as many events wait.
    fn complain(&mut self, why: &str, pause: Duration) {
        let lag = self.figures.lag();
        if self.told.is_some_and(|told| lag < told.saturating_mul(10).max(1_000)) {
            tracing::debug!(sink = self.config.name, why, lag, again_in = ?pause, "audit events were not taken");
            return;
        }
        self.told = Some(lag);
        tracing::warn!(
            sink = self.config.name,
            why,
            lag,
            again_in = ?pause,
            "audit events are not taken by a sink: they wait in the log"
        );
    }

    /// Waits, but not for who came back with other settings.
    async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.replaced.notified() => {}
        }
    }
}
