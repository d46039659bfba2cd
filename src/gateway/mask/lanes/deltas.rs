//! Which values of a stream's events are pieces of a text, of which text, and when that text ends. By shape, not by configuration:
//! servers of one dialect answer in another's often enough.

use super::{
    event::Leaf,
    json::{Path, Step},
};

/// What an event is to the texts of its stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// Values that are pieces, by their place among the event's.
    pub(super) pieces: Vec<Piece>,
    /// Texts whose names begin so end with this event.
    pub(super) ends: Vec<String>,
    /// Whether it says again what pieces have said.
    pub(super) again: bool,
    /// The value that counts the stream's events.
    pub(super) sequence: Option<usize>,
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

/// Reads an event; `None` when it is of no known shape.
pub(super) fn read(leaves: &[Leaf]) -> Option<Reading> {
    let kind = string(leaves, "type").or_else(|| string(leaves, "event_type"));
    match kind {
        Some(kind) if is_anthropic(kind) => Some(anthropic(kind, leaves)),
        Some(kind) if is_cohere(kind) => Some(cohere(kind, leaves)),
        Some(kind) if kind.contains('.') => Some(responses(kind, leaves)),
        _ if under(leaves, "choices") => Some(chat(leaves)),
        _ if under(leaves, "candidates") => Some(gemini(leaves)),
        _ if leaves.iter().any(|leaf| is(&leaf.path, &["token", "text"])) => Some(text_generation(leaves)),
        _ if top(leaves, "done").is_some() => Some(ollama(leaves)),
        _ => None,
    }
}

/// OpenAI's chat completions and completions, and everything made after them.
fn chat(leaves: &[Leaf]) -> Reading {
    let mut reading = Reading::default();
    for (at, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| leaf.is_string) {
        let (Some(choice), Some(last)) = (choice(&leaf.path, leaves), leaf.path.key()) else { continue };
        let steps = leaf.path.steps();
        let in_delta = matches!(steps.get(2), Some(Step::Key(key)) if key == "delta");
        if matches!(last, "finish_reason") && steps.len() == 3 {
            reading.ends.push(format!("choices/{choice}/"));
        } else if (in_delta
            && !matches!(last, "role" | "id" | "type" | "name" | "data" | "format" | "signature"))
            || (last == "text" && steps.len() == 3)
        {
            let lane = format!("choices/{choice}/{}", name(&leaf.path, leaves, 2));
            reading.pieces.push(Piece { leaf: at, lane, nested: last == "arguments" });
        }
    }
    reading
}

/// OpenAI's responses and realtime events: `response.output_text.delta`, `….done`.
fn responses(kind: &str, leaves: &[Leaf]) -> Reading {
    let mut reading = Reading { sequence: place(leaves, "sequence_number"), ..Reading::default() };
    let of = |kind: &str| {
        let ids = ["item_id", "output_index", "content_index", "summary_index"];
        let ids: Vec<&str> =
            ids.iter().map(|id| top(leaves, id).map_or("", |leaf| leaf.text.as_str())).collect();
        format!("{kind}/{}/", ids.join("/"))
    };
    if let Some(of_what) = kind.strip_suffix(".delta") {
        // Sound and pictures in base64.
        let bytes = of_what.ends_with("audio") || of_what.contains("image");
        if let Some(leaf) = place(leaves, "delta").filter(|_| !bytes) {
            let nested = of_what.contains("arguments");
            reading.pieces.push(Piece { leaf, lane: of(of_what), nested });
        }
    } else if let Some(of_what) = kind.strip_suffix(".done") {
        let whole = matches!(of_what, "response" | "response.output_item" | "response.content_part");
        reading.ends.push(if whole { String::new() } else { of(of_what) });
        reading.again = true;
    } else if matches!(
        kind,
        "response.completed" | "response.failed" | "response.incomplete" | "response.cancelled"
    ) {
        reading.ends.push(String::new());
        reading.again = true;
    }
    reading
}

fn is_anthropic(kind: &str) -> bool {
    matches!(
        kind,
        "message_start"
            | "content_block_start"
            | "content_block_delta"
            | "content_block_stop"
            | "message_delta"
            | "message_stop"
            | "ping"
            | "error"
    )
}

