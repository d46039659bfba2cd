//! The warm connection to a gateway: reconnects for ever, renews its lease, hands out streams.

mod backoff;
mod dial;
mod lease;
mod nerve;
mod pulse;
mod retiring;
mod session;
mod supervisor;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{Semaphore, broadcast, watch},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use url::Url;

pub(super) use self::dial::welcomed;
pub use self::pulse::Change;
use crate::{
    client::{ClientError, Kind, Laptop, ModelStream, credential},
    id,
    tls::HotKey,
    tunnel::{Connection, MAX_STREAMS, Stream, Transport, TunnelError, write_frame},
    wire::{
        control::Notice,
        stream::{Asking, Door, Fin, Preamble, Target},
    },
};

/// What happens to a link, for one line on stderr each.
#[derive(Clone, Debug)]
pub enum LinkEvent {
    /// The gateway has said welcome.
    Connected {
        /// Over this carrier.
        over: Transport,
        /// The last connection's carrier, if there was one.
        before: Option<Transport>,
    },
    /// The connection has ended, and why.
    Lost(String),
    /// The network under the connection changed; it goes on as far as its carrier can.
    Network(Change),
    /// The gateway does not answer over this carrier; another connection is sought, and this one may come back.
    Silent(Transport),
    /// The silent connection answers again: nothing was lost.
    Recovered(Transport),
    /// An attempt failed for a reason that the one before did not have.
    Failed(String),
    /// The so-manieth attempt in a row begins.
    Reconnecting {
        /// From 1.
        attempt: u32,
    },
    /// The lease was extended.
    Renewed {
        /// The new certificate's end.
        until: SystemTime,
    },
    /// The gateway has something to say.
    Notice(Notice),
    /// Only a person can go on, and why. The link keeps trying: a `hoopctl login` elsewhere heals it.
    LoginNeeded(String),
}

/// So many streams may wait for a connection at once; the next one is refused.
const MAX_WAITERS: usize = 1024;
/// Events that a slow listener may be behind.
const EVENTS: usize = 64;
/// A new stream is held this long for a connection (DESIGN, Reliability 3).
const HOLD: Duration = Duration::from_secs(5);
/// A gateway that is connected may take so long to take a stream: the bytes of the others go before it.
const TAKEN: Duration = Duration::from_secs(30);

/// The warm connection to a gateway: reconnects for ever with jittered back-off, renews its lease at 2/3 of
/// life. It ends when its last clone and its last stream are dropped, or [`close`](Self::close) is called.
#[derive(Clone)]
pub struct Link {
    core: Arc<Core>,
    /// What streams to models want where policy asks for an approval.
    asking: Arc<Asking>,
    /// Dropped with the last clone.
    _held: Arc<DropGuard>,
}

/// What the link's clones and its supervisor share.
struct Core {
    laptop: Arc<Laptop>,
    gateway: Url,
    key: HotKey,
    gate: watch::Sender<Gate>,
    waiters: Semaphore,
    events: broadcast::Sender<LinkEvent>,
    transport: Mutex<Option<Transport>>,
    /// Why the last attempt to connect failed, while there is no connection.
    trouble: Mutex<Option<String>>,
    /// The network changed since a carrier last won: what won then says nothing.
    elsewhere: AtomicBool,
    /// The session of what this process itself asks models.
    own_session: String,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What stands between a stream and the gateway.
#[derive(Clone)]
enum Gate {
    Up(Arc<Line>),
    /// Reconnecting: wait.
    Down,
    /// Waiting is of no use before a person has done something.
    Shut(ClientError),
}

/// One welcomed connection, and the streams on it.
struct Line {
    connection: Connection,
    streams: TaskTracker,
}

impl Link {
    pub(super) async fn connect(laptop: Arc<Laptop>) -> Result<Self, ClientError> {
        let held = credential::valid(&laptop, None).await?;
        let stop = CancellationToken::new();
        let own_session = id::new("ses", laptop.settings.clock.now());
        let core = Arc::new(Core {
            laptop,
            gateway: held.profile.gateway.clone(),
            key: HotKey::new(held.identity()?),
            gate: watch::Sender::new(Gate::Down),
            waiters: Semaphore::new(MAX_WAITERS),
            events: broadcast::Sender::new(EVENTS),
            transport: Mutex::new(None),
            trouble: Mutex::new(None),
            elsewhere: AtomicBool::new(false),
            own_session,
            stop: stop.clone(),
            tasks: TaskTracker::new(),
        });
        let first = dial::establish_with(&core, held).await?;
        supervisor::start(Arc::clone(&core), first);
        Ok(Self { core, asking: Arc::default(), _held: Arc::new(stop.drop_guard()) })
    }

    /// The same link, whose streams to models want this where policy asks for an approval.
    #[must_use]
    pub fn asking(self, asking: Asking) -> Self {
        Self { asking: Arc::new(asking), ..self }
    }

