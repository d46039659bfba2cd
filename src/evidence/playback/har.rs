//! HAR 1.2 (<http://www.softwareishard.com/blog/har-12-spec/>) as Chromium's developer tools write and import it.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    Unpacked,
    words::{Lines, header},
};
use crate::{
    clock::{parse_rfc3339, rfc3339},
    evidence::recording::{Entry, Opened, Side, What},
};

/// The longest body that goes into an archive, bytes; of a longer one it has the beginning, and says so.
pub const MAX_BODY: usize = 64 * 1024 * 1024;

/// The most pieces, messages or events of one exchange whose times are told.
const MOST_TIMES: usize = 100_000;

/// Makes one entry of an archive out of a recording's entries.
#[derive(Default)]
pub struct Har {
    opened: Opened,
    request: Option<Head>,
    response: Option<Head>,
    sent: Body,
    received: Body,
    events: Events,
    messages: Vec<Value>,
    comments: Vec<String>,
    answered: Option<u64>,
    requested: u64,
    last: u64,
}

#[derive(Default)]
struct Head {
    method: String,
    path: String,
    version: String,
    status: u16,
    headers: Vec<(String, String)>,
}

/// A body as far as it is kept, and when its pieces came.
#[derive(Default)]
struct Body {
    unpacked: Option<Unpacked>,
    bytes: Vec<u8>,
    /// Bytes as they were on the wire.
    wire: u64,
    cut: bool,
    chunks: Vec<Value>,
    framed: Framed,
}

/// Server-sent events, each with the time of its end.
#[derive(Default)]
struct Events {
    lines: Option<Lines>,
    found: Vec<Value>,
}

