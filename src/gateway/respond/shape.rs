//! The bytes of an error, in each shape that applications understand.

use std::fmt::Write;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{Problem, Voice};
use crate::wire::code;

/// On every error the gateway makes, and on no answer of a model: the word of [`crate::wire::code`].
pub const CODE_HEADER: HeaderName = HeaderName::from_static("x-hoopctl-code");

/// On every error the gateway makes: the exchange, as the audit log names it.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// OpenAI's and Anthropic's libraries retry by themselves unless this says no. They do not wait longer than a minute, and would
/// only ask again in vain.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const LONGEST_RETRY: u64 = 60;

impl Problem {
    /// The error as the caller's own libraries read it.
    pub fn answer(&self, voice: Voice, request_id: &str) -> Response<Bytes> {
        let body = match voice {
            Voice::Grpc => Bytes::new(),
            _ => Bytes::from(self.body(voice, request_id).to_string()),
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CODE_HEADER, text(&self.code));
        headers.insert(REQUEST_ID_HEADER, text(request_id));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
            if wait > LONGEST_RETRY {
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
            }
        }
        if voice == Voice::Grpc {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.extend(self.grpc_trailers());
        } else {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            if self.status == StatusCode::UNAUTHORIZED {
                headers
                    .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hoopctl\""));
            }
            *response.status_mut() = self.status;
        }
        response
    }

    /// The error as the end of a gRPC answer, also of one that is under way.
    pub fn grpc_trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(3);
        trailers.insert(CODE_HEADER, text(&self.code));
        trailers.insert("grpc-status", HeaderValue::from(self.grpc_status()));
        trailers.insert("grpc-message", grpc_message(&self.sentence()));
        trailers
    }

    fn body(&self, voice: Voice, request_id: &str) -> Value {
        let (code, message, kind, remedy) = (&self.code, &self.message, self.kind(), &self.remedy);
        match voice {
            Voice::Plain | Voice::Grpc => json!({ "error": {
                "code": code, "message": message, "type": kind, "request_id": request_id, "remedy": remedy,
            }}),
            Voice::Openai => json!({ "error": {
                // The word that OpenAI's users look for; ours is in the header.
                "code": if self.status == StatusCode::TOO_MANY_REQUESTS { "rate_limit_exceeded" } else { code }, "message": message, "type": kind, "param": null, "request_id": request_id, "remedy": remedy,
            }}),
            Voice::Anthropic => json!({
                "type": "error",
                "error": { "type": kind, "message": message, "code": code, "remedy": remedy },
                "request_id": request_id,
            }),
            Voice::Gemini => json!({ "error": {
                "code": self.status.as_u16(), "message": self.sentence(), "status": self.google_status(),
                "details": [{ "reason": code, "request_id": request_id }],
            }}),
            Voice::Ollama | Voice::Kserve => json!({
                "error": self.sentence(), "code": code, "type": kind, "request_id": request_id, "remedy": remedy,
            }),
        }
    }

    /// Message and remedy together, for shapes whose readers show one sentence only.
    fn sentence(&self) -> String {
        match &self.remedy {
            Some(remedy) => format!("{} ({remedy})", self.message),
            None => self.message.clone(),
        }
    }

    /// The family of the error, by the names that OpenAI's and Anthropic's libraries share.
    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::BAD_REQUEST
            | StatusCode::URI_TOO_LONG
            | StatusCode::EXPECTATION_FAILED
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            | StatusCode::HTTP_VERSION_NOT_SUPPORTED => "invalid_request_error",
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::NOT_FOUND => "not_found_error",
            StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            StatusCode::GATEWAY_TIMEOUT => "timeout_error",
            _ => "api_error",
        }
    }

    /// The names that Google's APIs give the gRPC status codes.
    fn google_status(&self) -> &'static str {
        match self.grpc_status() {
            3 => "INVALID_ARGUMENT",
            4 => "DEADLINE_EXCEEDED",
            5 => "NOT_FOUND",
            7 => "PERMISSION_DENIED",
            8 => "RESOURCE_EXHAUSTED",
            14 => "UNAVAILABLE",
            16 => "UNAUTHENTICATED",
            _ => "INTERNAL",
        }
    }

    /// The numbers of the gRPC specification's status codes.
    fn grpc_status(&self) -> u16 {
        match &*self.code {
            code::BAD_REQUEST => 3,
            code::UPSTREAM_TIMEOUT => 4,
            code::MODEL_UNKNOWN => 5,
            code::DENIED
            | code::CALLER_SUSPENDED
            | code::APPROVAL_REQUIRED
            | code::APPROVAL_DENIED
            | code::LOCAL_REFUSED => 7,
            code::LIMIT => 8,
            code::UPSTREAM_UNREACHABLE
            | code::UPSTREAM_UNTRUSTED
            | code::UPSTREAM_CREDENTIAL
            | code::AUDIT_UNAVAILABLE
            | code::RECORDING_UNAVAILABLE
            | code::DRAINING => 14,
            code::LOGIN_REQUIRED | code::LOCAL_KEY => 16,
            _ => 13,
        }
    }
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// `grpc-message` as the gRPC protocol over HTTP/2 writes it: printable ASCII but `%`, the rest as `%XX`.
/// The value of `grpc-message` that says this: percent-encoded but for what prints (gRPC over HTTP/2).
pub fn grpc_message(message: &str) -> HeaderValue {
    let mut out = String::with_capacity(message.len());
    for byte in message.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    text(&out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied() -> Problem {
        Problem::new(code::DENIED, "no “m” for 100% of you").remedy("ask")
    }

    fn body(voice: Voice) -> String {
        String::from_utf8(denied().answer(voice, "ex_1").body().to_vec()).unwrap()
    }

    #[test]
    fn each_shape_is_what_its_libraries_read() {
        assert_eq!(
            body(Voice::Plain),
            r#"{"error":{"code":"denied","message":"no “m” for 100% of you","type":"permission_error","request_id":"ex_1","remedy":"ask"}}"#
        );
        assert_eq!(
            body(Voice::Openai),
            r#"{"error":{"code":"denied","message":"no “m” for 100% of you","type":"permission_error","param":null,"request_id":"ex_1","remedy":"ask"}}"#
        );
        assert_eq!(
            body(Voice::Anthropic),
            r#"{"type":"error","error":{"type":"permission_error","message":"no “m” for 100% of you","code":"denied","remedy":"ask"},"request_id":"ex_1"}"#
        );
        assert_eq!(
            body(Voice::Ollama),
            r#"{"error":"no “m” for 100% of you (ask)","code":"denied","type":"permission_error","request_id":"ex_1","remedy":"ask"}"#
        );
    }

    #[test]
    fn a_limit_is_told_as_each_library_reads_it() {
        let limited = Problem::limited("full".to_owned(), 12);
        let read = |voice| {
            let answer = limited.answer(voice, "ex_1");
            assert_eq!(answer.headers()["retry-after"], "12");
            assert_eq!(answer.headers()["x-hoopctl-code"], "limit");
            assert!(!answer.headers().contains_key("x-should-retry"));
            (answer.status().as_u16(), serde_json::from_slice::<Value>(answer.body()).unwrap_or_default())
        };
        for (voice, pointer, word) in [
            (Voice::Plain, "/error/code", "limit"),
            (Voice::Openai, "/error/code", "rate_limit_exceeded"),
            (Voice::Openai, "/error/type", "rate_limit_error"),
            (Voice::Openai, "/error/message", "full"),
            (Voice::Anthropic, "/type", "error"),
            (Voice::Anthropic, "/error/type", "rate_limit_error"),
            (Voice::Anthropic, "/error/message", "full"),
            (Voice::Gemini, "/error/status", "RESOURCE_EXHAUSTED"),
        ] {
            let (status, body) = read(voice);
            assert_eq!(status, 429);
            assert_eq!(body.pointer(pointer).and_then(Value::as_str), Some(word), "{voice:?} {body}");
        }
        assert_eq!(read(Voice::Gemini).1["error"]["code"], 429);
        assert!(read(Voice::Ollama).1["error"].as_str().unwrap().starts_with("full"));
        assert_eq!(read(Voice::Grpc).0, 200);
        assert_eq!(limited.answer(Voice::Grpc, "ex_1").headers()["grpc-status"], "8");
        let tomorrow = Problem::limited("full".to_owned(), 61).answer(Voice::Openai, "ex_1");
        assert_eq!(tomorrow.headers()["x-should-retry"], "false");
    }

    #[test]
    fn every_error_says_its_code_and_request_in_headers() {
        for voice in [Voice::Plain, Voice::Openai, Voice::Anthropic, Voice::Ollama, Voice::Gemini] {
            let answer = denied().answer(voice, "ex_1");
            assert_eq!(answer.status(), StatusCode::FORBIDDEN);
            assert_eq!(answer.headers()["x-hoopctl-code"], "denied");
            assert_eq!(answer.headers()["x-request-id"], "ex_1");
        }
    }

    #[test]
    fn grpc_errors_are_trailers_only_with_an_encoded_message() {
        let answer = denied().answer(Voice::Grpc, "ex_1");
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.body().is_empty());
        assert_eq!(answer.headers()["grpc-status"], "7");
        assert_eq!(answer.headers()["grpc-message"], "no %E2%80%9Cm%E2%80%9D for 100%25 of you (ask)");
        assert_eq!(answer.headers()["x-hoopctl-code"], "denied");
    }

    #[test]
    fn a_missing_login_names_its_scheme() {
        let answer = Problem::new(code::LOGIN_REQUIRED, "x").answer(Voice::Plain, "ex_1");
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(answer.headers().contains_key("www-authenticate"));
    }
}
