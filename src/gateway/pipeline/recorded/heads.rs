//! Heads as they are recorded: without secrets.

use http::{HeaderMap, HeaderName, header, request};

use super::super::dialect::unescaped;
use crate::{evidence::recording::What, gateway::mask::Masking};

/// What stands in place of a secret.
const REMOVED: &str = "[removed]";

/// What names of headers and of parameters say that hold secrets.
const SECRET: [&str; 13] = [
    "auth",
    "cookie",
    "token",
    "secret",
    "passw",
    "api-key",
    "apikey",
    "api_key",
    "credential",
    "signature",
    "session",
    "access-key",
    "accesskey",
];

/// Parameters that hold secrets though their names do not say so: Gemini's key, signed URLs, OAuth.
const SECRET_PARAMETERS: [&str; 4] = ["key", "sig", "code", "jwt"];

/// The head of a request, as it came.
pub(super) fn asked(head: &request::Parts, masking: Option<&Masking>) -> What {
    What::Request {
        method: head.method.as_str().to_owned(),
        path: path(head, masking),
        version: format!("{:?}", head.version),
        headers: fields(&head.headers),
    }
}

/// The path, and the query without secrets and masked as texts are.
fn path(head: &request::Parts, masking: Option<&Masking>) -> String {
    let path = head.uri.path().to_owned();
    let Some(query) = head.uri.query() else { return path };
    let shown = query.split('&').map(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else { return parameter.to_owned() };
        let lower = name.to_ascii_lowercase();
        if is_secret(&lower) || SECRET_PARAMETERS.contains(&lower.as_str()) {
            return format!("{name}={REMOVED}");
        }
        match masking {
            // Nobody waits for names here.
            Some(masking) if masking.asks_for_names() => format!("{name}=[MASKED]"),
            Some(masking) => {
                let plain = String::from_utf8_lossy(&unescaped(value.as_bytes())).into_owned();
                let masked = masking.excerpt(&plain, true);
                if masked == plain { parameter.to_owned() } else { format!("{name}={masked}") }
            }
            None => parameter.to_owned(),
        }
    });
    let shown: Vec<String> = shown.collect();
    format!("{path}?{}", shown.join("&"))
}

/// Names and values of headers, without secrets.
pub(super) fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = headers.iter().map(|(name, value)| {
        let value = if is_secret(name.as_str()) && !is_public(name) {
            REMOVED.to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        (name.as_str().to_owned(), value)
    });
    shown.collect()
}

fn is_secret(name: &str) -> bool {
    name.ends_with("-key") || name.ends_with("_key") || SECRET.iter().any(|part| name.contains(part))
}

/// Headers whose names sound like secrets and are none.
fn is_public(name: &HeaderName) -> bool {
    *name == header::WWW_AUTHENTICATE || name == "idempotency-key" || name.as_str().contains("ratelimit")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn secrets_are_not_recorded() {
        let secret = ["s", "3", "cret"].concat();
        let mut request =
            Request::post(format!("/v1/m:generate?key={secret}&alt=sse&access_token={secret}&x"));
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "x-api-key",
            "api-key",
            "x-goog-api-key",
            "x-amz-security-token",
            "x-auth-token",
            "x-session-id",
            "ocp-apim-subscription-key",
        ] {
            request = request.header(name, &secret);
        }
        let (head, ()) = request.header("accept", "*/*").body(()).unwrap().into_parts();
        let What::Request { method, path, version, headers } = asked(&head, None) else { panic!() };
        assert_eq!((method.as_str(), version.as_str()), ("POST", "HTTP/1.1"));
        assert_eq!(path, "/v1/m:generate?key=[removed]&alt=sse&access_token=[removed]&x");
        assert!(!format!("{headers:?}").contains(&secret), "{headers:?}");
        assert!(headers.contains(&("accept".to_owned(), "*/*".to_owned())));
        let mut answer = HeaderMap::new();
        answer.insert("set-cookie", secret.parse().unwrap());
        assert_eq!(fields(&answer), [("set-cookie".to_owned(), REMOVED.to_owned())]);
    }
}
