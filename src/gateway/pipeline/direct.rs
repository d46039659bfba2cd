//! Exchanges that come one by one, on a connection that another room serves: the direct ingress.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Request, Response, request::Parts};
use hyper::body::Incoming;
use tokio::{
    task::AbortHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub use super::carried::Switched;
use super::{
    Arrival, Stages,
    answer::Answer,
    carried::Signals,
    path::{self, Way},
    switch,
};
use crate::{
    gateway::{identity::Lease, respond::Problem},
    id,
    wire::{Refusal, code},
};

/// For an answer to be cut by its own body after its authority ended; a caller who takes no bytes does not let it.
const CUT_WITHIN: Duration = Duration::from_secs(1);

/// Authorities of one connection before those that nothing is under way for are forgotten.
const MANY: usize = 16;

/// What the exchanges of one connection share.
#[derive(Default)]
pub struct Visit {
    abandoned: Arc<AtomicBool>,
    switched: Mutex<Option<Switched>>,
    authorities: Mutex<Vec<Authority>>,
    overdue: CancellationToken,
}

/// A lease that exchanges of the connection came in by.
struct Authority {
    lease: Weak<Lease>,
    /// Held once more by everything under way.
    held: Arc<()>,
    watch: AbortHandle,
}

impl Visit {
    /// The gateway itself stops serving the connection: said before it is dropped.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Resolves when an authority has ended and something under way for it has not: the connection must be dropped then.
    pub async fn overdue(&self) {
        self.overdue.cancelled().await;
    }

    /// What remains to be done with a connection whose HTTP has ended with a switch of protocols.
    pub fn take_switched(&self) -> Option<Switched> {
        lock(&self.switched).take()
    }

    /// Keeps an eye on the lease for as long as what it returns is held. Needs a runtime.
    fn watch(&self, lease: &Arc<Lease>) -> Arc<()> {
        let mut authorities = lock(&self.authorities);
        // One whose watch has ended was interrupted, and what begins now is under another.
        let same = |known: &&Authority| {
            std::ptr::eq(known.lease.as_ptr(), Arc::as_ptr(lease)) && !known.watch.is_finished()
        };
        if let Some(known) = authorities.iter().find(same) {
            return Arc::clone(&known.held);
        }
        if authorities.len() >= MANY {
            authorities.retain(|known| Arc::strong_count(&known.held) > 1);
        }
        let held = Arc::new(());
        let watch = tokio::spawn(cut_in_time(lease.streams(), Arc::downgrade(&held), self.overdue.clone()));
        authorities.push(Authority {
            lease: Arc::downgrade(lease),
            held: Arc::clone(&held),
            watch: watch.abort_handle(),
        });
        held
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

async fn cut_in_time(ended: CancellationToken, held: Weak<()>, overdue: CancellationToken) {
    ended.cancelled().await;
    sleep(CUT_WITHIN).await;
    // The connection's own entry is one.
    if held.strong_count() > 1 {
        overdue.cancel();
    }
}

/// Passes one exchange; the end of its authority ends it, wherever it stands.
pub(super) async fn pass(
    stages: Arc<Stages>,
    request: Request<Incoming>,
    arrival: Arrival,
    visit: &Visit,
) -> Response<Answer> {
    let lease = Arc::clone(&arrival.lease);
    let (ended, held) = (lease.streams(), visit.watch(&lease));
    let signals = Signals::of_one(Arc::clone(&visit.abandoned));
    let way = Arc::new(Way::new(Arc::clone(&stages), arrival, Arc::clone(&signals), ended.clone()));
    let (head, body) = request.into_parts();
    let voice = path::voice(stages.model(&way.arrival.model).as_deref(), &head);
    let mut walk = pin!(path::pass(way, Request::from_parts(head, body)));
    let response = tokio::select! {
        biased;
        passed = &mut walk => match passed {
            Ok(response) => response,
            Err(never) => match never {},
        },
        () = ended.cancelled() => {
            // Said before the walk is dropped, whose exchange asks for it.
            signals.revoke();
            let problem = match lease.check(stages.clock.now()) {
                Err(why) => Problem::from(why),
                Ok(caller) => stages.unsuspended(&caller).err().unwrap_or_else(|| over().into()),
            };
            return problem.answer(voice, &id::new("req", stages.clock.now())).map(Answer::made);
        }
    };
    if let Some(switched) = signals.take_switched() {
        let (signals, held) = (Arc::clone(&signals), Arc::clone(&held));
        *lock(&visit.switched) = Some(Box::pin(carry(switched, signals, ended.clone(), held)));
    }
    response.map(|answer| answer.until(ended, held))
}

/// Goes on with a connection that has left HTTP until it ends or its authority does.
async fn carry(mut switched: Switched, signals: Arc<Signals>, ended: CancellationToken, held: Arc<()>) {
    tokio::select! {
        biased;
        () = ended.cancelled() => if timeout(switch::LAST_WORD, &mut switched).await.is_err() {
            signals.revoke();
        },
        () = &mut switched => (),
    }
    drop(held);
}

/// Says no to a caller who is not known. The request alone gives the shape: a model's dialect would tell that there is such a model.
pub(super) fn refuse(stages: &Stages, head: &Parts, problem: &Problem) -> Response<Answer> {
    let voice = path::voice(None, head);
    problem.answer(voice, &id::new("req", stages.clock.now())).map(Answer::made)
}

fn over() -> Refusal {
    Refusal::new(code::LOGIN_REQUIRED, "the session has been ended")
}

/// A poisoned lock guards plain values, which are whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
