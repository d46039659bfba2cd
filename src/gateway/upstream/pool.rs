//! Connections kept for the next request.
//!
//! An HTTP/1.1 connection has no task of its own: whoever uses it drives it, so an exchange runs from the caller's bytes to the
//! model's and back in one task, and its end is the connection's. HTTP/2 connections are shared, so each has a task.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{Request, StatusCode};
use hyper::{
    client::conn::{http1, http2},
    upgrade::OnUpgrade,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;

use super::{
    Answered, Body, Fault, Meter, Outgoing, Unsent, UpstreamError,
    connect::{Connector, Dialled, Protocol},
    socket::Socket,
    verify,
};
use crate::{
    evidence::event::Leg,
    gateway::framing::{self, Answers, Guard, MAX_FIELDS, MAX_HEAD},
};

/// A connection unused for this long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// Unused HTTP/1.1 connections kept per model.
const MAX_IDLE: usize = 256;

/// Exchanges on one HTTP/2 connection before another is opened: the least that RFC 9113 §6.5.2 wants servers to allow.
const MAX_SHARED: usize = 100;

/// HTTP/2 flow control: what one answer, and all answers of a connection, may have in flight, bytes.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

/// Connections to one model's server.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<VecDeque<Idle>>,
    shared: Mutex<Vec<Arc<Http2>>>,
    /// One new HTTP/2 connection at a time: those who wait for it share it.
    dialling: tokio::sync::Mutex<()>,
    sweeping: AtomicBool,
}

struct Idle {
    connection: Box<Http1>,
    since: Instant,
}

/// A connection an exchange may use.
pub(super) enum Line {
    Http1(Box<Http1>),
    Http2(Ticket),
}

impl Line {
    pub(super) fn is_h2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Whether it was made for this very request.
    pub(super) fn fresh(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.fresh,
            Self::Http2(ticket) => ticket.fresh,
        }
    }
}

impl Pool {
    /// A kept connection, or a new one.
    pub(super) async fn line(
        self: &Arc<Self>,
        connector: &Connector,
        protocol: Protocol,
    ) -> Result<Line, UpstreamError> {
        if !connector.shares(protocol) {
            if let Some(connection) = poll_fn(|cx| Poll::Ready(self.take(cx))).await {
                return Ok(Line::Http1(connection));
            }
            return self.open(connector.dial(protocol).await?).await;
        }
        if let Some(ticket) = self.join() {
            return Ok(Line::Http2(ticket));
        }
        let _alone = self.dialling.lock().await;
        match self.join() {
            Some(ticket) => Ok(Line::Http2(ticket)),
            None => self.open(connector.dial(protocol).await?).await,
        }
    }

    async fn open(self: &Arc<Self>, dialled: Dialled) -> Result<Line, UpstreamError> {
        if !dialled.h2 {
            return Http1::open(dialled).await.map(|connection| Line::Http1(Box::new(connection)));
        }
        let connection = Arc::new(Http2::open(dialled).await?);
        lock(&self.shared).push(Arc::clone(&connection));
        self.sweep_later();
        Ok(Line::Http2(Ticket::new(connection, true)))
    }

    /// The connection used last, if it still lives: what has lain longest is the likeliest to be closed by the server just now.
    fn take(&self, cx: &mut Context<'_>) -> Option<Box<Http1>> {
        loop {
            let mut connection = lock(&self.idle).pop_back()?.connection;
            if connection.ready(cx) {
                connection.fresh = false;
                return Some(connection);
            }
        }
    }

    /// Keeps a connection whose exchange is over.
    pub(super) fn keep(self: &Arc<Self>, connection: Box<Http1>) {
        let mut idle = lock(&self.idle);
        if idle.len() >= MAX_IDLE {
            idle.pop_front();
        }
        idle.push_back(Idle { connection, since: Instant::now() });
        drop(idle);
        self.sweep_later();
    }

    fn join(&self) -> Option<Ticket> {
        let mut shared = lock(&self.shared);
        shared.retain(|connection| !connection.sender.is_closed());
        let free = shared.iter().find(|c| c.active.load(Ordering::Relaxed) < MAX_SHARED)?;
        Some(Ticket::new(Arc::clone(free), false))
    }

