//! What is this machine's own: the login, the place it is kept in, the ports of models.

use std::{fs, net::Ipv4Addr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpStream};

use super::{Finding, Patient, within};
use crate::{
    client::{
        ClientError, Kind, StoreChoice, credential::Held, https, link, off_thread, port, state::Ports,
        vault::Vault,
    },
    tls::HotKey,
    tunnel::Dialer,
};

/// How long a vault may take, which may be waiting for a person to unlock it.
const VAULT: Duration = Duration::from_secs(4);
/// How long the gateway may take to say welcome.
const WELCOME: Duration = Duration::from_secs(5);
/// How long a loopback connection may take.
const LOOPBACK: Duration = Duration::from_secs(2);
/// How long the profile's files may take.
const FILES: Duration = Duration::from_secs(4);
/// Remembered ports that are tried.
const MAX_PORTS: usize = 50;

/// The login, and whether the gateway still welcomes it. Nothing is renewed: a renewal that is cut off would cost the login.
pub(super) async fn login(patient: &Patient) -> Finding {
    if let Some(error) = &patient.damage {
        return failed("login", error);
    }
    let laptop = Arc::clone(&patient.laptop);
    let Some(status) = within(VAULT, off_thread(move || laptop.status())).await else {
        return Finding::skip("login", "the credential store did not answer in time, see keyring");
    };
    let status = match status {
        Ok(status) => status,
        Err(error) if error.kind == Kind::LoginNeeded && !was_logged_in(patient) => {
            let command = error.remedy.unwrap_or_else(|| "hoopctl login".to_owned());
            return Finding::skip("login", error.message).action(command);
        }
        Err(error) => return failed("login", &error),
    };
    let until = match status.session_expires_at.as_str() {
        "" => String::new(),
        end => format!(" until {end}"),
    };
    let who = format!("{} is logged in{until}", status.user);
    match within(WELCOME, welcomed(patient)).await {
        Some(Ok(Some(carrier))) => {
            Finding::pass("login", format!("{who}; the gateway says welcome over {carrier}"))
        }
        Some(Ok(None)) => {
            Finding::pass("login", format!("{who}; its certificate is renewed at the next use"))
        }
        Some(Err(error)) if matches!(error.kind, Kind::LoginNeeded | Kind::Denied) => {
            let detail = format!("{who}, and the gateway does not accept it: {}", error.message);
            Finding::fail("login", detail, error.remedy.unwrap_or_else(|| "hoopctl login".to_owned()))
        }
        Some(Err(_)) | None => Finding::pass("login", format!("{who}; the gateway could not be asked")),
    }
}

fn was_logged_in(patient: &Patient) -> bool {
    patient.profile.as_ref().is_some_and(|profile| profile.who.is_some())
}

/// The carrier that a gateway said welcome over; `None` where the certificate has to be renewed first.
async fn welcomed(patient: &Patient) -> Result<Option<String>, ClientError> {
    let settings = &patient.laptop.settings;
    let (laptop, now) = (Arc::clone(&patient.laptop), settings.clock.now());
    let held = off_thread(move || Held::load(&laptop)).await?;
    if !held.usable(now, None) {
        return Ok(None);
    }
    let (host, port) = https::address(&held.profile.gateway);
    let dialer = Dialer {
        host,
        port,
        trust: held.trust.clone(),
        key: HotKey::new(held.identity()?),
        proxies: settings.proxies.clone(),
    };
    let connection = match settings.transport {
        Some(only) => dialer.dial_only(only).await?,
        None => dialer.dial(None).await?,
    };
    let carrier = connection.transport().to_string();
    link::welcomed(connection, now).await?;
    Ok(Some(carrier))
}

/// Keeps a probe, reads it back and removes it, in the place that holds the login or would.
pub(super) async fn keyring(patient: &Patient) -> Finding {
    let choice = patient.laptop.settings.credential_store;
    let existing = match (choice, &patient.profile) {
        (None, Some(profile)) => Some(patient.laptop.vault(profile)),
        _ => None,
    };
    let (places, memory) = (patient.laptop.places.clone(), patient.laptop.memory.clone());
    let work = off_thread(move || {
        let missing = places.missing();
        let backend = match existing {
            Some(vault) => vault.works().map(|()| vault.backend),
            None => Vault::choose(choice, &places, &memory).map(|vault| vault.backend),
        };
        for folder in missing {
            // One that was not made, or that somebody else has begun to use, stays as it is.
            let _ = fs::remove_dir(folder);
        }
        backend
    });
    match within(VAULT, work).await {
        Some(Ok(_)) if choice == Some(StoreChoice::Memory) => {
            Finding::pass("keyring", "memory, as asked: a login ends with the command that made it")
        }
        Some(Ok(backend)) => {
            Finding::pass("keyring", format!("{backend}: a probe was kept, read back and removed"))
        }
        Some(Err(error)) => failed("keyring", &error),
        None => Finding::fail(
            "keyring",
            format!("no answer within {} s: it may be waiting for somebody to unlock it", VAULT.as_secs()),
            "unlock your keyring, or keep the login in a file that only you can read: --credential-store file",
        ),
    }
}

