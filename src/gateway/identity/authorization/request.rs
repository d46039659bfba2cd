//! A laptop's authorization request (RFC 6749 §4.1.1, RFC 7636, RFC 8252), validated.

use url::{Host, Url};

use super::params::{Params, Repeated};
use crate::{gateway::identity::browser::Goal, wire::api::CLIENT_ID};

/// The longest redirect address, in bytes.
const MAX_REDIRECT: usize = 256;
/// The longest `state`, in bytes: it must fit the sign-in cookie.
const MAX_STATE: usize = 512;

/// A validated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) redirect_uri: Url,
    pub(super) state: Option<String>,
    /// PKCE code challenge, S256.
    pub(super) challenge: String,
    /// Which provider the laptop wants.
    pub(super) provider: Option<String>,
}

/// What is wrong with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody knows where to send the browser: a page tells the person.
    Page(String),
    /// The laptop is told.
    Redirect(Box<Told>),
}

/// What the laptop is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Validated.
    pub(super) redirect_uri: Url,
    pub(super) state: Option<String>,
    /// Of RFC 6749 §4.1.2.1.
    pub(super) error: &'static str,
    pub(super) description: String,
}

impl Request {
    /// Validates the query.
    pub(super) fn read(params: &Params) -> Result<Self, Fault> {
        // Until these two hold, nothing may be sent to the address given.
        let page = |why: &str| Fault::Page(why.to_owned());
        match params.one("client_id") {
            Ok(Some(CLIENT_ID)) => {}
            _ => {
                return Err(page(
                    "The program that opened this page is not known to this gateway (client_id).",
                ));
            }
        }
        let redirect_uri = match params.one("redirect_uri") {
            Ok(Some(text)) => redirect_uri(text).ok_or_else(|| {
                page("The program that opened this page wants the answer sent somewhere else than to this machine (redirect_uri).")
            })?,
            _ => return Err(page("The program that opened this page did not say where to send the answer (redirect_uri).")),
        };
        let state = match params.one("state") {
            Ok(state) => state.filter(|state| state.len() <= MAX_STATE).map(str::to_owned),
            Err(_) => None,
        };
        let fault = |error, description: &str| {
            Fault::Redirect(Box::new(Told {
                redirect_uri: redirect_uri.clone(),
                state: state.clone(),
                error,
                description: description.to_owned(),
            }))
        };
        let one = |name| {
            params
                .one(name)
                .map_err(|Repeated(name)| fault("invalid_request", &format!("{name} stands there twice")))
        };
        if one("state")?.is_some_and(|state| state.len() > MAX_STATE) {
            return Err(fault("invalid_request", "state is longer than 512 bytes"));
        }
        match one("response_type")? {
            Some("code") => {}
            None => return Err(fault("invalid_request", "response_type is missing")),
            Some(_) => return Err(fault("unsupported_response_type", "only response_type=code is served")),
        }
        if !matches!(one("response_mode")?, None | Some("query")) {
            return Err(fault("invalid_request", "only response_mode=query is served"));
        }
        // RFC 7636 §4.3: an absent method would mean `plain`.
        if one("code_challenge_method")? != Some("S256") {
            return Err(fault("invalid_request", "code_challenge_method=S256 is required"));
        }
        let challenge = one("code_challenge")?
            .filter(|challenge| is_challenge(challenge))
            .ok_or_else(|| fault("invalid_request", "code_challenge must be 43 characters of base64url"))?
            .to_owned();
        let provider = one("provider")?.map(str::to_owned);
        Ok(Self { redirect_uri, state, challenge, provider })
    }
}

impl Request {
    /// What a sign-in for this request is for.
    pub(super) fn into_goal(self) -> Goal {
        Goal::Redirect {
            redirect_uri: self.redirect_uri.into(),
            state: self.state,
            challenge: self.challenge,
        }
    }
}

