//! The identity room's door: what other rooms ask of it.

use std::{
    fmt,
    path::Path,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use super::{
    Caller, Config, Happening, Lease, SessionRow, Store, Witness,
    access::{Bearer, Recent},
    authorization,
    bearer::Bearers,
    config::{ProviderConfig, ProviderKind},
    credential,
    dev::Dev,
    lease::Leases,
    oidc::{self, RelyingParty},
    provider::Provider,
    providers::{Prepared, Providers, Surroundings},
    saml::{self, ServiceKey, ServiceProvider},
    seal::Seal,
    service::{Failures, Service},
    sessions::Sessions,
    tokens::Tokens,
    visit::Visits,
    workload::{self, Workload},
};
use tokio::sync::watch;

use crate::{
    clock::{Clock, from_unix_millis, rfc3339},
    gateway::{
        certs::{Announcement, Authority, CertsError},
        outbound::is_loopback,
    },
    tls::CertificateDer,
    wire::{
        Refusal,
        api::{Credential, ModelToken},
        code,
    },
};

/// Why the room cannot open. Every text ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// `public_url` is no origin.
    #[error(
        "`public_url` must be an https URL without path, query or credentials, such as https://gateway.example.com; it is {0}"
    )]
    PublicUrl(String),
    /// A key file of `<state>`.
    #[error("the gateway's token keys cannot be used: {0}")]
    Keys(String),
    /// An `[[identity]]`.
    #[error("the identity provider `{name}` cannot be used: {problem}")]
    Provider {
        /// Its name.
        name: String,
        /// What is wrong and what to do.
        problem: String,
    },
}

/// Whether a caller may use the model of that name, as the rooms above decide.
pub type MayUse = Box<dyn Fn(&Caller, &str) -> bool + Send + Sync>;

/// The identity room.
pub struct Identities {
    pub(super) issuer: String,
    pub(super) sessions: Arc<Sessions>,
    pub(super) tokens: Tokens,
    pub(super) bearers: Bearers,
    pub(super) failures: Failures,
    may_use: OnceLock<MayUse>,
    pub(super) visits: Visits,
    host: String,
    pub(super) token_life: Duration,
    credential_life: Duration,
    own_roots: bool,
    authority: Arc<Authority>,
    pub(super) surroundings: Surroundings,
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.issuer)
    }
}

impl Identities {
    /// Opens the room: reads or makes its keys in `<state>`, checks the providers. Asks no provider anything:
    /// they may be away when the gateway starts.
    ///
    /// # Errors
    /// When `public_url` is no https origin, a key file is damaged or readable by others, two providers share a
    /// name, a secret or CA file is missing, or a `dev` provider stands in a gateway that is not on loopback.
    pub async fn open(
        config: Config,
        store: Arc<dyn Store>,
        authority: Arc<Authority>,
        clock: Clock,
        witness: Witness,
    ) -> Result<Arc<Self>, IdentityError> {
        let opened = tokio::task::spawn_blocking(move || {
            Self::open_blocking(config, store, authority, clock, witness)
        });
        opened.await.map_err(|e| IdentityError::Keys(e.to_string()))?.map(Arc::new)
    }

    /// `/.well-known/hoopctl`, `/.well-known/oauth-authorization-server`, `/oauth2/*`, `/login/*` (sign-in pages,
    /// provider callbacks). The `dev` sign-in needs the peer's address as the request extension
    /// [`axum::extract::ConnectInfo`]`<SocketAddr>` and is refused without it.
    pub fn router(self: &Arc<Self>) -> axum::Router {
        authorization::router(Arc::clone(self))
    }

