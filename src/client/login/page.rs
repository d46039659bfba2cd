//! The page that the browser shows after a login: self-contained, no script, nothing from outside.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;

use crate::client::ClientError;

/// What the browser is told.
#[derive(Clone, Debug)]
pub(super) struct Page {
    status: StatusCode,
    title: String,
    text: String,
    /// What the person does now; empty where that is nobody's business.
    next: &'static str,
}

impl Page {
    /// The login is done: `user` is who the gateway says it was.
    pub(super) fn done(user: &str) -> Self {
        let next = "You can close this page and go back to your terminal.";
        Self::new(StatusCode::OK, "You are logged in", &format!("The gateway knows you as {user}."), next)
    }

    /// The login failed.
    pub(super) fn failed(error: &ClientError) -> Self {
        let next = "Nothing was logged in. Your terminal says what to do next.";
        Self::new(StatusCode::BAD_REQUEST, "The login did not work", &sentence(&error.message), next)
    }

    /// Not what belongs here.
    pub(super) fn stray(status: StatusCode, text: &str) -> Self {
        Self::new(status, "Nothing to see here", text, "")
    }

    fn new(status: StatusCode, title: &str, text: &str, next: &'static str) -> Self {
        Self { status, title: title.to_owned(), text: text.to_owned(), next }
    }

    /// The page as an answer. Everything in it is escaped.
    pub(super) fn render(&self) -> Response<Full<Bytes>> {
        let (title, text, next) = (escape(&self.title), escape(&self.text), self.next);
        let (mood, sign) = if self.status == StatusCode::OK { ("good", "✓") } else { ("bad", "✗") };
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} · hoopctl</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" \
             content=\"light dark\"><style>{STYLE}</style></head><body><main class=\"{mood}\">\
             <p class=\"mark\" aria-hidden=\"true\"><span></span>hoopctl</p><h1><i aria-hidden=\"true\">{sign}</i>{title}</h1>\
             <p>{text}</p><p class=\"next\">{next}</p></main></body></html>"
        );
        let mut answer = Response::new(Full::new(Bytes::from(html)));
        *answer.status_mut() = self.status;
        for (name, value) in HEADERS {
            answer.headers_mut().insert(name, header::HeaderValue::from_static(value));
        }
        answer
    }
}

/// The look of the gateway's own sign-in pages, where the browser comes from.
const STYLE: &str = include_str!("page.css");

const HEADERS: [(header::HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONNECTION, "close"),
];

/// Terminals show messages after a heading; a page shows a sentence.
fn sentence(message: &str) -> String {
    let mut rest = message.chars();
    let first: String = rest.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if message.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{end}", rest.as_str())
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn a_page_speaks_in_sentences() {
        assert_eq!(sentence("the gateway said no"), "The gateway said no.");
        assert_eq!(sentence("Which gateway?"), "Which gateway?");
    }

    #[tokio::test]
    async fn what_a_stranger_wrote_is_text_never_markup() {
        let error = ClientError::failed("x", "<script>alert('1')</script>&\"");
        let answer = Page::failed(&error).render();
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        let html =
            String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;"), "{html}");
    }
}
