//! An answer of server-sent events.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    NotUnderstood,
    deltas::Carrier,
    events::{Events, Sent},
    lane::Lane,
    sse::{self, Block, Blocks},
};
use crate::gateway::mask::Masking;

/// What ends OpenAI's streams.
const DONE: &str = "[DONE]";
/// Streams of plain text by the names of their events, at most.
const MOST_NAMES: usize = 64;

/// The blocks of one stream and the texts in them.
#[derive(Debug)]
pub(super) struct Stream {
    masking: Arc<Masking>,
    blocks: Blocks,
    events: Events,
    /// Events whose data is plain text are pieces of one text for each name. What began as text is text to its end.
    plain: BTreeMap<Option<String>, Lane>,
    /// Whether an event was JSON.
    has_json: bool,
}

impl Stream {
    pub(super) fn new(masking: &Arc<Masking>) -> Self {
        Self {
            masking: Arc::clone(masking),
            blocks: Blocks::default(),
            events: Events::new(masking, Carrier::Events),
            plain: BTreeMap::new(),
            has_json: false,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        self.blocks.push(bytes);
        while let Some(block) = self.blocks.next()? {
            self.block(&block, out)?;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        let last = match self.blocks.rest() {
            Some(block) if block.bytes.trim_ascii().is_empty() => {
                out.extend_from_slice(&block.bytes);
                Ok(())
            }
            // A client drops what no empty line ends; it is ended here, since more may come before it.
            Some(block) => self.block(&block, out),
            None => Ok(()),
        };
        self.end(last.is_ok(), out);
        last
    }

    pub(super) fn abort(&mut self, out: &mut Vec<u8>) {
        // An event cut in two: its beginning may be the beginning of anything.
        self.blocks.rest();
        self.end(false, out);
    }

    /// Whatever is held of any text.
    fn end(&mut self, whole: bool, out: &mut Vec<u8>) {
        for (name, mut lane) in std::mem::take(&mut self.plain) {
            let mut rest = String::new();
            if whole {
                lane.finish(&mut rest)
            } else {
                lane.abort(&mut rest)
            }
            if !rest.is_empty() {
                sse::write(name.as_deref(), &rest, out);
            }
        }
        more(self.events.finish(whole).unwrap_or_default(), out);
    }

    fn block(&mut self, block: &Block, out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        let data = match block.data.as_deref() {
            None => None,
            Some(DONE) => {
                self.end(true, out);
                None
            }
            Some(data) if self.is_json(block.name.as_ref(), data) => {
                let mut sent = self.events.event(block.name.as_deref(), data.as_bytes())?;
                self.has_json = true;
                let last = sent.pop();
                more(sent, out);
                match last {
                    Some(Sent::Changed(json)) => Some(String::from_utf8_lossy(&json).into_owned()),
                    _ => None,
                }
            }
            Some(data) => Some(self.text(block.name.clone(), data)?),
        };
        let comment = |comment: &str| {
            let mut masked = String::new();
            let mut lane = Lane::text(&self.masking);
            lane.push(comment, &mut masked);
            lane.finish(&mut masked);
            masked
        };
        if data.is_none() && !block.has_other() {
            out.extend_from_slice(&block.bytes);
        } else {
            block.with(data.as_deref(), comment, out);
        }
        Ok(())
    }

    /// Whether data is JSON. A stream of text has brackets, too: one that begins as text is text, and so is a bracket by itself.
    fn is_json(&self, name: Option<&String>, data: &str) -> bool {
        let data = data.trim();
        let begins = data.starts_with(['{', '[']);
        begins && !self.plain.contains_key(&name.cloned()) && (self.has_json || data.len() > 1)
    }

    fn text(&mut self, name: Option<String>, data: &str) -> Result<String, NotUnderstood> {
        if self.plain.len() >= MOST_NAMES && !self.plain.contains_key(&name) {
            return Err(NotUnderstood::TooMany);
        }
        let lane = self.plain.entry(name).or_insert_with(|| Lane::text(&self.masking));
        let mut text = String::new();
        lane.push(data, &mut text);
        Ok(text)
    }
}

fn more(sent: Vec<Sent>, out: &mut Vec<u8>) {
    for sent in sent {
        if let Sent::More(name, json) = sent {
            sse::write(name.as_deref(), &String::from_utf8_lossy(&json), out);
        }
    }
}
