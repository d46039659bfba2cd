//! Requests to services beside the models (identity providers, webhooks): TLS (or plain HTTP on loopback), bounded in time and size, redirects not followed.

mod one_way;
mod service_account;
mod signed;

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

pub(in crate::gateway) use one_way::OneWay;
pub(in crate::gateway) use service_account::ServiceAccount;
pub(in crate::gateway) use signed::SigningKeys;

use crate::tls::{self, Trust};

/// The whole of a request and its answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer read, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;
/// The longest pause that another service may ask for.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// Why a provider could not be asked. Holds no secret and no body.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::gateway) struct OutboundError(String);

/// Asks other services.
pub(in crate::gateway) struct Outbound(Client<Connector, Full<Bytes>>);

impl Outbound {
    /// Believes the roots of `ca`, or the operating system's.
    pub(in crate::gateway) fn new(ca: Option<&Path>) -> Result<Self, String> {
        Self::within(ca, acceptable)
    }

    /// Also asks the metadata services of clouds, which speak plain HTTP on addresses that no router forwards.
    pub(in crate::gateway) fn with_metadata_services() -> Result<Self, String> {
        Self::within(None, |url| acceptable(url) || is_metadata_service(url))
    }

    fn within(ca: Option<&Path>, allowed: fn(&Url) -> bool) -> Result<Self, String> {
        let trust = match ca {
            Some(path) => Trust::from_file(path).map_err(|e| e.to_string())?,
            None => Trust::Platform,
        };
        let connector = Connector { trust, tls: Arc::default(), allowed };
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Ok(Self(client))
    }

    /// Sends one request and reads the whole answer.
    pub(in crate::gateway) async fn send(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, OutboundError> {
        let target = format!("{} {}", request.method(), without_query(request.uri()));
        let exchange = async {
            let answer = self
                .0
                .request(request.map(|body| Full::new(Bytes::from(body))))
                .await
                .map_err(|e| OutboundError(format!("{target}: {}", deepest(&e))))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER)
                .collect()
                .await
                .map_err(|e| OutboundError(format!("{target}: the answer could not be read: {e}")))?;
            Ok(Response::from_parts(head, body.to_bytes().to_vec()))
        };
        match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(OutboundError(format!("{target}: no answer within {} s", TIMEOUT.as_secs()))),
        }
    }

    /// GETs a JSON document; any status but 200 is an error. `bearer` is sent as the authorization.
    pub(in crate::gateway) async fn json<T: DeserializeOwned>(
        &self,
        url: &Url,
        bearer: Option<&str>,
    ) -> Result<T, OutboundError> {
        let mut request = Request::get(url.as_str()).header(header::ACCEPT, "application/json");
        if let Some(token) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Vec::new()).map_err(|e| OutboundError(format!("{url}: {e}")))?;
        let answer = self.send(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(OutboundError(format!("{url} answered {}", answer.status())));
        }
        serde_json::from_slice(answer.body())
            .map_err(|e| OutboundError(format!("{url} answered something else than expected: {e}")))
    }
}

impl<'c> oauth2::AsyncHttpClient<'c> for Outbound {
    type Error = OutboundError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, OutboundError>> + Send + 'c>>;

    fn call(&'c self, request: oauth2::HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3), at most an hour; dates are not read.
pub(in crate::gateway) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_ASKED))
}

/// Whether requests may go there: https anywhere, http on loopback alone.
pub(in crate::gateway) fn acceptable(url: &Url) -> bool {
    url.host().is_some() && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url)))
}

/// Whether the URL's host is this machine.
pub(in crate::gateway) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The documented addresses of clouds' metadata services, and nothing beside them: instances (AWS, Azure, Google Cloud), AWS containers
/// and pods, Azure App Service. Link-local addresses do not leave the machine's own link (RFC 3927 §7).
pub(in crate::gateway) fn is_metadata_service(url: &Url) -> bool {
    const IPV4: [Ipv4Addr; 3] = [
        Ipv4Addr::new(169, 254, 169, 254),
        Ipv4Addr::new(169, 254, 170, 2),
        Ipv4Addr::new(169, 254, 170, 23),
    ];
    const IPV6: [Ipv6Addr; 2] = [
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    ];
    url.scheme() == "http"
        && match url.host() {
            // App Service tells its address in IDENTITY_ENDPOINT; it lies in 169.254.128.0/22.
            Some(Host::Ipv4(address)) => {
                IPV4.contains(&address) || matches!(address.octets(), [169, 254, 128..=131, _])
            }
            Some(Host::Ipv6(address)) => IPV6.contains(&address),
            _ => false,
        }
}

