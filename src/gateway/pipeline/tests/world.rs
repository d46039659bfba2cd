//! A pipeline with its rooms in memory, and callers for it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::super::{
    Arrival, Means, ModelConfig, Pipeline,
    carried::Carrier,
    limits::{self, Limits, Row, StoreError},
    serve,
};
use crate::{
    clock::{Clock, Hand},
    evidence::event::Event,
    gateway::{
        approval,
        audit::{
            self, Filter, Scribe,
            doubles::{MemoryJournal, MemoryLedger},
        },
        identity::{Caller, Lease},
        mask,
        policy::{ModelFacts, Policies},
        record::{self, Recordings, doubles::MemoryShelf},
        respond::Dialect,
        upstream,
    },
    tls::Handshake,
    tunnel::Transport,
    wire::stream::{Asking, Door, Fin},
};

pub(super) type TestBody = BoxBody<Bytes, io::Error>;

const PERMIT_ALL: &str =
    r#"@id("all") permit(principal, action in [Action::"list", Action::"invoke"], resource);"#;

/// Waits for what must come soon; a test that would hang fails instead.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("what a test waits for comes soon")
}

pub(super) fn full(body: impl Into<Bytes>) -> TestBody {
    Full::new(body.into()).map_err(|never| match never {}).boxed()
}

pub(super) fn empty() -> TestBody {
    full("")
}

pub(super) async fn text(body: Incoming) -> String {
    String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// A relaxed model on loopback.
pub(super) fn model(name: &str, url: &str) -> ModelConfig {
    ModelConfig {
        name: name.to_owned(),
        dialect: Dialect::Detect,
        upstream: upstream::Config {
            urls: vec![url.parse().unwrap()],
            relaxed: true,
            relaxed_networks: Vec::new(),
            ca: None,
            pins: Vec::new(),
            client_certificate: None,
            server_name: None,
            credential: None,
            idle: Duration::from_secs(600),
            pool: Default::default(),
            health: Default::default(),
        },
        labels: Default::default(),
        finish_on_fin: false,
        body_limit: None,
        limits: Default::default(),
        mask: None,
        record: Default::default(),
    }
}

/// Counters that no restart is asked of.
struct NothingKept;

/// Limits with nothing used up, on a clock that the hand moves.
pub(super) async fn uncounted() -> (Limits, Hand) {
    let (clock, hand) = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_418_146));
    (Limits::open(Arc::new(NothingKept), clock).await.unwrap(), hand)
}

#[async_trait::async_trait]
impl limits::Store for NothingKept {
    async fn load(&self) -> Result<Vec<Row>, StoreError> {
        Ok(Vec::new())
    }

    async fn save(&self, _: &[Row], _: u64) -> Result<(), StoreError> {
        Ok(())
    }
}

pub(super) struct World {
    pub(super) pipeline: Pipeline,
    pub(super) approvals: approval::Approvals,
    pub(super) journal: MemoryJournal,
    pub(super) shelf: MemoryShelf,
    pub(super) recordings: Recordings,
    scribe: Scribe,
    /// Moves the clock that limits go by.
    pub(super) hand: Hand,
}

impl World {
    pub(super) async fn new(models: Vec<ModelConfig>) -> Self {
        Self::with_policy(models, PERMIT_ALL).await
    }

    pub(super) async fn with_policy(models: Vec<ModelConfig>, policy: &str) -> Self {
        Self::with(models, policy, Clock::system(), audit::Config::default()).await
    }

    /// One model called `m`, with events that hold the beginning of what is asked and said.
    pub(super) async fn with_inputs(url: &str) -> Self {
        let config = audit::Config { keeps_input: true, keeps_output: true, ..audit::Config::default() };
        Self::with(vec![model("m", url)], PERMIT_ALL, Clock::system(), config).await
    }

