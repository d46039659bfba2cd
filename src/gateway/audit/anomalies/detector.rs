//! The detector: folds exchanges in the order of the log, with their own times, and says what is unusual. No IO, no clock.

use std::collections::{BTreeSet, HashMap};

use super::{
    Answer, Config, Rule,
    exchange::{Exchange, Key},
    models::{Models, Seen},
    profile::Profile,
    rules::{Finding, hour, masked, model, network, rate, volume},
};
use crate::evidence::event::Event;

/// Callers that are known at once; beyond them those go who were not seen for longest. Some 4 KiB each.
pub const MOST_CALLERS: usize = 4096;

/// Something unusual, told once an episode.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// Which rule says so.
    pub rule: Rule,
    /// What is usual for the caller.
    pub usual: String,
    /// What was seen.
    pub seen: String,
    /// How unusual, on the rule's own scale.
    pub score: f64,
    /// Whether the caller is known for long enough that an answer may follow by itself.
    pub warm: bool,
}

/// What is known of callers and models, and what is unusual about the next exchange.
#[derive(Debug, Default)]
pub struct Detector {
    callers: HashMap<Key, Box<Profile>>,
    models: Models,
    changed: BTreeSet<Key>,
    gone: BTreeSet<Key>,
}

/// What has changed since it was last asked for.
pub(super) struct Changes {
    pub(super) callers: Vec<(Key, Box<Profile>)>,
    pub(super) gone: Vec<Key>,
    pub(super) models: Vec<(u64, Seen)>,
}

impl Detector {
    /// Takes in an event; what is no exchange of a known caller changes nothing.
    pub fn fold(&mut self, event: &Event, config: &Config) -> Vec<Alarm> {
        let Some(exchange) = Exchange::of(event) else { return Vec::new() };
        let known = self.callers.remove(&exchange.caller);
        let mut profile = known.unwrap_or_else(|| Box::new(Profile::new(exchange.at)));
        profile.advance(exchange.at);
        profile.count(&exchange);
        if exchange.denied {
            profile.recent.add(exchange.at);
        }
        if !exchange.refused {
            self.models.note(exchange.model, exchange.at, exchange.masked > 0);
            profile.run.add(&exchange);
        }
        let mut alarms = Vec::new();
        let warm = profile.is_warm(config.warm_up);
        for rule in Rule::ALL {
            let wanted = config.rule(rule);
            if wanted.answer == Answer::Off || !(warm || rule == Rule::Denials) {
                continue;
            }
            if let Some(Finding { usual, seen, score }) = self.judge(rule, &mut profile, &exchange, config)
                && profile.is_news(rule, exchange.at, config.cool_down)
            {
                alarms.push(Alarm { rule, usual, seen, score, warm });
            }
        }
        profile.learn(&exchange);
        self.make_room();
        self.callers.insert(exchange.caller, profile);
        self.gone.remove(&exchange.caller);
        self.changed.insert(exchange.caller);
        alarms
    }

    /// How many callers are known.
    pub fn callers(&self) -> usize {
        self.callers.len()
    }

    /// What a rule says about an exchange that is counted in the profile and not yet learned.
    fn judge(
        &self,
        rule: Rule,
        profile: &mut Profile,
        exchange: &Exchange,
        config: &Config,
    ) -> Option<Finding> {
        let wanted = config.rule(rule);
        if exchange.refused && !matches!(rule, Rule::Denials | Rule::Network) {
            return None;
        }
        match rule {
            Rule::Rate => rate::judge(profile, wanted),
            Rule::Volume => volume::judge(profile, wanted),
            Rule::Hour => hour::judge(profile, wanted),
            Rule::Extraction => profile.run.judge(wanted),
            Rule::Denials if exchange.denied => profile.recent.judge(wanted),
            Rule::Denials => None,
            Rule::Masked if exchange.masked > 0 && self.models.masks(exchange.model, config.warm_up) => {
                masked::judge(profile, wanted)
            }
            Rule::Masked => None,
            Rule::Network => {
                let network = exchange.network.filter(|network| !profile.knows_network(*network))?;
                network::judge(profile, wanted, network)
            }
            Rule::Model => {
                let new = !profile.knows_model(exchange.model)
                    && self.models.is_warm(exchange.model, config.warm_up);
                if !new {
                    return None;
                }
                model::judge(profile, wanted, || self.peers(profile, exchange.model))
            }
        }
    }

    /// What the others with a group of the caller's do with a model. Looked at once for each model that is new to a caller.
    fn peers(&self, profile: &Profile, model: u64) -> model::Peers {
        let peers = self.callers.values().filter(|other| other.is_peer_of(profile));
        peers.fold(model::Peers::default(), |sum, other| model::Peers {
            all: sum.all + 1,
            users: sum.users + usize::from(other.knows_model(model)),
        })
    }

    /// Room for one caller more: a sixteenth of them goes at once, so that a flood of new ones costs little each.
    fn make_room(&mut self) {
        if self.callers.len() < MOST_CALLERS {
            return;
        }
        let mut by_age: Vec<(i64, Key)> = self.callers.iter().map(|(key, one)| (one.last, *key)).collect();
        by_age.sort_unstable();
        for (_, key) in by_age.into_iter().take(MOST_CALLERS / 16) {
            self.callers.remove(&key);
            self.changed.remove(&key);
            self.gone.insert(key);
        }
    }

    /// What has changed since the last call.
    pub(super) fn take_changes(&mut self) -> Changes {
        let changed = std::mem::take(&mut self.changed);
        let callers =
            changed.into_iter().filter_map(|key| Some((key, self.callers.get(&key)?.clone()))).collect();
        let gone = std::mem::take(&mut self.gone).into_iter().collect();
        Changes { callers, gone, models: self.models.kept() }
    }

    /// These changes could not be kept.
    pub(super) fn give_back(&mut self, changed: Vec<Key>, gone: Vec<Key>) {
        self.changed.extend(changed.into_iter().filter(|key| self.callers.contains_key(key)));
        self.gone.extend(gone.into_iter().filter(|key| !self.callers.contains_key(key)));
    }

    /// What was kept.
    pub(super) fn restore(callers: Vec<(Key, Profile)>, models: Vec<(u64, Seen)>) -> Self {
        let mut detector = Self::default();
        detector.models.restore(models);
        let callers = callers.into_iter().take(MOST_CALLERS);
        detector.callers = callers.map(|(key, profile)| (key, Box::new(profile))).collect();
        detector
    }
}
