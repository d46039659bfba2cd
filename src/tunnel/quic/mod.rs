//! The QUIC carrier (RFC 9000): quinn, one endpoint per gateway leg, one socket per dialled connection.

mod listener;
mod stream;
mod way;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use quinn::{
    ClientConfig, Endpoint, EndpointConfig, IdleTimeout, TransportConfig, VarInt,
    crypto::rustls::{HandshakeData, QuicClientConfig},
};
use socket2::SockRef;

use self::way::Way;
pub use listener::{Handshaking, QuicListener};
pub(super) use stream::Stream;

use super::{Connection, KEEP_ALIVE, MAX_STREAMS, SILENCE, Side, TunnelError, error};
use crate::{tls::CertificateDer, wire};

/// Bytes sent or waiting to be sent that the peer has not confirmed, of all streams of a connection.
const SEND_WINDOW: u64 = 16 << 20;
/// What the sockets ask the kernel for, bytes each way; it may give less.
const SOCKET_BUFFER: usize = 2 << 20;

/// A QUIC connection whose handshake is done.
pub(super) struct Carrier {
    connection: quinn::Connection,
    side: Side,
    /// The laptop's socket.
    way: Option<Way>,
}

impl Carrier {
    pub(super) async fn open(&self) -> Result<Stream, TunnelError> {
        if self.side == Side::Gateway {
            return Err(TunnelError::Protocol("only the laptop opens streams".to_owned()));
        }
        let opened = self.connection.open_bi().await;
        opened.map(|(send, recv)| Stream::new(self.side, send, recv)).map_err(|e| self.why(&e))
    }

    pub(super) async fn accept(&self) -> Result<Stream, TunnelError> {
        let accepted = self.connection.accept_bi().await;
        accepted.map(|(send, recv)| Stream::new(self.side, send, recv)).map_err(|e| self.why(&e))
    }

    pub(super) fn close(&self, code: u32, reason: &str) {
        self.connection.close(VarInt::from_u32(code), reason.as_bytes());
    }

    pub(super) async fn closed(&self) -> TunnelError {
        self.why(&self.connection.closed().await)
    }

    pub(super) fn remote_address(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    pub(super) fn path_mtu(&self) -> u16 {
        self.connection.stats().path.current_mtu
    }

    /// Acknowledgements alone: where only one direction is blocked, its packets still arrive and ours do not.
    pub(super) fn heard(&self) -> u64 {
        self.connection.stats().frame_rx.acks
    }

    pub(super) fn ping(&self) {
        if let Some(way) = &self.way {
            way.ping();
        }
    }

    pub(super) fn move_on(&self) {
        if let Some(way) = &self.way {
            way.renew();
        }
    }

    fn why(&self, error: &quinn::ConnectionError) -> TunnelError {
        error::of_quic(self.side, error)
    }
}

/// Laptop: one handshake with one address. Dropping the future abandons it.
pub(super) async fn connect(
    config: Arc<QuicClientConfig>,
    name: &str,
    address: SocketAddr,
) -> Result<Connection, TunnelError> {
    let unreachable = |e: &dyn std::fmt::Display| TunnelError::Unreachable(format!("{address}: {e}"));
    let mut config = ClientConfig::new(config);
    config.transport_config(Arc::new(transport(Side::Laptop)));
    let way = Way::towards(address).map_err(|e| unreachable(&e))?;
    let connecting = way.endpoint().connect_with(config, address, name).map_err(|e| unreachable(&e))?;
    match connecting.await {
        Ok(connection) => established(Side::Laptop, connection, Some(way)),
        Err(e) => Err(match error::of_quic(Side::Laptop, &e) {
            TunnelError::Closed { reason, .. } => unreachable(&reason),
            other => other,
        }),
    }
}

fn established(
    side: Side,
    connection: quinn::Connection,
    way: Option<Way>,
) -> Result<Connection, TunnelError> {
    let protocol = connection
        .handshake_data()
        .and_then(|data| data.downcast::<HandshakeData>().ok())
        .and_then(|data| data.protocol);
    if protocol.as_deref() != Some(wire::ALPN) {
        return Err(TunnelError::Trust("the other side does not speak hoop/1".to_owned()));
    }
    let chain = connection
        .peer_identity()
        .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
        .map(|chain| *chain)
        .unwrap_or_default();
    Ok(Connection::over_quic(Carrier { connection, side, way }, chain))
}

fn gateway_endpoint(address: SocketAddr, config: quinn::ServerConfig) -> io::Result<Endpoint> {
    let socket = sized(std::net::UdpSocket::bind(address)?);
    Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(quinn::TokioRuntime))
}

fn sized(socket: std::net::UdpSocket) -> std::net::UdpSocket {
    let buffers = SockRef::from(&socket);
    // Smaller buffers only cost speed.
    let _ = buffers.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = buffers.set_send_buffer_size(SOCKET_BUFFER);
    socket
}

/// Segmentation offload, MTU discovery from 1200 bytes and Cubic are quinn's defaults, and wanted.
fn transport(side: Side) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(match side {
            Side::Laptop => 0,
            Side::Gateway => MAX_STREAMS,
        }))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(side.stream_window()))
        .receive_window(VarInt::from_u32(side.window()))
        .send_window(SEND_WINDOW)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(idle_timeout(SILENCE)))
        .datagram_receive_buffer_size(None);
    config
}

fn idle_timeout(after: Duration) -> IdleTimeout {
    let millis = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
    IdleTimeout::from(VarInt::from_u32(millis))
}
