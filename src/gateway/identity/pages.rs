//! The few pages people see: which provider, which dev user, which device, what went wrong. No foreign byte, and no script
//! but the one that sends a form on.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use url::{Host, Url};

use super::{browser::Goal, config::DevUser, sessions::sha256};

const STYLE: &str = include_str!("pages/style.css");

#[derive(Template)]
#[template(path = "choose.html", config = "src/gateway/identity/pages/askama.toml")]
struct Choose<'a> {
    style: &'static str,
    choices: Vec<Choice>,
    back: Option<&'a str>,
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

#[derive(Template)]
#[template(path = "device.html", config = "src/gateway/identity/pages/askama.toml")]
struct DeviceCode<'a> {
    style: &'static str,
    action: &'a str,
    code: &'a str,
    wrong: &'a str,
}

/// What a person is shown before a device gets their login.
pub(super) struct DeviceConsent<'a> {
    /// Where the answer goes.
    pub(super) action: &'a str,
    /// The form's own secret.
    pub(super) key: &'a str,
    /// To be compared with the terminal's.
    pub(super) code: &'a str,
    /// What the program says it is; its own word.
    pub(super) name: &'a str,
    /// Where it asked from.
    pub(super) source: &'a str,
    /// How long ago.
    pub(super) minutes: u64,
}

#[derive(Template)]
#[template(path = "consent.html", config = "src/gateway/identity/pages/askama.toml")]
struct Consent<'a> {
    style: &'static str,
    asked: &'a DeviceConsent<'a>,
}

#[derive(Template)]
#[template(path = "done.html", config = "src/gateway/identity/pages/askama.toml")]
struct Done<'a> {
    style: &'static str,
    title: &'a str,
    text: &'a str,
}

/// The providers, and the laptop's address for somebody who gives up, where a laptop can be told.
pub(super) fn choose(choices: Vec<Choice>, back: Option<&str>) -> Response {
    render(StatusCode::OK, &Choose { style: STYLE, choices, back }, "'none'")
}

/// The users of a `dev` provider, as a form that leads to what the sign-in is for.
pub(super) fn dev(action: &str, login: &str, goal: &Goal, users: &[DevUser]) -> Response {
    // Chromium holds the redirection after a form's POST to `form-action` too. IPv6 addresses cannot be written there.
    let leads_to = match goal {
        Goal::Device { .. } => String::new(),
        Goal::Redirect { redirect_uri, .. } => match Url::parse(redirect_uri) {
            Ok(url) if matches!(url.host(), Some(Host::Domain(_) | Host::Ipv4(_))) => {
                format!(" {}", url.origin().ascii_serialization())
            }
            _ => " http:".to_owned(),
        },
    };
    render(StatusCode::OK, &Dev { style: STYLE, action, login, users }, &format!("'self'{leads_to}"))
}

/// Where a person enters the code that a device shows; `wrong` says why the last one was not taken.
pub(super) fn device_code(status: StatusCode, action: &str, code: &str, wrong: &str) -> Response {
    render(status, &DeviceCode { style: STYLE, action, code, wrong }, "'self'")
}

/// Asks whether the device that waits is the person's own.
pub(super) fn device_consent(consent: &DeviceConsent<'_>) -> Response {
    // Chromium holds the whole way to the provider's sign-in, whatever its addresses, to the form's policy.
    render(StatusCode::OK, &Consent { style: STYLE, asked: consent }, "'self' https: http:")
}

/// The device has its answer.
pub(super) fn device_done(user: &str) -> Response {
    let text =
        format!("The gateway knows you as {user}. You can close this page and go back to your terminal.");
    render(StatusCode::OK, &Done { style: STYLE, title: "You are logged in", text: &text }, "'none'")
}

/// The person does not know the device.
pub(super) fn device_denied() -> Response {
    let text = "Nothing was logged in, and the terminal that asked has been told so.";
    render(StatusCode::OK, &Done { style: STYLE, title: "Denied", text }, "'none'")
}

/// A form that takes a SAML request to its provider.
pub(super) fn saml(provider: &str, action: &Url, request: &str, relay: &str) -> Response {
    let page = Saml { style: STYLE, script: SUBMIT, provider, action: action.as_str(), request, relay };
    // The provider may send the form on to its sign-in's host, which browsers hold to this policy too.
    let leads_to = format!("{} https:", action.origin().ascii_serialization());
    let script = format!("'sha256-{}'", STANDARD.encode(sha256(SUBMIT.as_bytes())));
    render_with(StatusCode::OK, &page, STYLE, &leads_to, &script)
}

/// What went wrong and what to do.
pub(super) fn error(status: StatusCode, why: &str, remedy: &str) -> Response {
    render(status, &Error { style: STYLE, why, remedy }, "'none'")
}

fn render(status: StatusCode, page: &impl Template, form_action: &str) -> Response {
    render_styled(status, page, STYLE, form_action)
}

/// A page whose one style is `style`, under a policy that allows this style, forms to `form_action`, and nothing else.
pub(in crate::gateway) fn render_styled(
    status: StatusCode,
    page: &impl Template,
    style: &str,
    form_action: &str,
) -> Response {
    render_with(status, page, style, form_action, "'none'")
}

fn render_with(
    status: StatusCode,
    page: &impl Template,
    style: &str,
    form_action: &str,
    script: &str,
) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src {script}; form-action {form_action}; base-uri 'none'; frame-ancestors 'none'",
        STANDARD.encode(sha256(style.as_bytes()))
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
        let goal = Goal::Redirect {
            redirect_uri: "http://127.0.0.1:5/callback".to_owned(),
            state: None,
            challenge: String::new(),
        };
        let (policy, html) = read(dev("/login/dev", "key", &goal, &users)).await;
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
            Some("http://127.0.0.1:5/callback?error=access_denied"),
        ))
        .await;
        assert!(html.contains("company") && !html.contains("<b><"), "{html}");
        let style = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        assert!(policy.contains(&STANDARD.encode(sha256(style.as_bytes()))));
    }
}
