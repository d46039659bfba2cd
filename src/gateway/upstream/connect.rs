//! One connection to a model's server: name → address → TCP → TLS, with the evidence of what was agreed.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::net::{TcpStream, UnixStream};

use super::{
    Config, SetupError, UpstreamError,
    dial::{order, race},
    handshake::{Failure, Tls},
    network::{NetworkError, Places},
    socket::{Bytes, Count, Socket},
};
use crate::evidence::event::Leg;

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
    pub(super) fn alpn(self) -> Vec<Vec<u8>> {
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

/// Makes connections to one of a model's servers.
pub(super) struct Connector {
    place: Place,
    places: Places,
    tls: Option<Tls>,
    /// What the evidence of every connection begins with.
    leg: Leg,
    open: Count,
    /// The server has refused HTTP/1.1 by ALPN.
    http2_only: AtomicBool,
    /// The server has chosen HTTP/1.1 though HTTP/2 was offered.
    http1_only: AtomicBool,
}

/// Where a server is.
enum Place {
    Network { host: String, port: u16 },
    Socket(PathBuf),
}

impl Place {
    fn new(url: &url::Url) -> Result<Self, SetupError> {
        let wrong = |what: &str| SetupError::Setting(format!("the upstream URL {url} has no {what}"));
        if url.scheme() == "unix" {
            return Ok(Self::Socket(PathBuf::from(url.path())));
        }
        let host = url.host_str().ok_or_else(|| wrong("host"))?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().ok_or_else(|| wrong("port"))?;
        Ok(Self::Network { host, port })
    }
}

impl Connector {
    /// For one of the URLs of `config`.
    pub(super) fn new(url: &url::Url, config: &Config) -> Result<Self, SetupError> {
        let place = Place::new(url)?;
        let tls = match &place {
            Place::Network { host, .. } if url.scheme() == "https" => Some(Tls::new(url, config, host)?),
            _ if config.relaxed => None,
            _ => {
                return Err(SetupError::Setting(format!(
                    "the upstream {url} is plaintext, which a model with tls = \"required\" never uses: write https, or tls = \"relaxed\" for a server inside relaxed_networks"
                )));
            }
        };
        let places = Places::parse(&config.relaxed_networks)
            .map_err(|e: NetworkError| SetupError::Setting(e.to_string()))?;
        let leg = Leg {
            transport: match (&place, &tls) {
                (Place::Socket(_), _) => "unix",
                (Place::Network { .. }, Some(_)) => "tcp",
                (Place::Network { .. }, None) => "plaintext",
            }
            .to_owned(),
            verified: Some(false),
            relaxed: config.relaxed,
            url: (config.urls.len() > 1).then(|| url.to_string()),
            ..Leg::default()
        };
        Ok(Self {
            place,
            places,
            tls,
            leg,
            open: Count::default(),
            http2_only: AtomicBool::new(false),
            http1_only: AtomicBool::new(false),
        })
    }

    /// Connections open now.
    pub(super) fn open(&self) -> usize {
        self.open.now()
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

    /// Makes a connection, in another protocol than the wanted where the server has no other.
    pub(super) async fn dial(&self, protocol: Protocol) -> Result<Dialled, UpstreamError> {
        let learned = protocol == Protocol::Http1 && self.http2_only.load(Ordering::Relaxed);
        let first = self.dial_as(if learned { Protocol::Http2 } else { protocol }).await;
        let dialled = match first {
            Err(Failure::NoSuchProtocol(_)) if protocol == Protocol::Http1 && !learned => {
                // Nothing of the request has been sent: the server speaks HTTP/2 alone.
                let dialled = self.dial_as(Protocol::Http2).await;
                self.http2_only.store(dialled.is_ok(), Ordering::Relaxed);
                dialled
            }
            Err(_) if learned => {
                // What was learned may be over: another server may stand there now, one without HTTP/2.
                self.http2_only.store(false, Ordering::Relaxed);
                self.dial_as(protocol).await
            }
            other => other,
        };
        match dialled {
            Ok(dialled) => {
                if protocol == Protocol::Either && !dialled.h2 {
                    self.http1_only.store(true, Ordering::Relaxed);
                }
                Ok(dialled)
            }
            Err(Failure::NoSuchProtocol(error) | Failure::Other(error)) => Err(error),
        }
    }

    async fn dial_as(&self, protocol: Protocol) -> Result<Dialled, Failure> {
        let plain = |bytes: Bytes| Dialled {
            socket: Socket::new(bytes, &self.open),
            h2: protocol == Protocol::Http2,
            leg: Arc::new(self.leg.clone()),
        };
        let (host, port) = match &self.place {
            Place::Socket(path) => return Ok(plain(Bytes::Unix(self.unix(path).await?))),
            Place::Network { host, port } => (host.as_str(), *port),
        };
        let (socket, address) = self.tcp(host, port).await?;
        let Some(tls) = &self.tls else { return Ok(plain(Bytes::Plain(socket))) };
        let secured = tls.handshake(socket, protocol, self.places.contain(address), &self.leg).await?;
        Ok(Dialled {
            socket: Socket::new(Bytes::Tls(Box::new(secured.stream)), &self.open),
            h2: secured.h2,
            leg: Arc::new(secured.leg),
        })
    }

    async fn unix(&self, path: &Path) -> Result<UnixStream, UpstreamError> {
        if !self.places.unix() {
            return Err(UpstreamError::OutsideRelaxed { place: path.display().to_string() });
        }
        UnixStream::connect(path)
            .await
            .map_err(|e| UpstreamError::Unreachable { cause: format!("{}: {e}", path.display()) })
    }

    /// Races the name's addresses. The rule for plaintext is checked on each address that is dialled: what a name led to a moment ago
    /// proves nothing.
    async fn tcp(&self, host: &str, port: u16) -> Result<(TcpStream, IpAddr), UpstreamError> {
        let unreachable = |cause: String| UpstreamError::Unreachable { cause };
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
            .await
            .map_err(|e| unreachable(format!("{host} cannot be resolved: {e}")))?
            .collect();
        let allowed = |address: &&SocketAddr| self.tls.is_some() || self.places.contain(address.ip());
        let addresses = order(found.iter().filter(allowed).copied());
        if addresses.is_empty() {
            return Err(match found.first() {
                Some(address) => UpstreamError::OutsideRelaxed { place: address.ip().to_string() },
                None => unreachable(format!("{host} has no address")),
            });
        }
        race(addresses, |address| async move {
            let socket = TcpStream::connect(address).await?;
            prepare(&socket)?;
            Ok(socket)
        })
        .await
        .map_err(|(address, error)| unreachable(format!("{address}: {error}")))
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
