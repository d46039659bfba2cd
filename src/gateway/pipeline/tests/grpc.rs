//! gRPC: every ending is a status, also one in the middle of a stream.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::sync::mpsc;

use super::{
    servers,
    world::{TestBody, World, full, model, soon},
};

/// A method that answers with one message and then does what it is told.
enum Then {
    Hangs,
    Breaks,
}

async fn start(then: Then, idle: Duration) -> World {
    let breaks = matches!(then, Then::Breaks);
    let url = servers::http(None, move |_| async move {
        let (sender, mut receiver) = mpsc::channel::<Result<Frame<Bytes>, std::io::Error>>(4);
        sender.send(Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\x01x")))).await.unwrap();
        if breaks {
            sender.send(Err(std::io::Error::other("broken"))).await.unwrap();
        }
        let stream = futures_util::stream::poll_fn(move |cx| {
            // Held by the body, which stays open with it.
            let _held = &sender;
            receiver.poll_recv(cx)
        });
        let body: TestBody = BodyExt::boxed(StreamBody::new(stream));
        Response::builder().header("content-type", "application/grpc").body(body).unwrap()
    })
    .await;
    let mut config = model("m", &url);
    config.upstream.idle = idle;
    World::new(vec![config]).await
}

fn call(more: &[(&str, &str)]) -> Request<TestBody> {
    let mut request = Request::post("http://x/p.S/M").header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    request.body(full("\0\0\0\0\0")).unwrap()
}

/// Messages and trailers of an answer.
async fn heard(answer: Response<Incoming>) -> (Bytes, HeaderMap) {
    let collected = soon(answer.into_body().collect()).await.expect("ended by trailers, not by a reset");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    (collected.to_bytes(), trailers)
}

#[tokio::test]
async fn a_stream_that_is_cut_or_falls_silent_ends_with_a_status() {
    for (then, idle, status) in
        [(Then::Breaks, 600_000, "14"), (Then::Hangs, 200, "4")]
    {
        let world = start(then, Duration::from_millis(idle)).await;
        let mut http = world.connect().http2().await;
        let (messages, trailers) = heard(soon(http.send_request(call(&[]))).await.unwrap()).await;
        assert_eq!(messages.len(), 6);
        assert_eq!(trailers["grpc-status"], status, "{trailers:?}");
        assert!(!trailers["grpc-message"].is_empty() && trailers.contains_key("x-hoopctl-code"), "{trailers:?}");
        assert_eq!(world.finished().await.response.unwrap().outcome, "upstream_cut");
    }
}

#[tokio::test]
async fn the_callers_deadline_is_passed_on_and_kept() {
    let world = start(Then::Hangs, Duration::from_secs(600)).await;
    let mut http = world.connect().http2().await;
    let answer = soon(http.send_request(call(&[("grpc-timeout", "200m")]))).await.unwrap();
    let (messages, trailers) = heard(answer).await;
    assert_eq!((messages.len(), &trailers["grpc-status"]), (6, &"4".parse().unwrap()));
    assert_eq!(world.finished().await.response.unwrap().outcome, "aborted");

    // Before the head of an answer: a status alone.
    let silent = servers::http(None, |request: Request<Incoming>| async move {
        assert_eq!(request.headers()["grpc-timeout"], "100m");
        std::future::pending().await
    })
    .await;
    let world = World::of(&silent).await;
    let mut http = world.connect().http2().await;
    let answer = soon(http.send_request(call(&[("grpc-timeout", "100m")]))).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["grpc-status"]), (200, &"4".parse().unwrap()));
    assert_eq!(world.finished().await.response.unwrap().outcome, "aborted");
}

#[tokio::test]
async fn an_answer_that_is_no_grpc_is_cut_by_a_reset() {
    let url = servers::http(None, |_| async move {
        let (sender, mut receiver) = mpsc::channel::<Result<Frame<Bytes>, std::io::Error>>(4);
        sender.send(Ok(Frame::data(Bytes::from_static(b"x")))).await.unwrap();
        sender.send(Err(std::io::Error::other("broken"))).await.unwrap();
        let stream = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
        let body: TestBody = BodyExt::boxed(StreamBody::new(stream));
        Response::new(body)
    })
    .await;
    let world = World::of(&url).await;
    let mut http = world.connect().http2().await;
    let request = Request::get("http://x/").body(full("")).unwrap();
    let answer = soon(http.send_request(request)).await.unwrap();
    assert!(soon(answer.into_body().collect()).await.is_err());
}
