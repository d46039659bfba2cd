//! One client connection → caller → streams.

mod control;
mod ingress;
mod phases;
mod preamble;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use self::{control::Control, preamble::Entry};
use crate::{
    clock::{Clock, rfc3339},
    gateway::{
        identity::{Identities, Lease},
        pipeline::{Arrival, Notices, Pipeline},
    },
    tunnel::{self, Connection, Stream, Transport},
    wire::{
        Refusal, code,
        control::{FromGateway, Notice},
        stream::{Target, reset},
    },
};

pub use self::{
    ingress::{Ingress, Passed, Proof, Visit},
    phases::Phases,
};

/// For the control stream, its hello and the decision who is calling.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// For the peer to hear the last word before its connection is closed.
const LAST_WORD: Duration = Duration::from_secs(1);
/// For streams that a laptop opens while the news of a drain is on its way.
const LINGER: Duration = Duration::from_secs(1);
/// Streams of one connection at once; further ones wait in the carrier.
const MOST_STREAMS: usize = tunnel::MAX_STREAMS as usize;
/// Streams without a sensible preamble before the connection is closed.
const MOST_GARBAGE: usize = 16;

/// How a stream of the gateway's own API came in.
#[derive(Clone)]
pub struct ApiArrival {
    /// The caller's authority; checked for every request.
    pub lease: Arc<Lease>,
    /// The carrier.
    pub transport: Transport,
    /// The laptop's address.
    pub source: IpAddr,
    /// The laptop's program and version, as it says.
    pub client: String,
}

/// Serves HTTP/1.1 or HTTP/2 of the gateway's own API on one stream until it ends.
pub type ApiHandler =
    Arc<dyn Fn(Stream, ApiArrival) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Serves tunnel connections. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    identities: Arc<Identities>,
    pipeline: Pipeline,
    api: ApiHandler,
    clock: Clock,
}

impl Sessions {
    /// Callers are admitted by `identities`; their streams go to `pipeline` and `api`.
    pub fn new(identities: Arc<Identities>, pipeline: Pipeline, api: ApiHandler, clock: Clock) -> Self {
        Self { identities, pipeline, api, clock }
    }

    /// Serves one connection until it ends, its authority ends, or the gateway stops.
    pub async fn serve(&self, connection: Connection, phases: &Phases) {
        let hello = tokio::select! {
            hello = timeout(HELLO_WITHIN, control::hello(&connection)) => hello,
            () = phases.stopping() => return connection.close(reset::DRAINING, "the gateway is stopping"),
        };
        let (mut control, client) = match hello {
            Ok(Ok(heard)) => heard,
            Ok(Err(why)) => return connection.close(reset::PROTOCOL, why),
            Err(_) => return connection.close(reset::PROTOCOL, "no hello within ten seconds"),
        };
        match self.identities.admit(connection.peer_chain()).await {
            Ok(lease) => {
                let guest = Guest { house: self.clone(), connection, lease, client: client.into() };
                guest.stay(control, phases).await;
            }
            Err(refusal) => {
                tracing::info!(peer = %connection.remote_address(), code = refusal.code, "a laptop was not admitted");
                control.say(FromGateway::Refused(refusal)).await;
                let _ = timeout(LAST_WORD, connection.closed()).await;
                connection.close(reset::REVOKED, "not admitted");
            }
        }
    }
}

/// A connection whose caller is known. Cheap to clone.
#[derive(Clone)]
struct Guest {
    house: Sessions,
    connection: Connection,
    lease: Arc<Lease>,
    client: Arc<str>,
}

/// How a stream ended, as far as the connection cares.
enum Served {
    Sensibly,
    Garbage,
}

impl Guest {
    async fn stay(self, mut control: Control, phases: &Phases) {
        let now = self.house.clock.now();
        let user = match self.lease.check(now) {
            Ok(caller) => caller.user().to_owned(),
            Err(refusal) => {
                control.say(FromGateway::Refused(refusal)).await;
                return self.part(JoinSet::new(), reset::REVOKED, "not admitted").await;
            }
        };
        let expires_at = rfc3339(self.lease.expires_at());
        control.say(control::welcome(user, expires_at)).await;
        let (speak, listen) = control.split(self.house.identities.clone(), Arc::clone(&self.lease));
        tokio::select! {
            () = self.streams(speak, phases) => {}
            // Without its control stream a connection cannot be renewed or warned, but what runs on it may end well.
            () = async { listen.run().await; std::future::pending().await } => {}
        }
    }

