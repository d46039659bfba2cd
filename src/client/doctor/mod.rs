//! `hoopctl doctor`: looks at everything between this machine and a gateway, changes nothing, and never waits long.

mod chain;
mod clock;
mod finding;
mod gateway;
mod local;
mod proxy;
mod tools;
mod udp;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::timeout;
use url::Url;

pub use finding::{Finding, Verdict};

use super::{
    ClientError, Laptop, Settings, off_thread,
    profile::{Believed, Profile},
};
use crate::tls::Trust;

/// The names of the checks, in the order of the answer.
const ORDER: [&str; 12] =
    ["dns", "proxy", "tcp", "tls", "gateway", "clock", "udp", "mtu", "login", "keyring", "port", "tools"];

/// Those of them that are about the way to the gateway.
const NETWORK: [&str; 8] = ["dns", "proxy", "tcp", "tls", "gateway", "clock", "udp", "mtu"];

/// How long the profile's files may take: they can be on a server that does not answer.
const FILES: Duration = Duration::from_secs(4);
/// The end of every check, whatever it waits for; their own bounds are tighter.
const WHOLE: Duration = Duration::from_secs(12);

/// What of the process's surroundings is looked at.
pub struct Surroundings<'a> {
    /// An environment variable's value; empty ones count as unset.
    pub variable: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// The user's home folder, where tools keep their settings.
    pub home: Option<PathBuf>,
}

/// Whom the checks are about.
struct Patient {
    laptop: Arc<Laptop>,
    /// None where neither the command nor the profile names one.
    gateway: Option<Url>,
    /// The profile, where it is of this gateway.
    profile: Option<Profile>,
    /// By whom the gateway must be believed.
    trust: Trust,
    /// Why there is no usable profile, where one should be.
    damage: Option<ClientError>,
}

/// Every check, at the same time, within about 10 s whatever the network does. Works without a login and offline. Nothing is
/// renewed, rotated or repaired: of what it stores, nothing is left.
///
/// # Errors
/// [`Kind::Usage`](crate::client::Kind::Usage) when the profile's name or the gateway's address cannot be one.
pub async fn examine(settings: Settings, around: &Surroundings<'_>) -> Result<Vec<Finding>, ClientError> {
    let patient = Patient::read(Laptop::open(settings)?).await;
    let (network, login, keyring, port, tools) = tokio::join!(
        in_time(&NETWORK, network(&patient)),
        in_time(&["login"], async { vec![local::login(&patient).await] }),
        in_time(&["keyring"], async { vec![local::keyring(&patient).await] }),
        in_time(&["port"], local::port(&patient)),
        in_time(&["tools"], tools::look(around, patient.gateway.as_ref())),
    );
    let mut findings = [network, login, keyring, port, tools].concat();
    findings.sort_by_key(|one| ORDER.iter().position(|name| *name == one.check));
    Ok(findings)
}

/// The way to the gateway, over TCP and over UDP.
async fn network(patient: &Patient) -> Vec<Finding> {
    let Some(url) = &patient.gateway else {
        let skipped = |check| {
            Finding::skip(check, "no gateway is known here")
                .action("name one: hoopctl doctor https://GATEWAY")
        };
        return NETWORK.map(skipped).into();
    };
    let (dns, proxy) = tokio::join!(gateway::dns(url), proxy::look(patient, url));
    let (over_tcp, over_udp) =
        tokio::join!(gateway::over_tcp(patient, url, &dns, &proxy), udp::over_udp(patient, url, &dns));
    let mtu = udp::mtu(&over_udp, &over_tcp);
    let named = match (&proxy.through, dns.finding.status) {
        (Some(through), Verdict::Fail) => {
            Finding::skip("dns", format!("{}; {through} looks it up instead", dns.finding.detail))
        }
        _ => dns.finding,
    };
    let mut findings = vec![named, proxy.finding];
    findings.extend(over_tcp.findings);
    findings.extend([over_udp.finding, mtu]);
    findings
}

impl Patient {
    fn of(laptop: Arc<Laptop>) -> Self {
        let (profile, damage) = match Profile::load(&laptop.places) {
            Ok(profile) => (profile, None),
            Err(error) => (None, Some(error)),
        };
        let wanted = laptop.settings.gateway.clone();
        let gateway = wanted.or_else(|| profile.as_ref().map(|profile| profile.gateway.clone()));
        let profile = profile.filter(|profile| Some(&profile.gateway) == gateway.as_ref());
        let (trust, damage) = match profile.as_ref().map(|profile| profile.trust(&laptop.places)) {
            Some(Ok(trust)) => (trust, damage),
            Some(Err(error)) => (Trust::Platform, Some(error)),
            None => (Trust::Platform, damage),
        };
        Self { laptop, gateway, profile, trust, damage }
    }

    /// As [`of`](Self::of), with an end.
    async fn read(laptop: Arc<Laptop>) -> Self {
        let reading = Arc::clone(&laptop);
        let error = match within(FILES, off_thread(move || Ok(Self::of(reading)))).await {
            Some(Ok(patient)) => return patient,
            Some(Err(error)) => error,
            None => ClientError::failed("profile", "the profile's files could not be read in time")
                .remedy("see whether the file system that they are on answers"),
        };
        let gateway = laptop.settings.gateway.clone();
        Self { laptop, gateway, profile: None, trust: Trust::Platform, damage: Some(error) }
    }

    /// Whether this profile pins the gateway's CA.
    fn pins(&self) -> bool {
        self.profile.as_ref().is_some_and(|profile| profile.trust == Believed::Pinned)
    }
}

