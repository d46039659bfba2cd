//! Reaches a gateway: both carriers and all its addresses, raced.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use quinn::crypto::rustls::QuicClientConfig;
use rustls::ClientConfig;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    Connection, Side, Transport, TunnelError, error, quic,
    race::{Attempt, race},
    tcp,
};
use crate::tls::{self, HotKey, ServerName, Trust};

/// How long the preferred carrier runs alone.
pub const HEAD_START: Duration = Duration::from_millis(250);
/// RFC 8305 §8's Connection Attempt Delay, between addresses.
const NEXT_ADDRESS: Duration = Duration::from_millis(250);
const LOOKUP: Duration = Duration::from_secs(5);
/// The whole of it.
const DIAL: Duration = Duration::from_secs(10);
/// Addresses tried of one name.
const MAX_ADDRESSES: usize = 8;

/// Everything needed to dial a gateway.
#[derive(Clone)]
pub struct Dialer {
    /// The gateway's DNS name or IP address (an IPv6 one with or without brackets); its certificate must be for it.
    pub host: String,
    /// UDP and TCP port, 1–65535.
    pub port: u16,
    /// Whom the gateway must have its certificate from.
    pub trust: Trust,
    /// The caller's certificate; read anew for each handshake.
    pub key: HotKey,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dialer({}:{})", self.host, self.port)
    }
}

impl Dialer {
    /// Races both carriers: QUIC starts at once, TCP after [`HEAD_START`] or as soon as QUIC fails; `prefer` (the remembered winner)
    /// starts first. The first finished handshake wins, the other is abandoned. Addresses are tried in DNS's order, IPv6 and IPv4
    /// interleaved. Takes at most 10 s.
    ///
    /// In TLS 1.3 the handshake ends before the gateway has judged our certificate: a refusal shows as [`TunnelError::Credential`] on first
    /// use of the connection.
    ///
    /// # Errors
    /// [`TunnelError::Unreachable`] when nobody answers; [`TunnelError::Trust`] when somebody does who is not believed, or the trust's own
    /// roots are unusable.
    pub async fn dial(&self, prefer: Option<Transport>) -> Result<Connection, TunnelError> {
        match prefer {
            Some(Transport::Tcp) => self.dial_over(&[Transport::Tcp, Transport::Quic]).await,
            Some(Transport::Quic) | None => self.dial_over(&[Transport::Quic, Transport::Tcp]).await,
        }
    }

    /// As [`Self::dial`], over one carrier alone.
    ///
    /// # Errors
    /// As [`Self::dial`].
    pub async fn dial_only(&self, carrier: Transport) -> Result<Connection, TunnelError> {
        self.dial_over(&[carrier]).await
    }

    async fn dial_over(&self, carriers: &[Transport]) -> Result<Connection, TunnelError> {
        match timeout(DIAL, self.race_carriers(carriers)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.unreachable(&["no answer within 10 s".to_owned()])),
        }
    }

    async fn race_carriers(&self, carriers: &[Transport]) -> Result<Connection, TunnelError> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let legs = Legs::new(self, host)?;
        let addresses = self.addresses(host).await?;
        let over = |carrier: Transport| -> Attempt<'_, Connection> {
            let (legs, addresses) = (&legs, &addresses);
            Box::pin(async move {
                let tries = addresses.iter().map(|address| legs.attempt(carrier, *address)).collect();
                race(tries, NEXT_ADDRESS, None).await.map_err(|failures| worst(carrier, failures))
            })
        };
        let tries = carriers.iter().copied().map(over).collect();
        let outcome = race(tries, HEAD_START, Some(patience)).await;
        outcome.map_err(|failures| self.verdict(carriers, failures))
    }

    async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, TunnelError> {
        let unknown = |why: &str| {
            TunnelError::Unreachable(format!(
                "the gateway's name `{host}` cannot be resolved ({why}); check the gateway's URL and the network"
            ))
        };
        let found =
            timeout(LOOKUP, lookup_host((host, self.port))).await.map_err(|_| unknown("no answer"))?;
        let addresses = interleave(found.map_err(|e| unknown(&e.to_string()))?.collect());
        if addresses.is_empty() { Err(unknown("it has no address")) } else { Ok(addresses) }
    }

    /// The failure that explains most; those that only say "nobody there" are told together.
    fn verdict(&self, carriers: &[Transport], failures: Vec<TunnelError>) -> TunnelError {
        let mut said: Vec<String> = failures.iter().map(ToString::to_string).collect();
        let silent = carriers.iter().map(|carrier| format!("{carrier}: "));
        let silent: Vec<_> =
            silent.filter(|name| !said.iter().any(|words| words.starts_with(name))).collect();
        said.extend(silent.into_iter().map(|name| name + "no answer"));
        match failures.into_iter().max_by_key(TunnelError::weight) {
            Some(TunnelError::Unreachable(_)) | None => self.unreachable(&said),
            Some(clearer) => clearer,
        }
    }

    fn unreachable(&self, said: &[String]) -> TunnelError {
        TunnelError::Unreachable(format!(
            "the gateway {}:{} cannot be reached ({})",
            self.host,
            self.port,
            said.join("; ")
        ))
    }
}

