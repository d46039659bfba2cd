//! The credential: a key made here, certified by the gateway, refreshed by one process for all.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use url::Url;
use zeroize::Zeroizing;

use crate::{
    client::{
        Certificate, ClientError, Kind, Laptop, Status, StoreChoice, Turn,
        https::Https,
        login, oauth, off_thread,
        profile::{Believed, Profile, Who},
        state,
        vault::{Secrets, Vault},
    },
    clock,
    secret::ExposeSecret,
    tls::{self, Identity, Trust},
    wire::api::{Credential, ModelToken},
};

/// A certificate with less life than this is refreshed before use.
pub(super) const MARGIN: Duration = Duration::from_mins(1);

/// A key that has no certificate yet.
pub(super) struct FreshKey {
    /// PEM; wiped when dropped.
    pub(super) key: Zeroizing<String>,
    /// PKCS #10, PEM. Its names are empty: the gateway decides who this is.
    pub(super) csr: String,
}

impl FreshKey {
    /// A new P-256 key. It never leaves this machine.
    pub(super) fn make() -> Result<Self, ClientError> {
        let failed = |e| ClientError::failed("internal", format!("a key could not be made: {e}"));
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let request = CertificateParams::default().serialize_request(&pair).map_err(failed)?;
        Ok(Self { key: Zeroizing::new(pair.serialize_pem()), csr: request.pem().map_err(failed)? })
    }
}

/// A login as it is in profile and vault.
pub(super) struct Held {
    pub(super) profile: Profile,
    pub(super) trust: Trust,
    pub(super) secrets: Secrets,
}

impl Held {
    /// Reads profile and vault; whatever is missing means that a login is needed.
    pub(super) fn load(laptop: &Laptop) -> Result<Self, ClientError> {
        if let Some((profile, trust)) = laptop.own() {
            let secrets = laptop.vault(&profile).load()?;
            let secrets = secrets.ok_or_else(|| ClientError::login_needed("nobody is logged in here"))?;
            return Ok(Self { profile, trust, secrets });
        }
        let Some(profile) = Profile::load(&laptop.places)? else {
            let address = laptop.settings.gateway.as_ref().map_or("https://GATEWAY", |url| url.as_str());
            return Err(ClientError::login_needed("nobody is logged in here")
                .remedy(format!("hoopctl login {address}")));
        };
        if let Some(wanted) = laptop.settings.gateway.as_ref().filter(|url| **url != profile.gateway) {
            return Err(ClientError::login_needed(format!(
                "the profile {:?} belongs to {}, not {wanted}",
                laptop.settings.profile, profile.gateway
            ))
            .remedy(format!("hoopctl login {wanted} --profile NAME")));
        }
        let secrets = laptop.vault(&profile).load()?.filter(|held| held.gateway == profile.gateway.as_str());
        let (Some(secrets), Some(_)) = (secrets, &profile.who) else {
            return Err(ClientError::login_needed(format!("nobody is logged in to {}", profile.gateway)));
        };
        let trust = profile.trust(&laptop.places)?;
        Ok(Self { profile, trust, secrets })
    }

    /// Certificate and key, checked to belong together.
    pub(super) fn identity(&self) -> Result<Identity, ClientError> {
        Identity::from_pem(&self.secrets.certificate, &self.secrets.key)
            .map_err(|e| ClientError::login_needed(format!("the stored credential is damaged: {e}")))
    }

    /// Fails when the login session is over, or the certificate is and nothing can renew it.
    fn not_over(&self, now: SystemTime) -> Result<(), ClientError> {
        let over = |text: &str| clock::parse_rfc3339(text).is_some_and(|end| end <= now);
        if over(&self.secrets.session_expires_at) {
            return Err(ClientError::login_needed(format!(
                "the login ended at {}",
                self.secrets.session_expires_at
            )));
        }
        if self.secrets.refresh_token.is_none() && over(&self.secrets.expires_at) {
            return Err(ClientError::login_needed(format!(
                "the credential ended at {} and nothing here can renew it",
                self.secrets.expires_at
            )));
        }
        Ok(())
    }

