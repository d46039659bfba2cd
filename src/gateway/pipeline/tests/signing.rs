//! Requests signed for AWS, at a server that works out every signature from what it received, as the reference says.

use std::sync::{Arc, Mutex};

use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::sync::mpsc;

use super::{
    servers,
    world::{TestBody, World, empty, full, model, soon, text},
};
use crate::{
    gateway::{
        pipeline::ModelConfig,
        upstream::{Aws, AwsKeys, AwsPayload, Credential},
    },
    secret::Source,
};

const ID: &str = "AKIDTEST";

fn secret_key() -> String {
    ["wJalrXUtnFEMI", "K7MDENG", "bPxRfiCY"].join("/")
}

fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tag(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn encoded(text: &str, keep: &[u8]) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte if keep.contains(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let form = text.replace('+', "%2B");
    url::form_urlencoded::parse(format!("x={}", form.replace('&', "%26")).as_bytes())
        .next()
        .unwrap()
        .1
        .into_owned()
}

/// The service's side of Signature Version 4.
struct Service {
    name: &'static str,
    secret: String,
    token: Option<&'static str>,
}

struct Verified {
    body: Vec<u8>,
    content: String,
}

impl Service {
    /// Recomputes the signature of a request and of each of its chunks; says which step differs.
    async fn verify(&self, request: Request<Incoming>) -> Result<Verified, String> {
        let (head, body) = request.into_parts();
        let wire = body.collect().await.map_err(|e| e.to_string())?.to_bytes().to_vec();
        let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let authorization = header("authorization").ok_or("no authorization")?;
        let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("another algorithm")?;
        let field = |name: &str| {
            let found = fields.split(", ").find_map(|field| field.strip_prefix(&format!("{name}=")));
            found.ok_or(format!("no {name}"))
        };
        let (names, signature) = (field("SignedHeaders")?, field("Signature")?);
        let stamp = header("x-amz-date").ok_or("no date")?;
        let scope = format!("{}/eu-central-1/{}/aws4_request", &stamp[..8], self.name);
        if field("Credential")? != format!("{ID}/{scope}") {
            return Err(format!("another credential: {}", field("Credential")?));
        }
        if header("x-amz-security-token").as_deref() != self.token {
            return Err("another session token".to_owned());
        }
        for name in head.headers.keys().map(http::HeaderName::as_str) {
            if (name.starts_with("x-amz-") || name == "host")
                && !names.split(';').any(|signed| signed == name)
            {
                return Err(format!("{name} is not signed"));
            }
        }
        let mut written = String::new();
        for name in names.split(';') {
            let values: Vec<_> = head
                .headers
                .get_all(name)
                .iter()
                .map(|value| value.to_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" "))
                .collect();
            written += &format!("{name}:{}\n", values.join(","));
        }
        // What it received, encoded once more; and what it decoded, encoded twice: services do either.
        let raw = head.uri.path();
        let once = raw.split('/').map(|part| encoded(&decoded(part), b"")).collect::<Vec<_>>().join("/");
        let path = if self.name == "s3" { once.clone() } else { encoded(&once, b"/") };
        if self.name != "s3" && path != encoded(raw, b"/") {
            return Err(format!("the path {raw} can be read in two ways"));
        }
        let mut pairs: Vec<(String, String)> = head.uri.query().map_or(Vec::new(), |query| {
            let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            pairs.map(|(name, value)| (encoded(&decoded(name), b""), encoded(&decoded(value), b""))).collect()
        });
        pairs.sort();
        let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let content = header("x-amz-content-sha256").ok_or("no content hash")?;
        let canonical =
            format!("{}\n{path}\n{}\n{written}\n{names}\n{content}", head.method, query.join("&"));
        let key = [&stamp[..8], "eu-central-1", self.name, "aws4_request"]
            .iter()
            .fold(format!("AWS4{}", self.secret).into_bytes(), |key, part| tag(&key, part));
        let hexed = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let string = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", sha256(canonical.as_bytes()));
        if hexed(tag(&key, &string)) != signature {
            return Err(format!("another signature for:\n{canonical}"));
        }
        let body = match content.as_str() {
            "UNSIGNED-PAYLOAD" => wire,
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => {
                if header("content-length") != Some(wire.len().to_string()) {
                    return Err("another length".to_owned());
                }
                let preamble = format!("AWS4-HMAC-SHA256-PAYLOAD\n{stamp}\n{scope}");
                let sign = |text: String| hexed(tag(&key, &text));
                let body = unchunked(&wire, &preamble, signature, sign)?;
                if header("x-amz-decoded-content-length") != Some(body.len().to_string()) {
                    return Err("another decoded length".to_owned());
                }
                body
            }
            hash if hash == sha256(&wire) => wire,
            _ => return Err("another body".to_owned()),
        };
        Ok(Verified { body, content })
    }
}

