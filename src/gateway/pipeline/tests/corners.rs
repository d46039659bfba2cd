//! Corners of HTTP that applications do use: interim answers, expectations, `OPTIONS *`, and HTTP/2 that is malformed.

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    servers::{self, Scripted, mirror, reactor_turn},
    world::{TestBody, World, model, soon, text},
};
use crate::gateway::pipeline::{ModelConfig, limits};

#[tokio::test]
async fn an_interim_answer_is_the_callers_and_comes_before_the_answer() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    for round in 0..2 {
        client.write(format!("GET /{round} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    }
    let mut line = server.accept().await;
    for together in [true, false] {
        line.head().await;
        // A length of nothing: a reader that took it by its word would miss the answer behind it.
        let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nlink: </b>\r\nx-hoopctl-code: x\r\ncontent-length: 2\r\nconnection: x\r\n\r\n";
        let last = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        if together {
            line.write(format!("HTTP/1.1 100 Continue\r\n\r\n{hints}{last}")).await;
        } else {
            line.write(hints).await;
        }
        assert_eq!(
            client.read_until("\r\n\r\n").await,
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nlink: </b>\r\n\r\n"
        );
        if !together {
            line.write(last).await;
        }
        assert!(client.read_until("\r\n\r\nok").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test]
async fn what_is_refused_without_the_body_is_refused_before_it_is_asked_for() {
    let mut server = Scripted::start().await;
    let one = limits::Amounts { concurrent: Some(1), ..limits::Amounts::default() };
    let full = ModelConfig {
        limits: limits::Config { all: one, ..limits::Config::default() },
        ..model("m", &server.url)
    };
    let reading = r#"@id("a") permit(principal, action, resource) when { context.requested_model == "x" };"#;
    let all = r#"@id("all") permit(principal, action, resource);"#;
    for (world, asked, status) in [
        (World::with_policy(vec![model("m", &server.url)], "").await, false, "403"),
        (World::with_policy(vec![full.clone()], all).await, false, "429"),
        (World::with_policy(vec![full], reading).await, false, "429"),
        // This policy cannot say no before it knows the name.
        (World::with_policy(vec![model("m", &server.url)], reading).await, true, "403"),
    ] {
        // The one exchange that a limit leaves room for.
        let mut first = world.connect();
        let _line = if status == "429" {
            first.write("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 13\r\n\r\n{\"model\":\"x\"}").await;
            let mut line = server.accept().await;
            line.head().await;
            Some(line)
        } else {
            None
        };
        let mut client = world.connect();
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n";
        client.write(format!("{head}content-type: application/json\r\ncontent-length: 13\r\n\r\n")).await;
        if asked {
            client.read_until("HTTP/1.1 100 Continue\r\n\r\n").await;
            client.write(r#"{"model":"y"}"#).await;
        }
        let said = client.read_until("\r\n\r\n").await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{said}");
        assert_eq!(world.event().await.response.unwrap().outcome, "refused");
    }
    // A body that was never asked for is no next request.
    let world = World::with_policy(vec![model("m", &server.url)], "").await;
    let mut client = world.connect();
    client.write("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 40\r\n\r\n").await;
    client.read_until("\r\n\r\n").await;
    // The stream may be over by now.
    let _ = soon(client.io.write_all(b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n......")).await;
    let (rest, _) = client.rest().await;
    assert!(!String::from_utf8_lossy(&rest).contains("HTTP/1.1"), "{}", String::from_utf8_lossy(&rest));
    assert_eq!(world.events().await.len(), 1);
    reactor_turn().await;
    assert_eq!(server.waiting(), 0);
}

#[tokio::test]
async fn options_asks_the_server_as_a_whole() {
    let url = servers::http(None, mirror).await;
    let world = World::of(&url).await;
    let mut client = world.connect();
    client.write("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.read_until("OPTIONS * HTTP/1.1\n").await;
    assert_eq!(world.event().await.request.unwrap().path, "*");
    let mut client = world.connect();
    client.write("GET * HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(client.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn a_part_of_several_ranges_passes_as_it_is() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write("GET /file HTTP/1.1\r\nhost: x\r\nrange: bytes=0-0,-1\r\nif-range: \"e\"\r\n\r\n").await;
    let mut line = server.accept().await;
    let head = line.head().await;
    assert!(head.contains("range: bytes=0-0,-1\r\n") && head.contains("if-range: \"e\"\r\n"), "{head}");
    let parts = "--b\r\ncontent-range: bytes 0-0/9\r\n\r\na\r\n--b\r\ncontent-range: bytes 8-8/9\r\n\r\ni\r\n--b--\r\n";
    let length = parts.len();
    line.write(format!(
        "HTTP/1.1 206 Partial Content\r\ncontent-type: multipart/byteranges; boundary=b\r\ncontent-length: {length}\r\n\r\n{parts}"
    ))
    .await;
    let head = client.read_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 206") && head.contains("multipart/byteranges; boundary=b"), "{head}");
    client.read_until(parts).await;
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as HPACK writes them without its tables (RFC 7541 §6.2.2).
fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in list {
        for (first, text) in [(Some(0), name), (None, value)] {
            block.extend(first);
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.bytes());
        }
    }
    block
}

/// How one request is taken: by a reset of its stream or of the connection, or by an answer.
async fn told(world: &World, head: &[(&str, &str)], body: Option<&str>) -> &'static str {
    let mut client = world.connect();
    client.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.write(frame(4, 0, 0, b"")).await;
    let ends = if body.is_none() { 0x5 } else { 0x4 };
    let data = body.map(|body| frame(0, 1, 1, body.as_bytes())).unwrap_or_default();
    client.write([frame(1, ends, 1, &fields(head)), data].concat()).await;
    loop {
        let mut head = [0; 9];
        if soon(client.io.read_exact(&mut head)).await.is_err() {
            return "closed";
        }
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        soon(client.io.read_exact(&mut payload)).await.unwrap();
        match head[3] {
            1 => return "answered",
            3 => return "reset",
            7 => return "closed",
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_length_that_the_data_of_http2_do_not_have_makes_no_whole_request() {
    for (length, data) in [("2", "a"), ("1", "ab")] {
        let mut server = Scripted::start().await;
        let world = World::of(&server.url).await;
        let head = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "x"),
            (":path", "/"),
            ("content-length", length),
        ];
        assert_eq!(told(&world, &head, Some(data)).await, "reset");
        assert_ne!(world.finished().await.response.unwrap().outcome, "complete");
        reactor_turn().await;
        if server.waiting() > 0 {
            let mut seen = Vec::new();
            let _ = soon(server.accept().await.0.read_to_end(&mut seen)).await;
            assert!(!seen.ends_with(data.as_bytes()) || data.len() < 2, "{}", String::from_utf8_lossy(&seen));
        }
    }
}

#[tokio::test]
async fn malformed_http2_reaches_no_model() {
    let server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let get = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/")];
    let with = |more: &[(&'static str, &'static str)]| [&get[..], more].concat();
    let post = |more: &[(&'static str, &'static str)]| {
        [&[(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", "/")][..], more].concat()
    };
    for (name, head, body) in [
        ("no method", get[1..].to_vec(), None),
        ("no path", get[..3].to_vec(), None),
        ("method twice", with(&[(":method", "POST")]), None),
        ("path twice", with(&[(":path", "/b")]), None),
        ("unknown pseudo-header", with(&[(":hop", "x")]), None),
        ("pseudo-header of an answer", with(&[(":status", "200")]), None),
        ("pseudo-header behind a header", [&[("x", "y")][..], &get].concat(), None),
        ("upper case", with(&[("X-A", "y")]), None),
        ("blank in a name", with(&[("x a", "y")]), None),
        ("colon in a name", with(&[("x:a", "y")]), None),
        ("line end in a name", with(&[("x\r\na", "y")]), None),
        ("line end in a value", with(&[("x", "y\r\nhost: z")]), None),
        ("LF in a value", with(&[("x", "y\nz")]), None),
        ("NUL in a value", with(&[("x", "y\0")]), None),
        ("blank around a value", with(&[("x", " y")]), None),
        ("tab behind a value", with(&[("x", "y\t")]), None),
        ("connection", with(&[("connection", "x")]), None),
        ("transfer-encoding", with(&[("transfer-encoding", "chunked")]), None),
        ("transfer_encoding", with(&[("transfer_encoding", "chunked")]), None),
        ("content_length", with(&[("content_length", "0")]), None),
        ("content-length in part", post(&[("content_length", "0"), ("content-length", "1")]), Some("a")),
        ("content_length before data", post(&[("content-length", "1"), ("Content_length", "0")]), Some("a")),
        ("upgrade", with(&[("upgrade", "websocket")]), None),
        ("keep-alive", with(&[("keep-alive", "1")]), None),
        ("te", with(&[("te", "gzip")]), None),
        ("te with more", with(&[("te", "trailers, gzip")]), None),
        ("path with a blank", [&get[..3], &[(":path", "/a b")]].concat(), None),
        ("path that injects", [&get[..3], &[(":path", "/ HTTP/1.1\r\nx: y")]].concat(), None),
        ("path without a root", [&get[..3], &[(":path", "a")]].concat(), None),
        ("empty path", [&get[..3], &[(":path", "")]].concat(), None),
        ("path of stars", [&get[..3], &[(":path", "*")]].concat(), None),
        ("method that injects", [&[(":method", "GET / HTTP/1.1\r\nx: y")][..], &get[1..]].concat(), None),
        ("lower-case method", [&[(":method", "get")][..], &get[1..]].concat(), None),
        ("authority that injects", [&get[..2], &[(":authority", "x\r\ny"), (":path", "/")]].concat(), None),
        ("authority with a user", [&get[..2], &[(":authority", "u@x"), (":path", "/")]].concat(), None),
        ("two hosts", with(&[("host", "x"), ("host", "x")]), None),
        ("another host", with(&[("host", "y")]), None),
        ("connect", vec![(":method", "CONNECT"), (":authority", "x:1")], None),
        (
            "connect for a websocket",
            [&[(":method", "CONNECT"), (":protocol", "websocket")][..], &get[1..]].concat(),
            None,
        ),
        ("two lengths", post(&[("content-length", "1"), ("content-length", "2")]), Some("a")),
        ("one length twice", post(&[("content-length", "1"), ("content-length", "1")]), Some("a")),
        ("signed length", post(&[("content-length", "+1")]), Some("a")),
        ("endless length", post(&[("content-length", "18446744073709551617")]), Some("a")),
    ] {
        let before = world.events().await.len();
        let told = told(&world, &head, body).await;
        let events = world.events().await;
        let refused = events.len() - before;
        assert_eq!(refused, usize::from(told == "answered"), "{name}: {told} {events:?}");
    }
    reactor_turn().await;
    assert_eq!(server.waiting(), 0, "something reached the model");
    let events = world.events().await;
    assert!(events.iter().all(|event| event.response.as_ref().unwrap().outcome == "refused"), "{events:?}");
}

#[tokio::test]
async fn fields_of_a_head_are_refused_in_trailers_over_http2() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut http = world.connect().http2().await;
    let mut trailers = HeaderMap::new();
    trailers.insert("authorization", "Bearer other".parse().unwrap());
    // Of a length that nobody announces: behind one that is, nobody asks for trailers.
    let frames = [Ok(Frame::data(Bytes::from_static(b"hello"))), Ok(Frame::trailers(trailers))];
    let body: TestBody = BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames)));
    let request = Request::post("http://x/").body(body).unwrap();
    let script = async {
        let mut line = server.accept().await;
        let mut seen = Vec::new();
        let _ = line.0.read_to_end(&mut seen).await;
        String::from_utf8_lossy(&seen).into_owned()
    };
    let (answer, seen) = soon(async { tokio::join!(http.send_request(request), script) }).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(text(answer.into_body()).await.contains("the trailers hold"));
    assert!(!seen.ends_with("0\r\n\r\n") && !seen.contains("other"), "{seen}");
}

#[tokio::test]
async fn an_answers_trailers_hold_no_field_of_a_head() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write("GET / HTTP/1.1\r\nhost: x\r\nte: trailers\r\n\r\n").await;
    let mut line = server.accept().await;
    line.head().await;
    line.write("HTTP/1.1 200 OK\r\ntrailer: x-end, set-cookie\r\ntransfer-encoding: chunked\r\n\r\n0\r\nset-cookie: a\r\nx-end: 9\r\n\r\n").await;
    client.read_until("\r\n\r\n").await;
    let rest = client.read_until("\r\n\r\n").await;
    assert!(rest.contains("x-end: 9") && !rest.contains("set-cookie"), "{rest}");
    client.io.shutdown().await.unwrap();
}
