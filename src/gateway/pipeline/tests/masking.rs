//! What a caller gets of a model whose answers are masked: in every form, at every end, and who gets more.

use http::{Request, StatusCode, Version};
use http_body_util::BodyExt;

use super::{
    servers::{Line, Scripted},
    world::{TestBody, World, model, post, soon},
};
use crate::{
    evidence::event::Event,
    gateway::{
        mask::{self, Rules, Style, Unknown},
        pipeline::ModelConfig,
    },
    wire::code,
};

const MAIL: &str = "alice@example.com";

fn masking() -> mask::Config {
    mask::Config {
        rules: Rules::everything(Style::Label).into(),
        fields: [mask::Field::parse("$.customer.ssn").unwrap()].into(),
        request: false,
        unknown: Unknown::Refuse,
        analyser: None,
    }
}

fn masked(url: &str) -> ModelConfig {
    ModelConfig { mask: Some(masking()), ..model("m", url) }
}

/// A world whose model is masked, and the model's server.
async fn world() -> (World, Scripted) {
    let server = Scripted::start().await;
    (World::new(vec![masked(&server.url)]).await, server)
}

/// The server's end of the one request, whose head it has read.
async fn asked(server: &mut Scripted) -> (Line, String) {
    let mut line = server.accept().await;
    let head = line.head().await;
    (line, head)
}

async fn body(response: http::Response<hyper::body::Incoming>) -> (String, Option<http::HeaderMap>) {
    let collected = soon(response.into_body().collect()).await.unwrap();
    let trailers = collected.trailers().cloned();
    (String::from_utf8(collected.to_bytes().to_vec()).unwrap(), trailers)
}

/// What becomes of an answer of HTTP/1.1 that ends with its connection.
async fn answered(answer: impl AsRef<[u8]>) -> (StatusCode, String, Event) {
    let (world, mut server) = world().await;
    let mut http = world.connect().http1().await;
    let asking = http.send_request(post("/v1/chat/completions", "{}"));
    let serving = async {
        let (mut line, _) = asked(&mut server).await;
        line.write(answer).await;
        line
    };
    let (answer, _) = tokio::join!(soon(asking), serving);
    let answer = answer.unwrap();
    let status = answer.status();
    let text = body(answer).await.0;
    (status, text, world.finished().await)
}

