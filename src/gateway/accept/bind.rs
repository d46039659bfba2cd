//! Takes the same port number for UDP and TCP.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use super::{Certified, tcp::Profiles};
use crate::{
    tls::{self, HotKey, HotRoots, TrustError},
    tunnel::QuicListener,
};

/// How often another number is tried when the system chooses the port and only one leg got it.
const TRIES: usize = 32;
/// Connections the system queues while the gateway is busy.
const QUEUE: u32 = 1024;

/// Why the gateway cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The certificate or a root is unusable.
    #[error("the listeners' TLS cannot be set up: {0}")]
    Tls(TrustError),
    /// The system has no thread for connections.
    #[error("the threads that serve connections cannot be started: {0}")]
    Threads(io::Error),
    /// The port is not ours.
    #[error("the gateway cannot listen on {address} ({leg}): {cause}")]
    Port {
        /// What `listen` says.
        address: SocketAddr,
        /// `TCP` or `UDP`.
        leg: &'static str,
        /// What the system said.
        cause: io::Error,
    },
}

impl BindError {
    /// The next step.
    pub fn remedy(&self) -> String {
        let (address, leg, cause) = match self {
            Self::Port { address, leg, cause } => (address, leg, cause),
            Self::Tls(_) => return "check [tls] with `hoopctl gateway check`".to_owned(),
            Self::Threads(_) => {
                return "raise the limits of processes and open files (`ulimit -u`, `ulimit -n`)".to_owned();
            }
        };
        let port = address.port();
        let flags = if *leg == "UDP" { "-lnup" } else { "-lntp" };
        match cause.kind() {
            io::ErrorKind::AddrInUse => format!(
                "see which program has the port with `ss {flags} 'sport = :{port}'` and stop it, or set another `listen` in gateway.toml"
            ),
            io::ErrorKind::PermissionDenied => format!(
                "ports below 1024 need a privilege: run under the packaged systemd unit, allow it with `setcap cap_net_bind_service=+ep`, or set `listen` to a port such as {}",
                8443
            ),
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address: `ip addr` lists those it has; 0.0.0.0 or [::] means all"
                    .to_owned()
            }
            _ => "set another `listen` in gateway.toml".to_owned(),
        }
    }
}

/// TCP first, then UDP on the number it got; with port 0 again until both legs agree.
pub(super) async fn both(
    listen: SocketAddr,
    key: &HotKey,
    roots: &HotRoots,
) -> Result<(TcpListener, QuicListener, SocketAddr), BindError> {
    let mut tries = 0;
    loop {
        let (tcp, address) =
            tcp(listen).map_err(|cause| BindError::Port { address: listen, leg: "TCP", cause })?;
        let profile = tls::quic_server(key, roots).map_err(BindError::Tls)?;
        match QuicListener::bind(address, profile) {
            Ok(quic) => return Ok((tcp, quic, address)),
            Err(cause) if listen.port() == 0 && tries < TRIES && cause.kind() == io::ErrorKind::AddrInUse => {
                tries += 1;
            }
            Err(cause) => return Err(BindError::Port { address, leg: "UDP", cause }),
        }
    }
}

/// The port that asks for client certificates.
pub(super) fn certified(listen: SocketAddr, key: &HotKey, roots: &HotRoots) -> Result<Certified, BindError> {
    let profile = tls::certified_server(key, roots).map_err(BindError::Tls)?;
    let (tcp, address) =
        tcp(listen).map_err(|cause| BindError::Port { address: listen, leg: "TCP", cause })?;
    Ok(Certified { tcp, profiles: Profiles::Certified(profile.into()), address })
}

fn tcp(listen: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart may take the port over while connections of the last run are still being closed by the system.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    let listener = socket.listen(QUEUE)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;
    use crate::{clock::Clock, gateway::certs::Authority};

    async fn bind(port: u16) -> Result<(TcpListener, QuicListener, SocketAddr), BindError> {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path(), Clock::system()).unwrap();
        let leaf =
            authority.issue_server(&["localhost".to_owned()], std::time::Duration::from_secs(60)).unwrap();
        both((Ipv4Addr::LOCALHOST, port).into(), &HotKey::new(leaf), &authority.client_roots()).await
    }

    #[tokio::test]
    async fn both_legs_get_the_same_number() {
        let (tcp, quic, address) = bind(0).await.unwrap();
        assert_ne!(address.port(), 0);
        assert_eq!(tcp.local_addr().unwrap(), address);
        assert_eq!(quic.local_address().unwrap(), address);
    }

    #[tokio::test]
    async fn a_port_in_use_is_told_with_its_leg_and_how_to_find_who_has_it() {
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let error = bind(taken.local_addr().unwrap().port()).await.err().unwrap();
        assert!(error.to_string().contains("(TCP)"), "{error}");
        assert!(error.remedy().contains("ss -lntp"), "{}", error.remedy());

        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let error = bind(taken.local_addr().unwrap().port()).await.err().unwrap();
        assert!(error.to_string().contains("(UDP)"), "{error}");
        assert!(error.remedy().contains("ss -lnup"), "{}", error.remedy());
    }
}
