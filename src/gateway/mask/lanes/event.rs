//! One JSON event of a stream: its values in order, and the event again with some of them changed.

use super::{
    json::{self, Malformed, Path, Scanner, Sink},
    shape::Shape,
};

/// A value that is neither an object nor an array.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) path: Path,
    /// A string's text, or a number or literal as it stands.
    pub(super) text: String,
    pub(super) is_string: bool,
}

/// What a value becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Becomes {
    Same,
    Text(String),
    /// A number or literal.
    Scalar(String),
}

/// The values of an event, in its order.
pub(super) fn leaves(event: &[u8]) -> Result<Vec<Leaf>, Malformed> {
    let (mut scanner, mut found) = (Scanner::default(), Found(Vec::new()));
    scanner.feed(event, &mut found)?;
    scanner.finish(&mut found)?;
    Ok(found.0)
}

/// The event with its values changed, each as `becomes` says in the same order. What `shape` drops is not in it.
pub(super) fn rewrite(event: &[u8], becomes: Vec<Becomes>, shape: Shape) -> Vec<u8> {
    let out = Vec::with_capacity(event.len() + 64);
    let mut rewriting = Rewriting { out, becomes: becomes.into_iter(), shape, muted: 0, same: false };
    // It was read before, so it is JSON.
    let mut scanner = Scanner::default();
    if scanner.feed(event, &mut rewriting).and_then(|()| scanner.finish(&mut rewriting)).is_err() {
        rewriting.out.clear();
    }
    rewriting.out
}

struct Found(Vec<Leaf>);

impl Sink for Found {
    fn raw(&mut self, _: &[u8]) {}
    fn enter(&mut self, _: &Path, _: u8) {}
    fn leave(&mut self, _: u8) {}

    fn open(&mut self, path: &Path) {
        self.0.push(Leaf { path: path.clone(), text: String::new(), is_string: true });
    }

    fn text(&mut self, piece: &str) {
        if let Some(leaf) = self.0.last_mut() {
            leaf.text.push_str(piece);
        }
    }

    fn close(&mut self) {}

    fn scalar(&mut self, path: &Path, text: &str) {
        self.0.push(Leaf { path: path.clone(), text: text.to_owned(), is_string: false });
    }
}

struct Rewriting {
    out: Vec<u8>,
    becomes: std::vec::IntoIter<Becomes>,
    shape: Shape,
    /// Containers open in one that goes as a whole.
    muted: usize,
    /// Whether the string being read stays.
    same: bool,
}

impl Rewriting {
    fn write(&mut self, bytes: &[u8]) {
        if self.muted == 0 {
            self.out.extend_from_slice(bytes);
        }
    }

    fn quoted(&mut self, text: &str) {
        self.out.push(b'"');
        json::escape(text, &mut self.out);
        self.out.push(b'"');
    }
}

impl Sink for Rewriting {
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

    fn open(&mut self, _: &Path) {
        let becomes = self.becomes.next();
        self.same = matches!(becomes, None | Some(Becomes::Same));
        if self.muted > 0 {
            return;
        }
        match becomes {
            None | Some(Becomes::Same) => self.out.push(b'"'),
            Some(Becomes::Text(text)) => self.quoted(&text),
            Some(Becomes::Scalar(text)) => self.out.extend_from_slice(text.as_bytes()),
        }
    }

    fn text(&mut self, piece: &str) {
        if self.same && self.muted == 0 {
            json::escape(piece, &mut self.out);
        }
    }

    fn close(&mut self) {
        if self.same {
            self.write(b"\"");
        }
    }

    fn scalar(&mut self, _: &Path, text: &str) {
        let becomes = self.becomes.next();
        if self.muted > 0 {
            return;
        }
        match becomes {
            None | Some(Becomes::Same) => self.out.extend_from_slice(text.as_bytes()),
            Some(Becomes::Text(text)) => self.quoted(&text),
            Some(Becomes::Scalar(text)) => self.out.extend_from_slice(text.as_bytes()),
        }
    }
}