    /// Whether the certificate can be shown now: not about to end, and not the one that was refused.
    pub(super) fn usable(&self, now: SystemTime, refused: Option<&str>) -> bool {
        let end = clock::parse_rfc3339(&self.secrets.expires_at);
        end.is_some_and(|end| end > now + MARGIN) && refused != Some(self.secrets.certificate.as_str())
    }
}

/// A valid credential, refreshed when need be by exactly one of all processes that want it. `refused` is a
/// certificate, PEM, that the gateway did not accept although its time is not over.
pub(super) async fn valid(laptop: &Arc<Laptop>, refused: Option<&str>) -> Result<Held, ClientError> {
    let held = load(laptop).await;
    if !missing(laptop, &held) {
        let held = held?;
        if held.usable(laptop.settings.clock.now(), refused) {
            return Ok(held);
        }
    }
    let (laptop, refused) = (Arc::clone(laptop), refused.map(str::to_owned));
    // On a task of its own: a caller that gives up must not lose a token that was just rotated.
    tokio::spawn(async move {
        let _turn = turn(&laptop).await?;
        let held = load(&laptop).await;
        if missing(&laptop, &held) {
            return login::by_machine(&laptop).await;
        }
        let held = held?;
        if held.usable(laptop.settings.clock.now(), refused.as_deref()) {
            return Ok(held);
        }
        if held.profile.by_machine() && laptop.settings.machine.is_some() {
            return login::by_machine(&laptop).await;
        }
        refresh(&laptop, held).await
    })
    .await
    .unwrap_or_else(|e| Err(ClientError::failed("internal", format!("the refresh did not end well: {e}"))))
}

/// Logs in anew with machine credentials, before the present login ends.
pub(super) async fn again(laptop: &Arc<Laptop>) -> Result<Held, ClientError> {
    let laptop = Arc::clone(laptop);
    tokio::spawn(async move {
        let _turn = turn(&laptop).await?;
        login::by_machine(&laptop).await
    })
    .await
    .unwrap_or_else(|e| Err(ClientError::failed("internal", format!("the login did not end well: {e}"))))
}

/// When the login ends for good, if machine credentials made it and can make the next.
pub(super) async fn end_of_machine_login(laptop: &Arc<Laptop>) -> Option<SystemTime> {
    laptop.settings.machine.as_ref()?;
    let held = load(laptop).await.ok()?;
    held.profile.by_machine().then(|| clock::parse_rfc3339(&held.secrets.session_expires_at)).flatten()
}

/// Whether there is no login, but machine credentials and a gateway to get one from.
fn missing(laptop: &Laptop, held: &Result<Held, ClientError>) -> bool {
    let Err(error) = held else { return false };
    let gateway =
        || laptop.settings.gateway.is_some() || matches!(Profile::load(&laptop.places), Ok(Some(_)));
    error.kind == Kind::LoginNeeded && laptop.settings.machine.is_some() && gateway()
}

/// The lock, of this process alone where nothing will be written to a file: its folders may be read-only.
async fn turn(laptop: &Arc<Laptop>) -> Result<Turn, ClientError> {
    let unwritten =
        !matches!(laptop.settings.credential_store, Some(StoreChoice::File | StoreChoice::Keyring))
            && missing(laptop, &load(laptop).await);
    if unwritten { Ok(laptop.lock_own().await) } else { laptop.lock().await }
}

async fn load(laptop: &Arc<Laptop>) -> Result<Held, ClientError> {
    let laptop = Arc::clone(laptop);
    off_thread(move || Held::load(&laptop)).await
}