fn http(kind: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_value_that_a_stream_brings_in_pieces_reaches_nobody() {
    let (world, mut server) = world().await;
    let mut http = world.connect().http1().await;
    let mut asking = Box::pin(http.send_request(post("/v1/chat/completions", "{}")));
    let serving = asked(&mut server);
    let (mut line, head) = tokio::select! { line = serving => line, _ = &mut asking => unreachable!() };
    assert!(head.contains("accept-encoding: identity"), "{head}");
    line.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let event = |text: &str| {
        let data =
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
        format!("{:x}\r\n{data}\r\n", data.len())
    };
    let answer = soon(asking).await.unwrap();
    line.write(event("Ask al")).await;
    // The first words do not wait for the rest.
    let mut answer = answer.into_body();
    let first = soon(answer.frame()).await.unwrap().unwrap().into_data().unwrap();
    assert!(std::str::from_utf8(&first).unwrap().contains("\"Ask \""), "{first:?}");
    for piece in ["ice@exam", "ple.com", " today"] {
        line.write(event(piece)).await;
    }
    line.write("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n").await;
    let rest = soon(answer.collect()).await.unwrap().to_bytes();
    let rest = std::str::from_utf8(&rest).unwrap();
    assert!(rest.contains("[EMAIL]") && rest.contains("[DONE]") && !rest.contains("example"), "{rest}");
    let event = world.finished().await;
    assert_eq!(event.masked.iter().map(|(e, n)| (e.as_str(), *n)).collect::<Vec<_>>(), [("EMAIL", 1)]);
    let response = event.response.unwrap();
    assert_eq!((response.outcome.as_str(), response.bytes), ("complete", (first.len() + rest.len()) as u64));
}

#[tokio::test]
async fn documents_texts_and_errors_are_masked_and_have_no_length_of_before() {
    let json = format!(r#"{{"customer":{{"ssn":12,"note":"{MAIL}"}},"id":"x"}}"#);
    for (kind, text, expected) in [
        ("application/json", json.as_str(), r#"{"customer":{"ssn":"[FIELD]","note":"[EMAIL]"},"id":"x"}"#),
        ("application/x-ndjson", "{\"a\":\"alice@example.com\"}\n", "{\"a\":\"[EMAIL]\"}\n"),
        ("text/plain; charset=utf-8", "write to alice@example.com.", "write to [EMAIL]."),
    ] {
        let (status, body, event) = answered(http(kind, text)).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, expected), "{kind}");
        assert_eq!(event.response.unwrap().outcome, "complete");
        assert!(event.masked.contains_key("EMAIL"), "{kind} {:?}", event.masked);
    }
    let error = http("application/json", r#"{"error":{"message":"no alice@example.com"}}"#)
        .replace("200 OK", "404 Not Found");
    let (status, body, _) = answered(error).await;
    assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, r#"{"error":{"message":"no [EMAIL]"}}"#));
}

#[tokio::test]
async fn a_compressed_answer_is_read_and_goes_on_plain() {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(br#"{"a":"alice@example.com"}"#).unwrap();
    let packed = gzip.finish().unwrap();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\netag: \"x\"\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    )
    .into_bytes();
    answer.extend(packed);
    let (status, body, _) = answered(answer).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"a":"[EMAIL]"}"#));
}

#[tokio::test]
async fn what_cannot_be_masked_is_refused_in_so_many_words() {
    for (answer, said) in [
        (http("application/x-unheard-of", MAIL), "`application/x-unheard-of`"),
        (http("multipart/mixed; boundary=x", MAIL), "`multipart/mixed"),
        (http("text/plain; charset=utf-16", MAIL), "utf-16"),
        (http("", MAIL).replace("content-type: \r\n", ""), "no kind"),
        (http("application/json", "<html>alice@example.com</html>"), "malformed"),
        (http("application/json\r\ncontent-encoding: compress", MAIL), "masked"),
        (http("text/plain\r\ncontent-encoding: gzip, gzip", MAIL), "masked"),
        (http("text/plain", MAIL).replace("200 OK", "206 Partial Content"), "masked"),
        (http("application/grpc", MAIL), "`application/grpc`"),
        (http("application/octet-stream\r\ninference-header-content-length: 2", MAIL), "masked"),
    ] {
        let (status, body, event) = answered(&answer).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{answer} {body}");
        assert!(body.contains(code::MASKING_FAILED) && body.contains(said) && !body.contains(MAIL), "{body}");
        assert_eq!(event.response.unwrap().outcome, "masking_failed", "{answer}");
    }
}

#[tokio::test]
async fn pictures_pass_as_they_are_and_so_does_the_unknown_where_the_operator_says_so() {
    let (status, body, _) = answered(http("image/png", MAIL)).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, MAIL));
    let mut server = Scripted::start().await;
    let config = mask::Config { unknown: Unknown::Pass, ..masking() };
    let world = World::new(vec![ModelConfig { mask: Some(config), ..model("m", &server.url) }]).await;
    let mut http1 = world.connect().http1().await;
    let asking = http1.send_request(post("/v1/x", "{}"));
    let serving = async { asked(&mut server).await.0.write(http("application/x-unheard-of", MAIL)).await };
    let (answer, ()) = tokio::join!(soon(asking), serving);
    let answer = answer.unwrap();
    assert_eq!(answer.headers()["content-length"], "17");
    assert_eq!(self::body(answer).await.0, MAIL);
}

#[tokio::test]
async fn an_answer_cut_in_the_middle_of_a_value_shows_nothing_of_it() {
    let (world, mut server) = world().await;
    let mut client = world.connect();
    client.write("POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}").await;
    let (mut line, _) = asked(&mut server).await;
    line.write(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 99\r\n\r\nwrite to alice@exam",
    )
    .await;
    client.read_until("write to ").await;
    line.reset();
    let (rest, _) = client.rest().await;
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("[MASKED]") && !rest.contains("alice"), "{rest}");
    assert_eq!(world.outcome().await, "upstream_cut");
}

