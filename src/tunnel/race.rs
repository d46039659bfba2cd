//! A race of attempts, started one after the other (RFC 8305): the first that succeeds wins, the others are dropped.

use std::{collections::VecDeque, future::pending, pin::Pin, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::TunnelError;

/// One way to reach a goal.
pub(super) type Attempt<'a, T> = Pin<Box<dyn Future<Output = Result<T, TunnelError>> + Send + 'a>>;

/// How much longer what is still under way may take after a failure; `None`: the failure says nothing about it.
pub(super) type Patience = fn(&TunnelError) -> Option<Duration>;

/// Starts the first attempt at once and each next one `stagger` after the one before it, or as soon as one fails. With `patience`, what is
/// still under way that long after the last failure is given up.
///
/// # Errors
/// What each attempt failed with, in the order they failed, when all did.
pub(super) async fn race<T>(
    attempts: Vec<Attempt<'_, T>>,
    stagger: Duration,
    patience: Option<Patience>,
) -> Result<T, Vec<TunnelError>> {
    let mut waiting = VecDeque::from(attempts);
    let mut running = FuturesUnordered::new();
    let mut failures = Vec::new();
    let mut next_start = Instant::now();
    let mut give_up = None;
    loop {
        if waiting.is_empty() && running.is_empty() {
            return Err(failures);
        }
        tokio::select! {
            Some(outcome) = running.next() => match outcome {
                Ok(winner) => return Ok(winner),
                Err(failure) => {
                    next_start = Instant::now();
                    give_up = patience.and_then(|patience| patience(&failure)).map(|longer| next_start + longer);
                    failures.push(failure);
                }
            },
            () = sleep_until(next_start), if !waiting.is_empty() => {
                running.extend(waiting.pop_front());
                next_start = Instant::now() + stagger;
            }
            () = at(give_up), if waiting.is_empty() => return Err(failures),
        }
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const STAGGER: Duration = Duration::from_millis(250);

    fn after(millis: u64, outcome: Result<u8, &'static str>) -> Attempt<'static, u8> {
        Box::pin(async move {
            sleep(Duration::from_millis(millis)).await;
            outcome.map_err(|e| TunnelError::Unreachable(e.to_owned()))
        })
    }

    async fn run(attempts: Vec<Attempt<'_, u8>>, patience: Option<Patience>) -> (Result<u8, usize>, u64) {
        let start = Instant::now();
        let outcome = race(attempts, STAGGER, patience).await.map_err(|failures| failures.len());
        (outcome, u64::try_from(start.elapsed().as_millis()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_has_its_head_start_and_a_failure_ends_it() {
        assert_eq!(run(vec![after(200, Ok(1)), after(0, Ok(2))], None).await, (Ok(1), 200));
        assert_eq!(run(vec![after(9_000, Ok(1)), after(10, Ok(2))], None).await, (Ok(2), 260));
        assert_eq!(run(vec![after(20, Err("a")), after(10, Ok(2))], None).await, (Ok(2), 30));
        assert_eq!(run(vec![after(20, Err("a")), after(10, Err("b"))], None).await, (Err(2), 30));
        assert_eq!(run(vec![], None).await, (Err(0), 0));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_runs_from_the_last_failure() {
        let attempts = vec![after(9_000, Ok(1)), after(50, Err("b"))];
        assert_eq!(run(attempts, Some(|_| Some(Duration::from_secs(3)))).await, (Err(1), 3_300));
    }
}
