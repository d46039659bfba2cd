//! One stream of text: pieces in, masked text out, nothing let go of that a later character could still make a value.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    entity::{Entity, Group},
    find::{self, Body, Found, Site, What},
    input::Input,
    labels::Columns,
    names::Sentences,
    rules::Rules,
    scan::{Stop, Walk},
    style::{self, Hash, Key},
    swallow::Swallow,
    view::View,
};

/// What is kept of the decided text to look back on, in bytes.
const KEEP: usize = 192;
/// A card's codes stand within so many bytes of its number; so does a secret of its key.
const NEAR: u64 = 240;
/// Nothing but a space or a comma and a space.
const BESIDE: u64 = 3;

/// Masks one stream of text, however it is cut.
pub struct Masker {
    rules: Arc<Rules>,
    key: Arc<Key>,
    view: View,
    columns: Columns,
    swallow: Option<Under>,
    counts: BTreeMap<String, u64>,
    /// How many bytes of the view were decided before those now known.
    passed: u64,
    card: Option<u64>,
    access_key: Option<u64>,
    /// Where the last value ended.
    fence: u64,
    /// Holds what is decided until names in it are found, where they are looked for.
    sentences: Option<Sentences>,
}

/// An open-ended value under way.
struct Under {
    swallow: Swallow,
    what: What,
    hash: Option<Hash>,
}

impl Masker {
    /// A stream under `rules`; `key` is the session's, for hashes.
    #[must_use]
    pub fn new(rules: Arc<Rules>, key: Arc<Key>) -> Self {
        Self {
            rules,
            key,
            view: View::default(),
            columns: Columns::default(),
            swallow: None,
            counts: BTreeMap::new(),
            passed: 0,
            card: None,
            access_key: None,
            fence: 0,
            sentences: None,
        }
    }

    /// The same, in which names are looked for too.
    pub(super) fn with(self, sentences: Option<Sentences>) -> Self {
        Self { sentences, ..self }
    }

    /// Takes a piece, and writes out all that no later piece can change.
    pub fn push(&mut self, piece: &str, out: &mut String) {
        self.view.push(piece);
        let Some(mut sentences) = self.sentences.take() else { return self.advance(false, out) };
        self.advance(false, sentences.input());
        sentences.release(false, (self.rules.style(), &self.key), &mut self.counts, out);
        self.sentences = Some(sentences);
    }

    /// What stands before the text and is no part of it: the key that it stands under.
    pub(super) fn after(&mut self, context: &str) {
        self.view.push(context);
        let known = self.view.seen().len();
        self.columns.take(self.view.seen());
        self.view.release(known, KEEP);
        self.passed += known as u64;
    }

    /// The text is at its end: decides what was held. The masker is ready for another text.
    pub fn finish(&mut self, out: &mut String) {
        let Some(mut sentences) = self.sentences.take() else { return self.end(out) };
        self.end(sentences.input());
        sentences.release(true, (self.rules.style(), &self.key), &mut self.counts, out);
        self.sentences = Some(sentences);
    }

    fn end(&mut self, out: &mut String) {
        self.advance(true, out);
        // Nothing is held any more; if it were, it would be masked.
        self.abort(out);
    }

    /// The text was cut off: what is held might have become a value, and is masked, not written out.
    pub fn abort(&mut self, out: &mut String) {
        self.end_swallow(out);
        let mut held = self.sentences.as_mut().map(Sentences::take).unwrap_or_default();
        held.push_str(self.view.held());
        if !held.trim().is_empty() {
            style::write(self.rules.style(), &self.key, "MASKED", &held, held.as_bytes(), true, out);
        }
        self.forget();
    }

