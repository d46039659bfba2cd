//! Reaches a gateway: both carriers and all its addresses, raced.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use quinn::crypto::rustls::QuicClientConfig;
use rustls::ClientConfig;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    Connection, Proxies, Side, Transport, TunnelError, error, quic,
    race::{Attempt, Patience, race},
    reach::{self, NEXT_ADDRESS, Segments},
    tcp,
};
use crate::tls::{self, HotKey, ServerName, Trust};

/// How long the preferred carrier runs alone.
pub const HEAD_START: Duration = Duration::from_millis(250);
/// A TLS handshake over TCP that takes longer is tried again beside itself in small segments: a path that swallows full ones carries
/// TCP's own handshake, and then nothing.
const SWALLOWED: Duration = Duration::from_secs(3);
/// The whole of it.
const DIAL: Duration = Duration::from_secs(10);

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
    /// What the TCP carrier goes through. QUIC always goes directly.
    pub proxies: Proxies,
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
    /// [`TunnelError::Unreachable`] when nobody answers; [`TunnelError::Proxy`] when the proxy on the way is the reason; [`TunnelError::Trust`] when somebody does who is not believed, or the trust's own
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
        let proxy = self.proxies.towards(host, self.port);
        // Behind a proxy it is usual that names outside cannot be resolved here; then only QUIC fails by it.
        let known = match &proxy {
            Ok(None) => Some(reach::addresses(host, self.port).await?),
            _ => None,
        };
        let over = |carrier: Transport| -> Attempt<'_, Connection> {
            let (legs, known, proxy) = (&legs, &known, &proxy);
            Box::pin(async move {
                let outcome = match (carrier, proxy) {
                    (Transport::Tcp, Err(unusable)) => Err(vec![unusable.clone()]),
                    (Transport::Tcp, Ok(Some(proxy))) => {
                        let carried = async { legs.over_tcp(proxy.connect(host, self.port).await?).await };
                        carried.await.map_err(|failure| vec![failure])
                    }
                    _ => {
                        let addresses = match known {
                            Some(addresses) => addresses.clone(),
                            None => reach::addresses(host, self.port)
                                .await
                                .map_err(|failure| worst(carrier, vec![failure]))?,
                        };
                        let tries = addresses.iter().map(|address| legs.attempt(carrier, *address)).collect();
                        race(tries, NEXT_ADDRESS, None).await
                    }
                };
                outcome.map_err(|failures| worst(carrier, failures))
            })
        };
        let tries = carriers.iter().copied().map(over).collect();
        let outcome = race(tries, HEAD_START, Some(patience_with(matches!(proxy, Ok(Some(_)))))).await;
        outcome.map_err(|failures| self.verdict(carriers, failures))
    }

    /// The failure that explains most; those that only say "nobody there" are told together.
    fn verdict(&self, carriers: &[Transport], failures: Vec<TunnelError>) -> TunnelError {
        let mut said: Vec<String> = failures.iter().map(ToString::to_string).collect();
        let silent = carriers.iter().map(|carrier| format!("{carrier}: "));
        let silent: Vec<_> =
            silent.filter(|name| !said.iter().any(|words| words.starts_with(name))).collect();
        said.extend(silent.into_iter().map(|name| name + "no answer"));
        match clearest(failures) {
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
            Transport::Tcp => Box::pin(async move {
                let mut full = self.at_address(address, Segments::Full);
                match timeout(SWALLOWED, &mut full).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        let small = self.at_address(address, Segments::Small);
                        let tries = race(vec![full, small], Duration::ZERO, None).await;
                        tries.map_err(|failures| {
                            clearest(failures).unwrap_or_else(|| unreachable(address, &"no answer"))
                        })
                    }
                }
            }),
        }
    }

    fn at_address(&self, address: SocketAddr, segments: Segments) -> Attempt<'_, Connection> {
        Box::pin(async move {
            let socket = reach::connect(address, segments).await;
            self.over_tcp(socket.map_err(|e| unreachable(address, &e))?).await
        })
    }

    async fn over_tcp(&self, socket: TcpStream) -> Result<Connection, TunnelError> {
        let address = socket.peer_addr().map_err(|e| TunnelError::Unreachable(e.to_string()))?;
        let connector = TlsConnector::from(Arc::clone(&self.tcp));
        let tls = connector.connect(self.name.clone(), socket).await.map_err(|e| {
            match error::of_tls(Side::Laptop, &e) {
                TunnelError::Closed { reason, .. } => unreachable(address, &reason),
                other => other,
            }
        })?;
        tcp::dialled(tls, address).await
    }
}

fn unreachable(address: SocketAddr, why: &dyn fmt::Display) -> TunnelError {
    TunnelError::Unreachable(format!("{address}: {why}"))
}

/// When one carrier has failed, the other gets this much longer, for a blocked UDP says nothing; less when somebody answered the first.
fn patience(failure: &TunnelError) -> Option<Duration> {
    Some(Duration::from_secs(if matches!(failure, TunnelError::Unreachable(_)) { 3 } else { 1 }))
}

/// As [`patience`], but QUIC failing to get there says nothing about the way through a proxy, which may alone know the name.
fn patience_behind_proxy(failure: &TunnelError) -> Option<Duration> {
    match failure {
        TunnelError::Unreachable(why) if why.starts_with(&format!("{}: ", Transport::Quic)) => None,
        other => patience(other),
    }
}

fn patience_with(proxied: bool) -> Patience {
    if proxied { patience_behind_proxy } else { patience }
}

/// What a carrier failed with: the clearest of what its addresses failed with.
fn worst(carrier: Transport, failures: Vec<TunnelError>) -> TunnelError {
    match clearest(failures) {
        Some(TunnelError::Unreachable(why)) => TunnelError::Unreachable(format!("{carrier}: {why}")),
        Some(other) => other,
        None => TunnelError::Unreachable(format!("{carrier}: no address to try")),
    }
}

fn clearest(failures: Vec<TunnelError>) -> Option<TunnelError> {
    failures.into_iter().max_by_key(TunnelError::weight)
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    /// What comes of a carrier that fails after 50 ms and another one that gets there after 5 s.
    async fn slow_after(carrier: Transport, proxied: bool) -> Result<u8, usize> {
        let fails = Box::pin(async move {
            sleep(Duration::from_millis(50)).await;
            Err(worst(carrier, vec![TunnelError::Unreachable("no such name".to_owned())]))
        });
        let slow = Box::pin(async {
            sleep(Duration::from_secs(5)).await;
            Ok(1)
        });
        let tries: Vec<Attempt<'_, u8>> = vec![fails, slow];
        race(tries, HEAD_START, Some(patience_with(proxied))).await.map_err(|failures| failures.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_proxy_is_waited_for_though_quic_knows_no_way() {
        assert_eq!(slow_after(Transport::Quic, true).await, Ok(1));
        assert_eq!(slow_after(Transport::Quic, false).await, Err(1));
        assert_eq!(slow_after(Transport::Tcp, true).await, Err(1), "a proxy's word ends it soon");
    }
}
