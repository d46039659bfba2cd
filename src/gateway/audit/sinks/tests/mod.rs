//! Sinks against receivers on loopback that answer as they are told.

mod otlp;
mod shipping;
mod syslog;

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response, Uri},
};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

use super::{
    Bearing, Cursors, Header, ReceiverConfig, SinkConfig, Sinks, Standing, Surroundings, WebhookConfig,
    pace::Pace, worker::Tuning,
};
use crate::{
    clock::{Clock, from_unix_millis},
    evidence::event::{Caller, Event, Request as Asking, Response as Answer, Tokens},
    gateway::{
        audit::Scribe,
        store::{self, Store},
    },
    secret,
};

const NOW: i64 = 1_795_418_146_000;

/// The real ledger, places and scribe on a folder, and sinks beside them.
struct World {
    dir: TempDir,
    store: Store,
    scribe: Scribe,
    stop: CancellationToken,
    tasks: TaskTracker,
    sinks: Sinks,
}

fn tuning() -> Tuning {
    Tuning {
        gather: Duration::from_millis(1),
        pace: Pace { first: Duration::from_millis(2), longest: Duration::from_millis(5) },
        refusals: 2,
        most_aside: 2,
        ..Tuning::default()
    }
}

impl World {
    async fn start() -> Self {
        Self::on(tempfile::tempdir().unwrap(), tuning()).await
    }

    async fn on(dir: TempDir, tuning: Tuning) -> Self {
        let config = store::Config { state: dir.path().join("state"), database: dir.path().join("g.db") };
        let store = Store::open(&config).await.unwrap();
        let stop = CancellationToken::new();
        let scribe =
            Scribe::open_with_files_of(1 << 20, store.journal(), store.ledger(), stop.clone()).await.unwrap();
        let tasks = TaskTracker::new();
        let (clock, _) = Clock::manual(from_unix_millis(NOW));
        let surroundings = Surroundings {
            ledger: store.ledger(),
            cursors: store.sinks(),
            scribe: scribe.clone(),
            clock,
            host: "gateway.example.test".to_owned(),
            stop: stop.clone(),
        };
        let sinks = Sinks::start_tuned(surroundings, &tasks, tuning);
        Self { dir, store, scribe, stop, tasks, sinks }
    }

    async fn adopt(&self, configs: &[SinkConfig]) {
        let prepared = self.sinks.prepare(configs).await.unwrap();
        self.sinks.adopt(prepared).await;
    }

    /// Events `ev_FIRST` to `ev_LAST` of a kind.
    fn note(&self, kind: &str, numbers: std::ops::RangeInclusive<u32>) {
        for n in numbers {
            self.tell(Event { id: format!("ev_{n}"), kind: kind.to_owned(), ..Event::default() });
        }
    }

    fn tell(&self, event: Event) {
        let time = "2026-11-23T07:15:46.123Z".to_owned();
        self.scribe.note(Event { time, ..event }).unwrap();
    }

    fn standing(&self) -> Standing {
        self.sinks.standings().into_iter().next().unwrap()
    }

    async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let waiting = async {
            while !holds(self).await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting)
            .await
            .unwrap_or_else(|_| panic!("{what} did not come about: {:?}", self.sinks.standings()));
    }

    /// Waits until the sink's place, as it would be found after a crash, is this.
    async fn at(&self, sink: &str, place: u64) {
        let there = async |world: &Self| world.store.cursor(sink).await.unwrap() == Some(place);
        self.until(&format!("place {place} of {sink}"), there).await;
    }

    /// Ends everything and leaves the folder, as a crash would: nothing more is sent.
    async fn end(self) -> TempDir {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.scribe.closed().await;
        self.store.close().await;
        self.dir
    }
}

