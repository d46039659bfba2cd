//! For the operator alone, on an address of its own: Prometheus metrics and health.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::State, http::header, response::IntoResponse, routing::get};
use http::StatusCode;
use prometheus_client::{
    encoding::text::encode,
    metrics::{gauge::Gauge, info::Info},
    registry::Registry,
};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::upstreams::Upstreams;
use crate::{
    clock::Clock,
    gateway::{
        accept::{self, https},
        audit::{Scribe, Stats},
        pipeline,
        session::Phases,
    },
    tls::HotKey,
};

/// OpenMetrics 1.0, which Prometheus asks for first.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Connections at once; an operator needs a handful.
const MOST_CONNECTIONS: usize = 64;

/// What is exported, gathered when it is asked for.
pub(super) struct Operator {
    registry: Registry,
    scribe: Scribe,
    key: HotKey,
    phases: Phases,
    certificate_expiry: Gauge,
    exchanges: Exchanges,
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
        meters: &accept::Meters,
        exchanging: &pipeline::Meters,
        upstreams: Upstreams,
        scribe: Scribe,
        key: HotKey,
        phases: Phases,
    ) -> Arc<Self> {
        let mut registry = Registry::with_prefix("hoopctl");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "This program", build);
        meters.register(&mut registry);
        exchanging.register(&mut registry);
        registry.register_collector(Box::new(upstreams));
        let certificate_expiry = Gauge::default();
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "End of the listeners' certificate, seconds since 1970",
            certificate_expiry.clone(),
        );
        let exchanges = Exchanges::default();
        exchanges.register(&mut registry);
        Arc::new(Self { registry, scribe, key, phases, certificate_expiry, exchanges })
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
        self.certificate_expiry.set(expiry(&self.key).unwrap_or_default());
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
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

/// Seconds since 1970.
fn expiry(key: &HotKey) -> Option<i64> {
    let identity = key.current();
    let leaf = identity.chain().first()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(leaf).ok()?;
    Some(certificate.validity().not_after.timestamp())
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
