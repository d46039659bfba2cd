//! A connection of the HTTPS face: its bounds, and its end.

use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

fn open(http2: bool) -> (DuplexStream, Phases, tokio::task::JoinHandle<()>) {
    let router = Router::new()
        .route("/who", get(|ConnectInfo(a): ConnectInfo<SocketAddr>| async move { a.to_string() }))
        .route("/echo", post(|body: String| async move { body }));
    let (ours, theirs) = duplex(256 * 1024);
    let phases = Phases::default();
    let peer = Peer { address: "192.0.2.1:5".parse().unwrap(), handshake: None, http2 };
    let serving = tokio::spawn(serve(
        theirs,
        peer,
        Faces { router, direct: None, clock: Clock::system() },
        phases.clone(),
    ));
    (ours, phases, serving)
}

async fn heard(mut io: DuplexStream) -> String {
    let mut heard = Vec::new();
    io.read_to_end(&mut heard).await.unwrap();
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test]
async fn a_request_knows_its_peer() {
    let (mut io, _, _) = open(false);
    io.write_all(b"GET /who HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(heard(io).await.ends_with("192.0.2.1:5"));
}

#[tokio::test]
async fn headers_beyond_64_kib_are_answered_431() {
    for length in [65, 70, 120, 200] {
        let (mut io, _, _) = open(false);
        let long = "a".repeat(length * 1024);
        let head = format!("GET /who HTTP/1.1\r\nhost: x\r\nx-long: {long}\r\nconnection: close\r\n\r\n");
        io.write_all(head.as_bytes()).await.unwrap();
        assert!(heard(io).await.starts_with("HTTP/1.1 431 "), "{length} KiB");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_cut_after_ten_seconds() {
    let (mut io, _, serving) = open(false);
    let begun = Instant::now();
    io.write_all(b"GET /who HTTP/1.1\r\nx-slow: ").await.unwrap();
    serving.await.unwrap();
    assert!(begun.elapsed() < HEAD_WITHIN * 2, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn http2_that_never_asks_for_anything_is_let_go() {
    for words in [&b""[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"] {
        let (mut io, _, serving) = open(true);
        let begun = Instant::now();
        io.write_all(words).await.unwrap();
        serving.await.unwrap();
        assert!(begun.elapsed() < HEAD_WITHIN * 3, "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_falls_silent_is_refused() {
    let (mut io, _, _) = open(false);
    io.write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
    assert!(heard(io).await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn draining_ends_an_idle_connection_and_no_request_is_cut() {
    let (mut io, phases, serving) = open(false);
    io.write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
    tokio::task::yield_now().await;
    phases.drain();
    tokio::task::yield_now().await;
    io.write_all(b"defghij").await.unwrap();
    assert!(heard(io).await.ends_with("abcdefghij"));
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_rests_between_requests_is_kept() {
    let (mut io, _, _) = open(false);
    io.write_all(b"GET /who HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"192.0.2.1:5") {
        seen.push(io.read_u8().await.unwrap());
    }
    tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
    io.write_all(b"GET /who HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(heard(io).await.ends_with("192.0.2.1:5"));
}
