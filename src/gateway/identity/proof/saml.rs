//! A SAML sign-in from the laptop's request to its session, and every browser and answer that is not the one that asked.

use std::time::Duration;

use axum::http::{StatusCode, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use url::Url;

use super::{
    device,
    world::{Answer, Browser, World, manual},
};
use crate::gateway::identity::{
    Happening, ProviderConfig, ProviderKind,
    saml::corpus::{Answer as Said, config, good},
};

async fn company(session: Option<Duration>) -> World {
    let (clock, hand) = manual();
    let dir = tempfile::tempdir().unwrap();
    let mut saml = config(dir.path());
    saml.session = session;
    let kind = ProviderKind::Saml(Box::new(saml));
    World::open(dir, clock, hand, vec![ProviderConfig { name: "company".to_owned(), kind }]).await
}

/// Begins a sign-in: the request's identifier and the relay state.
async fn begin(world: &World, browser: &mut Browser) -> (String, String) {
    asked(&world.authorize(browser, &[("provider", "company")]).await.location())
}

/// What stands in an address that leads to the provider.
fn asked(url: &Url) -> (String, String) {
    let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let deflated = STANDARD.decode(value("SAMLRequest")).unwrap();
    let xml = String::from_utf8(deflated[5..].to_vec()).unwrap();
    let id = xml.split(" ID=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    (id, value("RelayState"))
}

fn answering(id: &str) -> Said {
    Said {
        in_response_to: id.to_owned(),
        confirmed_request: id.to_owned(),
        assertion_id: format!("{id}a"),
        ..good()
    }
}

/// The provider's POST comes from another site: without the browser's cookies.
async fn deliver(world: &World, xml: &str, relay: &str) -> Answer {
    let form = [("SAMLResponse", STANDARD.encode(xml)), ("RelayState", relay.to_owned())];
    let form: Vec<_> = form.iter().map(|(key, value)| (*key, value.as_str())).collect();
    world.post(&mut Browser::new(), "/saml/company/acs", &form).await
}

fn path(url: &Url) -> String {
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

async fn login(world: &World, browser: &mut Browser, said: impl FnOnce(Said) -> Said) -> Answer {
    let (id, relay) = begin(world, browser).await;
    let onward = deliver(world, &said(answering(&id)).xml(), &relay).await;
    world.get(browser, &path(&onward.location())).await
}

#[tokio::test]
async fn a_person_logs_in_and_is_known_until_the_first_end() {
    for (said, bound, life) in [(None, None, 12 * 3600), (Some(600), None, 600), (None, Some(3600), 3600)] {
        let world = company(bound.map(Duration::from_secs)).await;
        let mut browser = Browser::new();
        let now = world.clock.now();
        let end = said.map(|seconds| now + Duration::from_secs(seconds));
        let answer = login(&world, &mut browser, |answer| Said { session_end: end, ..answer }).await;
        let tokens = world.redeem(&answer.sent("code")).await.tokens();
        let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
        assert_eq!((caller.user(), caller.provider.as_str()), ("alice@example.test", "company"));
        assert_eq!(caller.groups, ["ml-users", "fraud-readers"]);
        assert_eq!(browser.cookies(), 0);
        assert_eq!(world.store.rows()[0].expires_at, now + Duration::from_secs(life));
        // Renewal asks nobody and keeps the groups.
        world.refresh(&tokens.refresh_token.unwrap()).await.tokens();
    }
}

#[tokio::test]
async fn a_device_too_is_logged_in_until_the_first_end() {
    for (said, bound, life) in [(None, None, 12 * 3600), (Some(600), None, 600), (None, Some(3600), 3600)] {
        let world = company(bound.map(Duration::from_secs)).await;
        let waiting = device::ask(&world, &[]).await;
        let mut browser = Browser::new();
        let begun = device::answer(&world, &mut browser, &waiting.user_code, "continue").await;
        let (id, relay) = asked(&begun.location());
        let now = world.clock.now();
        let end = said.map(|seconds| now + Duration::from_secs(seconds));
        let xml = Said { session_end: end, ..answering(&id) }.xml();
        let onward = path(&deliver(&world, &xml, &relay).await.location());
        let done = world.get(&mut browser, &onward).await;
        assert!(done.body.contains("You are logged in"), "{}", done.body);
        // The terminal comes a little later; the end stays where it is.
        world.hand.advance(Duration::from_secs(60));
        let tokens = device::poll(&world, &waiting.device_code).await.tokens();
        assert_eq!(world.identities.bearer(&tokens.access_token).await.unwrap().provider, "company");
        let late = if said.or(bound).is_some() { 0 } else { 60 };
        assert_eq!(world.store.rows()[0].expires_at, now + Duration::from_secs(life + late));
    }
}

#[tokio::test]
async fn a_device_whose_person_the_provider_refuses_is_told() {
    let world = company(None).await;
    let waiting = device::ask(&world, &[]).await;
    let mut browser = Browser::new();
    let begun = device::answer(&world, &mut browser, &waiting.user_code, "continue").await;
    let (id, relay) = asked(&begun.location());
    let said = Said { status: "urn:oasis:names:tc:SAML:2.0:status:Requester".to_owned(), ..answering(&id) };
    let onward = path(&deliver(&world, &said.around(""), &relay).await.location());
    world.get(&mut browser, &onward).await;
    assert_eq!(device::poll(&world, &waiting.device_code).await.error(), "access_denied");
}

#[tokio::test]
async fn another_browser_gets_nothing_and_spends_the_answer() {
    let world = company(None).await;
    let (mut asked, mut other) = (Browser::new(), Browser::new());
    let (id, relay) = begin(&world, &mut asked).await;
    begin(&world, &mut other).await;
    let onward = path(&deliver(&world, &answering(&id).xml(), &relay).await.location());
    assert_eq!(world.get(&mut other, &onward).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.get(&mut asked, &onward).await.status, StatusCode::BAD_REQUEST);
    assert!(world.store.rows().is_empty());
    assert!(
        world.happenings().iter().any(
            |h| matches!(h, Happening::LoginFailed { reason, .. } if reason.contains("another browser"))
        )
    );
}

#[tokio::test]
async fn an_answer_to_another_request_of_the_same_browser_is_refused() {
    let world = company(None).await;
    let mut browser = Browser::new();
    let (_, relay) = begin(&world, &mut browser).await;
    let (other, _) = begin(&world, &mut browser).await;
    let onward = path(&deliver(&world, &answering(&other).xml(), &relay).await.location());
    assert_eq!(world.get(&mut browser, &onward).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_assertion_is_delivered_once() {
    let world = company(None).await;
    let mut browser = Browser::new();
    let (id, relay) = begin(&world, &mut browser).await;
    let xml = answering(&id).xml();
    let onward = path(&deliver(&world, &xml, &relay).await.location());
    let again = path(&deliver(&world, &xml, &relay).await.location());
    let told = world.get(&mut browser, &again).await;
    assert_eq!(told.sent("error"), "server_error");
    assert!(told.sent("error_description").contains("delivered before"));
    // The laptop was told; the first answer's browser has no sign-in any more.
    assert_eq!(world.get(&mut browser, &onward).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_laptop_is_told_what_the_provider_said() {
    let world = company(None).await;
    let mut browser = Browser::new();
    let (id, relay) = begin(&world, &mut browser).await;
    let said = Said { status: "urn:oasis:names:tc:SAML:2.0:status:Requester".to_owned(), ..answering(&id) };
    let onward = path(&deliver(&world, &said.around(""), &relay).await.location());
    assert_eq!(world.get(&mut Browser::new(), &onward).await.status, StatusCode::BAD_REQUEST);
    let told = world.get(&mut browser, &onward).await;
    assert_eq!(told.sent("error"), "access_denied");
    assert!(told.sent("error_description").contains("Requester"));
}

#[tokio::test]
async fn what_nobody_asked_for_is_refused() {
    let world = company(None).await;
    let xml = answering("").xml();
    let mut browser = Browser::new();
    let (_, relay) = begin(&world, &mut browser).await;
    let told = path(&deliver(&world, &xml, &relay).await.location());
    assert!(world.get(&mut browser, &told).await.sent("error_description").contains("answers no request"));
    for form in [
        vec![("RelayState", "x")],
        vec![("SAMLResponse", "x")],
        vec![("SAMLResponse", "x"), ("SAMLResponse", "y")],
    ] {
        let answer = world.post(&mut browser, "/saml/company/acs", &form).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    for path in ["/saml/company/continue", "/saml/company/continue?h=x", "/saml/company/continue?e=AAAA"] {
        assert_eq!(world.get(&mut browser, path).await.status, StatusCode::BAD_REQUEST);
    }
    for path in ["/saml/other/metadata", "/saml/dev/metadata"] {
        assert_eq!(world.get(&mut browser, path).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn the_metadata_says_where_answers_go() {
    let world = company(None).await;
    let answer = world.get(&mut Browser::new(), "/saml/company/metadata").await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/samlmetadata+xml");
    assert!(answer.body.contains("Location=\"https://localhost:8443/saml/company/acs\""), "{}", answer.body);
}
