//! Asking a vendor's own interface: patient with throttling for a moment, and never mistaking a failure for an answer.

use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use url::Url;

use super::super::provider::ProviderError;
use crate::gateway::outbound::Outbound;

/// How often a request that the vendor could not serve is sent in all.
const ATTEMPTS: u32 = 3;
/// Between two of them, when the vendor does not say.
const PAUSE: Duration = Duration::from_millis(200);
/// A vendor that says to come back later than this is not waited for: a person sits before the browser.
const MAX_PAUSE: Duration = Duration::from_secs(3);

/// One request, as often as it has to be sent.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) bearer: &'a str,
    /// Sent as JSON.
    pub(super) body: Option<&'a Value>,
}

/// What came back.
pub(super) struct Told {
    pub(super) status: StatusCode,
    body: Vec<u8>,
}

impl From<Response<Vec<u8>>> for Told {
    fn from(answer: Response<Vec<u8>>) -> Self {
        Self { status: answer.status(), body: answer.into_body() }
    }
}

impl Told {
    /// The answer's document.
    pub(super) fn read<T: DeserializeOwned>(&self, url: &Url) -> Result<T, ProviderError> {
        serde_json::from_slice(&self.body).map_err(|_| {
            unreachable(format!("{} answered something else than its reference says", place(url)))
        })
    }

    /// The vendor's own word for what went wrong: `error.code` (Graph), `error.status` (Google), `error` (OAuth 2.0).
    pub(super) fn word(&self) -> String {
        #[derive(Deserialize)]
        struct Failed {
            error: Value,
        }
        let Ok(Failed { error }) = serde_json::from_slice(&self.body) else { return String::new() };
        let words = [Some(&error), error.get("status"), error.get("code")];
        let word = words.into_iter().flatten().find_map(Value::as_str).unwrap_or_default();
        word.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')).take(64).collect()
    }

    /// A sentence for an answer that is no success.
    pub(super) fn failure(&self, url: &Url, hint: &str) -> ProviderError {
        let (status, word) = (self.status, self.word());
        let word = if word.is_empty() { word } else { format!(" ({word})") };
        unreachable(format!("{} answered {status}{word}{hint}", place(url)))
    }
}

/// Sends it; a throttled or failing vendor is asked again if it does not take long.
pub(super) async fn ask(outbound: &Outbound, ask: &Ask<'_>) -> Result<Told, ProviderError> {
    let mut attempt = 1;
    loop {
        let answer = outbound.send(request(ask)?).await.map_err(|e| unreachable(e.to_string()))?;
        let busy = matches!(answer.status().as_u16(), 429 | 500 | 502 | 503 | 504);
        let pause = later(&answer);
        if !busy || attempt >= ATTEMPTS || pause.is_none_or(|pause| pause > MAX_PAUSE) {
            return Ok(answer.into());
        }
        attempt = attempt.saturating_add(1);
        tokio::time::sleep(pause.unwrap_or(PAUSE)).await;
    }
}

/// A URL under a configured base.
pub(super) fn under(base: &Url, path: &str) -> Result<Url, ProviderError> {
    let text = format!("{}/{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&text).map_err(|e| unreachable(format!("{text}: {e}")))
}

/// How long to wait: `Retry-After` in seconds, a moment without it, `None` for a date.
fn later(answer: &Response<Vec<u8>>) -> Option<Duration> {
    match answer.headers().get(header::RETRY_AFTER) {
        None => Some(PAUSE),
        Some(after) => after.to_str().ok()?.trim().parse().ok().map(Duration::from_secs),
    }
}

fn request(ask: &Ask<'_>) -> Result<Request<Vec<u8>>, ProviderError> {
    let mut request = Request::builder()
        .method(ask.method.clone())
        .uri(ask.url.as_str())
        .header(header::ACCEPT, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", ask.bearer));
    if ask.body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let body = ask.body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    request.body(body).map_err(|e| unreachable(e.to_string()))
}

/// The URL without its query, which may name people.
fn place(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

fn unreachable(why: String) -> ProviderError {
    ProviderError::Unreachable(why)
}
