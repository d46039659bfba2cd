//! One side of an exchange on its way into a recording: masked, split into messages, or only counted.

use bytes::Bytes;

use super::frames::Messages;
use crate::evidence::recording::{Side, What};

/// The longest run of bytes in one entry.
const PIECE: usize = 256 * 1024;

/// Why bytes of the level `metadata` are not there.
pub(super) const METADATA: &str = "metadata";

/// Masks bytes before they are recorded. May block: it runs on a writer's thread.
pub trait Veil: Send {
    /// Takes the next bytes and gives what may be kept.
    ///
    /// # Errors
    /// Why nothing more of the side can be; what could be of it is in `out`.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String>;

    /// The side has ended, `whole` or cut.
    ///
    /// # Errors
    /// As [`Self::push`].
    fn finish(&mut self, whole: bool, out: &mut Vec<u8>) -> Result<(), String>;
}

/// Something of each side.
#[derive(Debug, Default)]
pub(super) struct Sides<T> {
    pub(super) caller: T,
    pub(super) model: T,
}

impl<T> Sides<T> {
    pub(super) fn of(&self, side: Side) -> &T {
        match side {
            Side::Caller => &self.caller,
            Side::Model => &self.model,
        }
    }

    pub(super) fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Caller => &mut self.caller,
            Side::Model => &mut self.model,
        }
    }
}

/// How the bytes of a side are written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// As they come.
    #[default]
    Bytes,
    /// By frames of a WebSocket.
    WebSocket,
    /// By messages of a gRPC call.
    Grpc,
}

/// One side.
pub struct Track(Kind);

enum Kind {
    Kept { veil: Option<Box<dyn Veil>>, messages: Option<Messages> },
    /// Only counted, and why.
    Counted(String),
}

impl Track {
    /// Keeps what is said, masked by `veil` where there is one.
    pub fn kept(from: Side, veil: Option<Box<dyn Veil>>, framing: Framing) -> Self {
        let messages = match framing {
            Framing::Bytes => None,
            Framing::WebSocket => Some(Messages::web_socket(from)),
            Framing::Grpc => Some(Messages::grpc(from)),
        };
        Self(Kind::Kept { veil, messages })
    }

    /// Keeps sizes and timing alone, and says why.
    pub fn counted(why: impl Into<String>) -> Self {
        Self(Kind::Counted(why.into()))
    }

    /// Takes what the side said.
    pub(super) fn push(&mut self, from: Side, bytes: Bytes, found: &mut Vec<What>) {
        match &mut self.0 {
            Kind::Counted(why) => {
                found.push(What::Omitted { from, bytes: bytes.len() as u64, why: why.clone() });
            }
            Kind::Kept { veil: None, messages } => split(from, messages, bytes, found),
            Kind::Kept { veil: Some(veil), messages } => {
                let mut masked = Vec::new();
                let done = veil.push(&bytes, &mut masked);
                split(from, messages, masked.into(), found);
                if let Err(why) = done {
                    found.push(What::Omitted { from, bytes: bytes.len() as u64, why: why.clone() });
                    self.0 = Kind::Counted(why);
                }
            }
        }
    }

    /// The side has ended.
    pub(super) fn finish(&mut self, from: Side, whole: bool, found: &mut Vec<What>) {
        let Kind::Kept { veil, messages } = &mut self.0 else { return };
        if let Some(mut veil) = veil.take() {
            let mut masked = Vec::new();
            let done = veil.finish(whole, &mut masked);
            split(from, messages, masked.into(), found);
            if let Err(why) = done {
                found.push(What::Omitted { from, bytes: 0, why });
            }
        }
        if let Some(messages) = messages {
            messages.finish(found);
        }
    }
}

fn split(from: Side, messages: &mut Option<Messages>, mut bytes: Bytes, found: &mut Vec<What>) {
    if let Some(messages) = messages {
        return messages.push(&bytes, found);
    }
    while !bytes.is_empty() {
        let piece = bytes.split_to(bytes.len().min(PIECE));
        found.push(What::Body { from, bytes: piece });
    }
}
