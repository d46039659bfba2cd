//! The models that can be reached, and which of them a caller may see.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use super::{ModelConfig, PipelineError, Stages};
use crate::{
    gateway::{
        identity::Caller,
        policy::{Action, Context, Outcome, Question, Resource},
        upstream::Upstream,
    },
    tunnel::Transport,
    wire::api,
};

/// A model that can be reached.
pub(super) struct Model {
    pub(super) config: ModelConfig,
    pub(super) upstream: Upstream,
}

/// Sets up every model, or none.
pub(super) fn open(configs: Vec<ModelConfig>) -> Result<BTreeMap<String, Arc<Model>>, PipelineError> {
    let mut models = BTreeMap::new();
    for config in configs {
        let name = config.name.clone();
        let upstream = Upstream::new(&name, &config.upstream)
            .map_err(|cause| PipelineError::Upstream { model: name.clone(), cause })?;
        if models.insert(name.clone(), Arc::new(Model { config, upstream })).is_some() {
            return Err(PipelineError::Twice(name));
        }
    }
    Ok(models)
}

impl Stages {
    pub(super) fn model(&self, name: &str) -> Option<Arc<Model>> {
        self.models.load().get(name).cloned()
    }

    pub(super) fn listable(
        &self,
        caller: &Caller,
        source: Option<IpAddr>,
        transport: Option<Transport>,
    ) -> Vec<api::Model> {
        let policies = self.policies.load();
        let now = self.clock.now();
        let models = self.models.load();
        let verdict = |model: &Model, action| {
            let question = Question {
                caller,
                action,
                resource: Resource::Model(&model.config.name),
                context: Context {
                    transport,
                    upstream_encrypted: model.upstream.encrypted(),
                    source_ip: source,
                    now,
                    // The usual request to a model, for policies that look at it.
                    method: "POST",
                    path: "/",
                    requested_model: None,
                },
            };
            policies.decide(&question, false)
        };
        models
            .values()
            .filter_map(|model| {
                let access = match verdict(model, Action::Invoke).outcome {
                    Outcome::Permit => "permit",
                    Outcome::Ask => "ask",
                    // Nothing to choose; `list` alone opens no door.
                    Outcome::Deny => return None,
                };
                // What may be used may be seen, unless a policy says otherwise in so many words.
                let listed = verdict(model, Action::List);
                let hidden = listed.outcome == Outcome::Deny && !listed.policies.is_empty();
                (!hidden).then(|| model.described(access))
            })
            .collect()
    }

    /// The name the caller may have meant, among those they may list.
    pub(super) fn nearest(&self, wanted: &str, caller: &Caller) -> Option<String> {
        self.listable(caller, None, None)
            .into_iter()
            .map(|model| (strsim::osa_distance(wanted, &model.name), model.name))
            .filter(|(distance, name)| *distance <= name.chars().count().div_ceil(3).max(2))
            .min()
            .map(|(_, name)| name)
    }
}

impl Model {
    pub(super) fn described(&self, access: &str) -> api::Model {
        api::Model {
            name: self.config.name.clone(),
            dialect: self.config.dialect.name().to_owned(),
            tls: if self.config.upstream.relaxed { "relaxed" } else { "required" }.to_owned(),
            labels: self.config.labels.clone(),
            access: access.to_owned(),
        }
    }
}