fn unchunked(
    wire: &[u8],
    preamble: &str,
    seed: &str,
    sign: impl Fn(String) -> String,
) -> Result<Vec<u8>, String> {
    let (mut rest, mut previous, mut body) = (wire, seed.to_owned(), Vec::new());
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").ok_or("no chunk")?;
        let line = std::str::from_utf8(&rest[..end]).unwrap();
        let (size, signature) = line.split_once(";chunk-signature=").ok_or("no chunk signature")?;
        let size = usize::from_str_radix(size, 16).unwrap();
        let data = &rest[end + 2..end + 2 + size];
        let text = format!("{preamble}\n{previous}\n{}\n{}", sha256(b""), sha256(data));
        if sign(text) != signature {
            return Err("another chunk signature".to_owned());
        }
        previous = signature.to_owned();
        body.extend_from_slice(data);
        rest = rest[end + 2 + size..].strip_prefix(b"\r\n").ok_or("a chunk without its end")?;
        match (size, rest.is_empty()) {
            (0, true) => return Ok(body),
            (0, false) => return Err("more after the last chunk".to_owned()),
            (1..8192, _) if !rest.starts_with(b"0;") => return Err("a short chunk".to_owned()),
            _ => {}
        }
    }
}

/// A model that is asked with signatures, and the folder of its keys.
fn signing(url: &str, service: &'static str, payload: AwsPayload) -> (ModelConfig, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        Source::File(dir.path().join(name))
    };
    let keys = AwsKeys::Named {
        id: file("id", ID),
        secret: file("key", &secret_key()),
        session: Some(file("token", "session/token==")),
    };
    let mut model = model("m", url);
    model.upstream.credential = Some(Credential::Aws(Aws {
        region: "eu-central-1".to_owned(),
        service: service.to_owned(),
        keys,
        payload,
        endpoint: None,
    }));
    (model, dir)
}

/// A server that answers 200 with what it verified, or 403 with what differs.
async fn service(name: &'static str) -> String {
    servers::http(None, move |request| async move {
        let service = Service { name, secret: secret_key(), token: Some("session/token==") };
        match service.verify(request).await {
            Ok(verified) => {
                let body = String::from_utf8(verified.body).unwrap();
                Response::new(full(format!("{} {body}", verified.content)))
            }
            Err(error) => Response::builder().status(403).body(full(error)).unwrap(),
        }
    })
    .await
}

async fn said(world: &World, request: Request<TestBody>) -> (StatusCode, String) {
    let answer = world.connect().ask(request).await;
    (answer.status(), text(answer.into_body()).await)
}

/// A body in pieces, with nothing said of its length.
fn pieces(pieces: Vec<String>) -> TestBody {
    let frames = pieces.into_iter().map(|piece| Ok(Frame::data(Bytes::from(piece))));
    StreamBody::new(futures_util::stream::iter(frames)).boxed()
}

#[tokio::test]
async fn a_whole_body_is_signed_with_path_and_query_however_they_are_spelt() {
    let (model, _dir) = signing(&service("bedrock").await, "bedrock", AwsPayload::Signed);
    let world = World::new(vec![model]).await;
    for target in [
        "/model/anthropic.claude-v2:1/invoke",
        "/model/arn%3aaws%3Abedrock%2Fx/invoke-with-response-stream",
        "/model/a?b=%2f&a=1&a=&c&d=x+y&e=%20z=w",
        "/%e2%82%ac/x",
        "/model/",
    ] {
        let request = Request::post(target)
            .header("host", "x")
            .header("content-type", "application/json;  charset=utf-8")
            .header("x-amz-meta-caller", "a   b")
            .header("x-amzn-bedrock-accept", "*/*")
            .header("connection", "x-amz-hop")
            .header("x-amz-hop", "1");
        let body = r#"{"prompt": "hello"}"#;
        let (status, said) = said(&world, request.body(full(body)).unwrap()).await;
        assert_eq!(
            (status, said),
            (StatusCode::OK, format!("{} {body}", sha256(body.as_bytes()))),
            "{target}"
        );
    }
    let (status, text) = said(&world, Request::get("/").header("host", "x").body(empty()).unwrap()).await;
    assert_eq!((status, text), (StatusCode::OK, format!("{} ", sha256(b""))));
    let chunked =
        Request::post("/").header("host", "x").body(pieces(vec!["one".into(), "two".into()])).unwrap();
    assert_eq!(said(&world, chunked).await.1, format!("{} onetwo", sha256(b"onetwo")));
}

