//! Entities of one's own: a bounded regular expression, perhaps a check, perhaps words that must stand before it.

use regex_automata::{
    Anchored, Input as Haystack,
    dfa::{Automaton, dense},
    util::start,
};
use regex_syntax::hir::{Hir, HirKind};

use super::{check, input::Input};

/// No value is longer, in bytes.
const LONGEST: usize = 512;
/// No automaton takes more memory, in bytes.
const AUTOMATON: usize = 2 << 20;

/// A check that a value's digits must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validator {
    /// ISO/IEC 7812-1.
    Luhn,
    /// ISO/IEC 7064 MOD 97-10, the check digits last.
    Mod97,
    /// ISO/IEC 7064 MOD 11,10.
    Mod11,
    /// Verhoeff's.
    Verhoeff,
}

impl Validator {
    /// Every validator.
    pub const ALL: [Self; 4] = [Self::Luhn, Self::Mod97, Self::Mod11, Self::Verhoeff];

    /// The name as configuration says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Luhn => "luhn",
            Self::Mod97 => "mod97",
            Self::Mod11 => "mod11",
            Self::Verhoeff => "verhoeff",
        }
    }

    fn accepts(self, value: &[u8]) -> bool {
        let digits: Vec<u8> = value.iter().filter(|b| b.is_ascii_digit()).map(|b| b - b'0').collect();
        match self {
            Self::Luhn => check::luhn(&digits),
            Self::Mod97 => !digits.is_empty() && check::modulo(&digits, 97) == 1,
            Self::Mod11 => check::mod_11_10(&digits),
            Self::Verhoeff => !digits.is_empty() && check::verhoeff(&digits),
        }
    }
}

/// Why a custom entity cannot be.
#[derive(Debug, thiserror::Error)]
pub enum CustomError {
    /// Labels show the name: it must read like one.
    #[error("`{0}` is not a name: write 2 to 40 of A-Z, 0-9 and _, a letter first")]
    Name(String),
    /// The name is taken.
    #[error("`{0}` is the name of a built-in entity")]
    Taken(String),
    /// The expression is no regular expression.
    #[error("the pattern is not a regular expression: {0}")]
    Syntax(String),
    /// A stream would have to be held for as long as it lasts.
    #[error(
        "the pattern has no longest match: say how often at most, as in `[0-9]{{6,12}}` instead of `[0-9]+`"
    )]
    Unbounded,
    /// Longer than anything is held.
    #[error("the pattern can match {0} bytes; at most {LONGEST} are held back")]
    TooLong(usize),
    /// Nothing cannot be masked.
    #[error("the pattern can match nothing: let it match at least two characters")]
    TooShort,
    /// Boundaries are added anyway.
    #[error(
        "the pattern looks around itself (`^`, `$`, `\\b`): leave that out, a value always ends where a word ends"
    )]
    Looks,
    /// Its automaton would not fit.
    #[error(
        "the pattern is too complex: its automaton takes more than 2 MiB; shorten its repetitions or classes"
    )]
    Complex,
    /// A label that says nothing.
    #[error("`{0}` is not a label: write one to five words")]
    Label(String),
}

/// A custom entity as configuration says it.
#[derive(Clone, Debug)]
pub struct Custom {
    name: String,
    automaton: dense::DFA<Vec<u32>>,
    validator: Option<Validator>,
    labels: Vec<String>,
    longest: usize,
    first: Vec<bool>,
}

