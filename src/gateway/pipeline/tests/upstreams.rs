//! A model's several servers: which is asked, what is sent again and what never, and how long a connection is of use.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::Barrier,
};

use super::{
    servers::{self, Authority, Scripted, mirror},
    world::{World, empty, full, get, model, post, soon, text},
};
use crate::gateway::{
    pipeline::ModelConfig,
    upstream::{Circuit, HealthConfig, PoolConfig},
};

/// A model with these servers, in this order.
fn several(urls: &[&str]) -> ModelConfig {
    let mut model = model("m", urls[0]);
    model.upstream.urls = urls.iter().map(|url| url.parse().unwrap()).collect();
    model
}

/// A port where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// How the servers' circuits stand, and their failures.
fn standing(world: &World) -> Vec<(Circuit, u64)> {
    world.pipeline.standings().into_iter().map(|one| (one.circuit, one.failures)).collect()
}

#[tokio::test]
async fn the_first_that_can_be_reached_answers_and_evidence_names_it() {
    let (down, up) = (nobody().await, servers::http(None, mirror).await);
    let world = World::new(vec![several(&[&down, &format!("{up}/base")])]).await;
    let answer = world.connect().ask(post("/x?y", "abc")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let seen = text(answer.into_body()).await;
    assert!(seen.starts_with("POST /base/x?y HTTP/1.1\n"), "each server has its own path: {seen}");
    assert!(seen.contains(&format!("host: {}", up.trim_start_matches("http://"))), "{seen}");
    let event = world.event().await;
    assert_eq!(event.request.unwrap().bytes, 3);
    let leg = event.evidence.unwrap().upstream.unwrap();
    assert_eq!((leg.url, leg.relaxed), (Some(format!("{up}/base")), true));
    assert_eq!(standing(&world), [(Circuit::Closed, 1), (Circuit::Closed, 0)]);
}

#[tokio::test]
async fn when_none_can_be_reached_the_answer_is_502_and_an_only_server_is_not_named() {
    let world = World::new(vec![several(&[&nobody().await, &nobody().await])]).await;
    let answer = world.connect().ask(get("/")).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert!(text(answer.into_body()).await.contains("cannot be reached"));
    assert_eq!(standing(&world), [(Circuit::Closed, 1), (Circuit::Closed, 1)]);

    let world = World::of(&servers::http(None, mirror).await).await;
    world.connect().ask(get("/")).await;
    assert_eq!(world.event().await.evidence.unwrap().upstream.unwrap().url, None);
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gives_way_to_one_that_is() {
    let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let stranger = Authority::new().leaf("localhost", |_| ()).server(&[]);
    let stranger = servers::http(Some(stranger), mirror).await;
    let own = servers::http(Some(authority.leaf("localhost", |_| ()).server(&[])), mirror).await;
    let mut model = several(&[&stranger, &own]);
    (model.upstream.relaxed, model.upstream.ca) = (false, Some(ca));
    let world = World::new(vec![model]).await;
    assert_eq!(world.connect().ask(get("/")).await.status(), StatusCode::OK);
    let leg = world.event().await.evidence.unwrap().upstream.unwrap();
    assert_eq!((leg.url, leg.verified, leg.relaxed), (Some(format!("{own}/")), Some(true), false));
}

#[tokio::test]
async fn a_request_that_may_have_been_seen_is_never_sent_again() {
    let (mut first, second) = (Scripted::start().await, Scripted::start().await);
    let world = World::new(vec![several(&[&first.url, &second.url])]).await;
    let client = world.connect();
    let asked = tokio::spawn(client.ask(post("/", "abc")));
    let mut line = first.accept().await;
    line.head().await;
    line.reset();
    let answer = asked.await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert!(text(answer.into_body()).await.contains("ended the connection before it answered"));
    servers::reactor_turn().await;
    assert_eq!((first.waiting(), second.waiting()), (0, 0), "no second sending anywhere");
    assert_eq!(standing(&world), [(Circuit::Closed, 1), (Circuit::Closed, 0)]);
}

#[tokio::test]
async fn an_answer_of_any_status_is_passed_on_and_a_sign_of_health() {
    let busy =
        servers::http(None, async |_| Response::builder().status(503).body(full("busy")).unwrap()).await;
    let mut model = several(&[&busy, &nobody().await]);
    model.upstream.health.failures = 1;
    let world = World::new(vec![model]).await;
    for _ in 0..3 {
        let answer = world.connect().ask(get("/")).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text(answer.into_body()).await, "busy");
    }
    assert_eq!(standing(&world), [(Circuit::Closed, 0), (Circuit::Closed, 0)]);
}

/// Serves HTTP on a unix socket.
fn on_socket(path: &std::path::Path) {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service =
                service_fn(async |request| Ok::<_, std::convert::Infallible>(mirror(request).await));
            let server = hyper::server::conn::http1::Builder::new();
            // A client that leaves is no failure of the server's.
            tokio::spawn(async move { server.serve_connection(TokioIo::new(socket), service).await.ok() });
        }
    });
}

