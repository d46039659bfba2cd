//! Bodies: passed on as they come, byte for byte, within the model's limit, whatever their size.

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    servers::{self, Scripted},
    world::{World, empty, full, get, model, post, soon, text},
};

#[tokio::test]
async fn every_write_of_the_model_is_seen_before_its_next() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}").await;
    let mut line = server.accept().await;
    line.head().await;
    line.read(2).await;
    line.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let head = client.read_until("\r\n\r\n").await;
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    for event in ["data: one\n\n", "data: two\n\n", "data: three\n\n", ": \n", "x"] {
        line.write(format!("{:x}\r\n{event}\r\n", event.len())).await;
        // The next is written only when this one has arrived.
        client.read_until(&format!("{event}\r\n")).await;
    }
    line.write("0\r\n\r\n").await;
    client.read_until("0\r\n\r\n").await;
    assert_eq!(world.outcome().await, "complete");
}

#[tokio::test]
async fn bytes_that_are_no_text_pass_as_they_are() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    let broken = b"data: {\"t\":\"\xf0\x9f\xff\xfe\xc3\"}\r\n\x00\x01";
    client.write(format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", broken.len())).await;
    client.write(broken).await;
    let mut line = server.accept().await;
    line.head().await;
    assert_eq!(line.read(broken.len()).await, broken);
    line.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", broken.len()))
        .await;
    line.write(broken).await;
    client.read_until("\r\n\r\n").await;
    let mut answer = vec![0; broken.len()];
    soon(client.io.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, broken);
}

#[tokio::test]
async fn the_audit_event_tells_sizes_digest_and_times() {
    let url = servers::http(None, async |request| {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(full(format!("got {}", body.len())))
    })
    .await;
    let world = World::of(&url).await;
    let answer = world.connect().ask(post("/infer?key=x", "hello")).await;
    assert_eq!(text(answer.into_body()).await, "got 5");
    let event = world.event().await;
    let request = event.request.unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str(), request.bytes), ("POST", "/infer", 5));
    assert_eq!(
        request.sha256.as_deref(),
        Some("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
    );
    let response = event.response.unwrap();
    assert_eq!((response.status, response.bytes, response.outcome.as_str()), (200, 5, "complete"));
    assert!(response.first_byte_ms.is_some());
    assert_eq!(event.decision.unwrap().policies, ["all"]);
    let evidence = event.evidence.unwrap();
    assert_eq!(evidence.client.unwrap().transport, "quic");
    let upstream = evidence.upstream.unwrap();
    assert_eq!((upstream.transport.as_str(), upstream.verified), ("plaintext", Some(false)));
}

#[tokio::test]
async fn a_connection_serves_request_after_request() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    let mut line = None;
    for (sent, answer) in [
        ("GET /1 HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1"),
        ("HEAD /2 HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"),
        ("GET /3 HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET /4 HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n"),
        (
            "GET /5 HTTP/1.1\r\nhost: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n5\r\n0\r\n\r\n",
        ),
        ("GET /6 HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        ("GET /7 HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n7"),
    ] {
        client.write(sent).await;
        let upstream = match &mut line {
            Some(line) => line,
            None => line.insert(server.accept().await),
        };
        let head = upstream.head().await;
        assert!(head.starts_with(sent.split(" HTTP").next().unwrap()), "{head}");
        upstream.write(answer).await;
        let head = client.read_until("\r\n\r\n").await;
        assert!(head.starts_with(answer.get(..12).unwrap()), "{head}");
        if let Some(end) = answer.split_once("\r\n\r\n").map(|(_, body)| body).filter(|body| !body.is_empty())
        {
            client.read_until(end).await;
        }
    }
    assert_eq!(server.waiting(), 0, "one connection carried all");
    let events = world.events().await;
    assert_eq!(events.len(), 7);
    assert!(events.iter().all(|event| event.response.as_ref().unwrap().outcome == "complete"), "{events:?}");
}