    /// The gateway's own origin, such as `https://gateway.example.com`.
    pub(in crate::gateway) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A tunnel connection's authority from the (already chain-verified) client certificate.
    ///
    /// # Errors
    /// `login_required` when the certificate is foreign or over, or its session is.
    pub async fn admit(&self, chain: &[CertificateDer<'static>]) -> Result<Arc<Lease>, Refusal> {
        let named = chain
            .first()
            .and_then(|leaf| credential::read(leaf, &self.host))
            .ok_or_else(|| self.sessions.login("the certificate is none of this gateway's credentials"))?;
        let expires_at = from_unix_millis(named.expires.saturating_mul(1000));
        if self.sessions.clock.now() >= expires_at {
            return Err(self.sessions.login("the credential's time is over"));
        }
        let row = self.sessions.live(&named.session).await?;
        if row.caller.subject != named.subject {
            return Err(self.sessions.login("the certificate names another user than its session"));
        }
        let end = expires_at.min(row.expires_at);
        let lease = self.sessions.leases.grant(row.caller, end, self.sessions.clock.clone());
        // A revocation or a renewal between the first look and the grant found no lease to tell.
        let row = self.sessions.live(&named.session).await?;
        lease.extend(Arc::new(row.caller), expires_at.min(row.expires_at));
        Ok(lease)
    }

    /// A fresh certificate for the lease's session with groups as the provider says them now; extends the lease in place.
    ///
    /// # Errors
    /// `login_required` when the lease is over, the session is, or the provider refuses the person; `bad_request`
    /// for a CSR that is refused.
    pub async fn renew(&self, lease: &Lease, csr_pem: &str) -> Result<Credential, Refusal> {
        lease.check(self.sessions.clock.now())?;
        let row = self.sessions.renew(lease.session()).await?;
        let (credential, expires_at) = self.certify(&row, csr_pem)?;
        lease.extend(Arc::new(row.caller), expires_at);
        Ok(credential)
    }

    /// First certificate of a login (`POST /api/v1/credentials` with a bearer token).
    ///
    /// # Errors
    /// As [`Self::renew`].
    pub async fn issue(&self, caller: &Caller, csr_pem: &str) -> Result<Credential, Refusal> {
        let row = self.sessions.live(&caller.session).await?;
        self.certify(&row, csr_pem).map(|(credential, _)| credential)
    }

    /// The caller behind an access token of `/oauth2/token`, for the gateway's own API.
    ///
    /// # Errors
    /// `login_required` when the token is foreign, over or bound to one model, or its session is over.
    pub async fn bearer(&self, token: &str) -> Result<Arc<Caller>, Refusal> {
        let bearer = self.believed(token).await?;
        match bearer.model {
            None => Ok(bearer.caller),
            Some(model) => Err(self
                .sessions
                .login(format!("this access token is good for the model {model:?} alone, not for the API"))),
        }
    }

    /// Whom an access token stands for that is general or bound to this `model`.
    pub(super) async fn bearer_for(&self, token: &str, model: &str) -> Result<Bearer, Refusal> {
        let bearer = self.believed(token).await?;
        match bearer.model {
            Some(bound) if *bound != *model => Err(self
                .sessions
                .login(format!("this access token is good for the model {bound:?} alone"))
                .remedy(format!("get one for this model: hoopctl token {model}"))),
            _ => Ok(bearer),
        }
    }

    /// Ends a session (id) or all of a user (subject, email or name): refresh, certificates, live leases,
    /// and sign-ins not yet collected.
    /// Returns the ids of the sessions that ended.
    ///
    /// # Errors
    /// `internal` when the database fails: then nothing is known to have ended.
    pub async fn revoke(&self, who: &str, by: &str) -> Result<Vec<String>, Refusal> {
        let marked = self.sessions.mark_ended(who).await;
        let ended = self.sessions.revoke(who, by).await?;
        marked.map(|()| ended)
    }

    /// Ends what runs of a caller, on every connection. Credentials and sessions stay: what is begun later is decided anew.
    pub fn interrupt(&self, provider: &str, subject: &str) {
        self.sessions.leases.interrupt(provider, subject);
    }

    /// The roots that laptops should believe this gateway by, now and whenever they change; `None` where its certificate is not of
    /// its own CA.
    pub fn roots(&self) -> Option<watch::Receiver<Announcement>> {
        self.own_roots.then(|| self.authority.announcements())
    }

    /// Says once who decides which models a caller may use. Before that, tokens are bound to none.
    pub fn judge_models(&self, may_use: MayUse) {
        if self.may_use.set(may_use).is_err() {
            tracing::error!("who may use which model is decided by one alone");
        }
    }

    /// A token of the caller's session that is good for one model at the direct ingress, and its end.
    ///
    /// # Errors
    /// `model_unknown` when there is no such model that the caller may use; `login_required` when the session is over.
    pub async fn model_token(&self, caller: &Caller, model: &str) -> Result<ModelToken, Refusal> {
        if !self.may_use(caller, model) {
            return Err(Refusal::new(
                code::MODEL_UNKNOWN,
                format!("there is no model {model:?} that {} may use", caller.user()),
            )
            .remedy("hoopctl models lists yours"));
        }
        let row = self.sessions.live(&caller.session).await?;
        let now = self.sessions.clock.now();
        let left = row.expires_at.duration_since(now).unwrap_or_default();
        let minted = self.tokens.mint(&row.caller, Some(model), self.token_life, left, &self.sessions.clock);
        let (token, life) = minted.map_err(|error| {
            tracing::error!(error, "an access token could not be signed");
            Refusal::new(code::INTERNAL, "the token could not be signed")
                .remedy("try again; the gateway's log says more")
        })?;
        Ok(ModelToken {
            schema: 1,
            token,
            token_type: "Bearer".to_owned(),
            expires_at: rfc3339(now + life),
            url: format!("{}/models/{model}/", self.issuer),
            model: model.to_owned(),
        })
    }

    /// Whether there is such a model and the caller may use it.
    pub(super) fn may_use(&self, caller: &Caller, model: &str) -> bool {
        self.may_use.get().is_some_and(|judge| judge(caller, model))
    }

    async fn believed(&self, token: &str) -> Result<Bearer, Refusal> {
        let now = self.sessions.clock.now();
        if let Some(bearer) = self.sessions.recent.get(token, now) {
            return Ok(bearer);
        }
        let access = self.tokens.verify(token, &self.sessions.clock).map_err(|e| self.sessions.login(e))?;
        let row = self.sessions.live(&access.sid).await?;
        let end = from_unix_millis(access.exp.saturating_mul(1000)).min(row.expires_at);
        let model = self.tokens.bound(&access).map(Arc::from);
        let bearer = Bearer { caller: Arc::new(row.caller), model, until: end };
        self.sessions.recent.put(token, &bearer);
        Ok(bearer)
    }

    /// Tells the audit log that nobody could be established.
    pub(super) fn login_failed(&self, provider: &str, reason: impl fmt::Display) {
        tracing::warn!(provider, %reason, "a login failed");
        (self.sessions.witness)(Happening::LoginFailed {
            provider: provider.to_owned(),
            reason: reason.to_string(),
        });
    }

    fn certify(&self, row: &SessionRow, csr_pem: &str) -> Result<(Credential, SystemTime), Refusal> {
        let left = row.expires_at.duration_since(self.sessions.clock.now()).unwrap_or_default();
        let life = self.credential_life.min(left);
        let uri = credential::uri(&self.host, &row.id, &row.caller.subject);
        let issued = self.authority.issue_client(csr_pem, &uri, life).map_err(|error| match error {
            CertsError::Request(_) => Refusal::new(code::BAD_REQUEST, error.to_string())
                .remedy("send a PKCS #10 request in PEM with a P-256 key"),
            other => {
                tracing::error!(error = %other, "a client certificate could not be made");
                Refusal::new(code::INTERNAL, "the gateway could not make a certificate")
                    .remedy("try again; the gateway's log says more")
            }
        })?;
        let roots = self.roots().map(|roots| roots.borrow().clone());
        let credential = Credential {
            certificate: issued.chain_pem,
            expires_at: rfc3339(issued.expires_at),
            session_expires_at: rfc3339(row.expires_at),
            session: row.id.clone(),
            user: row.caller.user().to_owned(),
            groups: row.caller.groups.clone(),
            provider: row.caller.provider.clone(),
            roots: roots.as_ref().map(|roots| roots.roots.clone()).unwrap_or_default(),
            roots_version: roots.map(|roots| roots.version),
        };
        Ok((credential, issued.expires_at))
    }

    fn open_blocking(
        config: Config,
        store: Arc<dyn Store>,
        authority: Arc<Authority>,
        clock: Clock,
        witness: Witness,
    ) -> Result<Self, IdentityError> {
        let issuer = issuer(&config.public_url)?;
        let host = config.public_url.host_str().unwrap_or_default().to_owned();
        let seal = open_seal(&config.state)?;
        let tokens = Tokens::open(&config.state, issuer.clone()).map_err(IdentityError::Keys)?;
        let surroundings =
            Surroundings { public_url: config.public_url, issuer, state: config.state, clock: clock.clone() };
        let providers = Providers::new(Prepared::open(config.providers, None, &surroundings)?);
        let issuer = surroundings.issuer.clone();
        let sessions = Arc::new(Sessions {
            store,
            providers,
            leases: Arc::new(Leases::default()),
            seal,
            clock,
            witness,
            life: config.session_life,
            remedy: format!("run `hoopctl login {issuer}`"),
            busy: std::sync::Mutex::default(),
            recent: Recent::default(),
        });
        Ok(Self {
            issuer,
            sessions,
            tokens,
            bearers: Bearers::default(),
            failures: Failures::default(),
            may_use: OnceLock::new(),
            visits: Visits::default(),
            host,
            token_life: config.token_life,
            credential_life: config.credential_life,
            own_roots: config.own_roots,
            authority,
            surroundings,
        })
    }
}

/// The origin of `public_url`, which names the authorization server (RFC 8414 §2).
fn issuer(public_url: &url::Url) -> Result<String, IdentityError> {
    let bare = public_url.path() == "/"
        && public_url.query().is_none()
        && public_url.fragment().is_none()
        && public_url.username().is_empty()
        && public_url.password().is_none();
    if public_url.scheme() != "https" || !bare {
        return Err(IdentityError::PublicUrl(public_url.to_string()));
    }
    Ok(public_url.origin().ascii_serialization())
}

fn open_seal(state: &Path) -> Result<Seal, IdentityError> {
    Seal::open(state)
        .map_err(|error| IdentityError::Keys(format!("{}: {error}", state.join("seal.key").display())))
}

/// Opens one provider. Blocks on files and on secrets that are commands.
pub(super) fn open_provider(provider: ProviderConfig, around: &Surroundings) -> Result<Provider, String> {
    let Surroundings { public_url, issuer, clock, .. } = around;
    let ProviderConfig { name, kind } = provider;
    match kind {
        ProviderKind::Oidc { issuer: idp, client_id, client_secret, scopes, groups_claim, ca, preset } => {
            let redirect_uri = format!("{issuer}{}", authorization::CALLBACK);
            let settings = oidc::Settings {
                name,
                issuer: idp,
                client_id,
                client_secret,
                scopes,
                groups_claim,
                preset,
                redirect_uri,
            };
            RelyingParty::new(settings, ca.as_deref(), clock.clone()).map(|p| Provider::Oidc(Box::new(p)))
        }
        ProviderKind::Saml(section) => {
            let host = public_url.host_str().unwrap_or_default();
            let key = ServiceKey::open(&around.state, host, clock.now())?;
            let base = format!("{issuer}{}/{name}", authorization::SAML);
            let entity_id = section.entity_id.clone().unwrap_or_else(|| base.clone());
            let settings = saml::Settings { name, entity_id, acs: format!("{base}/acs"), config: *section };
            ServiceProvider::new(settings, key, clock.clone()).map(|p| Provider::Saml(Box::new(p)))
        }
        ProviderKind::Workload { issuer, audience, jwks, subject_claim, groups_claim, ca } => {
            let settings =
                workload::Settings { name, issuer, audience, jwks, subject_claim, groups_claim, ca };
            Workload::new(settings).map(|w| Provider::Workload(Box::new(w)))
        }
        ProviderKind::Service { accounts } => Service::new(name, accounts).map(Provider::Service),
        ProviderKind::Dev { users } => {
            if !is_loopback(public_url) {
                return Err(format!(
                    "a `dev` provider asks for no password, and {public_url} is not on loopback; remove it or set public_url to https://localhost"
                ));
            }
            Ok(Provider::Dev(Dev::new(name, users)))
        }
    }
}
