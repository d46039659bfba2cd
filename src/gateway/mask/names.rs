//! What has no form, such as a name: sentences are held until somebody who can tell has said where it stands in them.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use super::style::{self, Key, Style};

/// The longest sentence, in bytes; what is longer is cut where a word ends.
pub const LONGEST_SENTENCE: usize = 4096;

/// Sentences that are remembered with what was found in them, in bytes: answers end with copies of what they said.
const REMEMBERED: usize = 256 * 1024;

/// A full stop behind fewer letters, the first a capital, ends an abbreviation and not a sentence.
const SHORTEST_LAST_WORD: usize = 4;

/// What was found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it stands, in bytes, at the bounds of characters.
    pub range: Range<usize>,
    /// What it is, in capitals.
    pub entity: String,
}

/// Finds names and addresses.
pub trait Names: Send + Sync {
    /// Where they stand in `text`, which is at most [`LONGEST_SENTENCE`] bytes: in order, and none over another. Blocks for as long as
    /// it may take.
    ///
    /// # Errors
    /// When it cannot be told. Then the text goes to nobody.
    fn find(&self, text: &str) -> Result<Vec<Span>, NoAnswer>;
}

/// Where names stand could not be told. Why is said to the operator, by who could not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

/// Who is asked, and whether an answer ever failed to come: from then on nothing more of the exchange may go on.
#[derive(Clone)]
pub(super) struct Asking {
    names: Arc<dyn Names>,
    broken: Arc<OnceLock<NoAnswer>>,
    remembered: Arc<Mutex<Remembered>>,
}

/// Sentences and what was found in them.
#[derive(Default)]
struct Remembered {
    found: BTreeMap<String, Vec<Span>>,
    /// Of the sentences, together.
    bytes: usize,
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asking")
    }
}

impl Asking {
    pub(super) fn new(names: Arc<dyn Names>) -> Self {
        Self { names, broken: Arc::default(), remembered: Arc::default() }
    }

    /// Whether every answer has come.
    pub(super) fn answered(&self) -> Result<(), NoAnswer> {
        self.broken.get().map_or(Ok(()), |error| Err(*error))
    }

