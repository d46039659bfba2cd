//! Exchanges that wait for a person, and that end with what they said.

use std::sync::Mutex;

use http::StatusCode;
use http_body_util::BodyExt;

use super::{
    super::{ModelConfig, Notices, models::identity},
    servers::Scripted,
    world::{World, alice, get, model, post, soon, text},
};
use crate::{
    gateway::{
        approval::{ApprovalError, Decider, Filter},
        identity::Caller,
        mask,
    },
    wire::{
        control::Notice,
        stream::{Asking, reset},
    },
};

const ASKING: &str = r#"@id("jit") @approvers("risk") permit(principal, action == Action::"invoke", resource) when { context.approved };"#;

fn bob() -> Caller {
    Caller { subject: "bob".into(), email: None, groups: vec!["risk".into()], ..alice() }
}

/// A model whose answers are masked.
fn masked(url: &str, style: mask::Style) -> ModelConfig {
    let rules = mask::Rules::everything(style).into();
    let config = mask::Config {
        rules,
        fields: [].into(),
        request: false,
        unknown: mask::Unknown::Refuse,
        analyser: None,
    };
    ModelConfig { mask: Some(config), ..model("m", url) }
}

/// The only request, once it is there.
async fn asked(world: &World) -> String {
    soon(async {
        loop {
            let filter = Filter { limit: 2, ..Filter::default() };
            if let [one] = world.approvals.list(&filter).await.unwrap().as_slice() {
                return one.id.clone();
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn an_exchange_waits_and_goes_on_and_is_told_once_and_ends_with_its_approval() {
    let mut server = Scripted::start().await;
    let world = World::with_policy(vec![model("m", &server.url)], ASKING).await;
    let heard = std::sync::Arc::new(Mutex::new(Vec::new()));
    let notices = Notices::new({
        let heard = std::sync::Arc::clone(&heard);
        move |notice| heard.lock().unwrap().push(notice)
    });
    let client = world.connect_as(|arrival| arrival.notices = Some(notices));
    let link = client.link();
    let mut http = client.http1().await;
    let waiting = tokio::spawn(http.send_request(post("/", "hello")));
    let id = asked(&world).await;
    assert!(world.events().await.is_empty(), "nothing is intended while it waits");
    world.approvals.approve(&id, Decider::from(&bob()), None, None).await.unwrap();
    let mut line = soon(server.accept()).await;
    assert!(line.head().await.starts_with("POST / "));
    line.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let answer = soon(waiting).await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(world.pipeline.models_for(&alice(), None, None)[0].access, "permit");
    world.approvals.deny(&id, Decider::from(&bob()), None).await.unwrap();
    assert!(soon(answer.into_body().collect()).await.is_err());
    let event = world.finished().await;
    assert_eq!(event.response.unwrap().outcome, "approval_ended");
    let decision = event.decision.unwrap();
    assert_eq!((decision.verdict.as_str(), decision.approval), ("permit", Some(id)));
    soon(async {
        while link.code().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(link.code(), Some(reset::CUT));
    let heard = heard.lock().unwrap();
    assert!(
        matches!(heard.as_slice(), [Notice::ApprovalPending { .. }, Notice::ApprovalGranted { .. }]),
        "{heard:?}"
    );
}

#[tokio::test]
async fn a_no_and_an_unwillingness_to_wait_are_refusals() {
    let server = Scripted::start().await;
    let world = World::with_policy(vec![model("m", &server.url)], ASKING).await;
    let client = world.connect_as(|arrival| arrival.asking = Asking { wait: false, reason: None });
    let answer = client.ask(get("/")).await;
    assert_eq!(answer.headers()["x-hoopctl-code"], "approval_required");
    let id = asked(&world).await;
    assert!(text(answer.into_body()).await.contains(&format!("/approvals/{id}")));
    let mut client = world.connect();
    client.write("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let deny = async {
        // Whichever comes first, the request or the no, the answer is a refusal: a second request is denied too.
        loop {
            let pending = Filter { state: Some("pending"), limit: 2, ..Filter::default() };
            for request in world.approvals.list(&pending).await.unwrap() {
                world.approvals.deny(&request.id, Decider::from(&bob()), Some("not now")).await.unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    let (answer, _) = tokio::select! {
        answer = client.rest() => answer,
        () = deny => unreachable!(),
    };
    let answer = String::from_utf8(answer).unwrap().to_lowercase();
    assert!(answer.contains("x-hoopctl-code: approval_denied") && answer.contains("not now"), "{answer}");
    assert_eq!(server.waiting(), 0);
}

#[tokio::test]
async fn a_body_is_held_to_the_limit_of_after_the_wait() {
    let mut server = Scripted::start().await;
    let configured = |limit| ModelConfig { body_limit: limit, ..model("m", &server.url) };
    let (unlimited, short) = (configured(None), configured(Some(10)));
    let world = World::with_policy(vec![unlimited], ASKING).await;
    let announced = "content-length: 11\r\n\r\n01234567890";
    let chunked = "transfer-encoding: chunked\r\n\r\n8\r\n01234567\r\n";
    let mut clients = Vec::new();
    for framing in [announced, chunked] {
        let mut client = world.connect();
        client.write(format!("POST / HTTP/1.1\r\nhost: x\r\n{framing}")).await;
        clients.push(client);
    }
    let id = asked(&world).await;
    soon(async {
        while world.pipeline.0.waiting.all() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.pipeline.reload(vec![short]).unwrap();
    world.approvals.approve(&id, Decider::from(&bob()), None, None).await.unwrap();
    let mut grown = clients.pop().unwrap();
    let head = clients.pop().unwrap().read_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    let mut line = soon(server.accept()).await;
    line.head().await;
    grown.write("8\r\n01234567\r\n").await;
    let head = grown.read_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
}

#[tokio::test]
async fn an_answer_is_masked_as_its_model_is_configured_after_the_wait() {
    let mut server = Scripted::start().await;
    let world = World::with_policy(vec![masked(&server.url, mask::Style::Label)], ASKING).await;
    let after = masked(&server.url, mask::Style::Remove);
    let mut http = world.connect().http1().await;
    let waiting = tokio::spawn(http.send_request(post("/", "hello")));
    let id = asked(&world).await;
    world.pipeline.reload(vec![after]).unwrap();
    world.approvals.approve(&id, Decider::from(&bob()), None, None).await.unwrap();
    let mut line = soon(server.accept()).await;
    line.head().await;
    line.write(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 20\r\n\r\nto bob@example.test.",
    )
    .await;
    let answer = soon(waiting).await.unwrap().unwrap();
    assert_eq!(text(answer.into_body()).await, "to .");
}

#[tokio::test]
async fn a_model_that_came_to_be_masked_during_the_wait_gives_nothing_away() {
    let server = Scripted::start().await;
    let world = World::with_policy(vec![model("m", &server.url)], ASKING).await;
    let masked = masked(&server.url, mask::Style::Label);
    let mut http = world.connect().http1().await;
    let waiting = tokio::spawn(http.send_request(post("/", "hello")));
    let first = asked(&world).await;
    world.pipeline.reload(vec![masked]).unwrap();
    // It was asked for of the model as it stood, whose answers nobody masks.
    let given = world.approvals.approve(&first, Decider::from(&bob()), None, None).await;
    assert!(matches!(given, Err(ApprovalError::ModelChanged | ApprovalError::Decided("expired"))));
    waiting.abort();
}

#[tokio::test]
async fn a_caller_waits_with_no_more_exchanges_than_it_may() {
    let server = Scripted::start().await;
    let world = World::with_policy(vec![model("m", &server.url)], ASKING).await;
    let (other, most) = (bob(), super::super::asking::MAX_WAITING);
    let waiters = &world.pipeline.0.waiting;
    let mut held: Vec<_> = (1..most).map(|_| waiters.one_more(&alice()).unwrap()).collect();
    let mut last = world.connect();
    last.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    soon(async {
        while waiters.all() < most {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let answer = world.connect().ask(get("/")).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()["x-hoopctl-code"], "limit");
    assert!(text(answer.into_body()).await.contains("too many of your requests wait for an approval"));
    held.push(waiters.one_more(&other).unwrap());
    drop(held);
    drop(last.io);
    soon(last.served).await.unwrap();
    assert_eq!(waiters.all(), 0, "room is given back");
}

#[tokio::test]
async fn a_caller_who_leaves_ends_its_wait_alone() {
    let server = Scripted::start().await;
    let world = World::with_policy(vec![model("m", &server.url)], ASKING).await;
    let mut client = world.connect();
    client.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello").await;
    let id = asked(&world).await;
    drop(client.io);
    soon(client.served).await.unwrap();
    let request = world.approvals.get(&id).await.unwrap().unwrap();
    assert!(request.decision().is_none(), "the request stays");
    assert_eq!(server.waiting(), 0);
}

#[test]
fn an_approval_for_masked_answers_is_none_for_unmasked_ones() {
    const URL: &str = "http://127.0.0.1:1";
    let open = identity(&model("m", URL));
    let label = identity(&masked(URL, mask::Style::Label));
    assert_ne!(label, open);
    assert_eq!(label, identity(&masked(URL, mask::Style::Hash)), "how it is masked is tuning");
}
