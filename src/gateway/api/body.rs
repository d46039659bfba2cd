//! Request bodies: JSON, bounded in length and time.

use std::time::Duration;

use axum::{body::Body, extract::Request};
use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::{gateway::respond::Problem, wire::code};

/// The longest request body, in bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// For the whole body to come.
const WITHIN: Duration = Duration::from_secs(10);

/// Reads a request's body, whatever its content type says: nothing here is reachable by a browser's form, which has no bearer token.
pub(super) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    let bytes = tokio::time::timeout(WITHIN, axum::body::to_bytes(request.into_body(), MAX_BODY))
        .await
        .map_err(|_| Problem::new(code::BAD_REQUEST, "the request's body did not come within ten seconds"))?
        .map_err(|error| if is_too_long(&error) { too_long() } else { cut() })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Problem::new(code::BAD_REQUEST, format!("the request's body is not understood: {error}"))
    })
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|e| e.is::<http_body_util::LengthLimitError>())
}

fn too_long() -> Problem {
    Problem::new(code::LIMIT, format!("the request's body is longer than {MAX_BODY} bytes"))
        .status(StatusCode::PAYLOAD_TOO_LARGE)
}

fn cut() -> Problem {
    Problem::new(code::BAD_REQUEST, "the request's body ended before it was complete")
}

/// A JSON answer.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<http::Response<Body>, Problem> {
    let text = serde_json::to_vec(value).map_err(|error| {
        Problem::new(code::INTERNAL, format!("the answer cannot be written as JSON: {error}"))
    })?;
    let mut response = http::Response::new(Body::from(text));
    let kind = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(body: impl Into<Body>) -> Result<serde_json::Value, Problem> {
        read(Request::new(body.into())).await
    }

    #[tokio::test]
    async fn a_body_is_bounded_and_must_be_json() {
        assert_eq!(sent("{\"a\":1}").await.unwrap()["a"], 1);
        let long = sent(vec![b' '; MAX_BODY + 1]).await.unwrap_err();
        assert_eq!((long.code(), long.http_status()), (code::LIMIT, StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(sent("{").await.unwrap_err().code(), code::BAD_REQUEST);
    }
}
