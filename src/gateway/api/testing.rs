//! What the tests of this room share.

use axum::{body::to_bytes, response::Response};
use serde::de::DeserializeOwned;

/// The body of an answer.
pub(super) async fn json<T: DeserializeOwned>(response: Response) -> T {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}
