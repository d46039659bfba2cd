//! Unencrypted bytes on the TLS port: recognised from their first words, told "TLS is mandatory" in the same
//! language, and let go. Nothing of them is forwarded, looked into further or kept.

use std::{io::Cursor, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use crate::wire::{
    api::{ErrorBody, ErrorDetail},
    code,
};

/// The longest that a plaintext peer is listened to, from its first byte to the closed door.
const DEADLINE: Duration = Duration::from_secs(2);
/// The most that is read to recognise the language.
const RECOGNISE_AT_MOST: usize = 1024;
/// The most that is read and forgotten after the answer: closing on unread bytes would destroy the answer
/// before the peer has seen it (RFC 9112 §9.6).
const DISCARD_AT_MOST: u64 = 256 * 1024;
/// An answer for each of the first streams of an HTTP/2 connection.
const MOST_STREAMS: u32 = 8;
/// `UNAUTHENTICATED`: unlike `UNAVAILABLE` it makes no gRPC client try the same thing again.
const GRPC_STATUS: &str = "16";
const MESSAGE: &str = "TLS is mandatory: this port serves encrypted connections only, nothing of this request was read or forwarded";
const REMEDY: &str = "use https:// instead of http://, or open a local port with `hoopctl connect MODEL`";

/// What the first words sound like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// HTTP/1, a WebSocket or h2c upgrade included.
    Http1 {
        /// The method is HEAD, whose answer has no body.
        head: bool,
    },
    /// HTTP/2 with prior knowledge, gRPC included.
    Http2,
    /// Anything else: a closed door.
    Unknown,
}

/// Answers one plaintext connection; `Unknown` was left without a word. Ends within [`DEADLINE`].
pub(super) async fn answer<S>(io: S, request_id: &str) -> Language
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut language = Language::Unknown;
    // The deadline passing and the peer leaving mean the same: the door is closed.
    let _ = timeout(DEADLINE, converse(io, request_id, &mut language)).await;
    language
}

async fn converse<S>(mut io: S, request_id: &str, language: &mut Language) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut seen = Vec::with_capacity(64);
    *language = listen(&mut io, &mut seen).await;
    match *language {
        Language::Http1 { head } => tell_http1(io, request_id, head).await,
        Language::Http2 => tell_http2(io, seen, request_id).await,
        Language::Unknown => None,
    }
}

async fn listen<S: AsyncRead + Unpin>(io: &mut S, seen: &mut Vec<u8>) -> Language {
    loop {
        if let Some(language) = recognise(seen) {
            return language;
        }
        let room = RECOGNISE_AT_MOST.saturating_sub(seen.len());
        let mut limited = (&mut *io).take(room as u64);
        match limited.read_buf(seen).await {
            Ok(0) | Err(_) => return Language::Unknown,
            Ok(_) => {}
        }
    }
}

/// The language, or `None` while the bytes could still become one that is known.
fn recognise(seen: &[u8]) -> Option<Language> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
    const LONGEST_METHOD: usize = 20;
    if seen.starts_with(PREFACE) {
        return Some(Language::Http2);
    }
    if PREFACE.starts_with(seen) {
        return None;
    }
    let method: Vec<u8> = seen.iter().copied().take_while(u8::is_ascii_uppercase).collect();
    let http1 = Some(Language::Http1 { head: method == b"HEAD" });
    let mut rest = seen.iter().skip(method.len());
    match (method.len(), rest.next(), rest.next()) {
        (1..=LONGEST_METHOD, None, _) => None,
        (3..=LONGEST_METHOD, Some(b' '), None) => None,
        (3..=LONGEST_METHOD, Some(b' '), Some(b'/' | b'*' | b'h' | b'H')) => http1,
        (_, Some(b' '), Some(_)) if method == b"CONNECT" => http1,
        _ => Some(Language::Unknown),
    }
}

