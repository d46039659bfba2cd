//! Google: the hosted domain, and its two interfaces for groups as their references say they answer.

use std::{path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    keys::Rsa,
    provider::Idp,
    vendor::{Asked, Vendor},
    world::{Browser, World},
};
use crate::{
    gateway::identity::{Directory, DirectoryApi, Preset},
    secret,
};

const DOMAIN: &str = "example.test";

async fn company(api: DirectoryApi) -> (World, Idp, Vendor) {
    let google = Vendor::start().await;
    let url = google.url.clone();
    let preset = move |dir: &Path| {
        let path = dir.join("service-account.json");
        let account = json!({
            "type": "service_account", "project_id": "p", "private_key_id": "kid-1", "private_key": Rsa::new().pem,
            "client_email": "groups@p.iam.gserviceaccount.com", "token_uri": format!("{url}token"),
        });
        std::fs::write(&path, account.to_string()).unwrap();
        let directory = Directory {
            service_account: secret::Source::File(path),
            admin_email: Some("admin@example.test".to_owned()),
            api,
            url,
        };
        Preset::Google { hosted_domains: vec![DOMAIN.to_owned()], directory: Some(directory) }
    };
    let (world, idp) = World::of(preset, "groups").await;
    idp.lock().change = Some(Box::new(|claims| {
        claims.as_object_mut().unwrap().remove("groups");
        claims["hd"] = json!(DOMAIN);
        claims["email"] = json!("alice.o'hara@example.test");
    }));
    (world, idp, google)
}

fn granted(google: &Vendor) {
    google.says(200, &json!({"access_token": "ya29.directory", "expires_in": 3599, "token_type": "Bearer"}));
}

fn membership(group: &str) -> Value {
    json!({
        "membership": [], "group": "groups/01", "groupKey": {"id": group}, "displayName": group,
        "relationType": "DIRECT", "roles": [{"role": "MEMBER"}],
        "labels": {"cloudidentity.googleapis.com/groups.discussion_forum": ""},
    })
}

fn failure(code: u16, status: &str) -> Value {
    json!({"error": {"code": code, "message": "of alice", "status": status,
        "errors": [{"message": "of alice", "domain": "global", "reason": "forbidden"}]}})
}