/// The configurations of both carriers, read once for all attempts.
struct Legs {
    host: String,
    name: ServerName<'static>,
    quic: Arc<QuicClientConfig>,
    tcp: Arc<ClientConfig>,
}

impl Legs {
    fn new(dialer: &Dialer, host: &str) -> Result<Self, TunnelError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            TunnelError::Unreachable(format!("`{host}` is not a host name; check the gateway's URL"))
        })?;
        let unusable = |e: tls::TrustError| TunnelError::Trust(e.to_string());
        Ok(Self {
            host: host.to_owned(),
            name,
            quic: Arc::new(tls::quic_laptop(&dialer.trust, &dialer.key).map_err(unusable)?),
            tcp: Arc::new(tls::laptop(&dialer.trust, &dialer.key).map_err(unusable)?),
        })
    }

    fn attempt(&self, carrier: Transport, address: SocketAddr) -> Attempt<'_, Connection> {
        match carrier {
            Transport::Quic => Box::pin(quic::connect(Arc::clone(&self.quic), &self.host, address)),
            Transport::Tcp => Box::pin(self.over_tcp(address)),
        }
    }

    async fn over_tcp(&self, address: SocketAddr) -> Result<Connection, TunnelError> {
        let unreachable = |e: &dyn fmt::Display| TunnelError::Unreachable(format!("{address}: {e}"));
        let socket = connect(address).await.map_err(|e| unreachable(&e))?;
        let connector = TlsConnector::from(Arc::clone(&self.tcp));
        let tls = connector.connect(self.name.clone(), socket).await.map_err(|e| {
            match error::of_tls(Side::Laptop, &e) {
                TunnelError::Closed { reason, .. } => unreachable(&reason),
                other => other,
            }
        })?;
        tcp::dialled(tls, address).await
    }
}

/// The TCP way to an address. A proxy, where there is one, belongs here and nowhere else.
async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// When one carrier has failed, the other gets this much longer, for a blocked UDP says nothing; less when somebody answered the first.
fn patience(failure: &TunnelError) -> Duration {
    Duration::from_secs(if matches!(failure, TunnelError::Unreachable(_)) { 3 } else { 1 })
}

/// Alternates the families, beginning with the first address's (RFC 8305 §4).
fn interleave(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (leading, other): (Vec<_>, Vec<_>) = found.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let (mut leading, mut other) = (leading.into_iter(), other.into_iter());
    let mut mixed = Vec::new();
    loop {
        let pair = [leading.next(), other.next()];
        if pair == [None, None] || mixed.len() >= MAX_ADDRESSES {
            return mixed;
        }
        mixed.extend(pair.into_iter().flatten());
    }
}

/// What a carrier failed with: the clearest of what its addresses failed with.
fn worst(carrier: Transport, failures: Vec<TunnelError>) -> TunnelError {
    match failures.into_iter().max_by_key(TunnelError::weight) {
        Some(TunnelError::Unreachable(why)) => TunnelError::Unreachable(format!("{carrier}: {why}")),
        Some(other) => other,
        None => TunnelError::Unreachable(format!("{carrier}: no address to try")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate_and_the_count_is_bounded() {
        let parse = |list: &[&str]| -> Vec<SocketAddr> { list.iter().map(|a| a.parse().unwrap()).collect() };
        let found = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1"]);
        assert_eq!(interleave(found), parse(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::3]:1"]));
        let many = (1..100).map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect();
        assert_eq!(interleave(many).len(), MAX_ADDRESSES);
    }
}
