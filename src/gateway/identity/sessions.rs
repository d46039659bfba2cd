//! Login sessions: begun, refreshed with rotation, read anew from their provider, ended.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use tokio::{sync::OwnedMutexGuard, task::JoinHandle};

use super::{
    Caller, Happening, SessionRow, Store, StoreError, Witness,
    access::Recent,
    lease::Leases,
    oidc::{Expected, RelyingParty},
    provider::{Provider, ProviderError},
    providers::Providers,
    seal::Seal,
};
use crate::{
    clock::{Clock, from_unix_millis, unix_millis},
    id,
    secret::{ExposeSecret, SecretString},
    wire::{Refusal, code},
};

/// Longer than a sign-in waits to be collected: a device's answer does so for 12 minutes.
const UNCOLLECTED: Duration = Duration::from_mins(15);

/// The sessions and everything that hangs on them.
pub(super) struct Sessions {
    pub(super) store: Arc<dyn Store>,
    pub(super) providers: Providers,
    pub(super) leases: Arc<Leases>,
    pub(super) seal: Seal,
    pub(super) clock: Clock,
    pub(super) witness: Witness,
    pub(super) life: Duration,
    /// How to log in again, for remedies.
    pub(super) remedy: String,
    /// One at a time per session: a provider that rotates refresh tokens takes two uses of one for theft.
    pub(super) busy: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    /// Callers by their access tokens; forgotten whenever a session ends before its time.
    pub(super) recent: Recent,
}

/// At whose hands somebody signed in, until the session begins.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct SignedIn {
    /// The provider's people, as [`SessionRow::people`].
    people: Option<[u8; 32]>,
    /// When, in milliseconds since 1970.
    at: i64,
}

/// A session about to begin.
pub(super) struct Beginning {
    pub(super) caller: Caller,
    pub(super) expires_at: SystemTime,
    /// Whether a refresh token is given out.
    pub(super) refreshable: bool,
    pub(super) provider_refresh: Option<Vec<u8>>,
    pub(super) signed_in: SignedIn,
}

impl Sessions {
    /// A new session's id.
    pub(super) fn new_id(&self) -> String {
        id::new("ses", self.clock.now())
    }

    /// The provider of that name.
    pub(super) fn provider(&self, name: &str) -> Option<Arc<Provider>> {
        self.providers().into_iter().find(|provider| provider.name() == name)
    }

    /// When a session that begins now ends: after its life, or when its provider wants it to (milliseconds since 1970).
    pub(super) fn end(&self, wanted: Option<i64>) -> SystemTime {
        let end = self.clock.now() + self.life;
        wanted.map_or(end, |wanted| from_unix_millis(wanted).min(end))
    }

    /// The providers as `gateway.toml` has them now, in its order.
    pub(super) fn providers(&self) -> Vec<Arc<Provider>> {
        self.providers.all()
    }

    /// Seals a provider's refresh token for a session.
    pub(super) fn seal_refresh(&self, session: &str, token: &SecretString) -> Option<Vec<u8>> {
        self.seal.seal(&refresh_context(session), token.expose_secret().as_bytes())
    }

    /// A sign-in with that provider that is believed from now on; made before the provider is asked.
    pub(super) fn signed_in(&self, provider: &str) -> SignedIn {
        SignedIn {
            people: self.providers.people(provider).map(|people| people.hash),
            at: unix_millis(self.clock.now()),
        }
    }

