//! What of gRPC matters on the way: how long the caller waits, and whether an answer's end can be told in trailers.
//! (gRPC over HTTP/2, <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.)

use std::time::Duration;

use http::{HeaderMap, HeaderName, Version, header};

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How long the caller waits for the whole call, when it says so in a way that can be read: at most eight digits and a unit.
pub(super) fn patience(request: &HeaderMap) -> Option<Duration> {
    let told = request.get(TIMEOUT).filter(|_| is(request))?.to_str().ok()?;
    let (digits, unit) = told.split_at_checked(told.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// Whether an answer to a caller of this version ends with a status in its trailers.
pub(super) fn ends_in_trailers(version: Version, answer: &HeaderMap) -> bool {
    // One whose length was announced would be cut by what comes short of it.
    version == Version::HTTP_2 && is(answer) && !answer.contains_key(header::CONTENT_LENGTH)
}

fn is(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes().get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_as_grpc_writes_it() {
        for (told, patience_is) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("00000003S", Some(Duration::from_secs(3))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("6n", Some(Duration::from_nanos(6))),
            ("", None),
            ("S", None),
            ("1", None),
            ("-1S", None),
            ("1.5S", None),
            ("123456789S", None),
            ("1s", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT, told.parse().unwrap());
            assert_eq!(patience(&headers), None, "no gRPC");
            headers.insert("content-type", "application/grpc+proto".parse().unwrap());
            assert_eq!(patience(&headers), patience_is, "{told}");
        }
    }
}
