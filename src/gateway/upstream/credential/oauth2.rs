//! The client credentials grant (RFC 6749 §4.4).

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use url::{Url, form_urlencoded::byte_serialize};

use super::{
    answer,
    token::{Granted, Means, read},
};
use crate::secret::{self, ExposeSecret};

/// A client of an authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oauth2 {
    /// The token endpoint: https, or http on loopback.
    pub token_url: Url,
    /// Who the gateway is there.
    pub client_id: String,
    /// Proves it. Read anew for each token.
    pub client_secret: secret::Source,
    /// Scopes, separated by spaces.
    pub scope: Option<String>,
    /// For whom the token is, where the server wants that said.
    pub audience: Option<String>,
    /// The secret travels in the form (`client_secret_post`) instead of the header (`client_secret_basic`).
    pub post: bool,
    /// The only roots the server is believed by; `None`: the operating system's.
    pub ca: Option<PathBuf>,
}

impl Oauth2 {
    pub(super) async fn grant(&self, means: &Means) -> Result<Granted, String> {
        let secret = read(&self.client_secret).await?;
        let secret = secret.expose_secret();
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        form.extend(self.audience.as_deref().map(|audience| ("audience", audience)));
        let mut headers = vec![("accept", "application/json")];
        let basic;
        if self.post {
            form.extend([("client_id", self.client_id.as_str()), ("client_secret", secret)]);
        } else {
            // RFC 6749 §2.3.1: both are form-encoded first.
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encoded(&self.client_id), encoded(secret));
            basic = format!("Basic {}", STANDARD.encode(pair));
            headers.push(("authorization", &basic));
        }
        let now = means.clock.now();
        let body = answer::post(&means.outbound, &self.token_url, &form, &headers).await?;
        answer::granted(&body, self.token_url.as_str(), now)
    }
}