fn without_query(uri: &Uri) -> String {
    format!("{}://{}{}", uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default(), uri.path())
}

/// The message that says what happened: hyper's own says only that connecting failed.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[derive(Clone)]
struct Connector {
    trust: Trust,
    /// Made at the first https request: the platform's store may be missing where only loopback is asked.
    tls: Arc<OnceLock<TlsConnector>>,
    allowed: fn(&Url) -> bool,
}

impl Connector {
    fn tls(&self) -> io::Result<TlsConnector> {
        if let Some(connector) = self.tls.get() {
            return Ok(connector.clone());
        }
        let config = tls::https_client(&self.trust).map_err(io::Error::other)?;
        Ok(self.tls.get_or_init(|| TlsConnector::from(Arc::new(config))).clone())
    }

    async fn connect(self, uri: Uri) -> io::Result<Leg> {
        let refused = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
        let url = Url::parse(&uri.to_string()).map_err(|_| refused("not a URL"))?;
        if !(self.allowed)(&url) {
            return Err(refused("plain http is for loopback alone: use an https URL"));
        }
        let (Some(host), Some(port)) = (uri.host(), url.port_or_known_default()) else {
            return Err(refused("the URL has no host"));
        };
        let host = host.trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        if url.scheme() == "http" {
            return Ok(Leg { io: TokioIo::new(Box::new(stream)), h2: false });
        }
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| refused("the host is no server name"))?;
        let stream = self.tls()?.connect(name, stream).await?;
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Leg { io: TokioIo::new(Box::new(stream)), h2 })
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Leg;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Leg>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

trait Bytestream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytestream for T {}

/// A connection to a provider.
struct Leg {
    io: TokioIo<Box<dyn Bytestream>>,
    h2: bool,
}

impl Connection for Leg {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.h2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Leg {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Leg {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for (url, fits) in [
            ("https://idp.example.test/", true),
            ("http://127.0.0.1:9400/", true),
            ("http://[::1]:9400/", true),
            ("http://localhost:9400/", true),
            ("http://idp.example.test/", false),
            ("http://localhost.example.test/", false),
            ("ftp://127.0.0.1/", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(acceptable(&Url::parse(url).unwrap()), fits, "{url}");
        }
    }

    #[test]
    fn plain_http_reaches_metadata_services_by_their_very_addresses() {
        for (url, fits) in [
            ("http://169.254.169.254/latest/api/token", true),
            ("http://169.254.170.2/v2/credentials", true),
            ("http://169.254.170.23/v1/credentials", true),
            ("http://169.254.129.2:8081/msi/token", true),
            ("http://[fd00:ec2::254]/latest/api/token", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://169.254.169.253/", false),
            ("http://169.254.1.1/", false),
            ("http://169.254.132.1/", false),
            ("http://[fd00:ec2::253]/", false),
            ("http://10.0.0.1/", false),
            ("http://metadata.google.internal/", false),
            ("http://169.254.169.254.example.test/", false),
            ("ftp://169.254.169.254/", false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(is_metadata_service(&url), fits, "{url}");
            assert!(!acceptable(&url), "{url}: only for those who ask metadata services");
        }
    }

    #[tokio::test]
    async fn a_plain_request_to_elsewhere_is_not_sent() {
        let outbound = Outbound::new(None).unwrap();
        let url = Url::parse("http://idp.example.test/x").unwrap();
        let error = outbound.json::<serde_json::Value>(&url, None).await.unwrap_err();
        assert!(error.to_string().contains("loopback"), "{error}");
    }

    #[tokio::test]
    async fn answers_beyond_the_bound_and_redirects_are_errors() {
        use axum::{Router, response::Redirect, routing::get};
        let app = Router::new()
            .route("/long", get(|| async { vec![b' '; MAX_ANSWER + 1] }))
            .route("/moved", get(|| async { Redirect::temporary("/ok") }))
            .route("/ok", get(|| async { "{}" }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let server = tokio::spawn(async { axum::serve(listener, app).await });
        let outbound = Outbound::new(None).unwrap();
        let ask = async |path: &str| {
            outbound
                .json::<serde_json::Value>(&base.join(path).unwrap(), None)
                .await
                .map_err(|e| e.to_string())
        };
        assert!(ask("ok").await.is_ok());
        assert!(ask("moved").await.unwrap_err().contains("307"));
        assert!(ask("long").await.unwrap_err().contains("length limit"));
        server.abort();
    }
}