    /// Starts the task that closes unused connections, unless it runs. It ends when there is nothing left to close.
    fn sweep_later(self: &Arc<Self>) {
        if !self.sweeping.swap(true, Ordering::AcqRel) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Drops what is old or has been closed by the server; says whether anything is left.
    fn swept(&self) -> bool {
        let now = Instant::now();
        let mut cx = Context::from_waker(Waker::noop());
        let mut idle = lock(&self.idle);
        idle.retain_mut(|kept| now.duration_since(kept.since) < IDLE && kept.connection.ready(&mut cx));
        let mut shared = lock(&self.shared);
        shared.retain(|connection| !connection.sender.is_closed() && !connection.rested(now));
        if idle.is_empty() && shared.is_empty() {
            self.sweeping.store(false, Ordering::Release);
            return false;
        }
        true
    }
}

async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE / 4).await;
        match pool.upgrade() {
            Some(pool) if pool.swept() => (),
            _ => return,
        }
    }
}

/// A poisoned lock guards a plain list, which is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An HTTP/1.1 connection together with the machine that drives it.
pub(super) struct Http1 {
    sender: http1::SendRequest<Outgoing>,
    /// `None` once the connection has ended.
    driver: Option<http1::Connection<TokioIo<Guard<Socket>>, Outgoing>>,
    answers: Arc<Answers>,
    leg: Arc<Leg>,
    fresh: bool,
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_headers(MAX_FIELDS).max_header_size(MAX_HEAD).max_buf_size(2 * MAX_HEAD);
    builder
}

impl Http1 {
    async fn open(dialled: Dialled) -> Result<Self, UpstreamError> {
        let answers = Arc::default();
        let guard = Guard::answers(dialled.socket, &answers);
        let (sender, driver) = http1_builder()
            .handshake(TokioIo::new(guard))
            .await
            .map_err(|e| UpstreamError::Unreachable { cause: e.to_string() })?;
        Ok(Self { sender, driver: Some(driver), answers, leg: dialled.leg, fresh: true })
    }

    /// Moves bytes as far as they go.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && Pin::new(driver).poll(cx).is_ready()
        {
            // Dropped at once: only then do a request it still holds and the body it feeds learn that it has ended.
            self.driver = None;
        }
    }

    /// Whether it can take a request now.
    pub(super) fn ready(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.driver.is_some() && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }

    pub(super) async fn exchange(
        mut self: Box<Self>,
        request: Request<Outgoing>,
        pool: &Arc<Pool>,
        meter: Arc<Meter>,
    ) -> Result<Answered, Unsent> {
        self.answers.expect(request.method(), false);
        let mut answer = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|cx| {
            self.drive(cx);
            answer.as_mut().poll(cx)
        })
        .await;
        let (head, incoming) = match answered {
            Ok(response) => response.into_parts(),
            Err(mut unsent) => {
                return Err(match unsent.take_message() {
                    Some(request) => Unsent::Never(Box::new(request)),
                    None => Unsent::Failed(broke(&unsent.into_error(), &meter)),
                });
            }
        };
        let leg = Arc::clone(&self.leg);
        let mut body = Body::alone(incoming, self, Arc::clone(pool), meter);
        // Nobody asks an empty body for its end, so its connection goes back now.
        poll_fn(|cx| {
            body.release_at_end(cx);
            Poll::Ready(())
        })
        .await;
        Ok(Answered { head, body, leg })
    }
}

/// An HTTP/2 connection, shared by exchanges and driven by a task of its own.
pub(super) struct Http2 {
    sender: http2::SendRequest<Outgoing>,
    active: AtomicUsize,
    rests_since: Mutex<Instant>,
    leg: Arc<Leg>,
}

