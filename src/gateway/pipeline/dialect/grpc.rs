//! The model that KServe requests over gRPC name: protobuf messages walked as they pass, in bounded memory.

use super::{
    json::MAX_TEXT,
    looked::{Reader, Told, ambiguous},
    tensors,
};
use crate::{gateway::respond::Problem, wire::code};

/// `inference.GRPCInferenceService`, whose requests carry `model_name` in field 1 (Open Inference Protocol).
const SERVICE: &str = "/inference.GRPCInferenceService/";
const MODEL_NAME: u64 = 1;

/// Bytes before each message: whether it is compressed, and its length.
const PREFIX: u8 = 5;

/// How much of the first message is kept to show its tensors, bytes.
const MAX_KEPT: usize = 16 * 1024;

/// Whether the path is a method that asks a model for work, and whether its answers stream.
pub(super) fn method(path: &str) -> Option<bool> {
    match path.strip_prefix(SERVICE)? {
        "ModelInfer" => Some(false),
        "ModelStreamInfer" => Some(true),
        _ => None,
    }
}

/// Whether the path is a method that tells of the server and its models alone: of KServe's service, health and reflection.
pub(super) fn is_quiet(path: &str) -> bool {
    const METHODS: [&str; 6] =
        ["ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "RepositoryIndex"];
    path.strip_prefix(SERVICE).is_some_and(|method| METHODS.contains(&method))
        || path.starts_with("/grpc.health.v1.Health/")
        || path.starts_with("/grpc.reflection.")
}

/// Where the walk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// So many bytes of a message's prefix have come, and the length so far.
    Prefix(u8, u32),
    /// In the number that begins a field, or right before it.
    Tag(Varint),
    /// In the length of a field's value.
    Length(u64, Varint),
    /// In a number that means nothing here.
    Number(Varint),
    /// So many bytes that mean nothing here.
    Skip(u64),
    /// So many bytes of a name.
    Name(u64),
    /// No protobuf, or compressed.
    Broken,
}

/// A number being read, seven bits a byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Varint {
    value: u64,
    bytes: u8,
}

impl Varint {
    /// `None` once it is longer than ten bytes; true when it is complete.
    fn push(&mut self, byte: u8) -> Option<bool> {
        if self.bytes == 10 {
            return None;
        }
        let bits = u64::from(byte & 0x7F).checked_shl(u32::from(self.bytes) * 7).unwrap_or(0);
        self.value |= bits;
        self.bytes += 1;
        Some(byte & 0x80 == 0)
    }
}

/// Walks the messages of one call.
pub(super) struct Messages {
    at: At,
    /// Bytes of the message still to come.
    left: u32,
    /// The name of the first message; empty when it has none.
    first: Option<Vec<u8>>,
    /// The message being read has had a name.
    named: bool,
    /// The name being read.
    name: Vec<u8>,
    /// There was another one.
    twice: bool,
    /// The beginning of the first message, where the input is kept.
    kept: Option<Vec<u8>>,
}

impl Messages {
    pub(super) fn new(keeps_input: bool) -> Self {
        Self {
            at: At::Prefix(0, 0),
            left: 0,
            first: None,
            named: false,
            name: Vec::new(),
            twice: false,
            kept: keeps_input.then(Vec::new),
        }
    }

