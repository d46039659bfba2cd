//! Calls to the gateway's HTTPS face: discovery, tokens, credentials. Everything else goes through the tunnel.

use std::{error::Error, io, sync::Arc, time::Duration};

use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use rustls::{CertificateError, ClientConfig};
use tokio::{net::TcpStream, sync::Mutex, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::Url;

use crate::{
    client::ClientError,
    tls::{self, CertificateDer, Handshake, ServerName, Trust},
    tunnel::{Proxies, TunnelError, reach},
    wire::api::{Discovery, ErrorBody},
};

/// The whole of one connect, and of one call.
const CONNECT: Duration = Duration::from_secs(10);
const CALL: Duration = Duration::from_secs(30);
/// The longest answer, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// Why a gateway was not reached.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// Its certificate comes from an issuer that is not among the given roots.
    UnknownIssuer(String),
    /// Anything else.
    Other(ClientError),
}

impl From<ConnectError> for ClientError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::UnknownIssuer(message) => Self::untrusted(format!(
                "{message}: the gateway's CA was replaced while this machine was away, or somebody is in between"
            ))
            .remedy(crate::client::error::TRUST_ANEW),
            ConnectError::Other(error) => error,
        }
    }
}

/// A gateway's HTTPS face, over one connection that is made again when it has ended.
pub(super) struct Https {
    gateway: Url,
    config: Arc<ClientConfig>,
    proxies: Proxies,
    warm: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Https {
    /// The HTTPS face of `gateway`; nothing is sent yet.
    pub(super) fn new(gateway: &Url, trust: &Trust, proxies: &Proxies) -> Result<Self, ClientError> {
        let mut config = tls::https_client(trust)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (gateway, proxies) = (gateway.clone(), proxies.clone());
        Ok(Self { gateway, config: Arc::new(config), proxies, warm: Mutex::new(None) })
    }

    /// The gateway's address.
    pub(super) fn gateway(&self) -> &Url {
        &self.gateway
    }

    /// What it is reached through, and whatever else a login asks.
    pub(super) fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// Makes the connection now, to learn whether the gateway is there and believed.
    pub(super) async fn connect(&self) -> Result<(), ConnectError> {
        let sender = self.dial().await?;
        *self.warm.lock().await = Some(sender);
        Ok(())
    }

    /// What the gateway says about itself. Its endpoints are its own: nothing secret is ever sent elsewhere.
    pub(super) async fn discover(&self) -> Result<Discovery, ClientError> {
        let request = Request::get(
            self.gateway.join("/.well-known/hoopctl").map_or_else(|_| String::new(), Into::into),
        )
        .body(Vec::new())
        .map_err(not_sendable)?;
        let answer = self.send(request).await?;
        if !answer.status().is_success() {
            return Err(ClientError::failed(
                "not_a_gateway",
                format!(
                    "{} answered {} where a hoopctl gateway would introduce itself",
                    self.gateway,
                    answer.status()
                ),
            )
            .remedy("check the address"));
        }
        let found: Discovery = serde_json::from_slice(answer.body()).map_err(|error| {
            tracing::debug!(%error, "the gateway's introduction is not understood");
            ClientError::failed(
                "not_a_gateway",
                format!("{} answers, but is no hoopctl gateway", self.gateway),
            )
            .remedy("check the address")
        })?;
        if !found.versions.contains(&crate::wire::VERSION) {
            return Err(ClientError::failed(
                crate::wire::code::VERSION,
                format!("{} ({}) does not serve this program's protocol", self.gateway, found.gateway),
            )
            .remedy("update hoopctl, or ask for the gateway to be updated"));
        }
        self.own_endpoints(&found)?;
        Ok(found)
    }

    fn own_endpoints(&self, found: &Discovery) -> Result<(), ClientError> {
        let named = [
            &found.issuer,
            &found.authorization_endpoint,
            &found.token_endpoint,
            &found.revocation_endpoint,
            &found.credential_endpoint,
        ];
        for text in named.into_iter().chain(&found.device_authorization_endpoint) {
            let own = Url::parse(text).is_ok_and(|url| url.origin() == self.gateway.origin());
            if !own {
                return Err(ClientError::untrusted(format!(
                    "{} names {text}, which is not its own address; nothing was sent there",
                    self.gateway
                ))
                .remedy(format!(
                    "use the address that the gateway calls its own: hoopctl login {}",
                    found.issuer
                )));
            }
        }
        Ok(())
    }

    /// Sends a request whose URI is absolute and the gateway's own; the answer is whole.
    pub(super) async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ClientError> {
        timeout(CALL, self.send_unbounded(request)).await.unwrap_or_else(|_| {
            Err(ClientError::unreachable(format!(
                "{} did not answer within {} s",
                self.gateway,
                CALL.as_secs()
            )))
        })
    }

    async fn send_unbounded(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ClientError> {
        let request = self.in_origin_form(request)?;
        let mut warm = self.warm.lock().await;
        let mut kept = warm.take();
        if let Some(sender) = &mut kept
            && sender.ready().await.is_err()
        {
            kept = None;
        }
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.dial().await?,
        };
        let broken = |e: &dyn Error| {
            ClientError::unreachable(format!("the connection to {} broke: {}", self.gateway, deepest(e)))
        };
        let answer = sender.send_request(request).await.map_err(|e| broken(&e))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|e| broken(e.as_ref()))?;
        *warm = Some(sender);
        Ok(Response::from_parts(head, body.to_bytes().to_vec()))
    }

