//! The way to the gateway over UDP: a QUIC handshake, and how large its packets may be.

use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use tokio::time::{Instant, sleep};
use url::Url;

use super::{
    Finding, Patient,
    gateway::{Dns, OverTcp},
    within,
};
use crate::{
    client::{ClientError, credential::Held, https, off_thread},
    tls::{HotKey, Identity},
    tunnel::{Connection, Dialer, Proxies, Transport, TunnelError},
};

/// How long the handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(4);
/// How long larger packets are tried on a connection that stays, and how often one looks.
const DISCOVERY: (Duration, Duration) = (Duration::from_millis(1500), Duration::from_millis(50));
/// As long as nothing larger is known to pass.
const LEAST_MTU: u16 = 1200;
/// What discovery ends with where nothing is in the way.
const MOST_MTU: u16 = 1452;
/// How long a vault may take to answer.
const VAULT: Duration = Duration::from_secs(2);

/// What became of the way over UDP.
pub(super) struct OverUdp {
    pub(super) finding: Finding,
    /// The largest packets that passed, in bytes, and whether larger ones were tried.
    mtu: Option<(u16, bool)>,
}

/// Shakes hands over QUIC, with the login's certificate where there is one that is still valid.
pub(super) async fn over_udp(patient: &Patient, gateway: &Url, dns: &Dns) -> OverUdp {
    let ended = |finding| OverUdp { finding, mtu: None };
    if patient.laptop.settings.transport == Some(Transport::Tcp) {
        return ended(Finding::skip("udp", "the settings ask for TCP alone (transport = tcp)"));
    }
    if dns.addresses.is_empty() {
        return ended(Finding::skip("udp", "there is no address to ask"));
    }
    let (key, own) = match key(patient).await {
        Ok(key) => key,
        Err(error) => return ended(Finding::skip("udp", error.message)),
    };
    let (host, port) = https::address(gateway);
    if let Err(error) = patient.trust.verifier() {
        return ended(Finding::skip("udp", error.to_string()));
    }
    let dialer = Dialer { host, port, trust: patient.trust.clone(), key, proxies: Proxies::default() };
    let start = Instant::now();
    let authority = https::authority(gateway);
    match within(HANDSHAKE, dialer.dial_only(Transport::Quic)).await {
        Some(Ok(connection)) => {
            let group = connection.handshake().group.clone();
            let took = start.elapsed().as_millis();
            let mtu =
                if own { discover(&connection).await } else { connection.path_mtu().unwrap_or(LEAST_MTU) };
            let detail = format!("{authority} shook hands over QUIC in {took} ms ({group})");
            OverUdp { finding: Finding::pass("udp", detail), mtu: Some((mtu, own)) }
        }
        // Whoever judges our certificate, or is judged by us, has answered: UDP passes.
        Some(Err(TunnelError::Trust(_) | TunnelError::Credential(_))) => OverUdp {
            finding: Finding::pass(
                "udp",
                format!("{authority} answers over QUIC; whether it is believed, see tls"),
            ),
            mtu: Some((LEAST_MTU, false)),
        },
        Some(Err(error)) => ended(blocked(&authority, &error.to_string())),
        None => ended(blocked(&authority, &format!("no answer within {} s", HANDSHAKE.as_secs()))),
    }
}

fn blocked(authority: &str, why: &str) -> Finding {
    Finding::fail(
        "udp",
        format!("no QUIC with {authority}: {why}"),
        format!(
            "ask for UDP to {authority} to be let through; until then everything goes over TCP, where a changed network costs the streams in flight"
        ),
    )
}

/// What is known of the size of packets, from both ways.
pub(super) fn mtu(udp: &OverUdp, tcp: &OverTcp) -> Finding {
    match udp.mtu {
        Some((most, true)) if most > LEAST_MTU => {
            Finding::pass("mtu", format!("packets of {most} bytes pass (QUIC's path MTU discovery)"))
        }
        Some((least, true)) => Finding::pass(
            "mtu",
            format!(
                "packets of {least} bytes pass and larger ones were not confirmed; all works, with more packets"
            ),
        ),
        Some((least, false)) => Finding::pass(
            "mtu",
            format!(
                "packets of {least} bytes pass, the least that QUIC needs; larger ones are only tried while logged in"
            ),
        ),
        None if tcp.shook_hands => {
            Finding::pass("mtu", "full-size packets pass over TCP: the TLS handshake needs several each way")
        }
        None if tcp.hung => Finding::fail(
            "mtu",
            "small packets pass and large ones do not: TCP connects, and TLS's first packets get no answer",
            "lower the MTU of the VPN's or tunnel's interface, for instance: ip link set dev IFACE mtu 1280",
        ),
        None if tcp.connected => Finding::skip("mtu", "only small packets were exchanged"),
        None => Finding::skip("mtu", "nothing passes that could be measured"),
    }
}

/// The key to dial with, and whether the gateway will know it: the login's own, or one that is made up for the handshake alone.
async fn key(patient: &Patient) -> Result<(HotKey, bool), ClientError> {
    let laptop = std::sync::Arc::clone(&patient.laptop);
    let now = laptop.settings.clock.now();
    let load = off_thread(move || Held::load(&laptop));
    if let (Some(_), Some(Ok(held))) = (&patient.profile, within(VAULT, load).await)
        && held.usable(now, None)
        && let Ok(identity) = held.identity()
    {
        return Ok((HotKey::new(identity), true));
    }
    let failed = |why: String| ClientError::failed("internal", format!("no key could be made: {why}"));
    let key = KeyPair::generate().map_err(|e| failed(e.to_string()))?;
    let certificate = CertificateParams::default().self_signed(&key).map_err(|e| failed(e.to_string()))?;
    let identity =
        Identity::from_pem(&certificate.pem(), &key.serialize_pem()).map_err(|e| failed(e.to_string()))?;
    Ok((HotKey::new(identity), false))
}

/// Waits until no larger packets are to be tried.
async fn discover(connection: &Connection) -> u16 {
    let end = Instant::now() + DISCOVERY.0;
    loop {
        let most = connection.path_mtu().unwrap_or(LEAST_MTU);
        if most >= MOST_MTU || Instant::now() >= end {
            return most;
        }
        sleep(DISCOVERY.1).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::doctor::Verdict;

    #[test]
    fn a_black_hole_is_told_from_a_closed_door() {
        let udp = |mtu| OverUdp { finding: Finding::skip("udp", ""), mtu };
        let tcp =
            |connected, shook_hands, hung| OverTcp { findings: Vec::new(), connected, shook_hands, hung };
        for (udp, tcp, verdict, words) in [
            (udp(Some((1452, true))), tcp(true, true, false), Verdict::Pass, "1452"),
            (udp(Some((1200, true))), tcp(true, true, false), Verdict::Pass, "larger ones"),
            (udp(Some((1200, false))), tcp(false, false, false), Verdict::Pass, "logged in"),
            (udp(None), tcp(true, true, false), Verdict::Pass, "TCP"),
            (udp(None), tcp(true, false, true), Verdict::Fail, "large ones do not"),
            (udp(None), tcp(true, false, false), Verdict::Skip, "small"),
            (udp(None), tcp(false, false, false), Verdict::Skip, "nothing"),
        ] {
            let finding = mtu(&udp, &tcp);
            assert_eq!(finding.status, verdict, "{finding:?}");
            assert!(finding.detail.contains(words), "{words} {finding:?}");
        }
    }
}
