//! Rules for single fields, and for heads that come parsed (HTTP/2 among them).

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header, request::Parts};

use super::{Malformed, octets};

/// Checks what neither hyper nor h2 does: a head that two servers could read in two ways.
///
/// # Errors
/// What is wrong with it.
pub(in crate::gateway) fn check(head: &Parts) -> Result<(), Malformed> {
    if head.method == Method::CONNECT
        || head.method == Method::TRACE
        || head.method.as_str().bytes().any(|byte| byte.is_ascii_lowercase())
    {
        return Err(Malformed::Method);
    }
    target(&head.method, &head.uri)?;
    host(head)?;
    if let Some(expected) = head.headers.get(header::EXPECT)
        && !expected.as_bytes().eq_ignore_ascii_case(b"100-continue")
    {
        return Err(Malformed::Expectation);
    }
    lengths(&head.headers)?;
    if head.version == Version::HTTP_2 { http2(&head.headers) } else { Ok(()) }
}

/// A content length that is there once and a number (RFC 9110 §8.6).
///
/// # Errors
/// What is wrong with it.
pub(in crate::gateway) fn lengths(headers: &HeaderMap) -> Result<(), Malformed> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(()),
        (Some(one), None) => length(one.as_bytes()).map(|_| ()),
        (Some(_), Some(_)) => Err(Malformed::Lengths),
    }
}

/// Whether a field may stand in trailers (RFC 9110 §6.5.1): nothing that frames, routes, modifies or authenticates.
pub(in crate::gateway) fn trailer(name: &[u8]) -> bool {
    const NEVER: [&[u8]; 31] = [
        b"authorization",
        b"cache-control",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"expect",
        b"host",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"keep-alive",
        b"max-forwards",
        b"pragma",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"range",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"www-authenticate",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
    ];
    !NEVER.iter().any(|never| is_like(name, never))
}

/// A decimal number (RFC 9110 §8.6) that a length can be: some readers count in 63 bits.
pub(super) fn length(value: &[u8]) -> Result<u64, Malformed> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::Length);
    }
    // 0005 is a number to one reader and octal to another.
    if value.len() > 1 && value.starts_with(b"0") {
        return Err(Malformed::Length);
    }
    let length: u64 =
        std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or(Malformed::Length)?;
    if i64::try_from(length).is_ok() { Ok(length) } else { Err(Malformed::Length) }
}

/// The same name, also to a server that takes `_` for `-` as CGI does. `name` is lower case.
pub(super) fn is_like(written: &[u8], name: &[u8]) -> bool {
    written.len() == name.len()
        && written.iter().zip(name).all(|(written, name)| {
            written.to_ascii_lowercase() == *name || (*written == b'_' && *name == b'-')
        })
}

/// RFC 9112 §3.2, RFC 9113 §8.3.1: a path, or `*` with OPTIONS; http or https, and nobody's name in front of the host.
fn target(method: &Method, uri: &Uri) -> Result<(), Malformed> {
    let strange = uri.scheme_str().is_some_and(|scheme| scheme != "http" && scheme != "https")
        || uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let rooted = match uri.path_and_query().map(|path| path.as_str()) {
        Some("*") => method == Method::OPTIONS,
        Some(path) => path.starts_with('/') && path.is_ascii(),
        None => false,
    };
    if strange || !rooted { Err(Malformed::Target) } else { Ok(()) }
}

/// Exactly one; HTTP/1.0 may have none, and HTTP/2 has `:authority`, which a `Host` beside it must repeat. In HTTP/1.1 the same holds
/// for a target in absolute form, though there a server would take the target's (RFC 9112 §3.2.2): two hosts are two readings.
fn host(head: &Parts) -> Result<(), Malformed> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    let authority = head.uri.authority().map(|authority| authority.as_str());
    let good = match (host, authority) {
        _ if more.is_some() => false,
        (Some(host), Some(authority)) => host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()),
        (Some(host), None) => is_host(host.as_bytes()),
        (None, Some(_)) => true,
        (None, None) => head.version == Version::HTTP_10,
    };
    if good { Ok(()) } else { Err(Malformed::Host) }
}

/// A host with or without a port, or nothing: the target may have no authority (RFC 9110 §7.2).
fn is_host(host: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte);
    host.iter().all(plain)
}

/// RFC 9113 §8.2.1, §8.2.2: what h2 leaves.
fn http2(headers: &HeaderMap) -> Result<(), Malformed> {
    const NEVER: [HeaderName; 5] = [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ];
    let blank = |value: &HeaderValue| octets::trimmed(value.as_bytes()).len() != value.len();
    let te = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"trailers");
    // What h2 has counted by would be another length to an HTTP/1 server that takes `_` for `-`.
    let alike = |name: &HeaderName| {
        let name = name.as_str().as_bytes();
        name.contains(&b'_') && (is_like(name, b"content-length") || is_like(name, b"transfer-encoding"))
    };
    let bad = NEVER.iter().any(|name| headers.contains_key(name))
        || headers.keys().any(alike)
        || headers.values().any(blank)
        || headers.get_all(header::TE).iter().any(te);
    if bad { Err(Malformed::Http2Field) } else { Ok(()) }
}
