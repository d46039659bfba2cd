//! Service accounts.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PublicKeyData};
use serde_json::{Value, json};

use super::{
    reload::reload,
    world::{Answer, Browser, SESSION, World, csr, dev, manual, open_error},
};
use crate::{
    gateway::identity::{Happening, ProviderConfig, ProviderKind, ServiceAccount, ServiceProof, Store},
    secret,
};

const ENDPOINT: &str = "https://localhost:8443/oauth2/token";
const NOW: i64 = 1_795_418_146;

fn good() -> String {
    "0123456789abcdef".repeat(4)
}

fn provider(dir: &std::path::Path, secret: &str, key: &KeyPair) -> ProviderConfig {
    let secret_file = dir.join("secret");
    std::fs::write(&secret_file, secret).unwrap();
    let key_file = dir.join("key.pem");
    std::fs::write(&key_file, key.public_key_pem()).unwrap();
    let account =
        |name: &str, proof| ServiceAccount { name: name.to_owned(), groups: vec!["batch".to_owned()], proof };
    let accounts = vec![
        account("nightly", ServiceProof::Secret(secret::Source::File(secret_file))),
        account("signer", ServiceProof::PublicKey(key_file)),
    ];
    ProviderConfig { name: "scripts".to_owned(), kind: ProviderKind::Service { accounts } }
}

async fn world(key: &KeyPair) -> World {
    let (clock, hand) = manual();
    let dir = tempfile::tempdir().unwrap();
    let provider = provider(dir.path(), &good(), key);
    World::open(dir, clock, hand, vec![provider]).await
}

async fn post(world: &World, extra: &[(&str, &str)]) -> Answer {
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(extra);
    world.post(&mut Browser::new(), "/oauth2/token", &form).await
}

fn claims() -> Value {
    json!({"iss": "signer", "sub": "signer", "aud": ENDPOINT, "exp": NOW + 60, "iat": NOW, "jti": "one"})
}

fn signed(key: &KeyPair, claims: &Value) -> String {
    let algorithm = if key.algorithm() == &rcgen::PKCS_ED25519 { Algorithm::EdDSA } else { Algorithm::ES256 };
    let der = key.serialize_der();
    let encoding = match algorithm {
        Algorithm::EdDSA => EncodingKey::from_ed_der(&der),
        _ => EncodingKey::from_ec_der(&der),
    };
    jsonwebtoken::encode(&Header::new(algorithm), claims, &encoding).unwrap()
}

async fn assert(world: &World, jwt: &str) -> Answer {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    post(world, &[("client_assertion_type", kind), ("client_assertion", jwt)]).await
}

