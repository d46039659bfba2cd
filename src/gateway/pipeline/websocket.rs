//! WebSocket as far as its end goes (RFC 6455 §5, §7): where the frames towards a caller end, so that a Close can be put behind them.
//!
//! The frames themselves pass untouched: fragments, pings, extensions such as permessage-deflate.

use http::HeaderMap;

use super::headers;

/// Why an exchange that became a WebSocket is over though neither side said so: the code of its Close (RFC 6455 §7.4, and the IANA
/// registry for 1014).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// The caller's authority or approval has ended.
    Policy,
    /// The model's server was cut, or ended without a Close.
    BadGateway,
    /// The model's server has sent what cannot be masked.
    Unreadable,
    /// The conversation must be recorded and cannot be.
    Unrecorded,
}

impl Close {
    /// The frame, as servers send them: not masked.
    pub(super) fn frame(self) -> Vec<u8> {
        let (code, reason): (u16, &str) = match self {
            Self::Policy => (1008, "the gateway: your login or approval has ended"),
            Self::Unreadable => (1011, "the gateway: the model's answer cannot be masked"),
            Self::Unrecorded => (1011, "the gateway: the conversation cannot be recorded"),
            Self::BadGateway => (1014, "the gateway: the model's server cut the connection"),
        };
        let length = u8::try_from(2 + reason.len()).unwrap_or_default();
        let mut frame = vec![0x88, length];
        frame.extend(code.to_be_bytes());
        frame.extend(reason.as_bytes());
        frame
    }
}

/// Whether an answer makes a WebSocket of its connection.
pub(super) fn is_switch(answer: &HeaderMap) -> bool {
    headers::tokens(answer, &http::header::UPGRADE).any(|token| token.eq_ignore_ascii_case(b"websocket"))
}

/// The frames towards a caller, while they pass.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The header under way, and how much of it is there: two bytes, and at most eight of a longer length.
    header: [u8; 10],
    there: usize,
    /// Bytes of the payload that are to come.
    payload: u64,
    /// A Close has passed, or bytes that are no frames of a server's.
    over: bool,
}

impl Frames {
    /// Reads on.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !self.over && !bytes.is_empty() {
            if self.payload > 0 {
                let there = u64::try_from(bytes.len()).unwrap_or(u64::MAX).min(self.payload);
                self.payload -= there;
                // As many as there are, which a usize counted.
                bytes = bytes.get(usize::try_from(there).unwrap_or(bytes.len())..).unwrap_or_default();
                continue;
            }
            let (Some((byte, rest)), Some(place)) = (bytes.split_first(), self.header.get_mut(self.there))
            else {
                return;
            };
            *place = *byte;
            self.there += 1;
            bytes = rest;
            self.judge();
        }
    }

    /// Whether a frame may be put here.
    pub(super) fn is_open(&self) -> bool {
        !self.over && self.there == 0 && self.payload == 0
    }

    /// Whether nothing more of a server's is to come: it has said its Close, or speaks something else.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Looks at a header that may be whole now.
    fn judge(&mut self) {
        let [first, second, a, b, ..] = self.header;
        let [_, _, long @ ..] = self.header;
        let (opcode, length) = (first & 0x0f, second & 0x7f);
        if self.there < 2 {
            return;
        }
        let control = opcode & 0x8 != 0;
        let known = matches!(opcode, 0..=2 | 8..=10);
        // A server masks nothing, and its control frames are short and whole (RFC 6455 §5.1, §5.5).
        if !known || second & 0x80 != 0 || (control && (length > 125 || first & 0x80 == 0)) {
            self.over = true;
            return;
        }
        let (need, payload) = match length {
            126 => (4, u64::from(u16::from_be_bytes([a, b]))),
            127 => (10, u64::from_be_bytes(long)),
            short => (2, u64::from(short)),
        };
        if self.there == need {
            self.payload = payload;
            self.there = 0;
            self.over = opcode == 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a Close may be put, byte by byte: before the first, and behind each.
    fn open(bytes: &[u8]) -> String {
        let mut frames = Frames::default();
        let mark = |frames: &Frames| if frames.is_open() { '|' } else { '.' };
        let mut marks = String::from(mark(&frames));
        for byte in bytes {
            frames.read(&[*byte]);
            marks.push(mark(&frames));
        }
        let mut whole = Frames::default();
        whole.read(bytes);
        assert_eq!(whole.is_open(), frames.is_open());
        marks
    }

    #[test]
    fn a_close_is_put_between_frames_and_nowhere_else() {
        for (bytes, marks) in [
            (&b""[..], "|"),
            (b"\x81\x02hi\x81\x00", "|...|.|"),
            // Fragments, with a ping between them; compressed.
            (b"\x01\x01a\x89\x00\x80\x01b\xc1\x01x", "|..|.|..|..|"),
            (b"\x82\x7e\x00\x02ab", "|.....|"),
            (b"\x82\x7f\0\0\0\0\0\0\0\x01a", "|..........|"),
            // Behind a Close, and in what is no WebSocket of a server's.
            (b"\x88\x02\x03\xe8\x81\x00", "|......"),
            (b"\x81\x80", "|.."),
            (b"\x83\x00", "|.."),
            (b"\x09\x00", "|.."),
            (b"hello", "|....."),
        ] {
            assert_eq!(open(bytes), marks, "{bytes:?}");
        }
    }

    #[test]
    fn a_close_is_one_short_frame_with_its_code() {
        for (close, code) in [(Close::Policy, 1008_u16), (Close::BadGateway, 1014)] {
            let frame = close.frame();
            assert_eq!(frame[0], 0x88);
            assert!(frame[1] <= 125 && usize::from(frame[1]) == frame.len() - 2, "{frame:?}");
            assert_eq!(frame[2..4], code.to_be_bytes());
            let mut frames = Frames::default();
            frames.read(&frame);
            assert!(!frames.is_open(), "nothing follows a Close");
        }
    }
}