#[tokio::test]
async fn what_the_caller_signed_itself_is_replaced() {
    let (model, _dir) = signing(&service("bedrock").await, "bedrock", AwsPayload::Signed);
    let world = World::new(vec![model]).await;
    let request = Request::post("/")
        .header("host", "x")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=CALLERS/x, SignedHeaders=host, Signature=y")
        .header("x-amz-date", "20010101T000000Z")
        .header("x-amz-security-token", "callers")
        .header("x-amz-content-sha256", "callers")
        .header("x-api-key", "callers")
        .body(full("body"))
        .unwrap();
    assert_eq!(said(&world, request).await, (StatusCode::OK, format!("{} body", sha256(b"body"))));
    let event = serde_json::to_string(&world.event().await).unwrap();
    assert!(!event.contains(&secret_key()) && !event.contains("session/token"), "{event}");
}

#[tokio::test]
async fn bodies_of_any_length_are_signed_in_chunks() {
    let (model, _dir) = signing(&service("s3").await, "s3", AwsPayload::Chunked);
    let world = World::new(vec![model]).await;
    let content = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    for length in [0, 1, 65_535, 65_536, 65_537, 200_000] {
        let body = "b".repeat(length);
        let request =
            Request::put("/bucket//a%2fb+c").header("host", "x").header("content-encoding", "x-own");
        let answer = said(&world, request.body(full(body.clone())).unwrap()).await;
        assert_eq!(answer, (StatusCode::OK, format!("{content} {body}")), "{length}");
    }
    let halves = vec!["c".repeat(70_000), "d".repeat(70_000)];
    let whole = halves.concat();
    let request = Request::put("/bucket/key").header("host", "x").body(pieces(halves)).unwrap();
    assert_eq!(said(&world, request).await, (StatusCode::OK, format!("{content} {whole}")));
}

/// Each frame of the body as it is sent.
fn streamed(length: usize) -> (mpsc::UnboundedSender<Bytes>, Request<TestBody>) {
    let (sender, mut frames) = mpsc::unbounded_channel::<Bytes>();
    let stream = futures_util::stream::poll_fn(move |cx| {
        frames.poll_recv(cx).map(|frame| frame.map(|bytes| Ok(Frame::data(bytes))))
    });
    let body = StreamBody::new(stream).boxed();
    let request = Request::put("/bucket/key").header("host", "x").header("content-length", length);
    (sender, request.body(body).unwrap())
}

#[tokio::test]
async fn chunks_and_unsigned_bodies_stream() {
    for payload in [AwsPayload::Chunked, AwsPayload::Unsigned] {
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let url = servers::http(None, move |request: Request<Incoming>| {
            let arrived = arrived.clone();
            async move {
                let signed = request.headers()["authorization"].to_str().unwrap().contains("Signature=");
                let mut body = request.into_body();
                let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
                arrived.send(first.len()).unwrap();
                while let Some(Ok(_)) = body.frame().await {}
                Response::new(full(signed.to_string()))
            }
        })
        .await;
        let (model, _dir) = signing(&url, "s3", payload);
        let world = World::new(vec![model]).await;
        let (frames, request) = streamed(140_000);
        let asked = tokio::spawn(world.connect().ask(request));
        frames.send(Bytes::from(vec![b'x'; 70_000])).unwrap();
        assert!(soon(arrivals.recv()).await.unwrap() > 0, "the first half arrives before the second is sent");
        frames.send(Bytes::from(vec![b'x'; 70_000])).unwrap();
        drop(frames);
        assert_eq!(text(soon(asked).await.unwrap().into_body()).await, "true");
    }
}

#[tokio::test]
async fn unsigned_bodies_and_upgrades_carry_a_signature_of_their_head() {
    let (model, _dir) = signing(&service("s3").await, "s3", AwsPayload::Unsigned);
    let world = World::new(vec![model]).await;
    let request = Request::put("/k").header("host", "x").body(full("body")).unwrap();
    assert_eq!(said(&world, request).await, (StatusCode::OK, "UNSIGNED-PAYLOAD body".to_owned()));
    let (model, _dir) = signing(&service("bedrock").await, "bedrock", AwsPayload::Signed);
    let world = World::new(vec![model]).await;
    let upgrade = Request::get("/socket")
        .header("host", "x")
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    let (status, text) = said(&world, upgrade.body(empty()).unwrap()).await;
    assert_eq!((status, text), (StatusCode::OK, format!("{} ", sha256(b""))));
}

