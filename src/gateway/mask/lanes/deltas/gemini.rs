//! Gemini's `streamGenerateContent`, and its live interface.

use super::{Reading, index_of, is, sibling};
use crate::gateway::mask::lanes::{
    event::Leaf,
    json::{Escapes, Step},
};

/// Texts of the live interface beside the model's turn.
const TRANSCRIPTIONS: [&str; 2] = ["inputTranscription", "outputTranscription"];

/// One chunk: its candidates' parts are pieces of a text each, thoughts of another.
pub(super) fn gemini(leaves: &[Leaf]) -> Reading {
    let mut reading = Reading::default();
    for (at, leaf) in leaves.iter().enumerate() {
        let steps = leaf.path.steps();
        if live(at, leaf, leaves, &mut reading) || !leaf.is_string {
            continue;
        }
        let Some(candidate) = candidate(steps, leaves) else { continue };
        if steps.len() == 3 && leaf.path.key() == Some("finishReason") {
            reading.ends.push(format!("candidates/{candidate}/"));
        } else if leaf.path.key() == Some("text") && steps.len() == 6 {
            let thought = if is_thought(steps, leaves) { "thought" } else { "text" };
            reading.piece(at, format!("candidates/{candidate}/{thought}"), false);
        }
    }
    reading
}

/// The live interface's messages; whether the value is one of theirs.
fn live(at: usize, leaf: &Leaf, leaves: &[Leaf], reading: &mut Reading) -> bool {
    let [Step::Key(first), rest @ ..] = leaf.path.steps() else { return false };
    if first != "serverContent" {
        return false;
    }
    match rest {
        [Step::Key(turn), Step::Key(parts), Step::Index(_), Step::Key(text)]
            if turn == "modelTurn" && parts == "parts" && text == "text" && leaf.is_string =>
        {
            let thought = if is_thought(leaf.path.steps(), leaves) { "thought" } else { "text" };
            reading.piece(at, format!("live/{thought}"), false);
        }
        [Step::Key(of), Step::Key(text)] if TRANSCRIPTIONS.contains(&of.as_str()) && text == "text" => {
            reading.piece(at, format!("live/{of}"), false);
        }
        _ => {}
    }
    if ["turnComplete", "generationComplete", "interrupted"]
        .iter()
        .any(|end| is(&leaf.path, &["serverContent", end]))
        && leaf.text == "true"
    {
        reading.ends.push("live/".to_owned());
    }
    true
}

/// A chunk with nothing but the rest of a text: other parts would be said twice. `None` where the text is not a candidate's.
pub(in super::super) fn alone(leaf: &Leaf, leaves: &[Leaf], rest: &str) -> Option<Vec<u8>> {
    let steps = leaf.path.steps();
    let candidate = candidate(steps, leaves)?;
    let mut json = b"{\"candidates\":[{\"content\":{\"parts\":[{".to_vec();
    if is_thought(steps, leaves) {
        json.extend_from_slice(b"\"thought\":true,");
    }
    json.extend_from_slice(b"\"text\":\"");
    Escapes::default().write(rest, &mut json);
    json.extend_from_slice(b"\"}],\"role\":\"model\"},\"index\":");
    // What a server calls its candidates is a number, or it has no name.
    json.extend_from_slice(candidate.parse().unwrap_or(0_u32).to_string().as_bytes());
    json.push(b'}');
    json.push(b']');
    for key in ["modelVersion", "responseId"] {
        if let Some(value) = super::string(leaves, key) {
            json.extend_from_slice(format!(",\"{key}\":\"").as_bytes());
            Escapes::default().write(value, &mut json);
            json.push(b'"');
        }
    }
    json.push(b'}');
    Some(json)
}

fn candidate(steps: &[Step], leaves: &[Leaf]) -> Option<String> {
    match steps {
        [Step::Key(first), Step::Index(place), ..] if first == "candidates" => {
            Some(index_of(steps.get(..2)?, leaves).unwrap_or_else(|| place.to_string()))
        }
        _ => None,
    }
}

fn is_thought(steps: &[Step], leaves: &[Leaf]) -> bool {
    let part = steps.split_last().map(|(_, part)| part).unwrap_or_default();
    sibling(part, "thought", leaves).is_some_and(|leaf| leaf.text == "true")
}
