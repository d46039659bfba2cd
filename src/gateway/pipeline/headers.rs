//! Headers that end at this hop (RFC 9110 §7.6.1). All others travel as they came.

use http::{HeaderMap, HeaderName, HeaderValue, Version, header, request::Parts};

use super::dialect::unescaped;
use crate::gateway::{
    framing,
    mask::Masking,
    respond::{self, CODE_HEADER},
};

/// How many values were masked in an answer: the gateway's word, in its trailers.
pub(super) const MASKED: HeaderName = HeaderName::from_static("x-hoopctl-masked");

/// gRPC's words for an error, for people and for programs.
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// What belongs to one connection, whether `Connection` lists it or not.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What `Connection` may list and yet must reach the other end: a caller could otherwise make this hop drop them.
const END_TO_END: [HeaderName; 5] =
    [header::HOST, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::AUTHORIZATION, header::TE];

/// Prepares a request for the model's leg; says whether it asks to leave HTTP, and its `Upgrade` is kept then.
pub(super) fn towards_model(head: &mut Parts) -> bool {
    let protocol = switching(head);
    let trailers = takes_trailers(&head.headers);
    end_here(&mut head.headers);
    // Answered by this hop as soon as the body is asked for.
    head.headers.remove(header::EXPECT);
    head.headers.remove(header::TE);
    head.headers.remove(HeaderName::from_static("http2-settings"));
    if trailers {
        head.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if head.version == Version::HTTP_2 {
        one_cookie(&mut head.headers);
    }
    match protocol {
        Some(protocol) => {
            head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers.insert(header::UPGRADE, protocol);
            true
        }
        None => {
            head.extensions.clear();
            false
        }
    }
}

/// Asks for an answer that can be read on its way: what is compressed tells no tokens.
pub(super) fn uncompressed(headers: &mut HeaderMap) {
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    // The same of a WebSocket: a server compresses only what is offered (RFC 7692 §5).
    headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
}

/// Prepares an answer for the caller's leg. A model cannot speak in the gateway's name.
pub(super) fn towards_caller(headers: &mut HeaderMap) {
    end_here(headers);
    headers.remove(CODE_HEADER);
    headers.remove(MASKED);
}

/// Ends an HTTP/1 connection with this answer.
pub(super) fn last_on_its_connection(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// The same for an answer's trailers, of which only fields are left that may stand there.
pub(super) fn trailers_towards_caller(trailers: &mut HeaderMap) {
    let strange: Vec<HeaderName> =
        trailers.keys().filter(|name| !framing::trailer(name.as_str().as_bytes())).cloned().collect();
    for name in strange.iter().chain([&CODE_HEADER, &MASKED]) {
        trailers.remove(name);
    }
}

/// The same for an answer with status 101, whose `Upgrade` is its meaning.
pub(super) fn towards_caller_switching(headers: &mut HeaderMap) {
    let protocol = headers.get(header::UPGRADE).cloned();
    towards_caller(headers);
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        headers.insert(header::UPGRADE, protocol);
    }
}

fn end_here(headers: &mut HeaderMap) {
    // Almost no request lists anything, so the list is only copied when it is there.
    if headers.contains_key(header::CONNECTION) {
        let listed: Vec<HeaderName> = tokens(headers, &header::CONNECTION)
            .filter_map(|token| HeaderName::from_bytes(token).ok())
            .filter(|name| !END_TO_END.contains(name))
            .collect();
        for name in listed {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The protocols a request wants to switch to, in one field. HTTP/2 in plaintext (`h2c`) is no such thing here.
fn switching(head: &Parts) -> Option<HeaderValue> {
    let asks = head.version == Version::HTTP_11
        && tokens(&head.headers, &header::CONNECTION).any(|token| token.eq_ignore_ascii_case(b"upgrade"));
    if !asks {
        return None;
    }
    let others = tokens(&head.headers, &header::UPGRADE)
        .filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case(b"h2c"));
    let others = others.collect::<Vec<_>>().join(&b", "[..]);
    HeaderValue::from_bytes(&others).ok().filter(|value| !value.is_empty())
}

/// Whether an answer with status 101 switches to what was asked for, and to nothing else (RFC 9110 §7.8).
pub(super) fn switches_as_asked(asked: &[Vec<u8>], answer: &HeaderMap) -> bool {
    let mut to = tokens(answer, &header::UPGRADE).peekable();
    to.peek().is_some() && to.all(|token| asked.iter().any(|asked| token.eq_ignore_ascii_case(asked)))
}

/// Masks what an answer's head or trailers say in words (gRPC percent-encodes them); what only programs read of it goes.
pub(super) fn mask_status(headers: &mut HeaderMap, masking: &Masking) {
    headers.remove(GRPC_DETAILS);
    if let Some(message) = headers.get(GRPC_MESSAGE) {
        let said = String::from_utf8_lossy(&unescaped(message.as_bytes())).into_owned();
        // Nobody waits for names here: where they are looked for, nothing of it is left.
        let masked = if masking.asks_for_names() { "[MASKED]".to_owned() } else { masking.text(&said) };
        if masked != said {
            headers.insert(GRPC_MESSAGE, respond::grpc_message(&masked));
        }
    }
}

/// Whether the sender of a request reads trailers.
pub(super) fn takes_trailers(headers: &HeaderMap) -> bool {
    tokens(headers, &header::TE).any(|token| token.eq_ignore_ascii_case(b"trailers"))
}

/// The members of a list field (RFC 9110 §5.6.1).
pub(super) fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

/// HTTP/2 may split `Cookie` into several fields; HTTP/1.1 knows one (RFC 9113 §8.2.3).
fn one_cookie(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().count() < 2 {
        return;
    }
    let all: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(version: Version, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::get("/").version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn left(version: Version, headers: &[(&str, &str)]) -> Vec<String> {
        let mut head = head(version, headers);
        towards_model(&mut head);
        let mut left: Vec<_> =
            head.headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        left.sort();
        left
    }

    #[test]
    fn hop_by_hop_headers_end_here_and_all_others_pass() {
        let h1 = Version::HTTP_11;
        for (sent, passed) in [
            (&[("x-a", "1"), ("accept", "*/*")][..], &["accept: */*", "x-a: 1"][..]),
            (&[("connection", "close, X-Secret"), ("x-secret", "s"), ("x-a", "1")], &["x-a: 1"]),
            (&[("connection", "keep-alive"), ("connection", "x-b"), ("x-b", "1")], &[]),
            (&[("keep-alive", "timeout=5"), ("proxy-connection", "keep-alive")], &[]),
            (&[("proxy-authorization", "Basic x"), ("proxy-authenticate", "x")], &[]),
            (&[("transfer-encoding", "chunked"), ("trailer", "x-sum")], &["trailer: x-sum"]),
            (&[("te", "gzip, trailers")], &["te: trailers"]),
            (&[("te", "gzip")], &[]),
            (&[("connection", "TE"), ("te", "trailers")], &["te: trailers"]),
            (&[("expect", "100-continue")], &[]),
            (&[("upgrade", "websocket")], &[]),
            (
                &[("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMA")],
                &[],
            ),
            (&[("connection", "Upgrade"), ("upgrade", "H2C, h2c")], &[]),
            (
                &[("connection", "Upgrade"), ("upgrade", "h2c, websocket"), ("upgrade", "x,h2c")],
                &["connection: upgrade", "upgrade: websocket, x"],
            ),
            (&[("connection", "authorization"), ("authorization", "Bearer x")], &["authorization: Bearer x"]),
            (
                &[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")],
                &["connection: upgrade", "upgrade: websocket"],
            ),
        ] {
            assert_eq!(left(h1, sent), passed, "{sent:?}");
        }
    }

    #[test]
    fn cookies_that_http2_split_are_one_again() {
        assert_eq!(left(Version::HTTP_2, &[("cookie", "a=1"), ("cookie", "b=2")]), ["cookie: a=1; b=2"]);
    }

    #[test]
    fn a_model_cannot_speak_in_the_gateways_name() {
        let mut headers = HeaderMap::new();
        headers.insert("x-hoopctl-code", HeaderValue::from_static("denied"));
        headers.insert("x-request-id", HeaderValue::from_static("the model's"));
        headers.insert("connection", HeaderValue::from_static("close"));
        towards_caller(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key("x-request-id"));
    }
}