#[tokio::test]
async fn no_connection_waits_for_a_body_that_is_to_be_signed() {
    let mut server = servers::Scripted::start().await;
    let (model, _dir) = signing(&server.url, "bedrock", AwsPayload::Signed);
    let world = World::new(vec![model]).await;
    let (frames, request) = streamed(8);
    let asked = tokio::spawn(world.connect().ask(request));
    frames.send(Bytes::from_static(b"half")).unwrap();
    for _ in 0..20 {
        servers::reactor_turn().await;
    }
    assert_eq!(server.waiting(), 0);
    frames.send(Bytes::from_static(b"half")).unwrap();
    let mut line = server.accept().await;
    line.head().await;
    assert_eq!(line.read(8).await, b"halfhalf");
    line.write("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(soon(asked).await.unwrap().status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_path_with_hidden_dots_is_refused() {
    let (model, _dir) = signing(&service("bedrock").await, "bedrock", AwsPayload::Signed);
    let world = World::new(vec![model]).await;
    let request = Request::get("/model/a/%2e%2e/b").header("host", "x");
    let (status, text) = said(&world, request.body(empty()).unwrap()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    assert!(text.contains("as a segment"), "{text}");
}

#[tokio::test]
async fn a_body_too_long_to_be_signed_as_a_whole_is_refused_before_it_is_read() {
    let (mut model, _dir) = signing(&service("bedrock").await, "bedrock", AwsPayload::Signed);
    model.body_limit = Some(1 << 40);
    let world = World::new(vec![model]).await;
    let (_frames, request) = streamed((32 << 20) + 1);
    let answer = world.connect().ask(request).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.headers()["x-hoopctl-code"], "limit");
    assert!(text(answer.into_body()).await.contains("sign as a whole"));
}

/// A service that swaps the keys just before it refuses those it was shown.
#[tokio::test]
async fn keys_that_the_service_refuses_are_read_anew() {
    let key: Arc<Mutex<Option<std::path::PathBuf>>> = Arc::default();
    let place = Arc::clone(&key);
    let url = servers::http(None, move |request| {
        let place = Arc::clone(&place);
        async move {
            let service = Service { name: "bedrock", secret: secret_key(), token: Some("session/token==") };
            let verified = service.verify(request).await.is_ok();
            std::fs::write(place.lock().unwrap().as_ref().unwrap(), secret_key()).unwrap();
            let status = if verified { StatusCode::OK } else { StatusCode::FORBIDDEN };
            Response::builder().status(status).body(empty()).unwrap()
        }
    })
    .await;
    let (model, dir) = signing(&url, "bedrock", AwsPayload::Signed);
    std::fs::write(dir.path().join("key"), "old").unwrap();
    *key.lock().unwrap() = Some(dir.path().join("key"));
    let world = World::new(vec![model]).await;
    let ask = async || {
        let request = Request::post("/").header("host", "x").body(full("body")).unwrap();
        said(&world, request).await.0
    };
    assert_eq!(ask().await, StatusCode::FORBIDDEN);
    soon(async { while ask().await != StatusCode::OK {} }).await;
}

#[tokio::test]
async fn without_a_credential_nothing_is_sent() {
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let url = servers::http(None, move |_| {
        *count.lock().unwrap() += 1;
        async { Response::new(empty()) }
    })
    .await;
    // A token server that says no.
    let refusing = servers::http(None, async |_| {
        Response::builder().status(401).body(full(r#"{"error": "invalid_client"}"#)).unwrap()
    })
    .await;
    let mut model = model("m", &url);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, "s3cret").unwrap();
    model.upstream.credential = Some(Credential::Oauth2(crate::gateway::upstream::Oauth2 {
        token_url: refusing.parse().unwrap(),
        client_id: "c".to_owned(),
        client_secret: Source::File(path),
        scope: None,
        audience: None,
        post: false,
        ca: None,
    }));
    let world = World::new(vec![model]).await;
    let answer = world.connect().ask(Request::get("/").header("host", "x").body(empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(answer.headers()["x-hoopctl-code"], "upstream_credential");
    let body = text(answer.into_body()).await;
    assert!(body.contains("no usable credential") && !body.contains("invalid_client"), "{body}");
    assert_eq!(*asked.lock().unwrap(), 0);
    assert_eq!(world.outcome().await, "upstream_failed");
}