impl Custom {
    /// Compiles an entity named `name`; with `labels`, one of them must stand before a value.
    ///
    /// # Errors
    /// When the pattern has no longest match, or a longer one than 512 bytes, or is too complex.
    pub fn new(
        name: &str,
        pattern: &str,
        validator: Option<Validator>,
        labels: &[String],
    ) -> Result<Self, CustomError> {
        named(name)?;
        let hir =
            regex_syntax::ParserBuilder::new().utf8(true).build().parse(pattern).map_err(|e| {
                CustomError::Syntax(e.to_string().lines().last().unwrap_or_default().to_owned())
            })?;
        let longest = bounded(&hir)?;
        let labels = labels.iter().map(|l| label(l)).collect::<Result<_, _>>()?;
        let automaton = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .start_kind(regex_automata::dfa::StartKind::Anchored)
                    .dfa_size_limit(Some(AUTOMATON))
                    .determinize_size_limit(Some(AUTOMATON * 2)),
            )
            .thompson(regex_automata::nfa::thompson::Config::new().nfa_size_limit(Some(AUTOMATON)))
            .build(pattern)
            .map_err(|_| CustomError::Complex)?;
        let first = firsts(&automaton);
        Ok(Self { name: name.to_owned(), automaton, validator, labels, longest, first })
    }

    /// The name in labels.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a value may begin with `byte`.
    pub(super) fn begins(&self, byte: u8) -> bool {
        self.first.get(usize::from(byte)).copied().unwrap_or(false)
    }

    /// Where the value that begins at `at` ends: the longest match that ends where a word ends.
    pub(super) fn read(&self, input: &Input<'_>, at: usize, before: &[u8]) -> Option<usize> {
        if !self.begins(input.byte(at)) || !self.labelled(before) {
            return None;
        }
        let start = start::Config::new().anchored(Anchored::Yes);
        let mut state = self.automaton.start_state(&start).ok()?;
        let mut ends = Vec::new();
        for end in at..=at + self.longest {
            let byte = input.byte(end);
            if end >= input.known() || end == at + self.longest {
                if self.automaton.is_match_state(self.automaton.next_eoi_state(state)) {
                    ends.push(end);
                }
                break;
            }
            // A match is seen one byte late.
            state = self.automaton.next_state(state, byte);
            if self.automaton.is_match_state(state) {
                ends.push(end);
            }
            if self.automaton.is_dead_state(state) || self.automaton.is_quit_state(state) {
                break;
            }
        }
        ends.into_iter().rev().find(|end| {
            let value = input.slice(at, *end);
            let worded = value.last().is_some_and(u8::is_ascii_alphanumeric);
            (!worded || input.closes(*end)) && self.validator.is_none_or(|v| v.accepts(value))
        })
    }

    fn labelled(&self, before: &[u8]) -> bool {
        self.labels.is_empty() || {
            let line = before.rsplit(|b| *b == b'\n').next().unwrap_or_default();
            let squeezed = squeeze(&String::from_utf8_lossy(line));
            self.labels.iter().any(|l| squeezed.contains(l.as_str()))
        }
    }
}

fn named(name: &str) -> Result<(), CustomError> {
    let good = (2..=40).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && name.starts_with(|c: char| c.is_ascii_uppercase());
    if !good {
        return Err(CustomError::Name(name.to_owned()));
    }
    if super::Entity::ALL.iter().any(|e| e.name() == name) {
        return Err(CustomError::Taken(name.to_owned()));
    }
    Ok(())
}

/// The longest match in bytes.
fn bounded(hir: &Hir) -> Result<usize, CustomError> {
    if looks(hir) {
        return Err(CustomError::Looks);
    }
    let properties = hir.properties();
    match (properties.minimum_len(), properties.maximum_len()) {
        (_, None) => Err(CustomError::Unbounded),
        (None | Some(0 | 1), _) => Err(CustomError::TooShort),
        (_, Some(most)) if most > LONGEST => Err(CustomError::TooLong(most)),
        (_, Some(most)) => Ok(most),
    }
}

fn looks(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Look(_) => true,
        HirKind::Repetition(r) => looks(&r.sub),
        HirKind::Capture(c) => looks(&c.sub),
        HirKind::Concat(all) | HirKind::Alternation(all) => all.iter().any(looks),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => false,
    }
}

/// The bytes a match may begin with.
fn firsts(automaton: &dense::DFA<Vec<u32>>) -> Vec<bool> {
    let start = automaton.start_state_forward(&Haystack::new("").anchored(Anchored::Yes));
    (0..=u8::MAX)
        .map(|byte| start.as_ref().is_ok_and(|s| !automaton.is_dead_state(automaton.next_state(*s, byte))))
        .collect()
}

fn label(label: &str) -> Result<String, CustomError> {
    let squeezed = squeeze(label);
    let words = label.split_whitespace().count();
    if squeezed.is_empty() || squeezed.len() > 60 || !(1..=5).contains(&words) {
        return Err(CustomError::Label(label.to_owned()));
    }
    Ok(squeezed)
}

fn squeeze(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
