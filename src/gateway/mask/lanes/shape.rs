//! What the values of an answer are: text to mask, JSON in text, or names that must stay as they are.

use super::{
    field::Field,
    json::{Path, Step},
};

/// What is done with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// It stays.
    Keep,
    /// Text, masked as a whole. `labelled`: its key says what it is.
    Text { labelled: bool },
    /// JSON in text.
    Nested,
    /// The operator named it: nothing of it goes on.
    Field,
    /// It repeats the text in pieces: it goes.
    Gone,
}

/// Whose JSON it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A model's programming interface: OpenAI, Anthropic, Ollama, Gemini, KServe, or one like them.
    Interface,
    /// What such an interface is asked: nothing of it is a copy of anything.
    Asked,
    /// Anything: every value may be anything.
    Any,
}

/// Keys whose values the interfaces use as names of things, in every object.
const NAMES: [&str; 27] = [
    "call_id",
    "done_reason",
    "encrypted_content",
    "event_id",
    "finishReason",
    "finish_reason",
    "id",
    "item_id",
    "model",
    "modelVersion",
    "model_name",
    "model_version",
    "object",
    "obfuscation",
    "previous_response_id",
    "responseId",
    "response_id",
    "role",
    "service_tier",
    "signature",
    "status",
    "stop_reason",
    "system_fingerprint",
    "thoughtSignature",
    "tool_call_id",
    "tool_use_id",
    "type",
];
/// Keys of bytes in base64: sound, pictures, vectors.
const BYTES: [&str; 5] = ["b64_json", "data", "embedding", "partial_image_b64", "result"];
/// Keys of JSON in text.
const NESTED: [&str; 2] = ["arguments", "partial_json"];
/// Keys of the text once more, token by token.
const TOKENS: [&str; 5] = ["logprobs", "logprobsResult", "tokens", "prefill", "top_tokens"];

impl Shape {
    /// What becomes of the value at `path`.
    pub(super) fn treat(self, path: &Path, fields: &[Field]) -> Treatment {
        if fields.iter().any(|field| field.covers(path)) {
            return Treatment::Field;
        }
        if self == Self::Any {
            return Treatment::Text { labelled: true };
        }
        let key = path.key().unwrap_or_default();
        match key {
            _ if self == Self::Interface && within(path, &TOKENS) => Treatment::Gone,
            // What a tool is called, and not what it is called with.
            _ if self == Self::Asked && is_media(path) => Treatment::Keep,
            _ if within_arguments(path) => Treatment::Text { labelled: true },
            _ if NAMES.contains(&key) || BYTES.contains(&key) && is_bytes(path) => Treatment::Keep,
            "name"
                if after(
                    path,
                    &["function", "tool_calls", "content", "content_block", "item", "outputs"],
                ) =>
            {
                Treatment::Keep
            }
            _ if NESTED.contains(&key) => Treatment::Nested,
            _ => Treatment::Text { labelled: false },
        }
    }

    /// Whether an object or array goes as a whole.
    pub(super) fn drops(self, path: &Path) -> bool {
        self == Self::Interface && !within_arguments(path) && within(path, &TOKENS)
    }
}

fn keys(path: &Path) -> impl DoubleEndedIterator<Item = &str> {
    path.steps().iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) => None,
    })
}

fn within(path: &Path, names: &[&str]) -> bool {
    keys(path).any(|key| names.contains(&key))
}

fn after(path: &Path, names: &[&str]) -> bool {
    keys(path).rev().nth(1).is_some_and(|key| names.contains(&key))
}

/// A picture, sound or file in a request, or where it lies.
fn is_media(path: &Path) -> bool {
    match path.key() {
        Some("image_url" | "file_data" | "file_id" | "images") => true,
        Some("url") => after(path, &["image_url", "source"]),
        Some("data") => after(path, &["input_audio"]),
        _ => false,
    }
}

/// Inside the arguments of a tool, where they are JSON and not text: any keys at all.
fn within_arguments(path: &Path) -> bool {
    let mut keys: Vec<&str> = keys(path).collect();
    keys.pop();
    keys.iter().any(|key| matches!(*key, "input" | "args" | "arguments"))
}

/// `data` is text in KServe's outputs, and bytes beside a kind of media.
fn is_bytes(path: &Path) -> bool {
    match path.key() {
        Some("data") => after(path, &["inlineData", "inline_data", "audio", "source"]),
        Some("result") => after(path, &["output", "item"]),
        _ => true,
    }
}
