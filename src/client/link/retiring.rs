//! Connections that take no new streams: they stay until their streams have ended, or for as long as anybody answers.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    Core,
    session::{Standing, Watch},
};
use crate::tunnel::Connection;

/// A silent connection beside which another one works has this long to be heard again.
const LAST_CHANCE: Duration = Duration::from_secs(3);

/// The gateway is going away: the connection stays, renewals and all, until its streams have ended.
pub(super) fn drain(core: &Arc<Core>, held: Watch) {
    retire(core, held, pending());
}

/// The connection fell silent and was replaced. Its streams go on if it is heard again soon; if not, they are cut, for the network
/// that carries the other one will not carry this one.
pub(super) fn abandon(core: &Arc<Core>, held: Watch) {
    let connection = held.session.line.connection.clone();
    connection.move_on();
    retire(core, held, dead(connection));
}

fn retire(core: &Arc<Core>, mut held: Watch, hopeless: impl Future<Output = ()> + Send + 'static) {
    let core = Arc::clone(core);
    core.tasks.clone().spawn(async move {
        let line = Arc::clone(&held.session.line);
        line.streams.close();
        tokio::select! {
            () = core.stop.cancelled() => {}
            () = line.streams.wait() => {}
            () = hopeless => {}
            _ = held.run(&core, Standing::Retiring) => {}
        }
        line.connection.close(0, "drained");
    });
}

/// Resolves when nothing more is heard of it in time; never once it was.
async fn dead(connection: Connection) {
    let before = connection.heard();
    sleep(LAST_CHANCE).await;
    if connection.heard() != before {
        pending::<()>().await;
    }
}
