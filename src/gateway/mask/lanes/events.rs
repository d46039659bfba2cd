//! The events of one stream: pieces of texts are masked as the texts they belong to, everything else as it stands.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    NotUnderstood,
    deltas::{self, Carrier, Reading},
    document::LONGEST_FIELD,
    event::{self, Becomes, Kind, Leaf},
    json::{Escapes, Path, Step},
    lane::Lane,
    shape, whole,
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
    carrier: Carrier,
    escapes: Escapes,
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
    pub(super) fn new(masking: &Arc<Masking>, carrier: Carrier) -> Self {
        let (masking, quiet) = (Arc::clone(masking), Arc::new(masking.quiet()));
        Self { masking, quiet, carrier, escapes: Escapes::default(), lanes: BTreeMap::new(), added: 0 }
    }

    /// Whether an event is of a known shape.
    pub(super) fn knows(&self, json: &[u8]) -> bool {
        let leaves = event::leaves(json, &mut Escapes::default(), |_| false);
        leaves.is_ok_and(|leaves| deltas::read(&leaves, self.carrier).shape == shape::Shape::Interface)
    }

    /// Takes an event and says what to send on, in order; the last is the event itself.
    ///
    /// # Errors
    /// When it is no JSON, or more than is held.
    pub(super) fn event(&mut self, name: Option<&str>, json: &[u8]) -> Result<Vec<Sent>, NotUnderstood> {
        let leaves = self.leaves(json)?;
        let reading = deltas::read(&leaves, self.carrier);
        let mut becomes = self.whole(json, &leaves, &reading);
        self.pieces(name, json, &leaves, &reading, &mut becomes)?;
        let mut sent = self.ended(&leaves, &reading, &mut becomes)?;
        if let Some(at) = reading.sequence
            && self.added > 0
            && let (Some(leaf), Some(becomes)) = (leaves.get(at), becomes.get_mut(at))
            && let Ok(number) = leaf.text.parse::<u64>()
        {
            *becomes = Becomes::Raw(number.saturating_add(self.added).to_string());
        }
        sent.push(if becomes.iter().any(|becomes| *becomes != Becomes::Same) {
            Sent::Changed(event::rewrite(json, &leaves, &becomes, &self.escapes))
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

    fn leaves(&mut self, json: &[u8]) -> Result<Vec<Leaf>, NotUnderstood> {
        let masking = Arc::clone(&self.masking);
        let covers = |path: &Path| shape::covered(path, masking.fields());
        Ok(event::leaves(json, &mut self.escapes, covers)?)
    }

    /// Everything that is not a piece.
    fn whole(&self, json: &[u8], leaves: &[Leaf], reading: &Reading) -> Vec<Becomes> {
        let masking = if reading.again { &self.quiet } else { &self.masking };
        let fields = masking.fields();
        // How far a container reaches that goes as a whole.
        let mut gone = 0;
        let masked = leaves.iter().enumerate().map(|(at, leaf)| {
            if leaf.at.start < gone || reading.pieces.iter().any(|piece| piece.leaf == at) {
                return Becomes::Same;
            }
            let masked = match leaf.kind {
                Kind::Key => whole::key(masking, &leaf.text),
                Kind::Object | Kind::Array if shape::covered(&leaf.path, fields) => {
                    gone = leaf.at.end;
                    let came = json.get(leaf.at.clone()).unwrap_or_default();
                    let came = came.get(..LONGEST_FIELD).unwrap_or(came);
                    Some(masking.field(&String::from_utf8_lossy(came)))
                }
                Kind::Object | Kind::Array if reading.shape.drops(&leaf.path) => {
                    gone = leaf.at.end;
                    let none = if leaf.kind == Kind::Array { "[]" } else { "null" };
                    // What is nothing already stays as it is written.
                    let is_empty = json.get(leaf.at.clone()).is_some_and(|json| json == none.as_bytes());
                    return if is_empty { Becomes::Same } else { Becomes::Raw(none.to_owned()) };
                }
                Kind::Object | Kind::Array => None,
                Kind::Value => {
                    let treatment = reading.shape.treat(&leaf.path, fields);
                    let value = if leaf.is_string { whole::text } else { whole::scalar };
                    value(masking, treatment, &leaf.path, &leaf.text)
                }
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
                let lane = match piece.nested {
                    _ if shape::covered(&leaf.path, self.masking.fields()) => Lane::field(&self.masking),
                    true => Lane::nested(&self.masking, 1),
                    false => Lane::text(&self.masking),
                };
                self.lanes.insert(piece.lane.clone(), Open { lane, pattern: None });
            }
            let Some(open) = self.lanes.get_mut(&piece.lane) else { continue };
            let mut text = String::new();
            open.lane.push(&leaf.text, &mut text);
            if !leaf.text.is_empty() || open.pattern.is_none() {
                open.pattern = Pattern::of(name, json, leaves, reading, piece.leaf);
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
            let here = reading.pieces.iter().rfind(|piece| piece.lane == name).map(|piece| piece.leaf);
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
        let leaves = self.leaves(&json)?;
        let reading = Reading { again: true, ..deltas::read(&leaves, self.carrier) };
        let mut becomes = self.whole(&json, &leaves, &reading);
        for (at, (other, becomes)) in leaves.iter().zip(&mut becomes).enumerate() {
            let is_piece = reading.pieces.iter().any(|piece| piece.leaf == at);
            if at == leaf {
                *becomes = Becomes::Text(rest.clone());
            } else if is_piece {
                *becomes = Becomes::Text(String::new());
            } else if reading.sequence == Some(at) {
                let number = number.or_else(|| other.text.parse().ok().map(|n: u64| n.saturating_add(1)));
                *becomes = Becomes::Raw(number.unwrap_or_default().saturating_add(self.added).to_string());
            } else if other.is_string && is_said_once(other) {
                *becomes = Becomes::Raw("null".to_owned());
            }
        }
        self.added = self.added.saturating_add(1);
        let alone = leaves.get(leaf).and_then(|leaf| deltas::alone(leaf, &leaves, &rest));
        let json = alone.unwrap_or_else(|| event::rewrite(&json, &leaves, &becomes, &self.escapes));
        Ok(Some(Sent::More(name, json)))
    }
}

impl Pattern {
    /// The event, or when it is long the event without the texts in it.
    fn of(name: Option<&str>, json: &[u8], leaves: &[Leaf], reading: &Reading, leaf: usize) -> Option<Self> {
        let json = if json.len() <= LONGEST_PATTERN {
            json.to_vec()
        } else {
            let mut becomes = vec![Becomes::Same; leaves.len()];
            for piece in &reading.pieces {
                if let Some(becomes) = becomes.get_mut(piece.leaf) {
                    *becomes = Becomes::Text(String::new());
                }
            }
            event::rewrite(json, leaves, &becomes, &Escapes::default())
        };
        (json.len() <= LONGEST_PATTERN).then(|| Self { name: name.map(str::to_owned), json, leaf })
    }
}

/// What clients put together from pieces, and must not hear twice.
fn is_said_once(leaf: &Leaf) -> bool {
    let in_delta = leaf.path.steps().iter().any(|step| matches!(step, Step::Key(key) if key == "delta"));
    match leaf.path.key() {
        Some("type") => false,
        Some("finish_reason" | "finishReason" | "stop_reason") => true,
        _ => in_delta,
    }
}
