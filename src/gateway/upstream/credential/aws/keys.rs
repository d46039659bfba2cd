//! Where AWS keys come from: named sources, the environment, a web identity, a container, an instance.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use url::Url;

use super::{
    super::{
        super::SetupError,
        renewed::{Fresh, Life, Origin},
        token::{Means, present, read},
    },
    AccessKeys, Aws, service,
};
use crate::{
    clock::Clock,
    gateway::outbound::Outbound,
    secret::{ExposeSecret, SecretString, Source},
};

/// How often named keys are looked at: what rotates them tells nobody.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Named sources, looked at every half minute.
    Named {
        /// The access key's id.
        id: Source,
        /// The secret access key.
        secret: Source,
        /// Of temporary keys.
        session: Option<Source>,
    },
    /// The first of [`Keys::Environment`], [`Keys::WebIdentity`], [`Keys::Container`] that the environment speaks of, else [`Keys::Instance`].
    Chain,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
    Environment,
    /// A token in a file is traded for keys of a role (IRSA). What is not said here is said by `AWS_ROLE_ARN`,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_SESSION_NAME`.
    WebIdentity {
        /// The role.
        role: Option<String>,
        /// The token, read anew for each trade.
        token_file: Option<PathBuf>,
    },
    /// The endpoint that ECS and EKS Pod Identity name in the environment.
    Container,
    /// The role of the instance, by IMDSv2.
    Instance,
}

/// Fetches keys.
pub(super) struct Chain {
    keys: Keys,
    region: String,
    endpoint: Option<Url>,
    means: Means,
}

pub(super) type Granted = Fresh<AccessKeys>;

impl Chain {
    /// Looks whether named keys are there.
    pub(super) fn new(config: &Aws, clock: &Clock) -> Result<Self, SetupError> {
        if let Keys::Named { id, secret, session } = &config.keys {
            for source in [id, secret].into_iter().chain(session) {
                present(source)?;
            }
        }
        Ok(Self {
            keys: config.keys.clone(),
            region: config.region.clone(),
            endpoint: config.endpoint.clone(),
            means: Means::new(Outbound::with_metadata_services(), clock)?,
        })
    }

    #[cfg(test)]
    pub(super) fn with_environment(mut self, environment: super::super::token::Environment) -> Self {
        self.means.environment = environment;
        self
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.means.environment)(name)
    }

    fn environment(&self) -> Result<Granted, String> {
        let need = |name: &str| self.variable(name).ok_or_else(|| format!("{name} is not set"));
        let keys = AccessKeys {
            id: need("AWS_ACCESS_KEY_ID")?,
            secret: need("AWS_SECRET_ACCESS_KEY")?.into(),
            session: self.variable("AWS_SESSION_TOKEN").map(Into::into),
        };
        Ok(Fresh { value: keys, life: Life::Unknown(Duration::from_hours(1)) })
    }

    async fn web_identity(&self, role: Option<&str>, file: Option<&PathBuf>) -> Result<Granted, String> {
        let role = role.map(str::to_owned).or_else(|| self.variable("AWS_ROLE_ARN"));
        let role = role.ok_or("there is neither `role_arn` nor AWS_ROLE_ARN")?;
        let file = file.cloned().or_else(|| self.variable("AWS_WEB_IDENTITY_TOKEN_FILE").map(Into::into));
        let file =
            file.ok_or("there is neither `web_identity_token_file` nor AWS_WEB_IDENTITY_TOKEN_FILE")?;
        let token = read(&Source::File(file)).await?;
        let session = self.variable("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "hoopctl".to_owned());
        let url = match &self.endpoint {
            Some(url) => url.clone(),
            None => service::sts(&self.region)?,
        };
        service::assume_role(&self.means.outbound, &url, &role, &session, &token).await
    }

    async fn container(&self) -> Result<Granted, String> {
        const HOST: &str = "http://169.254.170.2";
        let url = match (
            self.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            self.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ) {
            (Some(relative), _) if relative.starts_with('/') => format!("{HOST}{relative}"),
            (Some(_), _) => {
                return Err("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with /".to_owned());
            }
            (None, Some(full)) => full,
            (None, None) => return Err("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set".to_owned()),
        };
        let url =
            Url::parse(&url).map_err(|_| "AWS_CONTAINER_CREDENTIALS_FULL_URI is not a URL".to_owned())?;
        let token: Option<SecretString> = match self.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(path) => Some(read(&Source::File(path.into())).await?),
            None => self.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Into::into),
        };
        service::container(&self.means.outbound, &url, token.as_ref()).await
    }

    async fn chain(&self) -> Result<Granted, String> {
        let has = |name| self.variable(name).is_some();
        if has("AWS_ACCESS_KEY_ID") {
            self.environment()
        } else if has("AWS_WEB_IDENTITY_TOKEN_FILE") {
            self.web_identity(None, None).await
        } else if has("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") || has("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            self.container().await
        } else {
            self.instance()
                .await
                .map_err(|error| format!("the environment names no keys, and the instance has none: {error}"))
        }
    }

    async fn instance(&self) -> Result<Granted, String> {
        service::instance(&self.means.outbound, self.endpoint.as_ref()).await
    }
}

#[async_trait]
impl Origin for Chain {
    type Value = AccessKeys;

    async fn fetch(&self) -> Result<Granted, String> {
        match &self.keys {
            Keys::Named { id, secret, session } => {
                let session = match session {
                    Some(source) => Some(read(source).await?),
                    None => None,
                };
                let id = read(id).await?.expose_secret().to_owned();
                let keys = AccessKeys { id, secret: read(secret).await?, session };
                Ok(Fresh { value: keys, life: Life::Unknown(LOOK_EVERY) })
            }
            Keys::Chain => self.chain().await,
            Keys::Environment => self.environment(),
            Keys::WebIdentity { role, token_file } => {
                self.web_identity(role.as_deref(), token_file.as_ref()).await
            }
            Keys::Container => self.container().await,
            Keys::Instance => self.instance().await,
        }
    }
}
