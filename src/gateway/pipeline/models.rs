//! The models that can be reached, and which of them a caller may see.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use aws_lc_rs::digest;

use super::{
    ModelConfig, PipelineError, Stages,
    exchange::hex,
    limits::{self, Counts, Limits},
};
use crate::{
    clock::Clock,
    gateway::{
        analyse::{Analyser, Waiting},
        identity::Caller,
        mask::{Key, Masking, Names, Rules, Style},
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
    /// `None`: it has no limits.
    pub(super) counts: Option<Arc<Counts>>,
    /// What the model is: an approval is for this, not for a name.
    pub(super) identity: String,
    /// What its texts are masked by wherever they are shown: as configured, or as usual.
    rules: Arc<Rules>,
    /// Who finds names in them, where anybody does.
    names: Option<Arc<dyn Names>>,
}

/// Sets up every model, or none. `before` are those in force until now.
pub(super) fn open(
    configs: Vec<ModelConfig>,
    before: &BTreeMap<String, Arc<Model>>,
    counters: &Limits,
    clock: &Clock,
) -> Result<BTreeMap<String, Arc<Model>>, PipelineError> {
    let mut models = BTreeMap::new();
    let usual = Arc::new(Rules::everything(Style::Label));
    for config in configs {
        let name = config.name.clone();
        let upstream = Upstream::new(&name, &config.upstream, clock)
            .map_err(|cause| PipelineError::Upstream { model: name.clone(), cause })?;
        upstream.ready(before.get(&name).map(|model| &model.upstream));
        let counts = limits::counts(counters, &name, &config.limits);
        let identity = identity(&config);
        let rules = config.mask.as_ref().map_or_else(|| Arc::clone(&usual), |mask| Arc::clone(&mask.rules));
        let names = names(&config)?;
        let model = Model { config, upstream, counts, identity, rules, names };
        if models.insert(name.clone(), Arc::new(model)).is_some() {
            return Err(PipelineError::Twice(name));
        }
    }
    Ok(models)
}

fn names(config: &ModelConfig) -> Result<Option<Arc<dyn Names>>, PipelineError> {
    let Some(analysis) = config.mask.as_ref().and_then(|mask| mask.analyser.as_ref()) else {
        return Ok(None);
    };
    let analyser = Analyser::new(analysis)
        .map_err(|cause| PipelineError::Analyser { model: config.name.clone(), cause })?;
    Ok(Some(Arc::new(Waiting::new(analyser))))
}

/// What each model is.
pub(super) fn identities(models: &BTreeMap<String, Arc<Model>>) -> BTreeMap<String, String> {
    models.iter().map(|(name, model)| (name.clone(), model.identity.clone())).collect()
}

/// How long recordings of each model are kept, where that is said.
pub(super) fn keeps(models: &BTreeMap<String, Arc<Model>>) -> BTreeMap<String, Duration> {
    let keep = |(name, model): (&String, &Arc<Model>)| Some((name.clone(), model.config.record.keep?));
    models.iter().filter_map(keep).collect()
}

/// A hash of what people look at when they approve a model: name, server, labels, and that its answers are masked: a yes to masked
/// answers is none to the others. Tuning its limits or what is masked makes no other model of it.
pub(super) fn identity(config: &ModelConfig) -> String {
    let ModelConfig { name, upstream, labels, mask, .. } = config;
    let url = match upstream.urls.as_slice() {
        [url] => serde_json::json!(url.as_str()),
        urls => serde_json::json!(urls),
    };
    let text = match mask {
        None => serde_json::json!([name, url, labels]),
        Some(_) => serde_json::json!([name, url, labels, "masked"]),
    };
    let text = text.to_string();
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
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
        let models = self.models.load();
        models
            .values()
            .filter_map(|model| {
                let invoke = self.usual(caller, source, transport, model, Action::Invoke);
                let access = match policies.decide(&invoke, false).outcome {
                    Outcome::Permit if self.demand(caller).is_none() => "permit",
                    Outcome::Permit | Outcome::Ask if self.usable(model, &policies, &invoke).is_some() => {
                        "permit"
                    }
                    Outcome::Permit | Outcome::Ask => "ask",
                    // Nothing to choose; `list` alone opens no door.
                    Outcome::Deny => return None,
                };
                // What may be used may be seen, unless a policy says otherwise in so many words.
                let list = self.usual(caller, source, transport, model, Action::List);
                let listed = policies.decide(&list, false);
                let hidden = listed.outcome == Outcome::Deny && !listed.policies.is_empty();
                (!hidden).then(|| model.described(access))
            })
            .collect()
    }

    /// The usual request to a model, for policies that look at it.
    pub(super) fn usual<'a>(
        &self,
        caller: &'a Caller,
        source: Option<IpAddr>,
        transport: Option<Transport>,
        model: &'a Model,
        action: Action,
    ) -> Question<'a> {
        let context = Context {
            transport,
            upstream_encrypted: model.upstream.encrypted(),
            source_ip: source,
            now: self.clock.now(),
            method: "POST",
            path: "/",
            requested_model: None,
        };
        Question { caller, action, resource: Resource::Model(&model.config.name), context }
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
    /// What masks an exchange of this session.
    pub(super) fn masking(&self, key: Arc<Key>) -> Arc<Masking> {
        let fields = self.config.mask.as_ref().map_or_else(|| Arc::from([]), |mask| Arc::clone(&mask.fields));
        let masking = Masking::new(Arc::clone(&self.rules), fields, key);
        Arc::new(match &self.names {
            Some(names) => masking.with_names(Arc::clone(names)),
            None => masking,
        })
    }

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
