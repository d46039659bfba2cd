//! Providers that are exchanged while the gateway runs.

use std::time::Duration;

use serde_json::json;

use super::{
    provider::{CLIENT, Idp},
    world::{Browser, LIFE, World, dev, manual, oidc},
};
use crate::gateway::identity::{
    Caller, Preset, ProviderConfig, ProviderKind, SamlConfig, saml::corpus::config,
};

fn company(idp: &Idp) -> ProviderConfig {
    let kind = ProviderKind::Oidc {
        issuer: idp.issuer(),
        client_id: CLIENT.to_owned(),
        client_secret: None,
        scopes: Vec::new(),
        groups_claim: "groups".to_owned(),
        ca: None,
        preset: Preset::Generic,
    };
    ProviderConfig { name: "company".to_owned(), kind }
}

pub(super) async fn reload(world: &World, providers: Vec<ProviderConfig>) {
    let prepared = world.identities.prepare(providers).await.unwrap();
    world.identities.adopt(prepared);
}

async fn started() -> (World, Idp, ProviderConfig) {
    let (clock, hand) = manual();
    let dir = tempfile::tempdir().unwrap();
    let idp = Idp::start(clock.clone()).await;
    let provider = oidc(&idp, dir.path());
    (World::open(dir, clock, hand, vec![provider.clone()]).await, idp, provider)
}

#[tokio::test]
async fn a_removed_provider_ends_its_connections_at_once_and_admits_nobody() {
    let (world, idp, provider) = started().await;
    let tokens = world.company_login(&idp).await;
    reload(&world, vec![provider.clone(), dev()]).await;
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    let sessions = &world.identities.sessions;
    let grant = |caller| sessions.leases.grant(caller, world.clock.now() + LIFE, world.clock.clone());
    let lease = grant((*caller).clone());
    let mut other = (*caller).clone();
    (other.provider, other.session) = ("dev".to_owned(), "ses_other".to_owned());
    let other = grant(other);
    reload(&world, vec![dev()]).await;
    assert!(lease.ended().is_cancelled());
    assert!(lease.check(world.clock.now()).unwrap_err().message.contains("no more"));
    assert!(other.check(world.clock.now()).is_ok(), "others are not disturbed");
    assert!(world.identities.bearer(&tokens.access_token).await.is_err());
    let refresh = tokens.refresh_token.unwrap();
    assert_eq!(world.refresh(&refresh).await.error(), "invalid_grant");
    // Half a file was saved, and then the whole: nobody has to log in again.
    reload(&world, vec![provider, dev()]).await;
    world.refresh(&refresh).await.tokens();
}

#[tokio::test]
async fn an_unchanged_provider_keeps_its_keys_and_a_new_one_is_offered_at_once() {
    let (world, idp, provider) = started().await;
    world.company_login(&idp).await;
    reload(&world, vec![dev(), provider]).await;
    let page = world.authorize(&mut Browser::new(), &[]).await;
    assert!(page.body.contains("provider=dev") && page.body.contains("provider=company"), "{}", page.body);
    let mut browser = Browser::new();
    let at_idp = world.authorize(&mut browser, &[("provider", "company")]).await.location();
    let state = at_idp.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let path = format!("/login/callback?code={}&state={state}", idp.approve(&at_idp));
    assert!(!world.get(&mut browser, &path).await.sent("code").is_empty());
    assert_eq!(idp.lock().jwks_reads, 1);
}

#[tokio::test]
async fn a_provider_that_became_another_issuers_ends_what_hung_on_the_old_one() {
    let (world, idp, provider) = started().await;
    let tokens = world.company_login(&idp).await;
    let code = world.company_callback(&idp).await.sent("code");
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    let end = world.clock.now() + LIFE;
    let lease = world.identities.sessions.leases.grant((*caller).clone(), end, world.clock.clone());
    let other = Idp::start(world.clock.clone()).await;
    reload(&world, vec![company(&other)]).await;
    assert!(lease.ended().is_cancelled());
    assert_eq!(world.refresh(&tokens.refresh_token.unwrap()).await.error(), "invalid_grant");
    assert_eq!(other.lock().token_reads, 0, "a refresh token is shown to its own issuer alone");
    // Nothing that the old one's people hold is good for the new one's, and all of it is when the old one is back.
    assert!(world.identities.bearer(&tokens.access_token).await.is_err());
    assert_eq!(world.redeem(&code).await.error(), "invalid_grant", "signed in before, redeemed after");
    reload(&world, vec![provider]).await;
    assert!(world.identities.bearer(&tokens.access_token).await.is_ok());
}

