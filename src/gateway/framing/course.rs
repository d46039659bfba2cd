//! Message after message of one direction of a connection (RFC 9112 §6, §9).

use std::sync::Arc;

use super::{
    Malformed,
    chunks::Chunks,
    guard::{Answers, Expected, Requests},
    section::{Facts, Kind, Section},
};

/// Whose messages these are, and what is known of the other direction.
pub(super) enum Side {
    Requests(Arc<Requests>),
    Answers(Arc<Answers>),
}

/// Where in a message the next byte stands.
enum Phase {
    /// In a head or in trailers.
    Section(Section),
    /// In a body, so many bytes of which are to come.
    Length(u64),
    Chunks(Chunks),
    /// Behind the request of this number, which asks to leave HTTP.
    Leaving(u64),
    /// HTTP has been left, or the body ends with the connection.
    Raw,
}

/// The messages of one direction.
pub(super) struct Course {
    side: Side,
    phase: Phase,
    /// Heads that were whole.
    heads: u64,
    /// The request under way asks to leave HTTP.
    leaves: bool,
}

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) malformed: Malformed,
    /// Bytes before it that may go on.
    pub(super) passes: usize,
    /// The number of the message, counted from 0, when nothing of it has gone on yet.
    pub(super) whole: Option<u64>,
}

impl Course {
    pub(super) fn new(side: Side) -> Self {
        let phase = Phase::Section(Section::new(side.kind()));
        Self { side, phase, heads: 0, leaves: false }
    }

    pub(super) fn side(&self) -> &Side {
        &self.side
    }

    /// Whether there is nothing to read any more.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Raw)
    }

    /// Reads on. As many of the bytes as it returns may go on; the others are the beginning of a section that is not whole yet, and must
    /// be given again with what follows them.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<usize, Failed> {
        let mut at = 0;
        // The message under way, when it began among these bytes: its number and where.
        let mut message = None;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.is_head() {
                message = Some((self.heads, at));
            }
            match self.step(rest) {
                Ok(Some(used)) => at += used,
                Ok(None) => return Ok(at),
                Err((used, malformed)) => {
                    return Err(Failed {
                        malformed,
                        passes: message.map_or(at + used, |(_, begins)| begins),
                        whole: message.map(|(number, _)| number),
                    });
                }
            }
        }
        Ok(at)
    }

    fn is_head(&self) -> bool {
        matches!(&self.phase, Phase::Section(section) if section.kind().is_head())
    }

    /// How many of the bytes were read; `None`: none, more are needed.
    fn step(&mut self, bytes: &[u8]) -> Result<Option<usize>, (usize, Malformed)> {
        let here = |malformed| (0, malformed);
        match &mut self.phase {
            Phase::Section(section) => {
                if section.kind() == Kind::Answer && !self.side.is_asked() {
                    return Err((0, Malformed::Unasked));
                }
                let Some(length) = section.read(bytes).map_err(here)? else { return Ok(None) };
                let (kind, facts) = (section.kind(), section.facts());
                match kind {
                    Kind::Request => self.requested(facts),
                    Kind::Answer => self.answered(facts).map_err(here)?,
                    Kind::RequestTrailers | Kind::AnswerTrailers => self.ended(),
                }
                Ok(Some(length))
            }
            Phase::Length(left) => {
                let there = u64::try_from(bytes.len()).unwrap_or(u64::MAX).min(*left);
                *left -= there;
                if *left == 0 {
                    self.ended();
                }
                // As many as there are, which a usize counted.
                Ok(Some(usize::try_from(there).unwrap_or(bytes.len())))
            }
            Phase::Chunks(chunks) => {
                let (used, ended) = chunks.read(bytes)?;
                if ended {
                    self.phase = Phase::Section(Section::new(self.side.trailers()));
                }
                Ok(Some(used))
            }
            Phase::Leaving(number) => {
                self.phase = match self.side.left(*number) {
                    None => return Err((0, Malformed::Early)),
                    Some(true) => Phase::Raw,
                    Some(false) => Phase::Section(Section::new(Kind::Request)),
                };
                Ok(Some(0))
            }
            Phase::Raw => Ok(Some(bytes.len())),
        }
    }

    /// The head of a request is whole.
    fn requested(&mut self, facts: Facts) {
        self.heads += 1;
        self.leaves = facts.leaves();
        self.body(facts);
    }

    /// The head of an answer is whole. RFC 9112 §6.3: what its body ends with.
    fn answered(&mut self, facts: Facts) -> Result<(), Malformed> {
        let Side::Answers(answers) = &self.side else { return Ok(()) };
        if (100..200).contains(&facts.status) && facts.status != 101 {
            self.phase = Phase::Section(Section::new(Kind::Answer));
            return Ok(());
        }
        let expected = answers.take();
        self.heads += 1;
        match (expected, facts.status) {
            (Expected::Leave, 101) => self.phase = Phase::Raw,
            // Nobody asked: what follows belongs to no exchange.
            (_, 101) => return Err(Malformed::Unasked),
            (Expected::Head, _) | (_, 204 | 304) => self.ended(),
            _ if !facts.chunked && facts.length.is_none() => self.phase = Phase::Raw,
            _ => self.body(facts),
        }
        Ok(())
    }

    fn body(&mut self, facts: Facts) {
        if facts.chunked {
            self.phase = Phase::Chunks(Chunks::new());
        } else if let Some(length) = facts.length.filter(|length| *length > 0) {
            self.phase = Phase::Length(length);
        } else {
            self.ended();
        }
    }

    /// A message is complete.
    fn ended(&mut self) {
        self.phase = if std::mem::take(&mut self.leaves) {
            Phase::Leaving(self.heads.saturating_sub(1))
        } else {
            Phase::Section(Section::new(self.side.kind()))
        };
    }
}

impl Side {
    fn kind(&self) -> Kind {
        match self {
            Self::Requests(_) => Kind::Request,
            Self::Answers(_) => Kind::Answer,
        }
    }

    fn trailers(&self) -> Kind {
        match self {
            Self::Requests(_) => Kind::RequestTrailers,
            Self::Answers(_) => Kind::AnswerTrailers,
        }
    }

    fn is_asked(&self) -> bool {
        match self {
            Self::Requests(_) => true,
            Self::Answers(answers) => answers.is_asked(),
        }
    }

    /// Whether the request of a number has left HTTP; `None`: it has no answer yet.
    fn left(&self, number: u64) -> Option<bool> {
        match self {
            Self::Requests(requests) => requests.left(number),
            Self::Answers(_) => Some(false),
        }
    }
}