#[tokio::test]
async fn a_server_that_fails_is_left_alone_for_its_pause_and_then_tried_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.sock");
    let mut model = several(&[&format!("unix:{}", path.display())]);
    model.upstream.health = HealthConfig { failures: 2, ..HealthConfig::default() };
    let (world, hand) = World::at_hand(vec![model]).await;
    let status = async || world.connect().ask(get("/")).await.status();
    for _ in 0..2 {
        assert_eq!(status().await, StatusCode::BAD_GATEWAY);
    }
    on_socket(&path);
    let refused = world.connect().ask(get("/")).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "though the server is back");
    assert_eq!(refused.headers()["retry-after"], "1");
    assert!(text(refused.into_body()).await.contains("failed several times in a row"));
    assert_eq!(standing(&world), [(Circuit::Open, 2)]);
    hand.advance(Duration::from_secs(1));
    for _ in 0..3 {
        assert_eq!(status().await, StatusCode::OK);
    }
    assert_eq!(standing(&world), [(Circuit::Closed, 2)]);
}

#[tokio::test]
async fn a_server_that_takes_no_upgrades_is_none_the_worse_for_it() {
    let leaf = Authority::new().leaf("localhost", |_| ());
    let url = servers::http(Some(leaf.server(&["h2"])), mirror).await;
    let world = World::of(&url).await;
    for _ in 0..HealthConfig::default().failures + 1 {
        let upgrade = Request::get("/")
            .header("host", "x")
            .header("connection", "upgrade")
            .header("upgrade", "websocket");
        let answer = world.connect().ask(upgrade.body(empty()).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::NOT_IMPLEMENTED);
        assert!(text(answer.into_body()).await.contains("takes no upgrades"));
    }
    assert_eq!(standing(&world), [(Circuit::Closed, 0)]);
    assert_eq!(world.connect().ask(get("/")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_server_that_has_lost_http2_is_reached_over_http1() {
    let leaf = Authority::new().leaf("localhost", |_| ());
    let spoken = Arc::new(std::sync::Mutex::new("h2"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let protocol = Arc::clone(&spoken);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let config = leaf.server(&[*protocol.lock().unwrap()]);
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(socket).await else { return };
                let service =
                    service_fn(async |request| Ok::<_, std::convert::Infallible>(mirror(request).await));
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    let mut model = model("m", &url);
    // No connection serves twice.
    model.upstream.pool = PoolConfig { max_age: Duration::ZERO, ..PoolConfig::default() };
    let world = World::new(vec![model]).await;
    for (protocol, version) in
        [("h2", "HTTP/2.0"), ("h2", "HTTP/2.0"), ("http/1.1", "HTTP/1.1"), ("h2", "HTTP/2.0")]
    {
        *spoken.lock().unwrap() = protocol;
        let answer = world.connect().ask(get("/")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{protocol}");
        let seen = text(answer.into_body()).await;
        assert!(seen.contains(version), "{protocol}: {seen}");
    }
    assert_eq!(standing(&world), [(Circuit::Closed, 0)]);
}

#[tokio::test]
async fn an_open_circuit_costs_the_next_exchange_nothing() {
    let mut first = Scripted::start().await;
    let second = servers::http(None, mirror).await;
    let mut model = several(&[&first.url, &second]);
    model.upstream.health.failures = 1;
    let (world, hand) = World::at_hand(vec![model]).await;
    let asked = tokio::spawn(world.connect().ask(get("/")));
    first.accept().await.reset();
    assert_eq!(asked.await.unwrap().status(), StatusCode::BAD_GATEWAY);
    assert_eq!(world.connect().ask(get("/")).await.status(), StatusCode::OK);
    assert_eq!(first.waiting(), 0, "it is not even dialled");
    // After its pause it is the preferred one again.
    hand.advance(Duration::from_secs(1));
    let asked = tokio::spawn(world.connect().ask(get("/")));
    let mut line = first.accept().await;
    line.head().await;
    assert_eq!(standing(&world)[0].0, Circuit::Closed, "a connection lets the others follow");
    line.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(asked.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_unix_socket_is_plaintext_and_only_where_the_operator_allows_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.sock");
    on_socket(&path);
    let local = several(&[&format!("unix:{}", path.display())]);
    let world = World::new(vec![local.clone()]).await;
    let seen = text(world.connect().ask(get("/v1?x")).await.into_body()).await;
    assert_eq!(seen, "GET /v1?x HTTP/1.1\nhost: localhost");
    let leg = world.event().await.evidence.unwrap().upstream.unwrap();
    assert_eq!((leg.transport.as_str(), leg.tls.as_str()), ("unix", ""));
    assert_eq!((leg.verified, leg.relaxed), (Some(false), true));

    for (networks, allowed) in [(&["10.0.0.0/8"][..], false), (&["127.0.0.0/8", "unix"], true)] {
        let mut model = local.clone();
        model.upstream.relaxed_networks = networks.iter().map(|&network| network.to_owned()).collect();
        let answer = World::new(vec![model]).await.connect().ask(get("/")).await;
        assert_eq!(answer.status() == StatusCode::OK, allowed, "{networks:?}");
        let body = text(answer.into_body()).await;
        assert!(allowed || body.contains("outside the networks"), "{body}");
        assert!(!body.contains("model.sock"), "{body}");
    }
}

/// How many connections a server got for two requests, one after the other, when every answer has this header.
async fn connections(change: impl FnOnce(&mut ModelConfig), header: &'static str) -> usize {
    let mut server = Scripted::start().await;
    let mut config = several(&[&server.url]);
    change(&mut config);
    let world = World::new(vec![config]).await;
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        loop {
            let mut line = server.accept().await;
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                loop {
                    line.head().await;
                    line.write(format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{header}\r\n")).await;
                }
            });
        }
    });
    for _ in 0..2 {
        let answer = world.connect().ask(get("/")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        text(answer.into_body()).await;
    }
    accepted.load(Ordering::SeqCst)
}

#[tokio::test]
async fn connections_are_kept_within_their_bounds() {
    assert_eq!(connections(|_| (), "").await, 1);
    let pool = |pool: PoolConfig| move |model: &mut ModelConfig| model.upstream.pool = pool;
    assert_eq!(connections(pool(PoolConfig { max_idle: 0, ..PoolConfig::default() }), "").await, 2);
    assert_eq!(
        connections(pool(PoolConfig { max_age: Duration::ZERO, ..PoolConfig::default() }), "").await,
        2
    );
}

#[tokio::test]
async fn an_unused_connection_is_closed_after_its_time() {
    let mut server = Scripted::start().await;
    let mut config = several(&[&server.url]);
    config.upstream.pool.idle_timeout = Duration::from_millis(20);
    let world = World::new(vec![config]).await;
    let asked = tokio::spawn(world.connect().ask(get("/")));
    let mut line = server.accept().await;
    line.head().await;
    line.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    asked.await.unwrap();
    line.ended().await;
}

#[tokio::test]
async fn a_connection_on_which_somebody_proved_who_they_are_is_nobody_elses() {
    for challenge in ["NTLM", "Negotiate oYG2", "Basic realm=\"x\", negotiate"] {
        let head = format!("www-authenticate: {challenge}\r\n").leak();
        assert_eq!(connections(|_| (), head).await, 2, "{challenge}");
    }
    assert_eq!(connections(|_| (), "www-authenticate: Basic realm=\"x\"\r\n").await, 1);
}

/// A gRPC request, which travels over HTTP/2 also in plaintext.
fn grpc(body: &'static str) -> Request<super::world::TestBody> {
    Request::post("http://x/p.S/M").header("content-type", "application/grpc").body(full(body)).unwrap()
}

#[tokio::test]
async fn a_servers_own_limit_of_streams_is_kept() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (accepted, both) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(3)));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let both = Arc::clone(&both);
            let service = service_fn(move |_| {
                let both = Arc::clone(&both);
                async move {
                    both.wait().await;
                    Ok::<_, std::convert::Infallible>(Response::new(empty()))
                }
            });
            let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            server.max_concurrent_streams(1);
            tokio::spawn(async move { server.serve_connection(TokioIo::new(socket), service).await.ok() });
        }
    });
    let world = World::of(&url).await;
    let http = world.connect().http2().await;
    // All three must be at the server at once, or none is answered.
    let ask = async || soon(http.clone().send_request(grpc(""))).await.unwrap().status();
    assert_eq!(tokio::join!(ask(), ask(), ask()), (StatusCode::OK, StatusCode::OK, StatusCode::OK));
    assert_eq!(accepted.load(Ordering::SeqCst), 3);
}

