//! Workload tokens.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    provider::{Idp, Key},
    world::{Answer, Browser, SESSION, World, csr, manual},
};
use crate::gateway::identity::{Happening, Jwks, ProviderConfig, ProviderKind};

const ISSUER: &str = "https://ci.example.test";
const NOW: i64 = 1_795_418_146;

fn provider(issuer: &str, jwks: Option<Jwks>) -> ProviderConfig {
    let kind = ProviderKind::Workload {
        issuer: issuer.to_owned(),
        audience: "hoopctl".to_owned(),
        jwks,
        subject_claim: "sub".to_owned(),
        groups_claim: Some("groups".to_owned()),
        ca: None,
    };
    ProviderConfig { name: "ci".to_owned(), kind }
}

async fn with_file(key: &Key) -> World {
    let (clock, hand) = manual();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jwks.json");
    std::fs::write(&path, json!({ "keys": [key.jwk] }).to_string()).unwrap();
    World::open(dir, clock, hand, vec![provider(ISSUER, Some(Jwks::File(path)))]).await
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": ["hoopctl"], "sub": "job/nightly", "exp": NOW + 600, "iat": NOW,
        "groups": ["ci"],
    })
}

async fn exchange(world: &World, token: &str) -> Answer {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
    ];
    world.post(&mut Browser::new(), "/oauth2/token", &form).await
}

#[tokio::test]
async fn a_workload_gets_a_session_as_long_as_its_token() {
    let key = Key::new("w1");
    let world = with_file(&key).await;
    let answer = exchange(&world, &key.sign(&claims())).await;
    assert!(answer.body.contains("urn:ietf:params:oauth:token-type:access_token"));
    let tokens = answer.tokens();
    assert!(tokens.refresh_token.is_none());
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    assert!(caller.workload);
    assert_eq!((caller.user(), caller.groups.as_slice()), ("job/nightly", &["ci".to_owned()][..]));
    let credential = world.identities.issue(&caller, &csr()).await.unwrap();
    assert_eq!(credential.expires_at, credential.session_expires_at, "no certificate outlives the token");
    let lasts = world.store.rows()[0].expires_at.duration_since(world.clock.now()).unwrap();
    assert_eq!(lasts, Duration::from_secs(600));
    assert!(matches!(&world.happenings()[..], [Happening::Login(who)] if who.workload));
}

#[tokio::test]
async fn a_long_lived_token_gives_no_longer_session_than_a_login() {
    let key = Key::new("w1");
    let world = with_file(&key).await;
    let mut claims = claims();
    claims["exp"] = json!(NOW + 365 * 86_400);
    exchange(&world, &key.sign(&claims)).await.tokens();
    assert_eq!(world.store.rows()[0].expires_at, world.clock.now() + SESSION);
}

#[tokio::test]
async fn wrong_tokens_give_no_session() {
    let key = Key::new("w1");
    let world = with_file(&key).await;
    for (name, value) in [
        ("aud", json!("somebody-else")),
        ("iss", json!("https://evil.test")),
        ("exp", json!(NOW - 301)),
        ("exp", json!(NOW - 1)),
        ("exp", Value::Null),
        ("nbf", json!(NOW + 301)),
        ("sub", Value::Null),
    ] {
        let mut claims = claims();
        claims[name] = value.clone();
        let error = exchange(&world, &key.sign(&claims)).await.error();
        assert_eq!(error, "invalid_grant", "{name}={value}");
    }
    assert_eq!(exchange(&world, &Key::new("w1").sign(&claims())).await.error(), "invalid_grant");
    assert_eq!(exchange(&world, "garbage").await.error(), "invalid_grant");
    assert!(world.store.rows().is_empty());
}

#[tokio::test]
async fn keys_are_discovered_from_the_issuer() {
    let (clock, hand) = manual();
    let idp = Idp::start(clock.clone()).await;
    let issuer = idp.lock().issuer.clone();
    let world = World::open(tempfile::tempdir().unwrap(), clock, hand, vec![provider(&issuer, None)]).await;
    let mut claims = claims();
    claims["iss"] = json!(issuer);
    let token = idp.lock().key.sign(&claims);
    exchange(&world, &token).await.tokens();
}

