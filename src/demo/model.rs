//! A small OpenAI-compatible model server behind TLS: what stands at the far end of the demo.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Extension, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, StatusCode, Uri, header};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};
use tower_service::Service;

use super::answers;
use crate::{
    clock::Clock,
    id,
    secret::{self, ExposeSecret, SecretString},
    tls::{self, Handshake, HotKey, Identity},
};

/// The model's name, at its own server and in the gateway's configuration.
pub(super) const NAME: &str = "demo";
/// Between two pieces of an answer.
const PACE: Duration = Duration::from_millis(25);
/// The longest request.
const MOST_BYTES: usize = 1024 * 1024;
/// The most requests remembered as evidence.
const MOST_SEEN: usize = 1024;

/// A request as the model's server saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    /// It carried the key that only the gateway has.
    pub(super) with_key: bool,
    pub(super) handshake: Handshake,
}

/// A running model server; dropped, it is gone.
pub(super) struct Model {
    address: SocketAddr,
    ca_pem: String,
    key: SecretString,
    desk: Desk,
    _serving: JoinSet<()>,
}

#[derive(Clone)]
struct Desk {
    key: Arc<SecretString>,
    clock: Clock,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Model {
    /// Starts on a loopback port of the system's choice, with a certificate of a CA that nobody else trusts and a key
    /// that nobody else knows.
    pub(super) async fn start(clock: Clock) -> io::Result<Self> {
        let (ca_pem, identity) = throwaway_identity().map_err(io::Error::other)?;
        let tls = tls::https_server(&HotKey::new(identity)).map_err(io::Error::other)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let key = id::token();
        let desk = Desk { key: Arc::new(key.clone()), clock, seen: Arc::default() };
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, tokio_rustls::TlsAcceptor::from(Arc::new(tls)), router(desk.clone())));
        Ok(Self { address, ca_pem, key, desk, _serving: serving })
    }

    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// What the gateway must present.
    pub(super) fn key(&self) -> &SecretString {
        &self.key
    }

    /// Every request so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.desk.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn throwaway_identity() -> Result<(String, Identity), Box<dyn std::error::Error + Send + Sync>> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    ca.distinguished_name.push(rcgen::DnType::CommonName, "hoopctl demo model CA");
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec![Ipv4Addr::LOCALHOST.to_string(), "localhost".to_owned()])?
        .signed_by(&key, &issuer)?;
    Ok((ca_pem, Identity::from_pem(&leaf.pem(), &key.serialize_pem())?))
}

async fn serve(listener: TcpListener, acceptor: tokio_rustls::TlsAcceptor, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                connections.spawn(connection(stream, acceptor.clone(), router.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: tokio::net::TcpStream, acceptor: tokio_rustls::TlsAcceptor, router: Router) {
    // Only this process calls, and it sees for itself when a connection ends.
    let _ = stream.set_nodelay(true);
    let Ok(tls) = acceptor.accept(stream).await else { return };
    let router = router.layer(Extension(Handshake::of(tls.get_ref().1)));
    let service = service_fn(move |request| Service::call(&mut router.clone(), request));
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(tls), service).await;
}

fn router(desk: Desk) -> Router {
    Router::new()
        .route("/v1/models", get(list))
        .route("/v1/chat/completions", post(chat))
        .fallback(
            |uri: Uri| async move { fault(StatusCode::NOT_FOUND, &format!("no such path: {}", uri.path())) },
        )
        .layer(axum::middleware::from_fn_with_state(desk.clone(), guard))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(desk)
}

/// Remembers the request and lets it in only with the key.
async fn guard(
    State(desk): State<Desk>,
    Extension(handshake): Extension<Handshake>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let with_key = bears(request.headers(), &desk.key);
    {
        let mut seen = desk.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MOST_SEEN {
            seen.push(Seen { path: request.uri().path().to_owned(), with_key, handshake });
        }
    }
    if with_key {
        next.run(request).await
    } else {
        fault(StatusCode::UNAUTHORIZED, "this model wants the key that only the gateway has")
    }
}

fn bears(headers: &HeaderMap, key: &SecretString) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
        .is_some_and(|presented| secret::same(presented, key.expose_secret().as_bytes()))
}

