//! OpenTelemetry: OTLP over HTTP in protobuf. Every event is a log record, every exchange a span, and all of them together are metrics.

mod genai;
mod logs;
mod metrics;
mod traces;
mod value;

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use http::{Request, Response, header};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse},
        metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
        trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    },
    common::v1::InstrumentationScope,
    logs::v1::{ResourceLogs, ScopeLogs},
    metrics::v1::{ResourceMetrics, ScopeMetrics},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans},
};
use prost::Message;
use tokio::sync::Mutex;

use self::{metrics::Series, value::text};
use super::{
    batch::Parcel,
    config::{GenAi, OtlpConfig, Signals, Temporality},
    receiver::{Delivered, Https},
};
use crate::clock::Clock;

const PROTOBUF: &str = "application/x-protobuf";

/// An OTLP receiver, opened.
pub(super) struct Otlp {
    base: String,
    to: Https,
    signals: Signals,
    genai: GenAi,
    temporality: Temporality,
    gzip: bool,
    resource: Resource,
    clock: Clock,
    memory: Mutex<Memory>,
}

/// What is remembered between attempts and batches.
struct Memory {
    /// The first and last place of the batch under way.
    batch: Option<(u64, u64)>,
    /// What of it was taken: it is not sent again with the rest.
    logs: bool,
    traces: bool,
    /// What receivers refused of it so far.
    refused: u64,
    why: String,
    series: Series,
}

impl Otlp {
    /// Reads secrets and certificates; blocks on files and commands.
    pub(super) fn open(config: &OtlpConfig, host: &str, clock: Clock) -> Result<Self, String> {
        let resource = Resource {
            attributes: vec![
                text("service.name", "hoopctl"),
                text("service.version", env!("CARGO_PKG_VERSION")),
                text("service.instance.id", host),
            ],
            ..Resource::default()
        };
        let series = Series::new(clock.now());
        let memory =
            Memory { batch: None, logs: false, traces: false, refused: 0, why: String::new(), series };
        Ok(Self {
            base: config.to.url.as_str().trim_end_matches('/').to_owned(),
            to: Https::open(&config.to)?,
            signals: config.signals,
            genai: config.genai,
            temporality: config.temporality,
            gzip: config.gzip,
            resource,
            clock,
            memory: Mutex::new(memory),
        })
    }

    /// Sends a batch once: those of its signals that were not taken before.
    pub(super) async fn deliver(&self, parcels: &[Parcel]) -> Delivered {
        // One worker sends; nobody else waits for this.
        let mut memory = self.memory.lock().await;
        let batch = parcels.first().zip(parcels.last()).map(|(first, last)| (first.place, last.place));
        if memory.batch != batch {
            memory.begin(batch);
        }
        match self.send(parcels, &mut memory).await {
            Ok(()) => {
                let (refused, why) = (memory.refused, std::mem::take(&mut memory.why));
                memory.begin(None);
                if refused > 0 { Delivered::Partly { refused, why } } else { Delivered::Done }
            }
            Err(other) => other,
        }
    }

    async fn send(&self, parcels: &[Parcel], memory: &mut Memory) -> Result<(), Delivered> {
        if self.signals.logs && !memory.logs {
            let answer = self.post("/v1/logs", &self.logs(parcels)).await?;
            let partial = decoded::<ExportLogsServiceResponse>(&answer).and_then(|a| a.partial_success);
            memory.partly(partial.map(|p| (p.rejected_log_records, p.error_message)), "log records");
            memory.logs = true;
        }
        let exchanges: Vec<_> =
            parcels.iter().map(|p| &p.event).filter(|event| event.kind == "exchange").collect();
        if exchanges.is_empty() {
            return Ok(());
        }
        if self.signals.traces && !memory.traces {
            let spans = exchanges.iter().map(|event| traces::span(event, self.genai)).collect();
            let answer = self.post("/v1/traces", &self.spans(spans)).await?;
            let partial = decoded::<ExportTraceServiceResponse>(&answer).and_then(|a| a.partial_success);
            memory.partly(partial.map(|p| (p.rejected_spans, p.error_message)), "spans");
            memory.traces = true;
        }
        if self.signals.metrics {
            let now = self.clock.now();
            let mut series = memory.series.clone();
            exchanges.iter().for_each(|event| series.add(event, self.genai));
            let request = self.metrics(series.encode(now, self.temporality));
            let answer = self.post("/v1/metrics", &request).await?;
            let partial = decoded::<ExportMetricsServiceResponse>(&answer).and_then(|a| a.partial_success);
            memory.partly(partial.map(|p| (p.rejected_data_points, p.error_message)), "data points");
            memory.series = match self.temporality {
                Temporality::Cumulative => series,
                Temporality::Delta => Series::new(now),
            };
        }
        Ok(())
    }

