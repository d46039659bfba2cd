//! Slack's Web API, as far as it is needed: `chat.postMessage`, `chat.update`, `users.info`, and the answers to a button.

use std::time::Duration;

use http::{HeaderValue, Request, Response, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;

use crate::{
    gateway::outbound::{Outbound, retry_after},
    secret::{ExposeSecret, SecretString},
};

/// Where Slack takes answers to buttons.
const HOOKS: &str = "https://hooks.slack.com";

/// Why Slack did not do it.
#[derive(Debug)]
pub(super) enum SlackError {
    /// It could not be asked, or said to come back later.
    Later {
        /// A sentence.
        why: String,
        /// Slack's `Retry-After`.
        after: Option<Duration>,
    },
    /// `ok: false`, with Slack's word.
    Refused(String),
}

/// Asks Slack.
pub(super) struct Api {
    base: Url,
    authorization: HeaderValue,
    outbound: Outbound,
}

/// What `users.info` says of a person.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    #[serde(default)]
    pub(super) team_id: String,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    is_bot: bool,
    #[serde(default)]
    is_stranger: bool,
    #[serde(default)]
    is_email_confirmed: bool,
    #[serde(default)]
    profile: Profile,
}

#[derive(Debug, Default, Deserialize)]
struct Profile {
    email: Option<String>,
}

impl User {
    /// The email address that the person has proven to own to Slack.
    pub(super) fn email(&self) -> Option<&str> {
        let person = !self.deleted && !self.is_bot && !self.is_stranger && self.is_email_confirmed;
        self.profile.email.as_deref().filter(|email| person && !email.is_empty() && email.len() <= 320)
    }
}

#[derive(Deserialize)]
struct Answer<T> {
    ok: bool,
    error: Option<String>,
    #[serde(flatten)]
    rest: Option<T>,
}

#[derive(Deserialize)]
struct Posted {
    ts: String,
}

#[derive(Deserialize)]
struct Found {
    user: User,
}

#[derive(Deserialize)]
struct Nothing {}

impl Api {
    pub(super) fn new(base: Url, token: &SecretString) -> Result<Self, String> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| "its token has characters that no token has".to_owned())?;
        authorization.set_sensitive(true);
        Ok(Self { base, authorization, outbound: Outbound::new(None)? })
    }

    /// Posts a message; returns its timestamp, by which Slack knows it.
    pub(super) async fn post(&self, channel: &str, message: &Value) -> Result<String, SlackError> {
        let more =
            [("channel", json!(channel)), ("unfurl_links", json!(false)), ("unfurl_media", json!(false))];
        let body = with(message, more);
        self.write::<Posted>("chat.postMessage", &body).await.map(|posted| posted.ts)
    }

    /// Replaces a message.
    pub(super) async fn update(&self, channel: &str, ts: &str, message: &Value) -> Result<(), SlackError> {
        let body = with(message, [("channel", json!(channel)), ("ts", json!(ts))]);
        self.write::<Nothing>("chat.update", &body).await.map(|_| ())
    }

    /// Who a user id is.
    pub(super) async fn user(&self, id: &str) -> Result<User, SlackError> {
        let mut url = self.method("users.info");
        url.query_pairs_mut().append_pair("user", id);
        let request = Request::get(url.as_str()).body(Vec::new());
        self.ask::<Found>("users.info", request).await.map(|found| found.user)
    }

    /// Whether an address that a payload names for answers is Slack's.
    pub(super) fn takes_answers(&self, url: &Url) -> bool {
        let origin = url.origin().ascii_serialization();
        let bare = url.username().is_empty() && url.password().is_none();
        bare && (origin == HOOKS || url.origin() == self.base.origin())
    }

    /// Tells something to the person who pressed a button, and to nobody else.
    pub(super) async fn whisper(&self, response_url: &Url, text: &str) -> Result<(), SlackError> {
        if !self.takes_answers(response_url) {
            return Err(SlackError::Refused("the response_url is not Slack's".to_owned()));
        }
        let body = json!({ "response_type": "ephemeral", "replace_original": false, "text": text });
        // Without the token: the address itself is the secret.
        let request = Request::post(response_url.as_str())
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(body.to_string().into_bytes())
            .map_err(|error| SlackError::Refused(error.to_string()))?;
        let answer = self.send("response_url", request).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(SlackError::Later { why: format!("response_url answered {}", answer.status()), after: None })
    }

    async fn write<T: DeserializeOwned>(&self, method: &str, body: &Value) -> Result<T, SlackError> {
        let request = Request::post(self.method(method).as_str())
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(body.to_string().into_bytes());
        self.ask(method, request).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        request: http::Result<Request<Vec<u8>>>,
    ) -> Result<T, SlackError> {
        let mut request = request.map_err(|error| SlackError::Refused(error.to_string()))?;
        request.headers_mut().insert(header::AUTHORIZATION, self.authorization.clone());
        let answer = self.send(method, request).await?;
        let later = |why: &str| SlackError::Later {
            why: format!("{method} {why}"),
            after: retry_after(answer.headers()),
        };
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            return Err(later("answered 429: too many messages"));
        }
        if !answer.status().is_success() {
            return Err(later(&format!("answered {}", answer.status())));
        }
        let read: Answer<T> = serde_json::from_slice(answer.body())
            .map_err(|_| later("answered something else than its reference says"))?;
        match read {
            Answer { ok: true, rest: Some(rest), .. } => Ok(rest),
            Answer { ok: true, .. } => Err(later("answered something else than its reference says")),
            Answer { error, .. } => Err(refused(&error.unwrap_or_default(), later)),
        }
    }

    async fn send(&self, what: &str, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, SlackError> {
        self.outbound.send(request).await.map_err(|error| {
            // The address of an answer is a secret, and the error would name it.
            let why =
                if what == "response_url" { "it cannot be reached".to_owned() } else { error.to_string() };
            SlackError::Later { why: format!("{what}: {why}"), after: None }
        })
    }

    fn method(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(name);
        }
        url
    }
}

/// A message and where it goes.
fn with<const N: usize>(message: &Value, more: [(&str, Value); N]) -> Value {
    let mut body = message.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    body
}

/// Slack's own word, as far as it is one.
fn refused(word: &str, later: impl FnOnce(&str) -> SlackError) -> SlackError {
    let word: String = word.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
    match word.as_str() {
        "ratelimited" | "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" => {
            later(&format!("says {word}"))
        }
        _ => SlackError::Refused(word),
    }
}
