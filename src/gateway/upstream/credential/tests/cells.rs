//! Values with an end: one renewal at a time, before the end, with the old value kept until then.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{
    super::renewed::{Fresh, Life, Origin, Renewed},
    clock,
};
use crate::clock::Clock;

/// Numbers, each for ten minutes, unless it is told otherwise.
struct Numbers {
    clock: Clock,
    told: Arc<Told>,
}

struct Told {
    count: AtomicU32,
    /// A fetch takes one.
    permits: Semaphore,
    failing: Mutex<Option<&'static str>>,
    life: Mutex<Option<Duration>>,
}

impl Told {
    fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }

    fn fails(&self, why: Option<&'static str>) {
        *self.failing.lock().unwrap() = why;
    }
}

#[async_trait]
impl Origin for Numbers {
    type Value = u32;

    async fn fetch(&self) -> Result<Fresh<u32>, String> {
        let count = self.told.count.fetch_add(1, Ordering::SeqCst) + 1;
        self.told.permits.acquire().await.unwrap().forget();
        if let Some(why) = *self.told.failing.lock().unwrap() {
            return Err(why.to_owned());
        }
        let life = *self.told.life.lock().unwrap();
        let life =
            life.map_or(Life::Unknown(Duration::from_mins(5)), |life| Life::Until(self.clock.now() + life));
        Ok(Fresh { value: count, life })
    }
}

fn numbers(permits: usize) -> (Renewed<Numbers>, Arc<Told>, crate::clock::Hand) {
    let (clock, hand) = clock();
    let told = Arc::new(Told {
        count: AtomicU32::new(0),
        permits: Semaphore::new(permits),
        failing: Mutex::default(),
        life: Mutex::new(Some(Duration::from_mins(10))),
    });
    let numbers = Numbers { clock: clock.clone(), told: Arc::clone(&told) };
    (Renewed::new("m", numbers, &clock), told, hand)
}

/// Until the renewals under way are over.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_exchanges_at_once_are_one_renewal() {
    let (cell, told, hand) = numbers(0);
    let ask = || {
        let cell = cell.clone();
        tokio::spawn(async move { cell.get().await.map(|value| *value) })
    };
    let asked: Vec<_> = (0..50).map(|_| ask()).collect();
    settle().await;
    assert_eq!(told.count(), 1);
    told.permits.add_permits(1);
    for one in asked {
        assert_eq!(one.await.unwrap(), Ok(1));
    }
    // Due, but not over: everybody goes on with the old one while one renewal runs.
    hand.advance(Duration::from_mins(9));
    for one in (0..50).map(|_| ask()).collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), Ok(1));
    }
    settle().await;
    assert_eq!(told.count(), 2);
    told.permits.add_permits(1);
    settle().await;
    assert_eq!(cell.get().await.map(|value| *value), Ok(2));
    assert_eq!(told.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_comes_before_the_end_and_a_failed_one_leaves_the_old_value_until_then() {
    let (cell, told, hand) = numbers(1000);
    assert_eq!(cell.get().await.map(|value| *value), Ok(1));
    hand.advance(Duration::from_secs(7 * 60));
    assert_eq!(cell.get().await.map(|value| *value), Ok(1));
    settle().await;
    assert_eq!(told.count(), 1, "not due: a quarter of ten minutes is two and a half");
    told.fails(Some("the server is away"));
    hand.advance(Duration::from_mins(2));
    assert_eq!(cell.get().await.map(|value| *value), Ok(1));
    settle().await;
    assert_eq!(told.count(), 2);
    // The failure is not repeated at once.
    assert_eq!(cell.get().await.map(|value| *value), Ok(1));
    settle().await;
    assert_eq!(told.count(), 2);
    hand.advance(Duration::from_secs(61));
    let error = cell.get().await.unwrap_err();
    assert_eq!(error, "the server is away", "it has really ended: closed, with the reason");
    told.fails(None);
    hand.advance(Duration::from_mins(1));
    assert_eq!(cell.get().await.map(|value| *value), Ok(told.count()));
}

#[tokio::test(start_paused = true)]
async fn failures_rest_longer_and_longer_and_never_more_than_a_minute() {
    let (cell, told, hand) = numbers(1000);
    told.fails(Some("no"));
    for _ in 0..100 {
        let _ = cell.get().await;
        hand.advance(Duration::from_millis(500));
    }
    let tries = told.count();
    assert!((4..=10).contains(&tries), "{tries} tries in 50 s");
    for _ in 0..30 {
        hand.advance(Duration::from_mins(1));
        let _ = cell.get().await;
    }
    assert!(told.count() >= tries + 29, "each minute one, at least: {}", told.count() - tries);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_waited_for_with_a_bound() {
    let (cell, told, _) = numbers(0);
    let began = tokio::time::Instant::now();
    let error = cell.get().await.unwrap_err();
    assert!(error.contains("no answer within 15 s"), "{error}");
    assert_eq!(began.elapsed().as_secs(), 15);
    assert_eq!(told.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_requests_it_is_fetched_at_once_and_renewed_in_time() {
    let (cell, told, hand) = numbers(1000);
    cell.keep();
    cell.keep();
    settle().await;
    assert_eq!(told.count(), 1);
    hand.advance(Duration::from_secs(580));
    tokio::time::advance(Duration::from_secs(6)).await;
    settle().await;
    assert_eq!(told.count(), 2);
    drop(cell);
    hand.advance(Duration::from_mins(10));
    tokio::time::advance(Duration::from_mins(1)).await;
    settle().await;
    assert_eq!(told.count(), 2, "nobody uses it any more");
}

#[tokio::test(start_paused = true)]
async fn a_refused_value_is_had_anew_once_in_half_a_minute() {
    let (cell, told, hand) = numbers(1000);
    *told.life.lock().unwrap() = None;
    assert_eq!(cell.get().await.map(|value| *value), Ok(1));
    for _ in 0..20 {
        cell.refused();
        settle().await;
    }
    assert_eq!((told.count(), *cell.get().await.unwrap()), (2, 2));
    hand.advance(Duration::from_secs(30));
    cell.refused();
    settle().await;
    assert_eq!(told.count(), 3);
    // Its end is unknown: it stays in use, and is looked at again.
    told.fails(Some("away"));
    hand.advance(Duration::from_hours(9));
    assert_eq!(*cell.get().await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn lives_that_cannot_be_are_not_believed() {
    let (cell, told, hand) = numbers(1000);
    *told.life.lock().unwrap() = Some(Duration::ZERO);
    let error = cell.get().await.unwrap_err();
    assert!(error.contains("expired already"), "{error}");
    *told.life.lock().unwrap() = Some(Duration::from_hours(24 * 365 * 900));
    hand.advance(Duration::from_mins(1));
    let first = *cell.get().await.unwrap();
    hand.advance(Duration::from_hours(25));
    assert_ne!(*cell.get().await.unwrap(), first);
}
