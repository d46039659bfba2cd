//! One session under watch: the gateway's words, the lease, the network under it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use futures_util::StreamExt;
use tokio::task::JoinHandle;

use super::{
    Core, LinkEvent,
    dial::Session,
    lease::{AGAIN, Lease, until},
    nerve::{Nerve, Sign},
};
use crate::{
    client::{ClientError, credential},
    clock::Clock,
    tunnel::TunnelError,
    wire::control::{FromGateway, Notice},
};

/// So long before its end a machine's login is followed by the next, or a quarter of its life if that is less.
const HANDOVER: Duration = Duration::from_mins(1);

/// Why a session is no longer the link's.
pub(super) enum End {
    Lost(String),
    Draining,
    /// Nothing is heard any more, though nothing ended it.
    Silent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// New streams go here.
    Serving,
    /// The gateway has said that it is going away.
    Retiring,
}

/// A session under watch.
pub(super) struct Watch {
    pub(super) session: Session,
    pub(super) nerve: Nerve,
    lease: Lease,
    successor: Option<Successor>,
    /// The successor, while it is made: beside the watch, for the gateway may take its time.
    login: Option<Login>,
}

/// A login under way, and the end of what it made.
type Login = JoinHandle<Result<Option<SystemTime>, ClientError>>;

/// The next login of a machine, made before the present one ends: what is opened then has a whole session before it.
struct Successor {
    due: SystemTime,
    /// When the present login ends.
    end: SystemTime,
}

impl Successor {
    /// None where a person has to log in.
    async fn of(core: &Core) -> Option<Self> {
        let end = credential::end_of_machine_login(&core.laptop).await?;
        let left = end.duration_since(core.laptop.settings.clock.now()).unwrap_or_default();
        Some(Self { due: end - HANDOVER.min(left / 4), end })
    }

    /// Resolves when it is time; never without a machine's login. Cancel safe.
    async fn wait(one: Option<&Self>, clock: &Clock) {
        match one {
            Some(one) => until(clock, one.due).await,
            None => std::future::pending().await,
        }
    }
}

impl Watch {
    pub(super) async fn over(core: &Core, session: Session) -> Self {
        let lease = Lease::of(core, session.lease_end);
        let nerve = Nerve::of(core, &session.line);
        Self { session, nerve, lease, successor: Successor::of(core).await, login: None }
    }

    pub(super) async fn run(&mut self, core: &Arc<Core>, standing: Standing) -> End {
        let clock = core.laptop.settings.clock.clone();
        let line = Arc::clone(&self.session.line);
        let connection = line.connection.clone();
        loop {
            tokio::select! {
                sign = self.nerve.feel(core, &line) => match (sign, standing) {
                    (Sign::Change(change), Standing::Serving) => {
                        core.elsewhere.store(true, Ordering::Relaxed);
                        core.tell(LinkEvent::Network(change));
                    }
                    (Sign::Silence, Standing::Serving) => return End::Silent,
                    // It has moved on where it could; that is told once, of the connection that serves.
                    (_, Standing::Retiring) => {}
                },
                why = connection.closed() => return End::Lost(why.to_string()),
                message = self.session.heard.next() => match message {
                    Some(Ok(message)) => {
                        if let Some(end) = self.heed(core, message, standing) {
                            return end;
                        }
                    }
                    Some(Err(why)) => return End::Lost(better(&connection, why).await),
                    None => return End::Lost("the gateway ended the control stream".to_owned()),
                },
                () = Successor::wait(self.successor.as_ref(), &clock),
                    if standing == Standing::Serving && self.login.is_none() =>
                {
                    self.login = Some(tokio::spawn(succeed(Arc::clone(core))));
                }
                made = outcome_of(&mut self.login), if standing == Standing::Serving => match made {
                    Ok(next) => {
                        let end = self.successor.take().map(|present| present.end);
                        // A token that cannot change gives the same end again: then this one is lived out.
                        if next > end {
                            return End::Draining;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the next login could not be made yet");
                        if let Some(present) = &mut self.successor {
                            present.due = clock.now() + AGAIN;
                        }
                    }
                },
                () = self.lease.wait(&clock) => {
                    if let Err(why) = self.lease.ask(&clock, &mut self.session.say).await {
                        return End::Lost(better(&connection, why).await);
                    }
                }
            }
        }
    }

    fn heed(&mut self, core: &Arc<Core>, message: FromGateway, standing: Standing) -> Option<End> {
        match message {
            FromGateway::Renewed(credential) => self.lease.renewed(core, credential),
            FromGateway::Refused(refusal) => self.lease.refused(core, refusal),
            FromGateway::Notice(Notice::Draining) if standing == Standing::Serving => {
                core.tell(LinkEvent::Notice(Notice::Draining));
                return Some(End::Draining);
            }
            FromGateway::Notice(Notice::Roots { version, roots }) => learn(core, version, roots),
            FromGateway::Notice(Notice::Draining | Notice::Unknown)
            | FromGateway::Welcome { .. }
            | FromGateway::Unknown => {}
            FromGateway::Notice(notice) => core.tell(LinkEvent::Notice(notice)),
        }
        None
    }
}

/// Keeps the roots that the gateway will be believed by, for this connection's successors and all other processes. On a task of its
/// own: the profile may be another process's for a while.
fn learn(core: &Arc<Core>, version: u64, roots: String) {
    let core = Arc::clone(core);
    tokio::spawn(async move {
        match credential::keep_roots(&core.laptop, &core.gateway, version, &roots).await {
            Ok(true) => core.tell(LinkEvent::Notice(Notice::Roots { version, roots })),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the gateway's new roots could not be kept"),
        }
    });
}

/// Makes the next login of a machine; when that one ends.
async fn succeed(core: Arc<Core>) -> Result<Option<SystemTime>, ClientError> {
    credential::again(&core.laptop).await?;
    Ok(credential::end_of_machine_login(&core.laptop).await)
}

/// What came of the login; never without one. Cancel safe.
async fn outcome_of(login: &mut Option<Login>) -> Result<Option<SystemTime>, ClientError> {
    let Some(running) = login.as_mut() else { return std::future::pending().await };
    let outcome = running.await;
    *login = None;
    outcome
        .unwrap_or_else(|e| Err(ClientError::failed("internal", format!("the login did not end well: {e}"))))
}

/// What the connection ended with says more than what its control stream did.
async fn better(connection: &crate::tunnel::Connection, why: TunnelError) -> String {
    let end = tokio::time::timeout(Duration::from_millis(200), connection.closed()).await;
    end.unwrap_or(why).to_string()
}
