//! For the operator alone, on an address of its own: Prometheus metrics and health.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::State, http::header, response::IntoResponse, routing::get};
use http::StatusCode;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::upstreams::Upstreams;
use crate::{
    clock::{self, Clock},
    gateway::{
        accept::{self, https},
        audit::{Scribe, Stats, anomalies},
        certs::Certificates,
        pipeline, record,
        session::Phases,
    },
};

/// OpenMetrics 1.0, which Prometheus asks for first.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Connections at once; an operator needs a handful.
const MOST_CONNECTIONS: usize = 64;

/// What is exported, gathered when it is asked for.
pub(super) struct Operator {
    registry: Registry,
    scribe: Scribe,
    certificates: Certificates,
    phases: Phases,
    certificate_expiry: Family<Which, Gauge>,
    certificates_refused: Gauge,
    exchanges: Exchanges,
}

/// The label of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Which {
    certificate: &'static str,
}

/// The scribe's own counts, read at each scrape.
#[derive(Default)]
struct Exchanges {
    intended: Gauge,
    finished: Gauge,
    aborted: Gauge,
    interrupted: Gauge,
    open: Gauge,
    failed: Gauge,
    lag_bytes: Gauge,
}

impl Operator {
    pub(super) fn new(
        (meters, exchanging, recording, alarms): (
            &accept::Meters,
            &pipeline::Meters,
            &record::Meters,
            &anomalies::Meters,
        ),
        upstreams: Upstreams,
        scribe: Scribe,
        certificates: Certificates,
        phases: Phases,
    ) -> Arc<Self> {
        let mut registry = Registry::with_prefix("hoopctl");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "This program", build);
        meters.register(&mut registry);
        exchanging.register(&mut registry);
        alarms.register(&mut registry);
        recording.register(&mut registry);
        registry.register_collector(Box::new(upstreams));
        let certificate_expiry = Family::<Which, Gauge>::default();
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "End of each certificate of the gateway, seconds since 1970",
            certificate_expiry.clone(),
        );
        let certificates_refused = Gauge::default();
        registry.register(
            "certificates_refused",
            "New certificates that could not be used or had since the start; the old ones were kept",
            certificates_refused.clone(),
        );
        let exchanges = Exchanges::default();
        exchanges.register(&mut registry);
        Arc::new(Self {
            registry,
            scribe,
            certificates,
            phases,
            certificate_expiry,
            certificates_refused,
            exchanges,
        })
    }

    /// Serves until the gateway stops.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener, phases: Phases, clock: Clock) {
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .with_state(self);
        let visits = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = phases.stopping() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) if visits.len() < MOST_CONNECTIONS => {
                    // Readiness has to be answered while the gateway drains: these connections know only the last phase.
                    visits.spawn(visit(stream, address, router.clone(), phases.last(), clock.clone()));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection for metrics could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
        visits.close();
        visits.wait().await;
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let stats = self.scribe.stats();
        self.exchanges.read(&stats);
        self.read_certificates();
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn read_certificates(&self) {
        // Roots come and go with a rotation.
        self.certificate_expiry.clear();
        for expiry in self.certificates.expiries() {
            let which = Which { certificate: expiry.certificate };
            self.certificate_expiry.get_or_create(&which).set(clock::unix_millis(expiry.at) / 1000);
        }
        let refused = i64::try_from(self.certificates.refused()).unwrap_or(i64::MAX);
        self.certificates_refused.set(refused);
    }
}

async fn visit(
    stream: tokio::net::TcpStream,
    address: SocketAddr,
    router: Router,
    phases: Phases,
    clock: Clock,
) {
    let peer = https::Peer { address, handshake: None, http2: false };
    https::serve(stream, peer, https::Faces { router, direct: None, clock }, phases).await;
}

async fn metrics(State(operator): State<Arc<Operator>>) -> impl IntoResponse {
    match operator.text() {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, OPEN_METRICS)], text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], String::new()),
    }
}

async fn ready(State(operator): State<Arc<Operator>>) -> (StatusCode, &'static str) {
    if operator.phases.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

impl Exchanges {
    fn register(&self, registry: &mut Registry) {
        let gauges = [
            ("exchanges_intended", "Exchanges let through to a model since the start", &self.intended),
            ("exchanges_finished", "Exchanges whose end is in the audit log", &self.finished),
            ("exchanges_aborted", "Exchanges that ended without an end of their own", &self.aborted),
            ("exchanges_interrupted", "Exchanges of an earlier run found without an end", &self.interrupted),
            ("exchanges_open", "Exchanges under way", &self.open),
            ("audit_failures", "Audit events that could not be written", &self.failed),
            ("audit_lag_bytes", "Journal bytes that are not yet searchable", &self.lag_bytes),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    fn read(&self, stats: &Stats) {
        let pairs = [
            (&self.intended, stats.intended),
            (&self.finished, stats.finished),
            (&self.aborted, stats.aborted),
            (&self.interrupted, stats.interrupted),
            (&self.open, stats.open),
            (&self.failed, stats.failed),
            (&self.lag_bytes, stats.lag_bytes),
        ];
        for (gauge, value) in pairs {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
}