fn claims(asked: &Asked) -> Value {
    let form: std::collections::HashMap<_, _> =
        url::form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let header = jsonwebtoken::decode_header(&form["assertion"]).unwrap();
    assert_eq!((header.alg, header.kid.as_deref()), (jsonwebtoken::Algorithm::RS256, Some("kid-1")));
    let payload = form["assertion"].split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn cloud_identity_tells_groups_of_groups_page_by_page() {
    let (world, idp, google) = company(DirectoryApi::CloudIdentity).await;
    granted(&google);
    google.says(200, &json!({"memberships": [membership("ml@example.test")], "nextPageToken": "p2"}));
    google.says(200, &json!({"memberships": [membership("all@example.test")]}));
    let tokens = world.company_login(&idp).await;
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    assert_eq!(caller.groups, ["ml@example.test", "all@example.test"]);
    let asked = google.asked();
    let claims = claims(&asked[0]);
    assert_eq!(claims["aud"], json!(format!("{}token", google.url)));
    assert_eq!(claims["iss"], "groups@p.iam.gserviceaccount.com");
    assert_eq!(claims["sub"], "admin@example.test");
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-identity.groups.readonly");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert_eq!(asked[1].path, "/v1/groups/-/memberships:searchTransitiveGroups");
    let query = r"member_key_id == 'alice.o\'hara@example.test' && 'cloudidentity.googleapis.com/groups.discussion_forum' in labels";
    assert_eq!(asked[1].parameter("query"), Some(query), "an apostrophe ends no expression");
    assert_eq!((asked[1].bearer.as_str(), asked[1].parameter("pageToken")), ("Bearer ya29.directory", None));
    assert_eq!(asked[2].parameter("pageToken"), Some("p2"));
}

#[tokio::test]
async fn the_directory_is_asked_by_the_immutable_id_and_its_token_is_remembered_for_its_life() {
    let (world, idp, google) = company(DirectoryApi::AdminSdk).await;
    granted(&google);
    let groups =
        json!([{"kind": "admin#directory#group", "id": "01", "email": "ml@example.test", "name": "ML"}]);
    google.says(200, &json!({"kind": "admin#directory#groups", "etag": "x", "groups": groups}));
    let tokens = world.company_login(&idp).await;
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    assert_eq!(caller.groups, ["ml@example.test"]);
    let asked = google.asked();
    assert_eq!(claims(&asked[0])["scope"], "https://www.googleapis.com/auth/admin.directory.group.readonly");
    assert_eq!(asked[1].path, "/admin/directory/v1/groups");
    assert_eq!(asked[1].parameter("userKey"), Some("u-alice"));
    // Nobody's groups: the list is left out.
    google.says(200, &json!({"kind": "admin#directory#groups", "etag": "x"}));
    let tokens = world.refresh(&tokens.refresh_token.unwrap()).await.tokens();
    assert!(world.identities.bearer(&tokens.access_token).await.unwrap().groups.is_empty(), "demoted");
    assert_eq!(google.asked().len(), 1, "the token is remembered");
    world.hand.advance(Duration::from_secs(3600));
    granted(&google);
    google.says(200, &json!({ "groups": groups }));
    let tokens = world.refresh(&tokens.refresh_token.unwrap()).await.tokens();
    assert_eq!(google.asked().len(), 2, "but not beyond its life");
    // Withdrawn before its time: once more with a fresh one.
    google.says(401, &failure(401, "UNAUTHENTICATED"));
    granted(&google);
    google.says(200, &json!({ "groups": groups }));
    world.refresh(&tokens.refresh_token.unwrap()).await.tokens();
    assert!(google.silent());
}

#[tokio::test]
async fn a_directory_that_does_not_tell_the_groups_is_never_taken_for_none() {
    let away = "temporarily_unavailable";
    for (token, status, after, body, error, told) in [
        (200, 403, None, failure(403, "PERMISSION_DENIED").to_string(), away, "groups_api"),
        (200, 429, Some("30"), failure(429, "RESOURCE_EXHAUSTED").to_string(), away, "RESOURCE_EXHAUSTED"),
        (200, 503, Some("30"), failure(503, "UNAVAILABLE").to_string(), away, "503"),
        (200, 200, None, "<html>".to_owned(), away, "something else"),
        (200, 200, None, json!({"memberships": [{"groupKey": {}}]}).to_string(), away, "something else"),
        (200, 404, None, failure(404, "NOT_FOUND").to_string(), "access_denied", "does not know"),
        (401, 0, None, String::new(), away, "unauthorized_client"),
    ] {
        let (world, idp, google) = company(DirectoryApi::CloudIdentity).await;
        if token == 200 {
            granted(&google);
            google.says_text(status, after, &body);
        } else {
            google.says(token, &json!({"error": "unauthorized_client", "error_description": "of alice"}));
        }
        let answer = world.company_callback(&idp).await;
        let description = answer.sent("error_description");
        assert_eq!(answer.sent("error"), error, "{description}");
        assert!(description.contains(told) && description.contains("`company`"), "{description}");
        assert!(!description.contains("alice"), "{description}");
        assert!(world.store.rows().is_empty() && google.silent());
    }
}

#[tokio::test]
async fn an_outage_keeps_the_groups_and_a_deleted_person_loses_the_session() {
    let (world, idp, google) = company(DirectoryApi::CloudIdentity).await;
    granted(&google);
    google.says(200, &json!({"memberships": [membership("ml@example.test")]}));
    let tokens = world.company_login(&idp).await;
    google.says_text(503, Some("60"), "");
    let tokens = world.refresh(&tokens.refresh_token.unwrap()).await.tokens();
    assert_eq!(world.identities.bearer(&tokens.access_token).await.unwrap().groups, ["ml@example.test"]);
    google.says(404, &failure(404, "NOT_FOUND"));
    assert_eq!(world.refresh(&tokens.refresh_token.unwrap()).await.error(), "invalid_grant");
}

#[tokio::test]
async fn accounts_of_other_domains_are_refused_before_anything_is_asked() {
    for domain in [Value::Null, json!("evil.test"), json!(["example.test"]), json!("")] {
        let (world, idp, google) = company(DirectoryApi::CloudIdentity).await;
        idp.lock().change = Some(Box::new(move |claims| claims["hd"] = domain.clone()));
        assert_eq!(world.company_callback(&idp).await.sent("error"), "access_denied");
        assert!(google.asked().is_empty());
    }
}

#[tokio::test]
async fn an_address_nobody_verified_leads_to_nobodys_groups() {
    let (world, idp, google) = company(DirectoryApi::CloudIdentity).await;
    idp.lock().change = Some(Box::new(|claims| {
        claims["hd"] = json!(DOMAIN);
        claims["email_verified"] = json!(false);
    }));
    assert_eq!(world.company_callback(&idp).await.sent("error"), "server_error");
    assert!(google.asked().is_empty());
}

#[tokio::test]
async fn offline_access_is_asked_for_in_googles_own_way() {
    let (world, _idp, _google) = company(DirectoryApi::CloudIdentity).await;
    let url = world.authorize(&mut Browser::new(), &[]).await.location();
    let query: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(query["scope"], "openid profile email");
    assert_eq!((query["access_type"].as_str(), query["prompt"].as_str()), ("offline", "consent"));
    assert_eq!(query["hd"], DOMAIN);
}