    async fn post(&self, path: &str, message: &impl Message) -> Result<Response<Vec<u8>>, Delivered> {
        let mut body = message.encode_to_vec();
        let mut request =
            Request::post(format!("{}{path}", self.base)).header(header::CONTENT_TYPE, PROTOBUF);
        if self.gzip {
            let unwritten = |e: std::io::Error| Delivered::Again { why: e.to_string(), after: None };
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&body).map_err(unwritten)?;
            body = encoder.finish().map_err(unwritten)?;
            request = request.header(header::CONTENT_ENCODING, "gzip");
        }
        self.to.post(request, body).await
    }

    fn logs(&self, parcels: &[Parcel]) -> ExportLogsServiceRequest {
        let now = self.clock.now();
        let scope = ScopeLogs {
            scope: scope(),
            log_records: parcels.iter().map(|parcel| logs::record(parcel, now)).collect(),
            ..ScopeLogs::default()
        };
        let resource = ResourceLogs {
            resource: Some(self.resource.clone()),
            scope_logs: vec![scope],
            ..ResourceLogs::default()
        };
        ExportLogsServiceRequest { resource_logs: vec![resource] }
    }

    fn spans(&self, spans: Vec<opentelemetry_proto::tonic::trace::v1::Span>) -> ExportTraceServiceRequest {
        let schema_url = genai::schema_url(self.genai).to_owned();
        let scope = ScopeSpans { scope: scope(), spans, schema_url };
        let resource = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![scope],
            ..ResourceSpans::default()
        };
        ExportTraceServiceRequest { resource_spans: vec![resource] }
    }

    fn metrics(
        &self,
        metrics: Vec<opentelemetry_proto::tonic::metrics::v1::Metric>,
    ) -> ExportMetricsServiceRequest {
        let schema_url = genai::schema_url(self.genai).to_owned();
        let scope = ScopeMetrics { scope: scope(), metrics, schema_url };
        let resource = ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics: vec![scope],
            ..ResourceMetrics::default()
        };
        ExportMetricsServiceRequest { resource_metrics: vec![resource] }
    }
}

impl Memory {
    fn begin(&mut self, batch: Option<(u64, u64)>) {
        (self.batch, self.logs, self.traces, self.refused) = (batch, false, false, 0);
        self.why.clear();
    }

    /// What a receiver says that it took only in part must not be sent again.
    fn partly(&mut self, partial: Option<(i64, String)>, what: &str) {
        let Some((refused, message)) = partial else { return };
        let refused = u64::try_from(refused).unwrap_or_default();
        if refused > 0 {
            self.refused = self.refused.saturating_add(refused);
            self.why = format!("it took a part and not {refused} {what}: {message}");
        } else if !message.is_empty() {
            tracing::warn!(message = %message.escape_debug(), "an OpenTelemetry receiver warns");
        }
    }
}

/// The answer, where it is one of protobuf; a receiver that says nothing has taken everything.
fn decoded<T: Message + Default>(answer: &Response<Vec<u8>>) -> Option<T> {
    let kind = answer.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    if !kind.starts_with(PROTOBUF) {
        return None;
    }
    T::decode(answer.body().as_slice()).ok()
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "hoopctl.audit".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    })
}
