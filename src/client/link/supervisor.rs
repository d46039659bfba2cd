//! Keeps the link connected: one task for its whole life.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{
    Core, Gate, LinkEvent,
    backoff::Backoff,
    closed,
    dial::{self, Session},
    retiring,
    session::{End, Standing, Watch},
};
use crate::client::Kind;

/// How often a link that needs a login looks whether there was one.
const LOGIN_CHECK: Duration = Duration::from_secs(5);

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
    let mut held = Watch::over(core, first).await;
    loop {
        match held.run(core, Standing::Serving).await {
            End::Lost(why) => {
                core.set(Gate::Down);
                held.session.line.connection.close(0, "");
                core.tell(LinkEvent::Lost(why));
            }
            End::Draining => {
                core.set(Gate::Down);
                retiring::drain(core, held);
            }
            End::Silent => {
                core.set(Gate::Down);
                core.tell(LinkEvent::Silent(held.session.line.connection.transport()));
                match outlast(core, &mut held).await {
                    Outlasted::Answers => continue,
                    Outlasted::Ended => {}
                    Outlasted::Replaced(session) => {
                        core.up(&session.line);
                        let silent = std::mem::replace(&mut held, Watch::over(core, session).await);
                        retiring::abandon(core, silent);
                        continue;
                    }
                }
            }
        }
        let session = reconnect(core).await;
        core.up(&session.line);
        held = Watch::over(core, session).await;
    }
}

/// What came of a connection that fell silent.
enum Outlasted {
    /// It is the line again.
    Answers,
    /// It is no more.
    Ended,
    /// Another was had first.
    Replaced(Session),
}

/// Looks for another connection, unless the silent one is heard before.
async fn outlast(core: &Arc<Core>, held: &mut Watch) -> Outlasted {
    let line = Arc::clone(&held.session.line);
    tokio::select! {
        biased;
        why = line.connection.closed() => {
            core.tell(LinkEvent::Lost(why.to_string()));
            Outlasted::Ended
        }
        () = held.nerve.heard_again(core, &line) => {
            core.set(Gate::Up(Arc::clone(&line)));
            core.tell(LinkEvent::Recovered(line.connection.transport()));
            Outlasted::Answers
        }
        session = reconnect(core) => Outlasted::Replaced(session),
    }
}

async fn reconnect(core: &Arc<Core>) -> Session {
    let mut backoff = Backoff::default();
    let mut told = None;
    loop {
        core.tell(LinkEvent::Reconnecting { attempt: backoff.failed() + 1 });
        match dial::establish(core).await {
            Ok(session) => return session,
            Err(error) => {
                // Each reason is said once, not at every attempt.
                let news = told.as_ref() != Some(&error);
                told = Some(error.clone());
                if error.kind == Kind::LoginNeeded {
                    if news {
                        core.tell(LinkEvent::LoginNeeded(error.message.clone()));
                    }
                    core.set(Gate::Shut(error));
                    backoff.next();
                    tokio::time::sleep(LOGIN_CHECK).await;
                } else {
                    if news {
                        core.tell(LinkEvent::Failed(error.message.clone()));
                    }
                    *core.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.message);
                    core.set(Gate::Down);
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }
}
