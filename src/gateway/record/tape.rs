//! The exchange's end of a recording: says what passes, without ever blocking its thread, and learns when nothing more can be taken.

use std::{
    collections::{BTreeSet, VecDeque},
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Failure, Meters, RecordError, Track,
    track::Sides,
    writer::{Begin, Inbox, Said},
};
use crate::evidence::recording::{Side, What};

/// What of one exchange may be queued, bytes, and from where on it is looked at how much is queued of all.
const MOST: usize = 1024 * 1024;
const ALWAYS: usize = 256 * 1024;

/// What of all exchanges may be queued, bytes, beside what each always may.
const MOST_OF_ALL: usize = 64 * 1024 * 1024;

/// From here on a writer is woken for what is queued; less waits for its next round.
const WAKE_AT: usize = 128 * 1024;

/// What an entry costs beside its bytes.
const ENTRY: usize = 128;

/// How long an exchange waits for a slow store before it is ended.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How long the end of an exchange waits for its recording to be on the shelf.
const IN_TIME: Duration = Duration::from_secs(10);

/// What became of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// `rec_…`.
    pub recording: String,
    /// Of the file up to the end of its last segment; `None` when there is none, or its end is not known.
    pub sha256: Option<[u8; 32]>,
    /// How often something is missing in it that should be there.
    pub gaps: u64,
    /// Why it is not whole.
    pub failure: Option<String>,
}

/// Told once what became of a recording.
pub(super) type Told = Arc<Mutex<Option<Box<dyn FnOnce(Sealed) + Send>>>>;

/// Those who wait to be told, in the order in which they began to: nobody waits for ever.
#[derive(Default)]
pub(super) struct Waiting(Mutex<VecDeque<(Instant, String, Told)>>);

impl Waiting {
    fn add(&self, recording: &str, told: &Told) {
        self.lock().push_back((Instant::now(), recording.to_owned(), Arc::clone(told)));
    }

    /// Tells those who have waited for [`IN_TIME`], or all, that nothing is known.
    pub(super) fn give_up(&self, all: bool) {
        loop {
            let mut waiting = self.lock();
            if !waiting.front().is_some_and(|(since, ..)| all || since.elapsed() >= IN_TIME) {
                return;
            }
            let Some((_, recording, told)) = waiting.pop_front() else { return };
            drop(waiting);
            let failure = Some("it was not on the shelf in time".to_owned());
            tell(&told, Sealed { recording, failure, ..Sealed::default() });
        }
    }

    /// A poisoned lock guards a list that is whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, VecDeque<(Instant, String, Told)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The recordings that are being written.
#[derive(Default)]
pub(super) struct Open(Mutex<BTreeSet<String>>);

impl Open {
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.lock().clone()
    }

    /// A poisoned lock guards a set that is whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all tapes of one writer have.
#[derive(Clone)]
pub(super) struct Outfit {
    pub(super) inbox: Arc<Inbox>,
    pub(super) all_queued: Arc<AtomicUsize>,
    pub(super) waiting: Arc<Waiting>,
    pub(super) open: Arc<Open>,
    pub(super) meters: Meters,
}

/// What an exchange and its writer share.
pub(super) struct Shared {
    /// Among all that were ever begun here.
    pub(super) number: u64,
    pub(super) recording: String,
    pub(super) failure: Failure,
    pub(super) began: Instant,
    queued: AtomicUsize,
    /// Bytes of each side that found no room.
    missed: Sides<AtomicU64>,
    /// Cancelled when the exchange must not go on.
    lost: CancellationToken,
    /// Nothing more is taken.
    dead: AtomicBool,
    why: OnceLock<String>,
    room: Sides<AtomicWaker>,
    outfit: Outfit,
}

impl Shared {
    /// Something was taken out of the queue.
    pub(super) fn taken(&self, cost: usize) {
        self.queued.fetch_sub(cost, Relaxed);
        self.outfit.all_queued.fetch_sub(cost, Relaxed);
        self.outfit.meters.queued(&self.outfit.all_queued);
        self.wake();
    }

    /// Bytes of each side that are missing since the last call.
    pub(super) fn take_missed(&self, side: Side) -> u64 {
        self.missed.of(side).swap(0, Relaxed)
    }

    /// It cannot be recorded: what that means is as the model says.
    pub(super) fn fail(&self, why: &str) {
        if self.must_end() && !self.dead.swap(true, Relaxed) {
            let _ = self.why.set(why.to_owned());
            self.outfit.meters.failed();
            tracing::error!(recording = self.recording, why, "an exchange is ended: it cannot be recorded");
            self.lost.cancel();
            self.wake();
        }
    }

    /// Whether an exchange that cannot be recorded must not go on.
    pub(super) fn must_end(&self) -> bool {
        self.failure == Failure::Refuse
    }

    pub(super) fn why(&self) -> Option<String> {
        self.why.get().cloned()
    }

    fn wake(&self) {
        self.room.caller.wake();
        self.room.model.wake();
    }

    fn has_room(&self) -> bool {
        let queued = self.queued.load(Relaxed);
        queued < ALWAYS || queued < MOST && self.outfit.all_queued.load(Relaxed) < MOST_OF_ALL
    }