/// A loopback address of this machine, any port, path `/callback` and nothing else (RFC 8252 §7.3).
pub(super) fn redirect_uri(text: &str) -> Option<Url> {
    if text.len() > MAX_REDIRECT {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let loopback = match url.host()? {
        Host::Ipv4(address) => address == std::net::Ipv4Addr::LOCALHOST,
        Host::Ipv6(address) => address == std::net::Ipv6Addr::LOCALHOST,
        Host::Domain(name) => name == "localhost",
    };
    let plain = url.scheme() == "http"
        && url.path() == "/callback"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    // Only the canonical spelling: parsers disagree about all others (`127.1`, backslashes, tabs, capitals).
    (loopback && plain && url.as_str() == text).then_some(url)
}

/// SHA-256 in base64url without padding.
fn is_challenge(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// The laptop's address with parameters added.
pub(super) fn answer(redirect_uri: &Url, params: &[(&str, Option<&str>)]) -> Url {
    let mut url = redirect_uri.clone();
    {
        let mut query = url.query_pairs_mut();
        for (name, value) in params {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn read(change: &[(&str, Option<&str>)]) -> Result<Request, Fault> {
        let mut params = vec![
            ("client_id", CLIENT_ID),
            ("redirect_uri", "http://127.0.0.1:51234/callback"),
            ("response_type", "code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("state", "xyz"),
        ];
        for (name, value) in change {
            params.retain(|(one, _)| one != name);
            params.extend(value.map(|value| (*name, value)));
        }
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        Request::read(&Params::read(query.as_bytes()).unwrap())
    }

    fn told(fault: Fault) -> &'static str {
        match fault {
            Fault::Redirect(told) => {
                assert_eq!(told.state.as_deref(), Some("xyz"));
                told.error
            }
            Fault::Page(why) => panic!("a page: {why}"),
        }
    }

    #[test]
    fn a_good_request_is_taken() {
        let request = read(&[("provider", Some("company"))]).unwrap();
        assert_eq!(request.redirect_uri.as_str(), "http://127.0.0.1:51234/callback");
        assert_eq!((request.state.as_deref(), request.provider.as_deref()), (Some("xyz"), Some("company")));
    }

    #[test]
    fn pkce_cannot_be_left_out_or_weakened() {
        for change in [
            [("code_challenge", None), ("code_challenge_method", None)],
            [("code_challenge", None), ("code_challenge_method", Some("S256"))],
            [("code_challenge", Some(CHALLENGE)), ("code_challenge_method", None)],
            [("code_challenge", Some(CHALLENGE)), ("code_challenge_method", Some("plain"))],
            [("code_challenge", Some("short")), ("code_challenge_method", Some("S256"))],
        ] {
            assert_eq!(told(read(&change).unwrap_err()), "invalid_request", "{change:?}");
        }
    }

    #[test]
    fn other_flows_are_refused_at_the_laptop() {
        assert_eq!(told(read(&[("response_type", Some("token"))]).unwrap_err()), "unsupported_response_type");
        assert_eq!(told(read(&[("response_type", None)]).unwrap_err()), "invalid_request");
        assert_eq!(told(read(&[("response_mode", Some("fragment"))]).unwrap_err()), "invalid_request");
    }

    #[test]
    fn answers_go_to_this_machine_alone() {
        for good in [
            "http://127.0.0.1:1/callback",
            "http://localhost:65535/callback",
            "http://[::1]:8080/callback",
            "http://127.0.0.1/callback",
        ] {
            assert!(redirect_uri(good).is_some(), "{good}");
        }
        let long = format!("http://127.0.0.1:1/callback?{}", "a".repeat(300));
        for bad in [
            "https://127.0.0.1:1/callback",
            "http://127.0.0.1:1/callback#x",
            "http://127.0.0.1:1/callback?x=1",
            "http://127.0.0.1:1/callback/",
            "http://127.0.0.1:1/callback/../evil",
            "http://127.0.0.1:1/evil",
            "http://127.0.0.1:1",
            "http://user@127.0.0.1:1/callback",
            "http://127.0.0.1:1@evil.test/callback",
            "http://127.0.0.1:80@evil.test/callback",
            "http://localhost.evil.test:1/callback",
            "http://evil.test/callback",
            "http://127.0.0.1.evil.test/callback",
            "http://127.0.0.2:1/callback",
            "http://127.1:1/callback",
            "http://2130706433:1/callback",
            "http://0.0.0.0:1/callback",
            "http://LOCALHOST:1/callback",
            "http://localhost.:1/callback",
            "http://127.0.0.1:99999/callback",
            "http://127.0.0.1:01/callback",
            "http:\\\\127.0.0.1:1/callback",
            "http://127.0.0.1:1\t/callback",
            " http://127.0.0.1:1/callback",
            "http:///127.0.0.1:1/callback",
            "http://[::ffff:127.0.0.1]:1/callback",
            "javascript:alert(1)",
            "hoopctl://127.0.0.1/callback",
            "//127.0.0.1:1/callback",
            "",
            &long,
        ] {
            assert!(redirect_uri(bad).is_none(), "{bad}");
            assert!(matches!(read(&[("redirect_uri", Some(bad))]), Err(Fault::Page(_))), "{bad}");
        }
    }

    #[test]
    fn an_unknown_program_is_told_nothing() {
        assert!(matches!(read(&[("client_id", Some("other"))]), Err(Fault::Page(_))));
        assert!(matches!(read(&[("client_id", None)]), Err(Fault::Page(_))));
    }

    #[test]
    fn repeated_parameters_are_refused() {
        let query = format!(
            "client_id={CLIENT_ID}&redirect_uri=http://127.0.0.1:1/callback&state=xyz&response_type=code&code_challenge={CHALLENGE}&code_challenge_method=plain&code_challenge_method=S256"
        );
        let fault = Request::read(&Params::read(query.as_bytes()).unwrap()).unwrap_err();
        assert_eq!(told(fault), "invalid_request");
        let twice = format!("{query}&redirect_uri=http://evil.test/callback");
        assert!(matches!(Request::read(&Params::read(twice.as_bytes()).unwrap()), Err(Fault::Page(_))));
    }
}
