//! One text of an answer that comes in pieces: plain, or JSON whose strings are masked where they stand.

use std::sync::Arc;

use super::document::{Document, LONGEST_FIELD};
use crate::gateway::mask::{Masker, Masking};

/// A text and what is held of it.
#[derive(Debug)]
pub(super) enum Lane {
    /// Plain text.
    Text(Text),
    /// Text that is JSON when it begins as an object or an array: the arguments of a tool.
    Nested(Box<Nested>),
    /// Text that the operator named: its mask comes at its end.
    Field(Arc<Masking>, String),
}

/// A masker and where its masks are counted.
pub(super) struct Text {
    masking: Arc<Masking>,
    masker: Box<Masker>,
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Text")
    }
}

/// JSON inside a text.
#[derive(Debug)]
pub(super) struct Nested {
    masking: Arc<Masking>,
    state: Inside,
    depth: u8,
    /// The key it stands under, which may say what it is when it is no JSON.
    label: String,
}

#[derive(Debug)]
enum Inside {
    /// Nothing but white space so far.
    Before,
    Json(Box<Document>),
    /// It is no JSON, or is no more.
    Text(Text),
}

impl Lane {
    pub(super) fn text(masking: &Arc<Masking>) -> Self {
        Self::Text(Text::under(masking, ""))
    }

    /// A text under a key that may say what it is.
    pub(super) fn labelled(masking: &Arc<Masking>, label: &str) -> Self {
        Self::Text(Text::under(masking, label))
    }

    /// `depth` counts how deep JSON lies in JSON already.
    pub(super) fn nested(masking: &Arc<Masking>, depth: u8) -> Self {
        Self::nested_under(masking, depth, "")
    }

    /// JSON or a text under a key that may say what it is.
    pub(super) fn nested_under(masking: &Arc<Masking>, depth: u8, label: &str) -> Self {
        let (masking, label) = (Arc::clone(masking), label.to_owned());
        Self::Nested(Box::new(Nested { masking, state: Inside::Before, depth, label }))
    }

    /// A text that a field rule names.
    pub(super) fn field(masking: &Arc<Masking>) -> Self {
        Self::Field(Arc::clone(masking), String::new())
    }

    /// Takes the next piece and gives what may go on.
    pub(super) fn push(&mut self, piece: &str, out: &mut String) {
        match self {
            Self::Field(_, text) if text.len() < LONGEST_FIELD => text.push_str(piece),
            Self::Field(..) => {}
            Self::Text(text) => text.masker.push(piece, out),
            Self::Nested(nested) => nested.push(piece, out),
        }
    }

    /// The text's own end: everything held, masked where it has to be.
    pub(super) fn finish(&mut self, out: &mut String) {
        match self {
            Self::Text(text) => text.end(out, true),
            Self::Nested(nested) => nested.end(out, true),
            Self::Field(masking, text) => end_field(masking, text, out),
        }
    }

    /// The text was cut: what is held may be the beginning of anything.
    pub(super) fn abort(&mut self, out: &mut String) {
        match self {
            Self::Text(text) => text.end(out, false),
            Self::Nested(nested) => nested.end(out, false),
            Self::Field(masking, text) => end_field(masking, text, out),
        }
    }
}

fn end_field(masking: &Masking, text: &mut String, out: &mut String) {
    if !text.is_empty() {
        out.push_str(&masking.field(text));
        text.clear();
    }
}

impl Text {
    /// A text behind a label that may say what it is.
    fn under(masking: &Arc<Masking>, label: &str) -> Self {
        let mut masker = Box::new(masking.masker());
        if !label.is_empty() {
            masker.after(&format!("{label}: "));
        }
        Self { masking: Arc::clone(masking), masker }
    }

    fn end(&mut self, out: &mut String, whole: bool) {
        if whole {
            self.masker.finish(out)
        } else {
            self.masker.abort(out)
        }
        self.masking.count(self.masker.counts());
    }
}

impl Nested {
    fn push(&mut self, piece: &str, out: &mut String) {
        let mut piece = piece;
        if matches!(self.state, Inside::Before) {
            let start = piece.trim_start_matches([' ', '\t', '\n', '\r']);
            out.push_str(piece.strip_suffix(start).unwrap_or_default());
            piece = start;
            self.state = match piece.as_bytes().first() {
                None => return,
                Some(b'{' | b'[') => Inside::Json(Box::new(Document::nested(&self.masking, self.depth))),
                Some(_) => Inside::Text(Text::under(&self.masking, &self.label)),
            };
        }
        if let Inside::Json(document) = &mut self.state {
            let mut bytes = Vec::new();
            let before = document.read();
            let taken = document.push(piece.as_bytes(), &mut bytes);
            out.push_str(&String::from_utf8_lossy(&bytes));
            if taken.is_ok() {
                return;
            }
            // Models write broken JSON too: from there on it is text like any other.
            let from = usize::try_from(document.read() - before).unwrap_or(usize::MAX);
            piece = piece.get(from..).unwrap_or_default();
            let untold = document.untold();
            self.end(out, true);
            let mut text = Text::under(&self.masking, "");
            text.masker.push(&untold, out);
            self.state = Inside::Text(text);
        }
        if let Inside::Text(text) = &mut self.state {
            text.masker.push(piece, out);
        }
    }

    fn end(&mut self, out: &mut String, whole: bool) {
        match &mut self.state {
            Inside::Before => {}
            Inside::Json(document) => {
                let mut bytes = Vec::new();
                document.release(whole, &mut bytes);
                out.push_str(&String::from_utf8_lossy(&bytes));
            }
            Inside::Text(text) => text.end(out, whole),
        }
        self.state = Inside::Before;
    }
}