    fn in_origin_form(&self, request: Request<Vec<u8>>) -> Result<Request<Full<Bytes>>, ClientError> {
        let (mut head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        head.uri = path.parse().map_err(not_sendable)?;
        head.headers
            .insert(header::HOST, HeaderValue::from_str(&authority(&self.gateway)).map_err(not_sendable)?);
        head.headers.insert(header::USER_AGENT, HeaderValue::from_static(crate::client::PROGRAM));
        Ok(Request::from_parts(head, Full::new(body.into())))
    }

    async fn dial(&self) -> Result<SendRequest<Full<Bytes>>, ConnectError> {
        let stream = tls_connect(&self.gateway, &self.config, &self.proxies).await?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| ConnectError::Other(ClientError::unreachable(deepest(&e))))?;
        tokio::spawn(async move {
            // Its errors reach whoever awaits an answer.
            let _ = connection.await;
        });
        Ok(sender)
    }
}

/// What a gateway presents, believed by nobody yet.
pub(super) struct Looked {
    /// The chain, leaf first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// What the handshake agreed on.
    pub(super) handshake: Handshake,
}

/// Shakes hands with whoever answers. Nothing is sent.
pub(super) async fn look(gateway: &Url, proxies: &Proxies) -> Result<Looked, ClientError> {
    let mut config = tls::look_at_chain()?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = tls_connect(gateway, &Arc::new(config), proxies).await?;
    let session = stream.get_ref().1;
    let chain = session.peer_certificates().unwrap_or_default();
    let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
    Ok(Looked { chain, handshake: Handshake::of(session) })
}

