//! What the listeners count, for the operator's metrics.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Counts of the listeners. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    open: Family<Leg, Gauge>,
    accepted: Family<Leg, Counter>,
    pub(super) handshakes_failed: Counter,
    pub(super) turned_away: Counter,
    pub(super) plaintext: Counter,
    pub(super) unknown_callers: Counter,
}

/// Which leg a connection came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Leg {
    transport: &'static str,
}

impl Meters {
    /// Adds the counts to what is exported.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("connections_open", "Encrypted connections now, by carrier", self.open.clone());
        registry.register("connections", "Encrypted connections accepted, by carrier", self.accepted.clone());
        registry.register(
            "handshakes_failed",
            "Connections that ended before their handshake did",
            self.handshakes_failed.clone(),
        );
        registry.register(
            "connections_turned_away",
            "Connections refused because too many handshakes were unfinished",
            self.turned_away.clone(),
        );
        registry.register(
            "plaintext_attempts",
            "Unencrypted connections to the TLS port, refused",
            self.plaintext.clone(),
        );
        registry.register(
            "unknown_callers",
            "Requests to models without a token or certificate that holds, refused",
            self.unknown_callers.clone(),
        );
    }

    /// Counts a connection for as long as the value lives. `transport` is `quic`, `tcp` or `https`.
    pub(super) fn connected(&self, transport: &'static str) -> Connected {
        let leg = Leg { transport };
        self.accepted.get_or_create(&leg).inc();
        let open = self.open.get_or_create_owned(&leg);
        open.inc();
        Connected(open)
    }
}

/// One open connection.
#[derive(Debug)]
pub(super) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}