    /// Accepts streams until the connection has to end, and ends it.
    async fn streams(&self, speak: control::Speaker, phases: &Phases) {
        let ended = self.lease.ended();
        let notices = Notices::new({
            let speak = speak.clone();
            move |notice| speak.mention(FromGateway::Notice(notice))
        });
        let mut streams = JoinSet::new();
        let mut garbage = 0;
        let mut leave_at: Option<Instant> = None;
        let mut roots = self.house.identities.roots();
        if let Some(roots) = roots.as_mut().filter(|roots| roots.borrow().rotating) {
            // Whoever has been away hears of it at once, and everybody else when it changes.
            speak.mention(FromGateway::Notice(control::of_roots(&roots.borrow_and_update())));
        }
        loop {
            tokio::select! {
                () = phases.stopping() => {
                    return self.connection.close(reset::DRAINING, "the gateway is stopping");
                }
                () = ended.cancelled() => {
                    let reason = self.why_ended();
                    speak.say(FromGateway::Notice(Notice::Revoked { reason: reason.clone() })).await;
                    return self.part(streams, reset::REVOKED, &reason).await;
                }
                () = phases.draining(), if leave_at.is_none() => {
                    speak.say(FromGateway::Notice(Notice::Draining)).await;
                    leave_at = Some(Instant::now() + LINGER);
                }
                () = until(leave_at), if leave_at.is_some() && streams.is_empty() => {
                    return self.connection.close(reset::DRAINING, "the gateway is going away");
                }
                () = control::changed(&mut roots) => {
                    if let Some(roots) = &roots {
                        speak.mention(FromGateway::Notice(control::of_roots(&roots.borrow())));
                    }
                }
                Some(served) = streams.join_next() => {
                    garbage += usize::from(matches!(served, Ok(Served::Garbage)));
                    if garbage >= MOST_GARBAGE {
                        return self.connection.close(reset::PROTOCOL, "too many streams made no sense");
                    }
                }
                accepted = self.connection.accept(), if streams.len() < MOST_STREAMS => match accepted {
                    // The news must have arrived by now; only what is under way goes on.
                    Ok(stream) if leave_at.is_some_and(|at| at <= Instant::now()) => {
                        streams.spawn(too_late(stream));
                    }
                    Ok(stream) => {
                        streams.spawn(self.clone().serve(stream, Arc::clone(&notices)));
                    }
                    Err(error) => {
                        tracing::debug!(peer = %self.connection.remote_address(), %error, "a tunnel connection ended");
                        return self.part(streams, reset::LEFT, "gone").await;
                    }
                },
            }
        }
    }

    async fn serve(self, mut stream: Stream, notices: Arc<Notices>) -> Served {
        match preamble::read(&mut stream).await {
            Entry::Welcome(Target::Model { model, session, door, fin, asking }) => {
                let arrival = Arrival {
                    lease: self.lease,
                    transport: self.connection.transport(),
                    handshake: self.connection.handshake().clone(),
                    source: self.connection.remote_address().ip(),
                    client: Some(self.client.as_ref().to_owned()),
                    model,
                    session,
                    door,
                    fin,
                    asking,
                    notices: Some(notices),
                };
                if preamble::accept(&mut stream).await {
                    self.house.pipeline.serve(stream, arrival).await;
                }
                Served::Sensibly
            }
            Entry::Welcome(Target::Api) => {
                let arrival = ApiArrival {
                    lease: self.lease,
                    transport: self.connection.transport(),
                    source: self.connection.remote_address().ip(),
                    client: self.client.as_ref().to_owned(),
                };
                if preamble::accept(&mut stream).await {
                    (self.house.api)(stream, arrival).await;
                }
                Served::Sensibly
            }
            Entry::Welcome(Target::Control) => {
                let refusal =
                    Refusal::new(code::BAD_REQUEST, "this connection has its control stream already");
                preamble::refuse(stream, refusal).await;
                Served::Garbage
            }
            Entry::Refused(refusal) => {
                preamble::refuse(stream, refusal).await;
                Served::Garbage
            }
            Entry::Gone => Served::Sensibly,
        }
    }

    fn why_ended(&self) -> String {
        match self.lease.check(self.house.clock.now()) {
            Err(refusal) => refusal.message,
            Ok(_) => "the session has been ended".to_owned(),
        }
    }

    /// Streams see the end of the lease themselves and say so in their callers' words; whoever has not within
    /// [`LAST_WORD`] is cut with the connection.
    async fn part(&self, mut streams: JoinSet<Served>, code: u32, reason: &str) {
        let deadline = Instant::now() + LAST_WORD;
        let _ = tokio::time::timeout_at(deadline, async {
            while streams.join_next().await.is_some() {}
            self.connection.closed().await
        })
        .await;
        self.connection.close(code, reason);
    }
}

async fn too_late(stream: Stream) -> Served {
    let refusal = Refusal::new(code::DRAINING, "the gateway is going away and takes nothing new")
        .remedy("try again: a new connection reaches another gateway, or this one once it is back");
    preamble::refuse(stream, refusal).await;
    Served::Sensibly
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