#[tokio::test]
async fn a_bad_provider_changes_nothing() {
    let (world, idp, provider) = started().await;
    let mut bad = company(&idp);
    if let ProviderKind::Oidc { issuer, .. } = &mut bad.kind {
        *issuer = "http://login.example.test".parse().unwrap();
    }
    for providers in [vec![bad], vec![provider.clone(), provider]] {
        assert!(world.identities.prepare(providers).await.is_err());
        world.company_login(&idp).await;
    }
}

#[tokio::test]
async fn roots_with_another_content_are_read_anew_and_the_same_are_not() {
    let (world, _idp, _) = started().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("roots.pem");
    let roots =
        || rcgen::generate_simple_self_signed(vec!["idp.example.test".to_owned()]).unwrap().cert.pem();
    std::fs::write(&path, roots()).unwrap();
    let kind = ProviderKind::Workload {
        issuer: "https://ci.example.test".to_owned(),
        audience: "hoopctl".to_owned(),
        jwks: None,
        subject_claim: "sub".to_owned(),
        groups_claim: None,
        ca: Some(path.clone()),
    };
    let provider = ProviderConfig { name: "ci".to_owned(), kind };
    reload(&world, vec![provider.clone()]).await;
    let first = world.identities.sessions.provider("ci").unwrap();
    reload(&world, vec![provider.clone()]).await;
    assert!(std::sync::Arc::ptr_eq(&first, &world.identities.sessions.provider("ci").unwrap()));
    std::fs::write(&path, roots()).unwrap();
    reload(&world, vec![provider.clone()]).await;
    assert!(!std::sync::Arc::ptr_eq(&first, &world.identities.sessions.provider("ci").unwrap()));
    std::fs::write(&path, "no certificate").unwrap();
    assert!(world.identities.prepare(vec![provider]).await.is_err());
}

#[tokio::test]
async fn a_provider_that_was_away_at_the_reload_serves_when_it_is_back() {
    let (world, idp, provider) = started().await;
    idp.lock().metadata["issuer"] = json!("https://moved.example.test");
    reload(&world, vec![dev(), provider]).await;
    let mut browser = Browser::new();
    let named = [("provider", "company")];
    assert_eq!(world.authorize(&mut browser, &named).await.sent("error"), "temporarily_unavailable");
    let issuer = idp.lock().issuer.clone();
    idp.lock().metadata["issuer"] = json!(issuer);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    assert!(world.authorize(&mut browser, &named).await.location().as_str().starts_with(&issuer));
}

#[tokio::test]
async fn another_saml_metadata_file_is_read_at_once_and_ends_nothing() {
    let (world, _idp, provider) = started().await;
    let dir = tempfile::tempdir().unwrap();
    let saml =
        |config| ProviderConfig { name: "saml".to_owned(), kind: ProviderKind::Saml(Box::new(config)) };
    let config = config(dir.path());
    reload(&world, vec![saml(config.clone()), provider.clone()]).await;
    let opened = || world.identities.sessions.provider("saml").unwrap();
    let first = opened();
    reload(&world, vec![saml(config.clone())]).await;
    assert!(std::sync::Arc::ptr_eq(&first, &opened()));
    let path = dir.path().join("idp.xml");
    let metadata = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{metadata}\n<!-- a new one -->")).unwrap();
    let caller = Caller {
        subject: "alice".to_owned(),
        email: None,
        name: None,
        groups: Vec::new(),
        provider: "saml".to_owned(),
        workload: false,
        session: "ses_saml".to_owned(),
    };
    let end = world.clock.now() + LIFE;
    let lease = world.identities.sessions.leases.grant(caller, end, world.clock.clone());
    reload(&world, vec![saml(config.clone())]).await;
    assert!(!std::sync::Arc::ptr_eq(&first, &opened()));
    assert!(lease.check(world.clock.now()).is_ok(), "the same people");
    reload(&world, vec![saml(SamlConfig { subject: Some("uid".to_owned()), ..config })]).await;
    assert!(lease.ended().is_cancelled(), "other people");
}
