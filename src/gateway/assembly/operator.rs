//! For the operator alone, on an address of its own: Prometheus metrics and health.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::State, http::header, response::IntoResponse, routing::get};
use http::{HeaderMap, StatusCode};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::{audited::Audited, exposition, upstreams::Upstreams};
use crate::{
    clock::{self, Clock},
    gateway::{
        accept::{self, https},
        audit::anomalies,
        certs::Certificates,
        pipeline, record,
        session::Phases,
    },
};

/// Connections at once; an operator needs a handful.
const MOST_CONNECTIONS: usize = 64;

/// What is exported, gathered when it is asked for.
pub(super) struct Operator {
    registry: Registry,
    certificates: Certificates,
    phases: Phases,
    certificate_expiry: Family<Which, Gauge>,
    certificates_refused: Gauge,
}

/// The label of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Which {
    certificate: &'static str,
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
        audited: Audited,
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
        registry.register_collector(Box::new(audited));
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
        Arc::new(Self { registry, certificates, phases, certificate_expiry, certificates_refused })
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

async fn metrics(State(operator): State<Arc<Operator>>, headers: HeaderMap) -> impl IntoResponse {
    match operator.text() {
        Ok(text) if exposition::reads_open_metrics(&headers) => {
            (StatusCode::OK, [(header::CONTENT_TYPE, exposition::OPEN_METRICS)], text)
        }
        Ok(text) => {
            (StatusCode::OK, [(header::CONTENT_TYPE, exposition::CLASSIC)], exposition::classic(&text))
        }
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