/// Trades the refresh token for a new credential. The caller holds the lock.
async fn refresh(laptop: &Arc<Laptop>, mut held: Held) -> Result<Held, ClientError> {
    held.not_over(laptop.settings.clock.now())?;
    let Some(token) = held.secrets.refresh_token.clone().map(Zeroizing::new) else {
        return Err(ClientError::login_needed(
            "the credential is about to end and nothing here can renew it",
        ));
    };
    let vault = laptop.vault(&held.profile);
    let https = Https::new(&held.profile.gateway, &held.trust, &laptop.settings.proxies)?;
    let discovery = https.discover().await?;
    let granted = match oauth::refresh(&https, &discovery, &token).await {
        Ok(granted) => granted,
        Err(error) => {
            if error.code == "invalid_grant" {
                // Void for ever: the gateway is not asked again with it.
                held.secrets.refresh_token = None;
                store(laptop, &vault, &held.secrets).await?;
            }
            return Err(error);
        }
    };
    if let Some(rotated) = &granted.refresh_token {
        // Before anything else: the old one is void from now on.
        held.secrets.refresh_token = Some(rotated.expose_secret().to_owned());
        store(laptop, &vault, &held.secrets).await?;
    }
    let fresh = FreshKey::make()?;
    let credential = oauth::certify(&https, &discovery, &granted.access_token, &fresh.csr).await?;
    let refresh_token = held.secrets.refresh_token.clone();
    adopt(laptop, &vault, held.profile, held.trust, refresh_token, &fresh, &credential).await
}

/// Keeps what the gateway issued, in vault and profile. The caller holds the lock.
pub(super) async fn adopt(
    laptop: &Arc<Laptop>,
    vault: &Vault,
    mut profile: Profile,
    trust: Trust,
    refresh_token: Option<String>,
    fresh: &FreshKey,
    credential: &Credential,
) -> Result<Held, ClientError> {
    let wrong = |what: String| {
        ClientError::failed(
            "protocol",
            format!("the gateway issued a credential that cannot be used: {what}"),
        )
    };
    Identity::from_pem(&credential.certificate, &fresh.key).map_err(|e| wrong(e.to_string()))?;
    if clock::parse_rfc3339(&credential.expires_at).is_none() {
        return Err(wrong(format!("{:?} is not a time", credential.expires_at)));
    }
    let (known, told) = (profile.roots_version, credential.roots_version);
    let outdated = known.zip(told).is_some_and(|(known, told)| told < known);
    let trust = if credential.roots.is_empty() || outdated { trust } else { roots(&credential.roots)? };
    profile.roots_version = known.max(told);
    profile.trust = match trust {
        Trust::Roots(_) => Believed::Pinned,
        Trust::Platform => Believed::Platform,
    };
    profile.credential_store = vault.backend;
    profile.who = Some(Who {
        user: credential.user.clone(),
        groups: credential.groups.clone(),
        provider: credential.provider.clone(),
        session: credential.session.clone(),
    });
    let secrets = Secrets {
        schema: 1,
        gateway: profile.gateway.to_string(),
        refresh_token,
        key: fresh.key.to_string(),
        certificate: credential.certificate.clone(),
        expires_at: credential.expires_at.clone(),
        session_expires_at: credential.session_expires_at.clone(),
        tokens: Vec::new(),
    };
    store(laptop, vault, &secrets).await?;
    let held = Held { profile, trust, secrets };
    keep_trust(laptop, &held)?;
    Ok(held)
}

fn keep_trust(laptop: &Laptop, held: &Held) -> Result<(), ClientError> {
    if laptop.is_own() {
        laptop.keep_own(held.profile.clone(), held.trust.clone());
        return Ok(());
    }
    held.profile.store(&laptop.places, &held.trust)
}

/// The most roots that a gateway may have.
const MAX_ROOTS: usize = 8;

fn roots(pem: &str) -> Result<Trust, ClientError> {
    let roots = tls::parse_certificates(pem, "the gateway's roots")?;
    if roots.len() > MAX_ROOTS {
        return Err(ClientError::failed("protocol", format!("the gateway names {} roots", roots.len())));
    }
    Ok(Trust::Roots(roots))
}

