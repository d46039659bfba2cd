//! What configuration is in force, by names and digests, so that the audit log can say what a change has changed. No value is in it.

use std::{collections::BTreeMap, fmt::Debug};

use super::Config;
use crate::{
    evidence::{
        event::Configuration,
        tlog::{Hash, sha256},
    },
    gateway::policy::Policies,
};

/// The most names of one sort in an event.
const MOST: usize = 64;

/// Digests of a configuration's parts.
#[derive(Clone, Debug, Default)]
pub(super) struct InForce {
    policies_sha256: String,
    policies: BTreeMap<String, Hash>,
    models: BTreeMap<String, Hash>,
    parts: BTreeMap<&'static str, Hash>,
}

impl InForce {
    pub(super) fn of(config: &Config, policies: &Policies) -> Self {
        let files = policies.files().clone();
        let lines: String = files.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
        Self {
            policies_sha256: sha256(lines.as_bytes()).to_string(),
            policies: files,
            models: config.models.iter().map(|model| (model.name.clone(), shown(model))).collect(),
            parts: BTreeMap::from([
                ("identity", shown(&config.identity.providers)),
                ("approvals.notify", shown(&config.notify)),
            ]),
        }
    }

    /// What is in force; at a start every model is new.
    pub(super) fn configuration(&self, before: Option<&Self>) -> Configuration {
        let nothing = Self::default();
        let old = before.unwrap_or(&nothing);
        let names = |names: Vec<&String>| names.into_iter().take(MOST).cloned().collect::<Vec<String>>();
        Configuration {
            policies_sha256: self.policies_sha256.clone(),
            policies_before: before
                .map(|old| old.policies_sha256.clone())
                .filter(|old| *old != self.policies_sha256),
            policy_files: before.map(|old| names(differ(&old.policies, &self.policies))).unwrap_or_default(),
            models_added: names(self.models.keys().filter(|name| !old.models.contains_key(*name)).collect()),
            models_removed: names(
                old.models.keys().filter(|name| !self.models.contains_key(*name)).collect(),
            ),
            models_changed: names(
                self.models
                    .iter()
                    .filter(|(name, model)| old.models.get(*name).is_some_and(|old| old != *model))
                    .map(|(name, _)| name)
                    .collect(),
            ),
            parts_changed: before
                .map(|old| {
                    differ(&old.parts, &self.parts).into_iter().map(|part| (*part).to_owned()).collect()
                })
                .unwrap_or_default(),
        }
    }
}

/// A configuration change in a sentence.
pub(super) fn sentence(change: &Configuration) -> String {
    let of = |what: &str, names: &[String]| {
        if names.is_empty() { None } else { Some(format!("{what} {}", names.join(", "))) }
    };
    let said: Vec<String> = [
        of("policy files changed:", &change.policy_files),
        of("models added:", &change.models_added),
        of("models removed:", &change.models_removed),
        of("models changed:", &change.models_changed),
        of("changed:", &change.parts_changed),
    ]
    .into_iter()
    .flatten()
    .collect();
    if said.is_empty() { "no policy and no model is another".to_owned() } else { said.join("; ") }
}

/// The digest of what is shown of a value; secrets show nothing of themselves.
fn shown(value: &impl Debug) -> Hash {
    sha256(format!("{value:?}").as_bytes())
}

/// The keys that are only in one of the two, or have another digest.
fn differ<'a, K: Ord>(old: &'a BTreeMap<K, Hash>, new: &'a BTreeMap<K, Hash>) -> Vec<&'a K> {
    let mut differ: Vec<&K> =
        old.iter().filter(|(key, hash)| new.get(*key) != Some(*hash)).map(|(key, _)| key).collect();
    differ.extend(new.keys().filter(|key| !old.contains_key(*key)));
    differ.sort();
    differ
}
