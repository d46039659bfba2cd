//! Connections kept for the next request.
//!
//! An HTTP/1.1 connection has no task of its own: whoever uses it drives it, so an exchange runs from the caller's bytes to the
//! model's and back in one task, and its end is the connection's. HTTP/2 connections are shared, so each has a task.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};

use super::{
    UpstreamError,
    connect::{Connector, Dialled, Protocol},
    http1::Http1,
    http2::{Http2, Ticket},
};

/// How many unused connections are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Unused HTTP/1.1 connections kept per server; 0: none. Default 256.
    pub max_idle: usize,
    /// A connection takes no new exchange when it is older. Default 10 min.
    pub max_age: Duration,
    /// A connection unused for so long is closed. Default 60 s.
    pub idle_timeout: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { max_idle: 256, max_age: Duration::from_mins(10), idle_timeout: Duration::from_secs(60) }
    }
}

/// How many kept connections are looked at for one of this thread.
const NEAR: usize = 32;

/// Connections to one server.
pub(super) struct Pool {
    config: PoolConfig,
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
    /// For a request that leaves HTTP: of no use to another.
    Leaving(Box<Dialled>),
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
            Self::Leaving(_) => true,
        }
    }
}

impl Pool {
    pub(super) fn new(config: PoolConfig) -> Arc<Self> {
        Arc::new(Self {
            config,
            idle: Mutex::default(),
            shared: Mutex::default(),
            dialling: tokio::sync::Mutex::default(),
            sweeping: AtomicBool::new(false),
        })
    }

    /// A kept connection, or a new one. `again`: a kept one has just failed, so an HTTP/1.1 connection is a new one.
    pub(super) async fn line(
        self: &Arc<Self>,
        connector: &Connector,
        protocol: Protocol,
        again: bool,
    ) -> Result<Line, UpstreamError> {
        if !connector.shares(protocol) {
            if !again && let Some(connection) = poll_fn(|cx| Poll::Ready(self.take(cx))).await {
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

    /// The connection used last, if it still lives: what has lain longest is the likeliest to be closed by the server just now. One whose
    /// bytes this very thread hears of comes first, as those of another have to wake it.
    fn take(&self, cx: &mut Context<'_>) -> Option<Box<Http1>> {
        let here = Handle::current().id();
        loop {
            let mut connection = {
                let mut idle = lock(&self.idle);
                let last = idle.len().checked_sub(1)?;
                let near = idle.iter().rev().take(NEAR).position(|kept| kept.connection.home() == here);
                idle.remove(last - near.unwrap_or_default())?.connection
            };
            if self.young(&connection) && connection.ready(cx) {
                connection.fresh = false;
                return Some(connection);
            }
        }
    }

    /// Keeps a connection whose exchange is over, unless it is too old, or somebody's.
    pub(super) fn keep(self: &Arc<Self>, connection: Box<Http1>) {
        if connection.personal() || !self.young(&connection) || self.config.max_idle == 0 {
            return;
        }
        let mut idle = lock(&self.idle);
        while idle.len() >= self.config.max_idle {
            idle.pop_front();
        }
        idle.push_back(Idle { connection, since: Instant::now() });
        drop(idle);
        self.sweep_later();
    }

    /// Connections that nobody uses now.
    pub(super) fn unused(&self) -> usize {
        lock(&self.idle).len() + lock(&self.shared).iter().filter(|connection| connection.unused()).count()
    }

    fn young(&self, connection: &Http1) -> bool {
        connection.made().elapsed() < self.config.max_age
    }

    fn join(&self) -> Option<Ticket> {
        let mut shared = lock(&self.shared);
        shared.retain(|connection| connection.usable(self.config.max_age));
        let free = shared.iter().find(|connection| connection.has_room())?;
        Some(Ticket::new(Arc::clone(free), false))
    }

    /// Starts the task that closes unused connections, unless it runs. It ends when there is nothing left to close.
    fn sweep_later(self: &Arc<Self>) {
        if !self.sweeping.swap(true, Ordering::AcqRel) {
            tokio::spawn(sweep(Arc::downgrade(self), self.config.idle_timeout / 4));
        }
    }

    /// Drops what is old or has been closed by the server; says whether anything is left.
    fn swept(&self) -> bool {
        let now = Instant::now();
        let mut cx = Context::from_waker(Waker::noop());
        let PoolConfig { max_age, idle_timeout, .. } = self.config;
        let mut idle = lock(&self.idle);
        idle.retain_mut(|kept| {
            let rests = now.duration_since(kept.since) < idle_timeout;
            rests && self.young(&kept.connection) && kept.connection.ready(&mut cx)
        });
        let mut shared = lock(&self.shared);
        shared.retain(|connection| connection.usable(max_age) && !connection.rested(now, idle_timeout));
        if idle.is_empty() && shared.is_empty() {
            self.sweeping.store(false, Ordering::Release);
            return false;
        }
        true
    }
}

async fn sweep(pool: Weak<Pool>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        match pool.upgrade() {
            Some(pool) if pool.swept() => (),
            _ => return,
        }
    }
}

/// A poisoned lock guards plain values, which are whole between any two statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
