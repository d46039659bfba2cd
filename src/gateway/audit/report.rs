//! The report of a time: the ledger's events folded page by page, behind the exchanges and in bounded memory.

use std::time::{Duration, SystemTime};

use super::{AuditError, Log, Scribe, indexer::blocking};
use crate::{
    clock::rfc3339,
    evidence::report::{Folding, Made, Report},
};

/// Events read at once.
const PAGE: usize = 512;
/// How long a report waits for a checkpoint that covers its events; one is due within a second.
const PATIENCE: Duration = Duration::from_secs(3);

impl Scribe {
    /// The report of the events not before `since` and before `until`, with the log's head. Sees everything recorded before the call. One
    /// is made at a time; others wait.
    ///
    /// # Errors
    /// When the ledger cannot be brought up to the journal's end, or read.
    pub async fn report(
        &self,
        log: &Log,
        since: Option<SystemTime>,
        until: SystemTime,
    ) -> Result<Report, AuditError> {
        let _turn = self.turn().await;
        self.barrier(self.end()).await?;
        let ledger = &self.parts().ledger;
        let mut folding = Folding::new(since, until);
        let (first, last) = ledger.places(since, until).await?.unwrap_or((1, 0));
        let mut after = first.saturating_sub(1);
        while after < last {
            let rows = ledger.rows(after, PAGE).await?;
            let Some(end) = rows.last().map(|row| row.seq) else { break };
            after = end;
            folding = blocking(move || {
                for row in rows.iter().filter(|row| row.seq <= last) {
                    folding.entry(row.seq - 1, row.json.as_bytes());
                }
                Ok(folding)
            })
            .await?;
        }
        // If it does not come, the report says that the head does not cover it.
        let _ = tokio::time::timeout(PATIENCE, log.covers(last)).await;
        Ok(folding.finish(Made {
            at: rfc3339(self.parts().clock.now()),
            by: format!("hoopctl {} at the gateway", env!("CARGO_PKG_VERSION")),
            head: Some(log.head()),
        }))
    }
}