/// The ports of this profile's models: free, or served by hoopctl itself.
pub(super) async fn port(patient: &Patient) -> Vec<Finding> {
    let slow = || Err(std::io::Error::other(format!("no connection within {} s", LOOPBACK.as_secs())));
    if let Err(error) = within(LOOPBACK, loopback()).await.unwrap_or_else(slow) {
        let action =
            "let programs of this machine talk to 127.0.0.1: see its firewall, or the sandbox this runs in";
        return vec![Finding::fail("port", format!("a loopback port cannot be used: {error}"), action)];
    }
    let (free, served, mut findings) = match within(FILES, remembered(patient)).await {
        Some(Ok(looked)) => looked,
        Some(Err(error)) => return vec![failed("port", &error)],
        None => return vec![Finding::skip("port", "the profile's folder did not answer in time")],
    };
    if findings.is_empty() {
        findings.push(Finding::pass(
            "port",
            match (free, served) {
                (0, 0) => {
                    "a loopback port can be opened; each model gets one of its own, the same every time"
                        .to_owned()
                }
                _ => format!("ports of models: {free} free, {served} served by hoopctl"),
            },
        ));
    }
    findings
}

/// How many remembered ports are free, how many hoopctl serves, and what is to be said of the others. Nothing here waits for the network,
/// but folders can be far away.
async fn remembered(patient: &Patient) -> Result<(u32, u32, Vec<Finding>), ClientError> {
    let places = patient.laptop.places.clone();
    off_thread(move || {
        let (mut free, mut served, mut findings) = (0, 0, Vec::new());
        for (model, number) in Ports::load(&places).all().take(MAX_PORTS) {
            if std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                free += 1;
                continue;
            }
            let holder = port::holder_of(number);
            if port::is_ours(&places, number)
                || holder.as_deref().is_some_and(|who| who.ends_with("(hoopctl)"))
            {
                served += 1;
                continue;
            }
            findings.push(taken(model, number, holder));
        }
        Ok((free, served, findings))
    })
    .await
}

/// Who has the port decides whether it is amiss: it may be the same user's hoopctl, of another profile.
fn taken(model: &str, number: u16, holder: Option<String>) -> Finding {
    let what = format!("port {number}, which is {model:?}'s every time, is taken");
    let instead = "connect takes the next free one instead";
    let action = "end that program, or choose the port that tools are told: hoopctl connect MODEL --port N";
    match holder {
        Some(who) => Finding::fail("port", format!("{what} by {who}; {instead}"), action),
        None => {
            let unknown = "another user's program, another profile's hoopctl, or one that lets nobody look";
            Finding::skip("port", format!("{what}, and it cannot be told by whom: {unknown}; {instead}"))
                .action(action)
        }
    }
}

/// One connection from this process to itself.
async fn loopback() -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    near?;
    far.map(drop)
}

fn failed(check: &'static str, error: &ClientError) -> Finding {
    let action = error.remedy.clone().unwrap_or_else(|| "run it again with -v for more".to_owned());
    Finding::fail(check, error.message.clone(), action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Laptop, Settings, doctor::Verdict, testing};

    #[tokio::test]
    async fn a_models_port_that_somebody_else_has_is_said() {
        let home = tempfile::tempdir().unwrap();
        let settings =
            Settings { credential_store: Some(StoreChoice::File), ..testing::settings(home.path()) };
        let laptop = Laptop::open(settings).unwrap();
        laptop.places.create().unwrap();
        let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let number = held.local_addr().unwrap().port();
        Ports::remember(&laptop.places, "llama", number).unwrap();
        let patient = Patient::of(laptop);
        let found = port(&patient).await;
        // Only Linux says whose it is.
        let status = if cfg!(target_os = "linux") { Verdict::Fail } else { Verdict::Skip };
        assert_eq!((found.len(), found[0].status), (1, status), "{found:?}");
        assert!(found[0].detail.contains(&number.to_string()) && found[0].detail.contains("llama"));
        drop(held);
        assert_eq!(port(&patient).await[0].status, Verdict::Pass);
    }

    #[tokio::test]
    async fn a_port_that_hoopctl_serves_is_fine_and_one_of_nobody_known_is_not_judged() {
        let fake = testing::Fake::start_live().await;
        let _leg = fake.open_leg();
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::File);
        testing::log_in(&fake, &laptop, fake.fingerprint()).await.unwrap();
        let link = laptop.link().await.unwrap();
        let opening = crate::client::Opening::Port(None);
        let stop = tokio_util::sync::CancellationToken::new();
        let door = crate::client::open_port(&link, &laptop, "llama", opening, None, stop).await.unwrap();
        let patient = Patient::of(Arc::clone(&laptop));
        let found = port(&patient).await;
        assert_eq!((found.len(), found[0].status), (1, Verdict::Pass), "{found:?}");
        assert!(found[0].detail.contains("1 served"), "{found:?}");
        drop(door);
        let unknown = taken("llama", 20_001, None);
        assert!(unknown.status == Verdict::Skip && unknown.action.is_some(), "{unknown:?}");
        assert_eq!(taken("llama", 20_001, Some("process 1 (x)".to_owned())).status, Verdict::Fail);
    }

    #[tokio::test]
    async fn a_store_that_does_not_work_is_said_and_one_that_does_is_left_as_it_was() {
        let home = tempfile::tempdir().unwrap();
        let settings =
            Settings { credential_store: Some(StoreChoice::File), ..testing::settings(home.path()) };
        let patient = Patient::of(Laptop::open(settings.clone()).unwrap());
        assert_eq!(keyring(&patient).await.status, Verdict::Pass);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "neither a probe nor a folder is left");
        patient.laptop.places.create().unwrap();
        assert_eq!(keyring(&patient).await.status, Verdict::Pass);
        assert_eq!(fs::read_dir(patient.laptop.places.state("")).unwrap().count(), 0, "what was there stays");
        fs::remove_dir_all(home.path().join("state")).unwrap();
        fs::write(home.path().join("state"), "not a folder").unwrap();
        let found = keyring(&patient).await;
        assert!(found.status == Verdict::Fail && found.action.is_some(), "{found:?}");
    }
}
