//! What the pipeline measures, for the operator's metrics.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Seconds: from a small model near by to one that reasons before it speaks.
const WAITS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Measures of the exchanges. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Meters {
    first_token: Family<Which, Histogram>,
}

/// A model of the configuration; callers cannot invent names here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Which {
    model: String,
}

impl Default for Meters {
    fn default() -> Self {
        Self { first_token: Family::new_with_constructor(|| Histogram::new(WAITS)) }
    }
}

impl Meters {
    /// Adds the measures to what is exported.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "first_token",
            "From intent to the first that the model made of a streamed answer",
            Unit::Seconds,
            self.first_token.clone(),
        );
    }

    /// Values were masked in an answer of the model.
    pub(super) fn masked(&self, _model: &str, _counts: &std::collections::BTreeMap<String, u64>) {}

    /// The first of a streamed answer has come.
    pub(super) fn first_token(&self, model: &str, after: Duration) {
        let which = Which { model: model.to_owned() };
        self.first_token.get_or_create(&which).observe(after.as_secs_f64());
    }
}
