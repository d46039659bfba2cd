//! What the audit event tells of requests and answers of each dialect; what is not understood passes untouched.

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use proptest::prelude::{ProptestConfig, any, proptest};

use super::{
    servers::{self, Scripted},
    world::{TestBody, World, full, model, post, soon, text},
};
use crate::evidence::event::Tokens;

const CHAT: &str = r#"{"model":"gpt","messages":[{"role":"user","content":"what is asked"}],"stream":true}"#;

/// A server that answers with these pieces, each when the one before has been taken.
async fn answering(kind: &'static str, pieces: &'static [&'static str]) -> String {
    servers::http(None, move |request: Request<hyper::body::Incoming>| async move {
        let _ = request.into_body().collect().await;
        let frames = pieces.iter().map(|piece| Ok(Frame::data(bytes::Bytes::from_static(piece.as_bytes()))));
        let body = StreamBody::new(futures_util::stream::iter(frames)).boxed();
        Response::builder().header("content-type", kind).body(body).unwrap()
    })
    .await
}

#[tokio::test]
async fn a_streams_event_tells_what_was_asked_and_when_it_began() {
    let url = answering(
        "text/event-stream",
        &[
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"!\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        ],
    )
    .await;
    let world = World::with_inputs(&url).await;
    let answer = world.connect().ask(post("/v1/chat/completions", CHAT)).await;
    soon(answer.into_body().collect()).await.unwrap();
    let event = world.finished().await;
    let (request, response) = (event.request.unwrap(), event.response.unwrap());
    assert_eq!(request.requested_model.as_deref(), Some("gpt"));
    assert_eq!((request.stream, request.input.as_deref()), (Some(true), Some("what is asked")));
    let expected = Tokens { input: 21, output: 2, total: None, estimated: true };
    assert_eq!(response.tokens, Some(expected), "two of five messages carry something");
    assert_eq!(response.output.as_deref(), Some("hi!"));
    assert!(response.first_token_ms.is_some() && response.first_token_ms >= response.first_byte_ms);
    let mut registry = prometheus_client::registry::Registry::default();
    world.pipeline.meters().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("first_token_seconds_count{model=\"m\"} 1"), "{text}");
}

#[tokio::test]
async fn what_is_said_is_shown_masked_though_the_caller_gets_it_as_it_is() {
    const SAID: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"write to bob@exa\"}}]}\n\n";
    const REST: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"mple.test now\"}}]}\n\n";
    const OTHER: &str = "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"another\"}}]}\n\n";
    let url = answering("text/event-stream", &[SAID, OTHER, REST, "data: [DONE]\n\n"]).await;
    let world = World::with_inputs(&url).await;
    let answer = world.connect().ask(post("/v1/chat/completions", CHAT)).await;
    let got = text(answer.into_body()).await;
    assert!(got.contains("bob@exa"), "{got}");
    let response = world.finished().await.response.unwrap();
    assert_eq!(response.output.as_deref(), Some("write to [EMAIL] now"));
}

#[tokio::test]
async fn documents_of_every_dialect_show_what_they_say() {
    const SAYING: [(&str, &[&str], &str); 5] = [
        (
            "/v1/chat/completions",
            &[r#"{"choices":[{"index":0,"message":{"content":"a"}},{"index":1,"message":{"content":"b"}}]}"#],
            "a\nb",
        ),
        ("/v1/messages", &[r#"{"content":[{"type":"text","text":"c"}]}"#], "c"),
        ("/v1/responses", &[r#"{"output":[{"content":[{"type":"output_text","text":"d"}]}]}"#], "d"),
        ("/api/chat", &[r#"{"message":{"content":"e"},"done":true}"#], "e"),
        (
            "/v1beta/models/g:generateContent",
            &[r#"{"candidates":[{"content":{"parts":[{"text":"f"}]}}]}"#],
            "f",
        ),
    ];
    for (path, document, said) in SAYING {
        let url = answering("application/json", document).await;
        let world = World::with_inputs(&url).await;
        let answer = world.connect().ask(post(path, CHAT)).await;
        soon(answer.into_body().collect()).await.unwrap();
        let response = world.finished().await.response.unwrap();
        assert_eq!(response.output.as_deref(), Some(said), "{path}");
    }
}

#[tokio::test]
async fn nothing_of_the_input_is_kept_unless_the_operator_says_so() {
    let url = answering("application/json", &[r#"{"choices":[{"message":{"content":"x"}}]}"#]).await;
    let world = World::of(&url).await;
    let answer = world.connect().ask(post("/v1/chat/completions", CHAT)).await;
    soon(answer.into_body().collect()).await.unwrap();
    let event = world.finished().await;
    assert!(!serde_json::to_string(&event).unwrap().contains("what is asked"));
    assert_eq!(event.response.as_ref().unwrap().output, None);
    assert_eq!(event.request.unwrap().stream, Some(true));
    assert_eq!(event.response.unwrap().first_token_ms, None, "the answer was no stream");
}

#[tokio::test]
async fn what_follows_the_first_frame_is_read_too() {
    let mut server = Scripted::start().await;
    let world = World::with_inputs(&server.url).await;
    let mut client = world.connect();
    let padding = "x".repeat(100_000);
    let early = format!(r#"{{"model":"a","tools":"{padding}","#);
    let late = r#""messages":[{"role":"user","content":"late"}],"stream":false}"#;
    let length = early.len() + late.len();
    client
        .write(format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{early}"
        ))
        .await;
    let mut line = server.accept().await;
    line.head().await;
    client.write(late).await;
    assert!(line.read(length).await.ends_with(late.as_bytes()));
    line.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    client.read_until("\r\n\r\n").await;
    let request = world.finished().await.request.unwrap();
    assert_eq!((request.stream, request.input.as_deref()), (Some(false), Some("late")));
}

/// A gRPC call with these messages, and its status as the caller sees it.
async fn grpc(world: &World, messages: &[&[u8]]) -> StatusCode {
    let mut body = Vec::new();
    for message in messages {
        body.push(0);
        body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend_from_slice(message);
    }
    let mut http = world.connect().http2().await;
    let request = Request::post("http://x/inference.GRPCInferenceService/ModelInfer")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(full(body))
        .unwrap();
    let answer = soon(http.send_request(request)).await.unwrap();
    let refused = answer.headers().get("grpc-status").is_some_and(|status| status != "0");
    if refused { StatusCode::FORBIDDEN } else { answer.status() }
}

#[tokio::test]
async fn policy_knows_the_model_of_a_grpc_request() {
    let url = servers::http(None, async |request: Request<hyper::body::Incoming>| {
        let _ = request.into_body().collect().await;
        Response::new(super::world::empty())
    })
    .await;
    let mut kserve = model("m", &url);
    kserve.dialect = crate::gateway::respond::Dialect::Kserve;
    let policy = r#"@id("one") permit(principal, action == Action::"invoke", resource)
        when { context.requested_model == "fraud" };"#;
    let world = World::with_policy(vec![kserve], policy).await;
    assert_eq!(grpc(&world, &[b"\x1A\x011\x0A\x05fraud"]).await, StatusCode::OK);
    assert_eq!(grpc(&world, &[b"\x0A\x05other"]).await, StatusCode::FORBIDDEN);
    assert_eq!(grpc(&world, &[b"\x0A\x05fraud\x0A\x05other"]).await, StatusCode::FORBIDDEN);
    assert_eq!(grpc(&world, &[b"\x0A\x05fraud", b"\x0A\x05other"]).await, StatusCode::FORBIDDEN);
    let events = world.events().await;
    let requests: Vec<_> = events.iter().map(|event| event.request.as_ref().unwrap()).collect();
    assert_eq!(requests[0].requested_model.as_deref(), Some("fraud"));
    assert_eq!(requests[0].stream, Some(false));
    assert_eq!(requests[1].requested_model.as_deref(), Some("other"));
}

const UPGRADE: &str = "GET /v1/realtime?model=gpt-realtime HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

#[tokio::test]
async fn a_conversations_tokens_are_added_up() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write(UPGRADE).await;
    let mut line = server.accept().await;
    line.head().await;
    line.write(SWITCH).await;
    client.read_until("\r\n\r\n").await;
    // A delta; an answer in three fragments with a ping in the middle; another answer.
    let done = br#"{"type":"response.done","response":{"usage":{"input_tokens":5,"output_tokens":7,"total_tokens":12}}}"#;
    let (first, rest) = done.split_at(40);
    let (second, third) = rest.split_at(1);
    let frame =
        |head: u8, payload: &[u8]| [&[head, u8::try_from(payload.len()).unwrap()][..], payload].concat();
    line.write(frame(0x81, br#"{"type":"response.output_text.delta","delta":"hi"}"#)).await;
    for (head, payload) in
        [(0x01, first), (0x00, second), (0x89, b"ping"), (0x80, third), (0x82, done), (0x88, b"\x03\xE8")]
    {
        line.write(frame(head, payload)).await;
    }
    client.read_until("\u{3}").await;
    soon(tokio::io::AsyncReadExt::read_u8(&mut client.io)).await.unwrap();
    soon(tokio::io::AsyncWriteExt::shutdown(&mut client.io)).await.unwrap();
    line.ended().await;
    client.rest().await;
    let event = world.finished().await;
    let response = event.response.unwrap();
    assert_eq!(event.request.unwrap().requested_model.as_deref(), Some("gpt-realtime"));
    assert_eq!(response.tokens, Some(Tokens { input: 10, output: 14, total: Some(24), estimated: false }));
    assert!(response.first_token_ms.is_some());
}

/// Paths of every dialect, and one of none.
const PATHS: [&str; 9] = [
    "/v1/chat/completions",
    "/v1/messages",
    "/api/chat",
    "/v1/embeddings",
    "/v1beta/models/g:streamGenerateContent",
    "/v2/models/m/infer",
    "/inference.GRPCInferenceService/ModelInfer",
    "/v1/audio/transcriptions",
    "/anything",
];

const KINDS: [&str; 6] = [
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "application/grpc",
];

async fn echoed(world: &World, path: &str, kind: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut request = post(path, body.to_vec());
    request.headers_mut().insert("content-type", kind.parse().unwrap());
    let answer = world.connect().ask(request).await;
    let ok = answer.status() == StatusCode::OK;
    let bytes = soon(answer.into_body().collect()).await.unwrap().to_bytes().to_vec();
    ok.then_some(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever passes arrives and comes back to the byte; what is not passed is refused whole.
    #[test]
    fn bytes_and_unknown_json_pass_untouched(
        path in 0..PATHS.len(), kind in 0..KINDS.len(),
        bytes in proptest::collection::vec(any::<u8>(), 0..2000), name in "[a-z]{0,8}", text in ".{0,40}",
    ) {
        let json = serde_json::json!({ &name: text, "model": "m", "list": [1.5, null, { "x": &text }], "usage": &text });
        let json = serde_json::to_vec_pretty(&json).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let url = servers::http(None, async |request: Request<hyper::body::Incoming>| -> Response<TestBody> {
                let (head, body) = request.into_parts();
                let body = body.map_err(std::io::Error::other).boxed();
                Response::builder().header("content-type", &head.headers["content-type"]).body(body).unwrap()
            })
            .await;
            let world = World::with_inputs(&url).await;
            assert_eq!(echoed(&world, PATHS[path], KINDS[kind], &json).await.as_deref(), Some(&json[..]));
            if let Some(echo) = echoed(&world, PATHS[path], KINDS[kind], &bytes).await {
                assert_eq!(echo, bytes);
            }
        });
    }
}
