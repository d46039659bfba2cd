//! All recordings of a gateway: begins them, reads them, and keeps them no longer than is said.

use std::{
    collections::BTreeMap,
    io::Read,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Failure, Keys, Level, Meters, Place, RecordError, Removed, Shelf, Tape, Terms, retention,
    tape::{Open, Outfit, Waiting},
    writer::{Begin, Inbox, Writer},
};
use crate::{
    clock::{Clock, rfc3339},
    evidence::recording::{self, Checked, Identities, Opened, SCHEMA, Sealer, What},
};

/// Writers: an exchange is always with the same.
const WRITERS: u64 = 2;

/// How long a new exchange waits to be on the shelf before it is refused.
const BEGIN_WITHIN: Duration = Duration::from_secs(2);

/// How often it is looked for those who wait too long, and for recordings whose time is over.
const WATCH: Duration = Duration::from_millis(250);
const SWEEP: Duration = Duration::from_secs(60);

/// How long the end of a gateway waits for recordings under way.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// All recordings. Cheap to clone.
#[derive(Clone)]
pub struct Recordings(Arc<Desk>);

struct Desk {
    keys: Keys,
    shelf: Arc<dyn Shelf>,
    clock: Clock,
    meters: Meters,
    numbers: AtomicU64,
    all_queued: Arc<AtomicUsize>,
    waiting: Arc<Waiting>,
    writers: Mutex<Writers>,
    keeps: Mutex<BTreeMap<String, Duration>>,
    open: Arc<Open>,
}

/// The threads, begun when something is recorded for the first time.
#[derive(Default)]
struct Writers {
    inboxes: Vec<Arc<Inbox>>,
    threads: Vec<JoinHandle<()>>,
    closed: bool,
}

/// What a recording is of.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// `ex_…`.
    pub exchange: &'a str,
    /// One `connect`.
    pub session: &'a str,
    /// The model's name.
    pub model: &'a str,
    /// The API it speaks.
    pub dialect: &'a str,
    /// Who asks: email address or subject.
    pub caller: &'a str,
}

impl Recordings {
    /// Takes no disk and no thread before something is recorded.
    pub fn new(keys: Keys, shelf: Arc<dyn Shelf>, clock: Clock) -> Self {
        Self(Arc::new(Desk {
            keys,
            shelf,
            clock,
            meters: Meters::default(),
            numbers: AtomicU64::new(0),
            all_queued: Arc::default(),
            waiting: Arc::default(),
            writers: Mutex::default(),
            keeps: Mutex::default(),
            open: Arc::default(),
        }))
    }

