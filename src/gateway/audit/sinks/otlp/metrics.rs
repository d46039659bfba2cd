//! Exchanges as figures: how long they took, how many tokens they used, how many there were.

use std::{collections::BTreeMap, time::SystemTime};

use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, metric::Data,
    number_data_point::Value,
};

use super::{
    genai::{self, Work},
    value::{nanos, text, truth},
};
use crate::{
    evidence::event::Event,
    gateway::audit::sinks::{GenAi, Temporality},
};

/// Different attributes of all instruments together; callers name models, and nobody shall fill memory by it.
const MOST_SERIES: usize = 1_000;

/// What is measured. The bounds of the `gen_ai` ones are the conventions'.
struct Instrument {
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    /// None: a count.
    bounds: &'static [f64],
}

const EXCHANGES: usize = 0;
const DURATION: usize = 1;
const TOKENS: usize = 2;
const FIRST_TOKEN: usize = 3;

const INSTRUMENTS: [Instrument; 4] = [
    Instrument {
        name: "hoopctl.exchanges",
        unit: "{exchange}",
        description: "Exchanges that have ended",
        bounds: &[],
    },
    Instrument {
        name: "gen_ai.client.operation.duration",
        unit: "s",
        description: "GenAI operation duration",
        bounds: &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
    },
    Instrument {
        name: "gen_ai.client.token.usage",
        unit: "{token}",
        description: "Number of input and output tokens used",
        bounds: &[
            1.0,
            4.0,
            16.0,
            64.0,
            256.0,
            1_024.0,
            4_096.0,
            16_384.0,
            65_536.0,
            262_144.0,
            1_048_576.0,
            4_194_304.0,
            16_777_216.0,
            67_108_864.0,
        ],
    },
    Instrument {
        name: "gen_ai.server.time_to_first_token",
        unit: "s",
        description: "Time to generate first token for successful responses",
        bounds: &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0],
    },
];

