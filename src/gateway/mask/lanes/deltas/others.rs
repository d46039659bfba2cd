//! Interfaces with one text, and streams that nobody has described.

use super::{Carrier, Reading, is, name, string, top};
use crate::gateway::mask::lanes::{event::Leaf, json::Step, shape::Shape};

/// Keys under which unknown servers write pieces of a text.
const PIECES: [&str; 15] = [
    "answer",
    "chunk",
    "completion",
    "content",
    "delta",
    "generated_text",
    "inputTextDelta",
    "output_text",
    "partial_json",
    "reasoning",
    "response",
    "text",
    "text_output",
    "thinking",
    "token",
];
/// Keys that only a piece has.
const ALWAYS_PIECES: [&str; 4] = ["chunk", "delta", "inputTextDelta", "token"];
/// Keys that tell whether a text goes on.
const FLAGS: [&str; 8] = ["done", "final", "finished", "isFinal", "is_final", "last", "sequence_end", "stop"];
/// Keys that tell which text a piece belongs to, and are the same for all of its pieces.
const OWNERS: [&str; 6] = ["event", "item_id", "messageId", "message_id", "toolCallId", "type"];
/// How the kinds of events end that end a text.
const ENDS: [&str; 6] = ["end", "done", "stop", "finish", "finished", "completed"];

/// Hugging Face's text generation inference: one token an event, and the whole text with the last.
pub(super) fn text_generation(leaves: &[Leaf]) -> Reading {
    let mut reading = Reading::default();
    if let Some(leaf) = leaves.iter().position(|leaf| leaf.is_string && is(&leaf.path, &["token", "text"])) {
        reading.piece(leaf, "token".to_owned(), false);
    }
    if string(leaves, "generated_text").is_some() {
        reading.again = true;
        reading.ends_all();
    }
    reading
}

/// Whether a line with `done` is one of Ollama's.
pub(super) fn is_ollama(leaves: &[Leaf]) -> bool {
    let known = |path: &[&str]| leaves.iter().any(|leaf| is(&leaf.path, path));
    known(&["message", "content"]) || known(&["response"]) || known(&["done_reason"])
}

/// Ollama's lines.
pub(super) fn ollama(leaves: &[Leaf]) -> Reading {
    let mut reading = Reading::default();
    for path in [&["message", "content"][..], &["message", "thinking"], &["response"], &["thinking"]] {
        if let Some(leaf) = leaves.iter().position(|leaf| leaf.is_string && is(&leaf.path, path)) {
            reading.piece(leaf, path.join("/"), false);
        }
    }
    if top(leaves, "done").is_some_and(|leaf| leaf.text == "true") {
        reading.ends_all();
    }
    reading
}

/// Events of no known shape: what may be a piece of a text is one, for a value cut in two by two events must not pass.
pub(super) fn unknown(leaves: &[Leaf], carrier: Carrier) -> Reading {
    let mut reading = Reading { shape: Shape::Any, ..Reading::default() };
    let flag = FLAGS.iter().find_map(|flag| {
        top(leaves, flag).filter(|leaf| !leaf.is_string && matches!(leaf.text.as_str(), "true" | "false"))
    });
    let pieces: &[&str] = if carrier == Carrier::Events || flag.is_some() { &PIECES } else { &ALWAYS_PIECES };
    let owners: Vec<&str> =
        OWNERS.iter().filter_map(|owner| top(leaves, owner)).map(|leaf| leaf.text.as_str()).collect();
    for (at, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| leaf.is_string) {
        let keyed = leaf.path.key().is_some_and(|key| pieces.contains(&key));
        let in_delta = leaf.path.steps().iter().any(|step| matches!(step, Step::Key(key) if key == "delta"));
        let named = matches!(leaf.path.key(), Some("id" | "name" | "role" | "type"));
        if keyed || in_delta && !named {
            let nested = leaf.path.key() == Some("partial_json");
            reading.piece(at, format!("{}/{}", owners.join("/"), name(&leaf.path, leaves, 0)), nested);
        }
    }
    let kind =
        ["type", "event"].iter().find_map(|key| string(leaves, key)).unwrap_or_default().to_lowercase();
    if flag.is_some_and(|flag| flag.text == "true") || ENDS.iter().any(|end| kind.ends_with(end)) {
        reading.ends_all();
    }
    reading
}
