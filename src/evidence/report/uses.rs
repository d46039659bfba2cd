//! Who used which model: callers and models, uses of relaxed TLS, unmasked answers, masked entities.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    CallerUse, Listed, Masked, ModelUse, Relaxed, UnmaskedUse,
    fold::user,
    legs::Protection,
    tally::{OTHERS, name},
};
use crate::evidence::event::Event;

/// Callers, and models, told apart; the rest is counted together.
const MOST: usize = 10_000;
/// Rows of each table in the report.
const SHOWN: usize = 100;
/// Models and servers with relaxed TLS, unmasked uses, and entities told apart.
const FEW: usize = 1000;
/// Policies named of one unmasked use.
const POLICIES: usize = 16;

/// What an exchange was like, as far as the tables need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) refused: bool,
    pub(super) unencrypted: bool,
    pub(super) upstream: Option<Protection>,
}

/// Everything that is told by caller or model.
#[derive(Debug, Default)]
pub(super) struct Uses {
    callers: BTreeMap<(String, String), CallerUse>,
    models: BTreeMap<String, ModelUse>,
    relaxed: BTreeMap<(String, String), Relaxed>,
    unmasked: BTreeMap<(String, String), UnmaskedUse>,
    masked: BTreeMap<String, Masked>,
}

impl Uses {
    pub(super) fn exchange(&mut self, event: &Event, manner: Manner) {
        self.caller(event, manner);
        let relaxed =
            event.evidence.as_ref().and_then(|both| both.upstream.as_ref()).filter(|leg| leg.relaxed);
        let model = name(event.model.as_deref().unwrap_or_default());
        let of_model = slot(&mut self.models, model.clone(), OTHERS.to_owned(), MOST, |name| ModelUse {
            name: name.clone(),
            ..ModelUse::default()
        });
        of_model.exchanges += 1;
        of_model.refused += u64::from(manner.refused);
        of_model.unencrypted += u64::from(manner.unencrypted);
        of_model.relaxed += u64::from(relaxed.is_some());
        of_model.masked += u64::from(!event.masked.is_empty());
        of_model.unmasked += u64::from(event.unmasked.is_some());
        if let Some(leg) = relaxed {
            let url = name(leg.url.as_deref().unwrap_or_default());
            let key = (model.clone(), url.clone());
            let other = (OTHERS.to_owned(), String::new());
            let used = slot(&mut self.relaxed, key, other, FEW, |(model, url)| Relaxed {
                model: model.clone(),
                url: url.clone(),
                ..Relaxed::default()
            });
            used.exchanges += 1;
            used.plaintext += u64::from(manner.upstream.is_some_and(|leg| !leg.encrypted()));
            used.unverified +=
                u64::from(manner.upstream.is_some_and(Protection::encrypted) && leg.verified == Some(false));
            span(&mut used.first, &mut used.last, &event.time);
        }
        self.shown(event, model);
    }

    /// What was masked, or was not.
    fn shown(&mut self, event: &Event, model: String) {
        if let Some(unmasked) = &event.unmasked {
            let who = user(event);
            let other = (OTHERS.to_owned(), String::new());
            let used = slot(&mut self.unmasked, (who, model), other, FEW, |(user, model)| UnmaskedUse {
                user: user.clone(),
                model: model.clone(),
                ..UnmaskedUse::default()
            });
            used.exchanges += 1;
            for policy in unmasked.policies.iter().take(POLICIES) {
                let policy = name(policy);
                if used.policies.len() < POLICIES && !used.policies.contains(&policy) {
                    used.policies.push(policy);
                }
            }
            span(&mut used.first, &mut used.last, &event.time);
        }
        for (entity, values) in &event.masked {
            let entity = name(entity);
            let masked = slot(&mut self.masked, entity, OTHERS.to_owned(), FEW, |entity| Masked {
                entity: entity.clone(),
                ..Masked::default()
            });
            masked.exchanges += 1;
            masked.values = masked.values.saturating_add(*values);
        }
    }

    fn caller(&mut self, event: &Event, manner: Manner) {
        let Some(caller) = &event.caller else { return };
        let (subject, provider) = (name(&caller.subject), name(&caller.provider));
        let others = (String::new(), OTHERS.to_owned());
        let used =
            slot(&mut self.callers, (provider, subject), others, MOST, |(provider, subject)| CallerUse {
                user: subject.clone(),
                subject: subject.clone(),
                provider: provider.clone(),
                ..CallerUse::default()
            });
        // The newest address: people change theirs.
        if used.subject == name(&caller.subject) {
            used.user = user(event);
        }
        used.exchanges += 1;
        used.refused += u64::from(manner.refused);
        used.unencrypted += u64::from(manner.unencrypted);
    }

    pub(super) fn tables(self) -> Tables {
        let mut relaxed: Vec<Relaxed> = self.relaxed.into_values().collect();
        relaxed.sort_by_key(|one| Reverse(one.exchanges));
        let mut masked: Vec<Masked> = self.masked.into_values().collect();
        masked.sort_by_key(|one| Reverse(one.values));
        let mut unmasked: Vec<UnmaskedUse> = self.unmasked.into_values().collect();
        unmasked.sort_by_key(|one| Reverse(one.exchanges));
        let mut callers: Vec<CallerUse> = self.callers.into_values().collect();
        callers.sort_by_key(|one| Reverse(one.exchanges));
        let mut models: Vec<ModelUse> = self.models.into_values().collect();
        models.sort_by_key(|one| Reverse(one.exchanges));
        Tables {
            relaxed: listed(relaxed),
            masked: listed(masked),
            unmasked: listed(unmasked),
            callers: listed(callers),
            models: listed(models),
        }
    }
}

/// [`Uses`], sorted.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) relaxed: Listed<Relaxed>,
    pub(super) masked: Listed<Masked>,
    pub(super) unmasked: Listed<UnmaskedUse>,
    pub(super) callers: Listed<CallerUse>,
    pub(super) models: Listed<ModelUse>,
}

fn listed<T>(mut shown: Vec<T>) -> Listed<T> {
    let total = shown.len() as u64;
    shown.truncate(SHOWN);
    Listed { total, shown }
}

/// The entry of a key or, beyond the bound, the one of all others.
fn slot<K: Ord, V>(
    map: &mut BTreeMap<K, V>,
    key: K,
    others: K,
    most: usize,
    new: impl FnOnce(&K) -> V,
) -> &mut V {
    let key = if map.len() < most || map.contains_key(&key) { key } else { others };
    map.entry(key).or_insert_with_key(new)
}

/// Widens a span of times, which are all of one form.
pub(super) fn span(first: &mut String, last: &mut String, time: &str) {
    if first.is_empty() || time < first.as_str() {
        time.clone_into(first);
    }
    if time > last.as_str() {
        time.clone_into(last);
    }
}
