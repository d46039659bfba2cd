//! The relying party: what it believes, and what it does at renewals.

use std::{sync::atomic::Ordering, time::Duration};

use axum::http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{
    provider::{Idp, Inner, Key, Strange},
    world::{Browser, LIFE, SESSION, World},
};
use crate::gateway::identity::Happening;

/// Logs in at a provider that was changed; the error the laptop is told.
async fn refused(change: impl FnOnce(&mut Inner)) -> String {
    let (world, idp) = World::company().await;
    change(&mut idp.lock());
    let answer = world.company_callback(&idp).await;
    assert!(world.store.rows().is_empty());
    assert!(
        matches!(world.happenings().last(), Some(Happening::LoginFailed { provider, .. }) if provider == "company")
    );
    answer.sent("error")
}

/// Logs in at a provider that was changed; the caller's groups.
async fn groups(change: impl FnOnce(&mut Inner)) -> Vec<String> {
    let (world, idp) = World::company().await;
    change(&mut idp.lock());
    let tokens = world.company_login(&idp).await;
    world.identities.bearer(&tokens.access_token).await.unwrap().groups.clone()
}

fn set(name: &'static str, value: Value) -> impl FnOnce(&mut Inner) {
    move |inner| inner.change = Some(Box::new(move |claims| claims[name] = value.clone()))
}

fn unset(name: &'static str) -> impl FnOnce(&mut Inner) {
    move |inner| {
        inner.change = Some(Box::new(move |claims| {
            claims.as_object_mut().unwrap().remove(name);
        }));
    }
}

fn forge(with: impl Fn(&Value, &Key) -> String + Send + 'static) -> impl FnOnce(&mut Inner) {
    move |inner| inner.forge = Some(Box::new(with))
}

#[tokio::test]
async fn a_person_logs_in_at_the_company() {
    let (world, idp) = World::company().await;
    let tokens = world.company_login(&idp).await;
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    assert_eq!((caller.subject.as_str(), caller.user()), ("u-alice", "alice@example.test"));
    assert_eq!(
        (caller.provider.as_str(), caller.groups.as_slice()),
        ("company", &["ml-users".to_owned()][..])
    );
    let sealed = world.store.rows()[0].provider_refresh.clone().unwrap();
    let plain = idp.lock().refresh[0].clone();
    assert!(!sealed.windows(plain.len()).any(|window| window == plain.as_bytes()));
}

#[tokio::test]
async fn the_provider_is_asked_properly() {
    let (world, _idp) = World::company().await;
    let url = world.authorize(&mut Browser::new(), &[]).await.location();
    let query: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(query["redirect_uri"], "https://localhost:8443/login/callback");
    assert_eq!(query["scope"], "openid profile email groups offline_access");
    assert_eq!(query["prompt"], "consent");
    assert!(query["state"].len() >= 43 && query["nonce"].len() >= 43 && query["state"] != query["nonce"]);
}

#[tokio::test]
async fn scopes_that_the_provider_does_not_know_are_not_asked_for() {
    let (world, idp) = World::company().await;
    idp.lock().metadata["scopes_supported"] = json!(["openid", "email"]);
    let url = world.authorize(&mut Browser::new(), &[]).await.location();
    assert!(
        url.as_str().contains("scope=openid+email&") || url.as_str().ends_with("scope=openid+email"),
        "{url}"
    );
}