    /// A stream to a model, its preamble sent; waits up to 5 s while reconnecting. The answer has not been read yet: see
    /// [`ModelStream`]. Cancel safe.
    ///
    /// # Errors
    /// [`Kind::LoginNeeded`] when no connection can be had before a login, [`Kind::Unreachable`] when there is none within 5 s, it takes the
    /// stream not within 30 s, or 1024 streams wait already, [`Kind::Failed`] when the link was closed.
    pub async fn open_model(
        &self,
        model: &str,
        session: &str,
        door: Door,
        fin: Fin,
    ) -> Result<ModelStream, ClientError> {
        let target = Target::Model {
            model: model.to_owned(),
            session: session.to_owned(),
            door,
            fin,
            asking: self.asking.as_ref().clone(),
        };
        self.open(target).await
    }

    /// A stream to `target`, its preamble sent.
    pub(super) async fn open(&self, target: Target) -> Result<ModelStream, ClientError> {
        let preamble = Preamble::to(target);
        let until = Instant::now() + HOLD;
        loop {
            let line = self.core.line(until).await?;
            let open = line.streams.token();
            match in_time(begin(&line.connection, &preamble), line.streams.len()).await? {
                Ok(stream) => return Ok(ModelStream::new(stream, self.clone(), open)),
                // The line is broken and nothing of the caller's was sent: the next one will do.
                Err(
                    TunnelError::Closed { .. } | TunnelError::Unreachable(_) | TunnelError::Credential(_),
                ) => {
                    drop(open);
                    self.core.past(&line, until).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The carrier of the present connection, or of the last one.
    pub fn transport(&self) -> Option<Transport> {
        *self.core.transport.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gateway's origin. It stays the same whatever becomes of the profile.
    pub fn gateway(&self) -> &str {
        self.core.gateway.as_str()
    }

    /// What happens from now on. A listener that is 64 events behind loses the oldest.
    pub fn events(&self) -> broadcast::Receiver<LinkEvent> {
        self.core.events.subscribe()
    }

    /// Ends the connection and every stream on it; resolves when that is done.
    pub async fn close(self) {
        self.core.stop.cancel();
        self.core.tasks.wait().await;
    }

    /// The session of what this process itself asks models (`hoopctl call`).
    pub fn own_session(&self) -> &str {
        &self.core.own_session
    }
}

/// What came of opening a stream beside `open - 1` others, unless the gateway does not take it in time.
async fn in_time<T>(
    begun: impl Future<Output = Result<T, TunnelError>>,
    open: usize,
) -> Result<Result<T, TunnelError>, ClientError> {
    timeout(TAKEN, begun).await.map_err(|_| {
        ClientError::unreachable(format!(
            "the gateway took no further stream within {} s; {} are open",
            TAKEN.as_secs(),
            open.saturating_sub(1)
        ))
        .remedy(format!("try again when some have ended: a connection carries at most {MAX_STREAMS} at once"))
    })
}

async fn begin(connection: &Connection, preamble: &Preamble) -> Result<Stream, TunnelError> {
    let mut stream = connection.open().await?;
    write_frame(&mut stream, preamble).await?;
    Ok(stream)
}

impl Core {
    /// The present line; waits for one while there is none.
    async fn line(&self, until: Instant) -> Result<Arc<Line>, ClientError> {
        let mut gate = self.gate.subscribe();
        let mut waiting = None;
        loop {
            match &*gate.borrow_and_update() {
                Gate::Up(line) => return Ok(Arc::clone(line)),
                Gate::Shut(error) => return Err(error.clone()),
                Gate::Down => {}
            }
            if waiting.is_none() {
                waiting = Some(self.waiters.try_acquire().map_err(|_| {
                    ClientError::unreachable(format!(
                        "the gateway is not connected and {MAX_WAITERS} streams wait for it already"
                    ))
                })?);
            }
            match timeout_at(until, gate.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(closed()),
                Err(_) => return Err(self.not_connected()),
            }
        }
    }

    /// Waits until `broken` is no longer the present line.
    async fn past(&self, broken: &Arc<Line>, until: Instant) -> Result<(), ClientError> {
        let mut gate = self.gate.subscribe();
        let other = gate.wait_for(|gate| !matches!(gate, Gate::Up(line) if Arc::ptr_eq(line, broken)));
        // A gate that is gone shows at the next look.
        timeout_at(until, other).await.map(drop).map_err(|_| self.not_connected())
    }

    /// What a stream that was held in vain is told.
    fn not_connected(&self) -> ClientError {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let why = trouble.unwrap_or_else(|| "it does not answer".to_owned());
        ClientError::unreachable(format!(
            "the gateway {} is not connected ({why}); this was held for {} s",
            self.gateway,
            HOLD.as_secs()
        ))
        .remedy("try again: hoopctl goes on reconnecting by itself; `hoopctl doctor` says what is in the way")
    }

    fn tell(&self, event: LinkEvent) {
        tracing::debug!(?event, "link");
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    fn set(&self, gate: Gate) {
        self.gate.send_replace(gate);
    }

    /// Opens the gate to a line that was just welcomed.
    fn up(&self, line: &Arc<Line>) {
        let over = line.connection.transport();
        let before = self.transport.lock().unwrap_or_else(PoisonError::into_inner).replace(over);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.set(Gate::Up(Arc::clone(line)));
        self.tell(LinkEvent::Connected { over, before });
    }
}

fn closed() -> ClientError {
    ClientError::new(Kind::Failed, "closed", "the connection to the gateway was closed here")
}
