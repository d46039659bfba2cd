//! Which API an application speaks, and so in which shape it understands an error.

use http::{HeaderMap, header};

/// The API a model speaks, as `gateway.toml` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Seen from each request.
    Detect,
    /// OpenAI and the many that copy it.
    Openai,
    /// Anthropic.
    Anthropic,
    /// Ollama's own API.
    Ollama,
    /// Google's generative language API.
    Gemini,
    /// The Open Inference Protocol (KServe V2).
    Kserve,
    /// Nothing more than HTTP.
    Http,
}

impl Dialect {
    /// The word in `gateway.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Ollama => "ollama",
            Self::Gemini => "gemini",
            Self::Kserve => "kserve",
            Self::Http => "http",
        }
    }
}

/// The shape of an error body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// `{"error":{…}}`.
    Plain,
    /// The same with OpenAI's `param`.
    Openai,
    /// `{"type":"error","error":{…}}`.
    Anthropic,
    /// `{"error":"…"}`.
    Ollama,
    /// The same, as the Open Inference Protocol has it.
    Kserve,
    /// `{"error":{"code":429,"status":"RESOURCE_EXHAUSTED",…}}`.
    Gemini,
    /// HTTP 200, trailers only, `grpc-status`.
    Grpc,
}

impl Voice {
    /// The shape the sender of this request understands. What the request itself shows goes before the model's dialect,
    /// because one server often speaks several.
    pub fn of(dialect: Dialect, path: &str, headers: &HeaderMap) -> Self {
        if is_grpc(headers) {
            return Self::Grpc;
        }
        if headers.contains_key("anthropic-version") || at(path, "/v1/messages") {
            return Self::Anthropic;
        }
        if ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"]
            .iter()
            .any(|known| at(path, known))
        {
            return Self::Openai;
        }
        match dialect {
            Dialect::Openai => Self::Openai,
            Dialect::Anthropic => Self::Anthropic,
            Dialect::Ollama => Self::Ollama,
            Dialect::Gemini => Self::Gemini,
            Dialect::Kserve => Self::Kserve,
            Dialect::Detect if path == "/v2" || path.starts_with("/v2/") => Self::Kserve,
            Dialect::Detect if path.starts_with("/api/") => Self::Ollama,
            Dialect::Detect if path.starts_with("/v1beta/models/") => Self::Gemini,
            Dialect::Detect | Dialect::Http => Self::Plain,
        }
    }
}

/// Whether a request is gRPC by its content type.
fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"application/grpc"))
}

fn at(path: &str, known: &str) -> bool {
    path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_shows_which_error_shape_its_sender_reads() {
        let none = HeaderMap::new();
        let mut anthropic = HeaderMap::new();
        anthropic.insert("anthropic-version", "2023-06-01".parse().unwrap());
        let mut grpc = HeaderMap::new();
        grpc.insert("content-type", "Application/gRPC+proto".parse().unwrap());
        for (dialect, path, headers, voice) in [
            (Dialect::Detect, "/v1/chat/completions", &none, Voice::Openai),
            (Dialect::Detect, "/v1/messages", &none, Voice::Anthropic),
            (Dialect::Detect, "/v1/messages/count_tokens", &none, Voice::Anthropic),
            (Dialect::Detect, "/v1/messagesque", &none, Voice::Plain),
            (Dialect::Detect, "/", &anthropic, Voice::Anthropic),
            (Dialect::Detect, "/api/chat", &none, Voice::Ollama),
            (Dialect::Kserve, "/v2/models/m/infer", &none, Voice::Kserve),
            (Dialect::Detect, "/v2/models/m/infer", &none, Voice::Kserve),
            (Dialect::Detect, "/v2x", &none, Voice::Plain),
            (Dialect::Http, "/api/chat", &none, Voice::Plain),
            (Dialect::Ollama, "/v1/chat/completions", &none, Voice::Openai),
            (Dialect::Ollama, "/api/tags", &none, Voice::Ollama),
            (Dialect::Gemini, "/v1/models/m:generateContent", &none, Voice::Gemini),
            (Dialect::Gemini, "/v1beta/openai/chat/completions", &none, Voice::Gemini),
            (Dialect::Detect, "/v1beta/models/m:generateContent", &none, Voice::Gemini),
            (Dialect::Openai, "/x", &grpc, Voice::Grpc),
        ] {
            assert_eq!(Voice::of(dialect, path, headers), voice, "{dialect:?} {path}");
        }
    }
}
