//! Which values of a stream's events are pieces of a text, of which text, and when that text ends. By shape, not by configuration:
//! servers of one dialect answer in another's often enough.

mod blocks;
mod gemini;
mod openai;
mod others;

use super::{
    event::Leaf,
    json::{Path, Step},
    shape::Shape,
};

pub(super) use gemini::alone;

/// What carries the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// Server-sent events: an unknown one with a text is taken for a piece of a text.
    Events,
    /// Lines or messages: an unknown one is taken for a record, unless it says that it is a piece.
    Records,
}

/// What an event is to the texts of its stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Whose JSON it is.
    pub(super) shape: Shape,
    /// Values that are pieces, by their place among the event's.
    pub(super) pieces: Vec<Piece>,
    /// Texts whose names begin so end with this event.
    pub(super) ends: Vec<String>,
    /// Whether it says again what pieces have said.
    pub(super) again: bool,
    /// The value that counts the stream's events.
    pub(super) sequence: Option<usize>,
}

impl Default for Reading {
    fn default() -> Self {
        Self { shape: Shape::Interface, pieces: Vec::new(), ends: Vec::new(), again: false, sequence: None }
    }
}

impl Reading {
    fn piece(&mut self, leaf: usize, lane: String, nested: bool) {
        self.pieces.push(Piece { leaf, lane, nested });
    }

    fn ends_all(&mut self) {
        self.ends.push(String::new());
    }
}

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) leaf: usize,
    /// The text's name within the stream.
    pub(super) lane: String,
    /// Whether the text is JSON.
    pub(super) nested: bool,
}

/// Reads an event.
pub(super) fn read(leaves: &[Leaf], carrier: Carrier) -> Reading {
    let kind = string(leaves, "type").or_else(|| string(leaves, "event_type"));
    let object = string(leaves, "object").unwrap_or_default();
    match kind {
        Some(kind) if blocks::is_anthropic(kind) && !top_is_piece(kind, leaves) => {
            blocks::anthropic(kind, leaves)
        }
        Some(kind) if blocks::is_cohere(kind) => blocks::cohere(kind, leaves),
        Some(kind) if kind.contains('.') => openai::responses(kind, leaves),
        _ if object.starts_with("thread.") => openai::assistants(object, leaves),
        _ if under(leaves, "choices") => openai::chat(leaves),
        _ if under(leaves, "candidates") || under(leaves, "serverContent") => gemini::gemini(leaves),
        _ if leaves.iter().any(|leaf| is(&leaf.path, &["token", "text"])) => others::text_generation(leaves),
        _ if top(leaves, "done").is_some() && others::is_ollama(leaves) => others::ollama(leaves),
        _ => others::unknown(leaves, carrier),
    }
}

/// Whether an event only has the name of one of Anthropic's: `error` and `ping` are everybody's.
fn top_is_piece(kind: &str, leaves: &[Leaf]) -> bool {
    matches!(kind, "error" | "ping") && string(leaves, "delta").is_some()
}

/// Whether a path is these keys and nothing else.
fn is(path: &Path, keys: &[&str]) -> bool {
    let steps = path.steps();
    steps.len() == keys.len()
        && steps.iter().zip(keys).all(|(step, key)| matches!(step, Step::Key(name) if name == key))
}

fn place(leaves: &[Leaf], key: &str) -> Option<usize> {
    leaves.iter().position(|leaf| is(&leaf.path, &[key]))
}

fn top<'a>(leaves: &'a [Leaf], key: &str) -> Option<&'a Leaf> {
    leaves.iter().find(|leaf| is(&leaf.path, &[key]))
}

fn string<'a>(leaves: &'a [Leaf], key: &str) -> Option<&'a str> {
    top(leaves, key).filter(|leaf| leaf.is_string).map(|leaf| leaf.text.as_str())
}

fn under(leaves: &[Leaf], key: &str) -> bool {
    leaves.iter().any(|leaf| matches!(leaf.path.steps().first(), Some(Step::Key(first)) if first == key))
}

/// The value under `key` in the object at `place`.
fn sibling<'a>(place: &[Step], key: &str, leaves: &'a [Leaf]) -> Option<&'a Leaf> {
    leaves.iter().find(|leaf| match leaf.path.steps().split_last() {
        Some((Step::Key(last), before)) => last == key && before == place,
        _ => false,
    })
}

/// What an element says its own index is, which holds over the events of a stream; its place does not.
fn index_of(place: &[Step], leaves: &[Leaf]) -> Option<String> {
    sibling(place, "index", leaves).map(|leaf| leaf.text.clone())
}

fn choice(path: &Path, leaves: &[Leaf]) -> Option<String> {
    match path.steps() {
        [Step::Key(first), Step::Index(place), ..] if first == "choices" => {
            Some(index_of(path.steps().get(..2)?, leaves).unwrap_or_else(|| place.to_string()))
        }
        _ => None,
    }
}

/// The path from `from` on, elements named by the index they say they have.
fn name(path: &Path, leaves: &[Leaf], from: usize) -> String {
    let mut name = String::new();
    for (at, step) in path.steps().iter().enumerate().skip(from) {
        match step {
            Step::Key(key) => name.push_str(key),
            Step::Index(place) => {
                let own = index_of(path.steps().get(..=at).unwrap_or_default(), leaves);
                name.push_str(&own.unwrap_or_else(|| place.to_string()));
            }
        }
        name.push('/');
    }
    name
}
