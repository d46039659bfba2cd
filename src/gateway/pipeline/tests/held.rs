//! Callers who are held by the answer to an alarm: suspended, or in need of a person's yes.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::StatusCode;
use http_body_util::BodyExt;

use super::{
    servers::Scripted,
    world::{World, alice, get, model, soon, text},
};
use crate::{
    clock::Clock,
    gateway::{
        approval::{Decider, Filter},
        audit::anomalies::{Answer, Held, doubles},
        identity::Caller,
    },
    wire::stream::Asking,
};

const POLICY: &str = r#"
@id("all") permit(principal, action == Action::"invoke", resource);
@id("risk") permit(principal in Group::"risk", action == Action::"approve", resource);
"#;

/// Holds alice for an hour.
async fn hold(world: &World, answer: Answer) -> SystemTime {
    let now = Clock::system().now();
    let caller = alice();
    let held = Held {
        id: "ev_1".into(),
        rule: "rate".into(),
        answer,
        provider: caller.provider,
        subject: caller.subject,
        email: caller.email,
        since: now,
        until: now + Duration::from_hours(1),
    };
    world.pipeline.heed(doubles::answers(held, now).await);
    now
}

#[tokio::test]
async fn a_suspended_caller_is_refused_and_nothing_goes_out() {
    let server = Scripted::start().await;
    let world = World::with_policy(vec![model("m", &server.url)], POLICY).await;
    hold(&world, Answer::Suspend).await;
    let answer = world.connect().ask(get("/")).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(answer.headers()["x-hoopctl-code"], "caller_suspended");
    let body = text(answer.into_body()).await;
    assert!(body.contains("hoopctl revoke --lift") && body.contains("rate, ev_1"), "{body}");
    let event = world.event().await;
    assert!(event.detail.unwrap().starts_with("caller_suspended: "));
    assert_eq!(event.response.unwrap().outcome, "refused");
    assert_eq!(event.caller.unwrap().subject, alice().subject);
    assert!(event.source.is_some(), "exchanges say where their caller came from");
    assert_eq!(server.waiting(), 0);
}

#[tokio::test]
async fn an_interruption_ends_what_runs_and_what_comes_later_is_decided_anew() {
    let mut server = Scripted::start().await;
    let world = World::with_policy(vec![model("m", &server.url)], POLICY).await;
    let mut lease = None;
    let client = world.connect_as(|arrival| lease = Some(Arc::clone(&arrival.lease)));
    let lease = lease.unwrap();
    let mut http = client.http1().await;
    let asked = tokio::spawn(http.send_request(get("/")));
    let mut line = soon(server.accept()).await;
    line.head().await;
    line.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let answer = soon(asked).await.unwrap().unwrap();
    lease.interrupt();
    assert!(soon(answer.into_body().collect()).await.is_err());
    assert_eq!(world.finished().await.response.unwrap().outcome, "revoked");
    let again = world.connect_as(|arrival| arrival.lease = Arc::clone(&lease));
    let asked = tokio::spawn(again.ask(get("/")));
    let mut line = soon(server.accept()).await;
    line.head().await;
    line.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    assert_eq!(soon(asked).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn whoever_needs_a_yes_gets_one_from_somebody_else_and_goes_on() {
    let mut server = Scripted::start().await;
    let world = World::with_policy(vec![model("m", &server.url)], POLICY).await;
    let access = || world.pipeline.models_for(&alice(), None, None)[0].access.clone();
    assert_eq!(access(), "permit");
    hold(&world, Answer::RequireApproval).await;
    assert_eq!(access(), "ask");
    let impatient = || world.connect_as(|arrival| arrival.asking = Asking { wait: false, reason: None });
    let answer = impatient().ask(get("/")).await;
    assert_eq!(answer.headers()["x-hoopctl-code"], "approval_required");
    let filter = Filter { limit: 2, ..Filter::default() };
    let requests = world.approvals.list(&filter).await.unwrap();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(request.policies(), ["all (unusual rate, ev_1)"]);
    let (own, bob) =
        (alice(), Caller { subject: "bob".into(), email: None, groups: vec!["risk".into()], ..alice() });
    assert!(world.approvals.approve(&request.id, Decider::from(&own), None, None).await.is_err());
    world.approvals.approve(&request.id, Decider::from(&bob), None, None).await.unwrap();
    assert_eq!(access(), "permit");
    let asked = tokio::spawn(impatient().ask(get("/")));
    let mut line = soon(server.accept()).await;
    line.head().await;
    line.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    assert_eq!(text(soon(asked).await.unwrap().into_body()).await, "ok");
    let both = soon(async {
        loop {
            let events = world.events().await;
            if events.len() == 2 {
                return events;
            }
            tokio::task::yield_now().await;
        }
    });
    let decision = both.await.pop().and_then(|event| event.decision).unwrap();
    assert_eq!(
        (decision.verdict.as_str(), decision.approval.as_deref()),
        ("permit", Some(request.id.as_str()))
    );
}
