//! A whole JSON document, masked as it comes: every string by itself, nothing kept but the path.

use std::sync::Arc;

use super::{
    json::{self, Malformed, Path, Scanner, Sink},
    lane::Lane,
    shape::{Shape, Treatment},
    whole,
};
use crate::gateway::mask::Masking;

/// Of a longer value that a field rule names, only so many bytes make its mask.
const LONGEST_FIELD: usize = 4_096;
/// How deep JSON may lie in the strings of JSON.
const DEEPEST: u8 = 4;

/// A document and what is held of the string that it is in.
#[derive(Debug)]
pub(super) struct Document {
    scanner: Scanner,
    writer: Writer,
}

#[derive(Debug)]
struct Writer {
    masking: Arc<Masking>,
    shape: Shape,
    /// How many documents this one lies in.
    depth: u8,
    string: Option<Text>,
    /// Containers open in one that goes as a whole.
    muted: usize,
    out: Vec<u8>,
}

#[derive(Debug)]
enum Text {
    Keep,
    Lane(Lane),
    /// Of a field rule: taken whole, as far as [`LONGEST_FIELD`].
    Field(String),
    Gone,
}

impl Document {
    pub(super) fn new(masking: &Arc<Masking>, shape: Shape) -> Self {
        Self::at(masking, shape, 0)
    }

    /// A document in a string of a document.
    pub(super) fn nested(masking: &Arc<Masking>, depth: u8) -> Self {
        Self::at(masking, Shape::Any, depth)
    }

    fn at(masking: &Arc<Masking>, shape: Shape, depth: u8) -> Self {
        let masking = Arc::clone(masking);
        let writer = Writer { masking, shape, depth, string: None, muted: 0, out: Vec::new() };
        Self { scanner: Scanner::default(), writer }
    }

    /// Takes the next bytes and gives what may go on.
    ///
    /// # Errors
    /// When it is no JSON. What came before was given to `out`.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        let read = self.scanner.feed(bytes, &mut self.writer);
        out.append(&mut self.writer.out);
        read
    }

    /// Bytes read without an error.
    pub(super) fn read(&self) -> u64 {
        self.scanner.read()
    }

    /// The document's end.
    ///
    /// # Errors
    /// When more should have come. What is held was released masked.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let ended = self.scanner.finish(&mut self.writer);
        self.release(ended.is_ok(), out);
        ended
    }

    /// Gives what is held of a string, without closing it: as it is when it is `whole`, else masked as the beginning of anything.
    pub(super) fn release(&mut self, whole: bool, out: &mut Vec<u8>) {
        if let Some(Text::Lane(lane)) = &mut self.writer.string {
            let mut text = String::new();
            if whole {
                lane.finish(&mut text)
            } else {
                lane.abort(&mut text)
            }
            json::escape(&text, &mut self.writer.out);
        }
        out.append(&mut self.writer.out);
    }
}

impl Writer {
    fn lane(&self, treatment: Treatment, path: &Path) -> Text {
        match treatment {
            Treatment::Keep => Text::Keep,
            Treatment::Gone => Text::Gone,
            Treatment::Field => Text::Field(String::new()),
            Treatment::Nested if self.depth < DEEPEST => {
                Text::Lane(Lane::nested(&self.masking, self.depth + 1))
            }
            // Whoever puts JSON into JSON does it again.
            Treatment::Text { labelled: true } if self.depth > 0 && self.depth < DEEPEST => {
                Text::Lane(Lane::nested_under(&self.masking, self.depth + 1, path.key().unwrap_or_default()))
            }
            Treatment::Text { labelled: true } => {
                Text::Lane(Lane::labelled(&self.masking, path.key().unwrap_or_default()))
            }
            Treatment::Nested | Treatment::Text { .. } => Text::Lane(Lane::text(&self.masking)),
        }
    }

    fn treat(&self, path: &Path) -> Treatment {
        self.shape.treat(path, self.masking.fields())
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.muted == 0 {
            self.out.extend_from_slice(bytes);
        }
    }
}

impl Sink for Writer {
    fn raw(&mut self, bytes: &[u8]) {
        self.write(bytes);
    }

    fn enter(&mut self, path: &Path, bracket: u8) {
        if self.muted > 0 || self.shape.drops(path) {
            if self.muted == 0 {
                self.out.extend_from_slice(if bracket == b'[' { b"[]" } else { b"null" });
            }
            self.muted += 1;
        } else {
            self.out.push(bracket);
        }
    }

    fn leave(&mut self, bracket: u8) {
        if self.muted == 0 {
            self.out.push(bracket);
        } else {
            self.muted -= 1;
        }
    }

    fn open(&mut self, path: &Path) {
        self.write(b"\"");
        if self.muted == 0 {
            let treatment = self.treat(path);
            self.string = Some(self.lane(treatment, path));
        }
    }

    fn text(&mut self, piece: &str) {
        match &mut self.string {
            Some(Text::Keep) => json::escape(piece, &mut self.out),
            Some(Text::Lane(lane)) => {
                let mut text = String::new();
                lane.push(piece, &mut text);
                json::escape(&text, &mut self.out);
            }
            Some(Text::Field(value)) if value.len() < LONGEST_FIELD => value.push_str(piece),
            Some(Text::Field(_) | Text::Gone) | None => {}
        }
    }

    fn close(&mut self) {
        match self.string.take() {
            Some(Text::Lane(mut lane)) => {
                let mut text = String::new();
                lane.finish(&mut text);
                json::escape(&text, &mut self.out);
            }
            Some(Text::Field(value)) => json::escape(&self.masking.field(&value), &mut self.out),
            Some(Text::Keep | Text::Gone) | None => {}
        }
        self.write(b"\"");
    }

    fn scalar(&mut self, path: &Path, text: &str) {
        if self.muted > 0 {
            return;
        }
        let treatment = self.treat(path);
        let masked = whole::scalar(&self.masking, treatment, path, text);
        match masked {
            Some(masked) => {
                self.out.push(b'"');
                json::escape(&masked, &mut self.out);
                self.out.push(b'"');
            }
            None => self.out.extend_from_slice(text.as_bytes()),
        }
    }
}
