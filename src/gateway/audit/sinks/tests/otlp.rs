//! OTLP, decoded with the published messages.

use std::io::Read;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse},
        metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{AggregationTemporality, metric::Data, number_data_point},
};
use prost::Message;

use super::*;
use crate::gateway::audit::sinks::{GenAi, OtlpConfig, Signals, Temporality};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn config(url: &Url, change: impl FnOnce(&mut OtlpConfig)) -> SinkConfig {
    let mut otlp = OtlpConfig {
        to: bearing(url),
        signals: Signals { logs: true, traces: true, metrics: true },
        genai: GenAi::Latest,
        temporality: Temporality::Cumulative,
        gzip: true,
    };
    change(&mut otlp);
    SinkConfig {
        name: "otel".to_owned(),
        kinds: Vec::new(),
        from_start: true,
        receiver: ReceiverConfig::Otlp(otlp),
    }
}

fn decoded<T: Message + Default>(sent: &Sent) -> T {
    assert_eq!(sent.header("content-type"), "application/x-protobuf");
    let mut body = Vec::new();
    if sent.headers.contains_key("content-encoding") {
        GzDecoder::new(&sent.body[..]).read_to_end(&mut body).unwrap();
    } else {
        body.extend_from_slice(&sent.body);
    }
    T::decode(&body[..]).unwrap()
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn an_exchange_is_a_log_record_a_span_and_figures() {
    let (receiver, url) = Receiving::start().await;
    let world = World::start().await;
    world.tell(exchange(7, Some(PARENT)));
    world.adopt(&[config(&url, |_| {})]).await;
    world.at("otel", 1).await;
    let sent = receiver.sent(3).await;
    let paths: Vec<_> = sent.iter().map(|sent| sent.path.as_str()).collect();
    assert_eq!(paths, ["/v1/logs", "/v1/traces", "/v1/metrics"]);

    let logs: ExportLogsServiceRequest = decoded(&sent[0]);
    let resource = logs.resource_logs[0].resource.as_ref().unwrap();
    assert_eq!(text(&resource.attributes, "service.name"), Some("hoopctl"));
    let record = &logs.resource_logs[0].scope_logs[0].log_records[0];
    let row = world.store.ledger().rows(0, 1).await.unwrap().remove(0);
    let body = record.body.as_ref().unwrap().value.as_ref().unwrap();
    assert_eq!(*body, Value::StringValue(row.json));
    assert_eq!((record.event_name.as_str(), record.severity_number), ("hoopctl.audit.exchange", 9));
    assert_eq!(record.time_unix_nano, 1_795_418_146_123_000_000);

    let traces: ExportTraceServiceRequest = decoded(&sent[1]);
    let span = &traces.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.name, "chat gpt-4o");
    assert_eq!(span.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes());
    assert_eq!(span.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    assert_eq!(span.span_id, 7_u64.to_be_bytes());
    assert_eq!((&record.trace_id, &record.span_id), (&span.trace_id, &span.span_id));
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 1_500_000_000);
    assert_eq!(text(&span.attributes, "gen_ai.provider.name"), Some("openai"));
    assert_eq!(text(&span.attributes, "gen_ai.system"), None);
    assert_eq!(text(&span.attributes, "gen_ai.request.model"), Some("gpt-4o"));

    let metrics: ExportMetricsServiceRequest = decoded(&sent[2]);
    let metrics = &metrics.resource_metrics[0].scope_metrics[0].metrics;
    assert_eq!(metrics.len(), 4);
}

