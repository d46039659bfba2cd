//! The writers: a few threads, each with the recordings it was given, which do all that may block.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    Meters, Place, RecordError, Shelf, Track,
    reel::Reel,
    tape::{Shared, Told, cost_of},
};
use crate::evidence::recording::{Entry, Sealer, Side, What};

/// How often a writer looks at what is queued and at segments that have become old.
const ROUND: Duration = Duration::from_millis(100);

/// What an exchange says to its writer.
pub(super) enum Said {
    /// It begins: answered once the recording is on the shelf, or is not.
    Begin(Box<Begin>),
    /// How a side is written down.
    Track(Side, Track),
    /// Something other than bytes.
    Note(u64, What),
    /// Bytes of a side.
    Heard(u64, Side, Bytes),
    /// A side has ended.
    Over(u64, Side, bool),
    /// The exchange has.
    End(u64, String, Told),
    /// There is no such exchange after all.
    Discard,
}

/// How a recording begins.
pub(super) struct Begin {
    pub(super) place: Place,
    pub(super) exchange: String,
    pub(super) first: Vec<What>,
    pub(super) metadata: bool,
    pub(super) answer: oneshot::Sender<Result<(), RecordError>>,
}

impl Said {
    /// What it holds of the queue's room.
    pub(super) fn cost(&self) -> usize {
        cost_of(match self {
            Self::Heard(_, _, bytes) => bytes.len(),
            _ => 0,
        })
    }
}

/// What waits for one writer. Bounded by what tapes may queue.
#[derive(Default)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    bell: Condvar,
}

#[derive(Default)]
struct Queue {
    said: Vec<(Arc<Shared>, Said)>,
    closed: bool,
}

impl Inbox {
    pub(super) fn put(&self, shared: Arc<Shared>, said: Said, wake: bool) {
        self.lock().said.push((shared, said));
        if wake {
            self.bell.notify_one();
        }
    }

    /// The writer ends once nothing is left to do.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_one();
    }

    /// What was said; `None` when nothing more will be. Waits for it, at most a round when something is `under_way`.
    fn take(&self, under_way: bool) -> Option<Vec<(Arc<Shared>, Said)>> {
        let mut queue = self.lock();
        if queue.said.is_empty() && !queue.closed {
            queue = if under_way {
                self.bell.wait_timeout(queue, ROUND).unwrap_or_else(PoisonError::into_inner).0
            } else {
                let idle = |queue: &mut Queue| queue.said.is_empty() && !queue.closed;
                self.bell.wait_while(queue, idle).unwrap_or_else(PoisonError::into_inner)
            };
        }
        let said = mem::take(&mut queue.said);
        (!said.is_empty() || !queue.closed).then_some(said)
    }

    /// A poisoned lock guards a list that is whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One writer.
pub(super) struct Writer {
    pub(super) inbox: Arc<Inbox>,
    pub(super) shelf: Arc<dyn Shelf>,
    pub(super) sealer: Sealer,
    pub(super) meters: Meters,
}

impl Writer {
    /// Writes until the inbox is closed. Blocks its thread.
    pub(super) fn run(mut self) {
        let mut reels: HashMap<u64, Reel> = HashMap::new();
        while let Some(said) = self.inbox.take(!reels.is_empty()) {
            for (shared, said) in said {
                let cost = said.cost();
                self.hear(&mut reels, &shared, said);
                shared.taken(cost);
            }
            let now = Instant::now();
            for reel in reels.values_mut().filter(|reel| reel.is_due(now)) {
                reel.flush(self.shelf.as_ref(), &mut self.sealer, false);
            }
        }
    }

    fn hear(&mut self, reels: &mut HashMap<u64, Reel>, shared: &Arc<Shared>, said: Said) {
        let number = shared.number;
        match said {
            Said::Begin(begin) => {
                let Begin { place, exchange, first, metadata, answer } = *begin;
                let mut reel = Reel::new(Arc::clone(shared), place, exchange, metadata, self.meters.clone());
                let begun = reel.begin(self.shelf.as_ref());
                for what in first {
                    reel.add(Entry { at: 0, what });
                }
                reels.insert(number, reel);
                // Nobody waits where the exchange goes on in any case.
                let _ = answer.send(begun);
            }
            Said::Discard => {
                if let Some(reel) = reels.remove(&number) {
                    reel.discard(self.shelf.as_ref());
                }
            }
            Said::End(at, outcome, told) => {
                if let Some(reel) = reels.remove(&number) {
                    reel.end(at, outcome, &told, self.shelf.as_ref(), &mut self.sealer);
                }
            }
            said => {
                let Some(reel) = reels.get_mut(&number) else { return };
                match said {
                    Said::Track(side, track) => reel.track(side, track),
                    Said::Note(at, what) => reel.note(at, what),
                    Said::Heard(at, side, bytes) => reel.heard(at, side, bytes),
                    Said::Over(at, side, whole) => reel.over(at, side, whole),
                    Said::Begin(_) | Said::End(..) | Said::Discard => {}
                }
                if reel.is_long() {
                    reel.flush(self.shelf.as_ref(), &mut self.sealer, false);
                }
            }
        }
    }
}
