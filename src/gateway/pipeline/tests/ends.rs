//! How exchanges end when they do not end well: callers who leave, servers that cut, authority that ends.

use std::time::Duration;

use http::Response;
use http_body_util::BodyExt;
use hyper::StatusCode;
use tokio::io::AsyncWriteExt;

use super::{
    servers::{self, Scripted},
    world::{World, full, get, model, soon},
};
use crate::wire::stream::{Fin, reset};

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";

#[tokio::test]
async fn a_caller_who_leaves_ends_the_request_at_the_model() {
    // Before the answer's head, and in the middle of its body; by FIN and by reset.
    for (answer, by_reset) in [("", false), ("", true), (CHUNKED, false), (CHUNKED, true)] {
        let mut server = Scripted::start().await;
        let world = World::of(&server.url).await;
        let mut client = world.connect();
        client.write(GET).await;
        let mut line = server.accept().await;
        line.head().await;
        line.write(answer).await;
        if !answer.is_empty() {
            client.read_until("hello\r\n").await;
        }
        if by_reset {
            client.link().leave();
        } else {
            client.io.shutdown().await.unwrap();
        }
        line.ended().await;
        assert_eq!(world.finished().await.response.unwrap().outcome, "caller_left", "{answer} {by_reset}");
    }
}

#[tokio::test]
async fn a_caller_who_leaves_in_the_middle_of_its_body_is_told_from_a_server_that_fails() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n01234").await;
    let mut line = server.accept().await;
    line.head().await;
    line.read(5).await;
    drop(client.io);
    line.ended().await;
    let event = world.finished().await;
    assert_eq!(event.response.unwrap().outcome, "caller_left");
    assert_eq!(event.request.unwrap().sha256, None);
}

#[tokio::test]
async fn the_end_of_input_is_only_that_where_the_stream_says_so() {
    for (fin, by_config) in [(Fin::Finish, false), (Fin::Leave, true)] {
        let mut server = Scripted::start().await;
        let world = World::new(vec![super::super::ModelConfig {
            finish_on_fin: by_config,
            ..model("m", &server.url)
        }])
        .await;
        let mut client = world.connect_as(|arrival| arrival.fin = fin);
        client.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi").await;
        client.io.shutdown().await.unwrap();
        let mut line = server.accept().await;
        line.head().await;
        line.read(2).await;
        line.write(CHUNKED).await;
        client.read_until("hello\r\n").await;
        line.write("0\r\n\r\n").await;
        let (rest, code) = client.rest().await;
        assert_eq!((rest.as_slice(), code), (&b"0\r\n\r\n"[..], None));
        assert_eq!(world.outcome().await, "complete");
    }
}

#[tokio::test]
async fn a_caller_who_only_ended_its_input_can_still_leave() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect_as(|arrival| arrival.fin = Fin::Finish);
    client.write(GET).await;
    let mut line = server.accept().await;
    line.head().await;
    client.link().leave();
    line.ended().await;
    assert_eq!(world.finished().await.response.unwrap().outcome, "caller_left");
}

#[tokio::test]
async fn a_caller_who_ended_its_input_is_noticed_when_it_leaves_later() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect_as(|arrival| arrival.fin = Fin::Finish);
    client.write(GET).await;
    client.io.shutdown().await.unwrap();
    let mut line = server.accept().await;
    line.head().await;
    line.write(CHUNKED).await;
    client.read_until("hello\r\n").await;
    client.link().leave();
    line.ended().await;
    assert_eq!(world.finished().await.response.unwrap().outcome, "caller_left");
}

