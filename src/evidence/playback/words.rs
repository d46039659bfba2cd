//! The text in an answer: what a chat or completion says, without what carries it. Whatever is not understood is shown as it is.

use serde_json::Value;

/// The longest JSON document that is read as one, bytes; an answer with a longer one is shown as it is.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;

/// How documents lie in the answer.
#[derive(Debug)]
enum Framing {
    /// After each other, on lines, or in one list.
    Documents,
    /// In the data of server-sent events.
    Events(Lines),
    /// Not at all.
    Opaque,
}

/// Reads the body of one answer.
#[derive(Debug)]
pub struct Words {
    framing: Framing,
    documents: Documents,
    /// What came before it was known whether the answer is understood.
    held: Vec<u8>,
    understood: bool,
    /// How much text there was, in bytes.
    said: u64,
}

impl Words {
    /// For an answer with these headers.
    pub fn new(headers: &[(String, String)]) -> Self {
        let kind = header(headers, "content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let framing = match kind.as_str() {
            "text/event-stream" => Framing::Events(Lines::default()),
            kind if kind.ends_with("json") || kind.ends_with("ndjson") || kind.ends_with("jsonl") => {
                Framing::Documents
            }
            _ => Framing::Opaque,
        };
        Self { framing, documents: Documents::default(), held: Vec::new(), understood: false, said: 0 }
    }

    /// The next bytes of the body; what is to be shown for them.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut found = Vec::new();
        match &mut self.framing {
            Framing::Opaque => return bytes.to_vec(),
            Framing::Documents => self.documents.feed(bytes, &mut found),
            Framing::Events(lines) => {
                for event in lines.events(bytes) {
                    self.documents.feed(&event.data, &mut found);
                    // Data that is no document, such as `[DONE]`, spoils nothing that follows.
                    self.documents.restart();
                }
            }
        }
        if !self.understood {
            self.held.extend_from_slice(bytes);
        }
        let mut shown = Vec::new();
        for document in found {
            match text_of(&document) {
                Some(text) => {
                    self.understood = true;
                    self.held = Vec::new();
                    self.said += text.len() as u64;
                    shown.extend_from_slice(text.as_bytes());
                }
                // An error in the middle of an answer, say.
                None if self.understood && document.get("error").is_some() => {
                    shown.extend_from_slice(format!("\n{document}\n").as_bytes());
                }
                None if self.understood => {}
                None => return self.give_up(),
            }
        }
        if self.documents.length() > MAX_DOCUMENT || self.held.len() > MAX_DOCUMENT {
            shown.extend(self.give_up());
        }
        shown
    }

    /// The body is over: what is still to be shown.
    pub fn finish(&mut self) -> Vec<u8> {
        if self.understood { Vec::new() } else { std::mem::take(&mut self.held) }
    }

    /// Whether what was shown is the text of an answer that was understood, and not its bytes.
    pub fn is_text(&self) -> bool {
        self.understood
    }

    /// Whether the answer is understood and has no text in it, such as one that only calls tools.
    pub fn is_silent(&self) -> bool {
        self.understood && self.said == 0
    }

    fn give_up(&mut self) -> Vec<u8> {
        self.framing = Framing::Opaque;
        let held = std::mem::take(&mut self.held);
        if self.understood { self.documents.rest() } else { held }
    }
}

/// The text of one message of a conversation over WebSocket: of a dialect that is understood its words, else itself, on a line.
pub fn message(payload: &[u8]) -> Vec<u8> {
    let document: Option<Value> = serde_json::from_slice(payload).ok();
    match document.as_ref().and_then(text_of) {
        Some(text) => text.into_bytes(),
        None => [payload, b"\n"].concat(),
    }
}

pub(super) fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// What a document of an answer says; `None` where it is of no dialect that is understood.
fn text_of(document: &Value) -> Option<String> {
    if let Some(choices) = document.get("choices").and_then(Value::as_array) {
        return Some(chosen(choices));
    }
    if let Some(candidates) = document.get("candidates").and_then(Value::as_array) {
        return Some(first_candidate(candidates));
    }
    if document.get("done").is_some_and(Value::is_boolean) {
        let said = document.pointer("/message/content").or_else(|| document.get("response"));
        return Some(said.and_then(Value::as_str).unwrap_or_default().to_owned());
    }
    if document.get("object").and_then(Value::as_str) == Some("response") {
        let items = document.get("output").and_then(Value::as_array).into_iter().flatten();
        return Some(items.filter_map(|item| item.get("content")).map(parts).collect());
    }
    typed(document)
}

