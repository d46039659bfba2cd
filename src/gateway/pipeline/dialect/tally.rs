//! What the JSON documents of an answer tell: their counts of tokens, and whether they carry anything the model has made.

use super::{
    json::{Listener, Scalar, UNKNOWN},
    said::Said,
};

/// Names with a meaning.
const USAGE: u8 = 1;
const RESPONSE: u8 = 2;
const MESSAGE: u8 = 3;
const USAGE_METADATA: u8 = 4;
/// Ollama's counts, which stand at the root.
const EVALUATED_PROMPT: u8 = 5;
const EVALUATED: u8 = 6;
const CHOICES: u8 = 7;
const DELTA: u8 = 8;
const CONTENT: u8 = 9;
const TEXT: u8 = 10;
const THOUGHT: u8 = 11;
const PARTS: u8 = 12;
const SERVER_CONTENT: u8 = 13;
const MODEL_TURN: u8 = 14;
const CALLS: u8 = 15;
const PIECE: u8 = 16;
/// What an answer in one document says.
const ITEMS: u8 = 17;
const INDEX: u8 = 18;
/// Names of counts; the place in the tally is what is above this.
const COUNTS: u8 = 32;
pub(super) const INPUT: usize = 0;
pub(super) const OUTPUT: usize = 1;
pub(super) const CACHE_WRITTEN: usize = 2;
pub(super) const CACHE_READ: usize = 3;
pub(super) const TOOLS: usize = 4;
pub(super) const THOUGHTS: usize = 5;
pub(super) const TOTAL: usize = 6;

/// The latest counts of complete documents: streams tell them again and again, each time for the whole so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: [Option<u64>; 7],
    /// Of the document being read.
    pending: [Option<u64>; 7],
    /// Each telling is for itself, and they are added up.
    adds: bool,
    documents: u64,
    /// The document being read carries something the model has made.
    made: bool,
    /// Something the model has made has come.
    begun: bool,
    deltas: u64,
    untold: u64,
    /// What the model says, where that is kept.
    said: Option<Said>,
}

impl Tally {
    /// For conversations, whose answers are each counted for themselves.
    pub(super) fn adding() -> Self {
        Self { adds: true, ..Self::default() }
    }

    /// Keeps the beginning of what the model says; `pieces`: the documents are pieces of one text.
    pub(super) fn keep(&mut self, pieces: bool) {
        self.said = Some(Said::new(pieces));
    }

    /// What was kept of it, and whether that is all.
    pub(super) fn said(&self) -> Option<(String, bool)> {
        self.said.as_ref()?.told()
    }

    /// Counts as told, added up; `None` when there is none.
    pub(super) fn sum(&self, of: &[usize]) -> Option<u64> {
        let told = of.iter().filter_map(|at| self.counts.get(*at).copied().flatten());
        told.reduce(u64::saturating_add)
    }

    /// Whether anything was counted.
    pub(super) fn told(&self) -> bool {
        self.counts.iter().any(Option::is_some)
    }

    /// Whether something the model has made has come.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// Documents that carry something the model has made or, of a server whose words are not known, all of them.
    pub(super) fn deltas(&self) -> u64 {
        if self.deltas > 0 { self.deltas } else { self.documents }
    }

    /// Such documents since the last that told counts.
    pub(super) fn untold(&self) -> u64 {
        self.untold
    }
}

impl Listener for Tally {
    fn name(&self, name: &[u8]) -> u8 {
        match name {
            b"usage" => USAGE,
            b"response" => RESPONSE,
            b"message" => MESSAGE,
            b"usageMetadata" => USAGE_METADATA,
            b"choices" | b"candidates" => CHOICES,
            b"delta" => DELTA,
            b"content" | b"reasoning_content" | b"reasoning" | b"refusal" => CONTENT,
            b"text" | b"partial_json" => TEXT,
            b"thinking" | b"text_output" => THOUGHT,
            b"parts" => PARTS,
            b"output" => ITEMS,
            b"index" => INDEX,
            b"serverContent" => SERVER_CONTENT,
            b"modelTurn" => MODEL_TURN,
            b"tool_calls" => CALLS,
            b"functionCall" | b"inlineData" | b"executableCode" | b"audio" => PIECE,
            b"prompt_eval_count" => EVALUATED_PROMPT,
            b"eval_count" => EVALUATED,
            b"prompt_tokens" | b"input_tokens" | b"promptTokenCount" => COUNTS,
            b"completion_tokens" | b"output_tokens" | b"candidatesTokenCount" | b"responseTokenCount" => {
                COUNTS + 1
            }
            b"cache_creation_input_tokens" => COUNTS + 2,
            b"cache_read_input_tokens" => COUNTS + 3,
            b"toolUsePromptTokenCount" => COUNTS + 4,
            b"thoughtsTokenCount" => COUNTS + 5,
            b"total_tokens" | b"totalTokenCount" => COUNTS + 6,
            _ => UNKNOWN,
        }
    }