/// Keeps the roots that a connected gateway has told of, beside the login they belong to; false when they are known already,
/// older than those that are, or the profile is another gateway's by now. A profile that trusts by the operating system's roots
/// stays with those.
pub(super) async fn keep_roots(
    laptop: &Arc<Laptop>,
    gateway: &Url,
    version: u64,
    pem: &str,
) -> Result<bool, ClientError> {
    let _lock = laptop.lock().await?;
    let Ok(mut held) = load(laptop).await else {
        return Ok(false);
    };
    if held.profile.gateway != *gateway
        || held.profile.trust != Believed::Pinned
        || held.profile.roots_version.is_some_and(|known| known >= version)
    {
        return Ok(false);
    }
    held.trust = roots(pem)?;
    held.profile.roots_version = Some(version);
    let laptop = Arc::clone(laptop);
    off_thread(move || keep_trust(&laptop, &held)).await.map(|()| true)
}

/// Keeps what was renewed in-band, unless the login it belongs to is no longer the profile's.
pub(super) async fn keep_renewed(
    laptop: &Arc<Laptop>,
    fresh: &FreshKey,
    credential: &Credential,
) -> Result<(), ClientError> {
    let _lock = laptop.lock().await?;
    let Ok(held) = load(laptop).await else {
        return Ok(());
    };
    if held.profile.who.as_ref().is_none_or(|who| who.session != credential.session) {
        return Ok(());
    }
    let vault = laptop.vault(&held.profile);
    let refresh_token = held.secrets.refresh_token.clone();
    adopt(laptop, &vault, held.profile, held.trust, refresh_token, fresh, credential).await.map(drop)
}

/// Keeps a model's token with the login it came from, the newest first.
pub(super) async fn keep_token(
    laptop: &Arc<Laptop>,
    token: &ModelToken,
    most: usize,
) -> Result<(), ClientError> {
    let _lock = laptop.lock().await?;
    let Ok(mut held) = load(laptop).await else {
        return Ok(());
    };
    let tokens = &mut held.secrets.tokens;
    tokens.retain(|kept| kept.model != token.model);
    tokens.insert(0, token.clone());
    tokens.truncate(most);
    let vault = laptop.vault(&held.profile);
    store(laptop, &vault, &held.secrets).await
}

async fn store(laptop: &Arc<Laptop>, vault: &Vault, secrets: &Secrets) -> Result<(), ClientError> {
    let (vault, secrets, now) = (vault.clone(), secrets.clone(), laptop.settings.clock.now());
    off_thread(move || vault.store(&secrets, now)).await
}

/// The roots of a pinned gateway; none where the operating system's decide.
fn roots_of(trust: &Trust) -> Vec<Certificate> {
    match trust {
        Trust::Roots(roots) => roots.iter().filter_map(|root| Certificate::of(root, None)).collect(),
        Trust::Platform => Vec::new(),
    }
}

