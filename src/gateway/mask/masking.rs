//! What an answer is masked by: the model's rules and fields, the session's key, and what was masked so far.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    lanes::Field,
    masker::Masker,
    names::{Asking, Names, NoAnswer, Sentences},
    rules::Rules,
    style::{self, Key},
};

/// One exchange's masking.
pub struct Masking {
    rules: Arc<Rules>,
    fields: Arc<[Field]>,
    key: Arc<Key>,
    pub(super) names: Option<Asking>,
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
        Self { rules, fields, key, names: None, counts: Arc::default(), counting: true }
    }

    /// The same, with whom to ask for names. Whatever masks a text may block from then on.
    #[must_use]
    pub fn with_names(self, names: Arc<dyn Names>) -> Self {
        Self { names: Some(Asking::new(names)), ..self }
    }

    /// Whether somebody is asked for names, so that whatever masks a text may block.
    #[must_use]
    pub fn asks_for_names(&self) -> bool {
        self.names.is_some()
    }

    /// Whether all that was asked for names has been answered. If not, some of a text is missing, and no more of the exchange may go on.
    ///
    /// # Errors
    /// When it has not.
    pub fn answered(&self) -> Result<(), NoAnswer> {
        self.names.as_ref().map_or(Ok(()), Asking::answered)
    }

    /// How many values were masked, by the entity's name; `FIELD` are those that a field rule named.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A short text that stands by itself, masked. May block where names are looked for.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let (mut masker, mut masked) = (self.masker(), String::with_capacity(text.len()));
        masker.push(text, &mut masked);
        masker.finish(&mut masked);
        self.count(masker.counts());
        masked
    }

    /// The beginning of a text for the audit log, masked and not counted; `whole`: it is all of the text. May block where names are
    /// looked for.
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
    #[must_use]
    pub fn quiet(&self) -> Self {
        Self {
            rules: Arc::clone(&self.rules),
            fields: Arc::clone(&self.fields),
            key: Arc::clone(&self.key),
            names: self.names.clone(),
            counts: Arc::clone(&self.counts),
            counting: false,
        }
    }

    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(super) fn masker(&self) -> Masker {
        let sentences = self.names.clone().map(Sentences::new);
        Masker::new(Arc::clone(&self.rules), Arc::clone(&self.key)).with(sentences)
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
