//! Models as the gateway listed them last: a shell completes their names, and `status` says which are relaxed, offline.

use std::{fs, path::PathBuf};

use clap_complete::CompletionCandidate;
use serde::{Deserialize, Serialize};

use super::{invocation::Invocation, run};
use crate::{
    config::laptop::{self, Flags, Laptop, Places},
    secret,
    wire::api::Model,
};

/// The most bytes that are read back.
const MAX_FILE: u64 = 256 * 1024;

/// What is remembered of a model.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    name: String,
    relaxed: bool,
}

/// A gateway's models.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct List {
    /// Its origin, without a slash at the end.
    gateway: String,
    models: Vec<Known>,
}

/// Remembers what this gateway lists. That it cannot is worth no word to the person.
pub(super) fn remember(gateway: &str, models: &[Model], with: &Invocation) {
    let Some(path) = file(&with.config) else { return };
    let known = |model: &Model| Known { name: model.name.clone(), relaxed: model.tls != "required" };
    let gateway = gateway.trim_end_matches('/').to_owned();
    let list = List { gateway, models: models.iter().map(known).collect() };
    if recall(&path) == list {
        return;
    }
    let written = path
        .parent()
        .map_or(Ok(()), secret::create_private_dir)
        .and_then(|()| secret::write_private(&path, serde_json::json!(list).to_string().as_bytes()));
    if let Err(error) = written {
        tracing::debug!(%error, "the models' names could not be remembered");
    }
}

/// What a shell offers for a model.
pub(super) fn candidates() -> Vec<CompletionCandidate> {
    let environment = |name: &str| std::env::var_os(name);
    let config =
        laptop::load(&Flags::default(), &environment, Places::of_process(), run::SYSTEM_CONFIG.as_ref());
    let path = config.ok().as_ref().and_then(file);
    let models = path.map(|path| recall(&path)).unwrap_or_default().models;
    // A name that a terminal would obey is not offered to one.
    let plain = models.into_iter().map(|model| model.name).filter(|name| !name.chars().any(char::is_control));
    plain.map(CompletionCandidate::new).collect()
}

/// Names of this gateway's models whose servers may be reached in plaintext or unverified. What another one listed before a login says
/// nothing about it.
pub(super) fn relaxed(gateway: &str, config: &Laptop) -> Vec<String> {
    let list = file(config).map(|path| recall(&path)).unwrap_or_default();
    let models = if list.gateway == gateway.trim_end_matches('/') { list.models } else { Vec::new() };
    models.into_iter().filter(|model| model.relaxed).map(|model| model.name).collect()
}

fn file(config: &Laptop) -> Option<PathBuf> {
    let state = &config.places.as_ref()?.state_dir;
    Some(state.join("models").join(format!("{}.json", config.profile.value)))
}

fn recall(path: &PathBuf) -> List {
    let small = fs::metadata(path).is_ok_and(|file| file.len() <= MAX_FILE);
    let text = if small { fs::read(path).unwrap_or_default() } else { Vec::new() };
    serde_json::from_slice(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::printer::paper, clock::Clock, config::laptop::Output};

    #[test]
    fn names_are_remembered_per_profile() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { config_dir: dir.path().join("config"), state_dir: dir.path().join("state") };
        let flags = Flags { profile: Some("work".into()), ..Flags::default() };
        let config = laptop::load(&flags, &|_| None, Some(places), &dir.path().join("none.toml"))
            .unwrap_or_else(|m| panic!("{m:?}"));
        let (printer, ..) = paper::printer(Output::Human);
        let with = Invocation { config, printer, clock: Clock::system() };
        let model = |name: &str, tls: &str| Model {
            name: name.into(),
            dialect: "http".into(),
            tls: tls.into(),
            labels: Default::default(),
            access: "permit".into(),
        };
        let gateway = "https://gw.example.test";
        remember("https://gw.example.test/", &[model("a", "required"), model("b", "relaxed")], &with);
        let path = dir.path().join("state/models/work.json");
        assert_eq!(file(&with.config).as_ref(), Some(&path));
        assert_eq!(
            recall(&path).models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(relaxed(gateway, &with.config), ["b"]);
        assert!(relaxed("https://other.example.test", &with.config).is_empty(), "another gateway's");
        remember(gateway, &[], &with);
        assert!(recall(&path).models.is_empty() && relaxed(gateway, &with.config).is_empty());
    }
}