/// Host and port, as a `Host` header has them.
pub(super) fn authority(gateway: &Url) -> String {
    let host = gateway.host_str().unwrap_or_default();
    gateway.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The host without the brackets that an address has in a URL, and the port.
pub(super) fn address(gateway: &Url) -> (String, u16) {
    let host = gateway.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    (host.to_owned(), gateway.port_or_known_default().unwrap_or(443))
}

async fn tls_connect(
    gateway: &Url,
    config: &Arc<ClientConfig>,
    proxies: &Proxies,
) -> Result<TlsStream<TcpStream>, ConnectError> {
    let (host, port) = address(gateway);
    let name = ServerName::try_from(host.clone()).map_err(|_| {
        ConnectError::Other(ClientError::usage(format!("{host:?} is not the name of a host")))
    })?;
    let connected = timeout(CONNECT, async {
        let tcp = reach(&host, port, proxies).await.map_err(|e| {
            ConnectError::Other(match e {
                TunnelError::Unreachable(why) => {
                    ClientError::unreachable(format!("{} cannot be reached: {why}", authority(gateway)))
                }
                other => ClientError::from(other),
            })
        })?;
        TlsConnector::from(Arc::clone(config)).connect(name, tcp).await.map_err(|e| judge(gateway, &e))
    });
    connected.await.unwrap_or_else(|_| {
        Err(ConnectError::Other(ClientError::unreachable(format!(
            "{} did not answer within {} s",
            authority(gateway),
            CONNECT.as_secs()
        ))))
    })
}

/// What a failed handshake means.
fn judge(gateway: &Url, error: &io::Error) -> ConnectError {
    let who = authority(gateway);
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return ConnectError::Other(ClientError::unreachable(format!("{who} ended the handshake: {error}")));
    };
    match tls {
        // A bad signature is another CA of the same name: a gateway that was set up anew, or somebody in between.
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => ConnectError::UnknownIssuer(format!(
            "{who} presents a certificate from an issuer that is not known here"
        )),
        rustls::Error::InvalidCertificate(reason) => ConnectError::Other(
            ClientError::untrusted(format!("the certificate of {who} is not believed: {reason}"))
                .remedy("check the address; if it is right, the gateway's certificate has to be repaired"),
        ),
        rustls::Error::InvalidMessage(_) => ConnectError::Other(
            ClientError::untrusted(format!("{who} does not speak TLS"))
                .remedy("check the port: the gateway serves https only"),
        ),
        other => ConnectError::Other(ClientError::untrusted(format!("TLS with {who} failed: {other}"))),
    }
}

/// The error that the gateway's API answered with.
pub(super) fn refused(status: http::StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) => ClientError::from(crate::wire::Refusal::from(body.error)),
        Err(_) => ClientError::failed("http", format!("the gateway answered {status}")),
    }
}

fn not_sendable(error: impl std::fmt::Display) -> ClientError {
    ClientError::failed("request", format!("the request cannot be made: {error}"))
}

/// The last cause, which says most.
pub(super) fn deepest(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Kind, testing};

    #[tokio::test]
    async fn discovery_reads_and_foreign_endpoints_are_refused() {
        let fake = testing::Fake::start().await;
        let https = Https::new(&fake.url, &fake.trust(), &Proxies::default()).unwrap();
        assert_eq!(https.discover().await.unwrap().issuer, fake.url.as_str().trim_end_matches('/'));
        fake.state.lock().unwrap().token_endpoint = Some("https://elsewhere.example.test/token".into());
        let error = https.discover().await.unwrap_err();
        assert_eq!(error.kind, Kind::Trust);
        assert!(error.message.contains("elsewhere"), "{error}");
    }

    #[tokio::test]
    async fn an_unknown_issuer_is_told_from_other_faults() {
        let fake = testing::Fake::start().await;
        let stranger = Trust::Roots(vec![testing::Ca::new().certificate()]);
        let met = Https::new(&fake.url, &stranger, &Proxies::default()).unwrap().connect().await;
        assert!(matches!(met, Err(ConnectError::UnknownIssuer(_))), "{met:?}");
        let wrong_name = Url::parse(&fake.url.as_str().replace("127.0.0.1", "localhost")).unwrap();
        let met =
            Https::new(&wrong_name, &fake.trust(), &Proxies::default()).unwrap().connect().await.unwrap_err();
        let met = ClientError::from(met);
        assert_eq!(met.kind, Kind::Trust);
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable_and_no_tls_is_said() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
        let trust = Trust::Roots(vec![testing::Ca::new().certificate()]);
        let https = Https::new(&url, &trust, &Proxies::default()).unwrap();
        let plain = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        });
        let met = ClientError::from(https.connect().await.unwrap_err());
        assert!(met.kind == Kind::Trust && met.message.contains("does not speak TLS"), "{met}");
        plain.await.unwrap();
        assert_eq!(ClientError::from(https.connect().await.unwrap_err()).kind, Kind::Unreachable);
    }
}