impl Http2 {
    async fn open(dialled: Dialled) -> Result<Self, UpstreamError> {
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20))
            .handshake(TokioIo::new(dialled.socket))
            .await
            .map_err(|e| UpstreamError::Unreachable { cause: e.to_string() })?;
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "an HTTP/2 connection to a model ended");
            }
        });
        Ok(Self {
            sender,
            active: AtomicUsize::new(0),
            rests_since: Mutex::new(Instant::now()),
            leg: dialled.leg,
        })
    }

    fn rested(&self, now: Instant) -> bool {
        self.active.load(Ordering::Relaxed) == 0 && now.duration_since(*lock(&self.rests_since)) >= IDLE
    }
}

/// A place on a shared connection, held until the answer's body is dropped.
pub(super) struct Ticket {
    connection: Arc<Http2>,
    fresh: bool,
}

impl Ticket {
    fn new(connection: Arc<Http2>, fresh: bool) -> Self {
        connection.active.fetch_add(1, Ordering::Relaxed);
        Self { connection, fresh }
    }

    pub(super) async fn exchange(
        self,
        request: Request<Outgoing>,
        meter: &Meter,
    ) -> Result<Answered, Unsent> {
        let mut sender = self.connection.sender.clone();
        match sender.try_send_request(request).await {
            Ok(response) => {
                let (head, incoming) = response.into_parts();
                if let Err(malformed) = framing::lengths(&head.headers) {
                    return Err(Unsent::Failed(UpstreamError::AnswerMalformed(malformed)));
                }
                let leg = Arc::clone(&self.connection.leg);
                Ok(Answered { head, body: Body::shared(incoming, self), leg })
            }
            Err(mut unsent) => Err(match unsent.take_message() {
                Some(request) => Unsent::Never(Box::new(request)),
                None => Unsent::Failed(broke(&unsent.into_error(), meter)),
            }),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.connection.active.fetch_sub(1, Ordering::Relaxed) == 1 {
            *lock(&self.connection.rests_since) = Instant::now();
        }
    }
}

/// Asks the server to leave HTTP, on a connection that is used for nothing else.
pub(super) async fn ask_to_leave(
    dialled: Dialled,
    request: Request<Outgoing>,
) -> Result<(Answered, Option<OnUpgrade>), UpstreamError> {
    if dialled.h2 {
        return Err(UpstreamError::Broke { cause: "the server speaks HTTP/2 alone".to_owned() });
    }
    let meter = Arc::clone(request.body().meter());
    let answers = Arc::<Answers>::default();
    let guard = Guard::answers(dialled.socket, &answers);
    answers.expect(request.method(), true);
    let (mut sender, driver) = http1_builder()
        .handshake(TokioIo::new(guard))
        .await
        .map_err(|e| UpstreamError::Unreachable { cause: e.to_string() })?;
    // Ends with the upgraded bytes, or with the answer when the server does not switch.
    tokio::spawn(driver.with_upgrades());
    let mut response = sender.send_request(request).await.map_err(|e| broke(&e, &meter))?;
    let server =
        (response.status() == StatusCode::SWITCHING_PROTOCOLS).then(|| hyper::upgrade::on(&mut response));
    let (head, incoming) = response.into_parts();
    Ok((Answered { head, body: Body::loose(incoming), leg: dialled.leg }, server))
}

fn broke(error: &hyper::Error, meter: &Meter) -> UpstreamError {
    match meter.fault() {
        Some(Fault::Caller) => return UpstreamError::RequestCut,
        Some(Fault::Ambiguous) => return UpstreamError::RequestAmbiguous,
        Some(Fault::Malformed(malformed)) => return UpstreamError::RequestMalformed(malformed),
        Some(Fault::TooLong) => return UpstreamError::RequestTooLong { limit: meter.limit() },
        None => (),
    }
    if let Some(malformed) = framing::refused_by(error) {
        return UpstreamError::AnswerMalformed(malformed);
    }
    // TLS 1.3 servers judge a client certificate after the handshake is over on our side.
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let tls = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(tls) = tls.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return UpstreamError::Untrusted { reason: verify::reason(tls), cause: tls.to_string() };
        }
        source = cause.source();
    }
    UpstreamError::Broke { cause: chain(error) }
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
