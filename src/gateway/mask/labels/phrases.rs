//! Every label phrase as a tree of letters, read from their ends: `htribfoetad`.

use std::sync::LazyLock;

use super::{
    squeezed::{Letters, Squeezed},
    words,
};

/// The phrases of `words.txt`.
pub(super) static PHRASES: LazyLock<Phrases> = LazyLock::new(Phrases::new);

pub(super) struct Phrases {
    nodes: Vec<Node>,
    /// The edges of all nodes, each node's together.
    edges: Vec<(u8, u32)>,
    /// Where the tree goes on from its root; 0: nowhere.
    first: [u32; 256],
    verbs: Vec<&'static str>,
}

#[derive(Clone, Copy, Default)]
struct Node {
    /// Which bytes may go on, by their low five bits: most go on nowhere.
    hint: u32,
    /// The first of its edges, and how many there are.
    edges: (u32, u32),
    /// The labels of the phrase that is whole here.
    bits: u128,
}

/// A node while the tree grows.
#[derive(Default)]
struct Growing {
    next: Vec<(u8, u32)>,
    bits: u128,
}

impl Phrases {
    fn new() -> Self {
        let mut growing = vec![Growing::default()];
        for (label, phrase) in words::phrases() {
            let phrase = Squeezed::of(phrase.as_bytes());
            let end =
                phrase.letters().bytes().iter().rev().fold(0, |node, byte| grow(&mut growing, node, *byte));
            if let Some(node) = growing.get_mut(end as usize) {
                node.bits |= 1 << (label as u8);
            }
        }
        let mut first = [0; 256];
        for (byte, next) in growing.first().map(|root| root.next.as_slice()).unwrap_or_default() {
            if let Some(slot) = first.get_mut(usize::from(*byte)) {
                *slot = *next;
            }
        }
        let mut edges = Vec::new();
        let nodes = growing
            .into_iter()
            .map(|node| {
                let begin = u32::try_from(edges.len()).unwrap_or(u32::MAX);
                let count = u32::try_from(node.next.len()).unwrap_or(0);
                let hint = node.next.iter().fold(0, |hint, (byte, _)| hint | 1 << (byte & 31));
                edges.extend(node.next);
                Node { hint, edges: (begin, count), bits: node.bits }
            })
            .collect();
        Self { nodes, edges, first, verbs: words::verbs().collect() }
    }

    fn step(&self, node: Node, byte: u8) -> Option<Node> {
        if node.hint >> (byte & 31) & 1 == 0 {
            return None;
        }
        let (begin, count) = node.edges;
        let edges = self.edges.get(begin as usize..(begin + count) as usize)?;
        let (_, next) = edges.iter().find(|(b, _)| *b == byte)?;
        self.nodes.get(*next as usize).copied()
    }

    /// The longest phrase that ends at `end` and begins with a word: where it begins, and its labels.
    pub(super) fn ending(&self, text: Letters<'_>, end: usize) -> Option<(usize, u128)> {
        let mut rest = text.bytes().get(..end)?;
        let (last, before) = rest.split_last()?;
        let first = self.first.get(usize::from(*last)).filter(|next| **next != 0)?;
        let mut node = self.nodes.get(*first as usize).copied()?;
        rest = before;
        let mut found = None;
        loop {
            if node.bits != 0 && text.begins(rest.len()) {
                found = Some((rest.len(), node.bits));
            }
            let Some((byte, before)) = rest.split_last() else { break };
            let Some(next) = self.step(node, *byte) else { break };
            (node, rest) = (next, before);
        }
        found
    }

    /// Whether the letters say no more than "is".
    pub(super) fn is_verb(&self, letters: &[u8]) -> bool {
        self.verbs.iter().any(|verb| verb.as_bytes() == letters)
    }
}

/// The node behind `node` for `byte`, made where there is none.
fn grow(nodes: &mut Vec<Growing>, node: u32, byte: u8) -> u32 {
    let made = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    let Some(grown) = nodes.get_mut(node as usize) else { return 0 };
    if let Some((_, next)) = grown.next.iter().find(|(b, _)| *b == byte) {
        return *next;
    }
    grown.next.push((byte, made));
    nodes.push(Growing::default());
    made
}