impl Har {
    /// What stands before the entries of an archive, and what behind them; between two entries stands a comma.
    pub fn brackets() -> (String, &'static str) {
        let creator = json!({ "name": "hoopctl", "version": env!("CARGO_PKG_VERSION") });
        (format!(r#"{{"log":{{"version":"1.2","creator":{creator},"pages":[],"entries":["#), "]}}")
    }

    /// The next entry of the recording.
    pub fn take(&mut self, entry: &Entry) {
        self.last = self.last.max(entry.at);
        match &entry.what {
            What::Opened(opened) => self.opened = opened.clone(),
            What::Request { method, path, version, headers } => {
                self.sent.unpacked = Some(Unpacked::new(headers));
                self.requested = entry.at;
                self.request = Some(Head {
                    method: method.clone(),
                    path: path.clone(),
                    version: version.clone(),
                    status: 0,
                    headers: headers.clone(),
                });
            }
            What::Response { status, headers } => {
                self.answered.get_or_insert(entry.at);
                self.received.unpacked = Some(Unpacked::new(headers));
                if kind_of(headers).starts_with("text/event-stream") {
                    self.events.lines = Some(Lines::default());
                }
                self.response = Some(Head { status: *status, headers: headers.clone(), ..Head::default() });
            }
            What::Body { from: Side::Caller, bytes } => {
                self.requested = self.requested.max(entry.at);
                self.sent.take(entry.at, bytes, &mut Events::default());
            }
            What::Body { from: Side::Model, bytes } => self.received.take(entry.at, bytes, &mut self.events),
            What::Message { from, kind, bytes } => self.message(entry.at, *from, kind, bytes),
            What::Trailers { from, headers } => {
                let said: Vec<String> =
                    headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                self.comments.push(format!("trailers of the {}: {}", side(*from), said.join(", ")));
            }
            What::Omitted { from, bytes, why } => {
                self.comments
                    .push(format!("{bytes} bytes of the {} are not in the recording: {why}", side(*from)));
            }
            What::Ended(outcome) => self.comments.push(format!("the exchange ended: {}", outcome.outcome)),
        }
    }

    /// The archive's entry; `None` when the recording held no request.
    pub fn finish(mut self) -> Option<Value> {
        let request = self.request.take()?;
        for body in [&mut self.sent, &mut self.received] {
            let rest = body.framed.end().unwrap_or_default();
            body.take(self.last, &rest, &mut Events::default());
        }
        let began = parse_rfc3339(&self.opened.time).unwrap_or(SystemTime::UNIX_EPOCH);
        let (wait, receive) = match self.answered {
            Some(at) => (millis(at), millis(self.last.saturating_sub(at))),
            None => (millis(self.last), 0.0),
        };
        let is_socket = self.response.as_ref().is_some_and(|head| head.status == 101);
        let is_stream = self.events.lines.is_some();
        for (body, name) in [(&self.sent, "question"), (&self.received, "answer")] {
            if body.cut {
                self.comments.push(format!("the {name} is longer than {MAX_BODY} bytes: its beginning is here, all of it in the format raw"));
            }
        }
        let url = address(&self.opened.model, &request.path, is_socket);
        let mut entry = Map::new();
        let mut put = |name: &str, value: Value| drop(entry.insert(name.to_owned(), value));
        put("startedDateTime", rfc3339(began).into());
        put("time", (wait + receive).into());
        put("request", asked(&request, &url, &self.sent));
        put("response", answered(self.response.as_ref(), &self.received, &request.version));
        put("cache", json!({}));
        put(
            "timings",
            json!({ "blocked": -1, "dns": -1, "connect": -1, "send": 0, "wait": wait, "receive": receive, "ssl": -1 }),
        );
        let resource = if is_socket {
            "websocket"
        } else if is_stream {
            "eventsource"
        } else {
            "fetch"
        };
        put("_resourceType", resource.into());
        put("_exchange", self.opened.exchange.as_str().into());
        put("_session", self.opened.session.as_str().into());
        put("_model", self.opened.model.as_str().into());
        put("_caller", self.opened.caller.as_str().into());
        if !self.messages.is_empty() || is_socket {
            let messages = self.messages.into_iter().map(|message| at_epoch(message, began)).collect();
            put("_webSocketMessages", Value::Array(messages));
        }
        if is_stream {
            let events = self.events.found.into_iter().map(|event| at_epoch(event, began)).collect();
            put("_eventSourceMessages", Value::Array(events));
        }
        if !self.received.chunks.is_empty() {
            put("_chunks", Value::Array(self.received.chunks));
        }
        if !self.comments.is_empty() {
            put("comment", self.comments.join("; ").into());
        }
        Some(Value::Object(entry))
    }

    /// Of a WebSocket, or of a gRPC call; Chromium knows the former alone.
    fn message(&mut self, at: u64, from: Side, kind: &str, bytes: &[u8]) {
        let body = if from == Side::Caller { &mut self.sent } else { &mut self.received };
        if body.framed.is_of(kind) {
            let framed = body.framed.take(kind, bytes).unwrap_or_default();
            return body.take(at, &framed, &mut Events::default());
        }
        if self.messages.len() >= MOST_TIMES {
            return;
        }
        let text = std::str::from_utf8(bytes).ok().filter(|_| kind != "binary");
        let opcode = match kind {
            "continuation" => 0,
            "text" => 1,
            "close" => 8,
            "ping" => 9,
            "pong" => 10,
            _ => 2,
        };
        // A payload that is no text is spelled in base64, which Chromium expects of binary messages.
        let (opcode, data) = match text {
            Some(text) => (opcode, text.to_owned()),
            None => (if opcode == 1 { 2 } else { opcode }, STANDARD.encode(bytes)),
        };
        let kind = if from == Side::Caller { "send" } else { "receive" };
        self.messages.push(json!({ "type": kind, "time": at, "opcode": opcode, "data": data }));
    }
}

impl Body {
    fn take(&mut self, at: u64, bytes: &[u8], events: &mut Events) {
        if bytes.is_empty() {
            return;
        }
        self.wire += bytes.len() as u64;
        if self.chunks.len() < MOST_TIMES {
            self.chunks.push(json!({ "at_ms": millis(at), "bytes": bytes.len() }));
        }
        let (kept, cut) = (&mut self.bytes, &mut self.cut);
        let mut keep = |piece: &[u8]| {
            let room = MAX_BODY - kept.len();
            *cut |= piece.len() > room;
            kept.extend_from_slice(piece.get(..room).unwrap_or(piece));
            events.take(at, piece);
        };
        match &mut self.unpacked {
            Some(unpacked) => unpacked.feed(bytes, &mut keep),
            None => keep(bytes),
        }
    }
}

impl Events {
    fn take(&mut self, at: u64, bytes: &[u8]) {
        let Some(lines) = &mut self.lines else { return };
        for event in lines.events(bytes) {
            if self.found.len() < MOST_TIMES {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let name = if event.name.is_empty() { "message".to_owned() } else { text(&event.name) };
                self.found.push(json!({
                    "time": at, "eventName": name, "eventId": text(&event.id), "data": text(&event.data),
                }));
            }
        }
    }
}

/// The messages of one side of a gRPC call as they were on the wire, each with the five bytes that frame it.
#[derive(Debug, Default)]
pub struct Framed {
    compressed: u8,
    /// The beginning of a message that may go on.
    open: Option<Vec<u8>>,
}

impl Framed {
    /// The next entry's message, or a part of one; what is complete now. Of a message longer than [`MAX_BODY`] the beginning is kept.
    pub fn take(&mut self, kind: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        if kind == "continuation" {
            let open = self.open.as_mut()?;
            let room = MAX_BODY.saturating_sub(open.len());
            open.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            return None;
        }
        let before = self.end();
        self.compressed = u8::from(kind == "grpc-compressed");
        self.open = Some(bytes.to_vec());
        before
    }

    /// Whether an entry of this kind is of a gRPC call.
    pub fn is_of(&self, kind: &str) -> bool {
        matches!(kind, "grpc" | "grpc-compressed") || (kind == "continuation" && self.open.is_some())
    }

    /// What is complete now that nothing follows.
    pub fn end(&mut self) -> Option<Vec<u8>> {
        let message = self.open.take()?;
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
        Some([&[self.compressed][..], &length, &message].concat())
    }
}

/// Chromium counts in seconds since 1970, the recording in microseconds since its beginning.
fn at_epoch(mut message: Value, began: SystemTime) -> Value {
    if let Some(time) = message.get_mut("time") {
        let at = began + Duration::from_micros(time.as_u64().unwrap_or_default().min(MAX_AT));
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        *time = since.as_secs_f64().into();
    }
    message
}

/// No exchange lasts longer: a hundred years, in microseconds.
const MAX_AT: u64 = 100 * 366 * 86_400 * 1_000_000;

fn millis(micros: u64) -> f64 {
    Duration::from_micros(micros.min(MAX_AT)).as_secs_f64() * 1000.0
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Caller => "question",
        Side::Model => "answer",
    }
}

/// Where the request would go at a gateway's direct ingress; which gateway that is, the recording does not say.
fn address(model: &str, path: &str, is_socket: bool) -> String {
    let base = if is_socket { "wss://gateway.invalid/models/" } else { "https://gateway.invalid/models/" };
    let Ok(mut url) = Url::parse(base) else { return base.to_owned() };
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    // The absolute form of a proxy's request: from its path on.
    let path = match path.split_once("://") {
        Some((_, rest)) if !path.starts_with('/') => {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
        }
        _ => path,
    };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push(model);
    }
    let full = format!("{}{}{path}", url.path(), if path.starts_with('/') { "" } else { "/" });
    url.set_path(&full);
    url.set_query(query);
    url.into()
}

