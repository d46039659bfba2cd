//! The analyser, against a small server with the interface of Presidio's.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, response::IntoResponse, routing::post};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

use super::{Analyser, AnalyserError, Waiting};
use crate::gateway::mask::{Analysis, Key, Masking, Names, NoAnswer, Rules, Span, Style};

/// What the server is to answer, and what it was asked.
#[derive(Clone, Default)]
struct Script {
    status: Option<StatusCode>,
    answer: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<Value>>>,
    under_way: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    /// Answers only then.
    hold: Option<Arc<Notify>>,
}

struct Server {
    url: String,
    script: Script,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn analyze(State(script): State<Script>, body: Bytes) -> impl IntoResponse {
    let now = script.under_way.fetch_add(1, Ordering::SeqCst) + 1;
    script.most.fetch_max(now, Ordering::SeqCst);
    script.asked.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    if let Some(hold) = &script.hold {
        hold.notified().await;
    }
    script.under_way.fetch_sub(1, Ordering::SeqCst);
    let answer = script.answer.lock().unwrap().clone();
    (script.status.unwrap_or(StatusCode::OK), answer)
}

async fn serve(script: Script) -> Server {
    let app = Router::new().route("/api/analyze", post(analyze)).with_state(script.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/", listener.local_addr().unwrap());
    let task = tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
    Server { url, script, task }
}

async fn answering(answer: &str) -> Server {
    serve(Script { answer: Arc::new(Mutex::new(answer.to_owned())), ..Script::default() }).await
}

fn analysis(url: &str) -> Analysis {
    Analysis {
        url: url.parse().unwrap(),
        entities: vec!["PERSON".to_owned(), "LOCATION".to_owned()],
        score: 0.5,
        timeout: Duration::from_secs(30),
        language: "en".to_owned(),
    }
}

fn analyser(server: &Server) -> Analyser {
    Analyser::new(&analysis(&server.url)).unwrap()
}

fn found(entity: &str, start: usize, end: usize, score: f64) -> Value {
    json!({ "entity_type": entity, "start": start, "end": end, "score": score, "analysis_explanation": null })
}

fn span(entity: &str, range: std::ops::Range<usize>) -> Span {
    Span { range, entity: entity.to_owned() }
}

#[tokio::test]
async fn it_is_asked_as_presidio_is_and_its_characters_become_bytes() {
    let server =
        answering(&json!([found("LOCATION", 23, 30, 0.85), found("PERSON", 0, 8, 0.85)]).to_string()).await;
    let text = "Ängström zog um – nach Uppsala";
    let spans = analyser(&server).analyse(text).await.unwrap();
    assert_eq!(spans, [span("PERSON", 0..10), span("LOCATION", 27..34)]);
    assert_eq!((&text[0..10], &text[27..34]), ("Ängström", "Uppsala"));
    let asked =
        json!({ "text": text, "language": "en", "entities": ["PERSON", "LOCATION"], "score_threshold": 0.5 });
    assert_eq!(*server.script.asked.lock().unwrap(), [asked]);
}

#[tokio::test]
async fn what_it_is_unsure_of_stays_and_what_lies_over_something_is_one_with_it() {
    let list = json!([
        found("LOCATION", 4, 9, 0.9),
        found("PERSON", 0, 6, 0.6),
        found("LOCATION", 0, 5, 0.99),
        found("PERSON", 12, 15, 0.49),
    ]);
    let server = answering(&list.to_string()).await;
    let spans = analyser(&server).analyse("abcdefghi and jkl").await.unwrap();
    assert_eq!(spans, [span("PERSON", 0..9)]);
}

#[tokio::test]
async fn what_is_no_answer_is_an_error() {
    for (answer, why) in [
        ("", "no list"),
        ("{\"error\": \"x\"}", "no list"),
        ("[{\"entity_type\": \"PERSON\"}]", "no list"),
        ("[{\"entity_type\": \"PERSON\", \"start\": -1, \"end\": 2, \"score\": 1.0}]", "no list"),
        (&json!([found("PERSON", 0, 6, 1.0)]).to_string(), "a place outside the text"),
        (&json!([found("PERSON", 3, 3, 1.0)]).to_string(), "a place without extent"),
        (&json!([found("PERSON", 3, 2, 1.0)]).to_string(), "a place without extent"),
        (&json!([found("EMAIL_ADDRESS", 0, 2, 1.0)]).to_string(), "was not asked for"),
    ] {
        let server = answering(answer).await;
        let error = analyser(&server).analyse("Alice").await.unwrap_err();
        assert!(matches!(error, AnalyserError::Garbage { .. }), "{answer}: {error:?}");
        assert!(error.to_string().contains(why), "{answer}: {error}");
        assert!(!error.to_string().contains("Alice"), "{error}");
    }
}

#[tokio::test]
async fn an_error_of_its_own_and_nobody_there_are_errors() {
    let script = Script { status: Some(StatusCode::INTERNAL_SERVER_ERROR), ..Script::default() };
    let server = serve(script).await;
    let asking = analyser(&server);
    let refused = asking.analyse("Alice").await.unwrap_err();
    assert!(refused.to_string().ends_with("/api/analyze answered 500 Internal Server Error"), "{refused}");
    // A listener that is gone.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let gone = Analyser::new(&analysis(&url)).unwrap().analyse("Alice").await.unwrap_err();
    assert!(matches!(gone, AnalyserError::Unreachable(_)), "{gone:?}");
    let plain =
        Analyser::new(&analysis("http://analyser.example.test")).unwrap().analyse("Alice").await.unwrap_err();
    assert!(plain.to_string().contains("loopback"), "{plain}");
}

#[tokio::test]
async fn a_text_that_is_too_long_is_not_sent() {
    let server = answering("[]").await;
    let error = analyser(&server).analyse(&"a".repeat(4097)).await.unwrap_err();
    assert!(matches!(error, AnalyserError::TooLong(4097)), "{error:?}");
    assert!(server.script.asked.lock().unwrap().is_empty());
    assert!(analyser(&server).analyse(&"a".repeat(4096)).await.unwrap().is_empty());
}

#[tokio::test]
async fn one_that_is_too_slow_is_not_waited_for() {
    let server = serve(Script { hold: Some(Arc::default()), ..Script::default() }).await;
    let config = Analysis { timeout: Duration::from_millis(50), ..analysis(&server.url) };
    let error = Analyser::new(&config).unwrap().analyse("Alice").await.unwrap_err();
    assert!(matches!(error, AnalyserError::Slow { .. }), "{error:?}");
}

#[tokio::test]
async fn so_many_are_asked_at_once_and_no_more() {
    let hold = Arc::new(Notify::new());
    let answer = Arc::new(Mutex::new("[]".to_owned()));
    let server = serve(Script { hold: Some(Arc::clone(&hold)), answer, ..Script::default() }).await;
    let asking = Arc::new(analyser(&server));
    let asked: Vec<_> = (0..super::AT_ONCE + 8)
        .map(|_| {
            let asking = Arc::clone(&asking);
            tokio::spawn(async move { asking.analyse("Alice").await })
        })
        .collect();
    while server.script.under_way.load(Ordering::SeqCst) < super::AT_ONCE {
        tokio::task::yield_now().await;
    }
    for one in asked {
        while !one.is_finished() {
            hold.notify_waiters();
            tokio::task::yield_now().await;
        }
        one.await.unwrap().unwrap();
    }
    assert_eq!(server.script.most.load(Ordering::SeqCst), super::AT_ONCE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_masking_waits_for_it_and_ends_without_its_answer() {
    let server = answering(&json!([found("PERSON", 0, 5, 0.9)]).to_string()).await;
    let masking = |url: &str| {
        let rules = Arc::new(Rules::everything(Style::Label));
        let names = Waiting::new(Analyser::new(&analysis(url)).unwrap());
        Masking::new(rules, [].into(), Arc::new(Key::new(&[0; 32]))).with_names(Arc::new(names))
    };
    let up = masking(&server.url);
    assert_eq!(up.text("Alice has alice@example.com."), "[PERSON] has [EMAIL].");
    assert!(up.answered().is_ok());
    server.script.answer.lock().unwrap().clear();
    let down = masking(&server.url);
    assert_eq!(down.text("Alice has alice@example.com."), "");
    assert_eq!(down.answered(), Err(NoAnswer));
}

#[tokio::test]
async fn where_nobody_can_ask_meanwhile_there_is_no_answer_and_no_deadlock() {
    let server = answering("[]").await;
    let config = Analysis { timeout: Duration::from_millis(50), ..analysis(&server.url) };
    let names = Waiting::new(Analyser::new(&config).unwrap());
    assert_eq!(names.find("Alice"), Err(NoAnswer));
}
