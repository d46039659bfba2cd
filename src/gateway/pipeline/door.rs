//! The door on the laptop that a request came in by: a loopback port answers no browser page and no foreign name.

use aws_lc_rs::digest;
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};

use crate::{
    gateway::respond::Problem,
    secret,
    wire::{code, stream::Door},
};

/// Where applications put an API key, and so where the local key is looked for.
const KEY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks the request against its door. The local key is taken out: it is nobody's business but this hop's.
pub(super) fn check(door: &Door, head: &mut Parts) -> Result<(), Problem> {
    match door {
        Door::Private => Ok(()),
        Door::Port { port, key_sha256 } => {
            no_browser(&head.headers)?;
            own_name(head, *port)?;
            match key_sha256 {
                Some(expected) => take_key(&mut head.headers, expected),
                None => Ok(()),
            }
        }
    }
}

fn refused(message: impl Into<String>, remedy: &str) -> Problem {
    Problem::new(code::LOCAL_REFUSED, message).remedy(remedy)
}

/// A page of any site can make a browser send requests to loopback; it cannot keep the browser from saying so.
fn no_browser(headers: &HeaderMap) -> Result<(), Problem> {
    let remedy = "use the model from a program, or through a socket: hoopctl connect MODEL --socket PATH";
    if headers.contains_key(header::ORIGIN) {
        return Err(refused(
            "the request carries a browser's Origin, which the local port never answers",
            remedy,
        ));
    }
    match headers.get(FETCH_SITE).map(HeaderValue::as_bytes) {
        None | Some(b"none" | b"same-origin") => Ok(()),
        Some(_) => Err(refused("the request was made by a page of another site", remedy)),
    }
}

/// Only the port's own names: a name that a foreign DNS server points to loopback is not among them.
fn own_name(head: &Parts, port: u16) -> Result<(), Problem> {
    let target = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let hosts = head.headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    let mut named = false;
    for name in target.into_iter().chain(hosts) {
        named = true;
        if !is_own(name, port) {
            return Err(refused(
                "the request's Host is not the local port's own",
                &format!("use the base URL that `hoopctl connect` printed: http://127.0.0.1:{port}"),
            ));
        }
    }
    if named {
        return Ok(());
    }
    Err(refused("the request names no Host", "send a Host header, as HTTP/1.1 demands"))
}

fn is_own(name: &[u8], port: u16) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let host = match name.rsplit_once(':') {
        // The colons of an address in brackets are its own.
        Some((host, digits)) if !digits.ends_with(']') => {
            if digits.parse() != Ok(port) || digits.starts_with(['+', '0']) {
                return false;
            }
            host
        }
        _ if port == 80 => name,
        _ => return false,
    };
    host == "127.0.0.1" || host == "[::1]" || host.eq_ignore_ascii_case("localhost")
}

fn take_key(headers: &mut HeaderMap, expected: &str) -> Result<(), Problem> {
    let expected = expected.to_ascii_lowercase();
    let is_key = |value: &[u8]| secret::same(sha256_hex(value).as_bytes(), expected.as_bytes());
    let mut presented = false;
    if headers.get(header::AUTHORIZATION).is_some_and(|value| bearer(value).is_some_and(is_key)) {
        headers.remove(header::AUTHORIZATION);
        presented = true;
    }
    for name in KEY_HEADERS {
        if headers.get(&name).is_some_and(|value| is_key(value.as_bytes())) {
            headers.remove(&name);
            presented = true;
        }
    }
    if presented {
        return Ok(());
    }
    Err(Problem::new(code::LOCAL_KEY, "the local port asks for its key and the request does not present it")
        .remedy("send the key that `hoopctl connect --local-key` printed as a bearer token or x-api-key"))
}

