//! One connection to a model's server: name → address → TCP → TLS, with the evidence of what was agreed.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustls::{AlertDescription, ClientConfig, client::danger::ServerCertVerifier};
use tokio::{net::TcpStream, time};
use tokio_rustls::TlsConnector;

use super::{
    Config, Network, SetupError, UpstreamError,
    socket::Socket,
    verify::{Lenient, Strict, reason},
};
use crate::{
    evidence::event::Leg,
    tls::{self, Handshake, HotKey, Identity, ServerName, Trust},
};

/// From the first DNS question to the end of the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One address of several gets this long before the next is tried.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(3);

/// The protocol a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    /// HTTP/2 where the server has it.
    Either,
    /// Also in plaintext, by prior knowledge.
    Http2,
}

impl Protocol {
    fn alpn(self) -> Vec<Vec<u8>> {
        match self {
            Self::Http1 => vec![b"http/1.1".to_vec()],
            Self::Either => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Self::Http2 => vec![b"h2".to_vec()],
        }
    }
}

/// A connection just made.
pub(super) struct Dialled {
    pub(super) socket: Socket,
    pub(super) h2: bool,
    pub(super) leg: Arc<Leg>,
}

/// Makes connections to one model's server.
pub(super) struct Connector {
    host: String,
    port: u16,
    networks: Vec<Network>,
    tls: Option<Tls>,
    /// The server has refused HTTP/1.1 by ALPN.
    http2_only: AtomicBool,
    /// The server has chosen HTTP/1.1 though HTTP/2 was offered.
    http1_only: AtomicBool,
}

struct Tls {
    name: ServerName<'static>,
    strict: Option<Configs>,
    /// `None` for `required`.
    lenient: Option<LenientParts>,
}

struct Configs {
    http1: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Configs {
    fn new(base: ClientConfig) -> Self {
        let with = |protocol: Protocol| {
            let mut config = base.clone();
            config.alpn_protocols = protocol.alpn();
            Arc::new(config)
        };
        Self { http1: with(Protocol::Http1), either: with(Protocol::Either), http2: with(Protocol::Http2) }
    }

    fn of(&self, protocol: Protocol) -> &Arc<ClientConfig> {
        match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Either => &self.either,
            Protocol::Http2 => &self.http2,
        }
    }
}

struct LenientParts {
    roots: Option<Arc<dyn ServerCertVerifier>>,
    pins: Vec<[u8; 32]>,
    key: Option<HotKey>,
}

impl Connector {
    pub(super) fn new(config: &Config) -> Result<Self, SetupError> {
        let host = config
            .url
            .host_str()
            .map(|host| host.trim_matches(['[', ']']).to_owned())
            .ok_or_else(|| SetupError::Setting(format!("the upstream URL {} has no host", config.url)))?;
        let port = config
            .url
            .port_or_known_default()
            .ok_or_else(|| SetupError::Setting(format!("the upstream URL {} has no port", config.url)))?;
        let tls = match config.url.scheme() {
            "https" => Some(Tls::new(config, &host)?),
            _ if config.relaxed => None,
            _ => {
                return Err(SetupError::Setting(format!(
                    "the upstream {} is plaintext, which a model with tls = \"required\" never uses: write https, or tls = \"relaxed\" for a server inside relaxed_networks",
                    config.url
                )));
            }
        };
        Ok(Self {
            host,
            port,
            networks: networks(config)?,
            tls,
            http2_only: AtomicBool::new(false),
            http1_only: AtomicBool::new(false),
        })
    }

