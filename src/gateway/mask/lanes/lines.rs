//! JSON, one value a line (NDJSON), each an event of a stream.

use std::sync::Arc;

use super::{
    NotUnderstood,
    events::{Events, Sent},
    sse::LONGEST,
};
use crate::gateway::mask::Masking;

/// The lines of one answer.
#[derive(Debug)]
pub(super) struct Lines {
    events: Events,
    held: Vec<u8>,
}

impl Lines {
    pub(super) fn new(masking: &Arc<Masking>) -> Self {
        Self { events: Events::new(masking), held: Vec::new() }
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
        let more = self.events.finish(whole).unwrap_or_default();
        more.into_iter().for_each(|sent| write(sent, &[], out));
    }

    /// One line, with its line feed unless it is the last.
    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        // RFC 7464 puts a record separator before each.
        let json = line.trim_ascii();
        let json = json.strip_prefix(b"\x1e").unwrap_or(json);
        if json.is_empty() {
            out.extend_from_slice(line);
            return Ok(());
        }
        let sent = self.events.event(None, json)?;
        sent.into_iter().for_each(|sent| write(sent, line, out));
        Ok(())
    }
}

fn write(sent: Sent, line: &[u8], out: &mut Vec<u8>) {
    match sent {
        Sent::Same => out.extend_from_slice(line),
        Sent::Changed(json) => {
            let separator = line.iter().take_while(|byte| **byte == 0x1e).count();
            out.extend_from_slice(line.get(..separator).unwrap_or_default());
            out.extend_from_slice(&json);
            if line.ends_with(b"\n") {
                out.push(b'\n');
            }
        }
        Sent::More(_, json) => {
            out.extend_from_slice(&json);
            out.push(b'\n');
        }
    }
}
