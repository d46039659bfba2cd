//! The audit log and its sinks as the operator's metrics show them: read at each scrape, one line per configured sink and never more.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

use crate::gateway::audit::{
    Scribe, Stats,
    sinks::{Sinks, Standing},
};

/// Reads the scribe and the sinks when it is asked.
pub(super) struct Audited {
    scribe: Scribe,
    sinks: Sinks,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct Labels {
    sink: String,
}

/// A figure of the scribe: its name, its help, and what is read for it.
type Reading = (&'static str, &'static str, fn(&Stats) -> u64);
/// The same of a sink.
type SinkReading = (&'static str, &'static str, fn(&Standing) -> u64);

const COUNTERS: [Reading; 6] = [
    ("exchanges_intended", "Exchanges let through to a model since the start", |stats| stats.intended),
    ("exchanges_finished", "Exchanges whose end is in the audit log", |stats| stats.finished),
    ("exchanges_aborted", "Exchanges that ended without an end of their own", |stats| stats.aborted),
    ("exchanges_interrupted", "Exchanges of an earlier run found without an end", |stats| stats.interrupted),
    ("audit_events", "Events other than exchanges in the audit log since the start", |stats| stats.recorded),
    ("audit_failures", "Audit events that could not be written", |stats| stats.failed),
];

const GAUGES: [Reading; 4] = [
    ("exchanges_open", "Exchanges under way", |stats| stats.open),
    ("audit_lag_bytes", "Journal bytes that are not yet searchable", |stats| stats.lag_bytes),
    ("audit_journal_bytes", "Bytes that the journal's files span", |stats| stats.journal_bytes),
    ("audit_indexing", "1: what is in the journal becomes searchable; 0: it cannot", |stats| {
        u64::from(stats.indexing)
    }),
];

const SINK_COUNTERS: [SinkReading; 3] = [
    ("sink_delivered_events", "Audit events that a sink's receiver has taken", |one| one.delivered),
    ("sink_failures", "Attempts to ship audit events that failed", |one| one.failed),
    ("sink_set_aside_events", "Audit events that a sink's receiver has refused for good", |one| {
        one.set_aside
    }),
];

impl Audited {
    pub(super) fn new(scribe: Scribe, sinks: Sinks) -> Self {
        Self { scribe, sinks }
    }
}

impl fmt::Debug for Audited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Audited")
    }
}

impl Collector for Audited {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.scribe.stats();
        for (name, help, read) in COUNTERS {
            let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(read(&stats)).encode(counter)?;
        }
        for (name, help, read) in GAUGES {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(whole(read(&stats))).encode(gauge)?;
        }
        let standings = self.sinks.standings();
        for (name, help, read) in SINK_COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for one in &standings {
                ConstCounter::new(read(one)).encode(family.encode_family(&labels(one))?)?;
            }
        }
        let help = "Audit events behind the place that a sink has come to";
        let mut family = encoder.encode_descriptor("sink_lag_events", help, None, MetricType::Gauge)?;
        for one in &standings {
            ConstGauge::new(whole(one.lag_events)).encode(family.encode_family(&labels(one))?)?;
        }
        let help = "Age of the oldest audit event that a sink has still to ship";
        let mut family =
            encoder.encode_descriptor("sink_lag", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for one in &standings {
            ConstGauge::new(one.lag.as_secs_f64()).encode(family.encode_family(&labels(one))?)?;
        }
        Ok(())
    }
}

fn labels(one: &Standing) -> Labels {
    Labels { sink: one.sink.clone() }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
