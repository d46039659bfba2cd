//! Login and logout: believe the gateway, prove who is here, have a key certified.

mod answer;
mod browser;
mod callback;
mod device;
mod first_trust;
mod machine;
mod page;
mod way;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use url::Url;

pub use machine::{Machine, detect};
pub use way::{Here, Way};

use crate::{
    client::{
        ClientError, Laptop, LoggedOut,
        credential::{self, FreshKey, Held},
        https::Https,
        oauth::{self, Granted},
        off_thread,
        profile::{self, Believed, Made, Profile},
        vault::{Backend, Secrets, Vault},
    },
    secret::ExposeSecret,
    tls::Trust,
    wire::api::Discovery,
};

/// How the gateway is to be believed at first login.
#[derive(Clone, Debug)]
pub enum FirstTrust {
    /// Roots already in the profile, else the platform's, else ask.
    Known,
    /// `sha256:` and 64 hex digits: the CA certificate with this fingerprint, which the gateway presents.
    Fingerprint(String),
    /// The certificates of a PEM file.
    File(PathBuf),
}

/// How to log in.
#[derive(Clone, Debug)]
pub enum Method {
    /// As a person, in a browser here or elsewhere.
    Person(Person),
    /// With what this process's surroundings give it. No browser is ever opened.
    Machine(Machine),
}

/// A person who logs in.
#[derive(Clone, Debug)]
pub struct Person {
    /// The way asked for; `None`: the profile's, else what the surroundings allow.
    pub asked: Option<Way>,
    /// The loopback port, 1–65535; `None`: any free one.
    pub callback_port: Option<u16>,
    /// Whom to sign in with, as `gateway.toml` names it; `None`: the gateway asks when there are several.
    pub provider: Option<String>,
    /// Where this runs.
    pub here: Here,
    /// What the browser elsewhere is told that wants to be logged in; at most 80 characters are shown.
    pub name: String,
}

/// A code that waits for a browser elsewhere to confirm it.
#[derive(Clone, Debug)]
pub struct DeviceCode {
    /// Where the code is entered.
    pub url: Url,
    /// The same with the code in it.
    pub complete: Option<Url>,
    /// To type, or to compare.
    pub code: String,
    /// How long it lasts.
    pub life: Duration,
}

/// What login says to the person; the CLI implements it.
pub trait Talk: Send + Sync {
    /// "Open this address". `opened`: a browser seems to have done so.
    fn visit(&self, url: &Url, opened: bool);
    /// "Open this address anywhere, and confirm this code".
    fn code(&self, shown: &DeviceCode) {
        self.note(&format!("visit {} and enter {}", shown.url, shown.code));
    }
    /// Asks for the address that a browser elsewhere ended on; lines as they are typed. `None` where nobody can type.
    fn pasted(&self) -> Option<mpsc::UnboundedReceiver<String>> {
        None
    }
    /// Shows that something takes its time, until what is returned is dropped.
    fn waiting<'t>(&'t self, _what: &str) -> Box<dyn Send + 't> {
        Box::new(())
    }
    /// One line of what is going on.
    fn note(&self, line: &str);
    /// Shows an unknown CA's fingerprint and asks; always false without a terminal. May block.
    fn trust(&self, gateway: &Url, fingerprint: &str) -> bool;
}

/// Logs in; afterwards profile and vault hold the login.
pub(super) async fn login(
    laptop: &Arc<Laptop>,
    trust: FirstTrust,
    method: Method,
    talk: &dyn Talk,
) -> Result<(), ClientError> {
    if let Method::Person(person) = &method {
        way::somebody_is_here(person.asked, &person.here)?;
    }
    let before = match Profile::load(&laptop.places) {
        // A damaged profile is what a login with an address repairs; whatever it pinned is pinned no more.
        Err(_) if laptop.settings.gateway.is_some() => None,
        read => read?,
    };
    let gateway = gateway(laptop, before.as_ref())?;
    let vault = choose_vault(laptop).await?;
    if vault.backend == Backend::KernelKeyring {
        talk.note("no desktop keyring answers here: the login is kept sealed, and ends with the next reboot");
    }
    let known = before.as_ref().filter(|profile| profile.gateway == gateway);
    let trust = first_trust::establish(laptop, &gateway, known, trust, talk).await?;
    let https = Https::new(&gateway, &trust, &laptop.settings.proxies)?;
    let discovery = https.discover().await?;
    let remembered = known.and_then(|profile| profile.login.clone());
    let profile = Profile {
        schema: 1,
        gateway,
        trust: Believed::Platform,
        roots_version: None,
        credential_store: vault.backend,
        login: None,
        who: None,
    };
    let visit = Visit { laptop, https: &https, discovery: &discovery, vault: &vault, profile, trust };
    match method {
        Method::Person(person) => visit.receive(&person, remembered, talk).await?,
        Method::Machine(machine) => {
            let granted = machine.grant(&https, &discovery, &laptop.settings.clock).await?;
            let profile = Profile { login: Some(Made::by_machine(remembered.as_ref())), ..visit.profile };
            Visit { profile, ..visit }.complete(granted).await?;
        }
    }
    if let Some(old) = before.filter(|old| old.credential_store != vault.backend) {
        forget_elsewhere(laptop, &old).await;
    }
    Ok(())
}

