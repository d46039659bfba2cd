//! The client credentials grant and commands.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use serde_json::json;
use url::Url;

use super::{
    super::{Oauth2, renewed::Renewed, token::Token},
    clock, file,
    vendor::Vendor,
};
use crate::{clock::Hand, secret};

const SECRET: &str = "s3cret+ \u{e4}/&";

fn client(url: &Url, post: bool, client_secret: secret::Source) -> Oauth2 {
    Oauth2 {
        token_url: url.join("token").unwrap(),
        client_id: "a client:x".to_owned(),
        client_secret,
        scope: Some("read write".to_owned()),
        audience: Some("https://m.example.test".to_owned()),
        post,
        ca: None,
    }
}

async fn oauth2(post: bool) -> (Vendor, Renewed<Token>, Hand, tempfile::TempDir) {
    let (vendor, url) = Vendor::start().await;
    let (clock, hand) = clock();
    let (dir, source) = file(SECRET);
    let token = Token::oauth2(&client(&url, post, source), &clock).unwrap();
    (vendor, Renewed::new("m", token, &clock), hand, dir)
}

fn text(value: &HeaderValue) -> &str {
    assert!(value.is_sensitive());
    value.to_str().unwrap()
}

#[tokio::test]
async fn the_client_proves_itself_in_the_header_or_in_the_form() {
    let (vendor, cell, _, _dir) = oauth2(false).await;
    vendor.says("/token", 200, json!({"access_token": "t-1", "token_type": "Bearer", "expires_in": 3600}));
    assert_eq!(text(&cell.get().await.unwrap()), "Bearer t-1");
    {
        let talk = vendor.talk();
        let asked = &talk.asked[0];
        assert_eq!(asked.method, "POST");
        assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded");
        let basic = STANDARD.decode(asked.header("authorization").strip_prefix("Basic ").unwrap()).unwrap();
        // RFC 6749 §2.3.1 with the encoding of appendix B.
        assert_eq!(String::from_utf8(basic).unwrap(), "a+client%3Ax:s3cret%2B+%C3%A4%2F%26");
        assert_eq!(asked.field("grant_type").as_deref(), Some("client_credentials"));
        assert_eq!(asked.field("scope").as_deref(), Some("read write"));
        assert_eq!(asked.field("audience").as_deref(), Some("https://m.example.test"));
        assert_eq!((asked.field("client_id"), asked.field("client_secret")), (None, None));
    }
    let (vendor, cell, _, _dir) = oauth2(true).await;
    // The lifetime as text, as some servers write it.
    vendor.says("/token", 200, json!({"access_token": "t-2", "token_type": "bearer", "expires_in": "3600"}));
    assert_eq!(text(&cell.get().await.unwrap()), "Bearer t-2");
    let talk = vendor.talk();
    assert_eq!(talk.asked[0].header("authorization"), "");
    assert_eq!(talk.asked[0].field("client_id").as_deref(), Some("a client:x"));
    assert_eq!(talk.asked[0].field("client_secret").as_deref(), Some(SECRET));
}

#[tokio::test]
async fn a_token_is_renewed_with_the_secret_as_it_is_then() {
    let (vendor, cell, hand, dir) = oauth2(true).await;
    vendor.says("/token", 200, json!({"access_token": "t-1", "token_type": "Bearer", "expires_in": 600}));
    cell.get().await.unwrap();
    std::fs::write(dir.path().join("secret"), "rotated").unwrap();
    vendor.says("/token", 200, json!({"access_token": "t-2", "token_type": "Bearer", "expires_in": 600}));
    hand.advance(Duration::from_secs(599));
    assert_eq!(text(&cell.get().await.unwrap()), "Bearer t-1");
    hand.advance(Duration::from_secs(1));
    assert_eq!(text(&cell.get().await.unwrap()), "Bearer t-2");
    assert_eq!(vendor.asked(), 2);
    assert_eq!(vendor.talk().asked[1].field("client_secret").as_deref(), Some("rotated"));
}

