//! The token of a request, found where applications put an API key, and taken out: it is nobody's business but this hop's.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};

use crate::{
    gateway::respond::Problem,
    secret::SecretString,
    wire::{Refusal, code},
};

/// Where libraries of Anthropic's, Azure's and Google's APIs put a key, in the order they are looked at behind `Authorization`.
const KEY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// Parameters of a query that hold a key or token in some API (RFC 6750 §2.3 among them).
const KEY_PARAMETERS: [&str; 4] = ["key", "api_key", "api-key", "access_token"];

/// Takes every header out that may hold a key, and returns the token of the first that does.
pub(super) fn take(head: &mut Parts, model: &str) -> Result<SecretString, Problem> {
    let authorization = only(&mut head.headers, header::AUTHORIZATION)?;
    let mut token = authorization.as_ref().and_then(bearer).map(<[u8]>::to_vec);
    for name in KEY_HEADERS {
        let key = only(&mut head.headers, name)?;
        token = token.or_else(|| key.map(|key| key.as_bytes().trim_ascii().to_vec()));
    }
    let token = token.filter(|token| !token.is_empty()).and_then(|token| String::from_utf8(token).ok());
    match token {
        Some(token) => Ok(token.into()),
        None if in_query(head.uri.query().unwrap_or_default()) => Err(unauthorized(
            "a key in the URL is not taken: URLs end up in logs and histories",
            &format!("send it as a header, `Authorization: Bearer …`; get one with: {}", command(model)),
        )),
        None if authorization.is_some() => Err(unauthorized(
            "the request's Authorization is no bearer token",
            &format!("send `Authorization: Bearer …`; get a token with: {}", command(model)),
        )),
        None => Err(unauthorized(
            "the request brings no bearer token",
            &format!("get one with: {}", command(model)),
        )),
    }
}

/// The refusal of a token, with the way to a good one.
pub(super) fn refused(refusal: Refusal, model: &str) -> Problem {
    if refusal.code == code::LOGIN_REQUIRED {
        return unauthorized(&refusal.message, &format!("get a new one with: {}", command(model)));
    }
    refusal.into()
}

fn unauthorized(message: &str, remedy: &str) -> Problem {
    Problem::new(code::LOGIN_REQUIRED, message).status(StatusCode::UNAUTHORIZED).remedy(remedy)
}

/// Only what is surely a name is written into a command that somebody may copy.
fn command(model: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let good = !model.starts_with('-') && !model.is_empty() && model.chars().all(plain);
    format!("hoopctl token {}", if good { model } else { "MODEL" })
}

/// Takes a header out that may stand there once: of two, each hop could believe another.
fn only(headers: &mut HeaderMap, name: HeaderName) -> Result<Option<HeaderValue>, Problem> {
    let several = headers.get_all(&name).iter().nth(1).is_some();
    let mut value = headers.remove(&name);
    if let Some(value) = &mut value {
        value.set_sensitive(true);
    }
    if several {
        let message = format!("the request has more than one {name} header");
        return Err(Problem::new(code::BAD_REQUEST, message).remedy("send it once"));
    }
    Ok(value)
}

/// The token of `Bearer …` (RFC 6750 §2.1); the scheme's case does not matter.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn in_query(query: &str) -> bool {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .any(|(name, _)| KEY_PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::secret::ExposeSecret;

    fn taken(uri: &str, headers: &[(&str, &str)]) -> (Result<String, Problem>, Vec<String>) {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut head = request.body(()).unwrap().into_parts().0;
        let token = take(&mut head, "m").map(|token| token.expose_secret().to_owned());
        (token, head.headers.keys().map(ToString::to_string).collect())
    }

    #[test]
    fn a_token_is_found_where_libraries_put_keys_and_nothing_of_it_stays() {
        for (headers, token) in [
            (&[("authorization", "Bearer t")][..], "t"),
            (&[("authorization", "bEARER   t ")], "t"),
            (&[("x-api-key", "t")], "t"),
            (&[("api-key", "t")], "t"),
            (&[("x-goog-api-key", "t")], "t"),
            (&[("x-api-key", "other"), ("authorization", "Bearer t"), ("api-key", "third")], "t"),
            (&[("authorization", "Basic eDp5"), ("x-api-key", "t")], "t"),
        ] {
            let (found, left) = taken("/v1", headers);
            assert_eq!(found.unwrap(), token, "{headers:?}");
            assert!(left.is_empty(), "{left:?}");
        }
        let (_, left) = taken("/", &[("authorization", "Bearer t"), ("x-kept", "1")]);
        assert_eq!(left, ["x-kept"]);
    }

    #[test]
    fn without_one_the_way_to_a_token_is_told() {
        for (uri, headers, says) in [
            ("/", &[][..], "brings no bearer token"),
            ("/", &[("authorization", "Bearer ")], "no bearer token"),
            ("/", &[("authorization", "Basic eDp5")], "is no bearer token"),
            ("/?a=1&key=secret", &[], "a key in the URL"),
            ("/?Access_Token=secret", &[], "a key in the URL"),
            ("/?monkey=1", &[], "brings no bearer token"),
        ] {
            let problem = taken(uri, headers).0.unwrap_err();
            assert_eq!(
                (problem.code(), problem.http_status()),
                (code::LOGIN_REQUIRED, StatusCode::UNAUTHORIZED)
            );
            assert!(problem.message().contains(says), "{}", problem.message());
            let said = format!("{problem:?}");
            assert!(said.contains("hoopctl token m") && !said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn two_of_one_header_are_refused() {
        for name in ["authorization", "x-api-key"] {
            let problem = taken("/", &[(name, "Bearer a"), (name, "Bearer b")]).0.unwrap_err();
            assert_eq!(problem.code(), code::BAD_REQUEST);
        }
    }

    #[test]
    fn only_a_name_is_written_into_a_command() {
        assert_eq!(command("fraud-detector"), "hoopctl token fraud-detector");
        for strange in ["", "$(x)", "-x", "a b", "a;b"] {
            assert_eq!(command(strange), "hoopctl token MODEL", "{strange}");
        }
    }
}
