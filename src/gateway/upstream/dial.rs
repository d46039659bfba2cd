//! The addresses of a name, raced: one that does not answer costs a quarter of a second, not a timeout (after RFC 8305).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{self, Instant};

/// The most addresses of a name that are dialled.
const MAX_ADDRESSES: usize = 16;

/// An address has so long before the next is dialled beside it (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// The order in which addresses are dialled: the resolver's (RFC 6724), with the two families in turn (RFC 8305 §4).
pub(super) fn order(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut first: Vec<SocketAddr> = Vec::new();
    let mut second: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        let familiar = first.first().is_none_or(|known| known.is_ipv4() == address.is_ipv4());
        let family = if familiar { &mut first } else { &mut second };
        if !family.contains(&address) {
            family.push(address);
        }
    }
    let mut second = second.into_iter();
    let mut order: Vec<SocketAddr> = Vec::new();
    for address in first {
        order.push(address);
        order.extend(second.next());
    }
    order.extend(second);
    order.truncate(MAX_ADDRESSES);
    order
}

/// Connects to the first address that answers. The next is dialled when one has failed, or has had its head start; the first connection
/// ends all other attempts.
///
/// # Errors
/// What became of the last address to fail, when all have.
pub(super) async fn race<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<(T, IpAddr), (SocketAddr, io::Error)>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.into_iter();
    let attempt = |address: SocketAddr| {
        let connecting = connect(address);
        async move { (address, connecting.await) }
    };
    let mut attempts = FuturesUnordered::new();
    let mut failure = (SocketAddr::from(([0, 0, 0, 0], 0)), io::Error::other("there is no address to dial"));
    let mut next_at = Instant::now();
    let mut more = true;
    loop {
        if more && (attempts.is_empty() || Instant::now() >= next_at) {
            match waiting.next() {
                Some(address) => attempts.push(attempt(address)),
                None => more = false,
            }
            next_at = Instant::now() + HEAD_START;
        }
        if attempts.is_empty() {
            return Err(failure);
        }
        tokio::select! {
            biased;
            Some((address, connected)) = attempts.next() => match connected {
                Ok(connection) => return Ok((connection, address.ip())),
                Err(error) => {
                    failure = (address, error);
                    next_at = Instant::now();
                }
            },
            () = time::sleep_until(next_at), if more => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_in_the_resolvers_order() {
        let given = addresses(&[
            "[2001:db8::1]:1",
            "[2001:db8::2]:1",
            "[2001:db8::1]:1",
            "192.0.2.1:1",
            "[2001:db8::3]:1",
            "192.0.2.2:1",
        ]);
        let wanted = addresses(&[
            "[2001:db8::1]:1",
            "192.0.2.1:1",
            "[2001:db8::2]:1",
            "192.0.2.2:1",
            "[2001:db8::3]:1",
        ]);
        assert_eq!(order(given), wanted);
        let many = (0..200).map(|n| SocketAddr::from(([192, 0, 2, n], 1)));
        assert_eq!(order(many).len(), MAX_ADDRESSES);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_answer_costs_its_head_start() {
        let dialled = Mutex::new(Vec::new());
        let began = Instant::now();
        let raced = race(addresses(&["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"]), |address| {
            dialled.lock().unwrap().push((address, began.elapsed().as_millis()));
            async move {
                match address.to_string().as_str() {
                    "192.0.2.2:1" => Err(io::Error::other("refused")),
                    "192.0.2.3:1" => Ok("third"),
                    _ => std::future::pending().await,
                }
            }
        });
        let (connection, address) = raced.await.unwrap();
        assert_eq!((connection, address), ("third", "192.0.2.3".parse().unwrap()));
        // The second failed at once, so the third did not wait.
        let times: Vec<u128> = dialled.into_inner().unwrap().into_iter().map(|(_, at)| at).collect();
        assert_eq!(times.len(), 3);
        assert!(times[0] == 0 && (250..260).contains(&times[1]) && times[2] - times[1] < 5, "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_address_may_still_win() {
        let raced = race(addresses(&["192.0.2.1:1", "192.0.2.2:1"]), |address| async move {
            let millis = if address.to_string().contains("2.1:") { 300 } else { 1_000 };
            time::sleep(Duration::from_millis(millis)).await;
            Ok(millis)
        });
        assert_eq!(raced.await.unwrap().0, 300);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_the_last_failure_is_told() {
        let raced = race(addresses(&["192.0.2.1:1", "192.0.2.2:1"]), |address| async move {
            Err::<(), _>(io::Error::other(address.to_string()))
        });
        let (address, error) = raced.await.unwrap_err();
        assert_eq!((address.to_string(), error.to_string()), ("192.0.2.2:1".into(), "192.0.2.2:1".into()));
        assert!(race(Vec::new(), |_| async { Ok(()) }).await.is_err());
    }
}
