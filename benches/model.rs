//! The model of the benchmark: TLS, HTTP/1.1, fixed answers. `/small`, `/bulk/N`, `/sse/N` (an event every 10 ms with its time),
//! `/ticks/S` (numbered, for so many seconds), `/pattern/N` and `/check/N` (bytes that differ at every place, down and up).

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{Request, Response, body::Frame, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Serves until killed; says its port on stdout. `folder` holds `model.pem` and `model.key`.
pub async fn run(folder: &str) {
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    let identity = hoopctl::tls::Identity::from_pem(&read("model.pem"), &read("model.key")).unwrap();
    let mut config = hoopctl::tls::https_server(&hoopctl::tls::HotKey::new(identity)).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("port {}", listener.local_addr().unwrap().port());
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            stream.set_nodelay(true).unwrap();
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
    }
}

/// Nanoseconds of a clock that all processes of the machine share.
pub fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

async fn answer(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut sent = request.into_body();
    if let Some(count) = path.strip_prefix("/check/").and_then(|n| n.parse::<u64>().ok()) {
        let mut check = crate::load::Check::default();
        while let Some(Ok(frame)) = sent.frame().await {
            check.read(frame.data_ref().map_or(&[][..], Bytes::as_ref));
        }
        assert_eq!(check.read, count, "the upload is not whole");
    } else {
        // Read, not kept: what is measured are other people's memories.
        while let Some(Ok(_)) = sent.frame().await {}
    }
    let body = if let Some(count) = path.strip_prefix("/bulk/").and_then(|n| n.parse().ok()) {
        bulk(count)
    } else if let Some(count) = path.strip_prefix("/sse/").and_then(|n| n.parse().ok()) {
        sse(count)
    } else if let Some(seconds) = path.strip_prefix("/ticks/").and_then(|n| n.parse().ok()) {
        ticks(Duration::from_secs(seconds))
    } else if let Some(count) = path.strip_prefix("/pattern/").and_then(|n| n.parse().ok()) {
        BodyExt::boxed(pattern(count))
    } else {
        Full::new(Bytes::from_static(&[b'x'; 200])).boxed()
    };
    Ok(Response::new(body))
}

fn bulk(count: u64) -> BoxBody<Bytes, Infallible> {
    let piece = Bytes::from(vec![b'x'; 256 * 1024]);
    let mut left = count;
    BodyExt::boxed(StreamBody::new(futures_util::stream::poll_fn(move |_| {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        left -= size as u64;
        std::task::Poll::Ready((size > 0).then(|| Ok(Frame::data(piece.slice(..size)))))
    })))
}

fn sse(count: usize) -> BoxBody<Bytes, Infallible> {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let mut left = count;
    BodyExt::boxed(StreamBody::new(futures_util::stream::poll_fn(move |context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        ticks.poll_tick(context).map(|_| {
            left -= 1;
            Some(Ok(Frame::data(Bytes::from(format!("data: {:020}\n\n", now())))))
        })
    })))
}

/// An event every 10 ms, or as soon as it is taken.
fn ticks(length: Duration) -> BoxBody<Bytes, Infallible> {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let end = tokio::time::Instant::now() + length;
    let mut number = 0_u64;
    BodyExt::boxed(StreamBody::new(futures_util::stream::poll_fn(move |context| {
        if tokio::time::Instant::now() >= end {
            return std::task::Poll::Ready(None);
        }
        ticks.poll_tick(context).map(|_| {
            let event = format!("data: {number} {}\n\n", now());
            number += 1;
            Some(Ok(Frame::data(Bytes::from(event))))
        })
    })))
}

/// So many bytes that differ at every place.
pub fn pattern(
    count: u64,
) -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send + Sync + Unpin + 'static {
    let mut at = 0;
    StreamBody::new(futures_util::stream::poll_fn(move |_| {
        let mut piece = vec![0; usize::try_from((count - at).min(64 * 1024)).unwrap()];
        fill(at, &mut piece);
        at += piece.len() as u64;
        std::task::Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(Bytes::from(piece)))))
    }))
}

/// The pattern from a place on: each eight bytes are a mix of their place.
pub fn fill(from: u64, into: &mut [u8]) {
    for (at, byte) in (from..).zip(into) {
        let mixed = (at / 8).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        *byte = (mixed ^ (mixed >> 29)).to_le_bytes()[(at % 8) as usize];
    }
}
