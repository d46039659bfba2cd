//! The beginning of what an answer says, where the operator has it kept: texts of the model in documents and streams that are understood.

use super::shown::MAX_SHOWN;

/// Collects the texts of an answer.
#[derive(Debug)]
pub(super) struct Said {
    text: Vec<u8>,
    /// Of the document being read.
    pending: Vec<u8>,
    /// The documents are pieces of one text, and not each a whole one.
    pieces: bool,
    /// The document is of another answer beside the first: their pieces lie among each other.
    another: bool,
    /// The document is of the first answer, by its own word.
    first: bool,
    /// Something came that is no document: what comes behind it must not be read with what stands before it.
    stopped: bool,
    /// Not all of it is here.
    cut: bool,
}

impl Said {
    pub(super) fn new(pieces: bool) -> Self {
        Self {
            text: Vec::new(),
            pending: Vec::new(),
            pieces,
            another: false,
            first: false,
            stopped: false,
            cut: false,
        }
    }

    /// How much of the next text is wanted.
    pub(super) fn room(&self) -> usize {
        if self.cut { 0 } else { MAX_SHOWN.saturating_sub(self.text.len() + self.pending.len()) }
    }

    /// A text of the model; `whole`: all of it.
    pub(super) fn says(&mut self, text: &[u8], whole: bool) {
        self.cut |= self.stopped;
        if self.cut {
            return;
        }
        if !self.pieces && !self.pending.is_empty() {
            self.pending.push(b'\n');
        }
        let room = self.room();
        self.pending.extend_from_slice(text.get(..room).unwrap_or(text));
        self.cut = !whole || text.len() >= room;
    }

    /// The document says which of several answers it belongs to.
    pub(super) fn belongs(&mut self, index: u64) {
        if index == 0 { self.first = true } else { self.another = true }
    }

    /// The document is complete, or was none.
    pub(super) fn document_ends(&mut self, good: bool) {
        let (another, first) = (std::mem::take(&mut self.another), std::mem::take(&mut self.first));
        if self.pieces && another && !first {
            // The pieces of the first answer follow each other all the same.
            self.cut &= self.text.len() + self.pending.len() < MAX_SHOWN;
            self.pending.clear();
        } else if !good || (self.pieces && another) {
            // `[DONE]` is no document either, and nothing is missing.
            self.cut |= !self.pending.is_empty();
            self.stopped = true;
            self.pending.clear();
        }
        if !self.pieces && !self.text.is_empty() && !self.pending.is_empty() {
            self.text.push(b'\n');
        }
        self.text.append(&mut self.pending);
    }

    /// What was said so far, and whether that is all.
    pub(super) fn told(&self) -> Option<(String, bool)> {
        let mut text = self.text.clone();
        text.extend_from_slice(&self.pending);
        let whole = !self.cut && text.len() < MAX_SHOWN;
        super::shown::text(&text).map(|text| (text, whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pieces: bool, documents: &[&[(u64, &str)]]) -> Option<(String, bool)> {
        let mut said = Said::new(pieces);
        for document in documents {
            for (index, text) in *document {
                said.belongs(*index);
                said.says(text.as_bytes(), true);
            }
            said.document_ends(true);
        }
        said.told()
    }

    #[test]
    fn pieces_of_the_first_answer_are_joined_and_those_of_others_left_out() {
        let stream: &[&[(u64, &str)]] = &[&[(0, "jo")], &[(1, "another")], &[(0, "hn")]];
        assert_eq!(told(true, stream), Some(("john".to_owned(), true)));
        assert_eq!(told(false, &[&[(0, "one"), (1, "two")]]), Some(("one\ntwo".to_owned(), true)));
        assert_eq!(told(true, &[]), None);
    }

    #[test]
    fn behind_a_hole_nothing_is_joined() {
        let mixed: &[&[(u64, &str)]] = &[&[(0, "jo")], &[(0, "h"), (1, "x")], &[(0, "n")]];
        assert_eq!(told(true, mixed), Some(("jo".to_owned(), false)));
        let mut said = Said::new(true);
        said.says(b"jo", true);
        said.document_ends(false);
        said.says(b"hn", true);
        said.document_ends(true);
        assert_eq!(said.told(), None);
        let mut said = Said::new(true);
        for text in ["jo", "", "hn"] {
            said.says(text.as_bytes(), true);
            said.document_ends(!text.is_empty());
        }
        assert_eq!(said.told(), Some(("jo".to_owned(), false)));
    }

    #[test]
    fn a_word_at_the_end_that_is_no_document_takes_nothing_away() {
        let mut said = Said::new(true);
        said.says(b"hi", true);
        said.document_ends(true);
        said.document_ends(false);
        assert_eq!(said.told(), Some(("hi".to_owned(), true)));
    }

    #[test]
    fn no_more_than_its_bound_is_kept() {
        let long = "é".repeat(MAX_SHOWN);
        let (text, whole) = told(true, &[&[(0, &long)], &[(0, "more")]]).unwrap();
        assert!(text.len() <= MAX_SHOWN && !whole && text.chars().all(|c| c == 'é'), "{}", text.len());
    }
}