    fn wants_text(&self, path: &[u8]) -> Option<usize> {
        if let Some(said) = self.said.as_ref().filter(|_| is_said(path)) {
            // Nothing of it: that it is there tells what is kept to be cut.
            return Some(said.room().max(1));
        }
        // Whether there is any: one byte tells.
        (!self.made && carries_text(path)).then_some(1)
    }

    fn value(&mut self, path: &[u8], value: Scalar<'_>) {
        if let Some(said) = &mut self.said {
            match value {
                Scalar::Text(text) if is_said(path) => said.says(text, true),
                Scalar::LongText(text) if is_said(path) => said.says(text, false),
                Scalar::Number(index) if matches!(path, [CHOICES, UNKNOWN, INDEX]) => said.belongs(index),
                _ => (),
            }
        }
        let number = match value {
            Scalar::Number(number) => number,
            Scalar::Text([_, ..]) | Scalar::LongText(_) if carries_text(path) => return self.carries(),
            Scalar::Other if carries_piece(path) => return self.carries(),
            _ => return,
        };
        let at = match path {
            // OpenAI, Anthropic; their streams; Gemini.
            [USAGE | USAGE_METADATA, count] | [RESPONSE | MESSAGE, USAGE, count] => {
                count.checked_sub(COUNTS).map(usize::from)
            }
            [EVALUATED_PROMPT] => Some(INPUT),
            [EVALUATED] => Some(OUTPUT),
            _ => return,
        };
        if let Some(pending) = at.and_then(|at| self.pending.get_mut(at)) {
            *pending = Some(number);
        }
    }

    fn end(&mut self) {
        if let Some(said) = &mut self.said {
            said.document_ends(true);
        }
        self.documents = self.documents.saturating_add(1);
        if std::mem::take(&mut self.made) {
            self.deltas = self.deltas.saturating_add(1);
            self.untold = self.untold.saturating_add(1);
        }
        if self.pending.iter().any(Option::is_some) {
            self.untold = 0;
        }
        for (count, pending) in self.counts.iter_mut().zip(&mut self.pending) {
            *count = match (*count, pending.take()) {
                (Some(count), Some(pending)) if self.adds => Some(count.saturating_add(pending)),
                (count, pending) => pending.or(count),
            };
        }
    }

    fn broken(&mut self) {
        self.pending = Default::default();
        self.made = false;
        if let Some(said) = &mut self.said {
            said.document_ends(false);
        }
    }
}

impl Tally {
    fn carries(&mut self) {
        (self.made, self.begun) = (true, true);
    }
}

/// Whether a text at this place is the model's.
fn carries_text(path: &[u8]) -> bool {
    matches!(
        path,
        // OpenAI: chat, completions; its responses and realtime events.
        [CHOICES, UNKNOWN, DELTA, CONTENT] | [CHOICES, UNKNOWN, TEXT] | [DELTA]
            // Anthropic.
            | [DELTA, TEXT | THOUGHT]
            // Ollama: chat, generate. KServe's generate.
            | [MESSAGE, CONTENT | THOUGHT] | [RESPONSE | THOUGHT]
            // Gemini, over HTTP and live.
            | [CHOICES, UNKNOWN, CONTENT, PARTS, UNKNOWN, TEXT]
            | [SERVER_CONTENT, MODEL_TURN, PARTS, UNKNOWN, TEXT]
    )
}

/// Whether a text at this place is shown as what the model says: its pieces, and in a document the whole.
fn is_said(path: &[u8]) -> bool {
    carries_text(path)
        || matches!(
            path,
            // OpenAI's chat and responses; Anthropic.
            [CHOICES, UNKNOWN, MESSAGE, CONTENT]
                | [ITEMS, UNKNOWN, CONTENT, UNKNOWN, TEXT]
                | [CONTENT, UNKNOWN, TEXT]
        )
}

/// Whether a list or table that begins at this place is the model's.
fn carries_piece(path: &[u8]) -> bool {
    matches!(
        path,
        [CHOICES, UNKNOWN, DELTA, CALLS, UNKNOWN]
            | [CHOICES, UNKNOWN, DELTA, PIECE]
            | [MESSAGE, CALLS, UNKNOWN]
            | [CHOICES, UNKNOWN, CONTENT, PARTS, UNKNOWN, PIECE]
            | [SERVER_CONTENT, MODEL_TURN, PARTS, UNKNOWN, PIECE]
    )
}
