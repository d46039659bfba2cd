//! Direct ingress as applications see it: a whole gateway, TLS, HTTP/1.1 and 2, and a model that is scripted byte for byte.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    evidence::event::Event,
    gateway::{
        framing::tests::corpus::{PASSED, REFUSED, placed},
        pipeline::{Dialect, ModelConfig},
        upstream,
        world::World,
    },
    tls::{self, HotKey, Trust},
};

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), what).await.expect("what a test waits for comes soon")
}

/// A gateway with the model `m`, which the test itself plays.
struct Stage {
    world: World,
    model: TcpListener,
}

impl Stage {
    async fn set() -> Self {
        let model = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = ModelConfig {
            name: "m".to_owned(),
            dialect: Dialect::Detect,
            upstream: upstream::Config {
                urls: vec![format!("http://{}", model.local_addr().unwrap()).parse().unwrap()],
                relaxed: true,
                relaxed_networks: Vec::new(),
                ca: None,
                pins: Vec::new(),
                client_certificate: None,
                server_name: None,
                credential: None,
                idle: Duration::from_secs(600),
                pool: Default::default(),
                health: Default::default(),
            },
            labels: Default::default(),
            finish_on_fin: false,
            body_limit: None,
            limits: Default::default(),
            mask: None,
            record: Default::default(),
        };
        Self { world: World::start_with(vec![config]).await, model }
    }

    /// The model's side of the next connection, and the head of the request on it.
    async fn asked(&self) -> (TcpStream, String) {
        let (mut line, _) = soon(self.model.accept()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(line.read_u8()).await.unwrap());
        }
        (line, String::from_utf8(head).unwrap())
    }

    async fn tls(&self, protocol: &[u8], key: Option<HotKey>) -> io::Result<TlsStream<TcpStream>> {
        let trust = Trust::Roots(self.world.roots());
        let (mut config, address) = match key {
            Some(key) => {
                (tls::laptop(&trust, &key).unwrap(), self.world.gateway.certified_address().unwrap())
            }
            None => (tls::https_client(&trust).unwrap(), self.world.gateway.address()),
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await?).await
    }

    /// Sends a request over HTTP/2 or 1.1.
    async fn ask(&self, h2: bool, request: Request<Full<Bytes>>, key: Option<HotKey>) -> Response<Incoming> {
        let io = TokioIo::new(self.tls(if h2 { b"h2" } else { b"http/1.1" }, key).await.unwrap());
        if h2 {
            let (mut sender, driver) = conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(driver);
            soon(sender.send_request(request)).await.unwrap()
        } else {
            let (mut sender, driver) = conn::http1::handshake(io).await.unwrap();
            tokio::spawn(driver);
            soon(sender.send_request(request)).await.unwrap()
        }
    }

    /// The only exchange, once it is finished.
    async fn finished(&self) -> Event {
        soon(async {
            loop {
                let mut events = self.world.events("exchange").await;
                match events.pop() {
                    Some(event) if events.is_empty() => return event,
                    Some(_) => panic!("{events:?}"),
                    None => tokio::task::yield_now().await,
                }
            }
        })
        .await
    }
}

fn outcome(event: Event) -> String {
    event.response.unwrap().outcome
}

fn post(h2: bool, path: &str, token: &str) -> Request<Full<Bytes>> {
    let target = if h2 { format!("https://127.0.0.1{path}") } else { path.to_owned() };
    let request =
        Request::post(target).header("x-kept", "1").header("authorization", format!("Bearer {token}"));
    let request = if h2 { request } else { request.header("host", "127.0.0.1") };
    request.body(Full::from("hello")).unwrap()
}

const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n";

