//! The messages of a WebSocket (RFC 6455 §5) and of a gRPC call, found in the bytes of one side as they pass.

use bytes::Bytes;

use crate::evidence::recording::{Side, What};

/// The longest payload in one entry, bytes: longer messages go on in entries of kind [`MORE`].
const PIECE: usize = 64 * 1024;

/// The kind of what goes on.
const MORE: &str = "continuation";

/// gRPC: whether a message is compressed, and its length.
const PREFIX: usize = 5;

/// Which messages are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    WebSocket,
    Grpc,
}

/// One side's bytes on their way to messages.
#[derive(Debug)]
pub(super) struct Messages {
    wire: Wire,
    from: Side,
    /// The head of the next message, as far as it is there.
    head: Vec<u8>,
    /// The message under way.
    kind: &'static str,
    key: Option<[u8; 4]>,
    /// How many bytes of it have come, and how many are to come.
    taken: u64,
    left: u64,
    piece: Vec<u8>,
}

/// What a head says.
struct Head {
    kind: &'static str,
    length: u64,
    key: Option<[u8; 4]>,
}

impl Messages {
    pub(super) fn web_socket(from: Side) -> Self {
        Self::new(Wire::WebSocket, from)
    }

    pub(super) fn grpc(from: Side) -> Self {
        Self::new(Wire::Grpc, from)
    }

    fn new(wire: Wire, from: Side) -> Self {
        Self { wire, from, head: Vec::new(), kind: MORE, key: None, taken: 0, left: 0, piece: Vec::new() }
    }

    /// Takes the next bytes; messages and parts of long ones go to `found`.
    pub(super) fn push(&mut self, mut bytes: &[u8], found: &mut Vec<What>) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left == 0 {
                self.head.push(*first);
                bytes = rest;
                if let Some(head) = self.read_head() {
                    self.head.clear();
                    (self.kind, self.key, self.taken, self.left) = (head.kind, head.key, 0, head.length);
                    if head.length == 0 {
                        self.give(found);
                    }
                }
                continue;
            }
            let room = PIECE.saturating_sub(self.piece.len()).min(bytes.len());
            let there = usize::try_from(self.left).map_or(room, |left| left.min(room));
            let (now, later) = bytes.split_at_checked(there).unwrap_or((bytes, &[]));
            self.take(now);
            bytes = later;
            if self.left == 0 || self.piece.len() >= PIECE {
                self.give(found);
            }
        }
    }

    /// The side has ended: what is there of a message that is not whole.
    pub(super) fn finish(&mut self, found: &mut Vec<What>) {
        if !self.piece.is_empty() {
            self.give(found);
        }
        if !self.head.is_empty() {
            let bytes = Bytes::from(std::mem::take(&mut self.head));
            found.push(What::Body { from: self.from, bytes });
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        match self.key {
            None => self.piece.extend_from_slice(bytes),
            Some(key) => {
                let skip = usize::try_from(self.taken % 4).unwrap_or_default();
                let keys = key.iter().cycle().skip(skip);
                self.piece.extend(bytes.iter().zip(keys).map(|(byte, key)| byte ^ key));
            }
        }
        let count = bytes.len() as u64;
        self.taken += count;
        self.left = self.left.saturating_sub(count);
    }

    fn give(&mut self, found: &mut Vec<What>) {
        let bytes = Bytes::from(std::mem::take(&mut self.piece));
        found.push(What::Message { from: self.from, kind: self.kind.to_owned(), bytes });
        self.kind = MORE;
    }

    /// The head, once it is there.
    fn read_head(&self) -> Option<Head> {
        match self.wire {
            Wire::Grpc => {
                let [flag, length @ ..] = self.head.first_chunk::<PREFIX>()?;
                let kind = if *flag == 0 { "grpc" } else { "grpc-compressed" };
                Some(Head { kind, length: u64::from(u32::from_be_bytes(*length)), key: None })
            }
            Wire::WebSocket => frame(&self.head),
        }
    }
}

fn frame(head: &[u8]) -> Option<Head> {
    let [first, second, rest @ ..] = head else { return None };
    let (length, rest) = match second & 0x7f {
        126 => rest.split_first_chunk::<2>().map(|(l, rest)| (u64::from(u16::from_be_bytes(*l)), rest))?,
        127 => rest.split_first_chunk::<8>().map(|(l, rest)| (u64::from_be_bytes(*l), rest))?,
        length => (u64::from(length), rest),
    };
    let key = if second & 0x80 == 0 { None } else { Some(*rest.first_chunk::<4>()?) };
    let kind = match first & 0x0f {
        1 => "text",
        2 => "binary",
        8 => "close",
        9 => "ping",
        10 => "pong",
        _ => MORE,
    };
    Some(Head { kind, length, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(mut messages: Messages, wire: &[u8], cut: usize) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        messages.push(&wire[..cut], &mut found);
        messages.push(&wire[cut..], &mut found);
        messages.finish(&mut found);
        let message = |what| match what {
            What::Message { kind, bytes, .. } => (kind, bytes.to_vec()),
            What::Body { bytes, .. } => ("rest".to_owned(), bytes.to_vec()),
            other => panic!("{other:?}"),
        };
        found.into_iter().map(message).collect()
    }

    fn told(messages: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
        messages.iter().map(|(kind, bytes)| ((*kind).to_owned(), bytes.to_vec())).collect()
    }

    #[test]
    fn frames_are_messages_however_they_are_cut_and_keyed() {
        let key = [1, 2, 3, 4];
        let keyed: Vec<u8> = b"hello".iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k).collect();
        let wire = [
            &[0x81, 0x85][..],
            &key,
            &keyed,
            b"\x01\x01a\x89\x00\x80\x01b",
            b"\x82\x7e\x00\x02xy",
            b"\x88\x02\x03\xe8",
        ]
        .concat();
        let expected = told(&[
            ("text", b"hello"),
            ("text", b"a"),
            ("ping", b""),
            ("continuation", b"b"),
            ("binary", b"xy"),
            ("close", b"\x03\xe8"),
        ]);
        for cut in 0..=wire.len() {
            assert_eq!(run(Messages::web_socket(Side::Caller), &wire, cut), expected, "cut at {cut}");
        }
    }

    #[test]
    fn grpc_messages_are_found_and_an_end_before_one_is_kept() {
        let wire = b"\0\0\0\0\x02hi\x01\0\0\0\x01z\0\0\0\0\0\0\0\0\0\x05ab";
        let expected =
            told(&[("grpc", b"hi"), ("grpc-compressed", b"z"), ("grpc", b""), ("grpc", b"ab")]);
        for cut in 0..=wire.len() {
            assert_eq!(run(Messages::grpc(Side::Model), wire, cut), expected, "cut at {cut}");
        }
        assert_eq!(run(Messages::grpc(Side::Model), b"\0\0", 1), told(&[("rest", b"\0\0")]));
    }

    #[test]
    fn a_message_of_any_length_is_held_in_pieces() {
        let length = u32::try_from(PIECE + 3).unwrap();
        let wire = [&[0][..], &length.to_be_bytes(), &vec![b'a'; PIECE + 3]].concat();
        let found = run(Messages::grpc(Side::Model), &wire, 7);
        let lengths: Vec<_> = found.iter().map(|(kind, bytes)| (kind.as_str(), bytes.len())).collect();
        assert_eq!(lengths, [("grpc", PIECE), ("continuation", 3)]);
    }
}