/// Logs in with the machine credentials of the settings, where a login is missing or over. It is kept in this process
/// alone, unless an earlier one is in a store or the settings name one. The caller holds the lock.
pub(super) async fn by_machine(laptop: &Arc<Laptop>) -> Result<Held, ClientError> {
    let Some(machine) = &laptop.settings.machine else {
        return Err(ClientError::login_needed("there are no machine credentials here"));
    };
    let before = match laptop.own() {
        Some((profile, _)) => Some(profile),
        None => Profile::load(&laptop.places)?,
    };
    let gateway = gateway(laptop, before.as_ref())?;
    let known = before.filter(|profile| profile.gateway == gateway);
    let trust = match (laptop.own(), &known) {
        (Some((_, trust)), _) => trust,
        (None, Some(profile)) => profile.trust(&laptop.places)?,
        (None, None) => Trust::Platform,
    };
    let https = Https::new(&gateway, &trust, &laptop.settings.proxies)?;
    let discovery = https.discover().await?;
    let granted = machine.grant(&https, &discovery, &laptop.settings.clock).await?;
    tracing::info!(%machine, "logged in with machine credentials");
    let fresh = FreshKey::make()?;
    let credential = oauth::certify(&https, &discovery, &granted.access_token, &fresh.csr).await?;
    let stored = known.filter(|profile| profile.by_machine() && profile.who.is_some() && !laptop.is_own());
    let profile = match stored {
        Some(profile) => profile,
        None => Profile {
            schema: 1,
            gateway,
            trust: Believed::Platform,
            roots_version: None,
            credential_store: Backend::Memory,
            login: Some(Made::by_machine(None)),
            who: None,
        },
    };
    let vault = laptop.vault(&profile);
    if vault.backend == Backend::Memory {
        laptop.keep_own(profile.clone(), trust.clone());
    }
    credential::adopt(laptop, &vault, profile, trust, None, &fresh, &credential).await
}

/// A login under way: the gateway is believed, the person not yet known.
struct Visit<'a> {
    laptop: &'a Arc<Laptop>,
    https: &'a Https,
    discovery: &'a Discovery,
    vault: &'a Vault,
    profile: Profile,
    trust: Trust,
}

impl Visit<'_> {
    /// Has a person log in, the way that fits.
    async fn receive(
        mut self,
        person: &Person,
        remembered: Option<Made>,
        talk: &dyn Talk,
    ) -> Result<(), ClientError> {
        let provider = person.provider.as_deref();
        provider.map_or(Ok(()), |name| known_provider(self.discovery, name))?;
        let wanted = remembered.as_ref().and_then(Made::wanted).and_then(Way::named);
        let wishes = way::Wishes {
            asked: person.asked,
            loopback: person.callback_port.is_some(),
            remembered: wanted,
            device: self.discovery.device_authorization_endpoint.is_some(),
        };
        let choice = way::choose(&wishes, &person.here)?;
        talk.note(&choice.line());
        let way = choice.way.name();
        self.profile.login =
            Some(if choice.asked { Made::asked(way) } else { Made::fitting(way, remembered.as_ref()) });
        if choice.way == Way::Device {
            return device::login(self, provider, &person.name, talk).await;
        }
        let trip = browser::Trip {
            callback_port: person.callback_port,
            open: choice.way == Way::Browser,
            paste: person.here.terminal,
            provider,
            remote: person.here.remote.as_deref(),
        };
        browser::login(self, trip, talk).await
    }

    /// Has a key certified by what was granted, keeps everything, and says who it is for.
    async fn complete(self, granted: Granted) -> Result<String, ClientError> {
        let fresh = FreshKey::make()?;
        let credential =
            oauth::certify(self.https, self.discovery, &granted.access_token, &fresh.csr).await?;
        let refresh_token = granted.refresh_token.map(|token| token.expose_secret().to_owned());
        let _lock = self.laptop.lock().await?;
        credential::adopt(
            self.laptop,
            self.vault,
            self.profile,
            self.trust,
            refresh_token,
            &fresh,
            &credential,
        )
        .await?;
        Ok(credential.user)
    }
}

