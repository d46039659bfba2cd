//! Logging in with the browser: codes, PKCE, cookies, the dev page.

use std::{net::SocketAddr, time::Duration};

use axum::http::{Request, StatusCode, header};

use super::world::{Browser, ISSUER, REDIRECT, VERIFIER, World, dev, manual, oidc, open_error};
use crate::{
    gateway::identity::{Happening, ProviderConfig},
    wire::api::{CLIENT_ID, Discovery},
};

#[tokio::test]
async fn a_dev_user_logs_in_and_is_known() {
    let world = World::dev().await;
    let tokens = world.dev_login("alice").await;
    assert_eq!((tokens.token_type.as_str(), tokens.expires_in), ("Bearer", 300));
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    assert_eq!((caller.user(), caller.provider.as_str()), ("alice", "dev"));
    assert_eq!(caller.groups, ["ml-users", "fraud-readers"]);
    assert!(matches!(&world.happenings()[..], [Happening::Login(who)] if who.subject == "alice"));
}

#[tokio::test]
async fn secrets_are_not_in_the_database() {
    let world = World::dev().await;
    let code = world.dev_code("alice").await;
    assert!(!world.store.dump().contains(&code));
    let tokens = world.redeem(&code).await.tokens();
    let dump = world.store.dump();
    assert!(!dump.contains(tokens.refresh_token.as_deref().unwrap()) && !dump.contains(&tokens.access_token));
}

#[tokio::test]
async fn a_wrong_verifier_gets_nothing_and_spends_the_code() {
    let world = World::dev().await;
    let code = world.dev_code("alice").await;
    for verifier in ["", "x", &VERIFIER.replace('d', "e")] {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT_ID),
            ("code", code.as_str()),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier),
        ];
        let error = world.post(&mut Browser::new(), "/oauth2/token", &form).await.error();
        assert!(["invalid_grant", "invalid_request"].contains(&error.as_str()));
    }
    assert_eq!(world.redeem(&code).await.error(), "invalid_grant");
    assert!(world.store.rows().is_empty());
}

#[tokio::test]
async fn a_code_is_for_its_redirect_address_and_client() {
    let world = World::dev().await;
    for (redirect, client, expected) in
        [("http://127.0.0.1:1/callback", CLIENT_ID, "invalid_grant"), (REDIRECT, "other", "invalid_client")]
    {
        let code = world.dev_code("alice").await;
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code.as_str()),
            ("redirect_uri", redirect),
            ("code_verifier", VERIFIER),
        ];
        assert_eq!(world.post(&mut Browser::new(), "/oauth2/token", &form).await.error(), expected);
    }
}