#[tokio::test]
async fn other_kinds_of_tokens_and_delegation_are_refused() {
    let key = Key::new("w1");
    let world = with_file(&key).await;
    let token = key.sign(&claims());
    for extra in [
        ("subject_token_type", "urn:ietf:params:oauth:token-type:saml2"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"),
        ("actor_token", "x"),
        ("client_id", "other"),
    ] {
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", token.as_str()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ];
        form.retain(|(name, _)| *name != extra.0);
        form.push(extra);
        let error = world.post(&mut Browser::new(), "/oauth2/token", &form).await.error();
        assert!(["invalid_request", "invalid_client"].contains(&error.as_str()), "{extra:?}");
    }
}

#[tokio::test]
async fn workloads_do_not_log_in_with_a_browser() {
    let world = with_file(&Key::new("w1")).await;
    assert_eq!(world.authorize(&mut Browser::new(), &[]).await.sent("error"), "invalid_request");
}

/// A world whose callers may use the model `llama` alone.
async fn with_model(key: &Key) -> World {
    let world = with_file(key).await;
    world.identities.judge_models(Box::new(|caller, model| caller.workload && model == "llama"));
    world
}

async fn narrowed(world: &World, token: &str, extra: &[(&str, &str)]) -> Answer {
    let mut form = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    form.extend(extra);
    world.post(&mut Browser::new(), "/oauth2/token", &form).await
}

const LLAMA: &str = "https://localhost:8443/models/llama";

#[tokio::test]
async fn a_session_is_narrowed_to_one_model_and_good_for_nothing_else() {
    let key = Key::new("w1");
    let world = with_model(&key).await;
    let general = exchange(&world, &key.sign(&claims())).await.tokens().access_token;
    for extra in [
        &[("resource", LLAMA)][..],
        &[("audience", LLAMA)],
        &[("resource", "https://localhost:8443/models/llama/"), ("scope", "everything")],
    ] {
        let bound = narrowed(&world, &general, extra).await.tokens();
        assert!(bound.refresh_token.is_none());
        let token = bound.access_token;
        for _twice in 0..2 {
            assert_eq!(
                world.identities.bearer_for(&token, "llama").await.unwrap().caller.user(),
                "job/nightly"
            );
            assert!(world.identities.bearer_for(&token, "other").await.is_err());
            assert!(world.identities.bearer(&token).await.is_err(), "not at the API");
        }
        assert_eq!(narrowed(&world, &token, &[("resource", LLAMA)]).await.error(), "invalid_grant");
    }
    assert!(world.identities.bearer_for(&general, "llama").await.is_ok(), "a general token is good too");
    assert_eq!(world.store.rows().len(), 1, "no session of its own");
}

#[tokio::test]
async fn a_workloads_token_is_traded_for_one_models_token_at_once() {
    let key = Key::new("w1");
    let world = with_model(&key).await;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &key.sign(&claims())),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("resource", LLAMA),
    ];
    let token = world.post(&mut Browser::new(), "/oauth2/token", &form).await.tokens().access_token;
    assert!(world.identities.bearer(&token).await.is_err());
    assert!(world.identities.bearer_for(&token, "llama").await.is_ok());
}

#[tokio::test]
async fn what_is_no_model_of_the_callers_is_no_target() {
    let key = Key::new("w1");
    let world = with_model(&key).await;
    let general = exchange(&world, &key.sign(&claims())).await.tokens().access_token;
    for resource in [
        "https://localhost:8443/models/unknown",
        "https://evil.test/models/llama",
        "https://localhost:8443.evil.test/models/llama",
        "https://localhost:8443/models/llama/v1",
        "https://localhost:8443/models/",
        "https://localhost:8443/models/llama?x",
        "https://localhost:8443",
        "llama",
    ] {
        let error = narrowed(&world, &general, &[("resource", resource)]).await.error();
        assert_eq!(error, "invalid_target", "{resource}");
    }
    assert_eq!(narrowed(&world, &general, &[]).await.error(), "invalid_target", "no eternal life");
    let two = [("resource", LLAMA), ("audience", "https://localhost:8443/models/other")];
    assert_eq!(narrowed(&world, &general, &two).await.error(), "invalid_target");
    let before = world.store.rows().len();
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &key.sign(&claims())),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("resource", "https://localhost:8443/models/unknown"),
    ];
    assert_eq!(world.post(&mut Browser::new(), "/oauth2/token", &form).await.error(), "invalid_target");
    assert_eq!(world.store.rows().len(), before, "no session was begun for nothing");
}

#[tokio::test]
async fn a_revoked_session_gives_and_keeps_no_tokens() {
    let key = Key::new("w1");
    let world = with_model(&key).await;
    let general = exchange(&world, &key.sign(&claims())).await.tokens().access_token;
    let bound = narrowed(&world, &general, &[("resource", LLAMA)]).await.tokens().access_token;
    assert!(world.identities.bearer_for(&bound, "llama").await.is_ok());
    assert_eq!(world.identities.revoke("job/nightly", "test").await.unwrap().len(), 1);
    assert!(world.identities.bearer_for(&bound, "llama").await.is_err());
    assert_eq!(narrowed(&world, &general, &[("resource", LLAMA)]).await.error(), "invalid_grant");
    let huge = "x".repeat(60_000);
    assert_eq!(narrowed(&world, &huge, &[("resource", LLAMA)]).await.error(), "invalid_grant");
    assert_eq!(exchange(&world, &huge).await.error(), "invalid_grant");
}