fn listed(headers: &[(String, String)]) -> Value {
    headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn kind_of(headers: &[(String, String)]) -> &str {
    header(headers, "content-type").unwrap_or_default()
}

fn asked(head: &Head, url: &str, body: &Body) -> Value {
    let query: Vec<Value> = Url::parse(url)
        .map(|url| url.query_pairs().map(|(name, value)| json!({ "name": name, "value": value })).collect())
        .unwrap_or_default();
    let mut request = json!({
        "method": head.method, "url": url, "httpVersion": head.version, "cookies": [],
        "headers": listed(&head.headers), "queryString": query, "headersSize": -1, "bodySize": body.wire,
    });
    if !body.bytes.is_empty()
        && let Some(fields) = request.as_object_mut()
    {
        let (text, encoding) = text(&body.bytes);
        let mut data = json!({ "mimeType": kind_of(&head.headers), "text": text });
        if let (Some(encoding), Some(data)) = (encoding, data.as_object_mut()) {
            data.insert("_encoding".to_owned(), encoding.into());
        }
        fields.insert("postData".to_owned(), data);
    }
    request
}

fn answered(head: Option<&Head>, body: &Body, version: &str) -> Value {
    let none = Head::default();
    let head = head.unwrap_or(&none);
    let kind = match kind_of(&head.headers) {
        "" => "x-unknown",
        kind => kind,
    };
    let (text, encoding) = text(&body.bytes);
    let mut content = json!({ "size": body.bytes.len(), "mimeType": kind, "text": text });
    if let (Some(encoding), Some(content)) = (encoding, content.as_object_mut()) {
        content.insert("encoding".to_owned(), encoding.into());
    }
    let status = http::StatusCode::from_u16(head.status).ok();
    json!({
        "status": head.status, "statusText": status.and_then(|status| status.canonical_reason()).unwrap_or_default(),
        "httpVersion": version, "cookies": [], "headers": listed(&head.headers), "content": content,
        "redirectURL": header(&head.headers, "location").unwrap_or_default(),
        "headersSize": -1, "bodySize": body.wire, "_transferSize": body.wire,
    })
}

/// Text as it is, everything else in base64.
fn text(bytes: &[u8]) -> (String, Option<&'static str>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (STANDARD.encode(bytes), Some("base64")),
    }
}