async fn tell_http1<S>(mut io: S, request_id: &str, head: bool) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let body = body(request_id);
    let mut answer = format!(
        "HTTP/1.1 426 Upgrade Required\r\n\
         content-type: application/json\r\n\
         content-length: {}\r\n\
         cache-control: no-store\r\n\
         upgrade: TLS/1.3, HTTP/1.1\r\n\
         connection: Upgrade, close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    if !head {
        answer.extend_from_slice(&body);
    }
    io.write_all(&answer).await.ok()?;
    io.shutdown().await.ok()?;
    let mut forgotten = [0; 4096];
    let mut rest = io.take(DISCARD_AT_MOST);
    while rest.read(&mut forgotten).await.ok()? > 0 {}
    Some(())
}

async fn tell_http2<S>(io: S, seen: Vec<u8>, request_id: &str) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (read, write) = tokio::io::split(io);
    let io = tokio::io::join(AsyncReadExt::chain(Cursor::new(seen), read), write);
    let mut connection = h2::server::Builder::new()
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(16 * 1024)
        .initial_connection_window_size(65_535)
        .handshake::<_, Bytes>(io)
        .await
        .ok()?;
    let mut answered = 0;
    while let Some(stream) = connection.accept().await {
        let (request, mut respond) = stream.ok()?;
        let grpc = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if grpc {
            respond.send_response(grpc_answer(), true).ok()?;
        } else {
            let mut send = respond.send_response(http2_answer(), false).ok()?;
            send.send_data(body(request_id).into(), true).ok()?;
        }
        answered += 1;
        if answered == 1 {
            connection.graceful_shutdown();
        } else if answered >= MOST_STREAMS {
            connection.abrupt_shutdown(h2::Reason::NO_ERROR);
        }
    }
    Some(())
}

/// Trailers alone, as gRPC calls a response that is nothing but its status.
fn grpc_answer() -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(GRPC_STATUS));
    headers.insert("grpc-message", HeaderValue::from_static(MESSAGE));
    response
}

