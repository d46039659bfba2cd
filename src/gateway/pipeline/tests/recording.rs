//! What is recorded of an exchange: everything a caller may see, nothing secret, and what happens when it cannot be.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;

use super::{
    servers::{self, Line, Scripted},
    world::{TestBody, World, full, get, model, post, soon, text},
};
use crate::{
    evidence::{
        event::Event,
        recording::{Entry, Side, What, check, sha256_text},
    },
    gateway::{
        mask::{self, Rules, Style, Unknown},
        pipeline::ModelConfig,
        record::{Failure, Level, Terms, doubles::opened},
    },
};

const MAIL: &str = "alice@example.com";
const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn recorded(url: &str, level: Level, failure: Failure) -> ModelConfig {
    ModelConfig { record: Terms { level, failure, keep: None }, ..model("m", url) }
}

async fn world(level: Level, failure: Failure) -> (World, Scripted) {
    let server = Scripted::start().await;
    (World::new(vec![recorded(&server.url, level, failure)]).await, server)
}

async fn answer(server: &mut Scripted, answer: &str) -> (Line, String) {
    let mut line = server.accept().await;
    let head = line.head().await;
    line.write(answer).await;
    (line, head)
}

/// What the only recording holds, once its exchange has been finished.
async fn recording(world: &World) -> (Vec<Entry>, Event) {
    let event = world.finished().await;
    let files = world.shelf.files();
    assert_eq!(files.len(), 1);
    let recording = event.recording.clone().unwrap();
    let checked = check(&files[0][..]).unwrap();
    assert_eq!(recording.sha256, Some(sha256_text(&checked.sha256)));
    assert_eq!(checked.header.recording, recording.id);
    assert_eq!(Some(checked.header.exchange), event.exchange);
    (opened(&files[0]), event)
}

/// What a side said, and how often.
fn said(entries: &[Entry], side: Side) -> (String, usize) {
    let bodies = entries.iter().filter_map(|entry| match &entry.what {
        What::Body { from, bytes } if *from == side => Some(bytes.clone()),
        _ => None,
    });
    let bodies: Vec<Bytes> = bodies.collect();
    (String::from_utf8(bodies.concat()).unwrap(), bodies.len())
}

fn kinds(entries: &[Entry]) -> Vec<&'static str> {
    let kind = |entry: &Entry| match entry.what {
        What::Opened(_) => "opened",
        What::Request { .. } => "request",
        What::Response { .. } => "response",
        What::Body { .. } => "body",
        What::Message { .. } => "message",
        What::Trailers { .. } => "trailers",
        What::Omitted { .. } => "omitted",
        What::Ended(_) => "ended",
    };
    let mut kinds: Vec<_> = entries.iter().map(kind).collect();
    kinds.dedup();
    kinds
}

