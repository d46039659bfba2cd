//! The TCP way to a host: all its addresses raced (RFC 8305), or through a proxy.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpSocket, TcpStream, lookup_host},
    time::timeout,
};

use super::{
    Proxies, TunnelError,
    race::{Attempt, race},
};

/// RFC 8305 §8's Connection Attempt Delay, between addresses.
pub(super) const NEXT_ADDRESS: Duration = Duration::from_millis(250);
const LOOKUP: Duration = Duration::from_secs(5);
/// Addresses tried of one name.
const MAX_ADDRESSES: usize = 8;
/// Bytes of a segment that every path carries: IPv6's least MTU of 1280 without headers and options.
const SMALL_SEGMENT: u32 = 1200;

/// How large segments may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segments {
    /// As the system finds out.
    Full,
    /// So small that they pass where larger ones vanish and nobody says so (RFC 2923 §2.1).
    Small,
}

/// Connects to a host as `proxies` has it.
///
/// # Errors
/// [`TunnelError::Unreachable`] when nobody answers there, [`TunnelError::Proxy`] when the proxy does not carry it.
pub async fn reach(host: &str, port: u16, proxies: &Proxies) -> Result<TcpStream, TunnelError> {
    match proxies.towards(host, port)? {
        Some(proxy) => proxy.connect(host, port).await,
        None => direct(host, port).await,
    }
}

/// Past any proxy.
pub(super) async fn direct(host: &str, port: u16) -> Result<TcpStream, TunnelError> {
    let addresses = addresses(host, port).await?;
    let attempt = |address: SocketAddr| -> Attempt<'_, TcpStream> {
        Box::pin(async move {
            let connected = connect(address, Segments::Full).await;
            connected.map_err(|e| TunnelError::Unreachable(format!("{address}: {e}")))
        })
    };
    race(addresses.into_iter().map(attempt).collect(), NEXT_ADDRESS, None).await.map_err(|failures| {
        let said: Vec<String> = failures.iter().map(ToString::to_string).collect();
        TunnelError::Unreachable(said.join("; "))
    })
}

/// A host's addresses in DNS's order, IPv6 and IPv4 interleaved.
pub(super) async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, TunnelError> {
    let unknown = |why: &str| {
        TunnelError::Unreachable(format!(
            "the name `{host}` cannot be resolved ({why}); check the address and the network"
        ))
    };
    let found = timeout(LOOKUP, lookup_host((host, port))).await.map_err(|_| unknown("no answer"))?;
    let addresses = interleave(found.map_err(|e| unknown(&e.to_string()))?.collect());
    if addresses.is_empty() { Err(unknown("it has no address")) } else { Ok(addresses) }
}

pub(super) async fn connect(address: SocketAddr, segments: Segments) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    if segments == Segments::Small {
        socket2::SockRef::from(&socket).set_tcp_mss(SMALL_SEGMENT)?;
    }
    #[cfg(not(unix))]
    let _ = (segments, SMALL_SEGMENT);
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
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

    #[tokio::test]
    async fn a_name_is_reached_at_whichever_address_answers() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Where the system knows `localhost` as ::1 too, nobody answers there.
        let stream = reach("localhost", port, &Proxies::default()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert!(stream.nodelay().unwrap());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn small_segments_are_small_both_ways() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = connect(listener.local_addr().unwrap(), Segments::Small).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        for end in [&near, &far] {
            assert!(socket2::SockRef::from(end).tcp_mss().unwrap() <= SMALL_SEGMENT);
        }
    }
}