fn fault(status: StatusCode, message: &str) -> Response {
    let body = json!({ "error": { "message": message, "type": "invalid_request_error", "param": null, "code": null } });
    (status, Json(body)).into_response()
}

async fn list(State(desk): State<Desk>) -> Json<Value> {
    let created = desk.clock.unix_seconds();
    Json(
        json!({ "object": "list", "data": [{ "id": NAME, "object": "model", "created": created, "owned_by": "hoopctl" }] }),
    )
}

/// The parts of a chat request that this model understands.
#[derive(Deserialize)]
struct Chat {
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: StreamOptions,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
}

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

async fn chat(State(desk): State<Desk>, body: Bytes) -> Response {
    let chat: Chat = match serde_json::from_slice(&body) {
        Ok(chat) => chat,
        Err(error) => return fault(StatusCode::BAD_REQUEST, &format!("not a chat request: {error}")),
    };
    let Some(question) = chat.messages.iter().rev().find(|message| message.role == "user").map(text) else {
        return fault(StatusCode::BAD_REQUEST, "there is no message of role user");
    };
    let answer = answers::to(&question);
    let now = desk.clock.now();
    let completion = Completion {
        id: id::new("chatcmpl", now),
        created: desk.clock.unix_seconds(),
        prompt_tokens: words(&question),
        pieces: pieces(&answer),
    };
    if chat.stream { completion.stream(chat.stream_options.include_usage) } else { completion.whole() }
}

/// The text of a message, also when it comes as a list of parts.
fn text(message: &Message) -> String {
    match &message.content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// An answer in the pieces in which it is sent: words with the space after them.
fn pieces(answer: &str) -> Vec<String> {
    answer.split_inclusive(' ').map(str::to_owned).collect()
}

struct Completion {
    id: String,
    created: i64,
    prompt_tokens: usize,
    pieces: Vec<String>,
}

impl Completion {
    fn usage(&self) -> Value {
        let (prompt, completion) = (self.prompt_tokens, self.pieces.len());
        json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
    }

    fn whole(self) -> Response {
        let choice = json!({
            "index": 0,
            "message": { "role": "assistant", "content": self.pieces.concat() },
            "finish_reason": "stop",
        });
        Json(json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": NAME,
            "choices": [choice], "usage": self.usage(),
        }))
        .into_response()
    }

    fn chunk(&self, choices: &Value, usage: &Value) -> String {
        let mut chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": NAME, "choices": choices,
        });
        if let (Some(chunk), false) = (chunk.as_object_mut(), usage.is_null()) {
            chunk.insert("usage".to_owned(), usage.clone());
        }
        format!("data: {chunk}\n\n")
    }

    fn stream(self, include_usage: bool) -> Response {
        let choice = |delta: Value, end: Value| json!([{ "index": 0, "delta": delta, "finish_reason": end }]);
        let mut events = vec![
            self.chunk(&choice(json!({ "role": "assistant", "content": "" }), Value::Null), &Value::Null),
        ];
        events.extend(
            self.pieces
                .iter()
                .map(|piece| self.chunk(&choice(json!({ "content": piece }), Value::Null), &Value::Null)),
        );
        events.push(self.chunk(&choice(json!({}), json!("stop")), &Value::Null));
        if include_usage {
            events.push(self.chunk(&json!([]), &self.usage()));
        }
        events.push("data: [DONE]\n\n".to_owned());
        let paced = stream::unfold(events.into_iter(), |mut events| async move {
            let event = events.next()?;
            tokio::time::sleep(PACE).await;
            Some((Ok::<_, Infallible>(Bytes::from(event)), events))
        });
        let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
        (headers, Body::from_stream(paced)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_an_answer_are_the_answer() {
        let answer = answers::to("who are you?");
        assert_eq!(pieces(&answer).concat(), answer);
        assert!(pieces(&answer).len() > 5);
    }

    #[test]
    fn a_question_in_parts_is_understood() {
        let message: Message = serde_json::from_value(
            json!({ "role": "user", "content": [{ "type": "text", "text": "hello" }] }),
        )
        .unwrap();
        assert_eq!(text(&message), "hello");
    }
}
