//! The messages a model's server sends over WebSocket (RFC 6455 §5.2): fragments joined, control frames left aside, nothing changed.

use super::{json::Scanner, tally::Tally};

/// The longest head of a frame: two bytes and a length of eight. A server masks nothing.
const MAX_HEAD: usize = 10;

const CLOSE: u8 = 8;

/// Reads the frames of one direction.
#[derive(Debug)]
pub(super) struct Socket {
    at: At,
    /// Messages are read at all.
    listens: bool,
    /// The message under way is read; compressed ones (RFC 7692) are not.
    reads: bool,
    /// A close frame has passed.
    closed: bool,
}

#[derive(Debug)]
enum At {
    /// In the head of a frame.
    Head(Vec<u8>),
    /// So many bytes of a frame are still to come.
    Payload { left: u64, frame: Frame },
    /// No WebSocket.
    Lost,
}

/// What a frame is.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: u8,
    /// The last of its message.
    last: bool,
}

impl Frame {
    /// Control frames stand between those of messages.
    fn is_control(self) -> bool {
        self.opcode >= 8
    }
}

impl Socket {
    /// Reads messages where it `listens`, and else frames alone.
    pub(super) fn new(listens: bool) -> Self {
        Self { at: At::Head(Vec::new()), listens, reads: false, closed: false }
    }

    /// Whether the server has said its last word (RFC 6455 §5.5.1).
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Reads a piece.
    pub(super) fn read(&mut self, mut bytes: &[u8], scanner: &mut Scanner, tally: &mut Tally) {
        while let Some((&byte, rest)) = bytes.split_first() {
            match &mut self.at {
                At::Lost => return,
                At::Head(head) => {
                    head.push(byte);
                    bytes = rest;
                    self.begin(scanner, tally);
                }
                At::Payload { left, frame } => {
                    let frame = *frame;
                    let most = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    let (piece, rest) = bytes.split_at(most);
                    if self.reads && !frame.is_control() {
                        scanner.feed(piece, tally);
                    }
                    *left -= piece.len() as u64;
                    bytes = rest;
                    if *left == 0 {
                        self.frame_ends(frame, scanner, tally);
                    }
                }
            }
        }
    }

    /// Goes on to the payload once the head is whole.
    fn begin(&mut self, scanner: &mut Scanner, tally: &mut Tally) {
        let At::Head(head) = &self.at else { return };
        let [first, second, extended @ ..] = head.as_slice() else { return };
        let wanted = match second & 0x7F {
            126 => 2,
            127 => MAX_HEAD - 2,
            _ => 0,
        };
        if extended.len() < wanted {
            return;
        }
        let left = match wanted {
            0 => u64::from(second & 0x7F),
            _ => extended.iter().fold(0, |length, byte| (length << 8) | u64::from(*byte)),
        };
        if second & 0x80 != 0 {
            self.at = At::Lost;
            return;
        }
        let frame = Frame { opcode: first & 0x0F, last: first & 0x80 != 0 };
        match frame.opcode {
            // Google's servers send their JSON in binary messages.
            1 | 2 => {
                scanner.restart(tally);
                self.reads = self.listens && first & 0x70 == 0;
            }
            0 | 8.. => (),
            _ => self.reads = false,
        }
        self.at = At::Payload { left, frame };
        if left == 0 {
            self.frame_ends(frame, scanner, tally);
        }
    }

    fn frame_ends(&mut self, frame: Frame, scanner: &mut Scanner, tally: &mut Tally) {
        self.closed |= frame.opcode == CLOSE;
        if frame.last && !frame.is_control() {
            if self.reads {
                // A number may end with its message.
                scanner.feed(b"\n", tally);
            }
            scanner.restart(tally);
            self.reads = false;
        }
        self.at = At::Head(Vec::new());
    }
}
