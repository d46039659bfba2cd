//! The gateway's UDP leg: attempts, each with its own bounded handshake.

use std::{io, net::SocketAddr, sync::Arc};

use quinn::crypto::rustls::QuicServerConfig;
use tokio::time::timeout;

use crate::tunnel::{Connection, HANDSHAKE, Side, TunnelError, error};

/// Handshakes under way above which a new caller must first prove its address (RFC 9000 §8.1.2).
const BUSY: usize = 256;
/// Attempts that may wait to be accepted, and the bytes all of them may have sent by then.
const WAITING: usize = 1024;
const WAITING_BYTES: u64 = 16 << 20;

/// The gateway's UDP leg.
pub struct QuicListener {
    endpoint: quinn::Endpoint,
    // Each handshake under way holds a clone: the count says how busy we are.
    handshakes: Arc<()>,
}

impl QuicListener {
    /// Binds a UDP address; port 0 picks a free one.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub fn bind(address: SocketAddr, config: QuicServerConfig) -> io::Result<Self> {
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(config));
        config
            .transport_config(Arc::new(super::transport(Side::Gateway)))
            .max_incoming(WAITING)
            .incoming_buffer_size_total(WAITING_BYTES);
        Ok(Self { endpoint: super::gateway_endpoint(address, config)?, handshakes: Arc::new(()) })
    }

    /// The address bound.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The next attempt; its handshake runs in the returned future, so that a slow one holds up nobody. `None`: closed. Cancel safe.
    pub async fn accept(&self) -> Option<Handshaking> {
        loop {
            let incoming = self.endpoint.accept().await?;
            if Arc::strong_count(&self.handshakes) > BUSY && incoming.may_retry() {
                // Refused only when the address is proven already, which `may_retry` has just ruled out.
                let _ = incoming.retry();
                continue;
            }
            return Some(Handshaking { incoming, _counted: Arc::clone(&self.handshakes) });
        }
    }

    /// Refuses new connections from now on; those that live go on.
    pub fn refuse_new(&self) {
        self.endpoint.set_server_config(None);
    }

    /// Closes every connection and ends [`accept`](Self::accept).
    pub fn close(&self) {
        self.endpoint.close(quinn::VarInt::from_u32(0), b"the gateway is going away");
    }

    /// Resolves when no connection is left and every peer has been told.
    pub async fn idle(&self) {
        self.endpoint.wait_idle().await;
    }
}

/// A QUIC handshake under way. Bounded by 10 s. Dropped, it refuses the caller.
pub struct Handshaking {
    incoming: quinn::Incoming,
    _counted: Arc<()>,
}

impl Handshaking {
    /// Where the attempt comes from; not proven before the handshake is done.
    pub fn remote_address(&self) -> SocketAddr {
        self.incoming.remote_address()
    }

    /// Runs the handshake; the laptop's certificate is verified by then.
    ///
    /// # Errors
    /// [`TunnelError::Credential`] when the laptop's certificate is missing or not accepted, [`TunnelError::Trust`] when it does not believe
    /// ours or TLS fails, [`TunnelError::Unreachable`] when it takes longer than 10 s.
    pub async fn finish(self) -> Result<Connection, TunnelError> {
        let connecting = self.incoming.accept().map_err(|e| error::of_quic(Side::Gateway, &e))?;
        match timeout(HANDSHAKE, connecting).await {
            Ok(Ok(connection)) => super::established(Side::Gateway, connection, None),
            Ok(Err(e)) => Err(error::of_quic(Side::Gateway, &e)),
            Err(_) => Err(TunnelError::Unreachable("the handshake was not finished within 10 s".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        tls,
        tunnel::{Dialer, Proxies, Transport, world::Authority},
    };

    #[tokio::test]
    async fn with_many_handshakes_under_way_a_caller_first_proves_its_address() {
        let authority = Authority::new();
        let config = tls::quic_server(
            &authority.gateway("127.0.0.1"),
            &tls::HotRoots::new(&[authority.certificate()]).unwrap(),
        )
        .unwrap();
        let listener = QuicListener::bind(([127, 0, 0, 1], 0).into(), config).unwrap();
        let mut busy = vec![Arc::clone(&listener.handshakes); BUSY];
        let dialer = Dialer {
            host: "127.0.0.1".to_owned(),
            port: listener.local_address().unwrap().port(),
            trust: authority.trust(),
            key: authority.laptop(1),
            proxies: Proxies::default(),
        };
        for proven in [true, false] {
            let dialler = dialer.clone();
            let dialling = tokio::spawn(async move { dialler.dial(Some(Transport::Quic)).await });
            let attempt = listener.accept().await.unwrap();
            assert_eq!(attempt.incoming.remote_address_validated(), proven);
            attempt.finish().await.unwrap();
            dialling.await.unwrap().unwrap();
            busy.clear();
        }
    }
}