#[tokio::test]
async fn a_secret_in_the_form_or_the_header_begins_a_session_without_a_refresh_token() {
    let world = world(&KeyPair::generate().unwrap()).await;
    let secret = good();
    let tokens = post(&world, &[("client_id", "nightly"), ("client_secret", &secret)]).await.tokens();
    assert!(tokens.refresh_token.is_none());
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    assert!(caller.workload);
    assert_eq!((caller.user(), caller.provider.as_str()), ("nightly", "scripts"));
    assert_eq!(caller.groups, ["batch"]);
    assert_eq!(world.store.rows()[0].expires_at, world.clock.now() + SESSION);
    world.identities.issue(&caller, &csr()).await.unwrap();

    let basic = STANDARD.encode(format!("nightly:{secret}"));
    let request = Request::post("/oauth2/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, format!("Basic {basic}"))
        .body(Body::from("grant_type=client_credentials"))
        .unwrap();
    world.send(&mut Browser::new(), request).await.tokens();
    assert!(!world.store.dump().contains(&secret));
}

#[tokio::test]
async fn an_unknown_account_and_a_wrong_secret_look_alike_and_are_told_to_the_audit_log() {
    let world = world(&KeyPair::generate().unwrap()).await;
    let wrong = "x".repeat(64);
    let mut answers = Vec::new();
    for account in ["nightly", "nobody", "signer"] {
        let began = std::time::Instant::now();
        let answer = post(&world, &[("client_id", account), ("client_secret", &wrong)]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
        assert!(began.elapsed() >= Duration::from_millis(240), "a refusal takes its time, whatever it is");
        answers.push(answer.body);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let told = world.happenings();
    assert_eq!(told.len(), 3);
    for happening in told {
        let Happening::LoginFailed { provider, reason } = happening else { panic!("{happening:?}") };
        assert!(provider == "scripts" && !reason.contains(&wrong), "{reason}");
    }
    assert!(world.store.rows().is_empty());
}

#[tokio::test(start_paused = true)]
async fn so_many_failures_have_to_wait_a_minute_and_nobody_else_has() {
    let world = world(&KeyPair::generate().unwrap()).await;
    for _ in 0..10 {
        let answer = post(&world, &[("client_id", "nightly"), ("client_secret", "guess")]).await;
        assert_eq!(answer.error(), "invalid_client");
    }
    let secret = good();
    let limited = post(&world, &[("client_id", "nightly"), ("client_secret", &secret)]).await;
    assert_eq!((limited.status, limited.error().as_str()), (StatusCode::TOO_MANY_REQUESTS, "slow_down"));
    assert_eq!(limited.headers[header::RETRY_AFTER], "60");
    let mut elsewhere = Browser::new();
    elsewhere.peer = Some("192.0.2.7:1".parse().unwrap());
    let form = [("grant_type", "client_credentials"), ("client_id", "nightly"), ("client_secret", &secret)];
    world.post(&mut elsewhere, "/oauth2/token", &form).await.tokens();
    tokio::time::advance(Duration::from_secs(61)).await;
    post(&world, &[("client_id", "nightly"), ("client_secret", &secret)]).await.tokens();
}

#[tokio::test]
async fn a_signature_begins_a_session_once() {
    for kind in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let key = KeyPair::generate_for(kind).unwrap();
        let world = world(&key).await;
        let jwt = signed(&key, &claims());
        let tokens = assert(&world, &jwt).await.tokens();
        let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
        assert_eq!((caller.user(), caller.workload), ("signer", true));
        assert_eq!(assert(&world, &jwt).await.error(), "invalid_client", "a replay");
        let told = world.happenings();
        assert!(
            matches!(told.last(), Some(Happening::LoginFailed { reason, .. }) if reason.contains("before"))
        );
        let mut next = claims();
        next["jti"] = json!("two");
        next["aud"] = json!(["https://elsewhere.test", ENDPOINT]);
        assert(&world, &signed(&key, &next)).await.tokens();
    }
}

#[tokio::test(start_paused = true)]
async fn assertions_that_are_wrong_in_any_way_are_refused() {
    let key = KeyPair::generate().unwrap();
    let world = world(&key).await;
    for (name, value) in [
        ("aud", json!("https://localhost:8443")),
        ("aud", json!([])),
        ("iss", json!("nightly")),
        ("exp", json!(NOW - 61)),
        ("exp", json!(NOW + 361)),
        ("exp", Value::Null),
        ("nbf", json!(NOW + 61)),
        ("iat", json!(NOW + 61)),
        ("jti", json!("")),
        ("jti", Value::Null),
        ("jti", json!("x".repeat(300))),
    ] {
        let mut claims = claims();
        claims[name] = value.clone();
        tokio::time::advance(Duration::from_secs(61)).await;
        let error = assert(&world, &signed(&key, &claims)).await.error();
        assert_eq!(error, "invalid_client", "{name}={value}");
    }
    tokio::time::advance(Duration::from_secs(61)).await;
    let encode = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let none = format!("{}.{}.", encode(&json!({"alg": "none"})), encode(&claims()));
    let confused = jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims(),
        &EncodingKey::from_secret(key.der_bytes()),
    )
    .unwrap();
    let stranger = signed(&KeyPair::generate().unwrap(), &claims());
    let huge = signed(&key, &json!({"sub": "signer", "pad": "x".repeat(20_000)}));
    for (what, jwt) in [("none", none), ("HS256", confused), ("stranger", stranger), ("huge", huge)] {
        let error = assert(&world, &jwt).await.error();
        assert!(["invalid_client", "invalid_request"].contains(&error.as_str()), "{what}: {error}");
    }
    assert!(world.store.rows().is_empty());
    let twice = [("client_id", "nightly"), ("client_secret", "x"), ("client_assertion", "y")];
    assert_eq!(post(&world, &twice).await.error(), "invalid_request");
    assert_eq!(post(&world, &[("client_id", "nightly")]).await.error(), "invalid_client");
}

#[tokio::test]
async fn short_secrets_and_weak_keys_are_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let short = provider(dir.path(), "too-short", &key);
    let error = open_error("https://localhost:8443", vec![short]).await.to_string();
    assert!(error.contains("openssl rand -hex 32") && !error.contains("too-short"), "{error}");
    let other = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let weak = provider(dir.path(), &good(), &other);
    let error = open_error("https://localhost:8443", vec![weak]).await.to_string();
    assert!(error.contains("P-256, Ed25519 or RSA"), "{error}");
}

