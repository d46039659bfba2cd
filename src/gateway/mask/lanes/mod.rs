//! Lanes: an answer's texts found in its bytes as they come, masked each as a whole however it was cut, and put back.
//!
//! ```text
//!  bytes ─▶ form: SSE blocks | lines | JSON | text ─▶ events or values ─▶ lanes, one masker each ─▶ the same form again
//! ```

mod decode;
mod deltas;
mod document;
mod elements;
mod event;
mod events;
mod field;
mod grpc;
mod json;
mod lane;
mod lines;
mod protobuf;
mod shape;
mod sse;
mod stream;
mod text;
mod websocket;
mod whole;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use decode::Decoder;
pub use field::{Field, NoField};

use self::{
    elements::Elements, grpc::Calls, json::Malformed, lines::Lines, shape::Shape, stream::Stream,
    text::Plain, websocket::Messages,
};
use crate::gateway::mask::{Masking, NoAnswer};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Server-sent events.
    Events,
    /// JSON, one value a line.
    Lines,
    /// One JSON document.
    Json,
    /// UTF-8 text of any kind.
    Text,
    /// Pictures, sound, archives: bytes without text.
    Binary,
    /// Messages of KServe V2's gRPC service; `streams`: of its method `ModelStreamInfer`.
    Inference {
        /// Whether texts go on from one message to the next.
        streams: bool,
    },
    /// The frames of a WebSocket's server after its handshake.
    WebSocket,
    /// One JSON document that asks something of a model.
    Asked,
    /// Requests of KServe V2's gRPC service.
    InferenceAsked,
    /// The frames of a WebSocket's client after its handshake.
    WebSocketAsked,
}

/// Why an answer cannot be masked. Nothing of it may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotUnderstood {
    /// It is not what its content type says.
    #[error("{0}")]
    Malformed(&'static str),
    /// An event is longer than what is held.
    #[error("an event of it is longer than 8 MiB")]
    TooLong,
    /// More texts at once than are held.
    #[error("it has more than 1024 texts open at once")]
    TooMany,
    /// Nobody said where names stand in it.
    #[error("names in it could not be looked for: the model's analyser gave no answer")]
    NotAnalysed,
}

impl From<NoAnswer> for NotUnderstood {
    fn from(_: NoAnswer) -> Self {
        Self::NotAnalysed
    }
}

impl From<Malformed> for NotUnderstood {
    fn from(error: Malformed) -> Self {
        Self::Malformed(match error {
            Malformed::At(_) => "its JSON is malformed",
            Malformed::Deep => "its JSON is nested too deep",
            Malformed::Short => "its JSON ends before it is complete",
        })
    }
}

impl Form {
    /// What a `Content-Type` says; `None` for a kind that is not known.
    pub fn of(content_type: &str) -> Option<Self> {
        let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let kind = kind.trim().to_ascii_lowercase();
        let charset = parameters
            .split(';')
            .find_map(|p| p.trim().to_ascii_lowercase().strip_prefix("charset=").map(str::to_owned));
        if charset.is_some_and(|charset| !matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"))
        {
            return None;
        }
        let (family, name) = kind.split_once('/')?;
        Some(match (family, name) {
            ("text", "event-stream") => Self::Events,
            (
                "application",
                "x-ndjson" | "ndjson" | "jsonl" | "x-jsonlines" | "jsonlines" | "json-seq" | "stream+json",
            ) => Self::Lines,
            ("application", "json") => Self::Json,
            ("application", name) if name.ends_with("+json") => Self::Json,
            ("text", _)
            | (
                "application",
                "xml"
                | "javascript"
                | "x-www-form-urlencoded"
                | "yaml"
                | "x-yaml"
                | "toml"
                | "graphql"
                | "sql",
            ) => Self::Text,
            ("application", name) if name.ends_with("+xml") || name.ends_with("+yaml") => Self::Text,
            ("image" | "audio" | "video" | "font" | "model", _) => Self::Binary,
            ("application", "octet-stream" | "pdf" | "zip" | "gzip" | "x-tar" | "wasm") => Self::Binary,
            _ => return None,
        })
    }
}

/// One answer on its way.
#[derive(Debug)]
pub struct Answer {
    kind: Kind,
    masking: Arc<Masking>,
}

#[derive(Debug)]
enum Kind {
    Events(Stream),
    Lines(Lines),
    Json(Box<Elements>),
    Text(Plain),
    Binary,
    Inference(Calls),
    WebSocket(Box<Messages>),
}

impl Answer {
    /// Begins an answer. `interface` says that the model speaks a known dialect, whose names of things stay as they are.
    pub fn new(form: Form, interface: bool, masking: &Arc<Masking>) -> Self {
        let shape = match form {
            _ if !interface => Shape::Any,
            Form::Asked => Shape::Asked,
            _ => Shape::Interface,
        };
        let kind = match form {
            Form::Events => Kind::Events(Stream::new(masking)),
            Form::Lines => Kind::Lines(Lines::new(masking)),
            Form::Json | Form::Asked => Kind::Json(Box::new(Elements::new(masking, shape))),
            Form::Text => Kind::Text(Plain::new(masking)),
            Form::Binary => Kind::Binary,
            Form::Inference { streams } => Kind::Inference(Calls::new(masking, streams)),
            Form::InferenceAsked => Kind::Inference(Calls::asked(masking)),
            Form::WebSocket => Kind::WebSocket(Box::new(Messages::new(masking, false))),
            Form::WebSocketAsked => Kind::WebSocket(Box::new(Messages::new(masking, true))),
        };
        Self { kind, masking: Arc::clone(masking) }
    }

    /// Takes the next bytes and gives what may go on.
    ///
    /// # Errors
    /// When they are not what the form says. Then nothing more may be pushed, and [`Answer::abort`] ends it.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        self.take(bytes, out)?;
        Ok(self.masking.answered()?)
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        match &mut self.kind {
            Kind::Events(stream) => stream.push(bytes, out),
            Kind::Lines(lines) => lines.push(bytes, out),
            Kind::Json(elements) => elements.push(bytes, out),
            Kind::Text(plain) => {
                plain.push(bytes, out);
                Ok(())
            }
            Kind::Binary => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            Kind::Inference(calls) => calls.push(bytes, out),
            Kind::WebSocket(messages) => messages.push(bytes, out),
        }
    }

    /// The answer's own end.
    ///
    /// # Errors
    /// When it is not complete. What is held was given masked.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        self.end(out)?;
        Ok(self.masking.answered()?)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        match &mut self.kind {
            Kind::Events(stream) => stream.finish(out),
            Kind::Lines(lines) => lines.finish(out),
            Kind::Json(elements) => elements.finish(out),
            Kind::Text(plain) => {
                plain.finish(out);
                Ok(())
            }
            Kind::Binary => Ok(()),
            Kind::Inference(calls) => calls.finish(true, out),
            Kind::WebSocket(messages) => messages.finish(out),
        }
    }

    /// The answer was cut: what is held is given masked as the beginning of anything.
    pub fn abort(&mut self, out: &mut Vec<u8>) {
        match &mut self.kind {
            Kind::Events(stream) => stream.abort(out),
            Kind::Lines(lines) => lines.abort(out),
            Kind::Json(elements) => elements.abort(out),
            Kind::Text(plain) => plain.abort(out),
            Kind::Binary => {}
            // A call that was cut has no complete message to wait for.
            Kind::Inference(calls) => calls.finish(false, out).unwrap_or_default(),
            Kind::WebSocket(messages) => messages.abort(out),
        }
    }
}
