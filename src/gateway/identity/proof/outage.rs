//! Several providers, one of them down: who is told what, and who goes on working.

use axum::http::StatusCode;
use url::Url;

use super::{
    provider::{CLIENT, Idp},
    world::{Browser, SESSION, World, manual, oidc},
};
use crate::gateway::identity::{Preset, ProviderConfig, ProviderKind};

/// A provider at an address where nobody listens.
pub(super) async fn nobody() -> ProviderConfig {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let kind = ProviderKind::Oidc {
        issuer,
        client_id: CLIENT.to_owned(),
        client_secret: None,
        scopes: Vec::new(),
        groups_claim: "groups".to_owned(),
        ca: None,
        preset: Preset::Okta,
    };
    ProviderConfig { name: "partner".to_owned(), kind }
}

async fn two() -> (World, Idp) {
    let (clock, hand) = manual();
    let dir = tempfile::tempdir().unwrap();
    let idp = Idp::start(clock.clone()).await;
    let providers = vec![oidc(&idp, dir.path()), nobody().await];
    (World::open(dir, clock, hand, providers).await, idp)
}

/// The addresses of a page's links.
fn links(page: &str) -> Vec<String> {
    let found = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    found.map(|href| href.replace("&#38;", "&").replace("&amp;", "&")).collect()
}

#[tokio::test]
async fn the_page_says_which_provider_is_down_and_why_and_offers_the_others() {
    let (world, idp) = two().await;
    let mut browser = Browser::new();
    let page = world.authorize(&mut browser, &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.body.matches("cannot be asked now").count(), 1, "{}", page.body);
    assert!(page.body.contains("refused"), "why: {}", page.body);
    assert!(!page.body.contains("<script") && page.body.contains("width=device-width"));
    let [company, partner, give_up] = &links(&page.body)[..] else { panic!("{}", page.body) };
    // Chosen all the same: the page again, and the log says so.
    let again = world.get(&mut browser, partner).await;
    assert_eq!((again.status, links(&again.body).len()), (StatusCode::OK, 3), "{}", again.body);
    assert_eq!(world.happenings().len(), 1);
    let at_idp = world.get(&mut browser, company).await.location();
    assert!(at_idp.as_str().starts_with(&idp.lock().issuer));
    assert!(give_up.starts_with("http://127.0.0.1:51234/callback?error=access_denied"), "{give_up}");
    assert!(give_up.contains("state=laptop-state"));
}

#[tokio::test]
async fn a_laptop_that_names_the_provider_is_told_itself() {
    let (world, _idp) = two().await;
    let answer = world.authorize(&mut Browser::new(), &[("provider", "partner")]).await;
    assert_eq!(answer.sent("error"), "temporarily_unavailable");
    let told = answer.sent("error_description");
    assert!(told.contains("`partner` cannot be asked") && told.contains("refused"), "{told}");
}

#[tokio::test]
async fn sessions_live_to_their_end_while_their_provider_is_down() {
    let (world, idp) = World::company().await;
    let mut tokens = world.company_login(&idp).await;
    idp.lock().token_error = Some((StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"));
    for _ in 0..3 {
        world.hand.advance(SESSION / 4);
        tokens = world.refresh(&tokens.refresh_token.unwrap()).await.tokens();
        assert_eq!(world.identities.bearer(&tokens.access_token).await.unwrap().groups, ["ml-users"]);
    }
    world.hand.advance(SESSION / 4);
    assert_eq!(world.refresh(&tokens.refresh_token.unwrap()).await.error(), "invalid_grant");
    let told = world.company_callback(&idp).await.sent("error_description");
    assert!(told.contains("`company` cannot be asked"), "{told}");
}