#[tokio::test]
async fn the_older_generation_and_no_compression_are_a_switch_each() {
    let (receiver, url) = Receiving::start().await;
    let world = World::start().await;
    world.tell(exchange(7, None));
    let older = |otlp: &mut OtlpConfig| {
        (otlp.genai, otlp.gzip) = (GenAi::V1_36, false);
        otlp.signals = Signals { logs: false, traces: true, metrics: false };
    };
    world.adopt(&[config(&url, older)]).await;
    world.at("otel", 1).await;
    let sent = receiver.sent(1).await;
    assert_eq!((sent.len(), sent[0].path.as_str()), (1, "/v1/traces"));
    assert!(!sent[0].headers.contains_key("content-encoding"));
    let traces: ExportTraceServiceRequest = decoded(&sent[0]);
    let span = &traces.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(text(&span.attributes, "gen_ai.system"), Some("openai"));
    assert_eq!(text(&span.attributes, "gen_ai.provider.name"), None);
    assert_eq!(span.trace_id, 1_007_u128.to_be_bytes(), "a trace of its own: the exchange's id");
    assert!(span.parent_span_id.is_empty());
}

#[tokio::test]
async fn only_the_signals_that_were_not_taken_are_sent_again() {
    let (receiver, url) = Receiving::start().await;
    receiver.will(&[200, 503, 200, 503]);
    let world = World::start().await;
    world.tell(exchange(7, None));
    world.adopt(&[config(&url, |_| {})]).await;
    world.at("otel", 1).await;
    let paths: Vec<String> = receiver.sent(5).await.into_iter().map(|sent| sent.path).collect();
    assert_eq!(paths, ["/v1/logs", "/v1/traces", "/v1/traces", "/v1/metrics", "/v1/metrics"]);
}

#[tokio::test]
async fn what_is_taken_in_part_is_told_of_and_not_sent_again() {
    let (receiver, url) = Receiving::start().await;
    receiver.judges(|path, _| {
        let partial_success = (path == "/v1/logs").then(|| ExportLogsPartialSuccess {
            rejected_log_records: 1,
            error_message: "too\nlong".to_owned(),
        });
        (200, ExportLogsServiceResponse { partial_success }.encode_to_vec())
    });
    let world = World::start().await;
    world.note("login", 1..=2);
    world.adopt(&[config(&url, |_| {})]).await;
    // The two, what is told of them, and nothing about that.
    world.at("otel", 3).await;
    world.until("both batches are counted", async |world| world.standing().set_aside == 2).await;
    let told = world.store.ledger().rows(2, 10).await.unwrap();
    assert_eq!(told.len(), 1);
    let told: Event = serde_json::from_str(&told[0].json).unwrap();
    assert_eq!(told.kind, "sink_failed");
    let detail = told.detail.unwrap();
    assert!(detail.contains("ev_1 ev_2") && detail.contains("toolong"), "{detail}");
}

#[tokio::test]
async fn figures_count_from_the_start_or_from_the_batch_before() {
    for (temporality, wanted) in [(Temporality::Cumulative, [1, 2]), (Temporality::Delta, [1, 1])] {
        let (receiver, url) = Receiving::start().await;
        let world = World::start().await;
        let only = |otlp: &mut OtlpConfig| {
            otlp.temporality = temporality;
            otlp.signals = Signals { logs: false, traces: false, metrics: true };
        };
        world.adopt(&[config(&url, only)]).await;
        for n in 1..=2 {
            world.tell(exchange(n, None));
            world.at("otel", n.into()).await;
        }
        let counts = receiver.sent(2).await.iter().map(exchanges).collect::<Vec<_>>();
        assert_eq!(counts, wanted, "{temporality:?}");
    }
}

fn exchanges(sent: &Sent) -> i64 {
    let metrics: ExportMetricsServiceRequest = decoded(sent);
    let metric = &metrics.resource_metrics[0].scope_metrics[0].metrics[0];
    assert_eq!(metric.name, "hoopctl.exchanges");
    let Some(Data::Sum(sum)) = &metric.data else { panic!() };
    assert_ne!(sum.aggregation_temporality, i32::from(AggregationTemporality::Unspecified));
    match sum.data_points[0].value {
        Some(number_data_point::Value::AsInt(count)) => count,
        _ => panic!(),
    }
}
