//! Microsoft Entra ID: the overage answer, and Microsoft Graph as its reference says it answers.

use axum::http::Method;
use serde_json::{Value, json};
use url::Url;

use super::{
    provider::{Idp, Inner},
    vendor::Vendor,
    world::{World, open_error},
};
use crate::gateway::identity::{Preset, ProviderConfig, ProviderKind};

async fn company() -> (World, Idp, Vendor) {
    let graph = Vendor::start().await;
    let url = graph.url.clone();
    let (world, idp) = World::of(move |_| Preset::Entra { graph: url }, "groups").await;
    overage(&mut idp.lock());
    (world, idp, graph)
}

/// More than 200 groups: the token names a place in the Azure AD Graph, which is gone.
fn overage(inner: &mut Inner) {
    inner.change = Some(Box::new(|claims| {
        let object = claims.as_object_mut().unwrap();
        object.remove("groups");
        object.insert("_claim_names".to_owned(), json!({"groups": "src1"}));
        let endpoint = "https://graph.windows.net/7a/users/u/getMemberObjects";
        object.insert("_claim_sources".to_owned(), json!({"src1": {"endpoint": endpoint}}));
    }));
}

fn failure(code: &str) -> Value {
    json!({"error": {"code": code, "message": "of alice@example.test",
        "innerError": {"date": "2026-11-23T00:00:00", "request-id": "0", "client-request-id": "0"}}})
}

async fn groups(world: &World, idp: &Idp) -> Vec<String> {
    let tokens = world.company_login(idp).await;
    world.identities.bearer(&tokens.access_token).await.unwrap().groups.clone()
}

#[tokio::test]
async fn groups_that_do_not_fit_a_token_are_fetched_page_by_page() {
    let (world, idp, graph) = company().await;
    let next = format!("{}v1.0/me/getMemberObjects?$skiptoken=x", graph.url);
    let context = "https://graph.microsoft.com/v1.0/$metadata#Collection(Edm.String)";
    graph.says(200, &json!({"@odata.context": context, "value": ["fee2", "15a1"], "@odata.nextLink": next}));
    graph.says(200, &json!({"@odata.context": context, "value": ["62a8", "fee2"]}));
    assert_eq!(groups(&world, &idp).await, ["fee2", "15a1", "62a8"]);
    let asked = graph.asked();
    assert_eq!((&asked[0].method, asked[0].path.as_str()), (&Method::POST, "/v1.0/me/getMemberObjects"));
    assert_eq!(serde_json::from_str::<Value>(&asked[0].body).unwrap(), json!({"securityEnabledOnly": true}));
    assert_eq!((&asked[1].method, asked[1].parameter("$skiptoken")), (&Method::GET, Some("x")));
    assert!(asked.iter().all(|one| one.bearer == "Bearer idp-access"));
}

#[tokio::test]
async fn the_short_hint_is_an_overage_too_and_groups_in_the_token_need_no_call() {
    let (world, idp, graph) = company().await;
    idp.lock().change = Some(Box::new(|claims| {
        claims.as_object_mut().unwrap().remove("groups");
        claims["hasgroups"] = json!("true");
    }));
    graph.says(200, &json!({"value": ["fee2"]}));
    assert_eq!(groups(&world, &idp).await, ["fee2"]);
    graph.asked();
    idp.lock().change = None;
    assert_eq!(groups(&world, &idp).await, ["ml-users"]);
    idp.lock().change = Some(Box::new(|claims| drop(claims.as_object_mut().unwrap().remove("groups"))));
    assert!(groups(&world, &idp).await.is_empty(), "no claim and no hint: no groups");
    assert!(graph.asked().is_empty());
}