    pub(super) fn encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether such a request belongs on a shared HTTP/2 connection, as far as is known.
    pub(super) fn shares(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Http1 => self.http2_only.load(Ordering::Relaxed),
            Protocol::Either => self.encrypted() && !self.http1_only.load(Ordering::Relaxed),
            Protocol::Http2 => true,
        }
    }

    /// Connects within 10 s.
    pub(super) async fn dial(&self, protocol: Protocol) -> Result<Dialled, UpstreamError> {
        let dialling = async {
            let learned = protocol == Protocol::Http1 && self.http2_only.load(Ordering::Relaxed);
            if learned {
                return self.dial_as(Protocol::Http2).await;
            }
            match self.dial_as(protocol).await {
                Err(Failure::NoSuchProtocol(_)) if protocol == Protocol::Http1 => {
                    // Nothing of the request has been sent: the server speaks HTTP/2 alone.
                    let dialled = self.dial_as(Protocol::Http2).await?;
                    self.http2_only.store(true, Ordering::Relaxed);
                    Ok(dialled)
                }
                other => other,
            }
        };
        match time::timeout(CONNECT_TIMEOUT, dialling).await {
            Ok(Ok(dialled)) => {
                if protocol == Protocol::Either && !dialled.h2 {
                    self.http1_only.store(true, Ordering::Relaxed);
                }
                Ok(dialled)
            }
            Ok(Err(Failure::NoSuchProtocol(error) | Failure::Other(error))) => Err(error),
            Err(_) => Err(UpstreamError::Unreachable {
                cause: format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()),
            }),
        }
    }

    async fn dial_as(&self, protocol: Protocol) -> Result<Dialled, Failure> {
        let (socket, address) = self.tcp().await?;
        let Some(tls) = &self.tls else {
            let leg = Leg { transport: "plaintext".into(), verified: Some(false), ..Leg::default() };
            return Ok(Dialled {
                socket: Socket::Plain(socket),
                h2: protocol == Protocol::Http2,
                leg: leg.into(),
            });
        };
        tls.handshake(socket, protocol, self.inside(address)).await
    }

    fn inside(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// Tries the name's addresses in the resolver's order. The rule for plaintext is checked on each address as it is dialled:
    /// what a name led to a moment ago proves nothing.
    async fn tcp(&self) -> Result<(TcpStream, IpAddr), UpstreamError> {
        let unreachable = |cause: String| UpstreamError::Unreachable { cause };
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((self.host.as_str(), self.port))
            .await
            .map_err(|e| unreachable(format!("{} cannot be resolved: {e}", self.host)))?
            .collect();
        let mut failure = unreachable(format!("{} has no address", self.host));
        for (index, address) in addresses.iter().enumerate() {
            if self.tls.is_none() && !self.inside(address.ip()) {
                failure = UpstreamError::OutsideRelaxed { address: address.ip() };
                continue;
            }
            let patience = if index + 1 == addresses.len() { CONNECT_TIMEOUT } else { ADDRESS_TIMEOUT };
            match time::timeout(patience, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => {
                    prepare(&socket).map_err(|e| unreachable(format!("{address}: {e}")))?;
                    return Ok((socket, address.ip()));
                }
                Ok(Err(error)) => failure = unreachable(format!("{address}: {error}")),
                Err(_) => failure = unreachable(format!("{address}: no answer")),
            }
        }
        Err(failure)
    }
}

/// Small writes go out at once, and a server that vanished without a word is noticed.
fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let alive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10));
    socket2::SockRef::from(socket).set_tcp_keepalive(&alive)
}

fn networks(config: &Config) -> Result<Vec<Network>, SetupError> {
    if config.relaxed_networks.is_empty() {
        return Ok(Network::loopback().to_vec());
    }
    config
        .relaxed_networks
        .iter()
        .map(|text| {
            text.parse().map_err(|e: super::network::NetworkError| SetupError::Setting(e.to_string()))
        })
        .collect()
}

