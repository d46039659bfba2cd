//! Okta, Keycloak and Auth0: where their groups are, and what they are asked for.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{
    provider::Idp,
    world::{Browser, World},
};
use crate::gateway::identity::Preset;

async fn groups(preset: Preset, claim: &str, name: &'static str, value: Value) -> Vec<String> {
    let (world, idp) = World::of(|_| preset, claim).await;
    idp.lock().change = Some(Box::new(move |claims| {
        claims.as_object_mut().unwrap().remove("groups");
        claims[name] = value.clone();
    }));
    let tokens = world.company_login(&idp).await;
    world.identities.bearer(&tokens.access_token).await.unwrap().groups.clone()
}

async fn asked(preset: Preset, scopes: Value) -> HashMap<String, String> {
    let (world, idp): (World, Idp) = World::of(|_| preset, "groups").await;
    idp.lock().metadata["scopes_supported"] = scopes;
    let url = world.authorize(&mut Browser::new(), &[]).await.location();
    url.query_pairs().into_owned().collect()
}

#[tokio::test]
async fn groups_may_lie_in_an_object_and_a_literal_name_wins() {
    let roles = json!({"roles": ["ml-users", "offline_access"]});
    assert_eq!(groups(Preset::Keycloak, "realm_access.roles", "realm_access", roles).await.len(), 2);
    let client = json!({"my.client": {"roles": ["reader"]}});
    assert_eq!(
        groups(Preset::Keycloak, "resource_access.my.client.roles", "resource_access", client).await,
        ["reader"]
    );
    let paths = json!(["/ml", "/ml/eu"]);
    assert_eq!(groups(Preset::Keycloak, "groups", "groups", paths).await, ["/ml", "/ml/eu"]);
    let name = "https://example.com/groups";
    assert_eq!(groups(Preset::Auth0, name, name, json!(["ml-users"])).await, ["ml-users"]);
    assert!(groups(Preset::Keycloak, "realm_access.roles", "realm_access", json!("x")).await.is_empty());
}

#[tokio::test]
async fn each_vendor_is_asked_for_what_it_knows() {
    let all = json!(["openid", "profile", "email", "address", "offline_access", "groups"]);
    let okta = asked(Preset::Okta, all.clone()).await;
    assert_eq!(
        (okta["scope"].as_str(), okta.get("prompt")),
        ("openid profile email groups offline_access", None)
    );
    let custom = asked(Preset::Okta, json!(["openid", "profile", "email", "offline_access"])).await;
    assert_eq!(
        custom["scope"], "openid profile email offline_access",
        "an unknown scope is an error at Okta"
    );
    assert_eq!(asked(Preset::Keycloak, all.clone()).await["scope"], "openid profile email groups");
    assert_eq!(asked(Preset::Auth0, all).await["scope"], "openid profile email offline_access");
}

#[tokio::test]
async fn issuers_with_a_path_and_with_a_final_slash_are_taken_exactly() {
    for suffix in ["/oauth2/default", "/"] {
        let (clock, hand) = super::world::manual();
        let dir = tempfile::tempdir().unwrap();
        let idp = Idp::start(clock.clone()).await;
        {
            let mut inner = idp.lock();
            inner.issuer.push_str(suffix);
            let issuer = inner.issuer.clone();
            inner.metadata["issuer"] = json!(issuer);
        }
        let provider = super::world::oidc(&idp, dir.path());
        let world = World::open(dir, clock, hand, vec![provider]).await;
        world.company_login(&idp).await;
    }
}