#[tokio::test]
async fn a_request_is_served_as_on_a_tunnel_and_its_token_ends_at_the_gateway() {
    for h2 in [false, true] {
        let stage = Stage::set().await;
        let token = stage.world.token("alice", Some("m")).await;
        let request = post(h2, "/models/m//v1/../a%2Fb?q=%20&key=own", &token);
        let (answer, model) = tokio::join!(stage.ask(h2, request, None), async {
            let (mut line, head) = stage.asked().await;
            let mut body = [0; 5];
            line.read_exact(&mut body).await.unwrap();
            line.write_all(b"HTTP/1.1 201 Made\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            (head, body)
        });
        assert_eq!(answer.status(), StatusCode::CREATED);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
        let (head, body) = model;
        assert!(head.starts_with("POST //v1/../a%2Fb?q=%20&key=own HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("x-kept: 1") && !head.contains("authorization"), "{head}");
        assert!(!head.contains(&token) && &body == b"hello", "{head}");

        let event = stage.finished().await;
        assert_eq!(event.caller.as_ref().unwrap().subject, "alice");
        assert_eq!(event.request.as_ref().unwrap().path, "//v1/../a%2Fb");
        let client = event.evidence.as_ref().unwrap().client.clone().unwrap();
        assert_eq!((client.transport.as_str(), client.tls.as_str()), ("tcp", "TLSv1.3"));
        assert_eq!(client.group, "X25519MLKEM768");
        assert!(event.session.as_ref().unwrap().starts_with("ses_"));
        assert!(!serde_json::to_string(&event).unwrap().contains(&token));
        assert_eq!(outcome(event), "complete");
    }
}

#[tokio::test]
async fn without_a_token_that_holds_for_the_model_nothing_is_forwarded() {
    let stage = Stage::set().await;
    let other = stage.world.token("alice", Some("other")).await;
    let bare = |path: &str| Request::get(path).header("host", "x").body(Full::default()).unwrap();
    for (request, says) in [
        (bare("/models/m/v1"), "brings no bearer token"),
        (bare("/models/m/v1?key=abc"), "key in the URL"),
        (post(false, "/models/m/v1", "nonsense"), "hoopctl token m"),
        (post(false, "/models/m/v1", &other), "other"),
    ] {
        let answer = stage.ask(false, request, None).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer"));
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body);
        assert!(body.contains(says) && body.contains("hoopctl token m"), "{body}");
    }
    let anthropic = stage.ask(false, bare("/models/m/v1/messages"), None).await;
    let body = anthropic.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(br#"{"type":"error","error":{"type":"authentication_error""#), "{body:?}");

    assert!(stage.world.events("exchange").await.is_empty());
    assert_eq!(stage.world.events("unknown_caller").await.len(), 1, "a flood is one line");
    let accepted = timeout(Duration::ZERO, stage.model.accept()).await;
    assert!(accepted.is_err(), "the model was dialled");
}

#[tokio::test]
async fn an_unknown_model_is_told_with_the_nearest_name_and_a_foreign_page_is_refused() {
    let stage = Stage::set().await;
    let token = stage.world.token("alice", None).await;
    let answer = stage.ask(true, post(true, "/models/n/v1/chat/completions", &token), None).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("model_unknown") && body.contains("did you mean `m`"), "{body}");

    let mut page = post(false, "/models/m/v1", &token);
    page.headers_mut().insert(header::ORIGIN, "https://elsewhere.test".parse().unwrap());
    assert_eq!(stage.ask(false, page, None).await.status(), StatusCode::FORBIDDEN);
    let mut own = post(false, "/models/n/v1", &token);
    own.headers_mut().insert(header::ORIGIN, "https://127.0.0.1".parse().unwrap());
    assert_eq!(stage.ask(false, own, None).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_revocation_cuts_a_live_stream() {
    for h2 in [false, true] {
        let stage = Stage::set().await;
        let token = stage.world.token("alice", None).await;
        let request = post(h2, "/models/m/v1", &token);
        let (mut answer, mut line) = tokio::join!(stage.ask(h2, request, None), async {
            let (mut line, _) = stage.asked().await;
            line.write_all(STREAM).await.unwrap();
            line
        });
        assert_eq!(soon(answer.frame()).await.unwrap().unwrap().into_data().unwrap(), "first");
        let begun = std::time::Instant::now();
        stage.world.revoke("alice").await;
        assert!(soon(answer.frame()).await.unwrap().is_err(), "the end of a cut answer looks whole");
        let mut rest = Vec::new();
        let _ = soon(line.read_to_end(&mut rest)).await;
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(outcome(stage.finished().await), "revoked");
        let again = stage.ask(h2, post(h2, "/models/m/v1", &token), None).await;
        assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_revocation_cuts_a_caller_who_takes_nothing() {
    let stage = Stage::set().await;
    let token = stage.world.token("alice", None).await;
    let mut caller = stage.tls(b"http/1.1", None).await.unwrap();
    let ask = format!("GET /models/m/flood HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    caller.write_all(ask.as_bytes()).await.unwrap();
    let (mut line, _) = stage.asked().await;
    line.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await.unwrap();
    // Until everything between model and caller is full.
    let full = vec![b'x'; 1 << 20];
    while timeout(Duration::from_millis(500), line.write_all(&full)).await.is_ok() {}
    stage.world.revoke("alice").await;
    let broken = async { while line.write_all(&full).await.is_ok() {} };
    timeout(Duration::from_secs(2), broken).await.expect("the upstream is let go within two seconds");
    assert_eq!(outcome(stage.finished().await), "revoked");
}

#[tokio::test]
async fn a_cut_answer_is_never_a_silent_end() {
    for h2 in [false, true] {
        let stage = Stage::set().await;
        let token = stage.world.token("alice", None).await;
        let (answer, ()) = tokio::join!(stage.ask(h2, post(h2, "/models/m/v1", &token), None), async {
            let (mut line, _) = stage.asked().await;
            line.write_all(STREAM).await.unwrap();
        });
        assert!(soon(answer.into_body().collect()).await.is_err(), "HTTP/2: {h2}");
        assert_eq!(outcome(stage.finished().await), "upstream_cut");
    }
}

#[tokio::test]
async fn a_caller_who_leaves_cancels_the_upstream() {
    for h2 in [false, true] {
        let stage = Stage::set().await;
        let token = stage.world.token("alice", None).await;
        let (answer, mut line) = tokio::join!(stage.ask(h2, post(h2, "/models/m/v1", &token), None), async {
            let (mut line, _) = stage.asked().await;
            line.write_all(STREAM).await.unwrap();
            line
        });
        drop(answer);
        let mut rest = Vec::new();
        let _ = soon(line.read_to_end(&mut rest)).await;
        assert_eq!(outcome(stage.finished().await), "caller_left");
    }
}

#[tokio::test]
async fn every_malformed_request_is_told_audited_and_reaches_no_model() {
    let stage = Stage::set().await;
    let token = stage.world.token("alice", Some("m")).await;
    for (name, form, status) in REFUSED {
        let mut caller = stage.tls(b"http/1.1", None).await.unwrap();
        let form = placed(form, "/models/m", &format!("authorization: Bearer {token}\r\n"));
        caller.write_all(&form).await.unwrap();
        let mut said = Vec::new();
        // The gateway ends the connection by itself.
        let _ = soon(caller.read_to_end(&mut said)).await;
        let said = String::from_utf8_lossy(&said);
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {said}");
        let (_, body) = said.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error"]["code"], "bad_request", "{name}: {body}");
        assert!(!body.to_string().contains(&token), "{name}");
    }
    let events = stage.world.events("exchange").await;
    assert_eq!(events.len(), REFUSED.len(), "one event each");
    for event in events {
        assert_eq!(event.caller.as_ref().unwrap().subject, "alice", "{event:?}");
        assert_eq!(outcome(event), "refused");
    }
    let accepted = timeout(Duration::ZERO, stage.model.accept()).await;
    assert!(accepted.is_err(), "the model was dialled");
}

#[tokio::test]
async fn a_malformed_request_for_a_page_is_refused_in_json() {
    let stage = Stage::set().await;
    let mut caller = stage.tls(b"http/1.1", None).await.unwrap();
    caller.write_all(b"GET /api/v1/models HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n").await.unwrap();
    let mut said = String::new();
    let _ = soon(caller.read_to_string(&mut said)).await;
    assert!(
        said.starts_with("HTTP/1.1 400 ") && said.contains(r#"{"error":{"code":"bad_request""#),
        "{said}"
    );
}

#[tokio::test]
async fn what_is_odd_and_legal_reaches_the_model_byte_for_byte() {
    let stage = Stage::set().await;
    let token = stage.world.token("alice", Some("m")).await;
    for (name, form, line, field, body) in PASSED {
        let mut caller = stage.tls(b"http/1.1", None).await.unwrap();
        let form = placed(form, "/models/m", &format!("authorization: Bearer {token}\r\n"));
        caller.write_all(&form).await.unwrap();
        let (mut upstream, _) = soon(stage.model.accept()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(upstream.read_u8()).await.unwrap());
        }
        let shown = String::from_utf8_lossy(&head).into_owned();
        assert!(head.starts_with(&[line, &b"\r\n"[..]].concat()), "{name}: {shown}");
        assert!(head.windows(field.len().max(1)).any(|w| field.is_empty() || w == *field), "{name}: {shown}");
        let mut seen = vec![0; body.len()];
        soon(upstream.read_exact(&mut seen)).await.unwrap();
        assert_eq!(seen, *body, "{name}");
    }
}

const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n";
const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

#[tokio::test]
async fn a_websocket_passes_both_ways_and_ends_with_its_authority() {
    for revoked in [false, true] {
        let stage = Stage::set().await;
        let token = stage.world.token("alice", None).await;
        let mut caller = stage.tls(b"http/1.1", None).await.unwrap();
        let ask =
            format!("GET /models/m/ws HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{UPGRADE}");
        caller.write_all(ask.as_bytes()).await.unwrap();
        let (mut line, head) = stage.asked().await;
        assert!(head.starts_with("GET /ws ") && head.contains("sec-websocket-key: k"), "{head}");
        line.write_all(SWITCH).await.unwrap();
        line.write_all(b"hello").await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"hello") {
            seen.push(soon(caller.read_u8()).await.unwrap());
        }
        assert!(seen.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&seen));
        caller.write_all(b"ping").await.unwrap();
        let mut ping = [0; 4];
        soon(line.read_exact(&mut ping)).await.unwrap();
        if revoked {
            stage.world.revoke("alice").await;
        } else {
            caller.shutdown().await.unwrap();
        }
        let mut rest = Vec::new();
        let _ = soon(line.read_to_end(&mut rest)).await;
        drop(line);
        let said = outcome(stage.finished().await);
        assert_eq!(said, if revoked { "revoked" } else { "complete" });
    }
}

#[tokio::test]
async fn where_certificates_are_asked_for_a_credential_is_enough_and_needed() {
    let stage = Stage::set().await;
    let key = stage.world.log_in("alice").await;
    for h2 in [false, true] {
        let request = post(h2, "/models/n/v1", "nonsense");
        let answer = stage.ask(h2, request, Some(key.clone())).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "known by the certificate, so told of models");
    }
    let elsewhere = Request::get("/.well-known/hoopctl").header("host", "x").body(Full::default()).unwrap();
    assert_eq!(stage.ask(false, elsewhere, Some(key.clone())).await.status(), StatusCode::NOT_FOUND);
    stage.world.revoke("alice").await;
    let answer = stage.ask(false, post(false, "/models/m/v1", "x"), Some(key)).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);

    let mut config = tls::https_client(&Trust::Roots(stage.world.roots())).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let io = TcpStream::connect(stage.world.gateway.certified_address().unwrap()).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    // In TLS 1.3 the client hears only after its own last word that its certificate was missing.
    let error = match TlsConnector::from(Arc::new(config)).connect(name, io).await {
        Ok(mut tls) => tls.read_u8().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
}

#[tokio::test]
async fn exchanges_under_way_outlive_a_drain() {
    for h2 in [false, true] {
        let stage = Stage::set().await;
        let token = stage.world.token("alice", None).await;
        let (mut answer, mut line) =
            tokio::join!(stage.ask(h2, post(h2, "/models/m/v1", &token), None), async {
                let (mut line, _) = stage.asked().await;
                line.write_all(STREAM).await.unwrap();
                line
            });
        soon(answer.frame()).await.unwrap().unwrap();
        let Stage { world, .. } = stage;
        let World { gateway, folder, .. } = world;
        let ending = tokio::spawn(gateway.shutdown_within(Duration::from_secs(30)));
        line.write_all(b"4\r\nlast\r\n0\r\n\r\n").await.unwrap();
        assert_eq!(soon(answer.into_body().collect()).await.unwrap().to_bytes(), "last");
        soon(ending).await.unwrap();
        drop(folder);
    }
}

#[test]
fn a_session_is_a_caller_a_model_and_an_hour() {
    let alice = crate::gateway::identity::Caller {
        subject: "alice".to_owned(),
        email: None,
        name: None,
        groups: Vec::new(),
        provider: "dev".to_owned(),
        workload: false,
        session: "ls_1".to_owned(),
    };
    let hour = 3_600_000;
    let first = super::session(&alice, "m", 0);
    assert_eq!(first.len(), "ses_".len() + 32);
    assert_eq!(super::session(&alice, "m", hour - 1), first);
    let renewed = crate::gateway::identity::Caller { session: "ls_2".to_owned(), ..alice.clone() };
    assert_eq!(super::session(&renewed, "m", 5), first);
    assert_ne!(super::session(&alice, "m", hour), first);
    assert_ne!(super::session(&alice, "n", 0), first);
    let bob = crate::gateway::identity::Caller { subject: "bob".to_owned(), ..alice };
    assert_ne!(super::session(&bob, "m", 0), first);
}
