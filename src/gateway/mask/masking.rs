//! What an answer is masked by: the model's rules and fields, the session's key, and what was masked so far.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    lanes::Field,
    masker::Masker,
    rules::Rules,
    style::{self, Key},
};

/// One exchange's masking.
pub struct Masking {
    rules: Arc<Rules>,
    fields: Arc<[Field]>,
    key: Arc<Key>,
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
    /// Whether what is masked counts: a copy of what was masked before does not.
    counting: bool,
}

impl std::fmt::Debug for Masking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masking")
    }
}

impl Masking {
    /// Masks by `rules`, and whole what `fields` name. `key` is the session's.
    #[must_use]
    pub fn new(rules: Arc<Rules>, fields: Arc<[Field]>, key: Arc<Key>) -> Self {
        Self { rules, fields, key, counts: Arc::default(), counting: true }
    }

    /// How many values were masked, by the entity's name; `FIELD` are those that a field rule named.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A short text that stands by itself, masked.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let (mut masker, mut masked) = (self.masker(), String::with_capacity(text.len()));
        masker.push(text, &mut masked);
        masker.finish(&mut masked);
        self.count(masker.counts());
        masked
    }

    /// The beginning of a text for the audit log, masked and not counted; `whole`: it is all of the text.
    #[must_use]
    pub fn excerpt(&self, text: &str, whole: bool) -> String {
        let (mut masker, mut masked) = (self.masker(), String::with_capacity(text.len()));
        masker.push(text, &mut masked);
        if whole {
            masker.finish(&mut masked)
        } else {
            masker.abort(&mut masked)
        }
        masked
    }

    /// The same, whose masks do not count.
    pub(super) fn quiet(&self) -> Self {
        Self {
            rules: Arc::clone(&self.rules),
            fields: Arc::clone(&self.fields),
            key: Arc::clone(&self.key),
            counts: Arc::clone(&self.counts),
            counting: false,
        }
    }

    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(super) fn masker(&self) -> Masker {
        Masker::new(Arc::clone(&self.rules), Arc::clone(&self.key))
    }

    /// A value that a field rule names, as it goes on.
    pub(super) fn field(&self, value: &str) -> String {
        let mut masked = String::new();
        style::write(self.rules.style(), &self.key, FIELD, value, value.as_bytes(), true, &mut masked);
        self.count(&BTreeMap::from([(FIELD.to_owned(), 1)]));
        masked
    }

    pub(super) fn count(&self, counts: &BTreeMap<String, u64>) {
        if self.counting && !counts.is_empty() {
            let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, count) in counts {
                *all.entry(name.clone()).or_default() += count;
            }
        }
    }
}

/// What stands in place of a value that a field rule names.
const FIELD: &str = "FIELD";
