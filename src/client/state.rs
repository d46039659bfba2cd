//! What a profile remembers between runs: each model's port, and the carrier that last worked.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    client::{Certificate, profile::Places},
    clock, secret,
    tls::CertificateDer,
    tunnel::Transport,
};

/// Stable ports begin here; above the ports of well-known services, below those that systems hand out.
pub(super) const FIRST_PORT: u16 = 20_000;
/// So many ports are there.
pub(super) const PORTS: u16 = 10_000;
/// So many models' ports are remembered.
const MAX_REMEMBERED: usize = 1_000;
/// The longest state file that is read, in bytes.
const MAX_STATE: u64 = 1024 * 1024;
/// For how long TCP goes first after it won: networks that drop UDP are left again.
const TCP_MEMORY: Duration = Duration::from_hours(1);

/// `ports.json`: model → port.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Ports(BTreeMap<String, u16>);

impl Ports {
    /// The remembered ports; a damaged file is an empty one, since every port can be computed anew.
    pub(super) fn load(places: &Places) -> Self {
        read(&places.state("ports.json")).unwrap_or_default()
    }

    /// The port of a model: the remembered one, else one computed from profile and model that no other model has.
    pub(super) fn of(&self, profile: &str, model: &str) -> u16 {
        if let Some(port) = self.0.get(model) {
            return *port;
        }
        let first = computed(profile, model);
        (0..PORTS)
            .map(|step| after(first, step))
            .find(|port| !self.0.values().any(|taken| taken == port))
            .unwrap_or(first)
    }

    /// Every model with its port, by name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, u16)> {
        self.0.iter().map(|(model, port)| (model.as_str(), *port))
    }

    /// Whether another model's port.
    pub(super) fn belongs_to_another(&self, model: &str, port: u16) -> bool {
        self.0.iter().any(|(name, taken)| name != model && *taken == port)
    }

    /// Remembers the first port that a model really got; later ones are stand-ins.
    pub(super) fn remember(places: &Places, model: &str, port: u16) -> std::io::Result<()> {
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(places.state("ports.lock"))?;
        // Held for two small files' time, by whoever else is opening a port right now.
        lock.lock()?;
        let mut ports = Self::load(places);
        if ports.0.contains_key(model) || ports.0.len() >= MAX_REMEMBERED {
            return Ok(());
        }
        ports.0.insert(model.to_owned(), port);
        write(&places.state("ports.json"), &ports)
    }
}

/// The port `step` after `first`, within the range.
pub(super) fn after(first: u16, step: u16) -> u16 {
    FIRST_PORT + (first.saturating_sub(FIRST_PORT).wrapping_add(step)) % PORTS
}

fn computed(profile: &str, model: &str) -> u16 {
    let digest = digest::digest(&digest::SHA256, format!("{profile}\0{model}").as_bytes());
    let number = digest.as_ref().iter().take(4).fold(0_u32, |n, byte| (n << 8) | u32::from(*byte));
    FIRST_PORT + u16::try_from(number % u32::from(PORTS)).unwrap_or_default()
}

/// `transport.json`: who won last.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Winner {
    gateway: String,
    transport: Transport,
    at: String,
    /// What the gateway showed; absent in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<Certificate>,
}

/// The carrier to try first.
pub(super) fn preferred(places: &Places, gateway: &str, now: SystemTime) -> Option<Transport> {
    let winner: Winner = read(&places.state("transport.json"))?;
    let age = now.duration_since(clock::parse_rfc3339(&winner.at)?).unwrap_or_default();
    let fresh = winner.transport == Transport::Quic || age < TCP_MEMORY;
    (winner.gateway == gateway && fresh).then_some(winner.transport)
}

/// The carrier that won last, however long ago.
pub(super) fn last_transport(places: &Places, gateway: &str) -> Option<Transport> {
    let winner: Winner = read(&places.state("transport.json"))?;
    (winner.gateway == gateway).then_some(winner.transport)
}

/// The certificate that the gateway showed last, however long ago.
pub(super) fn last_certificate(places: &Places, gateway: &str) -> Option<Certificate> {
    let winner: Winner = read(&places.state("transport.json"))?;
    winner.certificate.filter(|_| winner.gateway == gateway)
}

/// Remembers the carrier that won, and the certificate on it; a laptop that cannot remember still works.
pub(super) fn remember_transport(
    places: &Places,
    gateway: &str,
    transport: Transport,
    shown: Option<&CertificateDer<'_>>,
    now: SystemTime,
) {
    let certificate = shown.and_then(|shown| Certificate::of(shown, Some(now)));
    let winner = Winner { gateway: gateway.to_owned(), transport, at: clock::rfc3339(now), certificate };
    if let Err(error) = write(&places.state("transport.json"), &winner) {
        tracing::debug!(%error, "the winning transport could not be remembered");
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    if fs::metadata(path).ok()?.len() > MAX_STATE {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write<T: Serialize>(path: &Path, value: &T) -> std::io::Result<()> {
    secret::write_private(path, &serde_json::to_vec(value)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::client::testing;

    #[test]
    fn a_models_port_is_the_same_every_time_and_its_own() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::of(&testing::settings(home.path())).unwrap();
        places.create().unwrap();
        let port = Ports::load(&places).of("default", "llama");
        assert_eq!(Ports::load(&places).of("default", "llama"), port);
        assert_ne!(Ports::load(&places).of("work", "llama"), port, "profiles do not meet");
        Ports::remember(&places, "other", port).unwrap();
        assert_eq!(Ports::load(&places).of("default", "llama"), after(port, 1), "other has it");
        assert!(Ports::load(&places).belongs_to_another("llama", port));
        Ports::remember(&places, "llama", 20_007).unwrap();
        Ports::remember(&places, "llama", 20_008).unwrap();
        assert_eq!(Ports::load(&places).of("default", "llama"), 20_007, "the first stays");
    }

    #[test]
    fn a_winner_is_remembered_per_gateway_and_tcp_not_for_ever() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::of(&testing::settings(home.path())).unwrap();
        places.create().unwrap();
        let now = testing::now();
        assert_eq!(preferred(&places, "https://a/", now), None);
        let shown = testing::Ca::new().certificate();
        remember_transport(&places, "https://a/", Transport::Tcp, Some(&shown), now);
        let seen = last_certificate(&places, "https://a/").unwrap();
        assert_eq!(seen.seen_at.as_deref(), Some(clock::rfc3339(now).as_str()));
        assert_eq!(last_certificate(&places, "https://b/"), None);
        assert_eq!(preferred(&places, "https://a/", now), Some(Transport::Tcp));
        assert_eq!(preferred(&places, "https://b/", now), None);
        assert_eq!(preferred(&places, "https://a/", now + TCP_MEMORY), None);
        assert_eq!(last_transport(&places, "https://a/"), Some(Transport::Tcp));
    }

    proptest! {
        #[test]
        fn every_port_is_in_range(profile in ".{0,20}", model in ".{0,20}", step in any::<u16>()) {
            let range = FIRST_PORT..FIRST_PORT + PORTS;
            let port = computed(&profile, &model);
            prop_assert!(range.contains(&port) && range.contains(&after(port, step)));
        }
    }
}
