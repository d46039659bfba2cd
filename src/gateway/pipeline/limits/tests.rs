//! Every kind of limit for everybody who can share one, and counters that outlive their process.

use std::{
    sync::Mutex,
    time::{Duration, SystemTime},
};

use tokio_util::sync::CancellationToken;

use super::{
    Amounts, Arc, BTreeMap, Caller, Config, Limits, Row, Store, StoreError,
    counts::{Admitted, Counts},
};
use crate::{
    clock::{Clock, Hand},
    gateway::store,
};

/// 2026-11-23T07:15:46Z.
const NOON: u64 = 1_795_418_146;
const TOMORROW: u64 = (NOON / 86_400 + 1) * 86_400;

#[derive(Default)]
struct Failing(Mutex<(bool, Vec<Row>)>);

#[async_trait::async_trait]
impl Store for Failing {
    async fn load(&self) -> Result<Vec<Row>, StoreError> {
        Ok(self.0.lock().unwrap().1.clone())
    }

    async fn save(&self, rows: &[Row], _: u64) -> Result<(), StoreError> {
        let mut kept = self.0.lock().unwrap();
        if kept.0 {
            return Err(StoreError("full".to_owned()));
        }
        kept.1.extend_from_slice(rows);
        Ok(())
    }
}

fn who(subject: &str, groups: &[&str]) -> Caller {
    Caller {
        subject: subject.to_owned(),
        email: None,
        name: None,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        provider: "corp".to_owned(),
        workload: false,
        session: "ses".to_owned(),
    }
}

fn clock() -> (Clock, Hand) {
    Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(NOON))
}

const TWO_A_MINUTE: Amounts =
    Amounts { requests_per_minute: Some(2), tokens_per_day: None, concurrent: None };
const TWO_AT_ONCE: Amounts = Amounts { requests_per_minute: None, tokens_per_day: None, concurrent: Some(2) };
const TEN_TOKENS: Amounts = Amounts { requests_per_minute: None, tokens_per_day: Some(10), concurrent: None };

/// The limit for everybody, for each caller, for the group `ml`.
fn scopes(amounts: Amounts) -> [Config; 3] {
    let groups = BTreeMap::from([("ml".to_owned(), amounts)]);
    [
        Config { all: amounts, ..Config::default() },
        Config { per_caller: amounts, ..Config::default() },
        Config { groups, ..Config::default() },
    ]
}

/// Who shares a full limit of Alice's, by scope: Bob of her group, Carol of none.
const SHARED: [(bool, bool); 3] = [(true, true), (false, false), (true, false)];
const WHOSE: [&str; 3] = ["`m` as a whole", "you on `m`", "the group `ml` on `m`"];

fn check(amounts: Amounts, wait: u64, used: impl Fn(&Arc<Counts>, &Config) -> Vec<Admitted>) {
    for ((config, (bob, carol)), whose) in scopes(amounts).iter().zip(SHARED).zip(WHOSE) {
        let counts = Arc::new(Counts::new("m"));
        let held = used(&counts, config);
        let problem = counts.admit(config, &who("alice", &["ml"]), NOON).unwrap_err();
        assert!(problem.message().contains(whose), "{}", problem.message());
        let answer = problem.answer(crate::gateway::respond::Voice::Plain, "ex");
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()["retry-after"], wait.to_string().as_str());
        assert_eq!(counts.admit(config, &who("bob", &["ml"]), NOON).is_err(), bob, "{whose}");
        assert_eq!(counts.admit(config, &who("carol", &[]), NOON).is_err(), carol, "{whose}");
        drop(held);
        let later = if amounts.concurrent.is_some() { NOON } else { NOON + wait };
        assert!(
            amounts.concurrent.is_some() || counts.admit(config, &who("alice", &["ml"]), later - 1).is_err()
        );
        counts.admit(config, &who("alice", &["ml"]), later).unwrap();
    }
}

#[test]
fn requests_of_a_minute() {
    check(TWO_A_MINUTE, 50, |counts, config| {
        let admit = |at| counts.admit(config, &who("alice", &["ml"]), at).unwrap();
        drop((admit(NOON - 10), admit(NOON - 5)));
        Vec::new()
    });
}

#[test]
fn exchanges_at_once() {
    check(TWO_AT_ONCE, 1, |counts, config| {
        (0..2).map(|_| counts.admit(config, &who("alice", &["ml"]), NOON).unwrap()).collect()
    });
}

#[test]
fn tokens_of_a_day_end_at_midnight() {
    check(TEN_TOKENS, TOMORROW - NOON, |counts, config| {
        let admitted = counts.admit(config, &who("alice", &["ml"]), NOON).unwrap();
        admitted.spend(9, NOON);
        let last = counts.admit(config, &who("alice", &["ml"]), NOON).unwrap();
        last.spend(500, NOON);
        Vec::new()
    });
}