    /// Begins a session; returns its refresh token.
    pub(super) async fn begin(&self, beginning: Beginning) -> Result<Option<SecretString>, Refusal> {
        let Beginning { caller, expires_at, refreshable, provider_refresh, signed_in } = beginning;
        let token = refreshable.then(|| self.seal.marked_token(&caller.session));
        let row = SessionRow {
            id: caller.session.clone(),
            created_at: self.clock.now(),
            expires_at,
            refresh_sha256: token.as_ref().map(hash),
            previous_refresh_sha256: None,
            revoked: false,
            provider_refresh,
            people: signed_in.people,
            caller,
        };
        self.check(&row)?;
        self.store.insert_session(&row).await.map_err(database)?;
        // Looked for when the session is there: whoever ends somebody marks first and looks for sessions then.
        if self.ended_since(&row.caller, signed_in.at).await? {
            self.store.revoke(&row.id).await.map_err(database)?;
            return Err(self.login("the login was ended before it was collected"));
        }
        (self.witness)(Happening::Login(row.caller));
        Ok(token)
    }

    /// The session, if it lives.
    pub(super) async fn live(&self, id: &str) -> Result<SessionRow, Refusal> {
        let row = self.store.session(id).await.map_err(database)?;
        let row = row.ok_or_else(|| self.login("the login session is not known to this gateway"))?;
        self.check(&row)?;
        Ok(row)
    }

    /// The session of a refresh token, with groups as the provider says them now, and the token that replaces it.
    pub(super) async fn refresh(
        self: &Arc<Self>,
        token: &SecretString,
    ) -> Result<(SessionRow, SecretString), Refusal> {
        let (own, token) = (Arc::clone(self), token.clone());
        to_the_end(tokio::spawn(async move { own.refreshed(&token).await })).await
    }

    async fn refreshed(&self, token: &SecretString) -> Result<(SessionRow, SecretString), Refusal> {
        let used = hash(token);
        let found = self.store.session_by_refresh(&used).await.map_err(database)?;
        let Some(found) = found else {
            // Of an older generation than the row remembers, or made up: only the mark tells.
            if let Some(session) = self.seal.session_of(token.expose_secret()) {
                return Err(self.replayed(session).await);
            }
            return Err(self.login("the refresh token is not known to this gateway"));
        };
        let _turn = self.turn(&found.id).await;
        let row = self.live(&found.id).await?;
        if row.refresh_sha256 != Some(used) {
            return Err(self.replayed(&row.id).await);
        }
        let mut row = self.reread(row).await?;
        let next = self.seal.marked_token(&row.id);
        (row.previous_refresh_sha256, row.refresh_sha256) = (Some(used), Some(hash(&next)));
        if !self.store.update_session(&row, Some(used)).await.map_err(database)? {
            // Another gateway was faster with the same token, or the session was just revoked.
            return Err(self.replayed(&row.id).await);
        }
        self.renewed(&row);
        Ok((row, next))
    }

    /// The session with groups as the provider says them now.
    pub(super) async fn renew(self: &Arc<Self>, id: &str) -> Result<SessionRow, Refusal> {
        let (own, id) = (Arc::clone(self), id.to_owned());
        let renewal = async move {
            let _turn = own.turn(&id).await;
            let row = own.reread(own.live(&id).await?).await?;
            own.save(&row).await?;
            own.renewed(&row);
            Ok(row)
        };
        to_the_end(tokio::spawn(renewal)).await
    }

    /// Ends a session or all of a user, with their leases. Returns how many.
    pub(super) async fn revoke(&self, who: &str, by: &str) -> Result<Vec<String>, Refusal> {
        let ended = self.store.revoke(who).await.map_err(database);
        // Also when the database failed: it may have ended some.
        self.recent.forget();
        let ended = ended?;
        let reason = self.login(format!("the login session was ended: {by}"));
        for session in &ended {
            self.leases.end(session, &reason);
        }
        if !ended.is_empty() {
            tracing::info!(sessions = ended.len(), by, "login sessions were ended");
            (self.witness)(Happening::Revocation { by: by.to_owned(), sessions: ended.clone() });
        }
        Ok(ended)
    }

    /// Marks somebody as ended now, for sign-ins that are believed and not collected yet.
    pub(super) async fn mark_ended(&self, who: &str) -> Result<(), Refusal> {
        let now = self.clock.now();
        let at = unix_millis(now).to_string();
        self.store.put_pending(&ended_key(who), &at, now + UNCOLLECTED).await.map_err(database)
    }

