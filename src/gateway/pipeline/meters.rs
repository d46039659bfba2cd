//! What the pipeline measures, for the operator's metrics.

use std::{collections::BTreeMap, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Seconds: from a small model near by to one that reasons before it speaks.
const WAITS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Measures of the exchanges. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Meters {
    first_token: Family<Which, Histogram>,
    masked: Family<Masked, Counter>,
}

/// A model of the configuration; callers cannot invent names here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Which {
    model: String,
}

/// A model and an entity of the configuration, or `FIELD`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Masked {
    model: String,
    entity: String,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            first_token: Family::new_with_constructor(|| Histogram::new(WAITS)),
            masked: Family::default(),
        }
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
        registry.register("masked", "Values masked in what callers received", self.masked.clone());
    }

    /// The first of a streamed answer has come.
    pub(super) fn first_token(&self, model: &str, after: Duration) {
        let which = Which { model: model.to_owned() };
        self.first_token.get_or_create(&which).observe(after.as_secs_f64());
    }

    /// An exchange has ended in which these values were masked, by entity.
    pub(super) fn masked(&self, model: &str, counts: &BTreeMap<String, u64>) {
        for (entity, count) in counts {
            let which = Masked { model: model.to_owned(), entity: entity.clone() };
            self.masked.get_or_create(&which).inc_by(*count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_values_are_counted_by_model_and_entity() {
        let (meters, mut registry) = (Meters::default(), Registry::with_prefix("hoopctl"));
        meters.register(&mut registry);
        let counts = BTreeMap::from([("EMAIL".to_owned(), 2), ("FIELD".to_owned(), 1)]);
        meters.masked("m", &counts);
        meters.masked("m", &counts);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "hoopctl_masked_total{model=\"m\",entity=\"EMAIL\"} 4\n",
            "hoopctl_masked_total{model=\"m\",entity=\"FIELD\"} 2\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
