//! The application: any program that speaks plain HTTP to an OpenAI-compatible base URL, and knows nothing of us.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};

use super::{error::Error, model};

/// For each piece of the answer.
const PIECE_WITHIN: Duration = Duration::from_secs(30);
/// The longest line of an event stream.
const LONGEST_LINE: usize = 1024 * 1024;

/// What came of one question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) text: String,
    /// How many pieces it came in.
    pub(super) pieces: usize,
    /// The stream said that it was complete.
    pub(super) complete: bool,
}

/// Asks through the local port and hands each piece of the answer to `hear` as it comes. No key is sent.
pub(super) async fn ask(
    host: &str,
    port: u16,
    question: &str,
    mut hear: impl FnMut(&str),
) -> Result<Answer, Error> {
    let failed = |why: String| Error::new("the question was not answered", why);
    let tcp = TcpStream::connect((host, port)).await.map_err(|error| failed(error.to_string()))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp))
        .await
        .map_err(|error| failed(error.to_string()))?;
    let talk = async {
        let response = timeout(PIECE_WITHIN, sender.send_request(request(host, port, question)?))
            .await
            .map_err(|_| failed("no answer began within 30 seconds".to_owned()))?
            .map_err(|error| failed(error.to_string()))?;
        read(response, &mut hear).await
    };
    let mut talk = std::pin::pin!(talk);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        answer = talk.as_mut() => answer,
        // Everything has been read from the socket by now; the answer says itself whether it is whole.
        _ = connection.as_mut() => talk.await,
    }
}

fn request(host: &str, port: u16, question: &str) -> Result<Request<Full<Bytes>>, Error> {
    let body = json!({
        "model": model::NAME,
        "stream": true,
        "messages": [{ "role": "user", "content": question }],
    });
    Request::post("/v1/chat/completions")
        .header(header::HOST, format!("{host}:{port}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "text/event-stream")
        .body(Full::from(body.to_string()))
        .map_err(|error| Error::new("the question was not asked", error))
}

async fn read(response: http::Response<Incoming>, hear: &mut impl FnMut(&str)) -> Result<Answer, Error> {
    let failed = |why: String| Error::new("the answer was cut", why);
    let status = response.status();
    let mut body = response.into_body();
    let mut answer = Answer::default();
    let mut unread = BytesMut::new();
    loop {
        let frame = timeout(PIECE_WITHIN, body.frame())
            .await
            .map_err(|_| failed("nothing came for 30 seconds".to_owned()))?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| failed(error.to_string()))?;
        unread.extend_from_slice(frame.data_ref().map_or(&[], |bytes| bytes));
        if status == StatusCode::OK {
            lines(&mut unread, |line| answer.take(line, hear));
        }
        if unread.len() > LONGEST_LINE {
            return Err(failed("a line was longer than 1 MiB".to_owned()));
        }
    }
    if status == StatusCode::OK {
        Ok(answer)
    } else {
        Err(Error::new("the question was refused", format!("{status} {}", String::from_utf8_lossy(&unread))))
    }
}

/// Hands out whole lines and keeps the rest.
fn lines(unread: &mut BytesMut, mut take: impl FnMut(&str)) {
    while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
        let line = unread.split_to(end + 1);
        take(String::from_utf8_lossy(&line).trim_end());
    }
}

impl Answer {
    fn take(&mut self, line: &str, hear: &mut impl FnMut(&str)) {
        let Some(data) = line.strip_prefix("data: ") else { return };
        if data == "[DONE]" {
            self.complete = true;
            return;
        }
        let event: Value = serde_json::from_str(data).unwrap_or_default();
        let piece = event.pointer("/choices/0/delta/content").and_then(Value::as_str).unwrap_or_default();
        if !piece.is_empty() {
            self.pieces += 1;
            self.text.push_str(piece);
            hear(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stream_is_understood_however_it_was_cut() {
        let stream = b"data: {\"choices\":[{\"delta\":{\"content\":\"Hello \"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"there\"}}]}\n\ndata: [DONE]\n\n";
        for size in 1..stream.len() {
            let (mut answer, mut unread, mut heard) = (Answer::default(), BytesMut::new(), String::new());
            for piece in stream.chunks(size) {
                unread.extend_from_slice(piece);
                lines(&mut unread, |line| answer.take(line, &mut |piece: &str| heard.push_str(piece)));
            }
            assert_eq!((answer.text.as_str(), answer.pieces, answer.complete), ("Hello there", 2, true));
            assert_eq!(heard, answer.text);
        }
    }
}
