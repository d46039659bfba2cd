//! The laptop's way to a gateway: one UDP socket, replaced when the network under it changes.

use std::{
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
};

use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, Runtime, TokioRuntime};

/// The endpoint of one dialled connection and its present socket.
pub(super) struct Way {
    endpoint: Endpoint,
    any: SocketAddr,
    socket: Mutex<Arc<dyn AsyncUdpSocket>>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Way")
    }
}

impl Way {
    /// The socket is bound to no address of this machine, so that packets follow the routes when the network changes.
    pub(super) fn towards(address: SocketAddr) -> io::Result<Self> {
        let any: SocketAddr = if address.is_ipv6() {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        };
        let socket = TokioRuntime.wrap_udp_socket(super::sized(UdpSocket::bind(any)?))?;
        let endpoint = Endpoint::new_with_abstract_socket(
            EndpointConfig::default(),
            None,
            Arc::clone(&socket),
            Arc::new(TokioRuntime),
        )?;
        Ok(Self { endpoint, any, socket: Mutex::new(socket) })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a PING (RFC 9000 §19.2). quinn sends one whenever an endpoint is given a socket, and offers no other way: it is given the
    /// one that it has.
    pub(super) fn ping(&self) {
        let socket = Arc::clone(&self.socket.lock().unwrap_or_else(PoisonError::into_inner));
        self.adopt(socket);
    }

    /// Goes on from a fresh socket, whose port no middle box knows, and says so to the gateway (RFC 9000 §9).
    pub(super) fn renew(&self) {
        let fresh = UdpSocket::bind(self.any).and_then(|s| TokioRuntime.wrap_udp_socket(super::sized(s)));
        match fresh {
            Ok(socket) => {
                *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&socket);
                self.adopt(socket);
            }
            // The present socket follows the routes too.
            Err(error) => {
                tracing::debug!(%error, "no fresh UDP socket");
                self.ping();
            }
        }
    }

    fn adopt(&self, socket: Arc<dyn AsyncUdpSocket>) {
        if let Err(error) = self.endpoint.rebind_abstract(socket) {
            tracing::debug!(%error, "the UDP socket has no address");
        }
    }
}