/// What a receiver was sent.
#[derive(Clone, Debug)]
struct Sent {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Chooses an answer by the path and the body.
type Judge = Arc<dyn Fn(&str, &[u8]) -> (u16, Vec<u8>) + Send + Sync>;

/// A receiver on loopback.
#[derive(Clone)]
struct Receiving {
    sent: Arc<Mutex<Vec<Sent>>>,
    /// Statuses of the next answers, before the judge is asked.
    next: Arc<Mutex<VecDeque<u16>>>,
    judge: Arc<Mutex<Judge>>,
    rung: Arc<Notify>,
}

/// The status that is no answer at all.
const SILENCE: u16 = 0;

impl Receiving {
    async fn start() -> (Self, Url) {
        let receiving = Self {
            sent: Arc::default(),
            next: Arc::default(),
            judge: Arc::new(Mutex::new(Arc::new(|_, _| (200, Vec::new())))),
            rung: Arc::default(),
        };
        let app = Router::new().fallback(Self::answer).with_state(receiving.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiving, url.parse().unwrap())
    }

    async fn answer(State(it): State<Self>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
        let path = uri.path().to_owned();
        it.sent.lock().unwrap().push(Sent { path: path.clone(), headers, body: body.clone() });
        it.rung.notify_waiters();
        let next = it.next.lock().unwrap().pop_front();
        if next == Some(SILENCE) {
            std::future::pending::<()>().await;
        }
        let judge = Arc::clone(&it.judge.lock().unwrap());
        let (status, body) = next.map_or_else(|| judge(&path, &body), |status| (status, Vec::new()));
        Response::builder()
            .status(status)
            .header("content-type", "application/x-protobuf")
            .body(Body::from(body))
            .unwrap()
    }

    fn will(&self, statuses: &[u16]) {
        self.next.lock().unwrap().extend(statuses);
    }

    fn judges(&self, judge: impl Fn(&str, &[u8]) -> (u16, Vec<u8>) + Send + Sync + 'static) {
        *self.judge.lock().unwrap() = Arc::new(judge);
    }

    /// The first so many requests, once they have come.
    async fn sent(&self, count: usize) -> Vec<Sent> {
        loop {
            let rung = self.rung.notified();
            tokio::pin!(rung);
            rung.as_mut().enable();
            let sent = self.sent.lock().unwrap().clone();
            if sent.len() >= count {
                return sent;
            }
            tokio::time::timeout(Duration::from_secs(20), rung)
                .await
                .unwrap_or_else(|_| panic!("{count} requests did not come, but {sent:?}"));
        }
    }
}

impl Sent {
    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The ids of the events of a JSON document.
    fn ids(&self) -> Vec<String> {
        let json = self.json();
        json["data"]["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["id"].as_str().unwrap().to_owned())
            .collect()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

fn ids(numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    numbers.map(|n| format!("ev_{n}")).collect()
}

fn bearing(url: &Url) -> Bearing {
    Bearing { url: url.clone(), ca: None, headers: Vec::new() }
}

fn webhook(url: &Url) -> SinkConfig {
    let to = WebhookConfig { to: bearing(url), secrets: Vec::new(), lines: false };
    SinkConfig {
        name: "siem".to_owned(),
        kinds: Vec::new(),
        from_start: true,
        receiver: ReceiverConfig::Webhook(to),
    }
}

/// A file with a secret, beside the world's own.
fn kept(world: &World, name: &str, content: &str) -> PathBuf {
    let path = world.dir.path().join(name);
    secret::write_private(&path, content.as_bytes()).unwrap();
    path
}

/// An exchange with a generative model, as the pipeline writes it.
fn exchange(n: u32, traceparent: Option<&str>) -> Event {
    Event {
        id: format!("ev_{n:032x}"),
        kind: "exchange".to_owned(),
        caller: Some(Caller { subject: "alice".to_owned(), ..Caller::default() }),
        model: Some("gpt".to_owned()),
        session: Some("ses_1".to_owned()),
        exchange: Some(format!("ex_{:032x}", n + 1_000)),
        request: Some(Asking {
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            requested_model: Some("gpt-4o".to_owned()),
            traceparent: traceparent.map(str::to_owned),
            ..Asking::default()
        }),
        response: Some(Answer {
            status: 200,
            outcome: "complete".to_owned(),
            duration_ms: 1_500,
            first_token_ms: Some(40),
            tokens: Some(Tokens { input: 12, output: 34, ..Tokens::default() }),
            ..Answer::default()
        }),
        ..Event::default()
    }
}
