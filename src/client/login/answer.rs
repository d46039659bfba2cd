//! What the gateway sends back through a browser, judged the same whether it came to the port or was pasted.

use url::{Host, Url, form_urlencoded};

use crate::{
    client::{ClientError, oauth},
    secret::{self, ExposeSecret, SecretString},
};

/// The path of the redirect URI.
pub(super) const PATH: &str = "/callback";
/// The longest address that is looked at, in bytes.
const MAX_PASTED: usize = 16 * 1024;

/// The authorization code, or why there is none.
pub(super) type Code = Result<SecretString, ClientError>;

/// What an answer must prove.
#[derive(Clone)]
pub(super) struct Expected {
    /// Ours, unguessable.
    pub(super) state: SecretString,
    /// Whose answer it must be, when it says so (RFC 9207).
    pub(super) issuer: String,
}

impl Expected {
    /// The code, or the provider's no.
    ///
    /// # Errors
    /// A sentence for what has nothing to do with this login: a stranger's request must not end it.
    pub(super) fn judge(&self, query: &str) -> Result<Code, &'static str> {
        let query = Query::read(query).ok_or("This is not an answer to a login.")?;
        let ours = query
            .state
            .as_deref()
            .is_some_and(|state| secret::same(state.as_bytes(), self.state.expose_secret().as_bytes()));
        if !ours {
            return Err(
                "This answer belongs to another login. If it was yours, start again with `hoopctl login`.",
            );
        }
        Ok(self.result(query))
    }

    /// As [`Self::judge`], for a line that a person pasted; `port` is ours.
    pub(super) fn judge_pasted(&self, line: &str, port: u16) -> Result<Code, String> {
        let line = line.trim_matches(|c: char| c.is_whitespace() || "\"'<>".contains(c));
        let other = || {
            format!(
                "that is not the address the browser ended on, which begins with http://127.0.0.1:{port}{PATH}?"
            )
        };
        if line.is_empty() || line.len() > MAX_PASTED {
            return Err(other());
        }
        // Address bars leave the scheme out.
        let whole = if line.contains("://") { line.to_owned() } else { format!("http://{line}") };
        let url = Url::parse(&whole).map_err(|_| other())?;
        let here = match url.host() {
            Some(Host::Ipv4(address)) => address == std::net::Ipv4Addr::LOCALHOST,
            Some(Host::Domain(name)) => name == "localhost",
            _ => false,
        };
        if !here || url.path() != PATH || url.port() != Some(port) {
            return Err(other());
        }
        self.judge(url.query().unwrap_or_default()).map_err(str::to_owned)
    }

    fn result(&self, query: Query) -> Code {
        if let Some(issuer) = query.iss.filter(|issuer| !same_issuer(issuer, &self.issuer)) {
            return Err(ClientError::untrusted(format!(
                "the login was answered by {issuer}, not by {}; the answer was thrown away",
                self.issuer
            ))
            .remedy("hoopctl login"));
        }
        if let Some(error) = query.error {
            return Err(oauth::oauth_error(&error, query.error_description.as_deref()));
        }
        query.code.map(SecretString::from).ok_or_else(|| {
            ClientError::failed("protocol", "the gateway sent the browser back without a code")
                .remedy("hoopctl login")
        })
    }
}

fn same_issuer(a: &str, b: &str) -> bool {
    match (Url::parse(a), Url::parse(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// The parameters of RFC 6749 §4.1.2 and RFC 9207.
#[derive(Default)]
struct Query {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Query {
    /// `None` when a parameter is there twice (RFC 6749 §3.1).
    fn read(text: &str) -> Option<Self> {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let field = match name.as_ref() {
                "code" => &mut query.code,
                "state" => &mut query.state,
                "iss" => &mut query.iss,
                "error" => &mut query.error,
                "error_description" => &mut query.error_description,
                _ => continue,
            };
            if field.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        Some(query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Kind;

    fn expected() -> Expected {
        Expected { state: "the-state".into(), issuer: "https://gateway.example.test".into() }
    }

    #[test]
    fn people_paste_what_the_browser_shows() {
        for line in [
            "http://127.0.0.1:8400/callback?code=c&state=the-state",
            "  http://localhost:8400/callback?state=the-state&code=c\r\n",
            "127.0.0.1:8400/callback?code=c&state=the-state&iss=https%3A%2F%2Fgateway.example.test",
            "\"http://127.0.0.1:8400/callback?code=c&state=the-state\"",
        ] {
            let code = expected().judge_pasted(line, 8400).unwrap().unwrap();
            assert_eq!(code.expose_secret(), "c", "{line}");
        }
    }

    #[test]
    fn whatever_else_is_pasted_leaves_the_login_waiting() {
        let huge = "x".repeat(10 * 1024 * 1024);
        let huge_url = format!("http://127.0.0.1:8400/callback?state=the-state&code={huge}");
        for line in [
            "",
            "\u{0}\u{1b}[2J",
            "y",
            "http://127.0.0.1:8400/callback",
            "http://127.0.0.1:8400/callback?code=c",
            "http://127.0.0.1:8400/callback?code=c&state=another",
            "http://127.0.0.1:8400/callback?code=c&code=d&state=the-state",
            "http://127.0.0.1:8401/callback?code=c&state=the-state",
            "http://127.0.0.1:8400/other?code=c&state=the-state",
            "http://evil.example.test:8400/callback?code=c&state=the-state",
            "http://127.0.0.1:8400@evil.example.test/callback?code=c&state=the-state",
            "https://gateway.example.test/oauth2/authorize?state=the-state",
            "javascript://127.0.0.1:8401/callback?code=c&state=the-state",
            &huge,
            &huge_url,
        ] {
            assert!(expected().judge_pasted(line, 8400).is_err(), "{line:.80}");
        }
    }

    #[test]
    fn a_no_and_another_issuers_answer_end_the_login_pasted_too() {
        for (query, kind) in [
            ("iss=https%3A%2F%2Fevil.example.test&code=c", Kind::Trust),
            ("error=access_denied&error_description=no", Kind::LoginNeeded),
            ("iss=https%3A%2F%2Fgateway.example.test", Kind::Failed),
        ] {
            let line = format!("http://127.0.0.1:8400/callback?{query}&state=the-state");
            assert_eq!(expected().judge_pasted(&line, 8400).unwrap().unwrap_err().kind, kind, "{query}");
        }
    }
}