/// HTTP/2 knows no `Upgrade` header (RFC 9113 §8.2.2); the status says it.
fn http2_answer() -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn body(request_id: &str) -> Vec<u8> {
    let body = ErrorBody {
        error: ErrorDetail {
            code: code::TLS_REQUIRED.to_owned(),
            message: MESSAGE.to_owned(),
            kind: "invalid_request_error".to_owned(),
            request_id: Some(request_id.to_owned()),
            remedy: Some(REMEDY.to_owned()),
        },
    };
    // Strings alone: this cannot fail, and an empty body would still carry the status.
    serde_json::to_vec(&body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tokio::{io::duplex, time::Instant};

    use super::*;

    /// What a peer hears that says `words` and then half-closes.
    async fn say(words: &[u8]) -> (Language, Vec<u8>) {
        let (mut peer, ours) = duplex(64 * 1024);
        let answering = tokio::spawn(async move { answer(ours, "req_1").await });
        peer.write_all(words).await.unwrap();
        peer.shutdown().await.unwrap();
        let mut heard = Vec::new();
        peer.read_to_end(&mut heard).await.unwrap();
        (answering.await.unwrap(), heard)
    }

    #[tokio::test]
    async fn http1_is_told_426_with_the_upgrade_header_and_the_remedy() {
        let (language, heard) =
            say(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc").await;
        assert_eq!(language, Language::Http1 { head: false });
        let text = String::from_utf8(heard).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{head}");
        assert!(head.contains("\r\nupgrade: TLS/1.3, HTTP/1.1\r\n"), "{head}");
        let body: ErrorBody = serde_json::from_str(body).unwrap();
        assert_eq!(body.error.code, code::TLS_REQUIRED);
        assert!(body.error.message.starts_with("TLS is mandatory"));
        assert_eq!(body.error.request_id.as_deref(), Some("req_1"));
        assert!(body.error.remedy.is_some_and(|remedy| remedy.contains("https://")));
    }

    #[tokio::test]
    async fn a_websocket_and_an_h2c_upgrade_are_http1() {
        for words in [
            &b"GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"[..],
            b"OPTIONS * HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nconnection: Upgrade, HTTP2-Settings\r\nhttp2-settings: AAMAAABk\r\n\r\n",
            b"CONNECT model.example:443 HTTP/1.1\r\n\r\n",
        ] {
            let (language, heard) = say(words).await;
            assert_eq!(language, Language::Http1 { head: false });
            assert!(heard.starts_with(b"HTTP/1.1 426 "));
        }
    }

    #[tokio::test]
    async fn the_answer_to_head_has_no_body() {
        let (language, heard) = say(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(language, Language::Http1 { head: true });
        assert!(heard.ends_with(b"\r\n\r\n"));
    }

    #[tokio::test]
    async fn other_languages_get_a_closed_door_without_a_word() {
        for words in [
            &b""[..],
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            b"EHLO mail.example\r\n",
            b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
            b"get / HTTP/1.1\r\n\r\n",
            b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            let (language, heard) = say(words).await;
            assert_eq!(language, Language::Unknown, "{words:?}");
            assert!(heard.is_empty(), "{words:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_its_first_word_for_ever_is_left_after_two_seconds() {
        let (mut peer, ours) = duplex(1024);
        let begun = Instant::now();
        peer.write_all(b"GE").await.unwrap();
        assert_eq!(answer(ours, "req_1").await, Language::Unknown);
        assert_eq!(begun.elapsed(), DEADLINE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_closes_is_left_after_two_seconds() {
        let (mut peer, ours) = duplex(1024 * 1024);
        let begun = Instant::now();
        peer.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        assert_eq!(answer(ours, "req_1").await, Language::Http1 { head: false });
        assert_eq!(begun.elapsed(), DEADLINE);
    }

    async fn over_http2(request: http::Request<()>) -> (Response<h2::RecvStream>, bool) {
        let (peer, ours) = duplex(64 * 1024);
        let answering = tokio::spawn(async move { answer(ours, "req_1").await });
        let (mut send, connection) = h2::client::handshake(peer).await.unwrap();
        let connection = tokio::spawn(connection);
        let (response, _body) = send.send_request(request, true).unwrap();
        let response = response.await.unwrap();
        drop(send);
        let clean = connection.await.unwrap().is_ok();
        assert_eq!(answering.await.unwrap(), Language::Http2);
        (response, clean)
    }

    #[tokio::test]
    async fn http2_with_prior_knowledge_is_told_426_and_goaway() {
        let request = http::Request::post("http://x/v1/chat/completions").body(()).unwrap();
        let (response, clean) = over_http2(request).await;
        assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
        assert!(clean, "the connection ended by GOAWAY, not by a cut");
        let mut body = response.into_body();
        let text = body.data().await.unwrap().unwrap();
        let body: ErrorBody = serde_json::from_slice(&text).unwrap();
        assert_eq!(body.error.code, code::TLS_REQUIRED);
    }

    #[tokio::test]
    async fn grpc_without_tls_is_told_in_its_trailers() {
        let request = http::Request::post("http://x/inference.GRPCInferenceService/ModelInfer")
            .header("content-type", "application/grpc+proto")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (response, _) = over_http2(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        assert_eq!(response.headers()["grpc-status"], GRPC_STATUS);
        assert!(response.headers()["grpc-message"].to_str().unwrap().starts_with("TLS is mandatory"));
        assert!(response.into_body().is_end_stream());
    }

    proptest::proptest! {
        #[test]
        fn every_beginning_is_recognised_or_asks_for_more(bytes in proptest::collection::vec(0_u8.., 0..64)) {
            let longer = [bytes.as_slice(), &[0; RECOGNISE_AT_MOST]].concat();
            let _ = recognise(&bytes);
            proptest::prop_assert!(recognise(&longer).is_some(), "the bound is never what decides");
        }
    }
}