/// What the checks found, or that they did not end.
async fn in_time(checks: &[&'static str], work: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    let late = |check: &&'static str| {
        Finding::skip(check, format!("it did not end within {} s", WHOLE.as_secs()))
            .action("see whether the file systems and keyrings of this machine answer")
    };
    within(WHOLE, work).await.unwrap_or_else(|| checks.iter().map(late).collect())
}

/// The work's outcome, or that it took too long.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    timeout(limit, work).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{StoreChoice, testing};

    /// Statuses by check; a check must not be there twice with different ones.
    fn summary(findings: &[Finding]) -> Vec<(&str, Verdict)> {
        findings.iter().map(|one| (one.check, one.status)).collect()
    }

    fn of<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
        findings.iter().find(|one| one.check == check).unwrap()
    }

    fn bare(name: &str) -> Option<String> {
        let _ = name;
        None
    }

    #[tokio::test]
    async fn without_a_gateway_what_is_local_is_checked_and_the_rest_says_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let settings =
            Settings { credential_store: Some(StoreChoice::File), ..testing::settings(home.path()) };
        let around = Surroundings { variable: &bare, home: Some(home.path().to_owned()) };
        let findings = examine(settings, &around).await.unwrap();
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is left");
        let names: Vec<_> = findings.iter().map(|one| one.check).collect();
        assert_eq!(names, ORDER, "each check once, in order");
        for one in &findings {
            let local = ["keyring", "port", "tools"].contains(&one.check);
            assert_eq!(one.status, if local { Verdict::Pass } else { Verdict::Skip }, "{one:?}");
            assert!(local || one.action.is_some(), "{one:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_does_not_end_is_skipped_and_the_others_are_told() {
        let never = in_time(&["port", "tools"], std::future::pending());
        let (late, done) = tokio::join!(never, in_time(&["dns"], async { vec![Finding::pass("dns", "x")] }));
        assert_eq!(summary(&late), [("port", Verdict::Skip), ("tools", Verdict::Skip)]);
        assert_eq!(summary(&done), [("dns", Verdict::Pass)]);
    }

    #[tokio::test]
    async fn a_gateway_of_a_pinned_ca_passes_and_a_foreign_one_is_named() {
        let fake = testing::Fake::start_live().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::File);
        testing::log_in(&fake, &laptop, fake.fingerprint()).await.unwrap();
        let around = Surroundings { variable: &bare, home: None };
        let findings = examine(laptop.settings.clone(), &around).await.unwrap();
        for check in ["tcp", "tls", "gateway", "clock", "keyring", "port"] {
            assert_eq!(of(&findings, check).status, Verdict::Pass, "{:?}", of(&findings, check));
        }
        let tls = &of(&findings, "tls").detail;
        assert!(tls.contains("TLSv1.3") && tls.contains("X25519MLKEM768") && tls.contains("pinned"), "{tls}");
        // Nobody listens on UDP there: the rest works, and the way out is named.
        let udp = of(&findings, "udp");
        assert!(udp.status == Verdict::Fail && udp.action.as_deref().unwrap().contains("TCP"), "{udp:?}");
        assert_eq!(of(&findings, "mtu").status, Verdict::Pass, "{:?}", summary(&findings));

        // Somebody in between, with a CA of their own.
        let other = testing::Fake::start_live().await;
        let mut profile = Profile::load(&laptop.places).unwrap().unwrap();
        profile.gateway = other.url.clone();
        profile.store_facts(&laptop.places).unwrap();
        let settings = Settings { gateway: Some(other.url.clone()), ..laptop.settings.clone() };
        let findings = examine(settings, &around).await.unwrap();
        let tls = of(&findings, "tls");
        assert_eq!(tls.status, Verdict::Fail);
        assert!(tls.detail.contains("not the one this profile pins"), "{tls:?}");
        let root = crate::tls::fingerprint_text(&crate::tls::fingerprint(&other.ca.certificate()));
        assert!(tls.detail.contains(&root), "the foreign root is named: {tls:?}");
        assert_eq!(of(&findings, "gateway").status, Verdict::Skip);
        assert_eq!(other.state.lock().unwrap().requests, 0, "nothing was sent to it");
    }

    #[tokio::test]
    async fn a_clock_that_is_wrong_is_said_with_its_distance() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::File);
        testing::log_in(&fake, &laptop, fake.fingerprint()).await.unwrap();
        let clock = {
            let now = crate::clock::Clock::system().now();
            crate::clock::Clock::manual(now + Duration::from_secs(7230)).0
        };
        let settings = Settings { clock, ..laptop.settings.clone() };
        let around = Surroundings { variable: &bare, home: None };
        let findings = examine(settings, &around).await.unwrap();
        let clock = of(&findings, "clock");
        assert_eq!(clock.status, Verdict::Fail, "{clock:?}");
        assert!(clock.detail.contains("ahead") && clock.detail.contains("2 h"), "{clock:?}");
    }

    #[tokio::test]
    async fn a_gateway_that_is_not_there_fails_at_tcp_and_the_rest_is_skipped() {
        let port = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let home = tempfile::tempdir().unwrap();
        let settings = Settings {
            gateway: Some(Url::parse(&format!("https://127.0.0.1:{port}")).unwrap()),
            credential_store: Some(StoreChoice::File),
            ..testing::settings(home.path())
        };
        let around = Surroundings { variable: &bare, home: None };
        let findings = examine(settings, &around).await.unwrap();
        assert_eq!(of(&findings, "tcp").status, Verdict::Fail);
        for check in ["dns", "tls", "gateway", "clock", "mtu"] {
            assert_eq!(of(&findings, check).status, Verdict::Skip, "{:?}", of(&findings, check));
        }
    }
}
