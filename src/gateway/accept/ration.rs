//! How much of the gateway connections may take: all together, before they have proven anything, and each source.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at once, handshakes included.
const CONNECTIONS: usize = 10_000;
/// Connections at once that have not finished their handshake.
const UNFINISHED: usize = 4_096;
/// Of those, from one source. Half, because a whole company may sit behind one address: a source that opens
/// connections and says nothing can then slow others down, but never shut them out.
const UNFINISHED_OF_SOURCE: usize = UNFINISHED / 2;
/// HTTPS connections at once from one source, half of all for the same reason: a handshake proves nothing about who made it.
const VISITORS_OF_SOURCE: usize = CONNECTIONS / 2;

/// Hands out the right to be served.
#[derive(Clone)]
pub(super) struct Ration {
    connections: Arc<Semaphore>,
    unfinished: Arc<Semaphore>,
    sources: Arc<Sources>,
    visitors: Arc<Sources>,
}

/// The right of one connection to be there; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _connection: OwnedSemaphorePermit,
}

/// The right of one connection to shake hands; given back when dropped.
#[derive(Debug)]
pub(super) struct Handshaker {
    _unfinished: OwnedSemaphorePermit,
    _of_source: OfSource,
}

/// The right of one HTTPS connection to be served; given back when dropped.
#[derive(Debug)]
pub(super) struct Visitor {
    _of_source: OfSource,
}

impl Ration {
    pub(super) fn new() -> Self {
        Self::of(CONNECTIONS, UNFINISHED, UNFINISHED_OF_SOURCE, VISITORS_OF_SOURCE)
    }

    fn of(connections: usize, unfinished: usize, of_source: usize, visitors_of_source: usize) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(connections)),
            unfinished: Arc::new(Semaphore::new(unfinished)),
            sources: Arc::new(Sources { most: of_source, counts: Mutex::default() }),
            visitors: Arc::new(Sources { most: visitors_of_source, counts: Mutex::default() }),
        }
    }

    /// Waits until there is room for one more connection; the peers wait in the system's queue meanwhile.
    pub(super) async fn place(&self) -> Option<Place> {
        // The semaphores are never closed.
        Some(Place { _connection: Arc::clone(&self.connections).acquire_owned().await.ok()? })
    }

    /// `None`: this source has too many unfinished handshakes, or all together have.
    pub(super) fn handshaker(&self, source: IpAddr) -> Option<Handshaker> {
        let of_source = self.sources.enter(neighbourhood(source))?;
        let unfinished = Arc::clone(&self.unfinished).try_acquire_owned().ok()?;
        Some(Handshaker { _unfinished: unfinished, _of_source: of_source })
    }

    /// `None`: this source has too many HTTPS connections. Tunnels are not counted here: who holds one is known by name.
    pub(super) fn visitor(&self, source: IpAddr) -> Option<Visitor> {
        Some(Visitor { _of_source: self.visitors.enter(neighbourhood(source))? })
    }
}

/// Whom an address is counted with: IPv6 hosts own a whole /64 (RFC 6177).
pub(super) fn neighbourhood(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[derive(Debug)]
struct Sources {
    most: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

impl Sources {
    fn enter(self: &Arc<Self>, source: IpAddr) -> Option<OfSource> {
        let mut counts = self.lock();
        let count = counts.entry(source).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(OfSource { sources: Arc::clone(self), source })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct OfSource {
    sources: Arc<Sources>,
    source: IpAddr,
}

impl Drop for OfSource {
    fn drop(&mut self) {
        let mut counts = self.sources.lock();
        if let Some(count) = counts.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_cannot_take_all_handshakes_and_gives_back_what_it_took() {
        let ration = Ration::of(100, 4, 2, 100);
        let loud: IpAddr = "192.0.2.1".parse().unwrap();
        let quiet: IpAddr = "192.0.2.2".parse().unwrap();
        let held: Vec<_> = (0..2).map(|_| ration.handshaker(loud).unwrap()).collect();
        assert!(ration.handshaker(loud).is_none());
        assert!(ration.handshaker(quiet).is_some());
        drop(held);
        assert!(ration.handshaker(loud).is_some());
        assert!(ration.sources.lock().is_empty(), "sources that left are forgotten");
    }

    #[test]
    fn one_source_cannot_take_all_connections_by_shaking_hands() {
        let ration = Ration::of(100, 100, 100, 2);
        let loud: IpAddr = "192.0.2.1".parse().unwrap();
        let held: Vec<_> = (0..2).map(|_| ration.visitor(loud).unwrap()).collect();
        assert!(ration.visitor(loud).is_none());
        assert!(ration.visitor("192.0.2.2".parse().unwrap()).is_some());
        drop(held);
        assert!(ration.visitor(loud).is_some());
    }

    #[test]
    fn neighbours_are_counted_together() {
        let of = |text: &str| neighbourhood(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
