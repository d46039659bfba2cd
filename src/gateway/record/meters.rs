//! What is measured of recordings, for the operator's metrics.

use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};

/// Measures of recordings. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    bytes: Counter,
    failures: Counter,
    gaps: Counter,
    queued: Gauge,
    removed: Counter,
}

impl Meters {
    /// Adds the measures to what is exported.
    pub fn register(&self, registry: &mut Registry) {
        let unit = Unit::Bytes;
        registry.register_with_unit("recordings", "Written of recordings, sealed", unit.clone(), self.bytes.clone());
        registry.register(
            "recordings_failed",
            "Exchanges refused or ended because they could not be recorded",
            self.failures.clone(),
        );
        registry.register(
            "recordings_gaps",
            "Times that something is missing in a recording that should be there",
            self.gaps.clone(),
        );
        registry.register_with_unit("recordings_queued", "Waits to be recorded", unit, self.queued.clone());
        registry.register(
            "recordings_removed",
            "Recordings removed because their time was over",
            self.removed.clone(),
        );
    }

    pub(super) fn wrote(&self, bytes: usize) {
        self.bytes.inc_by(bytes as u64);
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    pub(super) fn gap(&self) {
        self.gaps.inc();
    }

    pub(super) fn queued(&self, bytes: &AtomicUsize) {
        self.queued.set(i64::try_from(bytes.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
    }

    pub(super) fn removed(&self, recordings: usize) {
        self.removed.inc_by(recordings as u64);
    }

    /// Exchanges refused or ended.
    #[cfg(test)]
    pub(crate) fn failures(&self) -> u64 {
        self.failures.get()
    }
}