#[tokio::test]
async fn a_cut_answer_never_looks_complete() {
    for (answer, by_reset) in [
        (CHUNKED, false),
        (CHUNKED, true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", true),
        // Ended by the connection's end, so only a reset shows that it was cut.
        ("HTTP/1.1 200 OK\r\n\r\nhello", true),
    ] {
        for request in [GET, "GET / HTTP/1.0\r\nhost: x\r\n\r\n"] {
            let mut server = Scripted::start().await;
            let world = World::of(&server.url).await;
            let mut client = world.connect();
            client.write(request).await;
            let mut line = server.accept().await;
            line.head().await;
            line.write(answer).await;
            // What came before the cut is delivered.
            let seen = client.read_until("hello").await;
            if by_reset {
                line.reset()
            } else {
                drop(line)
            }
            let (rest, code) = client.rest().await;
            assert_eq!(code, Some(reset::CUT), "{answer:?} after {seen:?}");
            assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
            assert_eq!(world.outcome().await, "upstream_cut");
        }
    }
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_complete() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write("GET / HTTP/1.0\r\nhost: x\r\n\r\n").await;
    let mut line = server.accept().await;
    line.head().await;
    line.write("HTTP/1.0 200 OK\r\n\r\nhello").await;
    drop(line);
    let (all, code) = client.rest().await;
    assert!(all.ends_with(b"hello"));
    assert_eq!(code, None);
    assert_eq!(world.outcome().await, "complete");
}

#[tokio::test]
async fn on_http2_only_the_cut_answer_is_reset() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let client = world.connect();
    let link = client.link();
    let mut http = client.http2().await;
    let asked = http.send_request(http::Request::get("http://x/").body(super::world::empty()).unwrap());
    let script = async {
        let mut line = server.accept().await;
        line.head().await;
        line.write(CHUNKED).await;
        line
    };
    let (answer, line) = tokio::join!(asked, script);
    let mut body = answer.unwrap().into_body();
    assert_eq!(soon(body.frame()).await.unwrap().unwrap().into_data().unwrap(), "hello");
    drop(line);
    let cut = soon(body.frame()).await.unwrap();
    assert!(cut.is_err(), "{cut:?}");
    assert_eq!(world.outcome().await, "upstream_cut");
    // The stream lives on for the next request.
    let asked = http.send_request(http::Request::get("http://x/").body(super::world::empty()).unwrap());
    let script = async {
        let mut line = server.accept().await;
        line.head().await;
        line.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    };
    assert_eq!(tokio::join!(asked, script).0.unwrap().status(), StatusCode::OK);
    assert_eq!(link.code(), None);
}

#[tokio::test]
async fn a_server_that_fails_before_it_answers_is_a_502() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write(GET).await;
    let mut line = server.accept().await;
    line.head().await;
    drop(line);
    let head = client.read_until("\r\n\r\n").await;
    assert!(
        head.starts_with("HTTP/1.1 502") && head.contains("x-hoopctl-code: upstream_unreachable"),
        "{head}"
    );
    let event = world.event().await;
    assert!(head.contains(&format!("x-request-id: {}\r\n", event.exchange.unwrap())), "{head}");
    let response = event.response.unwrap();
    assert_eq!((response.status, response.outcome.as_str()), (502, "upstream_failed"));
    assert_eq!(server.waiting(), 0, "a request that was sent is not sent again");
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_no_answer() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write(GET).await;
    let mut line = server.accept().await;
    line.head().await;
    line.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
        .await;
    let head = client.read_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 502"), "{head}");
    assert_eq!(world.outcome().await, "upstream_failed");
    line.ended().await;
}

