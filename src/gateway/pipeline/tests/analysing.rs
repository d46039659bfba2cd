//! Answers whose names an analyser finds, and those it does not answer for.

use std::time::Duration;

use axum::{Json, Router, routing::post as on_post};
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    super::ModelConfig,
    servers::Scripted,
    world::{World, model, post, soon},
};
use crate::gateway::mask::{self, Analysis, Rules, Style, Unknown};

/// Knows `Alice` and no other name.
async fn analyze(Json(question): Json<Value>) -> Json<Value> {
    let text = question["text"].as_str().unwrap();
    let found: Vec<Value> = text
        .match_indices("Alice")
        .map(|(at, name)| {
            let start = text[..at].chars().count();
            json!({ "entity_type": "PERSON", "start": start, "end": start + name.len(), "score": 0.85 })
        })
        .collect();
    Json(json!(found))
}

async fn analyser() -> String {
    let app = Router::new().route("/analyze", on_post(analyze));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, app).await });
    url
}

/// A listener that is gone.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn analysed(url: &str, analyser: &str) -> ModelConfig {
    let analyser = Analysis {
        url: analyser.parse().unwrap(),
        entities: vec!["PERSON".to_owned()],
        score: 0.5,
        timeout: Duration::from_secs(10),
        language: "en".to_owned(),
    };
    let mask = mask::Config {
        rules: Rules::everything(Style::Label).into(),
        fields: [].into(),
        request: false,
        unknown: Unknown::Refuse,
        analyser: Some(analyser),
    };
    ModelConfig { mask: Some(mask), ..model("m", url) }
}

fn event(text: &str) -> String {
    let data = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// What becomes of a stream in these pieces: status, text or nothing if it was cut, and how the audit log says it ended.
async fn streamed(analyser: &str, pieces: &[&str]) -> (StatusCode, Option<String>, World) {
    let mut server = Scripted::start().await;
    let world = World::new(vec![analysed(&server.url, analyser)]).await;
    let mut http = world.connect().http1().await;
    let asking = http.send_request(post("/v1/chat/completions", "{}"));
    let serving = async {
        let mut line = server.accept().await;
        line.head().await;
        line.write(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        )
        .await;
        for piece in pieces {
            line.write(event(piece)).await;
        }
        line.write("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n").await;
        line
    };
    let (answer, _line) = tokio::join!(soon(asking), serving);
    let answer = answer.unwrap();
    let status = answer.status();
    let text = soon(answer.into_body().collect()).await.ok();
    let text = text.map(|text| String::from_utf8(text.to_bytes().to_vec()).unwrap());
    (status, text, world)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_in_a_stream_are_masked_and_counted() {
    let (status, text, world) =
        streamed(&analyser().await, &["Ask Al", "ice, or ali", "ce@exam", "ple.com. Or Ali", "ce"]).await;
    assert_eq!(status, StatusCode::OK);
    let text = text.unwrap();
    assert!(text.contains("Ask [PERSON], or [EMAIL]. ") && text.contains("Or [PERSON]"), "{text}");
    assert!(text.contains("[DONE]") && !text.contains("Ali"), "{text}");
    let event = world.finished().await;
    assert_eq!(
        event.masked.into_iter().collect::<Vec<_>>(),
        [("EMAIL".to_owned(), 1), ("PERSON".to_owned(), 2)]
    );
    assert_eq!(event.response.unwrap().outcome, "complete");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_ends_without_the_analysers() {
    let (_, text, world) = streamed(&nobody().await, &["Ask Alice. ", "Or Bob."]).await;
    assert_eq!(text, None, "it is cut, not ended");
    assert_eq!(world.finished().await.response.unwrap().outcome, "masking_failed");
}
