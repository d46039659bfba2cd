//! Calls through the tunnel: the gateway's own API, and requests that this process itself makes of a model.

use std::{error::Error, time::Duration};

use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::{ClientError, Link, ModelStream, PROGRAM, https, stream::of_stream};
use crate::wire::{
    api,
    stream::{Door, Fin, Target},
};

/// One call of the API, from the first byte to the last.
const CALL: Duration = Duration::from_secs(60);
/// The longest answer of the API, in bytes: a little more than an entry bundle of the audit log, 256 times 64 KiB.
const MAX_ANSWER: usize = 17 * 1024 * 1024;

impl Link {
    /// One call of the gateway's API over the same connection. `path` begins with `/api/`; an empty answer reads as `null`.
    ///
    /// # Errors
    /// What the gateway refused with, by its code; [`crate::client::Kind::Unreachable`] after 60 s or when the connection broke; an answer
    /// above 17 MiB or not of the expected shape.
    pub async fn api<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, ClientError> {
        self.api_within(CALL, method, path, body).await
    }

    /// As [`api`](Self::api), of a call that may take longer: the gateway reads all of a time's audit log for it, say.
    ///
    /// # Errors
    /// As [`api`](Self::api), with this time in place of 60 s.
    pub async fn api_within<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        within: Duration,
        method: &str,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, ClientError> {
        let body = self.answer(within, api_request(method, path, body)?).await?;
        let text: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(text).map_err(|e| {
            ClientError::failed("protocol", format!("the gateway's answer to {path} is not understood: {e}"))
                .remedy("compare the versions: `hoopctl --version` here and on the gateway")
        })
    }

    /// One answer of the gateway's API that is no JSON.
    ///
    /// # Errors
    /// As [`api`](Self::api), whatever the answer holds.
    pub async fn api_bytes(&self, path: &str) -> Result<Bytes, ClientError> {
        self.answer(CALL, api_request("GET", path, None::<&()>)?).await
    }

    /// One answer of the gateway's API that may be of any length, to be read piece by piece.
    ///
    /// # Errors
    /// As [`api`](Self::api), before the first piece.
    pub async fn api_stream(&self, path: &str) -> Result<Pieces, ClientError> {
        let request = api_request("GET", path, None::<&()>)?;
        let begun = timeout(CALL, async {
            let stream = self.open(Target::Api).await?;
            Ok::<_, ClientError>(send(stream, request).await?.into_parts())
        });
        let (head, body) = begun.await.unwrap_or_else(|_| Err(silent(CALL)))?;
        if head.status.is_success() {
            return Ok(Pieces(body));
        }
        let body = timeout(CALL, Limited::new(body, MAX_ANSWER).collect()).await.map_err(|_| silent(CALL))?;
        let body = body.map_err(|e| of_stream(e.as_ref()))?.to_bytes();
        Err(https::refused(head.status, &body))
    }

    /// The body of a successful answer.
    async fn answer(&self, within: Duration, request: Request<Full<Bytes>>) -> Result<Bytes, ClientError> {
        let answer = timeout(within, async {
            let stream = self.open(Target::Api).await?;
            let (head, body) = send(stream, request).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|e| of_stream(e.as_ref()))?;
            Ok::<_, ClientError>((head.status, body.to_bytes()))
        });
        let (status, body) = answer.await.unwrap_or_else(|_| Err(silent(within)))?;
        if status.is_success() { Ok(body) } else { Err(https::refused(status, &body)) }
    }

    /// The models that the caller may see.
    ///
    /// # Errors
    /// As [`api`](Self::api).
    pub async fn models(&self) -> Result<Vec<api::Model>, ClientError> {
        self.api("GET", "/api/v1/models", None::<&()>).await
    }

    /// One request of this process itself to a model (`hoopctl call`), both bodies streamed. The URI is a path
    /// with query, such as `/v1/models`; a missing `Host` becomes the model's name.
    ///
    /// # Errors
    /// The gateway's refusal of the stream, or what the connection broke with. What the gateway or the model
    /// answers in HTTP is a response.
    pub async fn request<B>(
        &self,
        model: &str,
        mut request: Request<B>,
    ) -> Result<Response<Incoming>, ClientError>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if !request.headers().contains_key(header::HOST) {
            let name = HeaderValue::from_str(model)
                .map_err(|_| ClientError::usage(format!("{model:?} cannot be the name of a model")))?;
            request.headers_mut().insert(header::HOST, name);
        }
        let stream = self.open_model(model, self.own_session(), Door::Private, Fin::Finish).await?;
        send(stream, request).await
    }
}

/// The body of an answer of the API, in pieces.
#[derive(Debug)]
pub struct Pieces(Incoming);

impl Pieces {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the answer ends before it is complete, or nothing more of it comes within 60 s.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = timeout(CALL, self.0.frame()).await.map_err(|_| silent(CALL))?;
            let Some(frame) = frame else { return Ok(None) };
            if let Ok(piece) = frame.map_err(|e| of_stream(&e))?.into_data() {
                return Ok(Some(piece));
            }
        }
    }
}

fn silent(within: Duration) -> ClientError {
    ClientError::unreachable(format!("the gateway did not answer within {} s", within.as_secs()))
}

fn api_request<B: Serialize>(
    method: &str,
    path: &str,
    body: Option<&B>,
) -> Result<Request<Full<Bytes>>, ClientError> {
    let wrong =
        |e: &dyn std::fmt::Display| ClientError::usage(format!("{method} {path} cannot be asked: {e}"));
    let bytes = match body {
        Some(body) => serde_json::to_vec(body).map_err(|e| wrong(&e))?,
        None => Vec::new(),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "gateway")
        .header(header::USER_AGENT, PROGRAM)
        .header(header::ACCEPT, "application/json");
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    request.body(Full::new(bytes.into())).map_err(|e| wrong(&e))
}

/// HTTP/1.1 on a stream of its own, which ends with the answer's body.
async fn send<B>(stream: ModelStream, request: Request<B>) -> Result<Response<Incoming>, ClientError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| of_stream(&e))?;
    tokio::spawn(async move {
        // Its errors reach whoever awaits the answer or reads its body.
        let _ = connection.await;
    });
    sender.send_request(request).await.map_err(|e| of_stream(&e))
}