    /// Begins to record an exchange; `None` where nothing is to be. With `refuse` it is on the shelf when this returns. `request` is the
    /// first that is noted.
    ///
    /// # Errors
    /// When it must be recorded and cannot be: nothing may be forwarded.
    pub async fn begin(
        &self,
        terms: Terms,
        about: About<'_>,
        request: What,
    ) -> Result<Option<Tape>, RecordError> {
        if terms.level == Level::Off {
            return Ok(None);
        }
        let desk = &self.0;
        let place = Place::of(about.model, about.exchange)
            .ok_or_else(|| RecordError("its model or id is none that a recording can have".to_owned()));
        let place = place.and_then(|place| Ok((place, desk.outfit()?)));
        let (place, (number, outfit)) = place.map_err(|error| desk.refused(&error.0))?;
        let tape = Tape::new(number, place.name(), terms.failure, outfit);
        let (answer, answered) = oneshot::channel();
        let opened = What::Opened(desk.about(&about, place.name(), terms.level));
        tape.begin(Begin {
            place,
            exchange: about.exchange.to_owned(),
            first: vec![opened, request],
            metadata: terms.level == Level::Metadata,
            answer,
        });
        if terms.failure == Failure::Continue {
            return Ok(Some(tape));
        }
        match timeout(BEGIN_WITHIN, answered).await {
            Ok(Ok(Ok(()))) => Ok(Some(tape)),
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(_)) => Err(desk.refused("nobody writes recordings any more")),
            Err(_) => Err(desk.refused("the store of recordings is too slow")),
        }
    }

    /// The recording of an exchange as it lies on the shelf, for [`recording::Reader`]; `None` when there is none. Blocks.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(&self, exchange: &str) -> Result<Option<Box<dyn Read + Send>>, RecordError> {
        let Some((day, name)) = Place::anywhere(exchange) else { return Ok(None) };
        self.0.shelf.find(&day, &name).map_err(|error| RecordError(error.to_string()))
    }

    /// What is on the shelf of an exchange whose end nobody wrote; `None` when that is nothing, or damaged. Blocks.
    pub fn found(&self, exchange: &str) -> Option<Checked> {
        let file = self.read(exchange).ok()??;
        recording::check(std::io::BufReader::new(file)).ok()
    }

    /// What opens recordings that were sealed to the gateway's own key, where it has one.
    pub fn identities(&self) -> Option<&Identities> {
        self.0.keys.identities.as_ref()
    }

    /// What is measured.
    pub fn meters(&self) -> &Meters {
        &self.0.meters
    }

    /// From now on recordings of these models are kept so long; those of others as long as nobody removes them.
    pub fn keep_for(&self, keeps: BTreeMap<String, Duration>) {
        *lock(&self.0.keeps) = keeps;
    }

    /// Removes recordings whose time is over, and gives up on a shelf that does not answer, until `stop`. `tell` is told of what is
    /// removed before it is; what it does not take stays.
    pub async fn keep(
        self,
        stop: CancellationToken,
        tell: impl Fn(Removed) -> Result<(), RecordError> + Send + Sync + 'static,
    ) {
        let tell = Arc::new(tell);
        let mut swept: Option<Instant> = None;
        loop {
            if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
                swept = Some(Instant::now());
                let (this, tell) = (self.clone(), Arc::clone(&tell));
                // Beside this task, which must not wait for the same shelf.
                drop(tokio::task::spawn_blocking(move || this.sweep(this.0.clock.now(), tell.as_ref())));
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(WATCH) => self.0.waiting.give_up(false),
            }
        }
    }

    /// Removes what is over at this time. Blocks.
    pub(super) fn sweep(&self, now: SystemTime, tell: &dyn Fn(Removed) -> Result<(), RecordError>) {
        let desk = &self.0;
        let keeps = lock(&desk.keeps).clone();
        let open = desk.open.names();
        retention::sweep(desk.shelf.as_ref(), &keeps, now, &open, tell, &desk.meters);
    }

    /// Resolves when everything under way has ended and is on the shelf, or that has taken too long; nothing is recorded any more.
    pub async fn closed(&self) {
        let closed = Writers { closed: true, ..Writers::default() };
        let Writers { inboxes, threads, .. } = std::mem::replace(&mut *lock(&self.0.writers), closed);
        inboxes.iter().for_each(|inbox| inbox.close());
        let joining = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // One that panicked has said so itself.
                let _ = thread.join();
            }
        });
        if timeout(CLOSE_WITHIN, joining).await.is_err() {
            tracing::error!("recordings under way are not on the shelf, which does not answer");
        }
        self.0.waiting.give_up(true);
    }
}

impl Desk {
    /// The next recording's number, and its writer.
    fn outfit(&self) -> Result<(u64, Outfit), RecordError> {
        let number = self.numbers.fetch_add(1, Relaxed);
        let mut writers = lock(&self.writers);
        if writers.inboxes.is_empty() && !writers.closed {
            *writers = self.hire()?;
        }
        let which = usize::try_from(number % WRITERS).unwrap_or_default();
        let inbox = writers.inboxes.get(which).ok_or_else(|| RecordError("the gateway is stopping".to_owned()))?;
        let outfit = Outfit {
            inbox: Arc::clone(inbox),
            all_queued: Arc::clone(&self.all_queued),
            waiting: Arc::clone(&self.waiting),
            open: Arc::clone(&self.open),
            meters: self.meters.clone(),
        };
        Ok((number, outfit))
    }

    fn hire(&self) -> Result<Writers, RecordError> {
        let mut writers = Writers::default();
        for number in 0..WRITERS {
            let sealer = Sealer::new(self.keys.recipients.clone()).map_err(|e| RecordError(e.to_string()))?;
            let inbox = Arc::new(Inbox::default());
            let writer = Writer {
                inbox: Arc::clone(&inbox),
                shelf: Arc::clone(&self.shelf),
                sealer,
                meters: self.meters.clone(),
            };
            let thread = thread::Builder::new().name(format!("record-{number}"));
            let thread = thread.spawn(move || writer.run()).map_err(|e| RecordError(e.to_string()))?;
            writers.inboxes.push(inbox);
            writers.threads.push(thread);
        }
        Ok(writers)
    }

    fn about(&self, about: &About<'_>, recording: &str, level: Level) -> Opened {
        Opened {
            schema: SCHEMA.to_owned(),
            recording: recording.to_owned(),
            exchange: about.exchange.to_owned(),
            session: about.session.to_owned(),
            model: about.model.to_owned(),
            dialect: about.dialect.to_owned(),
            caller: about.caller.to_owned(),
            time: rfc3339(self.clock.now()),
            level: level.word().to_owned(),
        }
    }

    fn refused(&self, why: &str) -> RecordError {
        self.meters.failed();
        RecordError(why.to_owned())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        lock(&self.writers).inboxes.iter().for_each(|inbox| inbox.close());
    }
}

/// A poisoned lock guards values that are whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
