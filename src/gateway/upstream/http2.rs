//! An HTTP/2 connection to a model's server, shared by exchanges and driven by a task of its own.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use http::{Request, header};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;

use super::{
    Answered, Body, Meter, Outgoing, UpstreamError,
    connect::Dialled,
    http1::personal,
    pool::lock,
    socket::Socket,
    unsent::{self, Unsent, broke, refused},
};
use crate::{
    evidence::event::Leg,
    gateway::framing::{self, MAX_HEAD},
};

/// Exchanges on one connection before another is opened, where the server allows more: the least that RFC 9113 §6.5.2 wants of it.
const MAX_SHARED: usize = 100;

/// Until a server has said how many streams it takes, it is given one.
const UNTIL_TOLD: usize = 1;

/// Flow control: what one answer, and all answers of a connection, may have in flight, bytes.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

/// A PING goes out when nothing has come for so long, also while the connection rests; a server that does not answer it is gone.
const PING_AFTER: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

type Driver = http2::Connection<TokioIo<Socket>, Outgoing, TokioExecutor>;

/// A shared connection.
pub(super) struct Http2 {
    sender: http2::SendRequest<Outgoing>,
    /// `None` once the connection has ended.
    driver: Arc<Mutex<Option<Driver>>>,
    active: AtomicUsize,
    rests_since: Mutex<Instant>,
    made: Instant,
    /// Takes no new exchange: it is ending, or has become somebody's.
    retired: AtomicBool,
    leg: Arc<Leg>,
}

impl Http2 {
    pub(super) async fn open(dialled: Dialled) -> Result<Self, UpstreamError> {
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_max_send_streams(UNTIL_TOLD)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(dialled.socket))
            .await
            .map_err(|e| UpstreamError::Unreachable { cause: e.to_string() })?;
        let driver = Arc::new(Mutex::new(Some(driver)));
        tokio::spawn(drive(Arc::clone(&driver)));
        let now = Instant::now();
        Ok(Self {
            sender,
            driver,
            active: AtomicUsize::new(0),
            rests_since: Mutex::new(now),
            made: now,
            retired: AtomicBool::new(false),
            leg: dialled.leg,
        })
    }

    /// Whether new exchanges may still begin on it, were there room.
    pub(super) fn usable(&self, max_age: Duration) -> bool {
        !self.sender.is_closed() && !self.retired.load(Ordering::Relaxed) && self.made.elapsed() < max_age
    }

    /// Whether one more exchange may begin: the server's own limit holds, also when it changes.
    pub(super) fn has_room(&self) -> bool {
        let allowed = lock(&self.driver).as_ref().map_or(0, http2::Connection::current_max_send_streams);
        self.active.load(Ordering::Relaxed) < allowed.min(MAX_SHARED)
    }

    /// Whether it has been unused for so long.
    pub(super) fn rested(&self, now: Instant, idle: Duration) -> bool {
        self.active.load(Ordering::Relaxed) == 0 && now.duration_since(*lock(&self.rests_since)) >= idle
    }

    pub(super) fn unused(&self) -> bool {
        self.active.load(Ordering::Relaxed) == 0
    }

    fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }
}

async fn drive(driver: Arc<Mutex<Option<Driver>>>) {
    let ended = poll_fn(|cx| {
        let mut held = lock(&driver);
        let Some(connection) = held.as_mut() else { return Poll::Ready(Ok(())) };
        let polled = Pin::new(connection).poll(cx);
        if polled.is_ready() {
            *held = None;
        }
        polled
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "an HTTP/2 connection to a model ended");
    }
}

/// A place on a shared connection, held until the answer's body is dropped.
pub(super) struct Ticket {
    connection: Arc<Http2>,
    pub(super) fresh: bool,
}

impl Ticket {
    pub(super) fn new(connection: Arc<Http2>, fresh: bool) -> Self {
        connection.active.fetch_add(1, Ordering::Relaxed);
        Self { connection, fresh }
    }

    pub(super) async fn exchange(
        self,
        request: Request<Outgoing>,
        meter: &Meter,
    ) -> Result<Answered, Unsent> {
        let mut sender = self.connection.sender.clone();
        let (head, body) = request.into_parts();
        let (copy, kept) = (head.clone(), body.keep());
        match sender.try_send_request(Request::from_parts(head, body)).await {
            Ok(response) => {
                drop(kept);
                let (head, incoming) = response.into_parts();
                if personal(&head.headers, header::WWW_AUTHENTICATE) {
                    self.connection.retire();
                }
                if let Err(malformed) = framing::lengths(&head.headers) {
                    return Err(Unsent::Failed(UpstreamError::AnswerMalformed(malformed)));
                }
                let leg = Arc::clone(&self.connection.leg);
                Ok(Answered { head, body: Body::shared(incoming, self), leg })
            }
            Err(mut error) => {
                if let Some(request) = error.take_message() {
                    self.connection.retire();
                    return Err(Unsent::Never(Box::new(request), unsent::ended()));
                }
                let error = error.into_error();
                let failure = broke(&error, meter);
                if refused(&error)
                    && meter.fault().is_none()
                    && let Some(body) = kept.rewind()
                {
                    return Err(Unsent::Never(Request::from_parts(copy, body).into(), failure));
                }
                Err(Unsent::Failed(failure))
            }
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