/// The token of `Bearer …` (RFC 6750 §2.1); the scheme's case does not matter.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn sha256_hex(bytes: &[u8]) -> String {
    super::exchange::hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn try_door(
        key: Option<&str>,
        port: u16,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<Parts, Problem> {
        let mut request = Request::get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut head = request.body(()).unwrap().into_parts().0;
        let door = Door::Port { port, key_sha256: key.map(|key| sha256_hex(key.as_bytes()).to_uppercase()) };
        check(&door, &mut head).map(|()| head)
    }

    #[test]
    fn only_the_ports_own_names_are_answered() {
        for (port, host, answered) in [
            (4100, "127.0.0.1:4100", true),
            (4100, "localhost:4100", true),
            (4100, "LocalHost:4100", true),
            (4100, "[::1]:4100", true),
            (80, "127.0.0.1", true),
            (80, "[::1]", true),
            (80, "localhost:80", true),
            (4100, "127.0.0.1", false),
            (4100, "localhost", false),
            (4100, "[::1]", false),
            (4100, "127.0.0.1:4101", false),
            (4100, "127.0.0.1:+4100", false),
            (4100, "127.0.0.1:04100", false),
            (4100, "evil.test:4100", false),
            (4100, "localhost.evil.test:4100", false),
            (4100, "127.0.0.1.evil.test:4100", false),
            (4100, "127.0.0.2:4100", false),
            (4100, "::1:4100", false),
            (4100, "", false),
            (4100, ":4100", false),
        ] {
            assert_eq!(try_door(None, port, "/", &[("host", host)]).is_ok(), answered, "{port} {host}");
        }
        assert!(try_door(None, 4100, "/", &[]).is_err(), "no Host at all");
    }

    #[test]
    fn every_name_in_the_request_counts() {
        let own = ("host", "127.0.0.1:4100");
        assert!(try_door(None, 4100, "http://127.0.0.1:4100/x", &[own]).is_ok());
        assert!(try_door(None, 4100, "http://127.0.0.1:4100/x", &[]).is_ok());
        assert!(try_door(None, 4100, "http://evil.test/x", &[own]).is_err());
        assert!(try_door(None, 4100, "/", &[own, ("host", "evil.test")]).is_err());
    }

    #[test]
    fn browsers_are_not_answered() {
        let own = ("host", "127.0.0.1:4100");
        for (header, answered) in [
            (("origin", "https://evil.test"), false),
            (("origin", "null"), false),
            (("origin", "http://127.0.0.1:4100"), false),
            (("sec-fetch-site", "cross-site"), false),
            (("sec-fetch-site", "same-site"), false),
            (("sec-fetch-site", "none"), true),
            (("sec-fetch-site", "same-origin"), true),
        ] {
            let result = try_door(None, 4100, "/", &[own, header]);
            assert_eq!(result.is_ok(), answered, "{header:?}");
            if let Err(problem) = result {
                assert_eq!(problem.code(), code::LOCAL_REFUSED);
            }
        }
    }

    #[test]
    fn the_local_key_is_asked_for_in_any_of_its_places_and_taken_out() {
        let own = ("host", "127.0.0.1:4100");
        for header in [
            ("authorization", "Bearer k3y"),
            ("authorization", "bearer k3y"),
            ("x-api-key", "k3y"),
            ("api-key", "k3y"),
            ("x-goog-api-key", "k3y"),
        ] {
            let head = try_door(Some("k3y"), 4100, "/", &[own, header]).unwrap();
            assert!(!head.headers.contains_key(header.0), "{header:?} is taken out");
        }
        for header in [
            ("authorization", "Basic k3y"),
            ("authorization", "Bearer k3"),
            ("x-api-key", "K3Y"),
            ("x-other", "k3y"),
        ] {
            let problem = try_door(Some("k3y"), 4100, "/", &[own, header]).unwrap_err();
            assert_eq!(problem.code(), code::LOCAL_KEY, "{header:?}");
        }
        // A key of the model's own beside it is left alone.
        let head =
            try_door(Some("k3y"), 4100, "/", &[own, ("x-api-key", "k3y"), ("authorization", "Bearer own")])
                .unwrap();
        assert_eq!(head.headers["authorization"], "Bearer own");
    }

    #[test]
    fn a_private_door_asks_nothing() {
        let request = Request::get("/").header("host", "any").header("origin", "x").body(()).unwrap();
        assert!(check(&Door::Private, &mut request.into_parts().0).is_ok());
    }
}