#[test]
fn a_refused_request_uses_nothing_up_and_the_longest_wait_is_told() {
    let counts = Arc::new(Counts::new("m"));
    let config = Config {
        all: Amounts { requests_per_minute: Some(3), ..Amounts::default() },
        per_caller: Amounts { requests_per_minute: Some(1), ..Amounts::default() },
        ..Config::default()
    };
    counts.admit(&config, &who("alice", &[]), NOON).unwrap();
    for _ in 0..5 {
        assert!(counts.admit(&config, &who("alice", &[]), NOON).is_err());
    }
    counts.admit(&config, &who("bob", &[]), NOON + 1).unwrap();
    counts.admit(&config, &who("carol", &[]), NOON + 2).unwrap();
    // Alice waits for her own limit until 60, Carol for the model's until 60, and for her own until 62.
    let message = counts.admit(&config, &who("carol", &[]), NOON + 10).unwrap_err();
    assert!(message.message().contains("you on `m`") && message.message().contains("in 52 s"), "{message:?}");
}

#[test]
fn who_leaves_a_group_meanwhile_gives_its_room_back_and_pays_what_was_begun() {
    let config = Config {
        groups: BTreeMap::from([(
            "ml".to_owned(),
            Amounts { concurrent: Some(1), tokens_per_day: Some(5), requests_per_minute: None },
        )]),
        ..Config::default()
    };
    let counts = Arc::new(Counts::new("m"));
    let begun = counts.admit(&config, &who("alice", &["ml"]), NOON).unwrap();
    let free = counts.admit(&config, &who("alice", &[]), NOON).unwrap();
    free.spend(100, NOON);
    drop(free);
    assert!(counts.admit(&config, &who("bob", &["ml"]), NOON).is_err());
    begun.spend(4, NOON);
    drop(begun);
    let second = counts.admit(&config, &who("bob", &["ml"]), NOON).unwrap();
    second.spend(1, NOON);
    drop(second);
    assert!(counts.admit(&config, &who("bob", &["ml"]), NOON).is_err());
}

#[test]
fn idle_holders_are_forgotten() {
    let counts = Arc::new(Counts::new("m"));
    let config = Config { per_caller: TWO_A_MINUTE, ..Config::default() };
    for number in 0..100 {
        counts.admit(&config, &who(&format!("u{number}"), &[]), NOON).unwrap();
    }
    assert_eq!(counts.changed(NOON).len(), 100);
    assert!(!counts.is_idle());
    assert_eq!(counts.changed(NOON + 60), []);
    assert!(counts.is_idle());
}

#[tokio::test]
async fn counters_survive_a_restart_on_a_real_database() {
    let dir = tempfile::tempdir().unwrap();
    let config = store::Config { state: dir.path().join("state"), database: dir.path().join("g.db") };
    let (clock, hand) = clock();
    let limits = Config { all: TWO_A_MINUTE, per_caller: TEN_TOKENS, ..Config::default() };
    let alice = who("alice", &[]);
    {
        let store = store::Store::open(&config).await.unwrap();
        let kept = Limits::open(store.limits(), clock.clone()).await.unwrap();
        kept.of("m").admit(&limits, &alice, kept.now()).unwrap().spend(10, kept.now());
        let stop = CancellationToken::new();
        stop.cancel();
        kept.keep(stop).await;
        store.close().await;
    }
    let store = store::Store::open(&config).await.unwrap();
    let kept = Limits::open(store.limits(), clock.clone()).await.unwrap();
    let counts = kept.of("m");
    assert!(counts.admit(&limits, &alice, kept.now()).unwrap_err().message().contains("10 tokens a day"));
    counts.admit(&limits, &who("bob", &[]), kept.now()).unwrap();
    let full = counts.admit(&limits, &who("bob", &[]), kept.now()).unwrap_err();
    assert!(full.message().contains("2 requests a minute"), "{full:?}");
    hand.advance(Duration::from_secs(TOMORROW - NOON));
    counts.admit(&limits, &alice, kept.now()).unwrap();
}

#[tokio::test]
async fn what_could_not_be_saved_is_saved_later() {
    let store = Arc::new(Failing::default());
    let kept = Limits::open(Arc::<Failing>::clone(&store), clock().0).await.unwrap();
    let counts = kept.of("m");
    let limits = Config { all: TWO_A_MINUTE, ..Config::default() };
    counts.admit(&limits, &who("alice", &[]), NOON).unwrap();
    store.0.lock().unwrap().0 = true;
    kept.save().await.unwrap_err();
    store.0.lock().unwrap().0 = false;
    kept.save().await.unwrap();
    assert_eq!(store.0.lock().unwrap().1.len(), 1);
    kept.save().await.unwrap();
    assert_eq!(store.0.lock().unwrap().1.len(), 1, "nothing has changed since");
}