    /// How many values were masked, by the entity's name.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// How many bytes are held back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.view.held().len() + self.sentences.as_ref().map_or(0, Sentences::held)
    }

    fn forget(&mut self) {
        self.view = View::default();
        self.columns = Columns::default();
        self.swallow = None;
        self.passed = 0;
        self.card = None;
        self.access_key = None;
        self.fence = 0;
    }

    fn advance(&mut self, last: bool, out: &mut String) {
        let mut view = std::mem::take(&mut self.view);
        let decided = self.decide(&view, last, out);
        view.release(decided, KEEP);
        self.passed += (decided - view.behind().min(decided)) as u64;
        self.view = view;
    }

    /// Decides as much of the view as can be; returns how far.
    fn decide(&mut self, view: &View, last: bool, out: &mut String) -> usize {
        let seen = view.seen();
        let rules = Arc::clone(&self.rules);
        let input = Input::new(seen, last);
        let walk = Walk { text: seen, last, rules: &rules };
        let (mut at, mut read) = (view.behind(), view.behind());
        // How much of the held text is written out or masked.
        let mut written = 0;
        let emit = |from: usize, to: usize, out: &mut String| {
            out.push_str(view.held().get(from..view.origin(to)).unwrap_or_default());
        };
        loop {
            if let Some(under) = &mut self.swallow {
                let end = under.swallow.consume(seen, at, last);
                if let Some(hash) = &mut under.hash {
                    hash.take(seen.get(at..end.at).unwrap_or_default());
                }
                if matches!(under.what, What::Nothing) {
                    emit(written, end.at, out);
                }
                self.columns.take(seen.get(read..end.at).unwrap_or_default());
                (written, at, read) = (view.origin(end.at), end.at, end.at);
                self.fence = self.passed + end.at as u64;
                if !end.over {
                    return at;
                }
                self.end_swallow(out);
            }
            let (candidate, only_named) = match walk.next(at) {
                Stop::Candidate(candidate) => (candidate, false),
                Stop::Named(candidate) => (candidate, true),
                Stop::Held(held) => {
                    emit(written, held, out);
                    self.columns.take(seen.get(read..held).unwrap_or_default());
                    return held;
                }
            };
            self.columns.take(seen.get(read..candidate).unwrap_or_default());
            read = candidate;
            let found = self.look(&input, candidate, only_named, &rules);
            if input.starved() {
                emit(written, candidate, out);
                return candidate;
            }
            match found {
                Some(found) => {
                    emit(written, found.start, out);
                    self.columns.take(seen.get(read..found.end).unwrap_or_default());
                    self.mask(found, view, out);
                    (written, at, read) = (view.origin(found.end), found.end, found.end);
                }
                None => at = walk.skip(candidate).max(next_char(seen, candidate)),
            }
        }
    }

    /// What begins at `at`.
    fn look(&self, input: &Input<'_>, at: usize, only_named: bool, rules: &Rules) -> Option<Found> {
        let mut site = Site::new(input, at, rules, &self.columns);
        let now = self.passed + at as u64;
        let within =
            |mark: Option<u64>, distance: u64| mark.is_some_and(|m| now.saturating_sub(m) <= distance);
        site.near_card = within(self.card, NEAR);
        site.beside_card = within(self.card, BESIDE);
        site.fence = usize::try_from(self.fence.saturating_sub(self.passed)).unwrap_or(0);
        site.near_key = within(self.access_key, NEAR);
        let found = if only_named { find::named(&site) } else { find::at(&site) }?;
        // Where a value ends must not depend on what is not there yet.
        if found.goes_on.is_none() {
            input.byte(found.end);
        }
        Some(found)
    }

    fn mask(&mut self, found: Found, view: &View, out: &mut String) {
        let end = self.passed + found.end as u64;
        match found.what {
            What::Entity(Entity::CreditCard) => self.card = Some(end),
            What::Entity(Entity::AwsAccessKey) => self.access_key = Some(end),
            _ => {}
        }
        let raw = view.held().get(view.origin(found.start)..view.origin(found.end)).unwrap_or_default();
        let seen = view.seen().get(found.start..found.end).unwrap_or_default();
        self.fence = end;
        if matches!(found.what, What::Nothing) {
            out.push_str(raw);
        } else {
            *self.counts.entry(self.name(found.what)).or_default() += 1;
        }
        match found.goes_on {
            Some(body) => self.begin(body, found.what, seen, out),
            None if matches!(found.what, What::Nothing) => {}
            None => {
                let secret = matches!(found.what, What::Entity(e) if e.group() == Group::Secrets);
                style::write(self.rules.style(), &self.key, &self.name(found.what), raw, seen, secret, out);
            }
        }
    }

    fn begin(&mut self, body: Body, what: What, seen: &[u8], out: &mut String) {
        let hash = match what {
            What::Nothing => None,
            _ => style::begin(self.rules.style(), &self.key, &self.name(what), seen, out),
        };
        self.swallow = Some(Under { swallow: Swallow::new(body), what, hash });
    }

    fn end_swallow(&mut self, out: &mut String) {
        if let Some(under) = self.swallow.take()
            && let Some(hash) = under.hash
        {
            hash.write(&self.name(under.what), out);
        }
    }

    fn name(&self, what: What) -> String {
        match what {
            What::Entity(entity) => entity.name().to_owned(),
            What::Custom(index) => self.rules.custom_name(index).to_owned(),
            What::Nothing => String::new(),
        }
    }
}

/// Where the character after the one at `at` begins.
fn next_char(seen: &[u8], at: usize) -> usize {
    let mut next = at + 1;
    while seen.get(next).is_some_and(|b| b & 0xC0 == 0x80) {
        next += 1;
    }
    next
}
