//! What a request's JSON body shows beside its model: whether the answer is to stream and, where that is kept, the beginning of what is asked.

use super::json::{Scalar, UNKNOWN};

/// Most of an input or an answer that is kept, bytes.
pub(super) const MAX_SHOWN: usize = 2048;

/// Longest role that is looked at, bytes.
const MAX_ROLE: usize = 16;

/// Names with a meaning; what stands below is the listener's own.
const STREAM: u8 = 2;
/// Lists of messages, and what is asked of embedders.
const LIST: u8 = 3;
const ROLE: u8 = 4;
const CONTENT: u8 = 5;
const TEXT: u8 = 6;
const PROMPT: u8 = 7;

/// Reads the stream flag and the last message of a user, or the prompt.
pub(super) struct Shown {
    keeps_input: bool,
    stream: Option<bool>,
    role: Role,
    /// The message being read.
    current: Vec<u8>,
    /// The last one of a user that had a text.
    last: Vec<u8>,
}

/// Who says the message being read; its content may stand before its role.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    NotSaid,
    User,
    Another,
}

impl Shown {
    pub(super) fn new(keeps_input: bool) -> Self {
        Self { keeps_input, stream: None, role: Role::NotSaid, current: Vec::new(), last: Vec::new() }
    }

    /// The stream flag, where there is one.
    pub(super) fn stream(&self) -> Option<bool> {
        self.stream
    }

    /// What is asked, as far as it is kept and has come.
    pub(super) fn input(&self) -> Option<String> {
        let unfinished = self.role != Role::Another && !self.current.is_empty();
        text(if unfinished { &self.current } else { &self.last })
    }

    /// What a name means; [`UNKNOWN`] is nothing.
    pub(super) fn name(name: &[u8]) -> u8 {
        match name {
            b"stream" => STREAM,
            // OpenAI, Anthropic and Ollama; Gemini, and its batches; Responses and embeddings; text embedders.
            b"messages" | b"contents" | b"requests" | b"input" | b"inputs" => LIST,
            b"role" => ROLE,
            b"content" | b"parts" => CONTENT,
            b"text" => TEXT,
            b"prompt" | b"text_input" => PROMPT,
            _ => UNKNOWN,
        }
    }

    pub(super) fn wants_text(&self, path: &[u8]) -> Option<usize> {
        match path {
            _ if !self.keeps_input => None,
            [LIST, UNKNOWN, ROLE] => Some(MAX_ROLE),
            path if is_input(path) => Some(MAX_SHOWN),
            _ => None,
        }
    }

    pub(super) fn value(&mut self, path: &[u8], value: Scalar<'_>) {
        match (path, value) {
            ([STREAM], Scalar::Truth(stream)) => self.stream = Some(stream),
            // The element of a list begins: another message.
            ([LIST, UNKNOWN], Scalar::Other) => self.message_ends(),
            ([LIST, UNKNOWN, ROLE], Scalar::Text(role)) => {
                self.role = if role == b"user" { Role::User } else { Role::Another };
            }
            ([LIST, UNKNOWN, ROLE], Scalar::LongText(_)) => self.role = Role::Another,
            (path, Scalar::Text(text) | Scalar::LongText(text)) if self.keeps_input && is_input(path) => {
                self.append(text);
            }
            _ => (),
        }
    }

    /// The message being read is complete, or the document.
    pub(super) fn message_ends(&mut self) {
        if self.role != Role::Another && !self.current.is_empty() {
            std::mem::swap(&mut self.last, &mut self.current);
        }
        self.current.clear();
        self.role = Role::NotSaid;
    }

    fn append(&mut self, text: &[u8]) {
        if !self.current.is_empty() {
            self.current.push(b'\n');
        }
        let room = MAX_SHOWN.saturating_sub(self.current.len());
        self.current.extend_from_slice(text.get(..room).unwrap_or(text));
        self.current.truncate(MAX_SHOWN);
    }
}

/// Whether a text at this place is asked.
fn is_input(path: &[u8]) -> bool {
    matches!(
        path,
        [PROMPT | LIST]
            | [PROMPT | LIST, UNKNOWN]
            | [LIST, UNKNOWN, CONTENT]
            | [LIST, UNKNOWN, CONTENT, UNKNOWN, TEXT]
            // Gemini's embedders, one and many.
            | [CONTENT, CONTENT, UNKNOWN, TEXT]
            | [LIST, UNKNOWN, CONTENT, CONTENT, UNKNOWN, TEXT]
    )
}

/// Bytes as text of at most [`MAX_SHOWN`] bytes; `None` when there are none. A character cut at the end is left out.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.get(..MAX_SHOWN).unwrap_or(bytes);
    if bytes.is_empty() {
        return None;
    }
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if bytes.len() == MAX_SHOWN {
        text.truncate(text.trim_end_matches(char::REPLACEMENT_CHARACTER).len());
    }
    text.truncate(text.floor_char_boundary(MAX_SHOWN));
    Some(text)
}