/// What an HTTP/2 server does with the first stream it gets; it answers the later ones with their bodies.
#[derive(Clone, Copy)]
enum First {
    Reset(h2::Reason),
    GoAway,
}

async fn h2_server(first: First) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut server = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((request, mut respond))) = server.accept().await {
                    if count.fetch_add(1, Ordering::SeqCst) == 0 {
                        match first {
                            First::Reset(reason) => {
                                respond.send_reset(reason);
                                continue;
                            }
                            First::GoAway => server.graceful_shutdown(),
                        }
                    }
                    tokio::spawn(async move {
                        let mut sent = Vec::new();
                        let mut body = request.into_body();
                        while let Some(Ok(data)) = body.data().await {
                            sent.extend_from_slice(&data);
                        }
                        let mut answer = respond.send_response(Response::new(()), false).unwrap();
                        answer.send_data(Bytes::from(sent), true).unwrap();
                    });
                }
            });
        }
    });
    (url, seen)
}

#[tokio::test]
async fn a_stream_that_the_server_refused_is_sent_once_more_and_whole() {
    let (url, seen) = h2_server(First::Reset(h2::Reason::REFUSED_STREAM)).await;
    let world = World::of(&url).await;
    let mut http = world.connect().http2().await;
    let answer = soon(http.send_request(grpc("abcdef"))).await.unwrap();
    assert_eq!((answer.status(), text(answer.into_body()).await.as_str()), (StatusCode::OK, "abcdef"));
    assert_eq!((seen.load(Ordering::SeqCst), standing(&world)[0].1), (2, 0));
    let request = world.finished().await.request.unwrap();
    assert_eq!(request.bytes, 6, "counted once");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"abcdef");
    assert_eq!(request.sha256.unwrap(), super::super::exchange::hex(digest.as_ref()));
}

#[tokio::test]
async fn a_stream_that_failed_otherwise_is_not_sent_again() {
    let (url, seen) = h2_server(First::Reset(h2::Reason::INTERNAL_ERROR)).await;
    let world = World::new(vec![several(&[&url, &servers::http(None, mirror).await])]).await;
    let mut http = world.connect().http2().await;
    let answer = soon(http.send_request(grpc("abcdef"))).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    assert_eq!(standing(&world)[1], (Circuit::Closed, 0));
}

#[tokio::test]
async fn a_server_that_goes_away_fails_no_new_request() {
    let (url, seen) = h2_server(First::GoAway).await;
    let world = World::of(&url).await;
    let http = world.connect().http2().await;
    for n in 1..=5 {
        let answer = soon(http.clone().send_request(grpc("abc"))).await.unwrap();
        assert_eq!((answer.status(), text(answer.into_body()).await.as_str()), (StatusCode::OK, "abc"));
        assert_eq!(seen.load(Ordering::SeqCst), n);
    }
}