#[tokio::test]
async fn a_document_that_breaks_later_is_cut_there() {
    let (world, mut server) = world().await;
    let mut client = world.connect();
    client.write("POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}").await;
    let (mut line, _) = asked(&mut server).await;
    line.write(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{\"a\":\"b\",",
    )
    .await;
    client.read_until("{\"a\":\"b\",").await;
    line.write("alice@example.com").await;
    let (rest, _) = client.rest().await;
    assert!(!String::from_utf8_lossy(&rest).contains("alice"), "{rest:?}");
    assert_eq!(world.outcome().await, "masking_failed");
}

#[tokio::test]
async fn callers_who_read_trailers_are_told_how_much_was_masked() {
    let (world, mut server) = world().await;
    let mut http2 = world.connect().http2().await;
    let asking = http2.send_request(Request::post("http://x/v1/x").body(TestBody::default()).unwrap());
    let serving = async {
        asked(&mut server).await.0.write(http("text/plain", "alice@example.com, bob@example.com")).await;
    };
    let (answer, ()) = tokio::join!(soon(asking), serving);
    let (text, trailers) = body(answer.unwrap()).await;
    assert_eq!(text, "[EMAIL], [EMAIL]");
    assert_eq!(trailers.unwrap()["x-hoopctl-masked"], "email=2");

    let (world, mut server) = self::world().await;
    let mut http1 = world.connect().http1().await;
    let request = Request::post("/v1/x")
        .version(Version::HTTP_11)
        .header("host", "x")
        .header("te", "trailers")
        .header("connection", "te");
    let asking = http1.send_request(request.body(TestBody::default()).unwrap());
    let forged = http("text/plain\r\nx-hoopctl-masked: email=9", MAIL);
    let serving = async { asked(&mut server).await.0.write(forged).await };
    let (answer, ()) = tokio::join!(soon(asking), serving);
    let answer = answer.unwrap();
    assert_eq!(answer.headers()["trailer"], "x-hoopctl-masked");
    assert!(
        !answer.headers().contains_key("x-hoopctl-masked"),
        "a model does not speak in the gateway's name"
    );
    let (_, trailers) = body(answer).await;
    assert_eq!(trailers.unwrap()["x-hoopctl-masked"], "email=1");
}

#[tokio::test]
async fn nobody_asks_for_the_middle_of_an_answer() {
    let (world, mut server) = world().await;
    let mut client = world.connect();
    client.write("GET /v1/files/x HTTP/1.1\r\nhost: x\r\nrange: bytes=5-\r\nif-range: \"x\"\r\naccept-encoding: br\r\n\r\n").await;
    let (mut line, head) = asked(&mut server).await;
    assert!(!head.contains("range") && head.contains("accept-encoding: identity"), "{head}");
    line.write(http("text/plain", MAIL)).await;
    client.read_until("[EMAIL]").await;
}

const LEAVE: &str = r#"@id("staff") permit(principal, action == Action::"invoke", resource);
    @id("doctors") permit(principal in Group::"ml", action == Action::"unmask", resource) when { context.path like "/v1/*" };"#;

#[tokio::test]
async fn a_policy_may_let_somebody_see_everything_and_the_log_says_so() {
    for (path, seen) in [("/v1/x", MAIL), ("/v2/x", "[EMAIL]")] {
        let mut server = Scripted::start().await;
        let world = World::with_policy(vec![masked(&server.url)], LEAVE).await;
        let mut http1 = world.connect().http1().await;
        let asking = http1.send_request(post(path, "{}"));
        let serving = async { asked(&mut server).await.0.write(http("text/plain", MAIL)).await };
        let (answer, ()) = tokio::join!(soon(asking), serving);
        assert_eq!(body(answer.unwrap()).await.0, seen, "{path}");
        let event = world.finished().await;
        let policies = event.unmasked.map(|unmasked| unmasked.policies);
        assert_eq!(policies, (seen == MAIL).then(|| vec!["doctors".to_owned()]), "{path}");
        assert_eq!(event.masked.is_empty(), seen == MAIL);
    }
}

#[tokio::test]
async fn the_audit_log_shows_no_value_of_a_prompt_though_the_model_gets_it() {
    let mut server = Scripted::start().await;
    let world = World::with_inputs(&server.url).await;
    let mut http1 = world.connect().http1().await;
    let asked_for = r#"{"model":"gpt","messages":[{"role":"user","content":"write to alice@example.com"}]}"#;
    let asking = http1.send_request(post("/v1/chat/completions", asked_for));
    let serving = async {
        let (mut line, _) = asked(&mut server).await;
        let got = line.read(asked_for.len()).await;
        line.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        got
    };
    let (answer, got) = tokio::join!(soon(asking), serving);
    assert_eq!(got, asked_for.as_bytes());
    body(answer.unwrap()).await;
    let request = world.finished().await.request.unwrap();
    assert_eq!(request.input.as_deref(), Some("write to [EMAIL]"));
}

/// A frame of a server's.
fn frame(opcode: u8, text: &str) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode, u8::try_from(text.len()).unwrap()];
    frame.extend(text.as_bytes());
    frame
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n";

