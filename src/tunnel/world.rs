//! A gateway and a laptop on loopback, for tests: certificates, listeners that accept, and a joined pair of either carrier.

use std::{net::SocketAddr, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use socket2::{Domain, Socket, Type};
use time::OffsetDateTime;
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Connection, Dialer, Proxies, QuicListener, Side, Stream, Transport, TunnelError, accept_tcp, error,
    let_alert_arrive,
};
use crate::tls::{self, CertificateDer, HotKey, HotRoots, Identity, Trust};

/// Both carriers: every promise is tested on each.
pub(crate) const BOTH: [Transport; 2] = [Transport::Quic, Transport::Tcp];

/// Nothing in a test takes this long.
const LONG: Duration = Duration::from_secs(60);

/// A certificate authority of its own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::Roots(vec![self.certificate()])
    }

    /// A gateway's leaf for one name.
    pub(crate) fn gateway(&self, name: &str) -> HotKey {
        self.leaf(name, ExtendedKeyUsagePurpose::ServerAuth, 1)
    }

    /// A gateway's leaf that has expired.
    pub(crate) fn expired_gateway(&self) -> HotKey {
        self.leaf("127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth, -1)
    }

    /// A laptop's leaf that lives for so many days from now; negative: it has expired.
    pub(crate) fn laptop(&self, days: i64) -> HotKey {
        self.leaf("alice", ExtendedKeyUsagePurpose::ClientAuth, days)
    }

    fn leaf(&self, name: &str, usage: ExtendedKeyUsagePurpose, days: i64) -> HotKey {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let now = OffsetDateTime::from(crate::clock::Clock::system().now());
        params.not_before = now - time::Duration::days(days.abs() + 1);
        params.not_after = now + time::Duration::days(days);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        HotKey::new(Identity::new(vec![leaf.der().clone()], key).unwrap())
    }
}

/// A gateway that accepts on 127.0.0.1 over the given carriers; the other carrier's port is held, and nobody answers there.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    accepted: mpsc::UnboundedReceiver<Result<Connection, TunnelError>>,
    _tasks: JoinSet<()>,
    _held: (Option<UdpSocket>, Option<Socket>),
}

impl Gateway {
    /// Accepts laptops whose certificates are from `authority`.
    pub(crate) async fn start(key: &HotKey, authority: &Authority, carriers: &[Transport]) -> Self {
        let roots = HotRoots::new(&[authority.certificate()]).unwrap();
        let (offer, accepted) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let (address, tcp) = hold_tcp();
        let mut held = (None, None);
        if carriers.contains(&Transport::Tcp) {
            tcp.listen(128).unwrap();
            tcp.set_nonblocking(true).unwrap();
            let listener = TcpListener::from_std(tcp.into()).unwrap();
            let config = tls::tunnel_server(key, &roots).unwrap();
            tasks.spawn(serve_tcp(listener, TlsAcceptor::from(std::sync::Arc::new(config)), offer.clone()));
        } else {
            held.1 = Some(tcp);
        }
        if carriers.contains(&Transport::Quic) {
            let listener = QuicListener::bind(address, tls::quic_server(key, &roots).unwrap()).unwrap();
            tasks.spawn(serve_quic(listener, offer));
        } else {
            held.0 = Some(UdpSocket::bind(address).await.unwrap());
        }
        Self { address, accepted, _tasks: tasks, _held: held }
    }

    /// The next handshake's outcome on the gateway's side.
    pub(crate) async fn accept(&mut self) -> Result<Connection, TunnelError> {
        timeout(LONG, self.accepted.recv()).await.unwrap().unwrap()
    }

    /// How a laptop with this trust and key dials it.
    pub(crate) fn dialer(&self, trust: Trust, key: HotKey) -> Dialer {
        Dialer {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            trust,
            key,
            proxies: Proxies::default(),
        }
    }
}

/// A laptop and a gateway that are connected.
pub(crate) struct Pair {
    pub(crate) laptop: Connection,
    pub(crate) gateway: Connection,
    pub(crate) listening: Gateway,
}

impl Pair {
    pub(crate) async fn over(carrier: Transport) -> Self {
        let authority = Authority::new();
        let key = authority.gateway("127.0.0.1");
        let mut listening = Gateway::start(&key, &authority, &[carrier]).await;
        let dialer = listening.dialer(authority.trust(), authority.laptop(1));
        let (laptop, gateway) = tokio::join!(dialer.dial(Some(carrier)), listening.accept());
        Self { laptop: laptop.unwrap(), gateway: gateway.unwrap(), listening }
    }

    /// A stream opened with one byte, which the gateway has read: the laptop's end and the gateway's.
    pub(crate) async fn stream(&self) -> (Stream, Stream) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut near = self.laptop.open().await.unwrap();
        near.write_all(b"!").await.unwrap();
        let mut far = self.gateway.accept().await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), b'!');
        (near, far)
    }
}

/// A TCP port that is ours, also for UDP, and refuses until it listens.
fn hold_tcp() -> (SocketAddr, Socket) {
    loop {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        if std::net::UdpSocket::bind(address).is_ok() {
            return (address, socket);
        }
    }
}

async fn serve_tcp(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    offer: mpsc::UnboundedSender<Result<Connection, TunnelError>>,
) {
    while let Ok((tcp, remote)) = listener.accept().await {
        let (acceptor, offer) = (acceptor.clone(), offer.clone());
        tokio::spawn(async move {
            let _ = offer.send(handshake_tcp(acceptor, tcp, remote).await);
        });
    }
}

async fn handshake_tcp(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    remote: SocketAddr,
) -> Result<Connection, TunnelError> {
    match acceptor.accept(tcp).into_fallible().await {
        Ok(tls) => accept_tcp(tls, remote).await,
        Err((e, tcp)) => {
            let_alert_arrive(tcp).await;
            Err(error::of_tls(Side::Gateway, &e))
        }
    }
}

async fn serve_quic(listener: QuicListener, offer: mpsc::UnboundedSender<Result<Connection, TunnelError>>) {
    while let Some(handshaking) = listener.accept().await {
        let offer = offer.clone();
        tokio::spawn(async move {
            let _ = offer.send(handshaking.finish().await);
        });
    }
}