#[tokio::test]
async fn a_kept_connection_that_died_costs_no_request() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write("GET /1 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut first = server.accept().await;
    first.head().await;
    first.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    client.read_until("\r\n\r\n").await;
    drop(first);
    servers::reactor_turn().await;
    client.write("POST /2 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc").await;
    let mut second = server.accept().await;
    assert!(second.head().await.starts_with("POST /2"));
    assert_eq!(second.read(3).await, b"abc");
    second.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    client.read_until("\r\n\r\n").await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let url = servers::http(None, async |request| Response::new(full(request.uri().path().to_owned()))).await;
    let world = World::of(&url).await;
    let mut client = world.connect();
    client.write("GET /one HTTP/1.1\r\nhost: x\r\n\r\nGET /two HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.read_until("/one").await;
    client.read_until("/two").await;
}

#[tokio::test]
async fn a_body_announced_as_too_long_is_refused_unread() {
    let mut server = Scripted::start().await;
    let world =
        World::new(vec![super::super::ModelConfig { body_limit: Some(10), ..model("m", &server.url) }]).await;
    let mut client = world.connect();
    client.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n").await;
    let head = client.read_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 413") && head.contains("x-hoopctl-code: limit"), "{head}");
    assert_eq!(server.waiting(), 0);
    assert_eq!(world.outcome().await, "refused");
    // One that fits is passed.
    let mut client = world.connect();
    client.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n0123456789").await;
    let mut line = server.accept().await;
    line.head().await;
    line.read(10).await;
}

#[tokio::test]
async fn a_body_that_grows_too_long_is_cut_and_answered_413() {
    let mut server = Scripted::start().await;
    let world =
        World::new(vec![super::super::ModelConfig { body_limit: Some(10), ..model("m", &server.url) }]).await;
    let mut client = world.connect();
    client.write("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n8\r\n01234567\r\n").await;
    let mut line = server.accept().await;
    line.head().await;
    line.read(b"8\r\n01234567\r\n".len()).await;
    client.write("8\r\n89abcdef\r\n").await;
    let head = client.read_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    line.ended().await;
    let event = world.event().await;
    assert_eq!(event.response.unwrap().outcome, "aborted");
    let request = event.request.unwrap();
    assert_eq!((request.bytes, request.sha256), (8, None));
}

#[tokio::test]
async fn a_hundred_mebibytes_each_way_pass_whole() {
    const CHUNK: usize = 256 * 1024;
    const CHUNKS: usize = 400;
    let url = servers::http(None, async |request: Request<hyper::body::Incoming>| {
        // An echo: what comes in goes out while it comes in.
        Response::new(request.into_body().map_err(std::io::Error::other).boxed())
    })
    .await;
    let world = World::of(&url).await;
    let mut client = world.connect();
    client.write(format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", CHUNK * CHUNKS)).await;
    let chunk = |index: usize| vec![u8::try_from(index % 251).unwrap(); CHUNK];
    // The echo begins before the body is complete, so both directions are used at once.
    let (mut reader, mut writer) = tokio::io::split(client.io);
    let feed = tokio::spawn(async move {
        for index in 0..CHUNKS {
            writer.write_all(&chunk(index)).await.unwrap();
        }
        writer
    });
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(reader.read_u8()).await.unwrap());
    }
    let mut answer = vec![0; CHUNK];
    for index in 0..CHUNKS {
        soon(reader.read_exact(&mut answer)).await.unwrap();
        assert!(answer == chunk(index), "chunk {index}");
    }
    feed.await.unwrap();
    let event = world.event().await;
    assert_eq!(event.request.unwrap().bytes, (CHUNK * CHUNKS) as u64);
    assert_eq!(event.response.unwrap().bytes, (CHUNK * CHUNKS) as u64);
}

#[tokio::test]
async fn expectations_are_met_and_the_reading_starts_only_with_a_permit() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    client.read_until("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.write("ok").await;
    let mut line = server.accept().await;
    assert!(!line.head().await.contains("expect"));
    line.read(2).await;
    line.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert!(client.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 200"));

    let refusing = World::with_policy(vec![model("m", &server.url)], "").await;
    let mut client = refusing.connect();
    client.write("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    assert!(client.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client
        .write("POST / HTTP/1.1\r\nhost: x\r\nte: trailers\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 7\r\n\r\n")
        .await;
    let mut line = server.accept().await;
    let head = line.head().await;
    assert!(head.contains("te: trailers\r\n") && head.contains("trailer: x-sum\r\n"), "{head}");
    assert_eq!(line.read(b"1\r\na\r\n0\r\nx-sum: 7\r\n\r\n".len()).await, b"1\r\na\r\n0\r\nx-sum: 7\r\n\r\n");
    line.write("HTTP/1.1 200 OK\r\ntrailer: x-end\r\ntransfer-encoding: chunked\r\n\r\n1\r\nb\r\n0\r\nx-end: 9\r\n\r\n").await;
    client.read_until("0\r\nx-end: 9\r\n\r\n").await;
    let event = world.event().await;
    assert_eq!(event.response.unwrap().outcome, "complete");
    assert!(event.request.unwrap().sha256.is_some());
    // And the connection is good for the next request.
    client.write("GET /2 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(line.head().await.starts_with("GET /2"));
}

#[tokio::test]
async fn a_body_that_is_never_asked_for_its_end_is_finished_all_the_same() {
    let url = servers::http(None, async |_| {
        Response::builder().status(StatusCode::NO_CONTENT).body(empty()).unwrap()
    })
    .await;
    let world = World::of(&url).await;
    let answer = world.connect().ask(get("/")).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(world.outcome().await, "complete");
}
