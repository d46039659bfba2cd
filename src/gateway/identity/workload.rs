//! Workload tokens: JWTs that a cluster or a CI system gives its jobs, exchanged for a session (RFC 8693).

use std::{path::PathBuf, time::SystemTime};

use serde::Deserialize;
use tokio::sync::OnceCell;
use url::Url;

use super::{
    config::Jwks,
    jwks::{Keys, KeysError},
    provider::{Claimed, ProviderError, check_registered, groups, subject},
};
use crate::{
    clock::{Clock, from_unix_millis},
    gateway::outbound::{Outbound, acceptable},
};

/// A `workload` provider.
pub(super) struct Workload {
    name: String,
    issuer: String,
    audience: String,
    subject_claim: String,
    groups_claim: Option<String>,
    outbound: Outbound,
    keys: Keys,
    /// As configured, else as discovered once: an issuer that moves its keys' address needs a restart.
    origin: OnceCell<Jwks>,
}

/// What `[[identity]] kind = "workload"` says.
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) jwks: Option<Jwks>,
    pub(super) subject_claim: String,
    pub(super) groups_claim: Option<String>,
    pub(super) ca: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: Url,
}

impl Workload {
    pub(super) fn new(settings: Settings) -> Result<Self, String> {
        let Settings { name, issuer, audience, jwks, subject_claim, groups_claim, ca } = settings;
        Ok(Self {
            name,
            issuer,
            audience,
            subject_claim,
            groups_claim,
            outbound: Outbound::new(ca.as_deref())?,
            keys: Keys::default(),
            origin: OnceCell::new_with(jwks),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What `aud` of the tokens must hold.
    pub(super) fn audience(&self) -> &str {
        &self.audience
    }

    /// Who a token names, and until when, if it is of this issuer, for this audience, in its time.
    pub(super) async fn identify(
        &self,
        token: &str,
        clock: &Clock,
    ) -> Result<(Claimed, SystemTime), ProviderError> {
        let origin = self.origin.get_or_try_init(|| self.discover()).await?;
        let claims = self.keys.verify(&self.outbound, origin, token).await?;
        let exp = check_registered(&claims, &self.issuer, &self.audience, clock)?;
        let groups = self.groups_claim.as_deref().map(|claim| {
            groups(&claims, claim, &self.name).unwrap_or_else(|| {
                tracing::warn!(
                    provider = self.name,
                    claim,
                    "the groups claim is missing: the caller has no groups"
                );
                Vec::new()
            })
        });
        let claimed = Claimed {
            subject: subject(&claims, &self.subject_claim)?,
            email: None,
            name: None,
            groups: groups.unwrap_or_default(),
        };
        Ok((claimed, from_unix_millis(exp.saturating_mul(1000))))
    }

    /// Whether a token says, unverified, that it is of this issuer.
    pub(super) fn claims_issuer(&self, token: &str) -> bool {
        #[derive(Deserialize)]
        struct Issuer {
            iss: String,
        }
        // Only chooses whose keys the token is then checked with.
        jsonwebtoken::dangerous::insecure_decode_claims::<Issuer>(token)
            .is_ok_and(|claims| claims.iss == self.issuer)
    }

    async fn discover(&self) -> Result<Jwks, ProviderError> {
        let unreachable = |why: String| ProviderError::Unreachable(why);
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|e| unreachable(format!("{url}: {e}")))?;
        if !acceptable(&url) {
            return Err(unreachable(format!("{url}: plain http is for loopback alone: use an https URL")));
        }
        let found: Discovered =
            self.outbound.json(&url, None).await.map_err(|e| unreachable(e.to_string()))?;
        if found.issuer != self.issuer {
            return Err(unreachable(format!("{url} is of the issuer {}", found.issuer)));
        }
        Ok(Jwks::Url(found.jwks_uri))
    }
}

impl From<KeysError> for ProviderError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Invalid(why) => Self::Invalid(why),
            KeysError::Unreachable(why) => Self::Unreachable(why),
        }
    }
}