#[tokio::test]
async fn an_account_that_is_removed_loses_its_session_at_the_next_renewal() {
    let key = KeyPair::generate().unwrap();
    let world = world(&key).await;
    let secret = good();
    post(&world, &[("client_id", "nightly"), ("client_secret", &secret)]).await.tokens();
    let session = world.store.rows()[0].id.clone();
    assert!(world.identities.sessions.renew(&session).await.is_ok());
    let mut row = world.store.rows()[0].clone();
    row.caller.subject = "gone".to_owned();
    world.store.insert_session(&row).await.unwrap();
    assert!(world.identities.sessions.renew(&session).await.is_err());
    assert!(world.store.rows()[0].revoked);
}

#[tokio::test]
async fn without_service_accounts_there_are_none() {
    let (clock, hand) = manual();
    let world = World::open(tempfile::tempdir().unwrap(), clock, hand, vec![dev()]).await;
    let answer = post(&world, &[("client_id", "nightly"), ("client_secret", &good())]).await;
    assert_eq!(answer.error(), "invalid_client");
}

#[tokio::test]
async fn a_changed_secret_or_key_is_taken_up_at_a_reload_and_an_unchanged_one_is_kept() {
    let files = tempfile::tempdir().unwrap();
    let keys = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
    let configured = provider(files.path(), &good(), &keys[0]);
    let (clock, hand) = manual();
    let world = World::open(tempfile::tempdir().unwrap(), clock, hand, vec![configured.clone()]).await;
    let opened = || world.identities.sessions.provider("scripts").unwrap();
    let first = opened();
    reload(&world, vec![configured.clone()]).await;
    assert!(Arc::ptr_eq(&first, &opened()));

    let newer = "fedcba9876543210".repeat(4);
    provider(files.path(), &newer, &keys[1]);
    reload(&world, vec![configured.clone()]).await;
    let (old, new) = (good(), newer.clone());
    let enter =
        async |secret: &str| post(&world, &[("client_id", "nightly"), ("client_secret", secret)]).await;
    assert_eq!(enter(&old).await.error(), "invalid_client");
    enter(&new).await.tokens();
    assert_eq!(assert(&world, &signed(&keys[0], &claims())).await.error(), "invalid_client");
    assert(&world, &signed(&keys[1], &claims())).await.tokens();

    // A bad one changes nothing.
    std::fs::write(files.path().join("secret"), "short").unwrap();
    assert!(world.identities.prepare(vec![configured.clone()]).await.is_err());
    enter(&new).await.tokens();

    // Another place, and then another content of it: a command is asked at each reload.
    let elsewhere = files.path().join("elsewhere");
    std::fs::write(&elsewhere, &old).unwrap();
    let mut moved = configured;
    if let ProviderKind::Service { accounts } = &mut moved.kind {
        let command = vec!["cat".to_owned(), elsewhere.display().to_string()];
        accounts[0].proof = ServiceProof::Secret(secret::Source::Command(command));
    }
    reload(&world, vec![moved.clone()]).await;
    assert_eq!(enter(&new).await.error(), "invalid_client");
    enter(&old).await.tokens();
    std::fs::write(&elsewhere, &new).unwrap();
    reload(&world, vec![moved]).await;
    enter(&new).await.tokens();
}