#[tokio::test]
async fn messages_of_a_websocket_are_masked_and_another_protocol_is_not_begun() {
    let (world, mut server) = world().await;
    let mut client = world.connect();
    client.write(UPGRADE).await;
    let (mut line, head) = asked(&mut server).await;
    assert!(!head.contains("extensions"), "{head}");
    line.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n").await;
    client.read_until("\r\n\r\n").await;
    line.write(frame(1, "call alice@example.com")).await;
    client.read_until("call [EMAIL]").await;
    line.write(frame(9, "ping")).await;
    client.read_until("ping").await;
    line.write(frame(8, "")).await;
    drop(line);
    let (rest, _) = client.rest().await;
    assert_eq!(rest, [0x88, 0]);
    let event = world.finished().await;
    assert_eq!((event.masked["EMAIL"], event.response.unwrap().outcome.as_str()), (1, "complete"));

    let (world, mut server) = self::world().await;
    let mut client = world.connect();
    client.write(UPGRADE.replace("websocket\r\n", "echo\r\n")).await;
    let (mut line, _) = asked(&mut server).await;
    line.write(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nalice@example.com",
    )
    .await;
    let head = client.read_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 502"), "{head}");
    assert_eq!(world.outcome().await, "masking_failed");
}

#[tokio::test]
async fn a_websocket_that_cannot_be_read_is_closed_with_a_word() {
    let (world, mut server) = world().await;
    let mut client = world.connect();
    client.write(UPGRADE).await;
    let (mut line, _) = asked(&mut server).await;
    line.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n").await;
    client.read_until("\r\n\r\n").await;
    // Compressed, though nobody offered it.
    line.write([0xc1, 5, 1, 2, 3, 4, 5]).await;
    let (rest, _) = client.rest().await;
    assert_eq!(rest.get(2..4), Some(&1011_u16.to_be_bytes()[..]), "{rest:?}");
    assert_eq!(world.outcome().await, "masking_failed");
}

#[tokio::test]
async fn a_grpc_error_is_masked_wherever_it_says_something() {
    let (world, mut server) = world().await;
    let mut http1 = world.connect().http1().await;
    let asking = http1.send_request(post("/inference.GRPCInferenceService/ModelInfer", ""));
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 3\r\ngrpc-message: no alice%40example.com\r\ngrpc-status-details-bin: YWxpY2U\r\ncontent-length: 0\r\n\r\n";
    let serving = async { asked(&mut server).await.0.write(answer).await };
    let (answer, ()) = tokio::join!(soon(asking), serving);
    let answer = answer.unwrap();
    assert_eq!(answer.headers()["grpc-message"], "no [EMAIL]");
    assert!(!answer.headers().contains_key("grpc-status-details-bin"));
}

/// A world whose model gets masked requests too.
async fn asking_masked() -> (World, Scripted) {
    let server = Scripted::start().await;
    let config = mask::Config { request: true, ..masking() };
    (World::new(vec![ModelConfig { mask: Some(config), ..model("m", &server.url) }]).await, server)
}