    /// Whether somebody was ended after they signed in.
    async fn ended_since(&self, caller: &Caller, signed_in: i64) -> Result<bool, Refusal> {
        let now = self.clock.now();
        let names = [Some(&caller.subject), caller.email.as_ref(), caller.name.as_ref()];
        for name in names.into_iter().flatten() {
            let mark = self.store.peek_pending(&ended_key(name), now).await.map_err(database)?;
            if mark.is_some_and(|at| at.parse().is_ok_and(|at: i64| at >= signed_in)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The refusal that sends people to log in.
    pub(super) fn login(&self, why: impl Into<String>) -> Refusal {
        Refusal::new(code::LOGIN_REQUIRED, why).remedy(self.remedy.clone())
    }

    fn check(&self, row: &SessionRow) -> Result<(), Refusal> {
        if row.revoked {
            return Err(self.login("the login session was revoked"));
        }
        if self.clock.now() >= row.expires_at {
            return Err(self.login("the login session's time is over"));
        }
        let provider = &row.caller.provider;
        match self.providers.people(provider) {
            Some(people) if people.had(row.people.as_ref()) => Ok(()),
            Some(_) => Err(self.login(format!(
                "the login session is of an earlier identity provider `{provider}`, and another has its name now"
            ))),
            None => Err(self.login(format!(
                "the login session is of the identity provider `{provider}`, which this gateway has no more"
            ))),
        }
    }

    /// The use of a token that was used before: one of the two users is a thief, and nobody can say which.
    async fn replayed(&self, session: &str) -> Refusal {
        tracing::warn!(session, "a refresh token was used twice; its login session is ended");
        match self.revoke(session, "a refresh token was used twice").await {
            Ok(_) => self.login("the refresh token was used before, so its login session was ended"),
            Err(refusal) => refusal,
        }
    }

    fn renewed(&self, row: &SessionRow) {
        self.leases.update(&Arc::new(row.caller.clone()));
        (self.witness)(Happening::Renewal(row.caller.clone()));
    }

    /// Asks the row's provider for the groups. Ends the session when the provider says no.
    async fn reread(&self, mut row: SessionRow) -> Result<SessionRow, Refusal> {
        match self.provider(&row.caller.provider).as_deref() {
            Some(Provider::Dev(dev)) => match dev.user(&row.caller.subject) {
                Some(claimed) => row.caller.groups = claimed.groups,
                None => return Err(self.ended_by_provider(&row, "the user is no more").await),
            },
            Some(Provider::Oidc(party)) => self.reread_oidc(party, &mut row).await?,
            Some(Provider::Service(service)) => match service.account(&row.caller.subject) {
                Some(claimed) => row.caller.groups = claimed.groups,
                None => return Err(self.ended_by_provider(&row, "the account is no more").await),
            },
            // A workload's groups are in its token; the session ends with it.
            // SAML has no way of asking again: groups are those of the login until the session's end.
            Some(Provider::Workload(_) | Provider::Saml(_)) | None => {}
        }
        Ok(row)
    }

    async fn reread_oidc(&self, party: &RelyingParty, row: &mut SessionRow) -> Result<(), Refusal> {
        let Some(sealed) = &row.provider_refresh else {
            return Err(self.ended_by_provider(row, "nothing is known of the login there").await);
        };
        let Some(token) = self.seal.open_sealed(&refresh_context(&row.id), sealed) else {
            return Err(self
                .ended_by_provider(row, "its sealed token cannot be opened; was seal.key replaced?")
                .await);
        };
        let answer = match std::str::from_utf8(&token) {
            Ok(token) => party.refresh(token).await,
            Err(_) => Err(ProviderError::Invalid("the sealed token is no text".to_owned())),
        };
        let answer = match answer {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                tracing::debug!(
                    session = row.id,
                    "the provider gave no refresh token: groups stay as they are"
                );
                return Ok(());
            }
            Err(error) => return self.not_reread(row, error).await,
        };
        if answer.refresh_token.is_some() {
            // Where the provider rotates, the old token is dead: keep the new one before anything can fail.
            row.provider_refresh = self.seal_refresh(&row.id, &party.keep(&answer));
            self.save(row).await?;
        }
        match party.identify(&answer, Expected::Subject(&row.caller.subject)).await {
            Ok(Some(claimed)) => row.caller.groups = claimed.groups,
            Ok(None) => {
                tracing::debug!(session = row.id, "the provider named nobody at the renewal: groups stay")
            }
            Err(error) => return self.not_reread(row, error).await,
        }
        Ok(())
    }

    async fn not_reread(&self, row: &SessionRow, error: ProviderError) -> Result<(), Refusal> {
        match error {
            ProviderError::Refused(reason) => Err(self.ended_by_provider(row, &reason).await),
            ProviderError::Unreachable(reason) => {
                tracing::warn!(
                    provider = row.caller.provider,
                    session = row.id,
                    reason,
                    "the identity provider cannot be asked: groups stay as they are until the session's end"
                );
                Ok(())
            }
            ProviderError::Invalid(reason) => {
                tracing::error!(
                    provider = row.caller.provider,
                    session = row.id,
                    reason,
                    "a renewal is refused"
                );
                Err(Refusal::new(
                    code::INTERNAL,
                    "the identity provider's answer at the renewal is not believed",
                )
                .remedy("ask the gateway's operator to read its log"))
            }
        }
    }

    async fn ended_by_provider(&self, row: &SessionRow, reason: &str) -> Refusal {
        let by = format!("the identity provider `{}` refused the renewal: {reason}", row.caller.provider);
        match self.revoke(&row.id, &by).await {
            Ok(_) => self.login(format!("the login session was ended: {by}")),
            Err(refusal) => refusal,
        }
    }

    async fn save(&self, row: &SessionRow) -> Result<(), Refusal> {
        if self.store.update_session(row, row.refresh_sha256).await.map_err(database)? {
            return Ok(());
        }
        self.live(&row.id).await?;
        Err(Refusal::new(code::INTERNAL, "the login session was renewed elsewhere at the same moment")
            .remedy("try again"))
    }

    /// Waits until nobody else of this process works on the session.
    async fn turn(&self, session: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            busy.retain(|_, lock| lock.strong_count() > 0);
            match busy.get(session).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    let lock = Arc::default();
                    busy.insert(session.to_owned(), Arc::downgrade(&lock));
                    lock
                }
            }
        };
        lock.lock_owned().await
    }
}

/// Waits for work that goes on when nobody waits any more: a provider may have rotated its refresh token already, and
/// the new one must be kept whether or not the client is still there.
async fn to_the_end<T>(work: JoinHandle<Result<T, Refusal>>) -> Result<T, Refusal> {
    work.await.unwrap_or_else(|error| {
        tracing::error!(%error, "the renewal of a login session broke off");
        Err(Refusal::new(code::INTERNAL, "the renewal of the login session broke off")
            .remedy("try again; the gateway's log says more"))
    })
}

/// The hash a refresh token is stored and found by.
fn hash(token: &SecretString) -> [u8; 32] {
    sha256(token.expose_secret().as_bytes())
}

/// SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// The refusal when the database failed: details stay in the gateway's log.
pub(super) fn database(error: StoreError) -> Refusal {
    tracing::error!(%error, "a login session could not be read or written");
    Refusal::new(code::INTERNAL, "the gateway's database failed")
        .remedy("try again; the gateway's log says more")
}

fn ended_key(who: &str) -> String {
    format!("ended:{}", URL_SAFE_NO_PAD.encode(sha256(who.to_lowercase().as_bytes())))
}

fn refresh_context(session: &str) -> String {
    format!("provider refresh token of {session}")
}
