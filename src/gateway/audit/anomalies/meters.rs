//! How many alarms were raised, for the operator's metrics.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::Rule;

/// Alarms since the start, by rule. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Meters(Family<Which, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Which {
    rule: &'static str,
}

impl Default for Meters {
    fn default() -> Self {
        let alarms = Family::default();
        for rule in Rule::ALL {
            // A rate over a count that begins with its first alarm would miss that alarm.
            drop(alarms.get_or_create(&Which { rule: rule.name() }));
        }
        Self(alarms)
    }
}

impl Meters {
    /// Adds them to what is exported.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("anomalies", "Alarms about unusual use since the start", self.0.clone());
    }

    /// Another alarm.
    pub(super) fn raised(&self, rule: Rule) {
        self.0.get_or_create(&Which { rule: rule.name() }).inc();
    }
}
