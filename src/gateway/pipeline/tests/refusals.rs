//! Refusals: answered in the caller's shape, audited, and nothing reaches the model.

use std::time::SystemTime;

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;

use super::{
    servers::{self, Scripted, mirror},
    world::{World, alice, empty, full, get, model, soon, text},
};
use crate::{
    gateway::{
        identity::Lease,
        respond::{Dialect, Problem},
    },
    wire::{code, stream::Door},
};

const ASKING: &str = r#"
@id("seen") permit(principal, action == Action::"list", resource);
@id("jit") @approvers("risk-leads") permit(principal, action == Action::"invoke", resource) when { context.approved };
"#;

#[tokio::test]
async fn policy_says_no_with_its_reason_and_the_model_sees_nothing() {
    let server = Scripted::start().await;
    for (policy, code, verdict, remedy) in [
        ("", "denied", "deny", "hoopctl gateway explain"),
        (ASKING, "approval_required", "ask", "send the link"),
    ] {
        let world = World::with_policy(vec![model("m", &server.url)], policy).await;
        let client = world.connect_as(|arrival| arrival.asking.wait = false);
        let answer = client.ask(get("/v1/chat/completions")).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!(answer.headers()["x-hoopctl-code"], code);
        let request_id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body: Value = serde_json::from_str(&text(answer.into_body()).await).unwrap();
        assert_eq!(body["error"]["code"], code);
        assert_eq!(body["error"]["request_id"], request_id.as_str());
        assert!(body["error"]["remedy"].as_str().unwrap().contains(remedy), "{body}");
        let event = world.event().await;
        assert_eq!(event.exchange.as_deref(), Some(request_id.as_str()));
        assert_eq!(event.kind, "exchange");
        assert_eq!(event.decision.unwrap().verdict, verdict);
        assert_eq!(event.response.unwrap().outcome, "refused");
        assert_eq!(event.caller.unwrap().subject, "alice");
    }
    assert_eq!(server.waiting(), 0);
}

#[tokio::test]
async fn a_stranger_is_told_nothing_of_the_models() {
    let mut known = model("m", "http://127.0.0.1:9");
    known.dialect = Dialect::Ollama;
    let world = World::new(vec![known]).await;
    let problem = Problem::new(code::LOGIN_REQUIRED, "who is there?");
    let told = async |path: &str| {
        let head = Request::post(path).body(()).unwrap().into_parts().0;
        let body = world.pipeline.refuse(&head, &problem).into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice::<Value>(&body).unwrap()["error"].clone()
    };
    assert!(told("/show").await.is_object(), "the model's own dialect would say a text");
    assert!(told("/api/show").await.is_string(), "the request's own shape is kept");
}

#[tokio::test]
async fn a_lease_that_is_over_is_found_at_the_next_exchange() {
    let server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let client = world.connect_as(|arrival| arrival.lease = Lease::detached(alice(), SystemTime::UNIX_EPOCH));
    let answer = client.ask(get("/")).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()["x-hoopctl-code"], "login_required");
    let event = world.event().await;
    assert_eq!((event.caller, event.source.as_deref()), (None, Some("127.0.0.1")));
    assert_eq!(server.waiting(), 0);
}

