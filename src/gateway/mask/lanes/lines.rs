//! JSON, one value a line (NDJSON), each an event of a stream.

use std::sync::Arc;

use super::{
    NotUnderstood,
    deltas::Carrier,
    events::{Events, Sent},
    sse::LONGEST,
};
use crate::gateway::mask::Masking;

/// The lines of one answer.
#[derive(Debug)]
pub(super) struct Lines {
    events: Events,
    held: Vec<u8>,
    /// The last byte that was written.
    last: Option<u8>,
}

impl Lines {
    pub(super) fn new(masking: &Arc<Masking>) -> Self {
        Self { events: Events::new(masking, Carrier::Records), held: Vec::new(), last: None }
    }

    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end + 1);
            rest = after;
            if self.held.is_empty() {
                self.line(line, out)?;
            } else {
                let mut held = std::mem::take(&mut self.held);
                held.extend_from_slice(line);
                self.line(&held, out)?;
            }
        }
        self.held.extend_from_slice(rest);
        self.last = out.last().copied().or(self.last);
        if self.held.len() > LONGEST { Err(NotUnderstood::TooLong) } else { Ok(()) }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        let held = std::mem::take(&mut self.held);
        let line = self.line(&held, out);
        self.end(line.is_ok(), out);
        line
    }

    pub(super) fn abort(&mut self, out: &mut Vec<u8>) {
        self.held.clear();
        self.end(false, out);
    }

    fn end(&mut self, whole: bool, out: &mut Vec<u8>) {
        for sent in self.events.finish(whole).unwrap_or_default() {
            if let Sent::More(_, json) = sent {
                // The last line may have come without its end.
                if out.last().or(self.last.as_ref()).is_some_and(|last| *last != b'\n') {
                    out.push(b'\n');
                }
                more(&json, out);
            }
        }
    }

    /// One line, with its line feed unless it is the last.
    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        // RFC 7464 puts a record separator before each.
        let json = line.trim_ascii();
        let json = json.strip_prefix(b"\x1e").map_or(json, <[u8]>::trim_ascii_start);
        if json.is_empty() {
            out.extend_from_slice(line);
            return Ok(());
        }
        let sent = self.events.event(None, json)?;
        let after = line.len() - line.trim_ascii_end().len();
        let (rest, after) = line.split_at(line.len() - after);
        let before = rest.strip_suffix(json).unwrap_or_default();
        for sent in sent {
            match sent {
                Sent::Same => out.extend_from_slice(line),
                Sent::Changed(json) => {
                    [before, &json, after].iter().for_each(|part| out.extend_from_slice(part))
                }
                Sent::More(_, json) => more(&json, out),
            }
        }
        Ok(())
    }
}

fn more(json: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(json);
    out.push(b'\n');
}
