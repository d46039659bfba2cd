//! Limits and the model a request names, in whole exchanges.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::Value;

use super::{
    servers::{self, Scripted, reactor_turn},
    world::{World, full, get, model, post, soon, text},
};
use crate::gateway::pipeline::{ModelConfig, limits};

fn limited(url: &str, all: limits::Amounts) -> ModelConfig {
    ModelConfig { limits: limits::Config { all, ..limits::Config::default() }, ..model("m", url) }
}

fn at_once(most: u64) -> limits::Amounts {
    limits::Amounts { concurrent: Some(most), ..limits::Amounts::default() }
}

/// Answers with the request's own body, as JSON.
async fn echo(request: http::Request<hyper::body::Incoming>) -> http::Response<super::world::TestBody> {
    assert_eq!(request.headers().get("accept-encoding").map(|v| v.as_bytes()), Some(&b"identity"[..]));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    http::Response::builder().header("content-type", "application/json").body(full(body)).unwrap()
}

#[tokio::test]
async fn requests_beyond_the_minute_are_refused_in_the_callers_dialect_and_audited() {
    let url = servers::http(None, servers::mirror).await;
    let two = limits::Amounts { requests_per_minute: Some(2), ..limits::Amounts::default() };
    let world = World::new(vec![limited(&url, two)]).await;
    for _ in 0..2 {
        let answer = world.connect().ask(get("/")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        text(answer.into_body()).await;
        world.hand.advance(Duration::from_secs(10));
    }
    let answer = world.connect().ask(get("/v1/chat/completions")).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()["retry-after"], "40");
    assert_eq!(answer.headers()["x-hoopctl-code"], "limit");
    let body: Value = serde_json::from_str(&text(answer.into_body()).await).unwrap();
    assert_eq!(body["error"]["code"], "rate_limit_exceeded");
    assert_eq!(body["error"]["type"], "rate_limit_error");
    let refused = world.events().await.pop().unwrap();
    assert_eq!(refused.response.unwrap().outcome, "refused");
    assert_eq!(refused.decision.unwrap().verdict, "permit");
    assert!(refused.detail.unwrap().contains("2 requests a minute"));
    world.hand.advance(Duration::from_secs(40));
    assert_eq!(world.connect().ask(get("/")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn tokens_that_answers_tell_are_audited_and_counted() {
    let url = servers::http(None, echo).await;
    let ten = limits::Amounts { tokens_per_day: Some(10), ..limits::Amounts::default() };
    let world = World::new(vec![limited(&url, ten)]).await;
    let body = r#"{"model":"gpt-mini","usage":{"prompt_tokens":4,"completion_tokens":6,"total_tokens":10}}"#;
    let mut request = post("/v1/chat/completions", body);
    request.headers_mut().insert("accept-encoding", "gzip, br".parse().unwrap());
    let answer = world.connect().ask(request).await;
    assert_eq!(text(answer.into_body()).await, body);
    let event = world.finished().await;
    assert_eq!(event.request.unwrap().requested_model.as_deref(), Some("gpt-mini"));
    let tokens = event.response.unwrap().tokens.unwrap();
    assert_eq!((tokens.input, tokens.output, tokens.total, tokens.estimated), (4, 6, Some(10), false));
    let answer = world.connect().ask(post("/v1/messages", body)).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    let told: Value = serde_json::from_str(&text(answer.into_body()).await).unwrap();
    assert_eq!((&told["type"], &told["error"]["type"]), (&"error".into(), &"rate_limit_error".into()));
}

#[tokio::test]
async fn room_is_given_back_however_an_exchange_ends() {
    let mut server = Scripted::start().await;
    let world = World::new(vec![limited(&server.url, at_once(1))]).await;
    for end in ["caller leaves", "revoked", "upstream breaks", "complete"] {
        let mut first = world.connect();
        first.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        let mut line = server.accept().await;
        line.head().await;
        let second = world.connect().ask(get("/")).await;
        assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS, "{end}");
        assert_eq!(second.headers()["retry-after"], "1");
        match end {
            "caller leaves" => drop(first),
            "revoked" => {
                first.revoked.cancel();
                soon(first.served).await.unwrap();
            }
            "upstream breaks" => {
                line.reset();
                first.read_until("\r\n\r\n").await;
            }
            _ => {
                line.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
                first.read_until("ok").await;
            }
        }
        while world.pipeline.0.model("m").unwrap().counts.as_ref().unwrap().running() > 0 {
            reactor_turn().await;
        }
    }
}

#[tokio::test]
async fn policy_decides_by_the_model_that_the_body_names_and_the_bytes_arrive_untouched() {
    let policy = r#"@id("mini") permit(principal, action == Action::"invoke", resource) when { context.requested_model == "gpt-mini" };"#;
    let url = servers::http(None, |request: http::Request<hyper::body::Incoming>| async move {
        let body: Bytes = request.into_body().collect().await.unwrap().to_bytes();
        http::Response::new(full(body))
    })
    .await;
    let world = World::with_policy(vec![model("m", &url)], policy).await;
    let padding = "x".repeat(200_000);
    let body = format!(r#"{{ "messages":[{{"model":"no"}}], "mod\u0065l" : "gpt-mini","x":"{padding}"}}"#);
    let answer = world.connect().ask(post("/v1/chat/completions", body.clone())).await;
    assert_eq!(text(answer.into_body()).await, body);
    for (body, status) in [
        (r#"{"model":"gpt-4o"}"#.to_owned(), StatusCode::FORBIDDEN),
        ("{}".to_owned(), StatusCode::FORBIDDEN),
        (format!(r#"{{"x":"{padding}","model":"gpt-mini"}}"#), StatusCode::FORBIDDEN),
        (r#"{"model":"gpt-mini","model":"gpt-4o"}"#.to_owned(), StatusCode::BAD_REQUEST),
        (format!(r#"{{"model":"gpt-mini","x":"{padding}","Model":"gpt-4o"}}"#), StatusCode::BAD_REQUEST),
    ] {
        let answer = world.connect().ask(post("/v1/chat/completions", body)).await;
        assert_eq!(answer.status(), status);
    }
    let plain = r#"{"model":"gpt-mini"}"#.to_owned();
    for (kind, body, status) in [
        ("application/x-www-form-urlencoded", plain.clone(), StatusCode::OK),
        ("application/x-www-form-urlencoded", format!("{plain}&model=gpt-4o"), StatusCode::BAD_REQUEST),
        ("application/json", format!("{plain}{}x", " ".repeat(200_000)), StatusCode::BAD_REQUEST),
        ("Multipart/form-data; boundary=x", plain, StatusCode::FORBIDDEN),
    ] {
        let mut request = post("/v1/chat/completions", body);
        request.headers_mut().insert("content-type", kind.parse().unwrap());
        assert_eq!(world.connect().ask(request).await.status(), status, "{kind}");
    }
}
