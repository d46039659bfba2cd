//! The request line and framing: what could be read in two ways is not passed on at all.

use http::{Method, Version, header, request::Parts};

use crate::{gateway::respond::Problem, wire::code};

/// Checks what hyper leaves to its user. Conflicting lengths, bad header bytes and the like never come this far.
pub(super) fn check(head: &Parts) -> Result<(), Problem> {
    if head.method == Method::CONNECT || head.method == Method::TRACE {
        return Err(Problem::new(code::BAD_REQUEST, format!("{} is never passed to a model", head.method))
            .remedy("use another method"));
    }
    let hosts = head.headers.get_all(header::HOST).iter().count();
    // RFC 9112 §3.2: exactly one; HTTP/1.0 may have none, HTTP/2 has :authority.
    let missing = hosts == 0 && head.version == Version::HTTP_11 && head.uri.authority().is_none();
    if hosts > 1 || missing {
        return Err(Problem::new(code::BAD_REQUEST, "the request must have exactly one Host header"));
    }
    if head.uri.scheme_str().is_some_and(|scheme| scheme != "http" && scheme != "https") {
        return Err(Problem::new(code::BAD_REQUEST, "the request's target is neither http nor https"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(request: http::request::Builder) -> Parts {
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn requests_that_could_be_read_in_two_ways_are_refused() {
        let get = || Request::get("/");
        assert!(check(&head(get().header("host", "a"))).is_ok());
        assert!(check(&head(get().header("host", "a").header("host", "a"))).is_err());
        assert!(check(&head(get())).is_err());
        assert!(check(&head(get().version(Version::HTTP_10))).is_ok());
        assert!(check(&head(Request::get("http://a/").version(Version::HTTP_2))).is_ok());
        assert!(check(&head(Request::get("ftp://a/").header("host", "a"))).is_err());
        for method in ["CONNECT", "TRACE"] {
            let request = Request::builder().method(method).uri("a:1").header("host", "a");
            assert_eq!(check(&head(request)).unwrap_err().code(), code::BAD_REQUEST, "{method}");
        }
    }
}
