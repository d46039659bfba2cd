//! The models' servers as the operator's metrics show them: read at each scrape, one line per configured server and never more.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::gateway::{
    pipeline::Pipeline,
    upstream::{Circuit, Standing},
};

/// Reads the pipeline when it is asked.
pub(super) struct Upstreams(Pipeline);

#[derive(Clone, Debug, EncodeLabelSet)]
struct Labels {
    model: String,
    server: String,
}

/// A gauge: its name, its help, and what is read of a server for it.
type Reading = (&'static str, &'static str, fn(&Standing) -> i64);

impl Upstreams {
    pub(super) fn new(pipeline: Pipeline) -> Self {
        Self(pipeline)
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstreams")
    }
}

impl Collector for Upstreams {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let standings = self.0.standings();
        let gauges: [Reading; 4] = [
            ("upstream_connections_open", "Connections to a model's server now", |one| {
                count(one.connections.0)
            }),
            ("upstream_connections_idle", "Those of them that nobody uses now", |one| {
                count(one.connections.1)
            }),
            ("upstream_circuit", "0: exchanges go there; 1: one tries; 2: none does", |one| {
                match one.circuit {
                    Circuit::Closed => 0,
                    Circuit::HalfOpen => 1,
                    Circuit::Open => 2,
                }
            }),
            (
                "upstream_relaxed",
                "1: the model's TLS is relaxed, so it may be plaintext or unverified",
                |one| i64::from(one.relaxed),
            ),
        ];
        for (name, help, read) in gauges {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for one in &standings {
                ConstGauge::new(read(one)).encode(family.encode_family(&labels(one))?)?;
            }
        }
        let (name, help) = ("upstream_failures", "Exchanges a server failed since the models were read");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for one in &standings {
            ConstCounter::new(one.failures).encode(family.encode_family(&labels(one))?)?;
        }
        Ok(())
    }
}

fn labels(one: &Standing) -> Labels {
    Labels { model: one.model.clone(), server: one.server.clone() }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
