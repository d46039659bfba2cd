//! Decisions already taken, so that a caller's next request costs no evaluation: exact, bounded, and gone with their policies.

use std::{
    collections::HashMap,
    mem,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Context, Question, Resource, Verdict, index::Reads};
use crate::{gateway::identity::Caller, tunnel::Transport};

/// What the young half holds before it becomes the old one, bytes: together they hold some 2 MiB, some thousands of callers.
const HALF: usize = 1024 * 1024;

/// The longest key that is remembered, bytes: a caller of some hundred groups.
const MAX_KEY: usize = 16 * 1024;

/// What an entry costs beside its texts, bytes.
const ENTRY: usize = 256;

/// Verdicts by everything they were decided by.
#[derive(Default)]
pub(super) struct Remembered(Mutex<Halves>);

/// What is asked for again moves from the old half to the young one; the rest of the old one is forgotten when the young one is full.
#[derive(Default)]
struct Halves {
    young: HashMap<Key, Verdict>,
    old: HashMap<Key, Verdict>,
    /// Of the young half, bytes.
    weight: usize,
}

/// Everything that a verdict depends on but the policies themselves.
pub(super) type Key = Vec<u8>;

impl Remembered {
    /// What was decided for this key.
    pub(super) fn get(&self, key: &Key) -> Option<Verdict> {
        let mut halves = self.lock();
        if let Some(verdict) = halves.young.get(key) {
            return Some(verdict.clone());
        }
        let (key, verdict) = halves.old.remove_entry(key)?;
        halves.keep(key, verdict.clone());
        Some(verdict)
    }

    /// Remembers what was decided for this key.
    pub(super) fn put(&self, key: Key, verdict: Verdict) {
        self.lock().keep(key, verdict);
    }

    /// A poisoned lock guards plain values, which are whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, Halves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let halves = self.lock();
        halves.young.len() + halves.old.len()
    }
}

impl Halves {
    fn keep(&mut self, key: Key, verdict: Verdict) {
        let weight = weight(&key, &verdict);
        if self.weight + weight > HALF {
            self.old = mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
        self.young.insert(key, verdict);
    }
}

fn weight(key: &Key, verdict: &Verdict) -> usize {
    let listed = verdict.policies.len() + verdict.nearly.len() + verdict.terms.len();
    let approvers: usize = verdict.terms.iter().map(|terms| terms.approvers.len()).sum();
    let missing = verdict.missing.as_ref().map_or(0, String::len);
    // A policy's id, and what a hint says of it, are short; each is counted as an entry of its own.
    key.len() + missing + (1 + listed + approvers) * ENTRY
}

/// The key of a question, when what the policies read of it does not change with every request. Values stand in it with their lengths,
/// so that no two questions that differ in anything that is read have the same.
pub(super) fn key(question: &Question<'_>, approved: bool, reads: Reads) -> Option<Key> {
    // Named one by one: whoever adds a field has to say here what it means.
    let Question { caller, action, resource, context } = question;
    let Caller { subject, email, name, groups, provider, workload, session: _ } = caller;
    let Context { transport, upstream_encrypted, source_ip, now: _, method, path: _, requested_model: _ } =
        context;
    if reads.now || reads.path || reads.requested_model {
        return None;
    }
    let mut key = Key::with_capacity(512);
    key.extend([*action as u8, u8::from(approved), u8::from(*workload), u8::from(*upstream_encrypted)]);
    key.push(match transport {
        None => 0,
        Some(Transport::Quic) => 1,
        Some(Transport::Tcp) => 2,
    });
    match resource {
        Resource::Gateway => key.push(0),
        Resource::Model(name) => {
            key.push(1);
            text(&mut key, name);
        }
    }
    for value in [Some(subject), Some(provider), email.as_ref(), name.as_ref()] {
        key.push(u8::from(value.is_some()));
        text(&mut key, value.map(String::as_str).unwrap_or_default());
    }
    if reads.method {
        text(&mut key, method);
    }
    if reads.source_ip {
        match source_ip.map(|ip| ip.to_canonical()) {
            None => key.push(0),
            Some(IpAddr::V4(ip)) => key.extend([4].into_iter().chain(ip.octets())),
            Some(IpAddr::V6(ip)) => key.extend([6].into_iter().chain(ip.octets())),
        }
    }
    for group in groups {
        text(&mut key, group);
        if key.len() > MAX_KEY {
            return None;
        }
    }
    (key.len() <= MAX_KEY).then_some(key)
}

fn text(key: &mut Key, text: &str) {
    key.extend(text.len().to_le_bytes());
    key.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::policy::Outcome;

    fn verdict(missing: usize) -> Verdict {
        Verdict {
            outcome: Outcome::Deny,
            policies: Vec::new(),
            missing: Some("x".repeat(missing)),
            nearly: Vec::new(),
            terms: Vec::new(),
        }
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_forgotten_in_bounded_memory() {
        let remembered = Remembered::default();
        let key = |n: usize| n.to_le_bytes().to_vec();
        remembered.put(key(0), verdict(7));
        let most = 2 * HALF / ENTRY;
        for n in 1..4 * most {
            remembered.put(key(n), verdict(0));
            assert_eq!(remembered.get(&key(0)), Some(verdict(7)), "{n}");
        }
        assert!(remembered.len() <= most, "{}", remembered.len());
        assert_eq!(remembered.get(&key(1)), None);
    }
}
