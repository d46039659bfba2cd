//! A whole JSON document, masked as it comes: every string by itself, nothing kept but the path and a number.

use std::sync::Arc;

use super::{
    json::{Escapes, Malformed, Path, Scanner, Sink},
    lane::Lane,
    shape::{self, Shape, Treatment},
    whole,
};
use crate::gateway::mask::Masking;

/// Of a longer value that a field rule names, only so many bytes make its mask.
pub(super) const LONGEST_FIELD: usize = 4_096;
/// A longer key is masked as it comes.
const LONGEST_KEY: usize = 256;
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
    /// A container that goes as a whole.
    hidden: Option<Hidden>,
    /// A number and what it was, until a comma or bracket shows that it was one: only then it goes on.
    number: Number,
    out: Vec<u8>,
}

#[derive(Debug)]
enum Text {
    Keep,
    Lane(Lane),
    /// A key, as far as one is looked at whole.
    Key(String),
    Gone,
}

/// A container of which nothing goes on.
#[derive(Debug, Default)]
struct Hidden {
    /// Containers open in it, itself among them.
    open: usize,
    /// Of a field rule: what it says, as far as [`LONGEST_FIELD`].
    field: Option<String>,
}

#[derive(Debug, Default)]
struct Number {
    /// As it came, with the white space behind it.
    came: String,
    /// What it becomes.
    becomes: Vec<u8>,
}

impl Document {
    pub(super) fn new(masking: &Arc<Masking>, shape: Shape) -> Self {
        Self::at(masking, shape, 0)
    }

    /// A document in a string of a document.
    pub(super) fn nested(masking: &Arc<Masking>, depth: u8) -> Self {
        Self { scanner: Scanner::lenient(), ..Self::at(masking, Shape::Any, depth) }
    }

