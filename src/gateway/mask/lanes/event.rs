//! One JSON event of a stream: its values in order, and the event again with some of them changed, every other byte as it was.

use std::ops::Range;

use super::{
    json::{Escapes, Malformed, Path, Scanner, Sink},
    shape,
};

/// Something of an event that may have to change.
#[derive(Debug)]
pub(super) struct Leaf {
    /// Where it stands; of a key, nothing.
    pub(super) path: Path,
    /// A string's or key's text, or a number or literal as it stands.
    pub(super) text: String,
    /// Whether it is a value in quotes.
    pub(super) is_string: bool,
    pub(super) kind: Kind,
    /// Its bytes in the event.
    pub(super) at: Range<usize>,
}

/// What a leaf is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Neither an object nor an array.
    Value,
    /// The key of a member.
    Key,
    /// An object that may go as a whole.
    Object,
    /// An array that may.
    Array,
}

/// What a value becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Becomes {
    Same,
    Text(String),
    /// A number or literal, or JSON of another kind.
    Raw(String),
}

/// The values of an event, in its order; containers that `covers` names or that may repeat the text stand before what is in them.
pub(super) fn leaves(
    event: &[u8],
    escapes: &mut Escapes,
    covers: impl Fn(&Path) -> bool,
) -> Result<Vec<Leaf>, Malformed> {
    let mut found = Found { leaves: Vec::new(), open: Vec::new(), covers };
    let mut scanner = Scanner::writing_like(escapes);
    scanner.feed(event, &mut found)?;
    scanner.finish(&mut found)?;
    escapes.clone_from(scanner.escapes());
    Ok(found.leaves)
}

/// The event with its leaves changed, each as `becomes` says in the same order.
pub(super) fn rewrite(event: &[u8], leaves: &[Leaf], becomes: &[Becomes], escapes: &Escapes) -> Vec<u8> {
    let (mut out, mut done) = (Vec::with_capacity(event.len() + 64), 0);
    for (leaf, becomes) in leaves.iter().zip(becomes) {
        // What lies in something that went is gone with it.
        if *becomes == Becomes::Same || leaf.at.start < done {
            continue;
        }
        out.extend_from_slice(event.get(done..leaf.at.start).unwrap_or_default());
        done = leaf.at.end;
        match becomes {
            Becomes::Same => {}
            Becomes::Raw(json) => out.extend_from_slice(json.as_bytes()),
            Becomes::Text(text) => {
                out.push(b'"');
                escapes.write(text, &mut out);
                out.push(b'"');
            }
        }
    }
    out.extend_from_slice(event.get(done..).unwrap_or_default());
    out
}

struct Found<C> {
    leaves: Vec<Leaf>,
    /// Containers under way: the leaf of each that has one.
    open: Vec<Option<usize>>,
    covers: C,
}

impl<C> Found<C> {
    fn begin(&mut self, path: Path, kind: Kind, at: u64) {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let is_string = kind == Kind::Value;
        self.leaves.push(Leaf { path, text: String::new(), is_string, kind, at: at..at });
    }
}

impl<C: Fn(&Path) -> bool> Sink for Found<C> {
    fn raw(&mut self, _: &[u8]) {}

    fn enter(&mut self, path: &Path, bracket: u8, at: u64) {
        let told = shape::may_repeat(path) || (self.covers)(path);
        self.open.push(told.then_some(self.leaves.len()));
        if told {
            self.begin(path.clone(), if bracket == b'[' { Kind::Array } else { Kind::Object }, at);
        }
    }

    fn leave(&mut self, _: u8, end: u64) {
        if let Some(leaf) = self.open.pop().flatten().and_then(|at| self.leaves.get_mut(at)) {
            leaf.at.end = usize::try_from(end).unwrap_or(usize::MAX);
        }
    }

    fn open(&mut self, path: &Path, key: bool, at: u64) {
        if key {
            self.begin(Path::default(), Kind::Key, at);
        } else {
            self.begin(path.clone(), Kind::Value, at);
        }
    }

    fn text(&mut self, piece: &str, _: &Escapes) {
        if let Some(leaf) = self.leaves.last_mut() {
            leaf.text.push_str(piece);
        }
    }

    fn close(&mut self, _: &Escapes, end: u64) {
        let plain =
            self.leaves.last().is_some_and(|leaf| leaf.kind == Kind::Key && shape::is_plain_key(&leaf.text));
        if plain {
            self.leaves.pop();
        } else if let Some(leaf) = self.leaves.last_mut() {
            leaf.at.end = usize::try_from(end).unwrap_or(usize::MAX);
        }
    }

    fn scalar(&mut self, path: &Path, text: &str, end: u64) {
        let end = usize::try_from(end).unwrap_or(usize::MAX);
        self.leaves.push(Leaf {
            path: path.clone(),
            text: text.to_owned(),
            is_string: false,
            kind: Kind::Value,
            at: end.saturating_sub(text.len())..end,
        });
    }
}