/// Anthropic's messages.
fn anthropic(kind: &str, leaves: &[Leaf]) -> Reading {
    let mut reading = Reading::default();
    let block = top(leaves, "index").map_or("", |leaf| leaf.text.as_str());
    match kind {
        "content_block_start" | "content_block_delta" => {
            let within = if kind == "content_block_start" { "content_block" } else { "delta" };
            for field in ["text", "thinking", "partial_json"] {
                let found = leaves.iter().position(|leaf| leaf.is_string && is(&leaf.path, &[within, field]));
                if let Some(leaf) = found {
                    let nested = field == "partial_json";
                    reading.pieces.push(Piece { leaf, lane: format!("block/{block}/{field}"), nested });
                }
            }
        }
        "content_block_stop" => reading.ends.push(format!("block/{block}/")),
        "message_delta" | "message_stop" | "error" => reading.ends.push(String::new()),
        _ => {}
    }
    reading
}

fn is_cohere(kind: &str) -> bool {
    matches!(
        kind,
        "content-delta"
            | "content-end"
            | "tool-call-delta"
            | "tool-call-end"
            | "tool-plan-delta"
            | "message-end"
            | "text-generation"
            | "stream-end"
    )
}

/// Cohere's chat, both versions.
fn cohere(kind: &str, leaves: &[Leaf]) -> Reading {
    let mut reading = Reading::default();
    let index = top(leaves, "index").map_or("", |leaf| leaf.text.as_str());
    for (at, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| leaf.is_string) {
        let in_delta = matches!(leaf.path.steps().first(), Some(Step::Key(key)) if key == "delta");
        let last = leaf.path.key().unwrap_or_default();
        let piece = in_delta && matches!(last, "text" | "thinking" | "arguments" | "tool_plan");
        if piece || (kind == "text-generation" && is(&leaf.path, &["text"])) {
            reading.pieces.push(Piece {
                leaf: at,
                lane: format!("{index}/{last}"),
                nested: last == "arguments",
            });
        }
    }
    match kind {
        "content-end" | "tool-call-end" => reading.ends.push(format!("{index}/")),
        "message-end" | "stream-end" => reading.ends.push(String::new()),
        _ => {}
    }
    reading
}

/// Gemini's `streamGenerateContent`.
fn gemini(leaves: &[Leaf]) -> Reading {
    let mut reading = Reading::default();
    for (at, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| leaf.is_string) {
        let steps = leaf.path.steps();
        let [Step::Key(first), Step::Index(place), ..] = steps else { continue };
        if first != "candidates" {
            continue;
        }
        let candidate =
            index_of(steps.get(..2).unwrap_or_default(), leaves).unwrap_or_else(|| place.to_string());
        if steps.len() == 3 && leaf.path.key() == Some("finishReason") {
            reading.ends.push(format!("candidates/{candidate}/"));
        } else if leaf.path.key() == Some("text") && steps.len() == 6 {
            let part = steps.get(..5).unwrap_or_default();
            let thought = sibling(part, "thought", leaves).is_some_and(|leaf| leaf.text == "true");
            let lane = format!("candidates/{candidate}/{}", if thought { "thought" } else { "text" });
            reading.pieces.push(Piece { leaf: at, lane, nested: false });
        }
    }
    reading
}

/// Hugging Face's text generation inference: one token an event.
fn text_generation(leaves: &[Leaf]) -> Reading {
    let pieces = leaves.iter().position(|leaf| leaf.is_string && is(&leaf.path, &["token", "text"]));
    let pieces = pieces.map(|leaf| Piece { leaf, lane: "token".to_owned(), nested: false });
    let done = top(leaves, "generated_text").is_some_and(|leaf| leaf.is_string);
    Reading {
        pieces: pieces.into_iter().collect(),
        ends: done.then(String::new).into_iter().collect(),
        again: done,
        sequence: None,
    }
}

/// Ollama's lines.
fn ollama(leaves: &[Leaf]) -> Reading {
    let mut reading = Reading::default();
    for path in [&["message", "content"][..], &["message", "thinking"], &["response"], &["thinking"]] {
        if let Some(leaf) = leaves.iter().position(|leaf| leaf.is_string && is(&leaf.path, path)) {
            reading.pieces.push(Piece { leaf, lane: path.join("/"), nested: false });
        }
    }
    if top(leaves, "done").is_some_and(|leaf| leaf.text == "true") {
        reading.ends.push(String::new());
    }
    reading
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
