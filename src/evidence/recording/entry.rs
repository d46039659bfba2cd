//! What a recording holds: entries, one JSON line each, with the microseconds since the exchange was let through.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When: microseconds since the recording began, which is right before the exchange's intent.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. Names of headers are in lower case; the values of those that hold secrets are `[removed]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The recording begins: always the first entry.
    Opened(Opened),
    /// The head of the request, as the caller sent it.
    Request {
        /// HTTP method.
        method: String,
        /// Path and query; the values of secrets in the query are `[removed]`.
        path: String,
        /// `HTTP/1.1` or `HTTP/2`.
        version: String,
        /// Names and values, in order.
        headers: Vec<(String, String)>,
    },
    /// The head of the response, as the caller received it.
    Response {
        /// HTTP status.
        status: u16,
        /// Names and values, in order.
        headers: Vec<(String, String)>,
    },
    /// Bytes of a body, as one side sent or received them at once. Long ones are cut into several entries of the same time.
    Body {
        /// Whose.
        from: Side,
        /// The bytes.
        #[serde(with = "octets")]
        bytes: Bytes,
    },
    /// One frame of a WebSocket, or one message of a gRPC call, without its framing. Long ones go on in entries of kind `continuation`.
    Message {
        /// Whose.
        from: Side,
        /// `text`, `binary`, `continuation`, `ping`, `pong` or `close` of a WebSocket; `grpc`.
        kind: String,
        /// The payload.
        #[serde(with = "octets")]
        bytes: Bytes,
    },
    /// Trailers.
    Trailers {
        /// Whose.
        from: Side,
        /// Names and values, in order.
        headers: Vec<(String, String)>,
    },
    /// Bytes that are not in the recording.
    Omitted {
        /// Whose.
        from: Side,
        /// How many.
        bytes: u64,
        /// `metadata` at that level; otherwise why there is a gap, in a few words.
        why: String,
    },
    /// The exchange has ended: the last entry of a whole recording.
    Ended(Outcome),
}

/// What a recording is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// [`super::SCHEMA`].
    pub schema: String,
    /// `rec_…`.
    pub recording: String,
    /// `ex_…`.
    pub exchange: String,
    /// One `connect`.
    pub session: String,
    /// The model's name.
    pub model: String,
    /// The API it speaks.
    pub dialect: String,
    /// Email address or subject.
    pub caller: String,
    /// RFC 3339, UTC: the instant all entries count from.
    pub time: String,
    /// `full` or `metadata`.
    pub level: String,
}

/// How an exchange ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// As in the audit event: `complete`, `caller_left` …
    pub outcome: String,
}

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The caller: requests.
    Caller,
    /// The model: answers.
    Model,
}

impl Entry {
    /// Appends the entry as one line.
    ///
    /// # Errors
    /// Never in practice: every value can be written as JSON.
    pub fn write(&self, line: &mut Vec<u8>) -> Result<(), NotAnEntry> {
        serde_json::to_writer(&mut *line, self).map_err(|_| NotAnEntry)?;
        line.push(b'\n');
        Ok(())
    }
}

/// A line of a recording that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line of the recording is no entry")]
pub struct NotAnEntry;

/// The entries of an opened segment, or of lines that were made of one.
///
/// # Errors
/// Each line that is none, by itself. Lines of kinds that a newer version writes are such.
pub fn entries(lines: &[u8]) -> impl Iterator<Item = Result<Entry, NotAnEntry>> + '_ {
    lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).map_err(|_| NotAnEntry))
}

/// Bytes as a JSON text where they are UTF-8, else as `{"base64": "…"}`.
mod octets {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    #[derive(Serialize)]
    struct Coded {
        base64: String,
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Coded { base64: String },
    }

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Coded { base64: STANDARD.encode(bytes) }.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(text.into_bytes().into()),
            Written::Coded { base64 } => STANDARD.decode(base64).map(Bytes::from).map_err(D::Error::custom),
        }
    }
}
