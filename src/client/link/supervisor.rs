//! Keeps the link connected: one task for its whole life.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::StreamExt;

use super::{
    Core, Gate, LinkEvent,
    backoff::Backoff,
    closed,
    dial::{self, Session},
    lease::{AGAIN, Lease, until},
};
use crate::{
    client::{Kind, credential},
    clock::Clock,
    tunnel::TunnelError,
    wire::control::{FromGateway, Notice},
};

/// How often a link that needs a login looks whether there was one.
const LOGIN_CHECK: Duration = Duration::from_secs(5);

/// So long before its end a machine's login is followed by the next, or a quarter of its life if that is less.
const HANDOVER: Duration = Duration::from_mins(1);

/// Spawns the supervisor of a link whose first connection stands.
pub(super) fn start(core: Arc<Core>, first: Session) {
    core.up(&first.line);
    let tasks = core.tasks.clone();
    tasks.spawn(async move {
        let stop = core.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = keep_connected(&core, first) => {}
        }
        if let Gate::Up(line) = core.gate.send_replace(Gate::Shut(closed())) {
            line.connection.close(0, "the laptop has finished");
        }
    });
    tasks.close();
}

async fn keep_connected(core: &Arc<Core>, first: Session) {
    let mut session = first;
    loop {
        let lease = Lease::of(core, session.lease_end);
        let successor = Successor::of(core).await;
        let mut held = Watch { session, lease, successor };
        match held.run(core, Standing::Serving).await {
            End::Lost(why) => {
                core.set(Gate::Down);
                held.session.line.connection.close(0, "");
                core.tell(LinkEvent::Lost(why));
            }
            End::Draining => {
                core.set(Gate::Down);
                retire(core, held);
            }
        }
        session = reconnect(core).await;
        core.up(&session.line);
    }
}

/// The old connection stays, renewals and all, until its streams have ended.
fn retire(core: &Arc<Core>, mut held: Watch) {
    let core = Arc::clone(core);
    core.tasks.clone().spawn(async move {
        let line = Arc::clone(&held.session.line);
        line.streams.close();
        tokio::select! {
            () = core.stop.cancelled() => {}
            () = line.streams.wait() => {}
            _ = held.run(&core, Standing::Retiring) => {}
        }
        line.connection.close(0, "drained");
    });
}

async fn reconnect(core: &Arc<Core>) -> Session {
    let mut backoff = Backoff::default();
    let mut asked = None;
    loop {
        core.tell(LinkEvent::Reconnecting { attempt: backoff.failed() + 1 });
        match dial::establish(core).await {
            Ok(session) => return session,
            Err(error) if error.kind == Kind::LoginNeeded => {
                // Said once, not every few seconds.
                if asked.as_ref() != Some(&error) {
                    core.tell(LinkEvent::LoginNeeded(error.message.clone()));
                    asked = Some(error.clone());
                }
                core.set(Gate::Shut(error));
                backoff.next();
                tokio::time::sleep(LOGIN_CHECK).await;
            }
            Err(error) => {
                tracing::debug!(%error, "the gateway could not be reached again");
                core.set(Gate::Down);
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

/// Why a session is no longer the link's.
enum End {
    Lost(String),
    Draining,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// New streams go here.
    Serving,
    /// The gateway has said that it is going away.
    Retiring,
}

/// A session under watch.
struct Watch {
    session: Session,
    lease: Lease,
    successor: Option<Successor>,
}

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
    async fn run(&mut self, core: &Arc<Core>, standing: Standing) -> End {
        let clock = core.laptop.settings.clock.clone();
        let connection = self.session.line.connection.clone();
        loop {
            tokio::select! {
                why = connection.closed() => return End::Lost(why.to_string()),
                message = self.session.heard.next() => match message {
                    Some(Ok(message)) => {
                        if let Some(end) = self.heed(core, message, standing).await {
                            return end;
                        }
                    }
                    Some(Err(why)) => return End::Lost(better(&connection, why).await),
                    None => return End::Lost("the gateway ended the control stream".to_owned()),
                },
                () = Successor::wait(self.successor.as_ref(), &clock), if standing == Standing::Serving => {
                    match credential::again(&core.laptop).await {
                        Ok(_) => {
                            let end = self.successor.take().map(|present| present.end);
                            // A token that cannot change gives the same end again: then this one is lived out.
                            if credential::end_of_machine_login(&core.laptop).await > end {
                                return End::Draining;
                            }
                        }
                        Err(error) => {
                            tracing::warn!(%error, "the next login could not be made yet");
                            if let Some(present) = &mut self.successor {
                                present.due = clock.now() + AGAIN;
                            }
                        }
                    }
                }
                () = self.lease.wait(&clock) => {
                    if let Err(why) = self.lease.ask(&clock, &mut self.session.say).await {
                        return End::Lost(better(&connection, why).await);
                    }
                }
            }
        }
    }

    async fn heed(&mut self, core: &Arc<Core>, message: FromGateway, standing: Standing) -> Option<End> {
        match message {
            FromGateway::Renewed(credential) => self.lease.renewed(core, &credential).await,
            FromGateway::Refused(refusal) => self.lease.refused(core, refusal),
            FromGateway::Notice(Notice::Draining) if standing == Standing::Serving => {
                core.tell(LinkEvent::Notice(Notice::Draining));
                return Some(End::Draining);
            }
            FromGateway::Notice(Notice::Roots { version, roots }) => learn(core, version, roots).await,
            FromGateway::Notice(Notice::Draining | Notice::Unknown)
            | FromGateway::Welcome { .. }
            | FromGateway::Unknown => {}
            FromGateway::Notice(notice) => core.tell(LinkEvent::Notice(notice)),
        }
        None
    }
}

/// Keeps the roots that the gateway will be believed by, for this connection's successors and all other processes.
async fn learn(core: &Arc<Core>, version: u64, roots: String) {
    match credential::keep_roots(&core.laptop, version, &roots).await {
        Ok(true) => core.tell(LinkEvent::Notice(Notice::Roots { version, roots })),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "the gateway's new roots could not be kept"),
    }
}

/// What the connection ended with says more than what its control stream did.
async fn better(connection: &crate::tunnel::Connection, why: TunnelError) -> String {
    let end = tokio::time::timeout(Duration::from_millis(200), connection.closed()).await;
    end.unwrap_or(why).to_string()
}
