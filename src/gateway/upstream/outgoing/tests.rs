//! What is read ahead of a body, and what it holds.

use super::*;
use http_body_util::BodyExt;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncWriteExt, sync::mpsc};

/// A request body of these bytes, as it comes from a caller.
async fn sent(text: &str) -> Outgoing {
    let (mut caller, server) = tokio::io::duplex(1024);
    let (bodies, mut body) = mpsc::unbounded_channel();
    let service = service_fn(move |request: Request<Incoming>| {
        bodies.send(request.into_body()).unwrap();
        std::future::pending::<Result<Response<String>, std::io::Error>>()
    });
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", text.len());
    caller.write_all(format!("{head}{text}").as_bytes()).await.unwrap();
    let body = body.recv().await.unwrap();
    // The caller stays.
    tokio::spawn(async move {
        let _caller = caller;
        std::future::pending::<()>().await;
    });
    Outgoing::new(Vec::new(), Source::Caller(body), None, 1024)
}

#[tokio::test]
async fn bodies_that_are_read_ahead_share_one_budget_until_they_have_gone_out() {
    let budget: &'static Semaphore = Box::leak(Box::new(Semaphore::new(10)));
    let gather = async |body: &mut Outgoing| body.gather(100, Duration::from_secs(60), budget).await;
    let mut first = sent("123456").await;
    assert_eq!(gather(&mut first).await, Ok(Gathered::Whole));
    assert_eq!(budget.available_permits(), 4);
    assert_eq!(gather(&mut first).await, Ok(Gathered::Whole), "what is held is counted once");
    assert_eq!(budget.available_permits(), 4);
    let mut second = sent("abcdef").await;
    assert_eq!(gather(&mut second).await, Ok(Gathered::NoRoom));
    drop(second);
    assert_eq!(budget.available_permits(), 4);
    let kept = Arc::clone(&first.flow);
    assert_eq!(first.collect().await.unwrap().to_bytes(), "123456");
    assert_eq!(budget.available_permits(), 10, "it has gone out");
    drop(kept);
    assert_eq!(gather(&mut sent("abcdef").await).await, Ok(Gathered::Whole));
    assert_eq!(budget.available_permits(), 10, "it is over");
}