#[tokio::test]
async fn tokens_with_wrong_claims_are_not_believed() {
    let past = json!(1_795_418_146 - 300);
    let future = json!(1_795_418_146 + 301);
    let cases: [(&'static str, Value); 11] = [
        ("aud", json!("somebody-else")),
        ("aud", json!(["somebody-else"])),
        ("aud", json!(["hoop-gateway", "somebody-else"])),
        ("azp", json!("somebody-else")),
        ("iss", json!("https://evil.test")),
        ("exp", past),
        ("iat", future.clone()),
        ("nbf", future),
        ("nonce", json!("another")),
        ("sub", json!("")),
        ("sub", json!(7)),
    ];
    for (name, value) in cases {
        assert_eq!(refused(set(name, value.clone())).await, "server_error", "{name}={value}");
    }
    for name in ["iss", "aud", "exp", "iat", "sub", "nonce"] {
        assert_eq!(refused(unset(name)).await, "server_error", "without {name}");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_five_minutes_and_no_session_is_longer_for_it() {
    const NOW: i64 = 1_795_418_146;
    for (name, at) in [("exp", NOW - 299), ("iat", NOW + 300), ("nbf", NOW + 300)] {
        let (world, idp) = World::company().await;
        set(name, json!(at))(&mut idp.lock());
        world.company_login(&idp).await;
        assert_eq!(world.store.rows()[0].expires_at, world.clock.now() + SESSION, "{name}");
    }
    for (name, at) in [("exp", NOW - 300), ("iat", NOW + 301), ("nbf", NOW + 301)] {
        let (world, idp) = World::company().await;
        set(name, json!(at))(&mut idp.lock());
        let told = world.company_callback(&idp).await.sent("error_description");
        assert!(told.contains("compare the clocks") && told.contains("`company`"), "{told}");
    }
}

#[tokio::test]
async fn several_audiences_need_the_authorized_party() {
    let both = |inner: &mut Inner| {
        inner.change = Some(Box::new(|claims| {
            claims["aud"] = json!(["hoop-gateway", "other"]);
            claims["azp"] = json!("hoop-gateway");
        }));
    };
    assert_eq!(groups(both).await, ["ml-users"]);
}

#[tokio::test]
async fn forged_signatures_are_not_believed() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = forge(move |claims, _| format!("{}.{}.", encode(&json!({"alg": "none"})), encode(claims)));
    assert_eq!(refused(none).await, "server_error");
    // The public key as an HMAC secret, in every form an attacker would try.
    for form in 0..2 {
        let confused = forge(move |claims, key| {
            let mut header = Header::new(Algorithm::HS256);
            header.kid = Some(key.kid.clone());
            let secret = match form {
                0 => key.jwk["x"].as_str().unwrap().as_bytes().to_vec(),
                _ => key.jwk.to_string().into_bytes(),
            };
            jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&secret)).unwrap()
        });
        assert_eq!(refused(confused).await, "server_error");
    }
    // A symmetric key in the published set stays unused.
    let oct = forge(|claims, _| {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("k0".to_owned());
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_base64_secret("AAAA").unwrap()).unwrap()
    });
    assert_eq!(refused(oct).await, "server_error");
    let stranger = forge(|claims, _| Key::new("k1").sign(claims));
    assert_eq!(refused(stranger).await, "server_error");
    assert_eq!(refused(forge(|_, _| "no.token".to_owned())).await, "server_error");
}

#[tokio::test]
async fn groups_come_as_text_or_list_from_either_place() {
    assert_eq!(groups(set("groups", json!("one"))).await, ["one"]);
    assert!(groups(unset("groups")).await.is_empty());
    assert!(groups(set("groups", json!({"a": 1}))).await.is_empty());
    let many = |count: usize| json!((0..count).map(|n| format!("g{n}")).collect::<Vec<_>>());
    assert_eq!(groups(set("groups", many(10_000))).await.len(), 10_000);
    assert!(groups(set("groups", many(10_001))).await.is_empty());
    let elsewhere = |inner: &mut Inner| {
        unset("groups")(inner);
        inner.userinfo = Some(json!({"sub": "u-alice", "groups": ["from-userinfo"]}));
    };
    assert_eq!(groups(elsewhere).await, ["from-userinfo"]);
}

#[tokio::test]
async fn userinfo_of_another_person_is_not_believed() {
    let mixed = |inner: &mut Inner| {
        unset("groups")(inner);
        inner.userinfo = Some(json!({"sub": "u-mallory", "groups": ["hoop-admins"]}));
    };
    assert_eq!(refused(mixed).await, "server_error");
}

