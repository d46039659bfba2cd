//! Logging in without a browser at hand: codes, consent, polling, and what is refused.

use std::{net::SocketAddr, time::Duration};

use axum::http::{Request, StatusCode, header};

use super::world::{Answer, Browser, ISSUER, World, dev, manual, oidc};
use crate::{
    gateway::identity::{Happening, ProviderConfig},
    wire::api::{CLIENT_ID, DeviceAuthorization, Discovery},
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const POLL: Duration = Duration::from_secs(5);

/// A terminal asks to be logged in.
pub(super) async fn ask(world: &World, extra: &[(&str, &str)]) -> DeviceAuthorization {
    let answer = try_ask(world, &mut Browser::new(), extra).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

async fn try_ask(world: &World, terminal: &mut Browser, extra: &[(&str, &str)]) -> Answer {
    let form = [&[("client_id", CLIENT_ID), ("device_name", "hoopctl/0.1.0 on buildhost")], extra].concat();
    world.post(terminal, "/oauth2/device_authorization", &form).await
}

pub(super) async fn poll(world: &World, device_code: &str) -> Answer {
    let form = [("grant_type", GRANT), ("client_id", CLIENT_ID), ("device_code", device_code)];
    world.post(&mut Browser::new(), "/oauth2/token", &form).await
}

/// A form on a page of the gateway, as browsers send it.
async fn submit(world: &World, browser: &mut Browser, path: &str, form: &[(&str, &str)]) -> Answer {
    submit_from(world, browser, path, form, Some(ISSUER)).await
}

async fn submit_from(
    world: &World,
    browser: &mut Browser,
    path: &str,
    form: &[(&str, &str)],
    origin: Option<&str>,
) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(origin) = origin {
        request = request.header(header::ORIGIN, origin);
    }
    world.send(browser, request.body(body.into()).unwrap()).await
}

/// Enters the code and presses a button; what comes then.
pub(super) async fn answer(world: &World, browser: &mut Browser, code: &str, button: &str) -> Answer {
    let key = submit(world, browser, "/device", &[("user_code", code)]).await.hidden("consent");
    submit(world, browser, "/device/answer", &[("consent", &key), ("answer", button)]).await
}

async fn agree_as(world: &World, browser: &mut Browser, code: &str, user: &str) -> Answer {
    let login = answer(world, browser, code, "continue").await.hidden("login");
    submit(world, browser, "/login/dev", &[("login", &login), ("user", user)]).await
}

#[tokio::test]
async fn whoever_is_ended_collects_no_sign_in_of_before() {
    let world = World::dev().await;
    let device = ask(&world, &[]).await;
    agree_as(&world, &mut Browser::new(), &device.user_code, "alice").await;
    let code = world.dev_code("alice").await;
    let bobs = world.dev_code("bob").await;
    world.identities.revoke("alice", "test").await.unwrap();
    assert_eq!(poll(&world, &device.device_code).await.error(), "invalid_grant");
    assert_eq!(world.redeem(&code).await.error(), "invalid_grant");
    assert!(world.store.rows().iter().all(|row| row.revoked));
    world.redeem(&bobs).await.tokens();
    world.hand.advance(Duration::from_secs(1));
    world.dev_login("alice").await;
}

#[tokio::test]
async fn a_terminal_is_logged_in_by_a_browser_elsewhere_and_once() {
    let world = World::dev().await;
    let device = ask(&world, &[]).await;
    assert_eq!((device.expires_in, device.interval), (600, 5));
    assert_eq!(device.verification_uri, format!("{ISSUER}/device"));
    let complete = device.verification_uri_complete.clone().unwrap();
    assert_eq!(complete, format!("{ISSUER}/device?user_code={}", device.user_code));
    assert_eq!(poll(&world, &device.device_code).await.error(), "authorization_pending");

    let mut browser = Browser::new();
    let page = world.get(&mut browser, &complete[ISSUER.len()..]).await;
    assert!(page.body.contains(&format!("value=\"{}\"", device.user_code)), "filled in: {}", page.body);
    let consent = submit(&world, &mut browser, "/device", &[("user_code", &device.user_code)]).await;
    for shown in ["hoopctl/0.1.0 on buildhost", "127.0.0.1", device.user_code.as_str()] {
        assert!(consent.body.contains(shown), "{shown}: {}", consent.body);
    }
    let done = agree_as(&world, &mut browser, &device.user_code.to_lowercase(), "alice").await;
    assert!(done.status == StatusCode::OK && done.body.contains("You are logged in"), "{}", done.body);

    let tokens = poll(&world, &device.device_code).await.tokens();
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    assert_eq!((caller.user(), caller.groups.len()), ("alice", 2));
    assert!(matches!(&world.happenings()[..], [Happening::Login(who)] if who.subject == "alice"));
    assert_eq!(poll(&world, &device.device_code).await.error(), "invalid_grant", "one use");
    assert!(world.identities.bearer(&tokens.access_token).await.is_ok(), "and the login lives on");
    assert_eq!(world.refresh(&tokens.refresh_token.unwrap()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_codes_are_not_in_the_database() {
    let world = World::dev().await;
    let device = ask(&world, &[]).await;
    let dump = world.store.dump();
    assert!(!dump.contains(&device.device_code));
    assert!(!dump.contains(&format!("user-code:{}", device.user_code.replace('-', ""))));
}

#[tokio::test]
async fn two_polls_at_once_get_one_session() {
    let world = World::dev().await;
    let device = ask(&world, &[]).await;
    agree_as(&world, &mut Browser::new(), &device.user_code, "alice").await;
    let polls = tokio::join!(poll(&world, &device.device_code), poll(&world, &device.device_code));
    assert_eq!([polls.0.status, polls.1.status].iter().filter(|one| one.is_success()).count(), 1);
    assert_eq!(world.store.rows().len(), 1);
}

#[tokio::test]
async fn a_denied_terminal_is_told_so_and_the_first_decision_holds() {
    let world = World::dev().await;
    let device = ask(&world, &[]).await;
    let (mut one, mut other) = (Browser::new(), Browser::new());
    let login = answer(&world, &mut one, &device.user_code, "continue").await.hidden("login");
    let denied = answer(&world, &mut other, &device.user_code, "deny").await;
    assert!(denied.body.contains("Denied") && other.cookies() == 0, "{}", denied.body);
    let late = submit(&world, &mut one, "/login/dev", &[("login", &login), ("user", "alice")]).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST, "{}", late.body);
    assert_eq!(poll(&world, &device.device_code).await.error(), "access_denied");
    assert_eq!(poll(&world, &device.device_code).await.error(), "invalid_grant");
    assert!(world.store.rows().is_empty());
    let again = submit(&world, &mut other, "/device", &[("user_code", &device.user_code)]).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_request_lasts_ten_minutes() {
    let world = World::dev().await;
    let device = ask(&world, &[]).await;
    let mut browser = Browser::new();
    let login = answer(&world, &mut browser, &device.user_code, "continue").await.hidden("login");
    world.hand.advance(Duration::from_secs(599));
    assert_eq!(poll(&world, &device.device_code).await.error(), "authorization_pending");
    world.hand.advance(Duration::from_secs(1));
    assert_eq!(poll(&world, &device.device_code).await.error(), "expired_token");
    let form = [("login", login.as_str()), ("user", "alice")];
    assert_eq!(submit(&world, &mut browser, "/login/dev", &form).await.status, StatusCode::BAD_REQUEST);
    let late = submit(&world, &mut browser, "/device", &[("user_code", &device.user_code)]).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST);
    world.hand.advance(Duration::from_secs(120));
    assert_eq!(poll(&world, &device.device_code).await.error(), "invalid_grant");
}

#[tokio::test]
async fn who_polls_too_fast_is_slowed_down_by_five_seconds_each_time() {
    let world = World::dev().await;
    let device = ask(&world, &[]).await;
    let poll = || async { poll(&world, &device.device_code).await.error() };
    assert_eq!(poll().await, "authorization_pending");
    world.hand.advance(POLL);
    assert_eq!(poll().await, "authorization_pending");
    world.hand.advance(Duration::from_secs(1));
    assert_eq!(poll().await, "slow_down");
    world.hand.advance(POLL);
    assert_eq!(poll().await, "slow_down", "ten seconds now");
    world.hand.advance(3 * POLL);
    assert_eq!(poll().await, "authorization_pending", "fifteen");
}

#[tokio::test]
async fn consent_needs_its_own_browser_its_own_form_and_its_own_page() {
    let world = World::dev().await;
    let device = ask(&world, &[]).await;
    let mut browser = Browser::new();
    let key =
        submit(&world, &mut browser, "/device", &[("user_code", &device.user_code)]).await.hidden("consent");
    let form = [("consent", key.as_str()), ("answer", "continue")];
    for origin in [None, Some("https://evil.test"), Some("null"), Some("http://localhost:8443")] {
        let foreign = submit_from(&world, &mut browser, "/device/answer", &form, origin).await;
        assert_eq!(foreign.status, StatusCode::BAD_REQUEST, "{origin:?}");
        let foreign =
            submit_from(&world, &mut browser, "/device", &[("user_code", &device.user_code)], origin).await;
        assert_eq!(foreign.status, StatusCode::BAD_REQUEST, "{origin:?}");
    }
    let stranger = submit(&world, &mut Browser::new(), "/device/answer", &form).await;
    assert_eq!(stranger.status, StatusCode::BAD_REQUEST, "another browser");
    for wrong in ["", "guessed-guessed-guessed", &key.replace(&key[20..], "AAAAAAAAAAAAAAAAAAAAAAA")] {
        let form = [("consent", wrong), ("answer", "continue")];
        let answer = submit(&world, &mut browser, "/device/answer", &form).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    // Choosing a provider before agreeing, or without having been asked.
    for browser in [&mut browser, &mut Browser::new()] {
        let skipped = world.get(browser, &format!("/device/sign-in?consent={key}&provider=dev")).await;
        assert_eq!(skipped.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(world.get(&mut browser, "/device/answer").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(poll(&world, &device.device_code).await.error(), "authorization_pending");
    assert_eq!(submit(&world, &mut browser, "/device/answer", &form).await.status, StatusCode::OK);
}

#[tokio::test]
async fn guessing_codes_is_bounded() {
    let world = World::dev().await;
    let device = ask(&world, &[]).await;
    let mut guesser = Browser::new();
    let guess = [("user_code", "BBBB-BBBB")];
    for _ in 0..10 {
        assert_eq!(submit(&world, &mut guesser, "/device", &guess).await.status, StatusCode::BAD_REQUEST);
    }
    // Even the right one tells nothing now.
    let right = [("user_code", device.user_code.as_str())];
    let refused = submit(&world, &mut guesser, "/device", &right).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let mut elsewhere = Browser::new();
    elsewhere.peer = Some(SocketAddr::from(([192, 0, 2, 1], 1)));
    assert_eq!(submit(&world, &mut elsewhere, "/device", &right).await.status, StatusCode::OK);
    world.hand.advance(Duration::from_secs(60));
    assert_eq!(submit(&world, &mut guesser, "/device", &right).await.status, StatusCode::OK);
}

#[tokio::test]
async fn asking_is_bounded_and_strict() {
    let world = World::dev().await;
    let browser = &mut Browser::new();
    let path = "/oauth2/device_authorization";
    let other = [("client_id", "other")];
    assert_eq!(world.post(browser, path, &other).await.error(), "invalid_client");
    let twice = [("client_id", CLIENT_ID), ("provider", "dev"), ("provider", "dev")];
    assert_eq!(world.post(browser, path, &twice).await.error(), "invalid_request");
    let unknown = try_ask(&world, browser, &[("provider", "nobody")]).await;
    assert!(
        unknown.error() == "invalid_request" && unknown.body.contains("there are: dev"),
        "{}",
        unknown.body
    );
    for _ in 0..20 {
        ask(&world, &[]).await;
    }
    assert_eq!(try_ask(&world, browser, &[]).await.error(), "temporarily_unavailable");
    world.hand.advance(Duration::from_secs(60));
    ask(&world, &[]).await;
}

#[tokio::test]
async fn a_device_code_is_of_this_gateway_and_for_its_client() {
    let world = World::dev().await;
    let device = ask(&world, &[]).await;
    assert_eq!(poll(&world, "somebody-elses").await.error(), "invalid_grant");
    assert_eq!(poll(&world, &device.user_code).await.error(), "invalid_grant");
    assert_eq!(poll(&world, "").await.error(), "invalid_request");
    for client in ["other", ""] {
        let form = [("grant_type", GRANT), ("client_id", client), ("device_code", &device.device_code)];
        assert_eq!(world.post(&mut Browser::new(), "/oauth2/token", &form).await.error(), "invalid_client");
    }
}

#[tokio::test]
async fn what_a_device_says_of_itself_is_text() {
    let world = World::dev().await;
    let name = "<b>gateway</b>\u{202e}\n\"'&".to_owned() + &"x".repeat(1000);
    let form = [("client_id", CLIENT_ID), ("device_name", name.as_str())];
    let answer = world.post(&mut Browser::new(), "/oauth2/device_authorization", &form).await;
    let device: DeviceAuthorization = serde_json::from_str(&answer.body).unwrap();
    let page = submit(&world, &mut Browser::new(), "/device", &[("user_code", &device.user_code)]).await;
    assert!(page.body.contains("bgateway/b") && !page.body.contains("<b>gateway"), "{}", page.body);
    assert!(!page.body.contains('\u{202e}') && !page.body.contains(&"x".repeat(100)));
    let page = world.get(&mut Browser::new(), "/device?user_code=%22%3E%3Cscript%3E").await;
    assert!(!page.body.contains("<script"), "{}", page.body);
}

#[tokio::test]
async fn a_person_chooses_among_providers_unless_the_terminal_did() {
    let (clock, hand) = manual();
    let dir = tempfile::tempdir().unwrap();
    let idp = super::provider::Idp::start(clock.clone()).await;
    let providers = vec![oidc(&idp, dir.path()), ProviderConfig { name: "dev & co".to_owned(), ..dev() }];
    let world = World::open(dir, clock, hand, providers).await;

    let device = ask(&world, &[]).await;
    let mut browser = Browser::new();
    let page = answer(&world, &mut browser, &device.user_code, "continue").await;
    let link = page.body.split("href=\"").nth(2).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    let login = world.get(&mut browser, &link).await.hidden("login");
    let done = submit(&world, &mut browser, "/login/dev", &[("login", &login), ("user", "bob")]).await;
    assert!(done.body.contains("You are logged in"), "{}", done.body);
    poll(&world, &device.device_code).await.tokens();

    let device = ask(&world, &[("provider", "company")]).await;
    let mut browser = Browser::new();
    let at_idp = answer(&world, &mut browser, &device.user_code, "continue").await.location();
    assert!(at_idp.as_str().starts_with(idp.issuer().as_str()), "{at_idp}");
    let code = idp.approve(&at_idp);
    let state = at_idp.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let done = world.get(&mut browser, &format!("/login/callback?code={code}&state={state}")).await;
    assert!(done.body.contains("You are logged in"), "{}", done.body);
    let tokens = poll(&world, &device.device_code).await.tokens();
    assert_eq!(world.identities.bearer(&tokens.access_token).await.unwrap().provider, "company");

    // Who cancels at the provider has denied.
    let device = ask(&world, &[("provider", "company")]).await;
    let mut browser = Browser::new();
    let at_idp = answer(&world, &mut browser, &device.user_code, "continue").await.location();
    let state = at_idp.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let page = world.get(&mut browser, &format!("/login/callback?error=access_denied&state={state}")).await;
    assert!(page.headers.get(header::LOCATION).is_none() && page.body.contains("Not signed in"));
    assert_eq!(poll(&world, &device.device_code).await.error(), "access_denied");
}

#[tokio::test]
async fn a_provider_that_is_down_is_named_to_who_agreed_and_the_terminal_still_waits() {
    let (clock, hand) = manual();
    let dir = tempfile::tempdir().unwrap();
    let down = super::outage::nobody().await;
    let world = World::open(dir, clock, hand, vec![down, dev()]).await;
    let device = ask(&world, &[]).await;
    let mut browser = Browser::new();
    let page = answer(&world, &mut browser, &device.user_code, "continue").await;
    assert_eq!(page.body.matches("cannot be asked now").count(), 1, "{}", page.body);
    assert!(!page.body.contains("Give up"), "there is no laptop to tell: {}", page.body);
    let link = page.body.split("href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    let again = world.get(&mut browser, &link).await;
    assert_eq!(again.body.matches("class=\"choice\"").count(), 2, "{}", again.body);
    assert_eq!(world.happenings().len(), 1);
    assert_eq!(poll(&world, &device.device_code).await.error(), "authorization_pending");

    // The terminal wanted this one: there is nothing else to choose.
    let device = ask(&world, &[("provider", "partner")]).await;
    let told = answer(&world, &mut Browser::new(), &device.user_code, "continue").await;
    assert!(told.body.contains("partner") && told.body.contains("still waits"), "{}", told.body);
    assert_eq!(poll(&world, &device.device_code).await.error(), "authorization_pending");
}

#[tokio::test]
async fn a_broken_database_logs_nobody_in() {
    let world = World::dev().await;
    let device = ask(&world, &[]).await;
    world.store.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(poll(&world, &device.device_code).await.error(), "server_error");
    assert_eq!(try_ask(&world, &mut Browser::new(), &[]).await.error(), "server_error");
}

#[tokio::test]
async fn discovery_names_the_endpoint_and_the_grant() {
    let world = World::dev().await;
    let found = world.get(&mut Browser::new(), "/.well-known/hoopctl").await;
    let found: Discovery = serde_json::from_str(&found.body).unwrap();
    let endpoint = format!("{ISSUER}/oauth2/device_authorization");
    assert_eq!(found.device_authorization_endpoint, Some(endpoint.clone()));
    let metadata = world.get(&mut Browser::new(), "/.well-known/oauth-authorization-server").await;
    let metadata: serde_json::Value = serde_json::from_str(&metadata.body).unwrap();
    assert_eq!(metadata["device_authorization_endpoint"], endpoint);
    assert!(metadata["grant_types_supported"].as_array().unwrap().contains(&GRANT.into()));
}