#[tokio::test]
async fn an_exchange_is_recorded_as_it_was_without_its_secrets_and_with_what_was_asked_masked() {
    let (world, mut server) = world(Level::Full, Failure::Refuse).await;
    let secret = ["sk", "-", "live-1"].concat();
    let asked = format!(r#"{{"messages":[{{"role":"user","content":"I am {MAIL}"}}]}}"#);
    let mut request = post("/v1/chat/completions?alt=sse&key=abc", asked.clone());
    request.headers_mut().insert("authorization", secret.parse().unwrap());
    request.headers_mut().insert("content-type", "application/json".parse().unwrap());
    let asking = world.connect().ask(request);
    let serving = async {
        let mut line = server.accept().await;
        line.head().await;
        let body = line.read(asked.len()).await;
        line.write(STREAM).await;
        line.write("9\r\ndata: a\n\n\r\n").await;
        (line, body)
    };
    let (response, (mut line, body)) = tokio::join!(asking, serving);
    assert_eq!(String::from_utf8(body).unwrap(), asked, "the model gets it as it is");
    let mut response = response.into_body();
    soon(response.frame()).await.unwrap().unwrap();
    line.write("9\r\ndata: b\n\n\r\n0\r\n\r\n").await;
    soon(response.collect()).await.unwrap();
    let (entries, event) = recording(&world).await;
    assert_eq!(kinds(&entries), ["opened", "request", "body", "response", "body", "ended"]);
    assert_eq!(said(&entries, Side::Model), ("data: a\n\ndata: b\n\n".to_owned(), 2));
    assert_eq!(said(&entries, Side::Caller).0, asked.replace(MAIL, "[EMAIL]"));
    let times: Vec<u64> = entries.iter().map(|entry| entry.at).collect();
    assert!(times.is_sorted(), "{times:?}");
    let What::Opened(opened) = &entries[0].what else { panic!() };
    assert_eq!((opened.caller.as_str(), opened.level.as_str()), ("alice@example.test", "full"));
    let What::Request { path, headers, .. } = &entries[1].what else { panic!() };
    assert_eq!(path, "/v1/chat/completions?alt=sse&key=[removed]");
    assert!(headers.contains(&("authorization".into(), "[removed]".into())), "{headers:?}");
    for text in [secret.as_str(), MAIL, "data: a"] {
        let file = &world.shelf.files()[0];
        assert!(!file.windows(text.len()).any(|bytes| bytes == text.as_bytes()), "{text} in plain");
    }
    assert_eq!(event.recording.unwrap().gaps, 0);
    assert!(event.masked.is_empty(), "what is masked for the recording alone is not counted");
}

#[tokio::test]
async fn metadata_has_sizes_and_times_and_nothing_that_was_said() {
    let (world, mut server) = world(Level::Metadata, Failure::Refuse).await;
    let asking = world.connect().ask(post("/v1/chat/completions", "hello"));
    let serving = async {
        let mut line = server.accept().await;
        line.head().await;
        line.read(5).await;
        line.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nworld!").await;
        line
    };
    let (response, _line) = tokio::join!(asking, serving);
    assert_eq!(text(response.into_body()).await, "world!");
    let (entries, event) = recording(&world).await;
    assert_eq!(kinds(&entries), ["opened", "request", "omitted", "response", "omitted", "ended"]);
    let sizes = entries.iter().filter_map(|entry| match &entry.what {
        What::Omitted { from, bytes, why } => Some((*from, *bytes, why.as_str())),
        _ => None,
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [(Side::Caller, 5, "metadata"), (Side::Model, 6, "metadata")]);
    assert_eq!(event.recording.unwrap().gaps, 0, "nothing is missing that should be there");
}

#[tokio::test]
async fn what_a_caller_may_see_unmasked_is_masked_in_the_recording() {
    let mut server = Scripted::start().await;
    let mask = mask::Config {
        rules: Rules::everything(Style::Label).into(),
        fields: [].into(),
        request: false,
        unknown: Unknown::Refuse,
        analyser: None,
    };
    let model = ModelConfig { mask: Some(mask), ..recorded(&server.url, Level::Full, Failure::Refuse) };
    let policy = r#"@id("staff") permit(principal, action == Action::"invoke", resource);
        @id("doctors") permit(principal, action == Action::"unmask", resource);"#;
    let world = World::with_policy(vec![model], policy).await;
    let body = format!(r#"{{"to":"{MAIL}"}}"#);
    let told = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (response, _line) = tokio::join!(world.connect().ask(get("/")), answer(&mut server, &told));
    assert_eq!(text(response.into_body()).await, body, "the caller may");
    let (entries, event) = recording(&world).await;
    assert_eq!(said(&entries, Side::Model).0, r#"{"to":"[EMAIL]"}"#);
    assert!(event.unmasked.is_some());
}

#[tokio::test]
async fn what_must_be_recorded_and_cannot_be_is_refused_before_its_first_byte() {
    let (world, mut server) = world(Level::Full, Failure::Refuse).await;
    world.shelf.full(true);
    let response = world.connect().ask(get("/")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["x-hoopctl-code"], "recording_unavailable");
    assert_eq!(server.waiting(), 0);
    let refused = world.finished().await;
    assert_eq!((refused.response.unwrap().outcome.as_str(), refused.recording), ("refused", None));
    assert_eq!(world.recordings.meters().failures(), 1);
    // And it recovers with the store.
    world.shelf.full(false);
    let told = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let (response, _line) = tokio::join!(world.connect().ask(get("/")), answer(&mut server, told));
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle_ends_the_answer_or_is_named() {
    for (failure, outcome) in [(Failure::Refuse, "recording_failed"), (Failure::Continue, "complete")] {
        let (world, mut server) = world(Level::Full, failure).await;
        let asking = world.connect().ask(get("/"));
        let (response, (mut line, _)) = tokio::join!(asking, answer(&mut server, STREAM));
        let mut response = response.into_body();
        line.write("1\r\na\r\n").await;
        soon(response.frame()).await.unwrap().unwrap();
        world.shelf.full(true);
        let collected = async {
            if failure == Failure::Continue {
                line.write("1\r\nb\r\n0\r\n\r\n").await;
            }
            response.collect().await
        };
        let collected = soon(collected).await;
        assert_eq!(collected.is_ok(), failure == Failure::Continue, "never a silent end");
        let event = world.finished().await;
        assert_eq!(event.response.unwrap().outcome, outcome);
        let recording = event.recording.unwrap();
        assert!(recording.failure.is_some(), "{recording:?}");
        assert!(failure == Failure::Refuse || recording.gaps > 0, "{recording:?}");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_ends_the_recording_as_they_end_the_exchange() {
    let (world, mut server) = world(Level::Full, Failure::Refuse).await;
    let client = world.connect();
    let link = client.link();
    let asking = client.ask(get("/"));
    let (response, _line) = tokio::join!(asking, answer(&mut server, STREAM));
    link.leave();
    drop(response);
    let (entries, event) = recording(&world).await;
    let outcome = event.response.unwrap().outcome;
    assert_eq!(outcome, "caller_left");
    assert!(matches!(&entries.last().unwrap().what, What::Ended(end) if end.outcome == outcome));
}

#[tokio::test]
async fn a_websocket_is_recorded_by_its_messages() {
    let (world, mut server) = world(Level::Full, Failure::Refuse).await;
    let mut client = world.connect();
    client
        .write("GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n")
        .await;
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let (mut line, head) = answer(&mut server, switch).await;
    assert!(!head.contains("extensions"), "what is compressed tells nobody anything: {head}");
    client.read_until("\r\n\r\n").await;
    let mut frame = vec![0x81, 0x80 | 17, 0, 0, 0, 0];
    frame.extend(MAIL.as_bytes());
    client.write(&frame).await;
    assert_eq!(line.read(frame.len()).await, frame, "the model gets it as it is");
    line.write(b"\x81\x02hi\x88\x02\x03\xe8").await;
    client.write([0x88, 0x80, 0, 0, 0, 0]).await;
    client.io.shutdown().await.unwrap();
    drop(line);
    client.rest().await;
    let (entries, _) = recording(&world).await;
    let messages: Vec<_> = entries
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Message { from, kind, bytes } => Some((*from, kind.as_str(), bytes.to_vec())),
            _ => None,
        })
        .collect();
    assert!(messages.contains(&(Side::Caller, "text", b"[EMAIL]".to_vec())), "{messages:?}");
    assert!(messages.contains(&(Side::Model, "text", b"hi".to_vec())), "{messages:?}");
    assert!(messages.contains(&(Side::Model, "close", vec![3, 232])), "{messages:?}");
}

#[tokio::test]
async fn a_grpc_call_is_recorded_by_its_messages() {
    let url = servers::http(None, |request: Request<hyper::body::Incoming>| async move {
        soon(request.into_body().collect()).await.unwrap();
        let body: TestBody = full(&b"\0\0\0\0\x02hi\0\0\0\0\x01!"[..]);
        Response::builder().header("content-type", "application/grpc").body(body).unwrap()
    })
    .await;
    let world = World::new(vec![recorded(&url, Level::Full, Failure::Refuse)]).await;
    let call = Request::post("http://x/p.S/M").header("content-type", "application/grpc");
    let call = call.header("te", "trailers").body(full(&b"\0\0\0\0\x03who"[..])).unwrap();
    let response = soon(world.connect().http2().await.send_request(call)).await.unwrap();
    soon(response.into_body().collect()).await.unwrap();
    let (entries, _) = recording(&world).await;
    let messages = entries.iter().filter_map(|entry| match &entry.what {
        What::Message { from, bytes, .. } => Some((*from, bytes.to_vec())),
        _ => None,
    });
    let expected = [(Side::Caller, &b"who"[..]), (Side::Model, b"hi"), (Side::Model, b"!")];
    assert_eq!(messages.collect::<Vec<_>>(), expected.map(|(side, bytes)| (side, bytes.to_vec())));
}
