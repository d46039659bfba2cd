//! gRPC: every ending is a status, also one in the middle of a stream.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::sync::{Notify, mpsc};

use super::{
    servers,
    world::{TestBody, World, full, model, soon},
};

/// A method that answers with one message and then does what it is told.
enum Then {
    Hangs,
    Breaks,
}

/// With what makes it go on.
async fn start(then: Then, idle: Duration) -> (World, Arc<Notify>) {
    let breaks = matches!(then, Then::Breaks);
    let go = Arc::new(Notify::new());
    let told = Arc::clone(&go);
    let url = servers::http(None, move |_| {
        let told = Arc::clone(&told);
        async move {
            let (sender, mut receiver) = mpsc::channel::<Result<Frame<Bytes>, std::io::Error>>(4);
            sender.send(Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\x01x")))).await.unwrap();
            if breaks {
                let sender = sender.clone();
                tokio::spawn(async move {
                    told.notified().await;
                    sender.send(Err(std::io::Error::other("broken"))).await
                });
            }
            let stream = futures_util::stream::poll_fn(move |cx| {
                // Held by the body, which stays open with it.
                let _held = &sender;
                receiver.poll_recv(cx)
            });
            let body: TestBody = BodyExt::boxed(StreamBody::new(stream));
            Response::builder().header("content-type", "application/grpc").body(body).unwrap()
        }
    })
    .await;
    let mut config = model("m", &url);
    config.upstream.idle = idle;
    (World::new(vec![config]).await, go)
}

fn call(more: &[(&str, &str)]) -> Request<TestBody> {
    let mut request =
        Request::post("http://x/p.S/M").header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    request.body(full("\0\0\0\0\0")).unwrap()
}

/// Messages and trailers of an answer; the method goes on behind the first message.
async fn heard(mut answer: Response<Incoming>, go: &Notify) -> (Bytes, HeaderMap) {
    let first = soon(answer.frame()).await.unwrap().unwrap().into_data().unwrap();
    go.notify_one();
    let collected = soon(answer.into_body().collect()).await.expect("ended by trailers, not by a reset");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    (first, trailers)
}

#[tokio::test]
async fn a_stream_that_is_cut_or_falls_silent_ends_with_a_status() {
    for (then, idle, status) in [(Then::Breaks, 600_000, "14"), (Then::Hangs, 1500, "4")] {
        let (world, go) = start(then, Duration::from_millis(idle)).await;
        let mut http = world.connect().http2().await;
        let (messages, trailers) = heard(soon(http.send_request(call(&[]))).await.unwrap(), &go).await;
        assert_eq!(messages.len(), 6);
        assert_eq!(trailers["grpc-status"], status, "{trailers:?}");
        assert!(
            !trailers["grpc-message"].is_empty() && trailers.contains_key("x-hoopctl-code"),
            "{trailers:?}"
        );
        assert_eq!(world.finished().await.response.unwrap().outcome, "upstream_cut");
    }
}

#[tokio::test]
async fn the_callers_deadline_is_passed_on_and_kept() {
    let (world, go) = start(Then::Hangs, Duration::from_secs(600)).await;
    let mut http = world.connect().http2().await;
    let answer = soon(http.send_request(call(&[("grpc-timeout", "1500m")]))).await.unwrap();
    let (messages, trailers) = heard(answer, &go).await;
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
