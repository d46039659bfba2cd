//! The few pages people see: which provider, which dev user, what went wrong. No foreign byte, and no script but the one that sends a form on.

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
struct Choose {
    style: &'static str,
    links: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "dev.html", config = "src/gateway/identity/pages/askama.toml")]
struct Dev<'a> {
    style: &'static str,
    action: &'a str,
    login: &'a str,
    users: &'a [DevUser],
}

/// Sends the form at once where scripts run; elsewhere its button does.
const SUBMIT: &str = "document.forms[0].submit()";

#[derive(Template)]
#[template(path = "saml.html", config = "src/gateway/identity/pages/askama.toml")]
struct Saml<'a> {
    style: &'static str,
    script: &'static str,
    provider: &'a str,
    action: &'a str,
    request: &'a str,
    relay: &'a str,
}

#[derive(Template)]
#[template(path = "error.html", config = "src/gateway/identity/pages/askama.toml")]
struct Error<'a> {
    style: &'static str,
    why: &'a str,
    remedy: &'a str,
}

/// Links by the names of providers.
pub(super) fn choose(links: Vec<(String, String)>) -> Response {
    render(StatusCode::OK, &Choose { style: STYLE, links }, "'none'")
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

/// A form that takes a SAML request to its provider.
pub(super) fn saml(provider: &str, action: &Url, request: &str, relay: &str) -> Response {
    let page = Saml { style: STYLE, script: SUBMIT, provider, action: action.as_str(), request, relay };
    // The provider may send the form on to its sign-in's host, which browsers hold to this policy too.
    let leads_to = format!("{} https:", action.origin().ascii_serialization());
    let script = format!("'sha256-{}'", STANDARD.encode(sha256(SUBMIT.as_bytes())));
    render_with(StatusCode::OK, &page, &leads_to, &script)
}

/// What went wrong and what to do.
pub(super) fn error(status: StatusCode, why: &str, remedy: &str) -> Response {
    render(status, &Error { style: STYLE, why, remedy }, "'none'")
}

fn render(status: StatusCode, page: &impl Template, form_action: &str) -> Response {
    render_with(status, page, form_action, "'none'")
}

fn render_with(status: StatusCode, page: &impl Template, form_action: &str, script: &str) -> Response {
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {script}; form-action {form_action}; base-uri 'none'; frame-ancestors 'none'",
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
        let (policy, html) = read(choose(vec![("company".to_owned(), "/x?a=1&b=2".to_owned())])).await;
        let style = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        assert!(policy.contains(&STANDARD.encode(sha256(style.as_bytes()))));
    }
}
