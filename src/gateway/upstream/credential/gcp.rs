//! Google Cloud: a service account's key (RFC 7523), or the metadata server's account.

use url::Url;

use super::{
    super::SetupError,
    answer,
    token::{Granted, Means, read},
};
use crate::{gateway::outbound::ServiceAccount, secret};

/// The metadata server, by its address: that is the same everywhere and needs no name server.
const METADATA: &str = "http://169.254.169.254/";
const TOKEN_PATH: &str = "computeMetadata/v1/instance/service-accounts/default/token";

/// An account of Google Cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gcp {
    /// Whose tokens.
    pub identity: Identity,
    /// What they are for, as URLs.
    pub scopes: Vec<String>,
    /// Another token endpoint than the key names, or another metadata server.
    pub endpoint: Option<Url>,
}

/// Whose tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The JSON key of a service account. Read anew for each token.
    ServiceAccount(secret::Source),
    /// The account of the machine or pod that the gateway runs on.
    Metadata,
}

impl Gcp {
    /// Looks whether the key is there and usable.
    pub(super) fn look(&self) -> Result<(), SetupError> {
        if let Identity::ServiceAccount(source) = &self.identity
            && !matches!(source, secret::Source::Command(_))
        {
            ServiceAccount::parse(&source.read()?).map_err(SetupError::Setting)?;
        }
        Ok(())
    }

    pub(super) async fn grant(&self, means: &Means) -> Result<Granted, String> {
        let now = means.clock.now();
        match &self.identity {
            Identity::ServiceAccount(source) => {
                let account = ServiceAccount::parse(&read(source).await?)?;
                let url = self.endpoint.as_ref().unwrap_or_else(|| account.token_uri());
                let assertion =
                    account.assertion(url, &self.scopes.join(" "), None, means.clock.unix_seconds())?;
                let form = [
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", assertion.as_str()),
                ];
                let accept = [("accept", "application/json")];
                let body = answer::post(&means.outbound, url, &form, &accept).await?;
                answer::granted(&body, url.as_str(), now)
            }
            Identity::Metadata => {
                let base = self.endpoint.as_ref().map_or(METADATA, Url::as_str);
                let mut url =
                    Url::parse(base).and_then(|url| url.join(TOKEN_PATH)).map_err(|e| e.to_string())?;
                url.query_pairs_mut().append_pair("scopes", &self.scopes.join(","));
                let body = answer::get(&means.outbound, &url, &[("metadata-flavor", "Google")]).await?;
                answer::granted(&body, "the metadata server", now)
            }
        }
    }
}
