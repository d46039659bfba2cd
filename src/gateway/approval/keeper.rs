//! Keeps time: requests lapse, approvals end on their second.

use std::{
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use tokio::{sync::Notify, time::timeout};

use super::{Request, State, approvals::Office};

/// The longest sleep before the clock is looked at again: clocks are corrected, machines sleep.
const LOOK: Duration = Duration::from_secs(1);

/// Runs until the office is gone.
pub(super) async fn run(office: Weak<Office>, bell: Arc<Notify>) {
    loop {
        let Some(next) = round(&office).await else { return };
        match next {
            Some(left) => drop(timeout(left.min(LOOK), bell.notified()).await),
            None => bell.notified().await,
        }
    }
}

/// Does what is due. How long until the next is, if anything is live; `None` outside when the office is gone.
async fn round(office: &Weak<Office>) -> Option<Option<Duration>> {
    let office = office.upgrade()?;
    let now = office.clock.now();
    let mut next = None;
    let all = office.book.all();
    // First of all: an approval ends on its second, also while the database is slow or many end together.
    for request in all.iter().filter(|request| matches!(request.state, State::Approved { .. })) {
        if left(request, now).is_zero() {
            office.book.end(&request.id);
        }
    }
    for request in all {
        let moved = office.knows_models() && !office.is_same_model(&request);
        let left = match request.state {
            State::Pending if moved => Duration::ZERO,
            _ => left(&request, now),
        };
        if !left.is_zero() {
            next = Some(next.map_or(left, |next: Duration| next.min(left)));
            continue;
        }
        if let Err(error) = office.lapse(&request).await {
            tracing::error!(%error, approval = request.id, "the end of an approval could not be written to the database");
        }
    }
    Some(next)
}

fn left(request: &Request, now: SystemTime) -> Duration {
    request.ends_at().duration_since(now).unwrap_or_default()
}
