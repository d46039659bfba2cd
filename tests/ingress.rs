//! Applications without the CLI: `/models/{model}/…` on the public HTTPS port of a real gateway process.

use std::{
    io::{Read, Write},
    sync::atomic::Ordering,
    time::Duration,
};

use crate::world::{Model, World, eventually, text};

/// A workload's access token, as its own program gets one (RFC 8693).
fn token(world: &World, name: &str, groups: &[&str]) -> String {
    let subject = world.issuer.token(name, groups, Duration::from_secs(600));
    let form = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token_type=\
         urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token={subject}"
    );
    let (head, body) = world.https_exchange(&format!(
        "POST /oauth2/token HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    ));
    assert!(head.starts_with("http/1.1 200"), "{head} {}", text(&body));
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

fn get(path: &str, token: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nx-own: kept\r\nconnection: close\r\n\r\n"
    )
}

#[test]
fn an_application_with_a_workloads_token_is_served_and_audited_and_the_token_stays() {
    let model = Model::start();
    let world = World::with_model(&model);
    let token = token(&world, "ana", &["ml"]);
    let (head, body) = world.https_exchange(&get("/models/m/headers?q=%2F", &token));
    assert!(head.starts_with("http/1.1 200"), "{head} {}", text(&body));
    let body = text(&body);
    assert!(body.contains("kept") && body.contains("/headers?q=%2F"), "{body}");
    assert!(!body.contains(&token) && !body.to_lowercase().contains("authorization"), "{body}");

    let laptop = world.logged_in("ana", &["ml"]);
    let events = laptop.exchanges();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["caller"]["subject"], "ana");
    assert_eq!(events[0]["request"]["path"], "/headers");
    assert_eq!(events[0]["evidence"]["client"]["transport"], "tcp");
    assert_eq!(events[0]["response"]["outcome"], "complete");
    assert!(!events[0].to_string().contains(&token));
}

#[test]
fn a_stream_passes_write_by_write_and_leaving_cancels_the_model() {
    let model = Model::start();
    let world = World::with_model(&model);
    let token = token(&world, "ana", &["ml"]);
    let mut line = world.https();
    line.write_all(get("/models/m/sse", &token).as_bytes()).unwrap();
    eventually("the request at the model", || (model.say(b"data: 0\n\n") == 1).then_some(()));
    let mut seen = Vec::new();
    let mut read_until = |end: &[u8]| {
        let mut buffer = [0; 1024];
        while !seen.windows(end.len()).any(|w| w == end) {
            let n = line.read(&mut buffer).unwrap();
            assert_ne!(n, 0, "the stream ended early");
            seen.extend_from_slice(&buffer[..n]);
        }
    };
    // Each event is seen before the next one is said: anything held back would deadlock here.
    for event in 1..20 {
        let event = format!("data: {event}\n\n");
        model.say(event.as_bytes());
        read_until(event.as_bytes());
    }
    drop(line);
    eventually("the upstream is cancelled", || (model.seen.left.load(Ordering::SeqCst) == 1).then_some(()));
}

#[test]
fn what_needs_an_approval_is_refused_at_once() {
    let model = Model::start();
    let world = World::with_model(&model);
    world.policy(
        r#"@id("jit") @approvers("leads") permit(principal in Group::"ml", action == Action::"invoke", resource) when { context.approved };"#,
    );
    let token = token(&world, "ana", &["ml"]);
    let answer = eventually("the policy is taken up", || {
        let (head, body) = world.https_exchange(&get("/models/m/v1/chat/completions", &token));
        head.starts_with("http/1.1 403").then(|| text(&body))
    });
    let told: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(told["error"]["code"], "approval_required", "{answer}");
    assert!(told["error"]["request_id"].is_string(), "{answer}");
}
