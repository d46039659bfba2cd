//! The events of one stream: pieces of texts are masked as the texts they belong to, everything else as it stands.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    NotUnderstood,
    deltas::{self, Reading},
    event::{self, Becomes, Leaf},
    lane::Lane,
    shape::Shape,
    whole,
};
use crate::gateway::mask::Masking;

/// Texts open at once in one stream.
const MOST_LANES: usize = 1_024;
/// The longest event that can be said again with the rest of a text, bytes.
const LONGEST_PATTERN: usize = 64 * 1024;

/// An event to send on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The one that came, as it is.
    Same,
    /// The one that came, with other JSON.
    Changed(Vec<u8>),
    /// One more, before the one that came: its name and its JSON.
    More(Option<String>, Vec<u8>),
}

/// The texts of a stream.
#[derive(Debug)]
pub(super) struct Events {
    masking: Arc<Masking>,
    /// For copies of what was said before.
    quiet: Arc<Masking>,
    lanes: BTreeMap<String, Open>,
    /// Events that were added so far, for streams that count theirs.
    added: u64,
}

#[derive(Debug)]
struct Open {
    lane: Lane,
    /// The last event with a piece of it.
    pattern: Option<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    name: Option<String>,
    json: Vec<u8>,
    leaf: usize,
}

impl Events {
    pub(super) fn new(masking: &Arc<Masking>) -> Self {
        let (masking, quiet) = (Arc::clone(masking), Arc::new(masking.quiet()));
        Self { masking, quiet, lanes: BTreeMap::new(), added: 0 }
    }

    /// Takes an event and says what to send on, in order.
    ///
    /// # Errors
    /// When it is no JSON, or more than is held.
    pub(super) fn event(&mut self, name: Option<&str>, json: &[u8]) -> Result<Vec<Sent>, NotUnderstood> {
        let leaves = event::leaves(json)?;
        let (shape, reading) = match deltas::read(&leaves) {
            Some(reading) => (Shape::Interface, reading),
            None => (Shape::Any, Reading::default()),
        };
        let mut becomes = self.whole(&leaves, &reading, shape);
        self.pieces(name, json, &leaves, &reading, &mut becomes)?;
        let mut sent = self.ended(&leaves, &reading, &mut becomes)?;
        if let Some(at) = reading.sequence
            && self.added > 0
            && let (Some(leaf), Some(becomes)) = (leaves.get(at), becomes.get_mut(at))
            && let Ok(number) = leaf.text.parse::<u64>()
        {
            *becomes = Becomes::Scalar(number.saturating_add(self.added).to_string());
        }
        let drops = leaves.iter().any(|leaf| shape.drops(&leaf.path));
        sent.push(if drops || becomes.iter().any(|becomes| *becomes != Becomes::Same) {
            Sent::Changed(event::rewrite(json, becomes, shape))
        } else {
            Sent::Same
        });
        Ok(sent)
    }

    /// The stream's end: whatever is held of any text. `whole` says that nothing is missing.
    ///
    /// # Errors
    /// When a text cannot be ended.
    pub(super) fn finish(&mut self, whole: bool) -> Result<Vec<Sent>, NotUnderstood> {
        let mut sent = Vec::new();
        for (_, mut open) in std::mem::take(&mut self.lanes) {
            let mut rest = String::new();
            if whole {
                open.lane.finish(&mut rest)
            } else {
                open.lane.abort(&mut rest)
            }
            sent.extend(self.more(open.pattern, rest, None)?);
        }
        Ok(sent)
    }

    /// Everything that is not a piece.
    fn whole(&self, leaves: &[Leaf], reading: &Reading, shape: Shape) -> Vec<Becomes> {
        let masking = if reading.again { &self.quiet } else { &self.masking };
        let masked = leaves.iter().enumerate().map(|(at, leaf)| {
            if reading.pieces.iter().any(|piece| piece.leaf == at) {
                return Becomes::Same;
            }
            let treatment = shape.treat(&leaf.path, self.masking.fields());
            let masked = if leaf.is_string {
                whole::text(masking, treatment, &leaf.path, &leaf.text)
            } else {
                whole::scalar(masking, treatment, &leaf.path, &leaf.text)
            };
            masked.map_or(Becomes::Same, Becomes::Text)
        });
        masked.collect()
    }

