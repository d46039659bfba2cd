//! Follows the ledger from where the detector stands, tells its alarms, answers them, and keeps what it has learned.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Alarm, Answer, Answers, Config, Detector, Held, Keep, Meters,
    storage::{self, STATE},
    told,
};
use crate::{
    clock::Clock,
    evidence::event::Event,
    gateway::audit::{AuditError, Ledger, Scribe, indexer::blocking},
};

/// Between two looks at the ledger under traffic.
const PACE: Duration = Duration::from_secs(1);
/// The pause after trouble doubles up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Events folded before others get their turn on this thread: some 2 ms.
const BATCH: usize = 128;
/// What was learned is kept after so long, or so many events, whichever is first; a process that dies learns these again.
const KEEP_EVERY: Duration = Duration::from_secs(120);
const KEEP_AFTER: u64 = 100_000;
/// Events of the past from which a detector without state learns.
const PAST: u64 = 500_000;
/// Alarms that wait for an audit log that cannot be written.
const MOST_WAITING: usize = 1024;

/// Ends what runs of a caller, by provider and subject; new exchanges are looked at anew.
pub type Interrupt = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// The room's door. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Anomalies {
    answers: Answers,
    meters: Meters,
    config: Arc<ArcSwap<Config>>,
}

/// The task; made by [`Anomalies::open`].
pub struct Follower {
    door: Anomalies,
    keep: Arc<dyn Keep>,
    ledger: Arc<dyn Ledger>,
    detector: Detector,
    /// Folded up to here.
    cursor: u64,
    /// Up to here it only learns: the past is not told.
    silent: u64,
    waiting: VecDeque<(Alarm, Event)>,
    folded: u64,
    /// What was last said about trouble, so that it is said once.
    said: Option<String>,
}

/// What the task acts by.
struct Hands {
    scribe: Scribe,
    clock: Clock,
    interrupt: Interrupt,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl Anomalies {
    /// Takes up what was learned and what is in force. Where nothing was learned yet, the last 500,000 events are learned from, without an
    /// alarm.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn open(
        config: Config,
        keep: Arc<dyn Keep>,
        ledger: Arc<dyn Ledger>,
        now: SystemTime,
    ) -> Result<(Self, Follower), AuditError> {
        let answers = Answers::open(Arc::clone(&keep), now).await?;
        let config = Arc::new(ArcSwap::from_pointee(config));
        let door = Self { answers, meters: Meters::default(), config };
        let last = ledger.last().await?;
        let (detector, cursor, silent) = match keep.load(STATE).await? {
            Some(kept) => {
                let (callers, models) = storage::read(&kept);
                // A database that was put back to an earlier time has fewer events than were folded.
                (Detector::restore(callers, models), kept.cursor.min(last), 0)
            }
            None => (Detector::default(), last.saturating_sub(PAST), last),
        };
        let follower = Follower {
            door: door.clone(),
            keep,
            ledger,
            detector,
            cursor,
            silent,
            waiting: VecDeque::new(),
            folded: 0,
            said: None,
        };
        Ok((door, follower))
    }

    /// What is in force.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// What is measured.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Alarms are raised and answered by this from now on; what is in force stays.
    pub fn configure(&self, config: Config) {
        self.config.store(Arc::new(config));
    }
}

impl Follower {
    /// Runs until `stop`, which belongs before the scribe's end; then keeps what was learned.
    pub async fn run(mut self, scribe: Scribe, clock: Clock, interrupt: Interrupt, stop: CancellationToken) {
        let mut progress = scribe.progress();
        let hands = Hands { scribe, clock, interrupt };
        let (mut kept, mut pause) = (Instant::now(), PACE);
        loop {
            let last = stop.is_cancelled();
            let mut done = self.catch_up(&hands).await;
            if done.is_ok()
                && self.folded > 0
                && (last || self.folded >= KEEP_AFTER || kept.elapsed() >= KEEP_EVERY)
            {
                done = self.keep().await;
                kept = Instant::now();
            }
            pause = if done.is_ok() { PACE } else { (pause * 2).min(LONGEST_PAUSE) };
            self.say(done.err());
            if last {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => continue,
                () = sleep(pause) => {}
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(KEEP_EVERY) => {}
                changed = progress.changed() => if changed.is_err() {
                    // Nothing more will come.
                    sleep(PACE).await;
                },
            }
        }
    }