/// What the profile and the vault say, without asking anybody.
pub(super) fn status(laptop: &Laptop) -> Result<Status, ClientError> {
    let held = Held::load(laptop)?;
    held.not_over(laptop.settings.clock.now())?;
    let who = held.profile.who.as_ref();
    let gateway = held.profile.gateway.as_str();
    Ok(Status {
        schema: 1,
        gateway: gateway.trim_end_matches('/').to_owned(),
        user: who.map(|w| w.user.clone()).unwrap_or_default(),
        groups: who.map(|w| w.groups.clone()).unwrap_or_default(),
        provider: who.map(|w| w.provider.clone()).unwrap_or_default(),
        expires_at: held.secrets.expires_at.clone(),
        session_expires_at: held.secrets.session_expires_at.clone(),
        credential_store: laptop.vault(&held.profile).backend.to_string(),
        transport: state::last_transport(&laptop.places, gateway),
        gateway_certificate: state::last_certificate(&laptop.places, gateway),
        roots: roots_of(&held.trust),
        method: held.profile.login.as_ref().map(|login| login.method.clone()),
        profile: laptop.settings.profile.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing;

    #[tokio::test]
    async fn fifty_at_once_refresh_once() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let (laptop, hand) = testing::logged_in(&fake, home.path()).await;
        let before = laptop.status().unwrap();
        hand.advance(testing::LIFE);
        // Each with its own eyes on the same files, as fifty processes would.
        let all: Vec<_> = (0..50)
            .map(|_| {
                let laptop = Laptop::open(laptop.settings.clone()).unwrap();
                tokio::spawn(async move {
                    valid(&laptop, None).await.map(|held| held.secrets.certificate.clone())
                })
            })
            .collect();
        let mut certificates = Vec::new();
        for one in all {
            certificates.push(one.await.unwrap().unwrap());
        }
        certificates.dedup();
        assert_eq!(certificates.len(), 1);
        assert_eq!(fake.state.lock().unwrap().refreshes, 1);
        assert!(laptop.status().unwrap().expires_at > before.expires_at);
    }

    #[tokio::test]
    async fn a_rotated_token_survives_a_failure_right_after_it() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let (laptop, hand) = testing::logged_in(&fake, home.path()).await;
        hand.advance(testing::LIFE);
        fake.state.lock().unwrap().refuse_credentials = true;
        assert!(valid(&laptop, None).await.is_err());
        fake.state.lock().unwrap().refuse_credentials = false;
        valid(&laptop, None).await.unwrap();
        assert_eq!(fake.state.lock().unwrap().refreshes, 2, "the second used the rotated token");
    }

    #[tokio::test]
    async fn a_void_refresh_token_needs_a_login_and_is_not_shown_again() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let (laptop, hand) = testing::logged_in(&fake, home.path()).await;
        hand.advance(testing::LIFE);
        fake.state.lock().unwrap().refresh_token.clear();
        for _ in 0..2 {
            let error = valid(&laptop, None).await.err().unwrap();
            assert_eq!((error.kind, error.remedy.as_deref()), (Kind::LoginNeeded, Some("hoopctl login")));
        }
        assert_eq!(fake.state.lock().unwrap().refreshes, 1);
        assert_eq!(laptop.status().unwrap_err().kind, Kind::LoginNeeded);
    }

    #[tokio::test]
    async fn a_refused_certificate_is_replaced_although_its_time_is_not_over() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let (laptop, _hand) = testing::logged_in(&fake, home.path()).await;
        let first = valid(&laptop, None).await.unwrap();
        assert_eq!(fake.state.lock().unwrap().refreshes, 0);
        let second = valid(&laptop, Some(&first.secrets.certificate)).await.unwrap();
        assert_ne!(first.secrets.certificate, second.secrets.certificate);
        let third = valid(&laptop, Some(&first.secrets.certificate)).await.unwrap();
        assert_eq!(second.secrets.certificate, third.secrets.certificate, "another's refresh is taken");
        assert_eq!(fake.state.lock().unwrap().refreshes, 1);
    }

    #[tokio::test]
    async fn the_session_has_an_end() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let (laptop, hand) = testing::logged_in(&fake, home.path()).await;
        hand.advance(testing::SESSION);
        assert_eq!(valid(&laptop, None).await.err().unwrap().kind, Kind::LoginNeeded);
        assert_eq!(laptop.status().unwrap_err().kind, Kind::LoginNeeded);
        assert_eq!(fake.state.lock().unwrap().refreshes, 0);
    }

    #[tokio::test]
    async fn a_renewal_of_an_older_login_is_not_kept() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let (laptop, _hand) = testing::logged_in(&fake, home.path()).await;
        let fresh = FreshKey::make().unwrap();
        let mut credential = fake.state.lock().unwrap().certify(&fresh.csr);
        let before = Held::load(&laptop).unwrap().secrets;
        credential.session = "an older one".into();
        keep_renewed(&laptop, &fresh, &credential).await.unwrap();
        assert_eq!(Held::load(&laptop).unwrap().secrets, before);
        credential.session = "ls_1".into();
        keep_renewed(&laptop, &fresh, &credential).await.unwrap();
        let after = Held::load(&laptop).unwrap();
        assert_eq!(after.secrets.certificate, credential.certificate);
        assert_eq!(after.secrets.refresh_token, before.refresh_token);
        after.identity().unwrap();
    }
}
