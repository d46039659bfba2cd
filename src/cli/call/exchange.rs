//! One request and its response over one stream.

use std::error::Error;

use http::{
    HeaderValue, Request, Response,
    header::{CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper::body::{Body, Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{super::error::Failure, Template, has_content_type};
use crate::{
    client::{self, Kind},
    tunnel::reset_code,
    wire::{code, stream::reset},
};

/// A response whose head has come.
pub(super) struct Exchange {
    pub(super) response: Response<Incoming>,
}

impl Exchange {
    /// Why the body ended before its end.
    pub(super) fn cut(error: &hyper::Error) -> Failure {
        broken(error, "the answer was cut short: what was printed is not the whole")
    }
}

/// The request; `looks` is the content type when the caller chose none.
pub(super) fn request<B>(
    template: &Template,
    body: B,
    looks: Option<&'static str>,
) -> Result<Request<B>, Failure> {
    let mut request = Request::builder().method(template.method.clone()).uri(template.uri.clone());
    if let Some(headers) = request.headers_mut() {
        // The gateway puts the model's own host here.
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("hoopctl/", env!("CARGO_PKG_VERSION"))));
        if let Some(looks) = looks.filter(|_| !has_content_type(template)) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(looks));
        }
        for (at, (name, value)) in template.headers.iter().enumerate() {
            let first = !template.headers.iter().take(at).any(|(earlier, _)| earlier == name);
            if first {
                headers.insert(name, value.clone());
            } else {
                headers.append(name, value.clone());
            }
        }
    }
    request.body(body).map_err(|error| Failure::usage(format!("this is no request: {error}")))
}

/// Sends the request and waits for the response's head.
pub(super) async fn send<S, B>(stream: S, request: Request<B>) -> Result<Exchange, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let failed = |error: hyper::Error| broken(&error, "the model gave no answer");
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .preserve_header_case(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(failed)?;
    Ok(Exchange { response })
}

/// The reason behind a broken stream: the gateway's refusal or reset code, else the error itself.
fn broken(error: &hyper::Error, what: &str) -> Failure {
    if let Some(refusal) = client::refusal(error) {
        return refusal.clone().into();
    }
    match reset_code(error) {
        Some(reset::REVOKED) => Failure::new(
            Kind::LoginNeeded,
            code::LOGIN_REQUIRED,
            "the gateway ended the exchange: your access was revoked or has expired",
        ),
        Some(reset::CUT) => {
            Failure::new(Kind::Failed, "cut", format!("{what} (the model's server broke off)"))
        }
        Some(reset::DRAINING) => {
            Failure::new(Kind::Unreachable, code::DRAINING, format!("{what} (the gateway is going away)"))
                .remedy("send the request again")
        }
        _ => Failure::new(Kind::Failed, "cut", format!("{what} ({})", root(error)))
            .remedy("send the request again; `hoopctl models` shows whether the gateway answers"),
    }
}

/// The innermost cause.
fn root(error: &dyn Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