    /// Takes in everything that the ledger has.
    async fn catch_up(&mut self, hands: &Hands) -> Result<(), AuditError> {
        loop {
            self.tell(hands).await?;
            let rows = self.ledger.rows(self.cursor, BATCH).await?;
            if rows.is_empty() {
                return Ok(());
            }
            let config = self.door.config.load_full();
            for row in rows {
                self.cursor = row.seq;
                self.folded = self.folded.saturating_add(1);
                // What is no event of this version's is none of its callers' either.
                let Ok(event) = serde_json::from_str::<Event>(&row.json) else { continue };
                for alarm in self.detector.fold(&event, &config) {
                    if row.seq > self.silent && self.waiting.len() < MOST_WAITING {
                        self.waiting.push_back((alarm, event.clone()));
                    }
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Tells what waits; what cannot be told goes on waiting, and nothing is kept as learned before.
    async fn tell(&mut self, hands: &Hands) -> Result<(), AuditError> {
        while let Some((alarm, by)) = self.waiting.front() {
            self.answer(alarm, by, hands).await?;
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Answers an alarm, and records it.
    async fn answer(&self, alarm: &Alarm, by: &Event, hands: &Hands) -> Result<(), AuditError> {
        let config = self.door.config.load();
        let now = hands.clock.now();
        let wanted = config.rule(alarm.rule).answer;
        let acts = matches!(wanted, Answer::Suspend | Answer::RequireApproval) && alarm.warm;
        let answer = if acts { wanted } else { Answer::Notify };
        let until = acts.then(|| now + config.hold);
        let told = told::event(alarm, by, answer, until, now);
        if let Some((until, caller)) = until.zip(by.caller.as_ref()) {
            let held = Held {
                id: told.id.clone(),
                rule: alarm.rule.name().to_owned(),
                answer,
                provider: caller.provider.clone(),
                subject: caller.subject.clone(),
                email: caller.email.clone(),
                since: now,
                until,
            };
            let new = self.door.answers.hold(held).await?;
            if new && answer == Answer::Suspend {
                (hands.interrupt)(&caller.provider, &caller.subject);
            }
        }
        tracing::warn!(rule = alarm.rule.name(), answer = answer.name(), event = told.id, "unusual use");
        hands.scribe.record(told).await?;
        self.door.meters.raised(alarm.rule);
        Ok(())
    }

    /// Keeps what was learned, and up to where.
    async fn keep(&mut self) -> Result<(), AuditError> {
        let changes = self.detector.take_changes();
        let changed: Vec<_> = changes.callers.iter().map(|(key, _)| *key).collect();
        let gone = changes.gone.clone();
        let cursor = self.cursor;
        let saved = match blocking(move || storage::snapshot(cursor, &changes)).await {
            Ok(snapshot) => self.keep.save(STATE, &snapshot).await,
            Err(error) => Err(error),
        };
        match saved {
            Ok(()) => self.folded = 0,
            Err(_) => self.detector.give_back(changed, gone),
        }
        saved
    }

    /// Tells the operator when trouble begins, changes or ends.
    fn say(&mut self, trouble: Option<AuditError>) {
        let trouble = trouble.map(|error| error.to_string());
        match &trouble {
            same if *same == self.said => return,
            Some(error) => tracing::error!(error, "unusual use is not looked for; events wait for it"),
            None => tracing::info!("unusual use is looked for again"),
        }
        self.said = trouble;
    }
}
