//! The audit log alone: exchanges audited a second, what an intent costs at low load, and a person's day among ten million events.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use hoopctl::{
    clock::{Clock, parse_rfc3339, rfc3339},
    evidence::event::{Caller, Decision, Event, Evidence, Leg, Request, Response},
    gateway::{
        audit::{Config, Entry, Filter, Ledger, Log, Scribe},
        store::{self, Store},
    },
};
use tokio_util::sync::CancellationToken;

use crate::report::median;

/// Exchanges at once.
const AT_ONCE: usize = 64;
/// How long each rate is measured.
const LASTS: Duration = Duration::from_secs(10);
/// Events of one transaction, as the indexer has them.
const BATCH: u64 = 512;
/// People among whom a log's events are shared out.
const PEOPLE: u64 = 1000;
/// Days over which they are spread.
const DAYS: u64 = 365;

/// Measures all of it; a log of so many events is searched.
pub fn measure(runtime: &tokio::runtime::Runtime, events: u64) {
    runtime.block_on(async {
        for (power_loss, name) in [(false, "kill -9"), (true, "power loss")] {
            let config = Config { power_loss, ..Config::default() };
            let bench = Bench::open(config).await;
            let rate = bench.rate().await;
            let intents = bench.intents().await;
            println!(
                "{name:<11} {rate:>9.0} exchanges/s audited and in the log, {:>6.0} µs p50 for an intent alone",
                median(&intents)
            );
            bench.end().await;
        }
        day(events).await;
    });
}

struct Bench {
    scribe: Scribe,
    log: Log,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn open(config: Config) -> Self {
        let (dir, store) = open().await;
        let (log, sequencer) = Log::open(store.log(), store.ledger(), "bench").await.unwrap();
        let stop = CancellationToken::new();
        let scribe = Scribe::open(config, store.journal(), store.ledger(), Clock::system(), stop.clone())
            .await
            .unwrap();
        log.follow(sequencer, &scribe);
        Self { scribe, log, stop, _dir: dir }
    }

    /// Exchanges a second, until the last of them is under a checkpoint.
    async fn rate(&self) -> f64 {
        let began = Instant::now();
        let work = (0..AT_ONCE).map(|_| {
            let scribe = self.scribe.clone();
            tokio::spawn(async move {
                let mut done = 0_u64;
                while began.elapsed() < LASTS {
                    let event = exchange(done, SystemTime::UNIX_EPOCH, 0);
                    let intent = scribe
                        .intend(Event { id: String::new(), time: String::new(), ..event.clone() })
                        .await
                        .unwrap();
                    intent.finish(event).unwrap();
                    done += 1;
                    // Many exchanges take turns; one that never waits would keep the others off.
                    tokio::task::yield_now().await;
                }
                done
            })
        });
        let mut total = 0;
        for one in work.collect::<Vec<_>>() {
            total += one.await.unwrap();
        }
        self.log.covers(total).await;
        total as f64 / began.elapsed().as_secs_f64()
    }

    /// Microseconds of intents one by one.
    async fn intents(&self) -> Vec<f64> {
        let mut spent = Vec::new();
        for n in 0..1000 {
            let event = exchange(n, SystemTime::UNIX_EPOCH, 0);
            let before = Instant::now();
            let intent = self.scribe.intend(Event { id: String::new(), ..event.clone() }).await.unwrap();
            spent.push(before.elapsed().as_secs_f64() * 1e6);
            intent.finish(event).unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        spent
    }

    async fn end(self) {
        self.stop.cancel();
        self.scribe.closed().await;
        self.log.closed().await;
    }
}

async fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_owned();
    let database = state.join("gateway.db");
    let store = Store::open(&store::Config { state, database }).await.unwrap();
    (dir, store)
}

/// One person's day in a log of so many events, and the report of a day.
async fn day(events: u64) {
    let (_dir, store) = open().await;
    let ledger: Arc<dyn Ledger> = store.ledger();
    let first = parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let began = Instant::now();
    for start in (0..events).step_by(BATCH as usize) {
        let entries: Vec<Entry> = (start..events.min(start + BATCH))
            .map(|n| {
                let event = exchange(n, first, events);
                Entry { json: serde_json::to_string(&event).unwrap(), event }
            })
            .collect();
        ledger.append(&entries, start).await.unwrap();
    }
    println!("a log of {events} events: {:.0} rows/s written", events as f64 / began.elapsed().as_secs_f64());
    let mut spent = Vec::new();
    for n in 0..20 {
        let since = first + Duration::from_secs(86_400 * (n * 17 % DAYS));
        let filter = Filter {
            user: Some(format!("person-{}@example.test", n * 37 % PEOPLE)),
            since: Some(since),
            until: Some(since + Duration::from_secs(86_400)),
            limit: 1000,
            ..Filter::default()
        };
        let before = Instant::now();
        let page = ledger.query(&filter).await.unwrap();
        spent.push(before.elapsed().as_secs_f64() * 1e3);
        assert!(!page.events.is_empty() || events < PEOPLE * DAYS);
    }
    let most = spent.iter().copied().fold(0.0, f64::max);
    println!("one person's day: {:.1} ms median, {most:.1} ms at most (target 200)", median(&spent));
}

/// The exchange `n`, of one of [`PEOPLE`], its time spread over [`DAYS`] of `all`.
fn exchange(n: u64, first: SystemTime, all: u64) -> Event {
    let leg = Leg {
        transport: "quic".into(),
        tls: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        group: "X25519MLKEM768".into(),
        ..Leg::default()
    };
    let into = u128::from(n) * u128::from(DAYS * 86_400_000) / u128::from(all.max(1));
    let person = n.wrapping_mul(7919) % PEOPLE;
    Event {
        schema: hoopctl::evidence::event::SCHEMA.into(),
        id: format!("ev_{n:032}"),
        time: rfc3339(first + Duration::from_millis(u64::try_from(into).unwrap())),
        kind: "exchange".into(),
        caller: Some(Caller {
            subject: format!("{person}"),
            email: Some(format!("person-{person}@example.test")),
            groups: vec!["ml".into()],
            provider: "corp".into(),
            client: None,
        }),
        model: Some("fraud-detector".into()),
        session: Some(format!("ses_{person}")),
        exchange: Some(format!("ex_{n:032}")),
        decision: Some(Decision {
            verdict: "permit".into(),
            policies: vec!["ml-team".into()],
            approval: None,
        }),
        request: Some(Request {
            method: "POST".into(),
            path: "/v1/chat/completions".into(),
            bytes: 180,
            ..Request::default()
        }),
        response: Some(Response {
            status: 200,
            bytes: 900,
            duration_ms: 120,
            outcome: "complete".into(),
            ..Response::default()
        }),
        evidence: Some(Evidence { client: Some(leg.clone()), upstream: Some(leg) }),
        ..Event::default()
    }
}
