//! The answer on stdout, piece by piece, and the exit code it means.

use http::StatusCode;
use http_body_util::BodyExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{
    super::{
        error::{DONE, Failure, Outcome},
        sanitize,
    },
    exchange::Exchange,
};
use crate::{
    client::Kind,
    wire::{Refusal, api::ErrorBody},
};

/// The header by which the gateway marks its own errors, apart from the model's.
pub(super) const GATEWAY_CODE: &str = "x-hoopctl-code";

/// How much of an error's body is kept to read the gateway's reason from, in bytes.
const MAX_REASON: usize = 64 * 1024;

/// Writes every piece as it comes.
pub(super) async fn show<W>(mut exchange: Exchange, out: &mut W, terminal: bool) -> Outcome
where
    W: AsyncWrite + Unpin,
{
    let status = exchange.response.status();
    let word = gateway_word(&exchange);
    let mut screen = terminal.then(sanitize::Stream::default);
    let mut reason = Vec::new();
    let mut last = b'\n';
    while let Some(frame) = exchange.response.body_mut().frame().await {
        let frame = frame.map_err(|error| Exchange::cut(&error))?;
        let Ok(piece) = frame.into_data() else { continue };
        if word.is_some() && reason.len() < MAX_REASON {
            reason.extend(piece.iter().take(MAX_REASON - reason.len()));
        }
        if terminal && word.is_some() {
            // Told in words below: a person reads it once.
            continue;
        }
        last = piece.last().copied().unwrap_or(last);
        match &mut screen {
            Some(screen) => out.write_all(screen.push(&piece).as_bytes()).await?,
            None => out.write_all(&piece).await?,
        }
        out.flush().await?;
    }
    if terminal && last != b'\n' {
        out.write_all(b"\n").await?;
        out.flush().await?;
    }
    verdict(status, word.as_deref(), &reason)
}

/// The gateway's word for its own refusal.
pub(super) fn gateway_word(exchange: &Exchange) -> Option<String> {
    let word = exchange.response.headers().get(GATEWAY_CODE)?;
    Some(word.to_str().unwrap_or("unknown").to_owned())
}

/// What a status means for the exit code.
pub(super) fn verdict(status: StatusCode, word: Option<&str>, body: &[u8]) -> Outcome {
    if let Some(word) = word {
        return Err(refusal(word, status, body).into());
    }
    if status.as_u16() >= 400 {
        let text = format!("the model answered {status}");
        return Err(Failure::new(Kind::Failed, "status", text).remedy("its reason is on stdout"));
    }
    Ok(DONE)
}

/// The gateway's reason, as far as its body, whose shape is the caller's dialect's, tells it.
fn refusal(word: &str, status: StatusCode, body: &[u8]) -> Refusal {
    let mut refusal = match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) => Refusal::from(body.error),
        Err(_) => {
            let said: Option<serde_json::Value> = serde_json::from_slice(body).ok();
            let message =
                said.as_ref().and_then(|said| said.pointer("/error/message")?.as_str().map(str::to_owned));
            let mut refusal =
                Refusal::new(word, message.unwrap_or_else(|| format!("the gateway answered {status}")));
            let text =
                |key: &str| said.as_ref()?.pointer(&format!("/error/{key}"))?.as_str().map(str::to_owned);
            refusal.remedy = text("remedy");
            refusal.request_id = text("request_id");
            refusal
        }
    };
    word.clone_into(&mut refusal.code);
    refusal
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Empty;
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use tokio::io::{AsyncRead, AsyncReadExt, DuplexStream, ReadBuf};

    use super::*;
    use crate::cli::call::{Template, exchange};

    async fn answered(parts: Vec<&'static [u8]>) -> Result<Exchange, Failure> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        tokio::spawn(server(theirs, parts));
        send(ours).await
    }

    async fn send<S>(stream: S) -> Result<Exchange, Failure>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let template =
            Template { method: "GET".parse().unwrap(), uri: "/".parse().unwrap(), headers: Vec::new() };
        let request = exchange::request(&template, Empty::<Bytes>::new(), None).unwrap();
        exchange::send(stream, request).await
    }

    /// Reads a request's head, says the parts and leaves.
    async fn server(mut stream: DuplexStream, parts: Vec<&'static [u8]>) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        for part in parts {
            stream.write_all(part).await.unwrap();
        }
    }

    /// A stream that the gateway refused.
    struct Refused;

    impl AsyncRead for Refused {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::Error::other(
                Refusal::new("login_required", "expired").remedy("hoopctl login"),
            )))
        }
    }

    impl AsyncWrite for Refused {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn the_answer_is_printed_as_it_is() {
        let body: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n\xff\x1b[2J";
        let mut out = Vec::new();
        let exchange = answered(vec![body]).await.unwrap();
        assert_eq!(show(exchange, &mut out, false).await.unwrap(), 0);
        assert_eq!(out, b"\xff\x1b[2J");
        let mut out = Vec::new();
        let exchange = answered(vec![body]).await.unwrap();
        show(exchange, &mut out, true).await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "\u{fffd}\\u{1b}[2J\n", "a terminal is not obeyed");
    }

    #[tokio::test]
    async fn a_models_error_is_printed_and_is_exit_1() {
        let mut out = Vec::new();
        let exchange =
            answered(vec![b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnope"]).await.unwrap();
        assert_eq!(show(exchange, &mut out, false).await.unwrap_err().exit_code(), 1);
        assert_eq!(out, b"nope");
    }

    #[tokio::test]
    async fn a_gateways_refusal_has_its_own_exit_code_and_words() {
        let head = b"HTTP/1.1 403 Forbidden\r\nx-hoopctl-code: denied\r\ntransfer-encoding: chunked\r\n\r\n";
        let body =
            b"4a\r\n{\"error\":{\"message\":\"no policy\",\"type\":\"permission_error\",\"remedy\":\"ask\"}}\r\n0\r\n\r\n";
        let exchange = answered(vec![head, body]).await.unwrap();
        let failure = show(exchange, &mut Vec::new(), false).await.unwrap_err();
        assert_eq!(failure.exit_code(), 3);
        let json = failure.json().unwrap();
        assert_eq!(json["error"]["message"], "no policy");
        assert_eq!(json["error"]["remedy"], "ask");
        for (terminal, printed) in [(false, true), (true, false)] {
            let exchange = answered(vec![head, body]).await.unwrap();
            let mut out = Vec::new();
            show(exchange, &mut out, terminal).await.unwrap_err();
            assert_eq!(!out.is_empty(), printed, "a program gets the body, a person is told once");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_is_never_success() {
        let mut out = Vec::new();
        let exchange = answered(vec![b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf"]).await.unwrap();
        let failure = show(exchange, &mut out, false).await.unwrap_err();
        assert_eq!(failure.exit_code(), 1);
        assert_eq!(out, b"half");
    }

    #[tokio::test]
    async fn a_refused_stream_tells_the_gateways_reason() {
        let failure = send(Refused).await.err().unwrap();
        assert_eq!(failure.exit_code(), 4);
        assert_eq!(failure.json().unwrap()["error"]["message"], "expired");
    }
}