    /// Takes a byte or more, and returns how many.
    fn advance(&mut self, bytes: &[u8]) -> usize {
        if let At::Prefix(read, length) = self.at {
            let byte = bytes.first().copied().unwrap_or(0);
            self.prefix(byte, read, length);
            return 1;
        }
        let inside = bytes.get(..usize::try_from(self.left).unwrap_or(usize::MAX)).unwrap_or(bytes);
        let taken = match self.at {
            At::Skip(left) | At::Name(left) => {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(inside.len());
                let (piece, _) = inside.split_at(most);
                self.piece(piece, left - piece.len() as u64);
                most
            }
            _ => {
                self.step(inside.first().copied().unwrap_or(0));
                1
            }
        };
        // Never more than was left: `inside` ends there.
        self.left = self.left.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX));
        if self.left == 0 && self.at != At::Broken {
            self.message_ends();
        }
        taken
    }

    fn prefix(&mut self, byte: u8, read: u8, length: u32) {
        if read == 0 {
            self.at = if byte == 0 { At::Prefix(1, 0) } else { At::Broken };
            return;
        }
        let length = (length << 8) | u32::from(byte);
        if read + 1 < PREFIX {
            self.at = At::Prefix(read + 1, length);
            return;
        }
        (self.at, self.left, self.named) = (At::Tag(Varint::default()), length, false);
        if length == 0 {
            self.message_ends();
        }
    }

    /// A byte of a number.
    fn step(&mut self, byte: u8) {
        self.at = match self.at {
            At::Tag(mut tag) => match tag.push(byte) {
                Some(false) => At::Tag(tag),
                Some(true) => self.field(tag.value),
                None => At::Broken,
            },
            At::Length(field, mut length) => match length.push(byte) {
                Some(false) => At::Length(field, length),
                // Longer than its message: no parser takes it.
                Some(true) if length.value >= u64::from(self.left) && length.value > 0 => At::Broken,
                Some(true) if field == MODEL_NAME => {
                    self.name.clear();
                    self.value(At::Name(length.value), length.value)
                }
                Some(true) => self.value(At::Skip(length.value), length.value),
                None => At::Broken,
            },
            At::Number(mut number) => match number.push(byte) {
                Some(false) => At::Number(number),
                Some(true) => At::Tag(Varint::default()),
                None => At::Broken,
            },
            other => other,
        };
    }

    /// What a field's tag announces. Groups (wire types 3 and 4) are in no message of this service.
    fn field(&self, tag: u64) -> At {
        match (tag >> 3, tag & 7) {
            (0, _) => At::Broken,
            (_, 0) => At::Number(Varint::default()),
            (_, 1) => At::Skip(8),
            (field, 2) => At::Length(field, Varint::default()),
            (_, 5) => At::Skip(4),
            _ => At::Broken,
        }
    }

    /// A value of this length begins; an empty one is over at once.
    fn value(&mut self, at: At, length: u64) -> At {
        if length > 0 {
            return at;
        }
        if matches!(at, At::Name(_)) {
            self.name_ends();
        }
        At::Tag(Varint::default())
    }

    /// A piece of a value, of which so much is left.
    fn piece(&mut self, piece: &[u8], left: u64) {
        let naming = matches!(self.at, At::Name(_));
        if naming {
            // One more than a name may have tells that it is too long.
            let room = (MAX_TEXT + 1).saturating_sub(self.name.len());
            self.name.extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
        self.at = match (left, naming) {
            (0, _) => At::Tag(Varint::default()),
            (left, true) => At::Name(left),
            (left, false) => At::Skip(left),
        };
        if naming && left == 0 {
            self.name_ends();
        }
    }

    fn name_ends(&mut self) {
        self.named = true;
        match &self.first {
            Some(first) => self.twice |= *first != self.name || first.len() > MAX_TEXT,
            None => self.first = Some(self.name.clone()),
        }
    }

    fn message_ends(&mut self) {
        if self.at != At::Tag(Varint::default()) {
            self.at = At::Broken;
            return;
        }
        if !self.named {
            self.name.clear();
            self.name_ends();
        }
        self.at = At::Prefix(0, 0);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(kept) = &mut self.kept {
            let room = (MAX_KEPT + usize::from(PREFIX)).saturating_sub(kept.len());
            kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }
}

impl Reader for Messages {
    fn read(&mut self, mut bytes: &[u8]) {
        self.keep(bytes);
        while !bytes.is_empty() && self.at != At::Broken {
            let taken = self.advance(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    fn searches(&self) -> bool {
        self.first.is_none() && self.at != At::Broken
    }

    fn guards(&self) -> bool {
        self.first.is_some()
    }

    fn doubt(&self) -> Option<&'static str> {
        if self.twice {
            return Some("names two models");
        }
        (self.first.is_some() && self.at == At::Broken)
            .then_some("names a model and goes on as no readable gRPC")
    }

    fn model(&self) -> Result<Option<String>, Problem> {
        if let Some(doubt) = self.doubt() {
            return Err(ambiguous(doubt));
        }
        match &self.first {
            Some(name) if name.len() > MAX_TEXT => {
                let message = format!("the request's `model_name` is longer than {MAX_TEXT} bytes");
                Err(Problem::new(code::BAD_REQUEST, message).remedy("send the model's own name"))
            }
            Some(name) if !name.is_empty() => Ok(Some(String::from_utf8_lossy(name).into_owned())),
            _ => Ok(None),
        }
    }

    fn told(&self) -> Told {
        let kept = self.kept.as_deref().filter(|kept| kept.first() == Some(&0));
        let first = kept.map(first_message);
        let input = first.and_then(|(message, _)| tensors::shown(message));
        Told { stream: None, input, whole: first.is_some_and(|(_, whole)| whole) }
    }
}

/// What was kept of the first message, without its prefix and what follows it, and whether that is all of it.
fn first_message(kept: &[u8]) -> (&[u8], bool) {
    let Some((prefix, rest)) = kept.split_at_checked(usize::from(PREFIX)) else { return (&[], false) };
    let length = prefix.iter().skip(1).fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    rest.get(..length).map_or((rest, false), |message| (message, true))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::*;

    fn message(body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[0][..], &length[..], body].concat()
    }

    fn named(name: &str) -> Vec<u8> {
        [&[0x0A, u8::try_from(name.len()).unwrap()][..], name.as_bytes()].concat()
    }

    /// The name, whether the call is refused before or after, cut into pieces of this size.
    fn walk(bytes: &[u8], size: usize) -> (Option<String>, bool) {
        let mut messages = Messages::new(true);
        bytes.chunks(size).for_each(|piece| messages.read(piece));
        let refused = messages.model().is_err();
        messages.told();
        let name = messages.first.filter(|name| !name.is_empty() && name.len() <= MAX_TEXT);
        (name.map(|name| String::from_utf8(name).unwrap_or_default()), refused)
    }

    #[test]
    fn the_name_is_found_wherever_it_stands_and_no_other_may_follow() {
        let id = b"\x1A\x021\x0A".as_slice();
        // A name inside a parameter (field 4) or a tensor (field 5) is not the model's.
        let inner = b"\x2A\x06\x0A\x04fake".as_slice();
        let fixed = b"\x31\x0A\x04fake\x0A\x04\x3D\x0A\x04fa\x40\x0A".as_slice();
        let long = "x".repeat(120);
        let too_long = [b"\x0A\xC4\x02".as_slice(), "x".repeat(324).as_bytes()].concat();
        for (case, body, name, refused) in [
            ("first", message(&named("fraud")), Some("fraud"), false),
            ("last", message(&[id, inner, fixed, &named("fraud")].concat()), Some("fraud"), false),
            ("a long one", message(&named(&long)), Some(long.as_str()), false),
            ("too long", message(&too_long), None, true),
            ("none", message(id), None, false),
            ("empty", message(b""), None, false),
            ("an empty name", message(b"\x0A\x00"), None, false),
            ("the same twice", message(&[named("a"), named("a")].concat()), Some("a"), false),
            ("two", message(&[named("a"), named("b")].concat()), Some("a"), true),
            ("two messages", [message(&named("a")), message(&named("a"))].concat(), Some("a"), false),
            ("two models", [message(&named("a")), message(&named("b"))].concat(), Some("a"), true),
            ("then none", [message(&named("a")), message(id)].concat(), Some("a"), true),
            ("none, then one", [message(id), message(&named("a"))].concat(), None, true),
            (
                "then compressed",
                [message(&named("a")), b"\x01\0\0\0\x01x".to_vec()].concat(),
                Some("a"),
                true,
            ),
            ("compressed", b"\x01\0\0\0\x07\x0A\x05fraud".to_vec(), None, false),
            ("a group", message(b"\x0B\x0A\x01a\x0C"), None, false),
            ("longer than its message", message(b"\x0A\x7Fabc"), None, false),
            ("field 0", message(b"\x02\x01a"), None, false),
            ("cut in a field", message(&[&named("a")[..], b"\x1A"].concat()), Some("a"), true),
            ("another type", message(b"\x08\x05"), None, false),
            ("an endless number", message(&[0xFF; 20]), None, false),
        ] {
            for size in [1, 3, usize::MAX] {
                assert_eq!(walk(&body, size), (name.map(str::to_owned), refused), "{case}, by {size}");
            }
        }
    }

    #[test]
    fn methods_are_known_by_their_paths() {
        assert_eq!(method("/inference.GRPCInferenceService/ModelInfer"), Some(false));
        assert_eq!(method("/inference.GRPCInferenceService/ModelStreamInfer"), Some(true));
        assert_eq!(method("/inference.GRPCInferenceService/ServerLive"), None);
        assert_eq!(method("/other.Service/ModelInfer"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_bytes_are_survived_and_any_cut_reads_the_same(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1..40_usize,
        ) {
            let framed = message(&bytes);
            assert_eq!(walk(&bytes, size), walk(&bytes, usize::MAX));
            assert_eq!(walk(&framed, size), walk(&framed, usize::MAX));
        }
    }
}