    fn at(masking: &Arc<Masking>, shape: Shape, depth: u8) -> Self {
        let masking = Arc::clone(masking);
        let writer = Writer {
            masking,
            shape,
            depth,
            string: None,
            hidden: None,
            number: Number::default(),
            out: Vec::new(),
        };
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

    /// After an error: what was read and is neither told nor to be released, since it stands in what is no JSON.
    pub(super) fn untold(&mut self) -> String {
        let number = std::mem::take(&mut self.writer.number).came;
        number + &String::from_utf8_lossy(&self.scanner.untold())
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
        self.writer.number();
        let (mut text, hidden) = (String::new(), self.writer.hidden.is_some());
        match &mut self.writer.string {
            Some(Text::Lane(lane)) if whole => lane.finish(&mut text),
            Some(Text::Lane(lane)) => lane.abort(&mut text),
            Some(Text::Key(key)) if whole => {
                text = whole::key(&self.writer.masking, key).unwrap_or_else(|| key.clone());
            }
            // What was read of a number is told when nothing more of it will come.
            None if whole && !hidden => {
                let mut lane = Lane::text(&self.writer.masking);
                lane.push(&self.untold(), &mut text);
                lane.finish(&mut text);
            }
            _ => {}
        }
        self.scanner.escapes().write(&text, &mut self.writer.out);
        out.append(&mut self.writer.out);
    }
}

impl Writer {
    fn lane(&self, treatment: Treatment, path: &Path) -> Text {
        match treatment {
            Treatment::Keep => Text::Keep,
            Treatment::Gone => Text::Gone,
            Treatment::Field => Text::Lane(Lane::field(&self.masking)),
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

    /// The number is one: it goes on.
    fn number(&mut self) {
        if !self.number.came.is_empty() {
            self.out.append(&mut self.number.becomes);
            self.number.came.clear();
        }
    }

    /// What stands in a container of which nothing goes on.
    fn hide(&mut self, text: &str) -> bool {
        let Some(hidden) = &mut self.hidden else { return false };
        if let Some(field) = &mut hidden.field
            && field.len() < LONGEST_FIELD
        {
            field.push_str(text);
        }
        true
    }

    fn quoted(&mut self, text: &str) {
        self.out.push(b'"');
        Escapes::default().write(text, &mut self.out);
        self.out.push(b'"');
    }
}

impl Sink for Writer {
    fn raw(&mut self, bytes: &[u8]) {
        if self.hide(&String::from_utf8_lossy(bytes)) {
            return;
        }
        let blank = bytes.iter().all(u8::is_ascii_whitespace);
        if blank && !self.number.came.is_empty() && self.number.came.len() < LONGEST_FIELD {
            self.number.came.push_str(&String::from_utf8_lossy(bytes));
            self.number.becomes.extend_from_slice(bytes);
        } else {
            self.number();
            self.out.extend_from_slice(bytes);
        }
    }

    fn enter(&mut self, path: &Path, bracket: u8, _: u64) {
        self.number();
        if self.hide(if bracket == b'[' { "[" } else { "{" }) {
            if let Some(hidden) = &mut self.hidden {
                hidden.open += 1;
            }
        } else if shape::covered(path, self.masking.fields()) {
            self.hidden = Some(Hidden { open: 1, field: Some(String::new()) });
        } else if self.shape.drops(path) {
            self.out.extend_from_slice(if bracket == b'[' { b"[]" } else { b"null" });
            self.hidden = Some(Hidden { open: 1, field: None });
        } else {
            self.out.push(bracket);
        }
    }

    fn leave(&mut self, bracket: u8, _: u64) {
        self.number();
        if !self.hide(if bracket == b']' { "]" } else { "}" }) {
            self.out.push(bracket);
        } else if let Some(hidden) = &mut self.hidden {
            hidden.open = hidden.open.saturating_sub(1);
            if hidden.open == 0
                && let Some(field) = self.hidden.take().and_then(|hidden| hidden.field)
            {
                self.quoted(&self.masking.field(&field));
            }
        }
    }

    fn open(&mut self, path: &Path, key: bool, _: u64) {
        self.number();
        self.string = Some(if self.hide("\"") {
            Text::Gone
        } else {
            self.out.push(b'"');
            if key { Text::Key(String::new()) } else { self.lane(self.treat(path), path) }
        });
    }

    fn text(&mut self, piece: &str, escapes: &Escapes) {
        if self.hide(piece) {
            return;
        }
        if let Some(Text::Key(key)) = &mut self.string {
            key.push_str(piece);
            if key.len() <= LONGEST_KEY {
                return;
            }
            let (mut lane, mut text) = (Lane::text(&self.masking), String::new());
            lane.push(key, &mut text);
            escapes.write(&text, &mut self.out);
            self.string = Some(Text::Lane(lane));
            return;
        }
        match &mut self.string {
            Some(Text::Keep) => escapes.write(piece, &mut self.out),
            Some(Text::Lane(lane)) => {
                let mut text = String::new();
                lane.push(piece, &mut text);
                escapes.write(&text, &mut self.out);
            }
            Some(Text::Key(_) | Text::Gone) | None => {}
        }
    }

    fn close(&mut self, escapes: &Escapes, _: u64) {
        let string = self.string.take();
        if self.hide("\"") {
            return;
        }
        match string {
            Some(Text::Lane(mut lane)) => {
                let mut text = String::new();
                lane.finish(&mut text);
                escapes.write(&text, &mut self.out);
            }
            Some(Text::Key(key)) => {
                let key = whole::key(&self.masking, &key).unwrap_or(key);
                escapes.write(&key, &mut self.out);
            }
            Some(Text::Keep | Text::Gone) | None => {}
        }
        self.out.push(b'"');
    }

    fn scalar(&mut self, path: &Path, text: &str, _: u64) {
        if self.hide(text) {
            return;
        }
        self.number.came.push_str(text);
        match whole::scalar(&self.masking, self.treat(path), path, text) {
            Some(masked) => {
                let mut becomes = vec![b'"'];
                Escapes::default().write(&masked, &mut becomes);
                becomes.push(b'"');
                self.number.becomes = becomes;
            }
            None => self.number.becomes = text.as_bytes().to_vec(),
        }
    }
}