/// A provider that is not there is found before a browser is bothered.
fn known_provider(discovery: &Discovery, name: &str) -> Result<(), ClientError> {
    let people = discovery
        .providers
        .iter()
        .filter(|provider| !matches!(provider.kind.as_str(), "workload" | "service"));
    let names: Vec<&str> = people.map(|provider| provider.name.as_str()).collect();
    if names.contains(&name) {
        return Ok(());
    }
    let message =
        format!("the gateway has no identity provider {name:?} for people; it has: {}", names.join(", "));
    Err(ClientError::usage(message).remedy("hoopctl login --provider NAME, or without it to be asked"))
}

fn gateway(laptop: &Laptop, before: Option<&Profile>) -> Result<Url, ClientError> {
    match (&laptop.settings.gateway, before) {
        (Some(url), _) => profile::origin(url),
        (None, Some(profile)) => profile::origin(&profile.gateway),
        (None, None) => Err(ClientError::usage("which gateway? This profile knows none yet")
            .remedy("hoopctl login https://GATEWAY")),
    }
}

async fn choose_vault(laptop: &Arc<Laptop>) -> Result<Vault, ClientError> {
    let laptop = Arc::clone(laptop);
    off_thread(move || Vault::choose(laptop.settings.credential_store, &laptop.places, &laptop.memory)).await
}

/// Removes what an earlier login left in another store; a store that is not there any more is no reason to fail.
async fn forget_elsewhere(laptop: &Arc<Laptop>, old: &Profile) {
    let vault = Vault::at(old.credential_store, laptop.places.clone(), laptop.memory.clone());
    if let Err(error) = off_thread(move || vault.forget()).await {
        tracing::debug!(%error, "the earlier credential store could not be cleared");
    }
}

/// Ends the session at the gateway, if it can be told, and forgets everything secret.
pub(super) async fn logout(laptop: &Arc<Laptop>) -> Result<LoggedOut, ClientError> {
    let Some(mut profile) = Profile::load(&laptop.places)? else {
        return Ok(LoggedOut::NotLoggedIn);
    };
    let _lock = laptop.lock().await?;
    let vault = laptop.vault(&profile);
    let secrets = {
        let vault = vault.clone();
        off_thread(move || vault.load()).await?
    };
    // Forgotten first: whatever the network does, nothing secret stays here.
    off_thread(move || vault.forget()).await?;
    let trust = profile.trust(&laptop.places);
    profile.who = None;
    profile.store_facts(&laptop.places)?;
    let Some(secrets) = secrets else {
        return Ok(LoggedOut::NotLoggedIn);
    };
    let told = match trust {
        Ok(trust) => tell(&profile.gateway, &trust, &laptop.settings.proxies, &secrets).await,
        Err(error) => Err(error),
    };
    Ok(match told {
        Ok(()) => LoggedOut::Ended,
        Err(error) => LoggedOut::OnlyHere(error.message),
    })
}

