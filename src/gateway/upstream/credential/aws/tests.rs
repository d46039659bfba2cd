//! AWS's own examples of signatures, and every way to keys.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;
use serde_json::json;
use url::Url;

use super::{
    super::{
        renewed::Renewed,
        tests::{clock, environment, file, vendor::Vendor},
    },
    AccessKeys, Aws, Keys, Payload,
    chunks::{self, Chunks},
    keys::Chain,
    signature::{Moment, Scope, Secrets, signed},
    spelling,
};
use crate::{
    clock::Hand,
    gateway::upstream::{UpstreamError, outgoing::Encode},
    secret::ExposeSecret,
};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The moment and keys of one of AWS's documents. The keys are put together here: tools that look for keys find none.
struct Example {
    scope: Scope,
    secrets: Secrets,
    moment: Moment,
}

impl Example {
    fn new(service: &str, id: &str, secret: [&str; 2], seconds: u64) -> Self {
        let scope = Scope { region: "us-east-1".to_owned(), service: service.to_owned() };
        let moment = Moment::of(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let keys = AccessKeys { id: id.to_owned(), secret: secret.concat().into(), session: None };
        let secrets = Secrets::new(&keys, &scope, &moment);
        Self { scope, secrets, moment }
    }

    /// Of the test suite and of "Create a signed AWS API request".
    fn suite(service: &str) -> Self {
        Self::new(service, "AKIDEXAMPLE", ["wJalrXUtnFEMI/K7MDENG", "+bPxRfiCYEXAMPLEKEY"], 1_440_938_160)
    }

    /// Of the S3 API reference.
    fn s3() -> Self {
        Self::new(
            "s3",
            "AKIAIOSFODNN7EXAMPLE",
            ["wJalrXUtnFEMI/K7MDENG", "/bPxRfiCYEXAMPLEKEY"],
            1_369_353_600,
        )
    }

    fn sign(&self, request: http::request::Builder, content: &str) -> String {
        let request = request.header("x-amz-date", &self.moment.stamp).body(()).unwrap();
        let signed = signed(&request, &self.scope, &self.secrets, &self.moment, content);
        assert!(signed.authorization.ends_with(&format!("Signature={}", signed.signature)));
        signed.authorization
    }
}

#[test]
fn the_published_examples_come_out() {
    let suite = Example::suite("service");
    let at = |method: &str, target: &str| {
        Request::builder().method(method).uri(target).header("host", "example.amazonaws.com")
    };
    assert_eq!(
        suite.sign(at("GET", "/"), EMPTY),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-date, \
         Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    );
    let form = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
    let form_type = "application/x-www-form-urlencoded";
    for (name, request, content, signature) in [
        (
            "post-vanilla",
            at("POST", "/"),
            EMPTY,
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "get-vanilla-query-order-key-case",
            at("GET", "/?Param2=value2&Param1=value1"),
            EMPTY,
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-vanilla-empty-query-key",
            at("GET", "/?Param1=value1"),
            EMPTY,
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        ),
        (
            "get-slash-dot-slash",
            at("GET", "/./"),
            EMPTY,
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "get-slashes",
            at("GET", "//example//"),
            EMPTY,
            "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
        ),
        (
            "post-x-www-form-urlencoded",
            at("POST", "/").header("content-type", form_type),
            form,
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ] {
        let authorization = suite.sign(request, content);
        assert!(authorization.ends_with(signature), "{name}: {authorization}");
    }
    let iam = Request::get("/?Action=ListUsers&Version=2010-05-08")
        .header("host", "iam.amazonaws.com")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let authorization = Example::suite("iam").sign(iam, EMPTY);
    let signature = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    assert!(authorization.ends_with(signature), "ListUsers: {authorization}");
    for (target, signature) in [
        ("/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ] {
        let request = Request::get(target)
            .header("host", "examplebucket.s3.amazonaws.com")
            .header("x-amz-content-sha256", EMPTY);
        let authorization = Example::s3().sign(request, EMPTY);
        assert!(authorization.ends_with(signature), "{target}: {authorization}");
    }
}

#[test]
fn the_published_example_of_chunks_comes_out() {
    let Example { scope, secrets, moment } = Example::s3();
    let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9".to_owned();
    let mut chunks = Chunks::new(&secrets, &scope, &moment, seed, 66560);
    chunks.push(Bytes::from(vec![b'a'; 60_000]));
    assert!(chunks.pull().is_none(), "chunks have one size");
    chunks.push(Bytes::from(vec![b'a'; 6560]));
    let mut wire = chunks.pull().unwrap().to_vec();
    chunks.end();
    while let Some(bytes) = chunks.pull() {
        wire.extend_from_slice(&bytes);
    }
    assert!(chunks.is_done());
    let expected = [
        "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n",
        &"a".repeat(65536),
        "\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n",
        &"a".repeat(1024),
        "\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n",
    ];
    assert!(wire == expected.concat().as_bytes());
    assert_eq!(chunks::length(66560), 66824);
    assert_eq!(chunks::length(0), 86);
}

#[test]
fn targets_are_spelt_in_one_way_and_encoded_once_more_but_for_s3() {
    for (sent, wire, canonical) in [
        ("/model/v1:0/invoke", "/model/v1%3A0/invoke", "/model/v1%253A0/invoke"),
        ("/model/v1%3a0/invoke", "/model/v1%3A0/invoke", "/model/v1%253A0/invoke"),
        ("/a%2Fb/%41%7e", "/a%2Fb/A~", "/a%252Fb/A~"),
        ("/a%zz%", "/a%25zz%25", "/a%2525zz%2525"),
        ("/", "/", "/"),
    ] {
        let uri = spelling::respell(&sent.parse().unwrap()).unwrap();
        assert_eq!(uri.path(), wire);
        assert_eq!(spelling::canonical_path(uri.path(), "bedrock"), canonical);
        assert_eq!(spelling::canonical_path(uri.path(), "s3"), wire);
    }
    for (path, canonical) in [
        ("", "/"),
        ("/example/..", "/"),
        ("/example1/example2/../..", "/"),
        ("/./example", "/example"),
        ("//example//", "/example/"),
        ("/\u{1234}", "/%E1%88%B4"),
        ("/example space/", "/example%20space/"),
        ("/-._~0123456789ABCxyz", "/-._~0123456789ABCxyz"),
    ] {
        assert_eq!(spelling::canonical_path(path, "service"), canonical, "{path}");
    }
    assert_eq!(spelling::canonical_path("//a/../b", "s3"), "//a/../b");
    for dots in ["/a/%2e%2e/b", "/a/.%2E", "/%2e/b", "/a/../b", "/a/."] {
        let error = spelling::respell(&dots.parse().unwrap()).unwrap_err();
        assert!(matches!(error, UpstreamError::DotSegment), "{dots}: {error}");
    }
    for dots in ["/a/...", "/a/%2e%2e%2e", "/a/%252e%252e", "/.a"] {
        assert!(spelling::respell(&dots.parse().unwrap()).is_ok(), "{dots}");
    }
    let query = |text: &str| {
        let uri = spelling::respell(&format!("/?{text}").parse().unwrap()).unwrap();
        spelling::canonical_query(uri.query().unwrap())
    };
    assert_eq!(query("b=2&a=%2f&a=+x&a&B=%7E"), "B=~&a=&a=%20x&a=%2F&b=2");
    assert_eq!(query("k=v%3Dw=x"), "k=v%3Dw%3Dx");
}

fn chain(keys: Keys, endpoint: Option<Url>, variables: &[(&str, &str)]) -> (Renewed<Chain>, Hand) {
    let config = Aws {
        region: "eu-central-1".to_owned(),
        service: "bedrock".to_owned(),
        keys,
        payload: Payload::Signed,
        endpoint,
    };
    let (clock, hand) = clock();
    let chain = Chain::new(&config, &clock).unwrap().with_environment(environment(variables));
    (Renewed::new("m", chain, &clock), hand)
}

async fn shown(cell: &Renewed<Chain>) -> [String; 3] {
    let keys = cell.get().await.unwrap();
    let session = keys.session.as_ref().map_or("", |session| session.expose_secret());
    [keys.id.clone(), keys.secret.expose_secret().to_owned(), session.to_owned()]
}

#[tokio::test]
async fn an_instances_role_is_asked_by_imdsv2() {
    let (vendor, url) = Vendor::start().await;
    vendor.says("/latest/api/token", 200, "imds-session");
    let roles = "/latest/meta-data/iam/security-credentials/";
    vendor.says(roles, 200, "models\n");
    let keys = |id: &str, end: &str| {
        json!({"Code": "Success", "LastUpdated": "2015-08-30T12:00:00Z", "Type": "AWS-HMAC",
            "AccessKeyId": id, "SecretAccessKey": "secret", "Token": "session", "Expiration": end})
    };
    let role = "/latest/meta-data/iam/security-credentials/models";
    vendor.says(role, 200, keys("ASIA1", "2015-08-30T18:36:00Z"));
    let (cell, hand) = chain(Keys::Chain, Some(url), &[]);
    assert_eq!(shown(&cell).await, ["ASIA1", "secret", "session"]);
    {
        let talk = vendor.talk();
        let asked: Vec<_> =
            talk.asked.iter().map(|asked| (asked.method.as_str(), asked.target.as_str())).collect();
        assert_eq!(asked, [("PUT", "/latest/api/token"), ("GET", roles), ("GET", role)]);
        assert!(!talk.asked[0].header("x-aws-ec2-metadata-token-ttl-seconds").is_empty());
        assert!(
            talk.asked[1..].iter().all(|asked| asked.header("x-aws-ec2-metadata-token") == "imds-session")
        );
    }
    vendor.says(role, 200, keys("ASIA2", "2015-08-31T00:36:00Z"));
    hand.advance(Duration::from_hours(6));
    assert_eq!(shown(&cell).await[0], "ASIA2");

    vendor.says(role, 200, json!({"Code": "Failed", "Message": "no"}));
    hand.advance(Duration::from_hours(6));
    let error = cell.get().await.err().unwrap();
    assert!(error.contains("answered Failed"), "{error}");
}

#[tokio::test]
async fn a_containers_endpoint_is_asked_with_its_token() {
    let (vendor, url) = Vendor::start().await;
    let answer = json!({"RoleArn": "arn", "AccessKeyId": "ASIA3", "SecretAccessKey": "secret", "Token": "session",
        "Expiration": "2015-08-30T18:36:00Z"});
    vendor.says("/v1/credentials", 200, &answer);
    let full = format!("{url}v1/credentials");
    let (dir, _source) = file("pod-token");
    let path = dir.path().join("secret");
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", full.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path.to_str().unwrap()),
    ];
    for keys in [Keys::Container, Keys::Chain] {
        let (cell, _) = chain(keys, None, &variables);
        assert_eq!(shown(&cell).await, ["ASIA3", "secret", "session"]);
        assert_eq!(vendor.talk().asked.last().unwrap().header("authorization"), "pod-token");
    }
    let elsewhere = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://credentials.example.test/")];
    let error = chain(Keys::Container, None, &elsewhere).0.get().await.err().unwrap();
    assert!(error.contains("plain http"), "{error}");
}

fn role_keys(id: &str) -> String {
    format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><SubjectFromWebIdentityToken>system:serviceaccount:models:gateway</SubjectFromWebIdentityToken>\
         <Audience>sts.amazonaws.com</Audience><AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn>\
         <AssumedRoleId>AROA:s</AssumedRoleId></AssumedRoleUser><Credentials>\
         <SessionToken>AQoD==/+</SessionToken><SecretAccessKey>wJal/</SecretAccessKey>\
         <Expiration>2015-08-30T13:36:00Z</Expiration><AccessKeyId>{id}</AccessKeyId></Credentials>\
         </AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>\
         </AssumeRoleWithWebIdentityResponse>"
    )
}

#[tokio::test]
async fn a_web_identity_is_traded_at_sts_and_its_token_read_anew() {
    let (vendor, url) = Vendor::start().await;
    let (dir, _source) = file("first-jwt");
    let path = dir.path().join("secret");
    let variables = [
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", path.to_str().unwrap()),
        ("AWS_ROLE_SESSION_NAME", "gateway-1"),
    ];
    vendor.says("/", 200, role_keys("ASIA4"));
    let keys = Keys::WebIdentity { role: None, token_file: None };
    let (cell, hand) = chain(keys, Some(url), &variables);
    assert_eq!(shown(&cell).await, ["ASIA4", "wJal/", "AQoD==/+"]);
    {
        let talk = vendor.talk();
        for (name, value) in [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", "arn:aws:iam::1:role/r"),
            ("RoleSessionName", "gateway-1"),
            ("WebIdentityToken", "first-jwt"),
        ] {
            assert_eq!(talk.asked[0].field(name).as_deref(), Some(value));
        }
    }
    std::fs::write(&path, "second-jwt").unwrap();
    for (status, answer) in
        [(400, "<ErrorResponse/>".to_owned()), (200, "<html>".to_owned()), (200, "<a/>".to_owned())]
    {
        vendor.says("/", status, answer);
        hand.advance(Duration::from_hours(1));
        assert!(cell.get().await.is_err());
    }
    vendor.says("/", 200, role_keys("ASIA5").replace("2015-08-30T13", "2015-08-30T18"));
    hand.advance(Duration::from_mins(2));
    assert_eq!(shown(&cell).await[0], "ASIA5");
    assert_eq!(vendor.talk().asked.last().unwrap().field("WebIdentityToken").as_deref(), Some("second-jwt"));
}

#[tokio::test]
async fn the_chain_takes_what_the_environment_names_first() {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKIA1"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"),
    ];
    assert_eq!(shown(&chain(Keys::Chain, None, &variables).0).await, ["AKIA1", "secret", ""]);
    let error = chain(Keys::Chain, None, &variables[..1]).0.get().await.err().unwrap();
    assert!(error.contains("AWS_SECRET_ACCESS_KEY is not set"), "{error}");
    let error = chain(Keys::Chain, None, &variables[2..]).0.get().await.err().unwrap();
    assert!(error.contains("AWS_ROLE_ARN"), "{error}");
}

#[tokio::test]
async fn named_keys_are_looked_at_again() {
    let ((dir, id), (_other, secret)) = (file("AKIA1"), file("secret"));
    let (cell, hand) = chain(Keys::Named { id, secret, session: None }, None, &[]);
    assert_eq!(shown(&cell).await, ["AKIA1", "secret", ""]);
    std::fs::write(dir.path().join("secret"), "AKIA2").unwrap();
    hand.advance(Duration::from_secs(30));
    while shown(&cell).await[0] != "AKIA2" {
        tokio::task::yield_now().await;
    }
}
