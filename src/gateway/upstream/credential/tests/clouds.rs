//! Google Cloud and Microsoft Entra ID.

use std::collections::BTreeSet;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use url::Url;

use super::{
    super::{Azure, AzureIdentity, Gcp, GcpIdentity, renewed::Renewed, token::Token},
    NOW, clock, environment, file,
    vendor::Vendor,
};

async fn shown(cell: &Renewed<Token>) -> String {
    cell.get().await.unwrap().to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_service_account_trades_a_signed_assertion() {
    let (vendor, url) = Vendor::start().await;
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let token_uri = url.join("token").unwrap();
    let account = json!({
        "type": "service_account", "private_key_id": "kid-1", "private_key": key.serialize_pem(),
        "client_email": "m@p.iam.gserviceaccount.com", "token_uri": token_uri,
    });
    let (_dir, source) = file(&account.to_string());
    let scopes = vec!["https://a.example.test/x".to_owned(), "https://a.example.test/y".to_owned()];
    let config = Gcp { identity: GcpIdentity::ServiceAccount(source), scopes, endpoint: None };
    let (clock, _) = clock();
    let cell = Renewed::new("m", Token::gcp(&config, &clock).unwrap(), &clock);
    vendor.says("/token", 200, json!({"access_token": "ya29.x", "expires_in": 3599, "token_type": "Bearer"}));
    assert_eq!(shown(&cell).await, "Bearer ya29.x");

    let talk = vendor.talk();
    let asked = &talk.asked[0];
    assert_eq!(asked.field("grant_type").as_deref(), Some("urn:ietf:params:oauth:grant-type:jwt-bearer"));
    let assertion = asked.field("assertion").unwrap();
    let header = jsonwebtoken::decode_header(&assertion).unwrap();
    assert_eq!((header.alg, header.kid.as_deref()), (Algorithm::RS256, Some("kid-1")));
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.set_audience(&[token_uri.as_str()]);
    validation.required_spec_claims = ["iss", "aud", "exp"].map(str::to_owned).into_iter().collect();
    let public = DecodingKey::from_rsa_pem(key.public_key_pem().as_bytes()).unwrap();
    let claims = jsonwebtoken::decode::<Value>(&assertion, &public, &validation).unwrap().claims;
    assert_eq!(claims["iss"], "m@p.iam.gserviceaccount.com");
    assert_eq!(claims["scope"], "https://a.example.test/x https://a.example.test/y");
    assert_eq!((claims["iat"].as_u64(), claims["exp"].as_u64()), (Some(NOW), Some(NOW + 3600)));
    assert!(claims.get("sub").is_none());
}

#[test]
fn a_key_that_is_none_is_told_at_the_start_without_a_piece_of_it() {
    let (clock, _) = clock();
    let account = json!({
        "private_key": "s3cret", "client_email": "m@p", "token_uri": "https://oauth2.example.test/token",
    });
    for (text, told) in [
        ("{\"private_key\": \"s3cret", "not the JSON key"),
        (account.to_string().as_str(), "no RSA key"),
        (account.to_string().replace("https:", "http:").as_str(), "not https"),
    ] {
        let (_dir, source) = file(text);
        let config =
            Gcp { identity: GcpIdentity::ServiceAccount(source), scopes: Vec::new(), endpoint: None };
        let error = Token::gcp(&config, &clock).err().unwrap().to_string();
        assert!(error.contains(told) && !error.contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn the_metadata_server_is_asked_with_its_header() {
    let (vendor, url) = Vendor::start().await;
    let config = Gcp {
        identity: GcpIdentity::Metadata,
        scopes: vec!["https://s.example.test/1".to_owned(), "https://s.example.test/2".to_owned()],
        endpoint: Some(url),
    };
    let (clock, _) = clock();
    let cell = Renewed::new("m", Token::gcp(&config, &clock).unwrap(), &clock);
    let path = "/computeMetadata/v1/instance/service-accounts/default/token";
    vendor.says(path, 200, json!({"access_token": "ya29.m", "expires_in": 3599, "token_type": "Bearer"}));
    assert_eq!(shown(&cell).await, "Bearer ya29.m");
    let talk = vendor.talk();
    assert_eq!(talk.asked[0].header("metadata-flavor"), "Google");
    let target = Url::parse(&format!("http://x{}", talk.asked[0].target)).unwrap();
    let (_, scopes) = target.query_pairs().next().unwrap();
    assert_eq!(scopes, "https://s.example.test/1,https://s.example.test/2");
}

fn azure(identity: AzureIdentity, endpoint: Option<Url>, variables: &[(&str, &str)]) -> Renewed<Token> {
    let scope = "https://cognitiveservices.azure.com/.default".to_owned();
    let config = Azure { identity, scope, endpoint };
    let (clock, _) = clock();
    let token = Token::azure(&config, &clock).unwrap().with_environment(environment(variables));
    Renewed::new("m", token, &clock)
}

fn query(target: &str) -> BTreeSet<(String, String)> {
    let url = Url::parse(&format!("http://x{target}")).unwrap();
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_registered_application_asks_its_tenant() {
    let (vendor, url) = Vendor::start().await;
    let (_dir, source) = file("s3cret");
    let identity = AzureIdentity::Client {
        tenant: "contoso.example.test".to_owned(),
        client_id: "app".to_owned(),
        client_secret: source,
    };
    let cell = azure(identity, Some(url), &[]);
    vendor.says(
        "/contoso.example.test/oauth2/v2.0/token",
        200,
        json!({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": "ey.1"}),
    );
    assert_eq!(shown(&cell).await, "Bearer ey.1");
    let talk = vendor.talk();
    for (name, value) in [
        ("grant_type", "client_credentials"),
        ("client_id", "app"),
        ("client_secret", "s3cret"),
        ("scope", "https://cognitiveservices.azure.com/.default"),
    ] {
        assert_eq!(talk.asked[0].field(name).as_deref(), Some(value));
    }
}

#[tokio::test]
async fn a_managed_identity_is_asked_of_the_machine_or_of_the_service() {
    let resource = ("resource", "https://cognitiveservices.azure.com");
    // The Instance Metadata Service writes every number as text.
    let answer = json!({"access_token": "ey.2", "expires_in": "3599", "expires_on": "1440941759",
        "resource": resource.1, "token_type": "Bearer"});
    let (vendor, url) = Vendor::start().await;
    let identity = AzureIdentity::Managed { client_id: Some("user-assigned".to_owned()) };
    let cell = azure(identity, Some(url), &[]);
    vendor.says("/metadata/identity/oauth2/token?", 200, &answer);
    assert_eq!(shown(&cell).await, "Bearer ey.2");
    {
        let talk = vendor.talk();
        assert_eq!(talk.asked[0].header("metadata"), "true");
        let expected = pairs(&[("api-version", "2018-02-01"), resource, ("client_id", "user-assigned")]);
        assert_eq!(query(&talk.asked[0].target), expected);
    }
    let (vendor, url) = Vendor::start().await;
    let endpoint = format!("{url}msi/token");
    let variables = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", "853b9a84")];
    let cell = azure(AzureIdentity::Managed { client_id: None }, None, &variables);
    vendor.says(
        "/msi/token?",
        200,
        json!({"access_token": "ey.3", "expires_on": "1440941759", "resource": resource.1, "token_type": "Bearer"}),
    );
    assert_eq!(shown(&cell).await, "Bearer ey.3");
    let talk = vendor.talk();
    assert_eq!(talk.asked[0].header("x-identity-header"), "853b9a84");
    assert_eq!(query(&talk.asked[0].target), pairs(&[("api-version", "2019-08-01"), resource]));
}
