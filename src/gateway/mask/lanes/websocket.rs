//! One half of a WebSocket (RFC 6455 §5): text messages are masked, each an event of a stream when it is JSON.

use std::{borrow::Cow, sync::Arc};

use super::{
    NotUnderstood,
    deltas::Carrier,
    events::{Events, Sent},
    lane::Lane,
    sse::LONGEST,
};
use crate::gateway::mask::Masking;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;

/// The frames that one side sends.
#[derive(Debug)]
pub(super) struct Messages {
    masking: Arc<Masking>,
    /// A client's key, which its frames are XORed with (RFC 6455 §5.3): that of its last frame, whatever stands in it now.
    key: Option<[u8; 4]>,
    events: Events,
    /// Bytes of a frame that is not whole.
    held: Vec<u8>,
    /// Bytes of a binary frame that still have to pass.
    passing: u64,
    /// The message so far that is looked at, and its opcode.
    message: Option<(u8, Vec<u8>)>,
    closed: bool,
}

/// The head of a frame.
struct Head {
    fin: bool,
    opcode: u8,
    /// Bytes of the head.
    size: usize,
    /// Bytes of the payload.
    length: u64,
    /// A client's.
    key: Option<[u8; 4]>,
}

impl Messages {
    pub(super) fn new(masking: &Arc<Masking>, of_client: bool) -> Self {
        Self {
            masking: Arc::clone(masking),
            key: of_client.then_some([0; 4]),
            events: Events::new(masking, Carrier::Records),
            held: Vec::new(),
            passing: 0,
            message: None,
            closed: false,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        loop {
            let pass = usize::try_from(self.passing).unwrap_or(usize::MAX).min(rest.len());
            let (passed, after) = rest.split_at(pass);
            out.extend_from_slice(passed);
            self.passing -= pass as u64;
            rest = after;
            let Some(head) = head(rest, self.key.is_some())? else { break };
            let first = rest.get(head.size).map(|byte| byte ^ head.key.map_or(0, |[key, ..]| key));
            let in_bytes = head.opcode == CONTINUATION && self.message.is_none();
            if in_bytes
                || head.opcode == BINARY && (head.length == 0 || first.is_some_and(|b| !begins_json(b)))
            {
                self.passing = (head.size as u64).saturating_add(head.length);
                continue;
            }
            if head.length > LONGEST as u64 {
                return Err(NotUnderstood::TooLong);
            }
            let end = head.size + usize::try_from(head.length).unwrap_or(usize::MAX);
            let Some((frame, after)) = rest.split_at_checked(end) else { break };
            self.frame(&head, frame, out)?;
            rest = after;
        }
        self.held = rest.to_vec();
        Ok(())
    }

    /// The end of the connection; a server that closed in order has said so before.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        if self.closed && self.held.is_empty() {
            return Ok(());
        }
        self.abort(out);
        Ok(())
    }

    pub(super) fn abort(&mut self, out: &mut Vec<u8>) {
        self.held.clear();
        self.message = None;
        self.end(false, out);
    }

    fn end(&mut self, whole: bool, out: &mut Vec<u8>) {
        if !self.closed {
            let more = self.events.finish(whole).unwrap_or_default();
            more.into_iter().for_each(|sent| write(TEXT, sent, &[], self.key, out));
        }
    }

    fn frame(&mut self, head: &Head, frame: &[u8], out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        let payload = frame.get(head.size..).unwrap_or_default();
        let payload = keyed(payload, head.key);
        self.key = head.key;
        match head.opcode {
            TEXT | BINARY | CONTINUATION => {
                let (_, message) = self.message.get_or_insert_with(|| (head.opcode, Vec::new()));
                message.extend_from_slice(&payload);
                if message.len() > LONGEST {
                    return Err(NotUnderstood::TooLong);
                }
                if head.fin
                    && let Some((opcode, message)) = self.message.take()
                {
                    self.message(opcode, &message, out)?;
                }
            }
            CLOSE => {
                self.end(true, out);
                self.closed = true;
                out.extend_from_slice(frame);
            }
            _ => out.extend_from_slice(frame),
        }
        Ok(())
    }

    fn message(&mut self, opcode: u8, message: &[u8], out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        let text = match std::str::from_utf8(message) {
            Ok(text) => text,
            // Bytes that begin like JSON and are not.
            Err(_) if opcode == BINARY => {
                write_message(opcode, message, self.key, out);
                return Ok(());
            }
            Err(_) => return Err(NotUnderstood::Malformed("a text message of it is no UTF-8")),
        };
        if text.trim_start().starts_with(['{', '[']) {
            match self.events.event(None, message) {
                Ok(sent) => {
                    sent.into_iter().for_each(|sent| write(opcode, sent, message, self.key, out));
                    return Ok(());
                }
                Err(error) if opcode == TEXT && text.trim_start().starts_with('{') => return Err(error),
                // Text in brackets, or bytes that look like it.
                Err(_) => {}
            }
        }
        let (mut lane, mut masked) = (Lane::text(&self.masking), String::new());
        lane.push(text, &mut masked);
        lane.finish(&mut masked);
        write_message(opcode, masked.as_bytes(), self.key, out);
        Ok(())
    }
}

/// Whether bytes may be JSON: some servers send theirs in binary messages.
fn begins_json(byte: u8) -> bool {
    matches!(byte, b'{' | b'[')
}

