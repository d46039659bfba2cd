//! The load: an HTTP/1.1 client that opens connections the way an application does.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::{Method, Request, client::conn::http1, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A door an application talks to: plain on a local port, or TLS when nothing stands between it and the model.
#[derive(Clone)]
pub struct Target {
    pub port: u16,
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Where direct ingress is measured: what stands before the model's paths, and the token.
    pub ingress: Option<Ingress>,
}

#[derive(Clone)]
pub struct Ingress {
    pub prefix: &'static str,
    pub token: String,
}

/// A connection on which requests without a body are sent.
pub type Sender = SendRequest<Empty<Bytes>>;

/// A connection to the door.
pub async fn connect(target: &Target) -> Sender {
    connect_for(target).await
}

async fn connect_for<B>(target: &Target) -> SendRequest<B>
where
    B: http_body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
{
    let stream = TcpStream::connect(("127.0.0.1", target.port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    match &target.tls {
        None => handshake(TokioIo::new(stream)).await,
        Some(config) => {
            let name = "localhost".try_into().unwrap();
            let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await.unwrap();
            handshake(TokioIo::new(stream)).await
        }
    }
}

async fn handshake<T, B>(io: T) -> SendRequest<B>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: http_body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// The body of an answer.
pub async fn get(sender: &mut Sender, target: &Target, path: &str) -> hyper::body::Incoming {
    ask(sender, target, Method::GET, path, Empty::new()).await
}

async fn ask<B>(
    sender: &mut SendRequest<B>,
    target: &Target,
    method: Method,
    path: &str,
    body: B,
) -> hyper::body::Incoming
where
    B: http_body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
{
    sender.ready().await.unwrap();
    let response = sender.send_request(request(target, method, path, body)).await.unwrap();
    assert_eq!(response.status(), 200, "{path} through port {}: {:?}", target.port, response.headers());
    response.into_body()
}

fn request<B>(target: &Target, method: Method, path: &str, body: B) -> Request<B> {
    let host = format!("127.0.0.1:{}", target.port);
    let request = Request::builder().method(method);
    let request = match &target.ingress {
        None => request.uri(path),
        Some(ingress) => request
            .uri(format!("{}{path}", ingress.prefix))
            .header("authorization", format!("Bearer {}", ingress.token)),
    };
    request.header("host", host).body(body).unwrap()
}

/// `total` small requests over `at_once` connections that stay.
pub async fn requests(target: &Target, at_once: usize, total: usize) {
    let workers: Vec<_> = (0..at_once)
        .map(|_| {
            let target = target.clone();
            tokio::spawn(async move {
                let mut sender = connect(&target).await;
                for _ in 0..total / at_once {
                    get(&mut sender, &target, "/small").await.collect().await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

/// The time of each of `total` small requests, one after the other on one connection.
pub async fn one_by_one(target: &Target, total: usize) -> Vec<Duration> {
    let mut sender = connect(target).await;
    let mut times = Vec::with_capacity(total);
    for _ in 0..total + 50 {
        let start = Instant::now();
        get(&mut sender, target, "/small").await.collect().await.unwrap();
        times.push(start.elapsed());
    }
    times.split_off(50)
}

/// One download.
pub async fn bulk(target: &Target, bytes: u64) -> Duration {
    let mut sender = connect(target).await;
    let start = Instant::now();
    let mut body = get(&mut sender, target, &format!("/bulk/{bytes}")).await;
    let mut got = 0;
    while let Some(frame) = body.frame().await {
        got += frame.unwrap().data_ref().map_or(0, Bytes::len) as u64;
    }
    assert_eq!(got, bytes);
    start.elapsed()
}

/// From the model's write of each event to its arrival here, over `streams` at once.
pub async fn sse(target: &Target, streams: usize, events: usize) -> Vec<Duration> {
    let workers: Vec<_> = (0..streams)
        .map(|_| {
            let target = target.clone();
            tokio::spawn(async move {
                let mut sender = connect(&target).await;
                let mut body = get(&mut sender, &target, &format!("/sse/{events}")).await;
                let (mut delays, mut text) = (Vec::with_capacity(events), Vec::new());
                while let Some(frame) = body.frame().await {
                    let now = crate::model::now();
                    text.extend_from_slice(frame.unwrap().data_ref().unwrap());
                    while let Some(end) = text.windows(2).position(|w| w == b"\n\n") {
                        let event: Vec<u8> = text.drain(..end + 2).collect();
                        let said: u64 = std::str::from_utf8(&event[6..26]).unwrap().parse().unwrap();
                        delays.push(Duration::from_nanos(now.saturating_sub(said)));
                    }
                }
                assert_eq!(delays.len(), events);
                delays
            })
        })
        .collect();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.unwrap());
    }
    all
}

/// `count` connections one after the other, one request on each.
pub async fn new_connections(target: &Target, count: usize) {
    for _ in 0..count {
        let mut sender = connect(target).await;
        get(&mut sender, target, "/small").await.collect().await.unwrap();
    }
}

/// `count` uploads of a body, all at once, each on a connection of its own; how many were answered. What a busy gateway does not take within
/// thirty seconds is refused at the laptop.
pub async fn uploads(target: &Target, count: usize, body: &Bytes) -> usize {
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..count {
        let (target, body) = (target.clone(), body.clone());
        all.spawn(async move {
            let mut sender = connect_for(&target).await;
            match sender.send_request(request(&target, Method::POST, "/small", Full::new(body))).await {
                Ok(response) if response.status() == 200 => response.into_body().collect().await.is_ok(),
                Ok(_) | Err(_) => false,
            }
        });
    }
    all.join_all().await.into_iter().filter(|answered| *answered).count()
}

/// A download whose every byte is looked at.
pub async fn pattern(target: &Target, bytes: u64) -> Duration {
    let mut sender = connect(target).await;
    let start = Instant::now();
    let mut body = get(&mut sender, target, &format!("/pattern/{bytes}")).await;
    let mut check = Check::default();
    while let Some(frame) = body.frame().await {
        check.read(frame.unwrap().data_ref().unwrap());
    }
    assert_eq!(check.read, bytes);
    start.elapsed()
}

/// An upload of which the model looks at every byte.
pub async fn upload_pattern(target: &Target, bytes: u64) -> Duration {
    let mut sender = connect_for(target).await;
    let start = Instant::now();
    let path = format!("/check/{bytes}");
    ask(&mut sender, target, Method::POST, &path, crate::model::pattern(bytes))
        .await
        .collect()
        .await
        .unwrap();
    start.elapsed()
}

/// Reads the pattern.
#[derive(Default)]
pub struct Check {
    pub read: u64,
}

impl Check {
    /// Stops at the first byte that is another one.
    pub fn read(&mut self, bytes: &[u8]) {
        let mut expected = vec![0; bytes.len()];
        crate::model::fill(self.read, &mut expected);
        assert!(
            bytes == expected,
            "other bytes came between {} and {}",
            self.read,
            self.read + bytes.len() as u64
        );
        self.read += bytes.len() as u64;
    }
}

/// Connections that have made one request and now do nothing.
pub async fn idle(target: &Target, count: usize) -> Vec<Sender> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut sender = connect(target).await;
        get(&mut sender, target, "/small").await.collect().await.unwrap();
        held.push(sender);
    }
    held
}

/// An access token of a gateway for a workload's own (RFC 8693).
pub async fn token(target: &Target, subject: &str) -> String {
    let stream = TcpStream::connect(("127.0.0.1", target.port)).await.unwrap();
    let tls = Arc::clone(target.tls.as_ref().unwrap());
    let stream = TlsConnector::from(tls).connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let form = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token_type=\
         urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token={subject}"
    );
    let request = Request::post("/oauth2/token")
        .header("host", "localhost")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::<Bytes>::from(form))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200, "the gateway's token endpoint");
    let answer = response.into_body().collect().await.unwrap().to_bytes();
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}