#[tokio::test]
async fn a_graph_that_does_not_tell_the_groups_is_never_taken_for_none() {
    let away = "temporarily_unavailable";
    let many: Vec<String> = (0..10_001).map(|n| n.to_string()).collect();
    let foreign = json!({"value": ["a"], "@odata.nextLink": "https://evil.test/v1.0/me?$skiptoken=x"});
    for (status, after, body, error, told) in [
        (403, None, failure("Authorization_RequestDenied").to_string(), away, "User.Read"),
        (401, None, failure("InvalidAuthenticationToken").to_string(), away, "InvalidAuthenticationToken"),
        (429, Some("30"), failure("TooManyRequests").to_string(), away, "429"),
        (503, Some("120"), failure("serviceNotAvailable").to_string(), away, "503"),
        (200, None, "<html>".to_owned(), away, "something else"),
        (200, None, "{}".to_owned(), away, "something else"),
        (200, None, json!({"value": "fee2"}).to_string(), away, "something else"),
        (404, None, failure("Request_ResourceNotFound").to_string(), "access_denied", "does not know"),
        (400, None, failure("Directory_ResultSizeLimitExceeded").to_string(), "server_error", "10000"),
        (200, None, json!({ "value": many }).to_string(), "server_error", "10000"),
        (200, None, foreign.to_string(), "server_error", "another host"),
    ] {
        let (world, idp, graph) = company().await;
        graph.says_text(status, after, &body);
        let answer = world.company_callback(&idp).await;
        let description = answer.sent("error_description");
        assert_eq!(answer.sent("error"), error, "{description}");
        assert!(description.contains(told) && description.contains("`company`"), "{description}");
        assert!(!description.contains("alice"), "{description}");
        assert!(world.store.rows().is_empty());
        assert_eq!(graph.asked().len(), 1, "{description}");
    }
}

#[tokio::test]
async fn a_graph_that_is_busy_for_a_moment_is_asked_again() {
    let (world, idp, graph) = company().await;
    graph.says_text(429, Some("0"), &failure("TooManyRequests").to_string());
    graph.says_text(503, Some("0"), &failure("serviceNotAvailable").to_string());
    graph.says(200, &json!({"value": ["fee2"]}));
    assert_eq!(groups(&world, &idp).await, ["fee2"]);
    for _ in 0..3 {
        graph.says_text(504, Some("0"), "");
    }
    assert_eq!(world.company_callback(&idp).await.sent("error"), "temporarily_unavailable");
    assert!(graph.silent() && graph.asked().len() == 6, "three attempts, no more");
}

#[tokio::test]
async fn at_a_renewal_an_outage_keeps_the_groups_and_an_answer_replaces_them() {
    let (world, idp, graph) = company().await;
    graph.says(200, &json!({"value": ["fee2"]}));
    let mut tokens = world.company_login(&idp).await;
    for (status, expected) in [(403, vec!["fee2"]), (200, vec!["15a1"]), (503, vec!["15a1"])] {
        let body = if status == 200 { json!({"value": ["15a1"]}) } else { failure("x") };
        graph.says_text(status, Some("60"), &body.to_string());
        tokens = world.refresh(&tokens.refresh_token.unwrap()).await.tokens();
        assert_eq!(world.identities.bearer(&tokens.access_token).await.unwrap().groups, expected);
    }
    graph.says(404, &failure("Request_ResourceNotFound"));
    assert_eq!(world.refresh(&tokens.refresh_token.unwrap()).await.error(), "invalid_grant");
    assert!(world.store.rows()[0].revoked);
}

#[tokio::test]
async fn an_overage_without_the_preset_says_what_to_write() {
    let (world, idp) = World::company().await;
    overage(&mut idp.lock());
    let answer = world.company_callback(&idp).await;
    assert_eq!(answer.sent("error"), "temporarily_unavailable");
    assert!(answer.sent("error_description").contains("preset = 'entra'"));
}

#[tokio::test]
async fn people_are_named_by_what_the_tenant_says_and_graph_is_asked_for_by_its_scope() {
    let (world, idp, graph) = company().await;
    graph.says(200, &json!({"value": []}));
    let tokens = world.company_login(&idp).await;
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    assert_eq!(
        (caller.email.as_deref(), caller.user()),
        (None, "u-alice"),
        "email_verified is not Entra's word"
    );
    let url = world.authorize(&mut super::world::Browser::new(), &[]).await.location();
    let query: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    let scope = format!("openid profile email offline_access {}User.Read", graph.url);
    assert_eq!((query["scope"].as_str(), query.get("prompt")), (scope.as_str(), None));
}

#[tokio::test]
async fn issuers_of_every_tenant_are_refused() {
    for tenant in ["common", "organizations", "Consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"] {
        let kind = ProviderKind::Oidc {
            issuer: Url::parse(&format!("https://login.microsoftonline.com/{tenant}/v2.0")).unwrap(),
            client_id: "hoopctl".to_owned(),
            client_secret: None,
            scopes: Vec::new(),
            groups_claim: "groups".to_owned(),
            ca: None,
            preset: Preset::Entra { graph: Url::parse("https://graph.microsoft.com").unwrap() },
        };
        let error =
            open_error("https://localhost:8443", vec![ProviderConfig { name: "entra".to_owned(), kind }]);
        assert!(error.await.to_string().contains("TENANT-ID"));
    }
}