#[tokio::test]
async fn what_follows_an_answer_is_never_the_next_callers() {
    for (method, answer) in [
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n"),
    ] {
        let mut server = Scripted::start().await;
        let world = World::of(&server.url).await;
        let mut first = world.connect();
        first.write(format!("{method} /1 HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let mut line = server.accept().await;
        line.head().await;
        line.write(format!("{answer}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")).await;
        first.read_until("\r\n\r\n").await;
        servers::reactor_turn().await;
        let mut second = world.connect();
        second.write("GET /2 HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut fresh = server.accept().await;
        assert!(fresh.head().await.starts_with("GET /2"), "{answer}");
        fresh.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nown!").await;
        second.read_until("own!").await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_502_without_its_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let world = World::of(&format!("http://{address}")).await;
    let answer = world.connect().ask(get("/")).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    let body = super::world::text(answer.into_body()).await;
    assert!(!body.contains(&address.port().to_string()), "{body}");
    assert_eq!(world.outcome().await, "upstream_failed");
}

fn impatient(url: &str) -> super::super::ModelConfig {
    let mut model = model("m", url);
    model.upstream.idle = Duration::from_millis(50);
    model
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    // Before the head: 504. After it: a cut.
    let mut server = Scripted::start().await;
    let world = World::new(vec![impatient(&server.url)]).await;
    let mut client = world.connect();
    client.write(GET).await;
    let mut line = server.accept().await;
    line.head().await;
    assert!(client.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 504"));
    line.ended().await;
    assert_eq!(world.outcome().await, "upstream_failed");

    let world = World::new(vec![impatient(&server.url)]).await;
    let mut client = world.connect();
    client.write(GET).await;
    let mut line = server.accept().await;
    line.head().await;
    line.write(CHUNKED).await;
    client.read_until("hello\r\n").await;
    assert_eq!(client.rest().await.1, Some(reset::CUT));
    line.ended().await;
    assert_eq!(world.outcome().await, "upstream_cut");
}

#[tokio::test]
async fn revocation_ends_what_is_under_way_and_what_rests() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write(GET).await;
    let mut line = server.accept().await;
    line.head().await;
    line.write(CHUNKED).await;
    client.read_until("hello\r\n").await;
    client.revoked.cancel();
    assert_eq!(client.rest().await.1, Some(reset::REVOKED));
    line.ended().await;
    assert_eq!(world.finished().await.response.unwrap().outcome, "revoked");

    for begun in ["", "GET / HT"] {
        let mut resting = world.connect();
        resting.write(begun).await;
        resting.revoked.cancel();
        assert_eq!(resting.rest().await.1, Some(reset::REVOKED));
    }
}

#[tokio::test]
async fn revocation_ends_http2_streams_too() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let client = world.connect();
    let (link, revoked) = (client.link(), client.revoked.clone());
    let mut http = client.http2().await;
    let asked = http.send_request(http::Request::get("http://x/").body(super::world::empty()).unwrap());
    let script = async {
        let mut line = server.accept().await;
        line.head().await;
        revoked.cancel();
        line.ended().await;
    };
    assert!(tokio::join!(asked, script).0.is_err());
    assert_eq!(world.finished().await.response.unwrap().outcome, "revoked");
    assert_eq!(link.code(), Some(reset::REVOKED));
}

#[tokio::test]
async fn a_gateway_that_stops_serving_says_that_it_was_the_gateway() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write(GET).await;
    let mut line = server.accept().await;
    line.head().await;
    client.served.abort();
    line.ended().await;
    assert_eq!(world.finished().await.response.unwrap().outcome, "aborted");
}

#[tokio::test(start_paused = true)]
async fn a_head_must_come_within_thirty_seconds_but_a_stream_may_rest() {
    let world = World::of("http://127.0.0.1:9").await;
    for begun in ["G", "GET / HTTP/1.1\r\nhost: x\r\n", "PRI * HTTP/2.0\r\n"] {
        let mut slow = world.connect();
        slow.write(begun).await;
        let started = tokio::time::Instant::now();
        assert_eq!(slow.rest().await, (Vec::new(), None), "{begun}");
        assert!(started.elapsed() >= Duration::from_secs(30), "{begun}");
    }
    let resting = world.connect();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!resting.served.is_finished());
}

#[tokio::test]
async fn a_stream_may_rest_between_requests() {
    let url = servers::http(None, async |_| Response::new(full("x"))).await;
    for fin in [Fin::Leave, Fin::Finish] {
        let world = World::of(&url).await;
        let mut client = world.connect_as(|arrival| arrival.fin = fin);
        client.write(GET).await;
        client.read_until("\r\n\r\nx").await;
        tokio::time::pause();
        tokio::time::sleep(Duration::from_secs(300)).await;
        tokio::time::resume();
        client.write(GET).await;
        client.read_until("\r\n\r\nx").await;
    }
}
