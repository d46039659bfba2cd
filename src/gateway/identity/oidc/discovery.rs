//! What a provider says about itself (OpenID Connect Discovery 1.0), checked and remembered.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::super::provider::ProviderError;
use crate::gateway::outbound::{Outbound, acceptable};

/// Read again after this.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// What cannot be read again is believed no longer than this.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// A failed attempt is not repeated before this.
const COOL_DOWN: Duration = Duration::from_secs(1);

/// The provider's metadata, as far as we use it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) jwks_uri: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    /// Whether the client secret must go into the body: only if the provider says so. Basic is the protocol's default.
    pub(super) fn secret_in_body(&self) -> bool {
        self.token_endpoint_auth_methods_supported.as_ref().is_some_and(|methods| {
            let has = |method: &str| methods.iter().any(|one| one == method);
            has("client_secret_post") && !has("client_secret_basic")
        })
    }

    /// Whether a scope may be asked for: a provider that lists its scopes may refuse a login for any other.
    pub(super) fn offers(&self, scope: &str) -> bool {
        self.scopes_supported.as_ref().is_none_or(|scopes| scopes.iter().any(|one| one == scope))
    }
}

/// Metadata, remembered.
#[derive(Default)]
pub(super) struct Discovery(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    metadata: Option<(Arc<Metadata>, Instant)>,
    failed: Option<(String, Instant)>,
}

impl Discovery {
    /// The metadata of `issuer`.
    pub(super) async fn metadata(
        &self,
        outbound: &Outbound,
        issuer: &Url,
    ) -> Result<Arc<Metadata>, ProviderError> {
        let mut known = self.0.lock().await;
        if let Some((metadata, read_at)) = &known.metadata
            && read_at.elapsed() < FRESH
        {
            return Ok(Arc::clone(metadata));
        }
        if let Some((error, at)) = &known.failed
            && at.elapsed() < COOL_DOWN
        {
            return still_known(&known).ok_or_else(|| ProviderError::Unreachable(error.clone()));
        }
        match read(outbound, issuer).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *known = Remembered { metadata: Some((Arc::clone(&metadata), Instant::now())), failed: None };
                Ok(metadata)
            }
            Err(error) => {
                tracing::warn!(%issuer, error, "the identity provider's metadata could not be read");
                known.failed = Some((error.clone(), Instant::now()));
                still_known(&known).ok_or(ProviderError::Unreachable(error))
            }
        }
    }
}

fn still_known(known: &Remembered) -> Option<Arc<Metadata>> {
    known
        .metadata
        .as_ref()
        .filter(|(_, read_at)| read_at.elapsed() < STALE)
        .map(|(metadata, _)| Arc::clone(metadata))
}

async fn read(outbound: &Outbound, issuer: &Url) -> Result<Metadata, String> {
    let base = issuer.as_str().trim_end_matches('/');
    let url = Url::parse(&format!("{base}/.well-known/openid-configuration")).map_err(|e| e.to_string())?;
    let metadata: Metadata = outbound.json(&url, None).await.map_err(|e| e.to_string())?;
    if metadata.issuer.contains('{') {
        return Err(format!(
            "{url} is of many tenants; name your own in gateway.toml: https://login.microsoftonline.com/TENANT-ID/v2.0"
        ));
    }
    if !same_issuer(issuer, &metadata.issuer) {
        return Err(format!(
            "{url} is of the issuer `{}`; write that in gateway.toml if it is the right one",
            metadata.issuer
        ));
    }
    let endpoints = [
        Some(&metadata.authorization_endpoint),
        Some(&metadata.token_endpoint),
        Some(&metadata.jwks_uri),
        metadata.userinfo_endpoint.as_ref(),
    ];
    if let Some(plain) = endpoints.into_iter().flatten().find(|url| !acceptable(url)) {
        return Err(format!("{url} names {plain}, which is not https"));
    }
    Ok(metadata)
}

/// Exactly equal, but that a URL without a path cannot say whether the operator wrote a final slash.
fn same_issuer(configured: &Url, said: &str) -> bool {
    let configured_text = configured.as_str();
    said == configured_text || (configured.path() == "/" && configured_text.strip_suffix('/') == Some(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_equal_or_different() {
        for (configured, said, same) in [
            ("https://idp.example.test", "https://idp.example.test", true),
            ("https://idp.example.test/", "https://idp.example.test", true),
            ("https://idp.example.test", "https://idp.example.test/", true),
            ("https://idp.example.test/realm", "https://idp.example.test/realm", true),
            ("https://idp.example.test/realm", "https://idp.example.test/realm/", false),
            ("https://idp.example.test/realm/", "https://idp.example.test/realm", false),
            ("https://idp.example.test", "https://idp.example.test.evil.test", false),
            ("https://idp.example.test", "http://idp.example.test", false),
            ("https://idp.example.test", "", false),
        ] {
            assert_eq!(same_issuer(&Url::parse(configured).unwrap(), said), same, "{configured} {said}");
        }
    }
}