#[tokio::test]
async fn a_callback_belongs_to_the_browser_that_began() {
    let (world, idp) = World::company().await;
    let mut browser = Browser::new();
    let at_idp = world.authorize(&mut browser, &[]).await.location();
    let state = at_idp.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let path = format!("/login/callback?code={}&state={state}", idp.approve(&at_idp));
    let victim = world.get(&mut Browser::new(), &path).await;
    assert_eq!(victim.status, StatusCode::BAD_REQUEST, "login CSRF");
    let mut other = Browser::new();
    world.authorize(&mut other, &[]).await;
    assert_eq!(world.get(&mut other, &path).await.status, StatusCode::BAD_REQUEST);
    let swapped = path.replace(&state, &format!("{}x", &state[..state.len() - 1]));
    assert_eq!(world.get(&mut browser, &swapped).await.status, StatusCode::BAD_REQUEST);
    world.hand.advance(Duration::from_secs(599));
    assert!(!world.get(&mut browser, &path).await.sent("code").is_empty());
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_refused() {
    for (announced, iss, fits) in [
        (false, None, true),
        (false, Some("https://evil.test"), false),
        (true, None, false),
        (true, Some("own"), true),
    ] {
        let (world, idp) = World::company().await;
        idp.lock().metadata["authorization_response_iss_parameter_supported"] = json!(announced);
        let mut browser = Browser::new();
        let at_idp = world.authorize(&mut browser, &[]).await.location();
        let state = at_idp.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let mut path = format!("/login/callback?code={}&state={state}", idp.approve(&at_idp));
        if let Some(iss) = iss {
            let iss = if iss == "own" { idp.lock().issuer.clone() } else { iss.to_owned() };
            path.push_str(&format!("&iss={iss}"));
        }
        let answer = world.get(&mut browser, &path).await.location();
        assert_eq!(answer.as_str().contains("code="), fits, "{announced} {iss:?} {answer}");
    }
}

#[tokio::test]
async fn what_the_provider_refuses_the_laptop_is_told() {
    let (world, _idp) = World::company().await;
    let mut browser = Browser::new();
    let at_idp = world.authorize(&mut browser, &[]).await.location();
    let state = at_idp.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let path = format!("/login/callback?error=access_denied&state={state}");
    assert_eq!(world.get(&mut browser, &path).await.sent("error"), "access_denied");
}

#[tokio::test]
async fn a_provider_that_is_away_or_somebody_else_is_reported() {
    assert_eq!(
        refused(|i| i.token_error = Some((StatusCode::BAD_GATEWAY, "bad"))).await,
        "temporarily_unavailable"
    );
    let (world, idp) = World::company().await;
    idp.lock().metadata["issuer"] = json!("https://evil.test");
    assert_eq!(world.authorize(&mut Browser::new(), &[]).await.sent("error"), "temporarily_unavailable");
    let (world, idp) = World::company().await;
    idp.lock().metadata["token_endpoint"] = json!("http://evil.test/token");
    assert_eq!(world.authorize(&mut Browser::new(), &[]).await.sent("error"), "temporarily_unavailable");
}

#[tokio::test]
async fn the_secret_goes_into_the_body_only_where_the_provider_wants_it() {
    let (world, idp) = World::company().await;
    idp.lock().metadata["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
    world.company_login(&idp).await;
}

#[tokio::test]
async fn groups_are_read_anew_at_each_refresh() {
    let (world, idp) = World::company().await;
    let mut tokens = world.company_login(&idp).await;
    for group in ["one", "two", "three"] {
        idp.lock().groups = json!([group]);
        tokens = world.refresh(&tokens.refresh_token.unwrap()).await.tokens();
        assert_eq!(world.identities.bearer(&tokens.access_token).await.unwrap().groups, [group]);
    }
}

#[tokio::test]
async fn many_renewals_at_once_use_each_provider_token_once() {
    let (world, idp) = World::company().await;
    let tokens = world.company_login(&idp).await;
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    let sessions = &world.identities.sessions;
    let id = caller.session.as_str();
    let (a, b, c) = tokio::join!(sessions.renew(id), sessions.renew(id), sessions.renew(id));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert!(!idp.lock().refresh.is_empty());
}

#[tokio::test]
async fn a_refusal_of_the_provider_ends_the_session() {
    let (world, idp) = World::company().await;
    let tokens = world.company_login(&idp).await;
    idp.lock().token_error = Some((StatusCode::BAD_REQUEST, "invalid_grant"));
    assert_eq!(world.refresh(&tokens.refresh_token.unwrap()).await.error(), "invalid_grant");
    assert!(world.store.rows()[0].revoked);
    assert!(world.identities.bearer(&tokens.access_token).await.is_err());
}

#[tokio::test]
async fn a_provider_that_is_away_keeps_the_groups() {
    let (world, idp) = World::company().await;
    let mut tokens = world.company_login(&idp).await;
    for error in [
        (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        (StatusCode::UNAUTHORIZED, "invalid_client"),
    ] {
        idp.lock().token_error = Some(error);
        tokens = world.refresh(&tokens.refresh_token.unwrap()).await.tokens();
        assert_eq!(world.identities.bearer(&tokens.access_token).await.unwrap().groups, ["ml-users"]);
    }
    idp.lock().token_error = None;
    idp.lock().groups = json!([]);
    tokens = world.refresh(&tokens.refresh_token.unwrap()).await.tokens();
    assert!(world.identities.bearer(&tokens.access_token).await.unwrap().groups.is_empty());
}

#[tokio::test]
async fn a_renewal_that_names_somebody_else_ends_the_session() {
    let (world, idp) = World::company().await;
    let tokens = world.company_login(&idp).await;
    set("sub", json!("u-mallory"))(&mut idp.lock());
    assert_eq!(world.refresh(&tokens.refresh_token.unwrap()).await.error(), "invalid_grant");
    assert!(world.store.rows()[0].revoked);
}

#[tokio::test]
async fn a_rotated_provider_token_survives_a_renewal_that_fails_after_it() {
    let (world, idp) = World::company().await;
    let tokens = world.company_login(&idp).await;
    set("aud", json!("somebody-else"))(&mut idp.lock());
    let refresh = tokens.refresh_token.unwrap();
    assert_eq!(world.refresh(&refresh).await.error(), "server_error");
    idp.lock().change = None;
    world.refresh(&refresh).await.tokens();
}

#[tokio::test]
async fn a_database_that_fails_at_the_code_is_told_to_the_laptop() {
    let (world, idp) = World::company().await;
    world.store.broken.store(true, Ordering::SeqCst);
    assert_eq!(world.company_callback(&idp).await.sent("error"), "server_error");
}

#[tokio::test]
async fn an_unverified_address_names_nobody() {
    let (world, idp): (World, Idp) = World::company().await;
    set("email_verified", json!(false))(&mut idp.lock());
    let tokens = world.company_login(&idp).await;
    assert_eq!(world.identities.bearer(&tokens.access_token).await.unwrap().email, None);
}

#[tokio::test]
async fn group_names_are_compared_as_they_stand() {
    let odd =
        ["admins", "\u{430}dmins", "admins\u{200b}", "ａdmins", "Admins", "a\"b", "a'b", "a\\b", "{\"a\":1}"];
    assert_eq!(groups(set("groups", json!(odd))).await, odd);
    for broken in ["admins\n", "\nadmins", "a\u{0}b", "a\u{1b}[31mb"] {
        assert!(groups(set("groups", json!(["ml-users", broken]))).await.is_empty(), "{broken:?}");
    }
}

#[tokio::test]
async fn a_name_that_stands_twice_in_a_token_is_not_believed() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    for twice in [r#""groups":["hoop-admins"]"#, r#""sub":"u-mallory""#, r#""aud":"hoop-gateway""#] {
        let twice = twice.to_owned();
        let forged = forge(move |claims, key| {
            let claims = claims.to_string();
            key.sign_text(&format!("{{{twice},{}", claims.strip_prefix('{').unwrap()))
        });
        assert_eq!(refused(forged).await, "server_error");
    }
    let header = forge(move |claims, key| {
        let signed = key.sign(claims);
        let (_, rest) = signed.split_once('.').unwrap();
        format!("{}.{rest}", encode(r#"{"alg":"none","alg":"ES256","kid":"k1"}"#))
    });
    assert_eq!(refused(header).await, "server_error");
    let info = |inner: &mut Inner| {
        unset("groups")(inner);
        inner.userinfo_text = Some(r#"{"sub":"u-alice","groups":["a"],"groups":["hoop-admins"]}"#.to_owned());
    };
    assert_eq!(refused(info).await, "temporarily_unavailable");
}

#[tokio::test]
async fn a_token_endpoint_that_is_none_is_named() {
    for (strange, why) in [
        (Strange::Never, "no answer within 10 s"),
        (Strange::Huge, "length limit"),
        (Strange::Page, "no OAuth 2.0 response"),
    ] {
        let (world, idp) = World::company().await;
        let mut browser = Browser::new();
        let at_idp = world.authorize(&mut browser, &[]).await.location();
        let state = at_idp.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let path = format!("/login/callback?code={}&state={state}", idp.approve(&at_idp));
        idp.lock().strange = Some(strange);
        let never = matches!(strange, Strange::Never);
        if never {
            // The ten seconds pass at once.
            tokio::time::pause();
        }
        let answer = world.get(&mut browser, &path).await;
        assert_eq!(answer.sent("error"), "temporarily_unavailable");
        let told = answer.sent("error_description");
        assert!(told.contains(why) && told.contains("`company`"), "{told}");
        assert!(!told.contains("hotel"), "no body is shown: {told}");
        if never {
            tokio::time::resume();
        }
    }
}

#[tokio::test]
async fn somebody_demoted_loses_the_groups_and_somebody_removed_the_session_at_the_next_renewal() {
    let (world, idp) = World::company().await;
    let tokens = world.company_login(&idp).await;
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    let id = caller.session.as_str();
    let end = world.clock.now() + LIFE;
    let lease = world.identities.sessions.leases.grant((*caller).clone(), end, world.clock.clone());
    idp.lock().groups = json!([]);
    world.identities.sessions.renew(id).await.unwrap();
    assert!(lease.check(world.clock.now()).unwrap().groups.is_empty(), "live connections too");
    idp.lock().token_error = Some((StatusCode::BAD_REQUEST, "invalid_grant"));
    world.identities.sessions.renew(id).await.unwrap_err();
    assert!(lease.check(world.clock.now()).is_err() && lease.ended().is_cancelled());
}

#[tokio::test]
async fn without_a_refresh_token_groups_stay_and_the_session_lives_to_its_end() {
    let (world, idp) = World::company().await;
    idp.lock().gives_refresh = false;
    let tokens = world.company_login(&idp).await;
    let asked = idp.lock().token_reads;
    world.refresh(&tokens.refresh_token.unwrap()).await.tokens();
    assert_eq!(idp.lock().token_reads, asked);
}