#[tokio::test]
async fn a_code_lasts_a_minute() {
    let world = World::dev().await;
    let code = world.dev_code("alice").await;
    world.hand.advance(Duration::from_secs(60));
    assert_eq!(world.redeem(&code).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_second_use_of_a_code_ends_the_session_made_from_it() {
    let world = World::dev().await;
    let code = world.dev_code("alice").await;
    let tokens = world.redeem(&code).await.tokens();
    assert!(world.identities.bearer(&tokens.access_token).await.is_ok());
    assert_eq!(world.redeem(&code).await.error(), "invalid_grant");
    assert!(world.identities.bearer(&tokens.access_token).await.is_err());
    assert_eq!(world.refresh(&tokens.refresh_token.unwrap()).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_code_used_twice_at_once_leaves_no_session() {
    let world = World::dev().await;
    let code = world.dev_code("alice").await;
    tokio::join!(world.redeem(&code), world.redeem(&code));
    assert!(world.store.rows().iter().all(|row| row.revoked));
}

#[tokio::test]
async fn errors_go_to_the_laptop_and_carry_its_state() {
    let world = World::dev().await;
    let answer = world.authorize(&mut Browser::new(), &[("provider", "nobody")]).await;
    assert_eq!(answer.sent("error"), "invalid_request");
    let answer = world.authorize(&mut Browser::new(), &[("response_type", "code")]).await;
    assert_eq!(answer.sent("error"), "invalid_request");
    let answer = world.authorize(&mut Browser::new(), &[("redirect_uri", "http://evil.test/callback")]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.headers.get(header::LOCATION).is_none());
}

#[tokio::test]
async fn pages_cannot_be_framed_cached_or_scripted() {
    let world = World::dev().await;
    let page = world.authorize(&mut Browser::new(), &[]).await;
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(page.headers[header::X_FRAME_OPTIONS], "DENY");
    // The next site learns no address, and our own form keeps its `Origin` (Fetch, "serializing a request origin").
    assert_eq!(page.headers[header::REFERRER_POLICY], "same-origin");
}

#[tokio::test]
async fn the_dev_page_needs_its_own_browser() {
    let world = World::dev().await;
    let mut browser = Browser::new();
    let login = world.authorize(&mut browser, &[]).await.hidden("login");
    let form = [("login", login.as_str()), ("user", "alice")];
    let stranger = world.post(&mut Browser::new(), "/login/dev", &form).await;
    assert_eq!(stranger.status, StatusCode::BAD_REQUEST);
    let mut other = Browser::new();
    let other_login = world.authorize(&mut other, &[]).await.hidden("login");
    let crossed = world.post(&mut browser, "/login/dev", &[("login", &other_login), ("user", "alice")]).await;
    assert_eq!(crossed.status, StatusCode::BAD_REQUEST);
    let mut request = Request::post("/login/dev")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ORIGIN, "https://evil.test");
    request.headers_mut().unwrap().insert(header::HOST, "localhost".parse().unwrap());
    let foreign = request.body(format!("login={login}&user=alice").into()).unwrap();
    assert_eq!(world.send(&mut browser, foreign).await.status, StatusCode::BAD_REQUEST);
    assert!(!world.post(&mut browser, "/login/dev", &form).await.sent("code").is_empty());
    assert_eq!(browser.cookies(), 0, "the finished sign-in's cookie is taken away");
}

#[tokio::test]
async fn the_dev_page_knows_only_the_users_of_the_configuration() {
    let world = World::dev().await;
    let mut browser = Browser::new();
    let login = world.authorize(&mut browser, &[]).await.hidden("login");
    let answer = world.post(&mut browser, "/login/dev", &[("login", &login), ("user", "root")]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_dev_page_serves_this_machine_alone() {
    let world = World::dev().await;
    let mut browser = Browser::new();
    let login = world.authorize(&mut browser, &[]).await.hidden("login");
    for peer in [None, Some(SocketAddr::from(([10, 0, 0, 7], 40_000)))] {
        browser.peer = peer;
        let form = [("login", login.as_str()), ("user", "alice")];
        assert_eq!(world.post(&mut browser, "/login/dev", &form).await.status, StatusCode::FORBIDDEN);
        assert_eq!(world.authorize(&mut browser, &[]).await.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_dev_provider_beside_the_world_is_refused_at_start() {
    let error = open_error("https://gateway.example.test", vec![dev()]).await;
    assert!(error.to_string().contains("loopback"), "{error}");
}

#[tokio::test]
async fn mistakes_are_found_at_start() {
    for url in ["http://localhost", "https://localhost/path", "https://user@localhost", "https://localhost?x"]
    {
        assert!(open_error(url, vec![]).await.to_string().contains("public_url"), "{url}");
    }
    assert!(open_error(ISSUER, vec![dev(), dev()]).await.to_string().contains("rename"));
    let (clock, _) = manual();
    let dir = tempfile::tempdir().unwrap();
    let idp = super::provider::Idp::start(clock).await;
    let company = oidc(&idp, dir.path());
    std::fs::remove_file(dir.path().join("client-secret")).unwrap();
    assert!(open_error(ISSUER, vec![company]).await.to_string().contains("client-secret"));
}

#[tokio::test]
async fn several_providers_are_offered_and_one_can_be_asked_for() {
    let (clock, hand) = manual();
    let dir = tempfile::tempdir().unwrap();
    let idp = super::provider::Idp::start(clock.clone()).await;
    let second = ProviderConfig { name: "dev & co".to_owned(), ..dev() };
    let providers = vec![oidc(&idp, dir.path()), second];
    let world = World::open(dir, clock, hand, providers).await;
    let mut browser = Browser::new();
    let page = world.authorize(&mut browser, &[]).await;
    assert_eq!((page.status, browser.cookies()), (StatusCode::OK, 0));
    let link = page.body.split("href=\"").nth(2).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    assert!(world.get(&mut browser, &link).await.body.contains("alice"), "{link}");
    let hinted = world.authorize(&mut browser, &[("provider", "company")]).await;
    assert!(hinted.location().as_str().starts_with(idp.issuer().as_str()));
}

#[tokio::test]
async fn discovery_says_where_everything_is() {
    let world = World::dev().await;
    let found = world.get(&mut Browser::new(), "/.well-known/hoopctl").await;
    let found: Discovery = serde_json::from_str(&found.body).unwrap();
    assert_eq!(found.issuer, ISSUER);
    assert_eq!(found.token_endpoint, format!("{ISSUER}/oauth2/token"));
    assert_eq!((found.providers[0].name.as_str(), found.providers[0].kind.as_str()), ("dev", "dev"));
    let metadata = world.get(&mut Browser::new(), "/.well-known/oauth-authorization-server").await;
    let metadata: serde_json::Value = serde_json::from_str(&metadata.body).unwrap();
    assert_eq!(metadata["issuer"], ISSUER);
    assert_eq!(metadata["code_challenge_methods_supported"], serde_json::json!(["S256"]));
}

#[tokio::test]
async fn token_requests_are_bounded_and_strict() {
    let world = World::dev().await;
    let browser = &mut Browser::new();
    let long = "x".repeat(70_000);
    assert_eq!(world.refresh(&long).await.error(), "invalid_request");
    let json = Request::post("/oauth2/token").body("{}".into()).unwrap();
    assert_eq!(world.send(browser, json).await.error(), "invalid_request");
    let twice = [("grant_type", "refresh_token"), ("grant_type", "refresh_token")];
    assert_eq!(world.post(browser, "/oauth2/token", &twice).await.error(), "invalid_request");
    let password = [("grant_type", "password"), ("client_id", CLIENT_ID)];
    assert_eq!(world.post(browser, "/oauth2/token", &password).await.error(), "unsupported_grant_type");
    assert_eq!(world.get(browser, "/oauth2/token").await.status, StatusCode::METHOD_NOT_ALLOWED);
}
