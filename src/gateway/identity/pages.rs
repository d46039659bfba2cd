//! The few pages people see: which provider, which dev user, what went wrong. No script, no foreign byte.

use std::sync::LazyLock;

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use url::{Host, Url};

use super::{config::DevUser, sessions::sha256};

const STYLE: &str = include_str!("pages/style.css");

/// The one style the pages may have, by its hash.
static STYLE_HASH: LazyLock<String> =
    LazyLock::new(|| format!("'sha256-{}'", STANDARD.encode(sha256(STYLE.as_bytes()))));

#[derive(Template)]
#[template(path = "choose.html", config = "src/gateway/identity/pages/askama.toml")]
struct Choose<'a> {
    style: &'static str,
    choices: Vec<Choice>,
    back: &'a str,
}

/// A provider on the page.
pub(super) struct Choice {
    pub(super) name: String,
    pub(super) href: String,
    /// Why it cannot be asked now.
    pub(super) trouble: Option<String>,
}

#[derive(Template)]
#[template(path = "dev.html", config = "src/gateway/identity/pages/askama.toml")]
struct Dev<'a> {
    style: &'static str,
    action: &'a str,
    login: &'a str,
    users: &'a [DevUser],
}

#[derive(Template)]
#[template(path = "error.html", config = "src/gateway/identity/pages/askama.toml")]
struct Error<'a> {
    style: &'static str,
    why: &'a str,
    remedy: &'a str,
}

/// The providers, and the laptop's address for somebody who gives up.
pub(super) fn choose(choices: Vec<Choice>, back: &str) -> Response {
    render(StatusCode::OK, &Choose { style: STYLE, choices, back }, "'none'")
}

/// The users of a `dev` provider, as a form that leads to the laptop's address.
pub(super) fn dev(action: &str, login: &str, redirect_uri: &Url, users: &[DevUser]) -> Response {
    // Chromium holds the redirection after a form's POST to `form-action` too. IPv6 addresses cannot be written there.
    let leads_to = match redirect_uri.host() {
        Some(Host::Ipv6(_)) | None => "http:".to_owned(),
        Some(_) => redirect_uri.origin().ascii_serialization(),
    };
    render(StatusCode::OK, &Dev { style: STYLE, action, login, users }, &format!("'self' {leads_to}"))
}

/// What went wrong and what to do.
pub(super) fn error(status: StatusCode, why: &str, remedy: &str) -> Response {
    render(status, &Error { style: STYLE, why, remedy }, "'none'")
}

fn render(status: StatusCode, page: &impl Template, form_action: &str) -> Response {
    let policy = format!(
        "default-src 'none'; style-src {}; form-action {form_action}; base-uri 'none'; frame-ancestors 'none'",
        *STYLE_HASH
    );
    match (page.render(), HeaderValue::from_str(&policy)) {
        (Ok(html), Ok(policy)) => {
            (status, [(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response()
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(response: Response) -> (String, String) {
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (policy, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn names_are_shown_as_text() {
        let users =
            [DevUser { name: "<script>alert(1)</script>".to_owned(), groups: vec!["a\"b".to_owned()] }];
        let redirect = Url::parse("http://127.0.0.1:5/callback").unwrap();
        let (policy, html) = read(dev("/login/dev", "key", &redirect, &users)).await;
        assert!(!html.contains("<script"), "{html}");
        assert!(policy.contains("form-action 'self' http://127.0.0.1:5;"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let (_, html) = read(error(StatusCode::BAD_REQUEST, "<b>", "&")).await;
        assert!(!html.contains("<b>"), "{html}");
    }

    #[tokio::test]
    async fn the_style_in_the_page_is_the_one_the_policy_allows() {
        let (policy, html) = read(choose(
            vec![Choice {
                name: "company".to_owned(),
                href: "/x?a=1&b=2".to_owned(),
                trouble: Some("<b>".to_owned()),
            }],
            "http://127.0.0.1:5/callback?error=access_denied",
        ))
        .await;
        assert!(html.contains("company") && !html.contains("<b><"), "{html}");
        let style = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        assert!(policy.contains(&STANDARD.encode(sha256(style.as_bytes()))));
    }
}
