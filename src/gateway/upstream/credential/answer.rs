//! What token servers and metadata services answer: read within bounds, told without secrets.

use std::time::{Duration, SystemTime};

use http::{Request, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{
    renewed::{Fresh, Life},
    token::{Granted, unknown_life},
};
use crate::{
    clock,
    gateway::outbound::Outbound,
    secret::{self, SecretString},
};

/// The longest word of a server's error that is repeated.
const MAX_WORD: usize = 64;

/// A form that is posted, with more headers.
pub(super) async fn post(
    outbound: &Outbound,
    url: &Url,
    form: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Result<Vec<u8>, String> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request =
        Request::post(url.as_str()).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    ask(outbound, request, headers, body.into_bytes()).await
}

/// A document that is asked for.
pub(super) async fn get(outbound: &Outbound, url: &Url, headers: &[(&str, &str)]) -> Result<Vec<u8>, String> {
    ask(outbound, Request::get(url.as_str()), headers, Vec::new()).await
}

/// The body of an answer with status 200; anything else is an error.
pub(super) async fn ask(
    outbound: &Outbound,
    mut request: http::request::Builder,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Result<Vec<u8>, String> {
    for (name, value) in headers {
        let mut value = http::HeaderValue::from_str(value)
            .map_err(|_| format!("the header {name} of a token request cannot be written"))?;
        value.set_sensitive(true);
        request = request.header(*name, value);
    }
    let request = request.body(body).map_err(|_| "a token request cannot be written".to_owned())?;
    // Without its query, which may say more than belongs into a log.
    let uri = request.uri();
    let place = format!(
        "{}://{}{}",
        uri.scheme_str().unwrap_or_default(),
        uri.authority().map_or("", |a| a.as_str()),
        uri.path()
    );
    let answer = outbound.send(request).await.map_err(|e| e.to_string())?;
    if answer.status() == StatusCode::OK {
        return Ok(answer.into_body());
    }
    Err(format!("{place} answered {}{}", answer.status(), complaint(&answer)))
}

/// The word of RFC 6749 §5.2, and the number by which Entra ID names its errors; no sentence, which may repeat a secret.
fn complaint(answer: &Response<Vec<u8>>) -> String {
    let Ok(body) = serde_json::from_slice::<Value>(answer.body()) else { return String::new() };
    let error = body.get("error");
    let word = error.and_then(Value::as_str).or_else(|| body.get("code").and_then(Value::as_str));
    let number = body
        .get("error_description")
        .and_then(Value::as_str)
        .and_then(|text| text.split(':').next())
        .filter(|start| start.starts_with("AADSTS"));
    let said: Vec<&str> = word.into_iter().chain(number).filter(|word| is_word(word)).collect();
    if said.is_empty() { String::new() } else { format!(": {}", said.join(", ")) }
}

/// Whether a foreign word can be repeated.
pub(super) fn is_word(word: &str) -> bool {
    (1..=MAX_WORD).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

#[derive(Deserialize)]
struct Token {
    #[serde(alias = "token", deserialize_with = "secret::deserialize")]
    access_token: SecretString,
    token_type: Option<String>,
    expires_in: Option<Value>,
    /// Seconds since 1970, as Azure's services say it.
    expires_on: Option<Value>,
    /// RFC 3339 or seconds since 1970, as commands say it.
    expires_at: Option<Value>,
}

/// Reads a successful answer of a token server (RFC 6749 §5.1) or of a service that answers likewise.
pub(super) fn granted(body: &[u8], place: &str, now: SystemTime) -> Result<Granted, String> {
    // The parser's error is left out: it may show a piece of a token.
    let token: Token = serde_json::from_slice(body).map_err(|_| {
        format!("{place} answered something else than a token: JSON with access_token is expected")
    })?;
    if let Some(kind) = &token.token_type
        && !kind.eq_ignore_ascii_case("bearer")
    {
        return Err(format!("{place} answered a token of a type that is not bearer"));
    }
    let wrong = || format!("{place} answered a token whose end cannot be read");
    let after = |value: &Value, start: SystemTime| {
        seconds(value).and_then(|seconds| start.checked_add(Duration::from_secs(seconds))).ok_or_else(wrong)
    };
    let end = match (&token.expires_in, &token.expires_on, &token.expires_at) {
        (Some(value), _, _) => Some(after(value, now)?),
        (None, Some(value), _) => Some(after(value, SystemTime::UNIX_EPOCH)?),
        (None, None, Some(value)) => Some(match value.as_str().and_then(clock::parse_rfc3339) {
            Some(at) => at,
            None => after(value, SystemTime::UNIX_EPOCH)?,
        }),
        (None, None, None) => None,
    };
    let life = end.map_or_else(unknown_life, Life::Until);
    Ok(Fresh { value: token.access_token, life })
}

/// A number of seconds, also where it is written as text. Fractions are cut; more than a thousand years are not read.
fn seconds(value: &Value) -> Option<u64> {
    const MOST: u64 = 40_000_000_000;
    let seconds = match value {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    (seconds <= MOST).then_some(seconds)
}