    fn pieces(
        &mut self,
        name: Option<&str>,
        json: &[u8],
        leaves: &[Leaf],
        reading: &Reading,
        becomes: &mut [Becomes],
    ) -> Result<(), NotUnderstood> {
        for piece in &reading.pieces {
            let (Some(leaf), Some(becomes)) = (leaves.get(piece.leaf), becomes.get_mut(piece.leaf)) else {
                continue;
            };
            if !self.lanes.contains_key(&piece.lane) {
                if self.lanes.len() >= MOST_LANES {
                    return Err(NotUnderstood::TooMany);
                }
                let lane =
                    if piece.nested { Lane::nested(&self.masking, 1) } else { Lane::text(&self.masking) };
                self.lanes.insert(piece.lane.clone(), Open { lane, pattern: None });
            }
            let Some(open) = self.lanes.get_mut(&piece.lane) else { continue };
            let mut text = String::new();
            open.lane.push(&leaf.text, &mut text);
            if !leaf.text.is_empty() || open.pattern.is_none() {
                open.pattern = (json.len() <= LONGEST_PATTERN).then(|| Pattern {
                    name: name.map(str::to_owned),
                    json: json.to_vec(),
                    leaf: piece.leaf,
                });
            }
            if text != leaf.text {
                *becomes = Becomes::Text(text);
            }
        }
        Ok(())
    }

    /// The rests of the texts that end here: in this event where it has a place for them, else in one of their own before it.
    fn ended(
        &mut self,
        leaves: &[Leaf],
        reading: &Reading,
        becomes: &mut [Becomes],
    ) -> Result<Vec<Sent>, NotUnderstood> {
        let mut sent = Vec::new();
        if reading.ends.is_empty() {
            return Ok(sent);
        }
        let ended = |name: &str| reading.ends.iter().any(|end| name.starts_with(end.as_str()));
        let names: Vec<String> = self.lanes.keys().filter(|name| ended(name)).cloned().collect();
        for name in names {
            let Some(mut open) = self.lanes.remove(&name) else { continue };
            let mut rest = String::new();
            open.lane.finish(&mut rest);
            let here = reading.pieces.iter().find(|piece| piece.lane == name).map(|piece| piece.leaf);
            match here.and_then(|at| Some((leaves.get(at)?, becomes.get_mut(at)?))) {
                Some(_) if rest.is_empty() => {}
                Some((leaf, becomes)) => {
                    let before = match becomes {
                        Becomes::Text(text) => std::mem::take(text),
                        _ => leaf.text.clone(),
                    };
                    *becomes = Becomes::Text(before + &rest);
                }
                None => {
                    let number = reading
                        .sequence
                        .and_then(|at| leaves.get(at))
                        .and_then(|leaf| leaf.text.parse().ok());
                    sent.extend(self.more(open.pattern, rest, number)?);
                }
            }
        }
        Ok(sent)
    }

    /// One more event with the rest of a text, made after the last one that had a piece of it. `number` is that of the event that
    /// came, where they are counted.
    fn more(
        &mut self,
        pattern: Option<Pattern>,
        rest: String,
        number: Option<u64>,
    ) -> Result<Option<Sent>, NotUnderstood> {
        if rest.is_empty() {
            return Ok(None);
        }
        let Pattern { name, json, leaf } = pattern.ok_or(NotUnderstood::TooLong)?;
        let leaves = event::leaves(&json)?;
        let reading = Reading { again: true, ..deltas::read(&leaves).unwrap_or_default() };
        let mut becomes = self.whole(&leaves, &reading, Shape::Interface);
        for (at, (other, becomes)) in leaves.iter().zip(&mut becomes).enumerate() {
            let is_piece = reading.pieces.iter().any(|piece| piece.leaf == at);
            if at == leaf {
                *becomes = Becomes::Text(rest.clone());
            } else if is_piece {
                *becomes = Becomes::Text(String::new());
            } else if reading.sequence == Some(at) {
                let number = number.or_else(|| other.text.parse().ok()).unwrap_or_default();
                *becomes = Becomes::Scalar(number.saturating_add(self.added).to_string());
            } else if other.is_string && is_said_once(other) {
                *becomes = Becomes::Scalar("null".to_owned());
            }
        }
        self.added = self.added.saturating_add(1);
        Ok(Some(Sent::More(name, event::rewrite(&json, becomes, Shape::Interface))))
    }
}

/// What clients put together from pieces, and must not hear twice.
fn is_said_once(leaf: &Leaf) -> bool {
    let in_delta =
        leaf.path.steps().iter().any(|step| matches!(step, super::json::Step::Key(key) if key == "delta"));
    match leaf.path.key() {
        Some("type") => false,
        Some("finish_reason" | "finishReason" | "stop_reason") => true,
        _ => in_delta,
    }
}