/// An instrument's place in [`INSTRUMENTS`], and attributes.
type Key = (usize, Vec<(&'static str, String)>);

/// Figures since a start.
#[derive(Clone)]
pub(super) struct Series {
    start: SystemTime,
    points: BTreeMap<Key, Point>,
}

/// The figures of one series.
#[derive(Clone, Default)]
struct Point {
    count: u64,
    sum: f64,
    least: Option<f64>,
    most: Option<f64>,
    /// How many lie in each range that the bounds make; one more than there are bounds.
    ranges: Vec<u64>,
}

impl Series {
    pub(super) fn new(start: SystemTime) -> Self {
        Self { start, points: BTreeMap::new() }
    }

    /// Counts an exchange.
    pub(super) fn add(&mut self, event: &Event, conventions: GenAi) {
        let outcome = event.response.as_ref().map(|response| response.outcome.clone()).unwrap_or_default();
        let counted = [
            ("hoopctl.model", event.model.clone()),
            ("hoopctl.verdict", event.decision.as_ref().map(|decision| decision.verdict.clone())),
            ("hoopctl.outcome", Some(outcome.clone())),
        ];
        let named = |(key, value): (&'static str, Option<String>)| Some((key, value?));
        self.record(EXCHANGES, counted.into_iter().filter_map(named).collect(), 1.0);
        let (Some(work), Some(response)) = (Work::of(event), &event.response) else { return };
        if outcome == "refused" {
            // Nothing was asked of a model.
            return;
        }
        let mut names: Vec<(&'static str, String)> =
            work.names(conventions).into_iter().map(|(key, value)| (key, value.to_owned())).collect();
        if let Some(model) = event.request.as_ref().and_then(|request| request.requested_model.clone()) {
            names.push(("gen_ai.request.model", model));
        }
        if let Some(tokens) = &response.tokens {
            for (kind, count) in [("input", tokens.input), ("output", tokens.output)] {
                let mut names = names.clone();
                names.push(("gen_ai.token.type", kind.to_owned()));
                self.record(TOKENS, names, float(count));
            }
        }
        let error = genai::error(event);
        if let Some(first) = response.first_token_ms.filter(|_| error.is_none()) {
            self.record(FIRST_TOKEN, names.clone(), float(first) / 1_000.0);
        }
        names.extend(error.map(|error| ("error.type", error)));
        self.record(DURATION, names, float(response.duration_ms) / 1_000.0);
    }

    /// The figures as OTLP's, up to now.
    pub(super) fn encode(&self, now: SystemTime, temporality: Temporality) -> Vec<Metric> {
        let temporality = i32::from(match temporality {
            Temporality::Cumulative => AggregationTemporality::Cumulative,
            Temporality::Delta => AggregationTemporality::Delta,
        });
        let mut metrics = Vec::new();
        for (at, instrument) in INSTRUMENTS.iter().enumerate() {
            let points: Vec<_> = self.points.iter().filter(|((which, _), _)| *which == at).collect();
            if points.is_empty() {
                continue;
            }
            let data = if instrument.bounds.is_empty() {
                Data::Sum(Sum {
                    data_points: points.into_iter().map(|(key, point)| self.count(key, point, now)).collect(),
                    aggregation_temporality: temporality,
                    is_monotonic: true,
                })
            } else {
                let one = |(key, point)| self.histogram(key, point, instrument.bounds, now);
                Data::Histogram(Histogram {
                    data_points: points.into_iter().map(one).collect(),
                    aggregation_temporality: temporality,
                })
            };
            metrics.push(Metric {
                name: instrument.name.to_owned(),
                unit: instrument.unit.to_owned(),
                description: instrument.description.to_owned(),
                data: Some(data),
                ..Metric::default()
            });
        }
        metrics
    }

    fn record(&mut self, at: usize, mut names: Vec<(&'static str, String)>, value: f64) {
        let Some(instrument) = INSTRUMENTS.get(at) else { return };
        if self.points.len() >= MOST_SERIES && !self.points.contains_key(&(at, names.clone())) {
            // OpenTelemetry's own word for what is too much.
            names = vec![("otel.metric.overflow", String::new())];
        }
        let point = self.points.entry((at, names)).or_default();
        point.ranges.resize(instrument.bounds.len().saturating_add(1), 0);
        let range = instrument.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = point.ranges.get_mut(range) {
            *count = count.saturating_add(1);
        }
        point.count = point.count.saturating_add(1);
        point.sum += value;
        point.least = Some(point.least.map_or(value, |least| least.min(value)));
        point.most = Some(point.most.map_or(value, |most| most.max(value)));
    }

    fn count(&self, (_, names): &Key, point: &Point, now: SystemTime) -> NumberDataPoint {
        NumberDataPoint {
            attributes: attributes(names),
            start_time_unix_nano: nanos(self.start),
            time_unix_nano: nanos(now),
            value: Some(Value::AsInt(i64::try_from(point.count).unwrap_or(i64::MAX))),
            ..NumberDataPoint::default()
        }
    }

    fn histogram(
        &self,
        (_, names): &Key,
        point: &Point,
        bounds: &[f64],
        now: SystemTime,
    ) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: attributes(names),
            start_time_unix_nano: nanos(self.start),
            time_unix_nano: nanos(now),
            count: point.count,
            sum: Some(point.sum),
            bucket_counts: point.ranges.clone(),
            explicit_bounds: bounds.to_vec(),
            min: point.least,
            max: point.most,
            ..HistogramDataPoint::default()
        }
    }
}

fn attributes(names: &[(&'static str, String)]) -> Vec<opentelemetry_proto::tonic::common::v1::KeyValue> {
    let one = |(key, value): &(&'static str, String)| match *key {
        "otel.metric.overflow" => truth(key, true),
        key => text(key, value),
    };
    names.iter().map(one).collect()
}

/// Exact up to 2^32, beyond which a figure in milliseconds or tokens is the largest.
fn float(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::evidence::event::{Request, Response, Tokens};

    fn exchange(model: &str, outcome: &str) -> Event {
        Event {
            kind: "exchange".to_owned(),
            model: Some("gpt".to_owned()),
            request: Some(Request {
                path: "/v1/chat/completions".to_owned(),
                requested_model: Some(model.to_owned()),
                ..Request::default()
            }),
            response: Some(Response {
                status: 200,
                outcome: outcome.to_owned(),
                duration_ms: 1_280,
                first_token_ms: Some(40),
                tokens: Some(Tokens { input: 16, output: 17, ..Tokens::default() }),
                ..Response::default()
            }),
            ..Event::default()
        }
    }

    #[test]
    fn figures_lie_in_the_ranges_of_the_conventions() {
        let mut series = Series::new(UNIX_EPOCH);
        series.add(&exchange("gpt-4o", "complete"), GenAi::Latest);
        series.add(&exchange("gpt-4o", "refused"), GenAi::Latest);
        let metrics = series.encode(UNIX_EPOCH + Duration::from_secs(9), Temporality::Cumulative);
        let names: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "hoopctl.exchanges",
                "gen_ai.client.operation.duration",
                "gen_ai.client.token.usage",
                "gen_ai.server.time_to_first_token"
            ]
        );
        let Some(Data::Histogram(duration)) = &metrics[1].data else { panic!() };
        let point = &duration.data_points[0];
        assert_eq!((point.count, point.sum, point.bucket_counts.len()), (1, Some(1.28), 15));
        // A bound belongs to the range that it ends.
        assert_eq!(point.bucket_counts[7], 1);
        let Some(Data::Histogram(tokens)) = &metrics[2].data else { panic!() };
        assert_eq!(tokens.data_points.len(), 2);
        assert_eq!((tokens.data_points[0].bucket_counts[2], tokens.data_points[1].bucket_counts[3]), (1, 1));
        let Some(Data::Sum(exchanges)) = &metrics[0].data else { panic!() };
        assert!(exchanges.is_monotonic);
        assert_eq!(exchanges.data_points.len(), 2, "complete and refused");
    }

    #[test]
    fn callers_cannot_make_series_without_end() {
        let mut series = Series::new(UNIX_EPOCH);
        for n in 0..3_000 {
            series.add(&exchange(&format!("model-{n}"), "complete"), GenAi::Latest);
        }
        assert!(series.points.len() <= MOST_SERIES + INSTRUMENTS.len());
        let counted: u64 =
            series.points.iter().filter(|((at, _), _)| *at == DURATION).map(|(_, point)| point.count).sum();
        assert_eq!(counted, 3_000);
    }
}
