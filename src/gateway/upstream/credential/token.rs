//! Tokens in a header, from wherever they come.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderValue;

use super::{
    super::SetupError,
    Azure, Gcp, Oauth2,
    command::Command,
    renewed::{Fresh, Life, Origin},
};
use crate::{
    clock::Clock,
    gateway::outbound::Outbound,
    secret::{ExposeSecret, SecretString},
};

/// A token and how long it can be used.
pub(super) type Granted = Fresh<SecretString>;

/// Reads a variable of the process's environment; tests have their own.
pub(super) type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What an origin of tokens asks with.
pub(super) struct Means {
    pub(super) outbound: Outbound,
    pub(super) clock: Clock,
    pub(super) environment: Environment,
}

/// One way to tokens, and the header they travel in.
pub(super) struct Token {
    prefix: String,
    way: Way,
    means: Means,
}

enum Way {
    Command(Command),
    Oauth2(Oauth2),
    Gcp(Gcp),
    Azure(Azure),
}

impl Means {
    /// With the process's own environment.
    pub(super) fn new(outbound: Result<Outbound, String>, clock: &Clock) -> Result<Self, SetupError> {
        Ok(Self {
            outbound: outbound.map_err(SetupError::Setting)?,
            clock: clock.clone(),
            environment: Arc::new(|name| std::env::var(name).ok().filter(|value| !value.is_empty())),
        })
    }
}

impl Token {
    pub(super) fn command(argv: Vec<String>, prefix: String, clock: &Clock) -> Result<Self, SetupError> {
        Ok(Self {
            prefix,
            way: Way::Command(Command { argv }),
            means: Means::new(Outbound::new(None), clock)?,
        })
    }

    /// Looks whether the client's secret is there.
    pub(super) fn oauth2(config: &Oauth2, clock: &Clock) -> Result<Self, SetupError> {
        present(&config.client_secret)?;
        let means = Means::new(Outbound::new(config.ca.as_deref()), clock)?;
        Ok(Self::bearer(Way::Oauth2(config.clone()), means))
    }

    /// Looks whether the service account's key is there and usable.
    pub(super) fn gcp(config: &Gcp, clock: &Clock) -> Result<Self, SetupError> {
        config.look()?;
        Ok(Self::bearer(Way::Gcp(config.clone()), Means::new(Outbound::with_metadata_services(), clock)?))
    }

    /// Looks whether the client's secret is there.
    pub(super) fn azure(config: &Azure, clock: &Clock) -> Result<Self, SetupError> {
        config.look()?;
        Ok(Self::bearer(Way::Azure(config.clone()), Means::new(Outbound::with_metadata_services(), clock)?))
    }

    fn bearer(way: Way, means: Means) -> Self {
        Self { prefix: "Bearer ".to_owned(), way, means }
    }

    #[cfg(test)]
    pub(super) fn with_environment(mut self, environment: Environment) -> Self {
        self.means.environment = environment;
        self
    }
}

#[async_trait]
impl Origin for Token {
    type Value = HeaderValue;

    async fn fetch(&self) -> Result<Fresh<HeaderValue>, String> {
        let granted: Granted = match &self.way {
            Way::Command(command) => command.grant(&self.means).await?,
            Way::Oauth2(oauth2) => oauth2.grant(&self.means).await?,
            Way::Gcp(gcp) => gcp.grant(&self.means).await?,
            Way::Azure(azure) => azure.grant(&self.means).await?,
        };
        Ok(Fresh { value: header_value(&self.prefix, &granted.value)?, life: granted.life })
    }
}

/// Reads a secret that may block, beside the runtime.
pub(super) async fn read(source: &crate::secret::Source) -> Result<SecretString, String> {
    let source = source.clone();
    let read = tokio::task::spawn_blocking(move || source.read()).await;
    read.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
}

/// Says at the start what is missing. Commands are not run for it: they may take their time.
pub(super) fn present(source: &crate::secret::Source) -> Result<(), SetupError> {
    if !matches!(source, crate::secret::Source::Command(_)) {
        source.read()?;
    }
    Ok(())
}

/// The secret as a header that is never printed.
pub(super) fn header_value(prefix: &str, secret: &SecretString) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::try_from(format!("{prefix}{}", secret.expose_secret())).map_err(|_| {
        "a credential holds characters that no header can carry, such as a newline inside".to_owned()
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// How long a token lives that nobody told the end of.
pub(super) fn unknown_life() -> Life {
    Life::Unknown(std::time::Duration::from_mins(5))
}