    fn say(self: &Arc<Self>, said: Said, wake: bool) {
        let cost = said.cost();
        let queued = self.queued.fetch_add(cost, Relaxed) + cost;
        self.outfit.all_queued.fetch_add(cost, Relaxed);
        self.outfit.inbox.put(Arc::clone(self), said, wake || queued >= WAKE_AT);
    }
}

/// A recording under way. Cheap to clone; dropped without an end, nothing is kept of it.
#[derive(Clone)]
pub struct Tape {
    shared: Arc<Shared>,
    hold: Arc<Hold>,
}

/// Throws the recording away when nobody ends it.
struct Hold {
    shared: Arc<Shared>,
    ended: AtomicBool,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.outfit.open.lock().remove(&self.shared.recording);
        if !self.ended.load(Relaxed) {
            self.shared.say(Said::Discard, true);
        }
    }
}

impl Tape {
    pub(super) fn new(number: u64, recording: &str, failure: Failure, outfit: Outfit) -> Self {
        outfit.open.lock().insert(recording.to_owned());
        let shared = Arc::new(Shared {
            number,
            recording: recording.to_owned(),
            failure,
            began: Instant::now(),
            queued: AtomicUsize::new(0),
            missed: Sides::default(),
            lost: CancellationToken::new(),
            dead: AtomicBool::new(false),
            why: OnceLock::new(),
            room: Sides::default(),
            outfit,
        });
        let hold = Arc::new(Hold { shared: Arc::clone(&shared), ended: AtomicBool::new(false) });
        Self { shared, hold }
    }

    /// The recording's id.
    pub fn id(&self) -> &str {
        &self.shared.recording
    }

    /// How a side is written down from here on; what it says before is not kept.
    pub fn track(&self, side: Side, track: Track) {
        self.shared.say(Said::Track(side, track), false);
    }

    /// Something other than bytes of a side happens now.
    pub fn note(&self, what: What) {
        self.say(Said::Note(self.at(), what));
    }

    /// A side says something.
    pub fn heard(&self, side: Side, bytes: &[u8]) {
        if bytes.is_empty() || self.shared.dead.load(Relaxed) {
            return;
        }
        if self.shared.failure == Failure::Continue && !self.shared.has_room() {
            self.shared.missed.of(side).fetch_add(bytes.len() as u64, Relaxed);
            return;
        }
        self.say(Said::Heard(self.at(), side, Bytes::copy_from_slice(bytes)));
    }

    /// A side has ended, `whole` or cut.
    pub fn over(&self, side: Side, whole: bool) {
        self.say(Said::Over(self.at(), side, whole));
    }

    /// What waits on behalf of one side.
    pub fn room(&self, side: Side) -> Room {
        Room { shared: Arc::clone(&self.shared), side, patience: None }
    }

    /// Cancelled when the exchange must not go on; see [`Self::lost`].
    pub fn lost_token(&self) -> CancellationToken {
        self.shared.lost.clone()
    }

    /// Why the exchange must not go on.
    pub fn lost(&self) -> Option<RecordError> {
        self.shared.lost.is_cancelled().then(|| RecordError(self.shared.why().unwrap_or_default()))
    }

    /// The exchange has ended. `told` is called once, from another thread or this one, when the recording is on the shelf or will not be
    /// in time.
    pub fn end(&self, outcome: &str, told: impl FnOnce(Sealed) + Send + 'static) {
        if self.hold.ended.swap(true, Relaxed) {
            return;
        }
        let told: Told = Arc::new(Mutex::new(Some(Box::new(told))));
        self.shared.outfit.waiting.add(self.id(), &told);
        self.shared.say(Said::End(self.at(), outcome.to_owned(), told), true);
    }

    fn say(&self, said: Said) {
        if !self.shared.dead.load(Relaxed) {
            self.shared.say(said, false);
        }
    }

    fn at(&self) -> u64 {
        u64::try_from(self.shared.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Begins: what was said before is behind this.
    pub(super) fn begin(&self, begin: Begin) {
        self.shared.say(Said::Begin(Box::new(begin)), true);
    }
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tape({})", self.id())
    }
}

/// Holds one side back while its recording cannot keep up, for a bounded time.
pub struct Room {
    shared: Arc<Shared>,
    side: Side,
    patience: Option<Pin<Box<Sleep>>>,
}

impl Room {
    /// Ready when more may be said, or nothing is taken any more.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let shared = &self.shared;
        let free = || {
            shared.failure == Failure::Continue || shared.dead.load(Relaxed) || shared.has_room()
        };
        if free() {
            self.patience = None;
            return Poll::Ready(());
        }
        shared.room.of(self.side).register(cx.waker());
        // Room may have been made before the waker stood there.
        if free() {
            self.patience = None;
            return Poll::Ready(());
        }
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        if patience.as_mut().poll(cx).is_ready() {
            shared.fail("the store of recordings is too slow");
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// Tells what became of a recording, unless that was told already.
pub(super) fn tell(told: &Told, sealed: Sealed) {
    let told = mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
    if let Some(told) = told {
        told(sealed);
    }
}

pub(super) fn cost_of(bytes: usize) -> usize {
    bytes.saturating_add(ENTRY)
}