    /// On a clock that the hand moves.
    pub(super) async fn at_hand(models: Vec<ModelConfig>) -> (Self, Hand) {
        let (clock, hand) = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_418_146));
        (Self::with(models, PERMIT_ALL, clock, audit::Config::default()).await, hand)
    }

    async fn with(models: Vec<ModelConfig>, policy: &str, clock: Clock, config: audit::Config) -> Self {
        let facts: Vec<_> = models
            .iter()
            .map(|model| ModelFacts {
                name: model.name.clone(),
                dialect: model.dialect.name().to_owned(),
                tls: if model.upstream.relaxed { "relaxed" } else { "required" }.to_owned(),
                labels: model.labels.clone(),
            })
            .collect();
        let policies = Policies::parse(&[("test.cedar".into(), policy.to_owned())], &facts).unwrap();
        let (journal, ledger) = (MemoryJournal::default(), MemoryLedger::default());
        let scribe = Scribe::open(
            config,
            Arc::new(journal.clone()),
            Arc::new(ledger),
            clock.clone(),
            CancellationToken::new(),
        )
        .await
        .unwrap();
        let policies = Arc::new(ArcSwap::from_pointee(policies));
        let (limits, hand) = uncounted().await;
        let approvals = approval::doubles::office(Arc::clone(&policies), clock.clone()).await;
        let (shelf, recordings) = record::doubles::memory(clock.clone());
        let means = Means {
            policies,
            approvals: approvals.clone(),
            scribe: scribe.clone(),
            limits,
            mask_keys: mask::Keys::new(&[0; 32]),
            recordings: recordings.clone(),
            clock,
        };
        let pipeline = Pipeline::new(models, means).unwrap();
        Self { pipeline, approvals, journal, shelf, recordings, scribe, hand }
    }

    /// One model called `m`.
    pub(super) async fn of(url: &str) -> Self {
        Self::new(vec![model("m", url)]).await
    }

    pub(super) fn connect(&self) -> Client {
        self.connect_as(|_| ())
    }

    pub(super) fn connect_as(&self, change: impl FnOnce(&mut Arrival)) -> Client {
        let mut arrival = Arrival {
            lease: Lease::detached(alice(), SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40)),
            transport: Transport::Quic,
            handshake: Handshake::of_quic(),
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
            client: Some("hoopctl/test".to_owned()),
            model: "m".to_owned(),
            session: "ses_1".to_owned(),
            door: Door::Private,
            fin: Fin::Leave,
            asking: Asking::default(),
            notices: None,
        };
        change(&mut arrival);
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let link = Arc::new(Link::default());
        let stream = TestStream { io: Some(theirs), link: Arc::clone(&link) };
        let revoked = arrival.lease.streams();
        let served =
            tokio::spawn(serve::serve(Arc::clone(&self.pipeline.0), stream, arrival, revoked.clone()));
        Client { io: ours, link, revoked, served }
    }

    /// Every event so far.
    pub(super) async fn events(&self) -> Vec<Event> {
        soon(self.scribe.query(&Filter { limit: 1000, ..Filter::default() })).await.unwrap().events
    }

    /// The outcome of the only exchange.
    pub(super) async fn outcome(&self) -> String {
        let event = self.event().await;
        event.response.unwrap().outcome
    }

    /// The only event.
    pub(super) async fn event(&self) -> Event {
        let mut events = self.events().await;
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    /// The only event, once an exchange has been finished.
    pub(super) async fn finished(&self) -> Event {
        soon(async {
            while self.scribe.stats().open > 0 || self.events().await.is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        self.event().await
    }
}

pub(super) fn alice() -> Caller {
    Caller {
        subject: "alice".to_owned(),
        email: Some("alice@example.test".to_owned()),
        name: None,
        groups: vec!["ml".to_owned()],
        provider: "dev".to_owned(),
        workload: false,
        session: "ses_login".to_owned(),
    }
}

/// The application's end of a stream.
pub(super) struct Client {
    pub(super) io: DuplexStream,
    link: Arc<Link>,
    /// Ends the caller's authority.
    pub(super) revoked: CancellationToken,
    pub(super) served: JoinHandle<()>,
}

/// What passes between the ends of a stream beside its bytes.
#[derive(Default)]
pub(super) struct Link {
    /// The code the gateway reset the stream with.
    code: Mutex<Option<u32>>,
    /// The caller has reset the stream.
    left: AtomicBool,
    reader: AtomicWaker,
}

impl Link {
    /// Resets the stream as a caller who leaves.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::SeqCst);
        self.reader.wake();
    }

    pub(super) fn code(&self) -> Option<u32> {
        *self.code.lock().unwrap()
    }
}

impl Client {
    pub(super) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    pub(super) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.io.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Reads until what was read ends with `end`.
    pub(super) async fn read_until(&mut self, end: &str) -> String {
        let mut seen = Vec::new();
        while !seen.ends_with(end.as_bytes()) {
            let byte = soon(self.io.read_u8()).await;
            seen.push(
                byte.unwrap_or_else(|_| {
                    panic!("the stream ended after {:?}", String::from_utf8_lossy(&seen))
                }),
            );
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// Everything until the gateway ends the stream, and the code it was reset with, if it was.
    pub(super) async fn rest(mut self) -> (Vec<u8>, Option<u32>) {
        let mut rest = Vec::new();
        soon(self.io.read_to_end(&mut rest)).await.unwrap();
        soon(self.served).await.unwrap();
        (rest, self.link.code())
    }

    /// An HTTP/1.1 client on the stream.
    pub(super) async fn http1(self) -> conn::http1::SendRequest<TestBody> {
        let (sender, driver) = conn::http1::handshake(TokioIo::new(self.io)).await.unwrap();
        tokio::spawn(driver.with_upgrades());
        sender
    }

    /// An HTTP/2 client on the stream.
    pub(super) async fn http2(self) -> conn::http2::SendRequest<TestBody> {
        let (sender, driver) =
            conn::http2::handshake(TokioExecutor::new(), TokioIo::new(self.io)).await.unwrap();
        tokio::spawn(driver);
        sender
    }

    /// One request over HTTP/1.1, on this stream alone.
    pub(super) async fn ask(self, request: Request<TestBody>) -> Response<Incoming> {
        soon(self.http1().await.send_request(request)).await.unwrap()
    }
}

pub(super) fn get(path: &str) -> Request<TestBody> {
    Request::get(path).header("host", "localhost").body(empty()).unwrap()
}

pub(super) fn post(path: &str, body: impl Into<Bytes>) -> Request<TestBody> {
    Request::post(path).header("host", "localhost").body(full(body)).unwrap()
}

/// A duplex pipe that can be reset, as a tunnel's stream can.
struct TestStream {
    io: Option<DuplexStream>,
    link: Arc<Link>,
}

impl TestStream {
    fn io(&mut self) -> io::Result<Pin<&mut DuplexStream>> {
        if self.link.left.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.io.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Carrier for TestStream {
    fn reset(&mut self, code: u32) {
        *self.link.code.lock().unwrap() = Some(code);
        self.io = None;
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.reader.register(cx.waker());
        if self.link.left.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl AsyncRead for TestStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.link.reader.register(cx.waker());
        self.io()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for TestStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.io()?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io()?.poll_shutdown(cx)
    }
}