/// OpenAI's chat and completions: the first of several answers to one question.
fn chosen(choices: &[Value]) -> String {
    let first = |choice: &&Value| choice.get("index").and_then(Value::as_u64).unwrap_or_default() == 0;
    let Some(choice) = choices.iter().find(first) else { return String::new() };
    let said = choice.pointer("/delta/content").or_else(|| choice.pointer("/message/content"));
    said.or_else(|| choice.get("text")).map(parts).unwrap_or_default()
}

/// Gemini's: the first of several answers, without its thoughts.
fn first_candidate(candidates: &[Value]) -> String {
    let all = candidates.first().and_then(|first| first.pointer("/content/parts")).and_then(Value::as_array);
    let spoken = |part: &&Value| part.get("thought").and_then(Value::as_bool) != Some(true);
    let text = |part: &Value| part.get("text").and_then(Value::as_str).map(str::to_owned);
    all.into_iter().flatten().filter(spoken).filter_map(text).collect()
}

/// Documents that name their type: Anthropic's, and OpenAI's responses.
fn typed(document: &Value) -> Option<String> {
    let text = |name: &str| document.pointer(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    match document.get("type")?.as_str()? {
        "response.output_text.delta"
        | "response.text.delta"
        | "response.audio_transcript.delta"
        | "response.output_audio_transcript.delta" => Some(text("/delta")),
        "content_block_delta" => Some(text("/delta/text")),
        "message" => Some(document.get("content").map(parts).unwrap_or_default()),
        "message_start"
        | "message_delta"
        | "message_stop"
        | "content_block_start"
        | "content_block_stop"
        | "ping" => Some(String::new()),
        kind if kind.starts_with("response.") || kind.starts_with("session.") => Some(String::new()),
        _ => None,
    }
}

/// A text, or those of a list of parts.
fn parts(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect()
        }
        _ => String::new(),
    }
}

/// Cuts server-sent events out of bytes (WHATWG HTML §9.2.6).
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    event: SentEvent,
    has_data: bool,
    after_return: bool,
}

/// One server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SentEvent {
    /// `event`; empty: `message`.
    pub(super) name: Vec<u8>,
    /// `id`, if it has one of its own.
    pub(super) id: Vec<u8>,
    /// `data`, its lines joined.
    pub(super) data: Vec<u8>,
}

impl Lines {
    /// The events that these bytes complete. A line may end with CR, LF or both.
    pub(super) fn events(&mut self, bytes: &[u8]) -> Vec<SentEvent> {
        let mut events = Vec::new();
        for byte in bytes {
            let second = *byte == b'\n' && std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if second => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    events.extend(self.end_line());
                }
                byte => {
                    self.after_return = false;
                    self.line.push(*byte);
                }
            }
            if self.line.len() + self.event.data.len() > MAX_DOCUMENT {
                // Nothing that is understood is so long.
                self.line = Vec::new();
                events.push(std::mem::take(&mut self.event));
            }
        }
        events
    }

    fn end_line(&mut self) -> Option<SentEvent> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push(b'\n');
                }
                self.event.data.extend_from_slice(value);
            }
            b"event" => self.event.name = value.to_vec(),
            b"id" => self.event.id = value.to_vec(),
            _ => {}
        }
        None
    }
}

/// Cuts JSON documents out of bytes: objects after each other, one a line, or those of one list.
#[derive(Debug, Default)]
struct Documents {
    bytes: Vec<u8>,
    depth: u32,
    in_text: bool,
    escaped: bool,
}

impl Documents {
    fn feed(&mut self, bytes: &[u8], found: &mut Vec<Value>) {
        for byte in bytes {
            if self.depth == 0 && *byte != b'{' {
                continue;
            }
            self.bytes.push(*byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' => self.depth = self.depth.saturating_add(1),
                b'}' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        // What only looks like a document is none that is understood.
                        let document = serde_json::from_slice(&self.bytes);
                        found.push(document.unwrap_or(Value::Null));
                        self.bytes = Vec::new();
                    }
                }
                _ => {}
            }
        }
    }

    fn length(&self) -> usize {
        self.bytes.len()
    }

    fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn restart(&mut self) {
        *self = Self::default();
    }
}
