//! How far the gateway's end has come: serving, draining, stopping.

use tokio_util::sync::CancellationToken;

/// Tells every task of the gateway to drain, and then to stop. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Phases {
    drain: CancellationToken,
    stop: CancellationToken,
}

impl Phases {
    /// Takes nothing new; what is under way goes on.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Ends what is still under way. Implies [`Self::drain`].
    pub fn stop(&self) {
        self.drain.cancel();
        self.stop.cancel();
    }

    /// Phases that drain only when these stop: for what must be answered until the very end.
    pub fn last(&self) -> Self {
        Self { drain: self.stop.clone(), stop: self.stop.clone() }
    }

    /// Whether draining has begun.
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Resolves when draining begins.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Resolves when stopping begins.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }
}