    fn find(&self, text: &str) -> Result<Vec<Span>, NoAnswer> {
        self.answered()?;
        // Numbers, signs and single letters are no names.
        let word = |pair: [char; 2]| pair.iter().all(|c| c.is_alphabetic());
        if !text.chars().zip(text.chars().skip(1)).any(|(a, b)| word([a, b])) {
            return Ok(Vec::new());
        }
        if let Some(found) = self.remembered().found.get(text) {
            return Ok(found.clone());
        }
        let found = self.names.find(text).and_then(|found| fit(text, found)).inspect_err(|error| {
            // Another text of the exchange may have been without an answer before.
            let _ = self.broken.set(*error);
        })?;
        let mut remembered = self.remembered();
        if remembered.bytes + text.len() <= REMEMBERED {
            remembered.bytes += text.len();
            remembered.found.insert(text.to_owned(), found.clone());
        }
        Ok(found)
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream of text, held to the ends of its sentences.
pub(super) struct Sentences {
    asking: Asking,
    held: String,
}

impl Sentences {
    pub(super) fn new(asking: Asking) -> Self {
        Self { asking, held: String::new() }
    }

    /// Where the stream goes on: what is written there is held.
    pub(super) fn input(&mut self) -> &mut String {
        &mut self.held
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Lets go of every sentence that is complete, all of the text if this is its end, with what was found in them replaced and counted.
    pub(super) fn release(
        &mut self,
        last: bool,
        (style, key): (Style, &Key),
        counts: &mut BTreeMap<String, u64>,
        out: &mut String,
    ) {
        let mut from = 0;
        while let Some(end) = sentence(self.held.get(from..).unwrap_or_default(), last) {
            let text = self.held.get(from..from + end).unwrap_or_default();
            let Ok(found) = self.asking.find(text) else {
                self.held.clear();
                return;
            };
            let mut at = 0;
            for Span { range, entity } in found {
                let raw = text.get(range.clone()).unwrap_or_default();
                out.push_str(text.get(at..range.start).unwrap_or_default());
                style::write(style, key, &entity, raw, raw.as_bytes(), false, out);
                at = range.end;
                *counts.entry(entity).or_default() += 1;
            }
            out.push_str(text.get(at..).unwrap_or_default());
            from += end;
        }
        self.held.drain(..from);
    }

    /// The text was cut: what is held is not let go.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Spans that fit the text: anything else is no answer.
fn fit(text: &str, found: Vec<Span>) -> Result<Vec<Span>, NoAnswer> {
    let mut at = 0;
    for Span { range, .. } in &found {
        if range.start < at || range.is_empty() || text.get(range.clone()).is_none() {
            return Err(NoAnswer);
        }
        at = range.end;
    }
    Ok(found)
}

/// Where the first sentence of `text` ends: a function of what it begins with alone, however the text comes. `None` while it may go on.
fn sentence(text: &str, last: bool) -> Option<usize> {
    let long = text.len() > LONGEST_SENTENCE;
    let seen = text.get(..text.floor_char_boundary(LONGEST_SENTENCE)).unwrap_or_default();
    let mut chars = seen.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        let after = at + char.len_utf8();
        match char {
            '\n' | '。' | '！' | '？' => return Some(after),
            '.' if ends_abbreviation(seen.get(..at).unwrap_or_default()) => {}
            '.' | '!' | '?' | '…' => {
                if let Some((space, next)) = chars.peek()
                    && next.is_whitespace()
                {
                    return Some(space + next.len_utf8());
                }
            }
            _ => {}
        }
    }
    if long {
        return Some(seen.rfind(char::is_whitespace).map_or(seen.len(), |at| at + 1).max(1));
    }
    (last && !text.is_empty()).then_some(text.len())
}

/// `Dr`, `St`, `J`: a name may follow the full stop.
fn ends_abbreviation(before: &str) -> bool {
    let letters = before.chars().rev().take_while(|c| c.is_alphabetic()).take(SHORTEST_LAST_WORD);
    let (count, first) = letters.fold((0, None), |(count, _), c| (count + 1, Some(c)));
    count < SHORTEST_LAST_WORD && first.is_some_and(char::is_uppercase)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;
    use crate::gateway::mask::{Masker, Masking, Rules};

    /// Finds `Alice` and `Ängström`, and remembers what it was asked; `down`: cannot tell.
    #[derive(Default)]
    struct Known {
        asked: Mutex<Vec<String>>,
        down: bool,
    }

    impl Names for Known {
        fn find(&self, text: &str) -> Result<Vec<Span>, NoAnswer> {
            self.asked.lock().unwrap().push(text.to_owned());
            if self.down {
                return Err(NoAnswer);
            }
            let mut found: Vec<Span> = ["Alice", "Ängström"]
                .iter()
                .flat_map(|name| text.match_indices(name))
                .map(|(at, name)| Span { range: at..at + name.len(), entity: "PERSON".to_owned() })
                .collect();
            found.sort_by_key(|span| span.range.start);
            Ok(found)
        }
    }

    fn masking(names: Arc<dyn Names>, style: Style) -> Masking {
        let rules = Arc::new(Rules::everything(style));
        Masking::new(rules, [].into(), Arc::new(Key::new(&[7; 32]))).with_names(names)
    }

    fn masked(masker: &mut Masker, pieces: &[&str]) -> String {
        let mut out = String::new();
        for piece in pieces {
            masker.push(piece, &mut out);
        }
        masker.finish(&mut out);
        out
    }

    #[test]
    fn names_are_replaced_and_counted_beside_what_has_a_form() {
        let names = Arc::new(Known::default());
        let masking = masking(names.clone(), Style::Label);
        let text = "Alice Ängström writes from alice@example.com. 4 + 4!\nShe is Dr. Alice. Bye";
        assert_eq!(
            masking.text(text),
            "[PERSON] [PERSON] writes from [EMAIL]. 4 + 4!\nShe is Dr. [PERSON]. Bye"
        );
        assert_eq!(masking.counts(), BTreeMap::from([("EMAIL".into(), 1), ("PERSON".into(), 3)]));
        let asked = names.asked.lock().unwrap().clone();
        // What has a form is not shown to who looks for names, and what has no letters is not asked.
        assert_eq!(asked, ["Alice Ängström writes from [EMAIL]. ", "She is Dr. Alice. ", "Bye"]);
    }

    #[test]
    fn nothing_is_let_go_before_its_sentence_ends() {
        let mut masker = masking(Arc::new(Known::default()), Style::Label).masker();
        let mut out = String::new();
        masker.push("It was Ali", &mut out);
        masker.push("ce who came", &mut out);
        assert_eq!(out, "");
        assert!(masker.held() > 10);
        masker.push(". And then", &mut out);
        assert_eq!(out, "It was [PERSON] who came. ");
        masker.abort(&mut out);
        assert_eq!(out, "It was [PERSON] who came. [MASKED]");
    }

    #[test]
    fn without_an_answer_nothing_more_goes_on() {
        let masking = Arc::new(masking(Arc::new(Known { down: true, ..Known::default() }), Style::Label));
        assert!(masking.answered().is_ok());
        let mut masker = masking.masker();
        assert_eq!(masked(&mut masker, &["1 + 1 = 2. ", "Alice came. ", "And went."]), "1 + 1 = 2. ");
        assert_eq!(masking.answered(), Err(NoAnswer));
        assert_eq!(masking.text("Anything."), "", "nor of any other text of the exchange");
    }

    #[test]
    fn what_is_said_twice_is_asked_once_and_no_more_is_remembered_than_fits() {
        let names = Arc::new(Known::default());
        let masking = masking(names.clone(), Style::Label);
        for _ in 0..3 {
            assert_eq!(masking.text("Alice came. Alice came. "), "[PERSON] came. [PERSON] came. ");
        }
        assert_eq!(names.asked.lock().unwrap().len(), 1);
        assert_eq!(masking.counts()["PERSON"], 6);
        let many: String = (0..3000).map(|n| format!("{n} {}.\n", "word ".repeat(40))).collect();
        assert!(many.len() > 2 * REMEMBERED);
        assert!(masking.text(&many).starts_with("0 word"));
        let remembered = masking.names.as_ref().unwrap().remembered();
        let bytes: usize = remembered.found.keys().map(String::len).sum();
        assert_eq!(bytes, remembered.bytes);
        assert!((REMEMBERED - 300..=REMEMBERED).contains(&bytes), "{bytes}");
    }

    #[test]
    fn spans_that_do_not_fit_are_no_answer() {
        let span = |range| Span { range, entity: "PERSON".to_owned() };
        for wrong in [vec![span(0..99)], vec![span(1..2)], vec![span(3..3)], vec![span(3..5), span(4..6)]] {
            assert_eq!(fit("Ängström", wrong.clone()), Err(NoAnswer), "{wrong:?}");
        }
        assert!(fit("Ängström", vec![span(0..2), span(2..3)]).is_ok());
    }

    #[test]
    fn a_text_without_sentences_is_cut_where_a_word_ends() {
        let names = Arc::new(Known::default());
        let text: String = (0..2000).map(|n| "wordy".repeat(n % 5 + 1) + " ").collect();
        assert_eq!(masking(names.clone(), Style::Label).text(&text), text);
        let asked = names.asked.lock().unwrap();
        assert!(asked.len() > 2 && asked.iter().all(|text| text.len() <= LONGEST_SENTENCE), "{asked:?}");
        assert!(asked.iter().all(|text| text.ends_with(' ')), "{asked:?}");
        let one = "ü".repeat(5000);
        assert_eq!(masking(Arc::new(Known::default()), Style::Label).text(&one), one);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_cut_gives_the_same_text_and_asks_the_same(
            text in "([A-Za-zÄö]{1,6}|Alice|Ängström|a@example\\.com|[.!?。]|[ \n]){0,40}",
            cuts in proptest::collection::vec(0_usize..200, 0..8),
        ) {
            let (whole, cut) = (Arc::new(Known::default()), Arc::new(Known::default()));
            let expected = masked(&mut masking(whole.clone(), Style::Hash).masker(), &[&text]);
            let mut cuts: Vec<usize> = cuts.iter().map(|at| text.floor_char_boundary(*at)).collect();
            cuts.sort_unstable();
            let mut at = 0;
            let mut pieces = Vec::new();
            for next in cuts.into_iter().chain([text.len()]) {
                pieces.push(&text[at..next]);
                at = next;
            }
            prop_assert_eq!(masked(&mut masking(cut.clone(), Style::Hash).masker(), &pieces), expected.clone());
            prop_assert_eq!(&*cut.asked.lock().unwrap(), &*whole.asked.lock().unwrap());
            prop_assert!(!expected.contains("Alice"));
        }
    }
}
