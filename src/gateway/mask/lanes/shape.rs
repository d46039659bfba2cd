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
const NAMES: [&str; 45] = [
    "approval_request_id",
    "batch_id",
    "call_id",
    "container_id",
    "created",
    "datatype",
    "done_reason",
    "encrypted_content",
    "event_id",
    "file_id",
    "finishReason",
    "finish_reason",
    "id",
    "item_id",
    "media_type",
    "messageId",
    "message_id",
    "mimeType",
    "mime_type",
    "model",
    "modelVersion",
    "model_name",
    "model_version",
    "object",
    "obfuscation",
    "previous_response_id",
    "prompt_cache_key",
    "request_id",
    "responseId",
    "response_id",
    "role",
    "seed",
    "server_label",
    "service_tier",
    "signature",
    "status",
    "stop_reason",
    "system_fingerprint",
    "thoughtSignature",
    "toolCallId",
    "tool_call_id",
    "tool_use_id",
    "trace_id",
    "type",
    "vector_store_id",
];
/// How the keys of counts and times end.
const MEASURES: [&str; 6] = ["_at", "_count", "_duration", "_time", "_tokens", "TokenCount"];
/// Keys of bytes in base64: sound, pictures, vectors.
const BYTES: [&str; 6] = ["b64_json", "data", "embedding", "embeddings", "partial_image_b64", "result"];
/// Keys of JSON in text.
const NESTED: [&str; 2] = ["arguments", "partial_json"];
/// Keys of the text once more, token by token.
const TOKENS: [&str; 13] = [
    "completion_probabilities",
    "input_ids",
    "logprobs",
    "logprobsResult",
    "output_ids",
    "output_token_ids",
    "prefill",
    "prompt_logprobs",
    "prompt_token_ids",
    "token_ids",
    "tokens",
    "top_logprobs",
    "top_tokens",
];
/// Keys of running text: they say nothing about what it is, and the text reads the same in pieces and whole.
const TEXTS: [&str; 20] = [
    "code",
    "completion",
    "content",
    "data",
    "delta",
    "generated_text",
    "input",
    "message",
    "output",
    "output_text",
    "query",
    "reasoning",
    "reasoning_content",
    "refusal",
    "response",
    "summary",
    "text",
    "text_output",
    "thinking",
    "transcript",
];
/// Objects whose `name` is a tool's or a tensor's.
const NAMED: [&str; 12] = [
    "content",
    "content_block",
    "custom",
    "function",
    "functionCall",
    "functionResponse",
    "function_call",
    "item",
    "output",
    "outputs",
    "tool_calls",
    "tools",
];
/// Keys of values that somebody else than the interface made.
const FOREIGN: [&str; 5] = ["args", "arguments", "input", "instances", "predictions"];

impl Shape {
    /// What becomes of the value at `path`.
    pub(super) fn treat(self, path: &Path, fields: &[Field]) -> Treatment {
        if covered(path, fields) {
            return Treatment::Field;
        }
        let labelled = Treatment::Text { labelled: true };
        if self == Self::Any {
            return labelled;
        }
        let key = path.key().unwrap_or_default();
        if self == Self::Asked && is_media(path) {
            Treatment::Keep
        } else if in_foreign(path) {
            labelled
        } else if self == Self::Interface && repeats(path) {
            Treatment::Gone
        } else if is_name(key)
            || BYTES.contains(&key) && is_bytes(path)
            || key == "name" && after(path, &NAMED)
        {
            Treatment::Keep
        } else if NESTED.contains(&key) {
            Treatment::Nested
        } else {
            Treatment::Text { labelled: !TEXTS.contains(&key) }
        }
    }

    /// Whether the object or array at `path` goes as a whole.
    pub(super) fn drops(self, path: &Path) -> bool {
        self == Self::Interface && !in_foreign(path) && repeats(path)
    }
}

/// Whether the operator named the value at `path`, or something it lies in.
pub(super) fn covered(path: &Path, fields: &[Field]) -> bool {
    fields.iter().any(|field| field.covers(path))
}

/// Whether what stands at `path` may be the text once more, for a shape to decide.
pub(super) fn may_repeat(path: &Path) -> bool {
    match path.steps() {
        // The tokens of the conversation so far, as Ollama gives them.
        [Step::Key(key)] if key == "context" => true,
        [.., Step::Key(key)] => TOKENS.contains(&key.as_str()),
        _ => false,
    }
}

/// Whether a key is a word or several: no value is.
pub(super) fn is_plain_key(key: &str) -> bool {
    key.chars().all(|c| c.is_alphabetic() || matches!(c, '_' | ' ' | '$'))
}

/// In what repeats the text, and is no count of it.
fn repeats(path: &Path) -> bool {
    !within(path, &["usage", "meta"])
        && (within(path, &TOKENS) || matches!(path.steps(), [Step::Key(key), ..] if key == "context"))
}

fn is_name(key: &str) -> bool {
    NAMES.contains(&key) || MEASURES.iter().any(|end| key.ends_with(end))
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

/// Inside what a tool was called with, or what a model of another kind says, where it is JSON and not text: any keys at all.
fn in_foreign(path: &Path) -> bool {
    let last = path.steps().iter().rposition(|step| matches!(step, Step::Key(_)));
    let before = path.steps().get(..last.unwrap_or(0)).unwrap_or_default();
    before.iter().enumerate().any(|(at, step)| match step {
        // At the top it is the conversation so far.
        Step::Key(key) if key == "input" => at > 0,
        Step::Key(key) => FOREIGN.contains(&key.as_str()),
        Step::Index(_) => false,
    })
}

/// `data` is text in KServe's outputs, and bytes beside a kind of media.
fn is_bytes(path: &Path) -> bool {
    match path.key() {
        Some("data") => {
            after(path, &["audio", "content", "content_block", "inlineData", "inline_data", "source"])
        }
        Some("result") => after(path, &["output", "item"]),
        _ => true,
    }
}