/// The sample of the documentation grants no `list` for the model that has to be asked for.
#[tokio::test]
async fn what_may_be_used_or_asked_for_is_listed_and_nothing_else() {
    let jit =
        r#"@id("jit") permit(principal, action == Action::"invoke", resource) when { context.approved };"#;
    let used = r#"@id("used") permit(principal, action == Action::"invoke", resource);"#;
    let seen = r#"@id("seen") permit(principal, action == Action::"list", resource);"#;
    let hidden = format!(r#"{used} @id("hidden") forbid(principal, action == Action::"list", resource);"#);
    for (policy, access) in
        [(jit, Some("ask")), (used, Some("permit")), (seen, None), (hidden.as_str(), None), ("", None)]
    {
        let world = World::with_policy(vec![model("m", "http://127.0.0.1:9")], policy).await;
        let listed = world.pipeline.models_for(&alice(), None, None);
        assert_eq!(listed.first().map(|model| model.access.as_str()), access, "{policy}");
    }
}

#[tokio::test]
async fn an_unknown_model_is_answered_with_the_nearest_that_may_be_listed() {
    let policy = r#"@id("one") permit(principal, action in [Action::"list", Action::"invoke"], resource)
        unless { resource.hasTag("hidden") };"#;
    let mut hidden = model("fraud-detectr2", "http://127.0.0.1:9");
    hidden.labels.insert("hidden".into(), "yes".into());
    let world = World::with_policy(vec![model("fraud-detector", "http://127.0.0.1:9"), hidden], policy).await;
    for (asked, nearest) in [("fraud-detectr2x", Some("fraud-detector")), ("other", None)] {
        let answer = world.connect_as(|arrival| arrival.model = asked.to_owned()).ask(get("/")).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(answer.headers()["x-hoopctl-code"], "model_unknown");
        let body = text(answer.into_body()).await;
        match nearest {
            Some(name) => assert!(body.contains(&format!("did you mean `{name}`?")), "{body}"),
            None => assert!(!body.contains("did you mean"), "{body}"),
        }
    }
    let listed = world.pipeline.models_for(&alice(), None, None);
    assert_eq!(
        listed.iter().map(|m| (m.name.as_str(), m.access.as_str())).collect::<Vec<_>>(),
        [("fraud-detector", "permit")]
    );
    assert!(world.pipeline.knows("fraud-detectr2") && !world.pipeline.knows("other"));
}

#[tokio::test]
async fn a_model_that_asks_is_listed_as_such() {
    let world = World::with_policy(vec![model("m", "http://127.0.0.1:9")], ASKING).await;
    assert_eq!(world.pipeline.models_for(&alice(), None, None)[0].access, "ask");
    let denied = World::with_policy(vec![model("m", "http://127.0.0.1:9")], "").await;
    assert!(denied.pipeline.models_for(&alice(), None, None).is_empty());
}

#[tokio::test]
async fn a_loopback_port_answers_programs_with_its_key_alone() {
    use aws_lc_rs::digest;
    let url = servers::http(None, mirror).await;
    let world = World::of(&url).await;
    let key = super::super::exchange::hex(digest::digest(&digest::SHA256, b"k3y").as_ref());
    let door = Door::Port { port: 4100, key_sha256: Some(key) };
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = Request::get("/").header("host", "127.0.0.1:4100");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        world.connect_as(|arrival| arrival.door = door.clone()).ask(request.body(empty()).unwrap()).await
    };
    let page = [("x-api-key", "k3y"), ("origin", "http://evil.test")];
    for (refused, status, code) in [
        (&[][..], StatusCode::UNAUTHORIZED, "local_key"),
        (&[("x-api-key", "no")], StatusCode::UNAUTHORIZED, "local_key"),
        (&page, StatusCode::FORBIDDEN, "local_refused"),
    ] {
        let answer = ask(refused).await;
        assert_eq!((answer.status(), &answer.headers()["x-hoopctl-code"]), (status, &code.parse().unwrap()));
    }
    let answer = ask(&[("authorization", "Bearer k3y")]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!text(answer.into_body()).await.contains("k3y"), "the key ends at the gateway");
    let events = world.events().await;
    let outcomes: Vec<_> = events.iter().map(|e| e.response.as_ref().unwrap().outcome.as_str()).collect();
    assert_eq!(outcomes, ["refused", "refused", "refused", "complete"]);
}

#[tokio::test]
async fn nothing_is_forwarded_that_cannot_be_audited() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    world.journal.with(|journal| journal.fail_append = Some(Box::new(|_| true)));
    let answer = world.connect().ask(get("/")).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["x-hoopctl-code"], "audit_unavailable");
    assert_eq!(server.waiting(), 0);
    // And it recovers with the log.
    world.journal.with(|journal| journal.fail_append = None);
    let asked = world.connect().ask(get("/"));
    let script = async {
        let mut line = server.accept().await;
        line.head().await;
        line.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    };
    assert_eq!(tokio::join!(asked, script).0.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_intent_is_written_before_the_first_byte_goes_out() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut line = server.accept().await;
    line.head().await;
    assert_eq!(world.journal.with(|journal| journal.records.len()), 1);
    line.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    client.read_until("\r\n\r\n").await;
    // And the finish before the caller has the end.
    assert_eq!(world.journal.with(|journal| journal.records.len()), 2);
}

#[tokio::test]
async fn refusals_speak_the_callers_dialect() {
    let world = World::with_policy(vec![model("m", "http://127.0.0.1:9")], "").await;
    let anthropic = text(world.connect().ask(get("/v1/messages")).await.into_body()).await;
    assert!(anthropic.starts_with(r#"{"type":"error","error":{"type":"permission_error""#), "{anthropic}");
    let ollama = text(world.connect().ask(get("/api/chat")).await.into_body()).await;
    assert!(ollama.starts_with(r#"{"error":"policy does not let alice@example.test"#), "{ollama}");
    let mut http = world.connect().http2().await;
    let request =
        Request::post("http://x/p.S/M").header("content-type", "application/grpc").body(full("")).unwrap();
    let grpc = soon(http.send_request(request)).await.unwrap();
    assert_eq!((grpc.status(), &grpc.headers()["grpc-status"]), (StatusCode::OK, &"7".parse().unwrap()));
}

#[tokio::test]
async fn reloaded_models_serve_new_exchanges_and_a_bad_reload_changes_nothing() {
    let url = servers::http(None, mirror).await;
    let world = World::of("http://127.0.0.1:9").await;
    let mut bad = model("m", "http://127.0.0.1:9");
    bad.upstream.relaxed = false;
    assert!(world.pipeline.reload(vec![bad]).is_err());
    assert_eq!(world.connect().ask(get("/")).await.status(), StatusCode::BAD_GATEWAY);
    world.pipeline.reload(vec![model("m", &url)]).unwrap();
    assert_eq!(world.connect().ask(get("/")).await.status(), StatusCode::OK);
}
