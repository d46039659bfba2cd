//! Hears of every change, in order, and passes it on; what was missed is made good by telling everything that is pending.

use std::sync::{Arc, PoisonError};

use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::Notifier;
use crate::gateway::approval::Change;

/// Passes changes on until the notifier is stopped or there are no more.
pub(super) async fn listen(notifier: Arc<Notifier>, mut changes: Receiver<Change>) {
    let stop = notifier.surroundings.stop.clone();
    loop {
        let change = tokio::select! {
            () = stop.cancelled() => return,
            change = changes.recv() => change,
        };
        match change {
            Ok(change) => notifier.tell(&change).await,
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "changes of approvals were missed: everything pending is told again");
                let lines: Vec<_> = {
                    let lines = notifier.lines.lock().unwrap_or_else(PoisonError::into_inner);
                    lines.values().cloned().collect()
                };
                notifier.announce(|notice| lines.iter().for_each(|line| line.tell(notice))).await;
            }
            Err(RecvError::Closed) => return,
        }
    }
}