async fn tell(
    gateway: &Url,
    trust: &Trust,
    proxies: &crate::tunnel::Proxies,
    secrets: &Secrets,
) -> Result<(), ClientError> {
    let Some(token) = &secrets.refresh_token else {
        return Err(ClientError::failed(
            "no_refresh_token",
            format!("there is no session to end; the certificate ends at {}", secrets.expires_at),
        ));
    };
    let https = Https::new(gateway, trust, proxies)?;
    let discovery = https.discover().await?;
    oauth::revoke(&https, &discovery, token).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Kind, Settings, StoreChoice, testing};

    #[tokio::test]
    async fn a_workload_logs_in_without_any_browser() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::File);
        let method = Method::Machine(Machine::token("a.workload.jwt".into()));
        let talk = testing::Silent::default();
        let status = laptop.login(fake.fingerprint(), method, &talk).await.unwrap();
        assert_eq!((status.user.as_str(), status.credential_store.as_str()), ("alice@example.test", "file"));
        assert!(talk.visited().is_empty());
        assert!(Held::load(&laptop).unwrap().secrets.refresh_token.is_none());
        let refused = Method::Machine(Machine::token("forged".into()));
        let error = laptop.login(FirstTrust::Known, refused, &talk).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (Kind::LoginNeeded, "invalid_grant"));
    }

    #[tokio::test]
    async fn machine_credentials_log_in_by_themselves_and_again_when_the_login_ends() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        // The gateway is believed by what an earlier login pinned.
        let (person, hand) = testing::logged_in(&fake, home.path()).await;
        person.logout().await.unwrap();
        let settings = Settings {
            credential_store: None,
            machine: Some(Machine::token("a.workload.jwt".into())),
            ..person.settings.clone()
        };
        let laptop = Laptop::open(settings).unwrap();
        let first = credential::valid(&laptop, None).await.unwrap();
        assert_eq!(laptop.status().unwrap().credential_store, "memory");
        assert_eq!(person.status().unwrap_err().kind, Kind::LoginNeeded, "nothing of it is in a file");
        let same = credential::valid(&laptop, None).await.unwrap();
        assert_eq!(first.secrets.certificate, same.secrets.certificate);
        hand.advance(testing::LIFE);
        let second = credential::valid(&laptop, None).await.unwrap();
        assert_ne!(first.secrets.certificate, second.secrets.certificate);
        let third = credential::valid(&laptop, Some(&second.secrets.certificate)).await.unwrap();
        assert_ne!(second.secrets.certificate, third.secrets.certificate, "one that was refused is replaced");
    }

    #[tokio::test]
    async fn a_persons_login_is_never_replaced_by_the_machines() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let (person, hand) = testing::logged_in(&fake, home.path()).await;
        let machine = Some(Machine::token("a.workload.jwt".into()));
        let laptop = Laptop::open(Settings { machine, ..person.settings.clone() }).unwrap();
        credential::valid(&laptop, None).await.unwrap();
        assert!(Held::load(&laptop).unwrap().secrets.refresh_token.is_some());
        hand.advance(testing::SESSION);
        assert_eq!(credential::valid(&laptop, None).await.err().unwrap().kind, Kind::LoginNeeded);
    }

    #[tokio::test]
    async fn logout_tells_the_gateway_and_forgets() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let (laptop, _hand) = testing::logged_in(&fake, home.path()).await;
        assert_eq!(laptop.logout().await.unwrap(), LoggedOut::Ended);
        assert_eq!(fake.state.lock().unwrap().revoked, 1);
        assert_eq!(laptop.status().unwrap_err().kind, Kind::LoginNeeded);
        assert_eq!(laptop.logout().await.unwrap(), LoggedOut::NotLoggedIn);
        // The address and its CA stay, so that `hoopctl login` alone is enough next time.
        let laptop = Laptop::open(Settings { gateway: None, ..laptop.settings.clone() }).unwrap();
        testing::log_in(&fake, &laptop, FirstTrust::Known).await.unwrap();
    }

    #[tokio::test]
    async fn logout_forgets_even_when_the_gateway_is_gone() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let (laptop, _hand) = testing::logged_in(&fake, home.path()).await;
        drop(fake);
        assert!(matches!(laptop.logout().await.unwrap(), LoggedOut::OnlyHere(_)));
        assert_eq!(laptop.status().unwrap_err().kind, Kind::LoginNeeded);
    }

    #[tokio::test]
    async fn memory_is_enough_within_one_process() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::Memory);
        let status = testing::log_in(&fake, &laptop, fake.fingerprint()).await.unwrap();
        assert_eq!(status.credential_store, "memory");
        credential::valid(&laptop, None).await.unwrap();
        let other = fake.laptop(home.path(), StoreChoice::Memory);
        assert_eq!(other.status().unwrap_err().kind, Kind::LoginNeeded);
    }

    #[tokio::test]
    async fn a_login_repairs_a_damaged_profile() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let (laptop, _hand) = testing::logged_in(&fake, home.path()).await;
        std::fs::write(home.path().join("config/profiles/default/profile.toml"), "nonsense").unwrap();
        assert!(laptop.status().is_err());
        testing::log_in(&fake, &laptop, fake.fingerprint()).await.unwrap();
        laptop.status().unwrap();
    }

    #[tokio::test]
    async fn without_an_address_login_asks_for_one() {
        let home = tempfile::tempdir().unwrap();
        let laptop = Laptop::open(testing::settings(home.path())).unwrap();
        let method = Method::Machine(Machine::token("t".into()));
        let error = laptop.login(FirstTrust::Known, method, &testing::Silent::default()).await.unwrap_err();
        assert_eq!(error.kind, Kind::Usage);
    }
}
