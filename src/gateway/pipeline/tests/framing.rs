//! Malformed HTTP ends at the gateway: told to its sender, audited, and not one byte of it at the model.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    servers::{Scripted, reactor_turn},
    world::{World, soon},
};
use crate::{
    gateway::framing::tests::corpus::{PASSED, REFUSED, placed},
    wire::code,
};

/// Everything of an answer until the gateway ends the stream.
fn answer(bytes: &[u8]) -> (u16, String, Value) {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, head.to_owned(), serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test]
async fn every_malformed_request_is_told_audited_and_reaches_no_model() {
    let server = Scripted::start().await;
    let world = World::of(&server.url).await;
    for (name, form, status) in REFUSED {
        let mut client = world.connect();
        client.write(placed(form, "", "")).await;
        // The gateway ends the stream by itself: what followed would have no beginning.
        let (said, reset) = client.rest().await;
        let (seen, head, body) = answer(&said);
        assert_eq!((seen, reset), (*status, None), "{name}: {}", String::from_utf8_lossy(&said));
        assert_eq!(body["error"]["code"], code::BAD_REQUEST, "{name}: {head} {body}");
        assert!(
            body["error"]["message"].as_str().unwrap().starts_with("the request is malformed"),
            "{name}: {body}"
        );
        let id = body["error"]["request_id"].as_str().unwrap().to_owned();
        assert!(head.contains(&format!("x-request-id: {id}")), "{name}: {head}");
        let events = world.events().await;
        let event = events.iter().find(|event| event.exchange.as_deref() == Some(&id));
        let event = event.unwrap_or_else(|| panic!("{name} is not in the audit log"));
        assert_eq!(event.caller.as_ref().unwrap().subject, "alice", "{name}");
        let response = event.response.as_ref().unwrap();
        assert_eq!((response.status, response.outcome.as_str()), (*status, "refused"), "{name}");
    }
    assert_eq!(world.events().await.len(), REFUSED.len(), "one event each");
    reactor_turn().await;
    assert_eq!(server.waiting(), 0, "something reached the model");
}

#[tokio::test]
async fn what_is_odd_and_legal_reaches_the_model_byte_for_byte() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    for (name, form, line, field, body) in PASSED {
        let mut client = world.connect();
        client.write(placed(form, "", "")).await;
        let mut upstream = server.accept().await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(upstream.0.read_u8()).await.unwrap());
        }
        let shown = String::from_utf8_lossy(&head).into_owned();
        let sent = placed(line, "", "");
        assert!(head.starts_with(&[&sent[..], b"\r\n"].concat()), "{name}: {shown}");
        let there = |field: &[u8]| head.windows(field.len()).any(|window| window == field);
        assert!(field.is_empty() || there(&[b"\r\n", *field].concat()), "{name}: {shown}");
        assert_eq!(upstream.read(body.len()).await, *body, "{name}");
        // The connection is not used again, so that each form has one of its own.
        upstream.write("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
        client.read_until("\r\n\r\nok").await;
        drop(client);
    }
}

#[tokio::test]
async fn a_malformed_request_behind_a_good_one_is_refused_in_its_turn() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write("GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n").await;
    let mut line = server.accept().await;
    assert!(line.head().await.starts_with("GET /1 "));
    line.write("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none").await;
    client.read_until("\r\n\r\none").await;
    let (said, _) = client.rest().await;
    assert_eq!(answer(&said).0, 400);
    assert_eq!(server.waiting(), 0);
    let mut byte = [0];
    // The model's connection was kept, and nothing more came on it.
    drop(world);
    assert_eq!(soon(line.0.read(&mut byte)).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_body_that_turns_malformed_on_its_way_is_never_made_whole() {
    for (tail, says) in [
        ("x\r\n", "a chunk's size"),
        ("1\r\nyy\r\n", "a chunk does not end"),
        ("0\r\nhost: b\r\n\r\n", "the trailers hold"),
    ] {
        let mut server = Scripted::start().await;
        let world = World::of(&server.url).await;
        let mut client = world.connect();
        client.write("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n").await;
        let mut line = server.accept().await;
        line.head().await;
        assert_eq!(line.read(6).await, b"1\r\nx\r\n");
        client.write(tail).await;
        let (said, _) = client.rest().await;
        let (status, _, body) = answer(&said);
        assert_eq!(status, 400, "{}", String::from_utf8_lossy(&said));
        assert!(body["error"]["message"].as_str().unwrap().contains(says), "{body}");
        let mut rest = Vec::new();
        let _ = soon(line.0.read_to_end(&mut rest)).await;
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
        let response = world.finished().await.response.unwrap();
        assert_eq!((response.status, response.outcome.as_str()), (400, "aborted"));
    }
}

#[tokio::test]
async fn bytes_before_the_answer_to_a_wish_to_leave_end_the_connection() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write("GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n").await;
    let mut line = server.accept().await;
    line.head().await;
    client.write("GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (said, _) = client.rest().await;
    assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
    line.ended().await;

    // Behind an answer that is no switch the next request is one.
    let mut client = world.connect();
    client.write("GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n").await;
    let mut line = server.accept().await;
    line.head().await;
    line.write("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno").await;
    client.read_until("\r\n\r\nno").await;
    client.write("GET /next HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut line = server.accept().await;
    assert!(line.head().await.starts_with("GET /next "));
}

#[tokio::test]
async fn a_malformed_answer_of_a_model_is_not_passed_on() {
    for (sent, says) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "beside Transfer-Encoding",
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxy", "more than one"),
        ("HTTP/1.1 200 OK\ncontent-length: 1\n\nx", "CR LF"),
        ("HTTP/1.1 200 OK\r\nx: y\r\n z\r\ncontent-length: 0\r\n\r\n", "folded"),
        ("HTTP/1.1 200 OK\r\nx : y\r\ncontent-length: 0\r\n\r\n", "name: value"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding"),
    ] {
        let mut server = Scripted::start().await;
        let world = World::of(&server.url).await;
        let mut client = world.connect();
        client.write("GET /v1/x HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let mut line = server.accept().await;
        line.head().await;
        line.write(sent).await;
        let head = client.read_until("\r\n\r\n").await;
        assert!(
            head.starts_with("HTTP/1.1 502") && head.contains(code::UPSTREAM_MALFORMED),
            "{sent:?}: {head}"
        );
        client.read_until(says).await;
        assert_eq!(world.finished().await.response.unwrap().outcome, "upstream_failed", "{sent:?}");
        line.ended().await;
    }
}

#[tokio::test]
async fn an_answer_nobody_asked_for_is_given_to_nobody() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write("GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut line = server.accept().await;
    line.head().await;
    line.write(
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged",
    )
    .await;
    client.read_until("\r\n\r\n").await;
    client.write("GET /2 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut next = server.accept().await;
    assert!(next.head().await.starts_with("GET /2 "), "the second request has a connection of its own");
    next.write("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n2").await;
    client.io.flush().await.unwrap();
    let said = client.read_until("\r\n\r\n2").await;
    assert!(!said.contains("forged"), "{said}");
}