impl Tls {
    fn new(config: &Config, host: &str) -> Result<Self, SetupError> {
        let wanted = config.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(wanted.to_owned())
            .map_err(|_| SetupError::Setting(format!("`{wanted}` is no name a certificate can have")))?;
        let trust = match &config.ca {
            Some(path) => Trust::from_file(path)?,
            None => Trust::Platform,
        };
        let pins =
            config.pins.iter().map(|pin| tls::parse_fingerprint(pin)).collect::<Result<Vec<_>, _>>()?;
        let key = config.client_certificate.as_ref().map(client_key).transpose()?;
        let roots = match trust.verifier() {
            Ok(roots) => Some(roots),
            Err(error) if config.relaxed => {
                tracing::warn!(%error, url = %config.url, "a relaxed upstream cannot be verified");
                None
            }
            Err(error) => return Err(error.into()),
        };
        let strict = match &roots {
            Some(roots) => {
                let verifier = Arc::new(Strict { roots: Arc::clone(roots), pins: pins.clone() });
                Some(Configs::new(tls::upstream(verifier, key.as_ref())?))
            }
            None => None,
        };
        let lenient = config.relaxed.then_some(LenientParts { roots, pins, key });
        Ok(Self { name, strict, lenient })
    }

    /// `inside`: the address dialled lies in the relaxed networks.
    async fn handshake(
        &self,
        socket: TcpStream,
        protocol: Protocol,
        inside: bool,
    ) -> Result<Dialled, Failure> {
        let (config, lenient) = match (&self.lenient, &self.strict) {
            (Some(parts), _) if inside => {
                let verifier = Arc::new(Lenient {
                    roots: parts.roots.clone(),
                    pins: parts.pins.clone(),
                    verified: AtomicBool::new(false),
                });
                let mut config = tls::upstream(Arc::clone(&verifier) as _, parts.key.as_ref())
                    .map_err(|e| untrusted("the TLS handshake failed", &e))?;
                config.alpn_protocols = protocol.alpn();
                (Arc::new(config), Some(verifier))
            }
            (_, Some(strict)) => (Arc::clone(strict.of(protocol)), None),
            (_, None) => {
                return Err(untrusted(
                    "the gateway has no certificates to verify it by",
                    &"no usable roots on this machine",
                )
                .into());
            }
        };
        let stream =
            TlsConnector::from(config).connect(self.name.clone(), socket).await.map_err(Failure::of)?;
        let state = stream.get_ref().1;
        let Handshake { tls, cipher, group } = Handshake::of(state);
        let peer = state.peer_certificates().and_then(<[_]>::first).map(|leaf| {
            tls::fingerprint_text(&tls::fingerprint(leaf)).trim_start_matches("sha256:").to_owned()
        });
        let verified = lenient.is_none_or(|lenient| lenient.verified.load(Ordering::Acquire));
        let h2 = match state.alpn_protocol() {
            Some(chosen) => chosen == b"h2",
            None => protocol == Protocol::Http2,
        };
        Ok(Dialled {
            h2,
            leg: Arc::new(Leg {
                transport: "tcp".to_owned(),
                tls,
                cipher,
                group,
                verified: Some(verified),
                peer_sha256: peer,
            }),
            socket: Socket::Tls(Box::new(stream)),
        })
    }
}

fn client_key((chain, key): &(std::path::PathBuf, std::path::PathBuf)) -> Result<HotKey, SetupError> {
    let read = |path: &std::path::Path| {
        std::fs::read_to_string(path)
            .map_err(|e| SetupError::Setting(format!("{} cannot be read: {e}", path.display())))
    };
    let key = zeroize::Zeroizing::new(read(key)?);
    Ok(HotKey::new(Identity::from_pem(&read(chain)?, &key)?))
}

fn untrusted(reason: &str, cause: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::Untrusted { reason: reason.to_owned(), cause: cause.to_string() }
}

/// Why a connection was not made.
enum Failure {
    /// TLS alert no_application_protocol (RFC 7301 §3.2).
    NoSuchProtocol(UpstreamError),
    Other(UpstreamError),
}

impl Failure {
    fn of(error: io::Error) -> Self {
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            return Self::Other(UpstreamError::Unreachable {
                cause: format!("the connection ended during the TLS handshake: {error}"),
            });
        };
        let failure = UpstreamError::Untrusted { reason: reason(tls), cause: tls.to_string() };
        match tls {
            rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                Self::NoSuchProtocol(failure)
            }
            _ => Self::Other(failure),
        }
    }
}

impl From<UpstreamError> for Failure {
    fn from(error: UpstreamError) -> Self {
        Self::Other(error)
    }
}
