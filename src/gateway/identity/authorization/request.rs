//! An authorization request (RFC 6749 §4.1.1, RFC 7636, RFC 8252) of the laptop or of the gateway's own pages, validated.

use url::{Host, Url};

use super::{
    CONSOLE_CALLBACK,
    params::{Params, Repeated},
};
use crate::{gateway::identity::browser::Goal, wire::api::CLIENT_ID};

/// The longest redirect address, in bytes.
const MAX_REDIRECT: usize = 256;
/// The longest `state`, in bytes: it must fit the sign-in cookie.
const MAX_STATE: usize = 512;

/// Who may ask for a code: two public clients, each with addresses that the other cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway::identity) enum Client {
    /// The command line, on a loopback address of the person's machine.
    Laptop,
    /// The gateway's own pages, at one fixed address of the gateway itself.
    Console,
}

impl Client {
    /// The `client_id`.
    pub(in crate::gateway::identity) fn id(self) -> &'static str {
        match self {
            Self::Laptop => CLIENT_ID,
            Self::Console => "hoopctl-console",
        }
    }

    /// The address, if this client may have the answer sent there.
    pub(super) fn redirect_uri(self, text: &str, issuer: &str) -> Option<Url> {
        match self {
            Self::Laptop => redirect_uri(text),
            Self::Console => (text == console_address(issuer)).then(|| Url::parse(text).ok()).flatten(),
        }
    }

    /// The client whose address it is.
    pub(super) fn of_redirect(text: &str, issuer: &str) -> Option<Url> {
        [Self::Laptop, Self::Console].into_iter().find_map(|client| client.redirect_uri(text, issuer))
    }
}

/// Where the gateway's own pages take their codes.
pub(in crate::gateway::identity) fn console_address(issuer: &str) -> String {
    format!("{issuer}{CONSOLE_CALLBACK}")
}

/// A validated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) client: Client,
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
    pub(super) fn read(params: &Params, issuer: &str) -> Result<Self, Fault> {
        // Until these two hold, nothing may be sent to the address given.
        let page = |why: &str| Fault::Page(why.to_owned());
        let client = match params.one("client_id") {
            Ok(Some(id)) => [Client::Laptop, Client::Console].into_iter().find(|client| client.id() == id),
            _ => None,
        }
        .ok_or_else(|| page("The program that opened this page is not known to this gateway (client_id)."))?;
        let redirect_uri = match params.one("redirect_uri") {
            Ok(Some(text)) => client.redirect_uri(text, issuer).ok_or_else(|| {
                page("The program that opened this page wants the answer sent somewhere else than it may (redirect_uri).")
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
        Ok(Self { client, redirect_uri, state, challenge, provider })
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
fn redirect_uri(text: &str) -> Option<Url> {
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

    const ISSUER: &str = "https://gateway.example.test";
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
        Request::read(&Params::read(query.as_bytes()).unwrap(), ISSUER)
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
    fn the_gateways_own_pages_have_one_address_and_the_laptop_cannot_have_it() {
        let own = "https://gateway.example.test/console/callback";
        let console =
            |redirect| read(&[("client_id", Some("hoopctl-console")), ("redirect_uri", Some(redirect))]);
        assert_eq!(console(own).unwrap().client, Client::Console);
        for wrong in [
            "http://127.0.0.1:51234/callback",
            "http://gateway.example.test/console/callback",
            "https://gateway.example.test/console/callback/",
            "https://gateway.example.test/console/callback?x=1",
            "https://gateway.example.test/console/callback#x",
            "https://gateway.example.test:443/console/callback",
            "https://gateway.example.test/console/../console/callback",
            "https://GATEWAY.example.test/console/callback",
            "https://evil.test/console/callback",
            "",
        ] {
            assert!(matches!(console(wrong), Err(Fault::Page(_))), "{wrong}");
        }
        assert!(matches!(read(&[("redirect_uri", Some(own))]), Err(Fault::Page(_))));
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
        let fault = Request::read(&Params::read(query.as_bytes()).unwrap(), ISSUER).unwrap_err();
        assert_eq!(told(fault), "invalid_request");
        let twice = format!("{query}&redirect_uri=http://evil.test/callback");
        let twice = Request::read(&Params::read(twice.as_bytes()).unwrap(), ISSUER);
        assert!(matches!(twice, Err(Fault::Page(_))));
    }
}