/// A payload without a client's key, or with it: the same.
fn keyed(payload: &[u8], key: Option<[u8; 4]>) -> Cow<'_, [u8]> {
    match key {
        None => Cow::Borrowed(payload),
        Some(key) => {
            Cow::Owned(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect())
        }
    }
}

/// Reads a frame's head, when it is there.
fn head(bytes: &[u8], of_client: bool) -> Result<Option<Head>, NotUnderstood> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if first & 0x70 != 0 || (second & 0x80 != 0) != of_client {
        return Err(NotUnderstood::Malformed(
            "a WebSocket frame of it is compressed, or not masked as its side masks them",
        ));
    }
    let (size, length) = match second & 0x7f {
        126 => match rest {
            [a, b, ..] => (4, u64::from(u16::from_be_bytes([*a, *b]))),
            _ => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(length) => (10, u64::from_be_bytes(*length)),
            None => return Ok(None),
        },
        length => (2, u64::from(length)),
    };
    let (fin, opcode) = (first & 0x80 != 0, first & 0x0f);
    if !of_client {
        return Ok(Some(Head { fin, opcode, size, length, key: None }));
    }
    let key = bytes.get(size..).and_then(|rest| rest.first_chunk::<4>()).copied();
    Ok(key.map(|key| Head { fin, opcode, size: size + 4, length, key: Some(key) }))
}

fn write(opcode: u8, sent: Sent, came: &[u8], key: Option<[u8; 4]>, out: &mut Vec<u8>) {
    match sent {
        Sent::Same => write_message(opcode, came, key, out),
        Sent::Changed(json) | Sent::More(_, json) => write_message(opcode, &json, key, out),
    }
}

/// One unfragmented message.
fn write_message(opcode: u8, text: &[u8], key: Option<[u8; 4]>, out: &mut Vec<u8>) {
    let client = if key.is_some() { 0x80 } else { 0 };
    out.push(0x80 | opcode);
    let length = text.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..126), _) => out.push(client | short),
        (_, Ok(middle)) => {
            out.push(client | 126);
            out.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            out.push(client | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend(key.iter().flatten());
    out.extend_from_slice(&keyed(text, key));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first, u8::try_from(payload.len()).unwrap()];
        frame.extend_from_slice(payload);
        frame
    }

    fn run(pieces: &[&[u8]]) -> Result<Vec<u8>, NotUnderstood> {
        let masking = crate::gateway::mask::lanes::tests::masking();
        let (mut messages, mut out) = (Messages::new(&masking, false), Vec::new());
        for piece in pieces {
            messages.push(piece, &mut out)?;
        }
        messages.finish(&mut out)?;
        Ok(out)
    }

    #[test]
    fn messages_are_masked_whatever_their_fragments_and_cuts() {
        let delta =
            |text: &str| format!(r#"{{"type":"response.text.delta","item_id":"i","delta":"{text}"}}"#);
        let wire = [
            frame(0x01, b"to a"),
            frame(0x89, b"ping"),
            frame(0x80, b"@b.org now"),
            frame(0x02, b"a@b"),
            frame(0x80, b"a@b"),
            frame(0x81, delta("x@").as_bytes()),
            frame(0x81, delta("y.org").as_bytes()),
            frame(0x88, &[3, 232]),
        ]
        .concat();
        let expected = [
            frame(0x89, b"ping"),
            frame(0x81, b"to [EMAIL] now"),
            frame(0x02, b"a@b"),
            frame(0x80, b"a@b"),
            frame(0x81, delta("").as_bytes()),
            frame(0x81, delta("").as_bytes()),
            frame(0x81, delta("[EMAIL]").as_bytes()),
            frame(0x88, &[3, 232]),
        ]
        .concat();
        for cut in 0..=wire.len() {
            assert_eq!(run(&[&wire[..cut], &wire[cut..]]).unwrap(), expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_clients_messages_keep_their_key() {
        let masking = crate::gateway::mask::lanes::tests::masking();
        let client = |first: u8, text: &[u8], key: [u8; 4]| {
            let mut frame = vec![first, 0x80 | u8::try_from(text.len()).unwrap()];
            frame.extend(key);
            frame.extend(keyed(text, Some(key)).iter());
            frame
        };
        let wire = [client(0x01, b"to alice@exa", [1, 2, 3, 4]), client(0x80, b"mple.com now", [9, 8, 7, 6])]
            .concat();
        for cut in 0..=wire.len() {
            let (mut messages, mut out) = (Messages::new(&masking, true), Vec::new());
            messages.push(&wire[..cut], &mut out).unwrap();
            messages.push(&wire[cut..], &mut out).unwrap();
            assert_eq!(out, client(0x81, b"to [EMAIL] now", [9, 8, 7, 6]), "cut at {cut}");
        }
        let bare = Messages::new(&masking, true).push(&[0x81, 1, b'a'], &mut Vec::new());
        assert!(bare.is_err(), "a client's frame without a key");
    }

    #[test]
    fn what_cannot_be_read_does_not_pass() {
        for wire in [
            &[0xC1, 1, b'a'][..],
            &[0x81, 0x81, 0, 0, 0, 0, b'a'],
            &[0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0],
            &[0x81, 1, 0xff],
        ] {
            assert!(run(&[wire]).is_err(), "{wire:?}");
        }
    }
}
