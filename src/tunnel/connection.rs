//! One connection, whichever carrier it runs on.

use std::{fmt, net::SocketAddr, sync::Arc};

use super::{Stream, Transport, TunnelError, quic, tcp};
use crate::tls::{CertificateDer, Handshake};

/// One connection over either carrier. Cheap to clone; the last clone dropped closes it, streams included.
#[derive(Clone)]
pub struct Connection(Arc<Shared>);

struct Shared {
    carrier: Carrier,
    handshake: Handshake,
    peer_chain: Vec<CertificateDer<'static>>,
}

enum Carrier {
    Quic(quic::Carrier),
    Tcp(tcp::Carrier),
}

impl Connection {
    pub(super) fn over_quic(carrier: quic::Carrier, peer_chain: Vec<CertificateDer<'static>>) -> Self {
        let handshake = Handshake::of_quic();
        Self(Arc::new(Shared { carrier: Carrier::Quic(carrier), handshake, peer_chain }))
    }

    pub(super) fn over_tcp(
        carrier: tcp::Carrier,
        handshake: Handshake,
        peer_chain: Vec<CertificateDer<'static>>,
    ) -> Self {
        Self(Arc::new(Shared { carrier: Carrier::Tcp(carrier), handshake, peer_chain }))
    }

    /// Laptop: opens a stream; waits while as many as the gateway allows are open. The gateway may not learn of the stream before bytes
    /// are written to it, so the laptop speaks first.
    ///
    /// # Errors
    /// [`TunnelError::Credential`] when the gateway has judged our certificate by now and refused it, [`TunnelError::Closed`] when the
    /// connection has ended, [`TunnelError::Protocol`] on the gateway's side.
    pub async fn open(&self) -> Result<Stream, TunnelError> {
        match &self.0.carrier {
            Carrier::Quic(carrier) => carrier.open().await.map(Stream::over_quic),
            Carrier::Tcp(carrier) => carrier.open().await.map(Stream::over_tcp),
        }
    }

    /// Gateway: the next stream the laptop opened. Cancel safe. On the laptop's side it waits for the connection's end.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn accept(&self) -> Result<Stream, TunnelError> {
        match &self.0.carrier {
            Carrier::Quic(carrier) => carrier.accept().await.map(Stream::over_quic),
            Carrier::Tcp(carrier) => carrier.accept().await.map(Stream::over_tcp),
        }
    }

    /// Ends the connection and every stream at once; bytes not yet delivered are lost. QUIC tells the peer code and reason, TCP tells it
    /// the gateway's code, and of the laptop that it hung up.
    pub fn close(&self, code: u32, reason: &str) {
        match &self.0.carrier {
            Carrier::Quic(carrier) => carrier.close(code, reason),
            Carrier::Tcp(carrier) => carrier.close(code),
        }
    }

    /// Resolves when the connection has ended, with why.
    pub async fn closed(&self) -> TunnelError {
        match &self.0.carrier {
            Carrier::Quic(carrier) => carrier.closed().await,
            Carrier::Tcp(carrier) => carrier.closed().await,
        }
    }

    /// Grows whenever something arrives that shows that the peer hears us too.
    pub fn heard(&self) -> u64 {
        match &self.0.carrier {
            Carrier::Quic(carrier) => carrier.heard(),
            Carrier::Tcp(carrier) => carrier.heard(),
        }
    }

    /// The bytes that the TCP carrier's socket took so far; 0 over QUIC, whose signs of life do not wait behind them.
    pub fn sent(&self) -> u64 {
        match &self.0.carrier {
            Carrier::Quic(_) => 0,
            Carrier::Tcp(carrier) => carrier.sent(),
        }
    }

    /// Laptop: asks the gateway for a sign of life, which [`heard`](Self::heard) shows.
    pub fn ping(&self) {
        match &self.0.carrier {
            Carrier::Quic(carrier) => carrier.ping(),
            Carrier::Tcp(carrier) => carrier.ping(),
        }
    }

    /// Laptop: the network may have changed. QUIC goes on from a fresh socket, wherever this machine is now, and loses no byte; TCP cannot,
    /// and only asks for a sign of life.
    pub fn move_on(&self) {
        match &self.0.carrier {
            Carrier::Quic(carrier) => carrier.move_on(),
            Carrier::Tcp(carrier) => carrier.ping(),
        }
    }

    /// The carrier.
    pub fn transport(&self) -> Transport {
        match self.0.carrier {
            Carrier::Quic(_) => Transport::Quic,
            Carrier::Tcp(_) => Transport::Tcp,
        }
    }

    /// The largest packets, in bytes of UDP payload, that are known to pass; `None` on TCP, where the kernel alone knows.
    pub fn path_mtu(&self) -> Option<u16> {
        match &self.0.carrier {
            Carrier::Quic(carrier) => Some(carrier.path_mtu()),
            Carrier::Tcp(_) => None,
        }
    }

    /// What the TLS handshake agreed on.
    pub fn handshake(&self) -> &Handshake {
        &self.0.handshake
    }

    /// The peer's chain, leaf first, verified by TLS.
    pub fn peer_chain(&self) -> &[CertificateDer<'static>] {
        &self.0.peer_chain
    }

    /// Where the peer is now; over QUIC it may move.
    pub fn remote_address(&self) -> SocketAddr {
        match &self.0.carrier {
            Carrier::Quic(carrier) => carrier.remote_address(),
            Carrier::Tcp(carrier) => carrier.remote_address(),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} {})", self.transport(), self.remote_address())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        match &self.carrier {
            Carrier::Quic(carrier) => carrier.close(0, ""),
            Carrier::Tcp(carrier) => carrier.close(0),
        }
    }
}