#[tokio::test]
async fn a_model_that_gets_masked_requests_alone_gets_no_value() {
    let (world, mut server) = asking_masked().await;
    let mut client = world.connect();
    let body = r#"{"model":"a@b.example","messages":[{"role":"user","content":"I am al\u0069ce@example.com"}],"logprobs":true}"#;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n";
    client.write(format!("{head}transfer-encoding: chunked\r\n\r\n")).await;
    for piece in [&body[..60], &body[60..70], &body[70..]] {
        client.write(format!("{:x}\r\n{piece}\r\n", piece.len())).await;
    }
    client.write("0\r\n\r\n").await;
    let expected =
        r#"{"model":"a@b.example","messages":[{"role":"user","content":"I am [EMAIL]"}],"logprobs":true}"#;
    let (mut line, head) = asked(&mut server).await;
    assert!(head.contains(&format!("content-length: {}", expected.len())), "{head}");
    assert_eq!(String::from_utf8(line.read(expected.len()).await).unwrap(), expected);
    line.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    client.read_until("\r\n\r\n").await;
    let event = world.finished().await;
    assert_eq!(event.masked["EMAIL"], 1);
    assert_eq!(event.request.unwrap().bytes, expected.len() as u64);
}

#[tokio::test]
async fn a_long_request_goes_on_without_a_length_and_without_a_loss() {
    let (world, mut server) = asking_masked().await;
    let mut client = world.connect();
    let padding = "word ".repeat(300_000);
    let body =
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{padding}alice@example.com"}}]}}"#);
    let sent = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let reading = async {
        let (mut line, head) = asked(&mut server).await;
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        let mut text = String::new();
        loop {
            let mut size = Vec::new();
            while !size.ends_with(b"\r\n") {
                size.extend(line.read(1).await);
            }
            let size = usize::from_str_radix(std::str::from_utf8(&size).unwrap().trim(), 16).unwrap();
            let chunk = line.read(size + 2).await;
            text.push_str(std::str::from_utf8(&chunk[..size]).unwrap());
            if size == 0 {
                break;
            }
        }
        line.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        text
    };
    let ((), text) = tokio::join!(client.write(sent), reading);
    assert_eq!(text.len(), body.len() - "alice@example.com".len() + "[EMAIL]".len());
    assert_eq!(text, body.replace("alice@example.com", "[EMAIL]"));
    client.read_until("\r\n\r\n").await;
}

#[tokio::test]
async fn a_request_that_cannot_be_masked_goes_nowhere() {
    for (path, kind, body) in [
        ("/v1/audio/transcriptions", "multipart/form-data; boundary=x", "--x"),
        ("/anything", "application/x-unheard-of", "x"),
        ("/anything", "application/x-www-form-urlencoded", "a=alice%40example.com"),
        ("/v1/chat/completions", "application/json\r\ncontent-encoding: compress", "{}"),
        ("/anything", "application/json", "no JSON"),
        ("/other.Service/Method", "application/grpc", "x"),
    ] {
        let (world, server) = asking_masked().await;
        let mut client = world.connect();
        let length = body.len();
        client
            .write(format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"))
            .await;
        let head = client.read_until("\r\n\r\n").await;
        // gRPC tells its errors in its own words.
        let status = if kind == "application/grpc" { "200" } else { "400" };
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{path} {kind}: {head}");
        assert!(head.contains(code::MASKING_FAILED), "{path} {kind}: {head}");
        assert_eq!(server.waiting(), 0, "{path} {kind}");
        assert_eq!(world.outcome().await, "refused");
    }
}

#[tokio::test]
async fn what_a_caller_says_in_a_conversation_is_masked_for_such_a_model() {
    let (world, mut server) = asking_masked().await;
    let mut client = world.connect();
    client.write(UPGRADE).await;
    let (mut line, head) = asked(&mut server).await;
    assert!(!head.contains("extensions"), "{head}");
    line.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n").await;
    client.read_until("\r\n\r\n").await;
    // With the key 0, which changes nothing.
    let said = b"call alice@example.com";
    client.write([&[0x81, 0x80 | 22, 0, 0, 0, 0][..], said].concat()).await;
    let masked = b"call [EMAIL]";
    assert_eq!(line.read(6 + masked.len()).await, [&[0x81, 0x80 | 12, 0, 0, 0, 0][..], masked].concat());
    line.write(frame(8, "")).await;
    drop(line);
    client.rest().await;
    assert_eq!(world.finished().await.masked["EMAIL"], 1);
}
