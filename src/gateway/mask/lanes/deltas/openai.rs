//! OpenAI's interfaces, and everything made after them.

use super::{Reading, choice, is, name, place, string, top, under};
use crate::gateway::mask::lanes::{
    event::Leaf,
    json::{Path, Step},
};

/// Keys of a delta whose values stand whole where they are.
const WHOLE: [&str; 7] = ["data", "format", "id", "name", "role", "signature", "type"];
/// Lists of a delta whose elements stand whole where they are.
const WHOLE_LISTS: [&str; 5] = ["annotations", "citations", "context", "images", "search_results"];

/// Chat completions and completions.
pub(super) fn chat(leaves: &[Leaf]) -> Reading {
    let mut reading = Reading::default();
    for (at, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| leaf.is_string) {
        let (Some(choice), Some(last)) = (choice(&leaf.path, leaves), leaf.path.key()) else { continue };
        let steps = leaf.path.steps();
        if last == "finish_reason" && steps.len() == 3 {
            reading.ends.push(format!("choices/{choice}/"));
        } else if last == "text" && steps.len() == 3 || is_piece_of_delta(&leaf.path, last) {
            let lane = format!("choices/{choice}/{}", name(&leaf.path, leaves, 2));
            reading.piece(at, lane, last == "arguments");
        }
    }
    reading
}

/// Whether a value of a choice belongs to a text that goes on. What is not known may.
fn is_piece_of_delta(path: &Path, last: &str) -> bool {
    let mut keys = path.steps().iter().skip(2).filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) => None,
    });
    keys.next() == Some("delta") && !WHOLE.contains(&last) && !keys.any(|key| WHOLE_LISTS.contains(&key))
}

/// The responses and realtime events: `response.output_text.delta`, `….done`.
pub(super) fn responses(kind: &str, leaves: &[Leaf]) -> Reading {
    let mut reading = Reading { sequence: place(leaves, "sequence_number"), ..Reading::default() };
    if let Some(of_what) = kind.strip_suffix(".delta") {
        // Sound and pictures in base64.
        let bytes = of_what.ends_with("audio") || of_what.contains("image");
        let nested = of_what.ends_with("arguments");
        for (at, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| leaf.is_string && !bytes) {
            let in_delta = matches!(leaf.path.steps().first(), Some(Step::Key(key)) if key == "delta");
            if in_delta && !leaf.path.key().is_some_and(|last| WHOLE.contains(&last)) {
                reading.piece(
                    at,
                    format!("{}{of_what}/{}", item(leaves), name(&leaf.path, leaves, 1)),
                    nested,
                );
            }
        }
        return reading;
    }
    let of_what = kind.strip_suffix(".done").or_else(|| kind.strip_suffix(".completed"));
    reading.again = of_what.is_some();
    match of_what.unwrap_or(kind) {
        "response" | "response.failed" | "response.incomplete" | "response.cancelled" => {
            reading.again = true;
            reading.ends_all();
        }
        "error" => reading.ends_all(),
        "response.output_item" | "response.content_part" | "response.reasoning_summary_part" => {
            reading.ends.push(item(leaves));
        }
        of_what if reading.again => reading.ends.push(format!("{}{of_what}/", item(leaves))),
        _ => {}
    }
    reading
}

/// What an event is about: the beginning of the names of the texts in it, as far as it says.
fn item(leaves: &[Leaf]) -> String {
    let mut name = String::new();
    for id in ["response_id", "output_index", "item_id", "content_index", "summary_index"] {
        let Some(leaf) = top(leaves, id) else { continue };
        name.push_str(id);
        name.push('=');
        name.push_str(&leaf.text);
        name.push('/');
    }
    name
}

/// The assistants' events, which say what they are in `object`.
pub(super) fn assistants(object: &str, leaves: &[Leaf]) -> Reading {
    let mut reading = Reading::default();
    let of = string(leaves, "id").unwrap_or_default();
    if !object.ends_with(".delta") {
        reading.ends.push(format!("{of}/"));
        reading.again = under(leaves, "content");
        return reading;
    }
    for (at, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| leaf.is_string) {
        let last = leaf.path.key().unwrap_or_default();
        let in_delta = matches!(leaf.path.steps().first(), Some(Step::Key(key)) if key == "delta");
        let whole = WHOLE.contains(&last)
            || leaf.path.steps().iter().any(|step| *step == Step::Key("annotations".to_owned()));
        if in_delta && !whole && !is(&leaf.path, &["delta", "status"]) {
            reading.piece(at, format!("{of}/{}", name(&leaf.path, leaves, 1)), last == "arguments");
        }
    }
    reading
}
