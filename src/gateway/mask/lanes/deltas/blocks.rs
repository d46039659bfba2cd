//! Interfaces whose answers are blocks that begin and end: Anthropic's, and Cohere's.

use super::{Reading, is, top};
use crate::gateway::mask::lanes::{event::Leaf, json::Step};

pub(super) fn is_anthropic(kind: &str) -> bool {
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
pub(super) fn anthropic(kind: &str, leaves: &[Leaf]) -> Reading {
    let mut reading = Reading::default();
    let block = top(leaves, "index").map_or("", |leaf| leaf.text.as_str());
    match kind {
        "content_block_start" | "content_block_delta" => {
            let within = if kind == "content_block_start" { "content_block" } else { "delta" };
            for field in ["text", "thinking", "partial_json"] {
                let found = leaves.iter().position(|leaf| leaf.is_string && is(&leaf.path, &[within, field]));
                if let Some(leaf) = found {
                    reading.piece(leaf, format!("block/{block}/{field}"), field == "partial_json");
                }
            }
        }
        "content_block_stop" => reading.ends.push(format!("block/{block}/")),
        "message_delta" | "message_stop" | "error" => reading.ends_all(),
        _ => {}
    }
    reading
}

pub(super) fn is_cohere(kind: &str) -> bool {
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
pub(super) fn cohere(kind: &str, leaves: &[Leaf]) -> Reading {
    let mut reading = Reading::default();
    let index = top(leaves, "index").map_or("", |leaf| leaf.text.as_str());
    for (at, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| leaf.is_string) {
        let in_delta = matches!(leaf.path.steps().first(), Some(Step::Key(key)) if key == "delta");
        let last = leaf.path.key().unwrap_or_default();
        let piece = in_delta && matches!(last, "text" | "thinking" | "arguments" | "tool_plan");
        if piece || (kind == "text-generation" && is(&leaf.path, &["text"])) {
            reading.piece(at, format!("{index}/{last}"), last == "arguments");
        }
    }
    match kind {
        "content-end" | "tool-call-end" => reading.ends.push(format!("{index}/")),
        "message-end" | "stream-end" => reading.ends_all(),
        _ => {}
    }
    reading
}