#[tokio::test]
async fn bad_answers_are_told_without_what_they_hold() {
    let long = format!("{{\"access_token\": \"{}\"}}", "s3cret".repeat(300_000));
    let echo =
        json!({"error": "invalid_client", "error_description": format!("AADSTS7000215: wrong {SECRET}")});
    for (status, answer, told) in [
        (401, echo.to_string(), "401 Unauthorized: invalid_client, AADSTS7000215"),
        (400, json!({"error": format!("{SECRET} is wrong")}).to_string(), "400 Bad Request"),
        (503, "<html>s3cret</html>".to_owned(), "503 Service Unavailable"),
        (200, "<html>s3cret</html>".to_owned(), "something else than a token"),
        (200, "{\"access_token\": \"s3cret".to_owned(), "something else than a token"),
        (200, json!({"access_token": 3, "s3cret": 1}).to_string(), "something else than a token"),
        (200, long, "length limit"),
        (302, String::new(), "302 Found"),
        (200, json!({"access_token": "s3cret", "token_type": "mac"}).to_string(), "not bearer"),
        (
            200,
            json!({"access_token": "s3cret\nx: y", "token_type": "Bearer"}).to_string(),
            "no header can carry",
        ),
        (200, json!({"access_token": "s3cret", "expires_in": -1}).to_string(), "end cannot be read"),
        (200, json!({"access_token": "s3cret", "expires_in": 0}).to_string(), "expired already"),
        (200, json!({"access_token": "s3cret", "expires_in": "soon"}).to_string(), "end cannot be read"),
    ] {
        let (vendor, cell, _, _dir) = oauth2(true).await;
        vendor.says("/token", status, &answer);
        let error = cell.get().await.unwrap_err();
        assert!(error.contains(told), "{told}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
        // Asked again at once, nobody is.
        assert!(cell.get().await.is_err());
        assert_eq!(vendor.asked(), 1);
    }
}

#[tokio::test]
async fn a_missing_secret_is_told_at_the_start() {
    let (clock, _) = clock();
    let url = Url::parse("https://login.example.test/").unwrap();
    let missing = secret::Source::File("/nonexistent/secret".into());
    let error = Token::oauth2(&client(&url, true, missing), &clock).err().unwrap().to_string();
    assert!(error.contains("/nonexistent/secret"), "{error}");
}

fn printing(script: &str) -> (Renewed<Token>, Hand) {
    let (clock, hand) = clock();
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    let token = Token::command(argv, "Key ".to_owned(), &clock).unwrap();
    (Renewed::new("m", token, &clock), hand)
}

#[tokio::test]
#[cfg(unix)]
async fn a_command_prints_the_token_alone_or_with_its_end() {
    let (cell, _) = printing("echo plain");
    assert_eq!(text(&cell.get().await.unwrap()), "Key plain");

    let dir = tempfile::tempdir().unwrap();
    let count = dir.path().join("count");
    let script = format!(
        "echo x >> {0}; echo '{{\"token\": \"t-'$(wc -l < {0} | tr -d ' ')'\", \"expires_at\": \"'$E'\"}}'",
        count.display()
    );
    let (cell, hand) =
        printing(&format!("E=2015-08-30T12:46:00Z; [ -e {} ] && E=1440939000; {script}", count.display()));
    assert_eq!(text(&cell.get().await.unwrap()), "Key t-1");
    hand.advance(Duration::from_secs(599));
    assert_eq!(text(&cell.get().await.unwrap()), "Key t-1", "until its end");
    hand.advance(Duration::from_secs(1));
    assert_eq!(text(&cell.get().await.unwrap()), "Key t-2", "whose end is said in seconds since 1970");

    for (script, told) in [
        ("exit 4", "exit status: 4"),
        ("echo '{\"tokn\": \"s3cret\"}'", "something else than a token"),
        ("echo '{\"token\": \"s3cret\", \"expires_at\": \"2015-08-30T12:00:00Z\"}'", "expired already"),
        ("true", "it is empty"),
    ] {
        let (cell, _) = printing(script);
        let error = cell.get().await.unwrap_err();
        assert!(error.contains(told) && !error.contains("s3cret"), "{script}: {error}");
    }
}
