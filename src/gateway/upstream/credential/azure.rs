//! Microsoft Entra ID: client credentials, or a managed identity of a virtual machine, container or App Service.

use url::Url;

use super::{
    super::SetupError,
    answer,
    token::{Granted, Means, present, read},
};
use crate::secret::{self, ExposeSecret};

/// Entra ID of the public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com/";
/// The Instance Metadata Service.
const METADATA: &str = "http://169.254.169.254/";
/// Ends every scope that stands for a whole resource.
const DEFAULT: &str = "/.default";

/// An identity of Microsoft Entra ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Azure {
    /// Whose tokens.
    pub identity: Identity,
    /// What they are for, such as `https://cognitiveservices.azure.com/.default`.
    pub scope: String,
    /// Another authority than the public cloud's, or another metadata service.
    pub endpoint: Option<Url>,
}

/// Whose tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A registered application.
    Client {
        /// The directory.
        tenant: String,
        /// The application.
        client_id: String,
        /// Proves it. Read anew for each token.
        client_secret: secret::Source,
    },
    /// What the machine or service has that the gateway runs on.
    Managed {
        /// Which of several, for user-assigned ones.
        client_id: Option<String>,
    },
}

impl Azure {
    /// Looks whether the secret is there.
    pub(super) fn look(&self) -> Result<(), SetupError> {
        match &self.identity {
            Identity::Client { client_secret, .. } => present(client_secret),
            Identity::Managed { .. } => Ok(()),
        }
    }

    pub(super) async fn grant(&self, means: &Means) -> Result<Granted, String> {
        match &self.identity {
            Identity::Client { tenant, client_id, client_secret } => {
                self.client(means, tenant, client_id, client_secret).await
            }
            Identity::Managed { client_id } => self.managed(means, client_id.as_deref()).await,
        }
    }

    async fn client(
        &self,
        means: &Means,
        tenant: &str,
        client_id: &str,
        client_secret: &secret::Source,
    ) -> Result<Granted, String> {
        let secret = read(client_secret).await?;
        let authority = self.endpoint.as_ref().map_or(AUTHORITY, Url::as_str);
        let url = Url::parse(authority)
            .and_then(|url| url.join(&format!("{tenant}/oauth2/v2.0/token")))
            .map_err(|e| e.to_string())?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", secret.expose_secret()),
            ("scope", self.scope.as_str()),
        ];
        let now = means.clock.now();
        let body = answer::post(&means.outbound, &url, &form, &[("accept", "application/json")]).await?;
        answer::granted(&body, url.as_str(), now)
    }

    async fn managed(&self, means: &Means, client_id: Option<&str>) -> Result<Granted, String> {
        let environment = &means.environment;
        // App Service, Functions and Container Apps say where their own endpoint is.
        let service = (environment)("IDENTITY_ENDPOINT").zip((environment)("IDENTITY_HEADER"));
        let (mut url, version, key) = match (&self.endpoint, service) {
            (None, Some((endpoint, key))) => {
                let url = Url::parse(&endpoint).map_err(|_| "IDENTITY_ENDPOINT is not a URL".to_owned())?;
                (url, "2019-08-01", Some(key))
            }
            (endpoint, _) => {
                let base = endpoint.as_ref().map_or(METADATA, Url::as_str);
                let url = Url::parse(base).and_then(|url| url.join("metadata/identity/oauth2/token"));
                (url.map_err(|e| e.to_string())?, "2018-02-01", None)
            }
        };
        let resource = self.scope.strip_suffix(DEFAULT).unwrap_or(&self.scope);
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
        if let Some(client_id) = client_id {
            url.query_pairs_mut().append_pair("client_id", client_id);
        }
        let header = key.as_deref().map_or(("metadata", "true"), |key| ("x-identity-header", key));
        let now = means.clock.now();
        let body = answer::get(&means.outbound, &url, &[header]).await?;
        answer::granted(&body, "the managed identity's endpoint", now)
    }
}
