//! Group commit: many waiters share one sync of the journal, done on a thread that may block.

use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{AuditError, Journal, writer::Writer};

/// How far syncing has come.
#[derive(Clone, Debug, Default)]
struct Synced {
    to: u64,
    /// The last failure, and the position up to which it leaves things unsynced.
    failed: Option<(u64, AuditError)>,
    ended: bool,
}

/// The waiters' side.
pub(super) struct Groups {
    wanted: Notify,
    synced: watch::Sender<Synced>,
}

impl Groups {
    pub(super) fn new() -> Self {
        Self { wanted: Notify::new(), synced: watch::Sender::default() }
    }

    /// Asks for a sync without waiting for it.
    pub(super) fn ask(&self) {
        self.wanted.notify_one();
    }

    /// Waits until everything up to `position` is on disk.
    pub(super) async fn wait(&self, position: u64) -> Result<(), AuditError> {
        let mut synced = self.synced.subscribe();
        self.ask();
        let gone = || AuditError("the gateway is stopping".into());
        let now = synced
            .wait_for(|s| {
                s.to >= position || s.ended || s.failed.as_ref().is_some_and(|(p, _)| *p >= position)
            })
            .await
            .map_err(|_| gone())?;
        if now.to >= position {
            return Ok(());
        }
        Err(now.failed.as_ref().filter(|(p, _)| *p >= position).map_or_else(gone, |(_, e)| e.clone()))
    }

    /// Syncs whenever asked, until `stop`; then once more.
    pub(super) async fn run(&self, journal: Arc<dyn Journal>, writer: &Writer, stop: CancellationToken) {
        loop {
            let last = tokio::select! {
                () = self.wanted.notified() => false,
                () = stop.cancelled() => true,
            };
            // Taken before the sync: what is appended while it runs belongs to the next group.
            let end = writer.end();
            if end > self.synced.borrow().to {
                self.sync(&journal, writer, end).await;
            }
            if last {
                self.synced.send_modify(|s| s.ended = true);
                return;
            }
        }
    }

    async fn sync(&self, journal: &Arc<dyn Journal>, writer: &Writer, end: u64) {
        let journal = Arc::clone(journal);
        let result = match tokio::task::spawn_blocking(move || journal.sync()).await {
            Ok(result) => result,
            Err(error) => Err(AuditError(format!("the journal's sync died: {error}"))),
        };
        match result {
            Ok(()) => self.synced.send_modify(|s| s.to = end),
            Err(error) => {
                tracing::error!(%error, "the audit journal could not be synced; new exchanges are refused");
                writer.distrust();
                self.synced.send_modify(|s| s.failed = Some((end, error)));
            }
        }
    }
}
