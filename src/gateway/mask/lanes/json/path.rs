//! Where in a document a value stands.

use std::fmt;

/// One step from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Step {
    /// The value under a key, or none before the key was read.
    Key(String),
    /// An element, counted from 0.
    Index(usize),
}

/// The steps from the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Path(Vec<Step>);

impl Path {
    pub(in super::super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The key that the value stands under, if any.
    pub(in super::super) fn key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn depth(&self) -> usize {
        self.0.len()
    }

    pub(super) fn in_array(&self) -> bool {
        matches!(self.0.last(), Some(Step::Index(_)))
    }

    pub(super) fn in_object(&self) -> bool {
        matches!(self.0.last(), Some(Step::Key(_)))
    }

    pub(super) fn push(&mut self, array: bool) {
        self.0.push(if array { Step::Index(0) } else { Step::Key(String::new()) });
    }

    pub(super) fn leave(&mut self) {
        self.0.pop();
    }

    /// On to the next element or key; whether it is an element.
    pub(super) fn next(&mut self) -> bool {
        match self.0.last_mut() {
            Some(Step::Index(index)) => {
                *index = index.saturating_add(1);
                true
            }
            _ => false,
        }
    }

    pub(super) fn forget_key(&mut self) {
        if let Some(Step::Key(key)) = self.0.last_mut() {
            key.clear();
        }
    }

    pub(super) fn extend_key(&mut self, text: &str, most: usize) {
        if let Some(Step::Key(key)) = self.0.last_mut()
            && key.len() + text.len() <= most
        {
            key.push_str(text);
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.0.iter().try_for_each(|step| match step {
            Step::Key(key) => write!(f, ".{key}"),
            Step::Index(index) => write!(f, "[{index}]"),
        })
    }
}
