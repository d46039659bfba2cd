//! The backend's credential: had from where the configuration says, joined to each attempt, never shown to anybody.

mod answer;
mod aws;
mod azure;
mod command;
mod gcp;
mod oauth2;
mod plain;
mod renewed;
#[cfg(test)]
mod tests;
mod token;

use http::{HeaderMap, HeaderName, Request, StatusCode, header};
use url::Url;

pub use aws::{Aws, Keys as AwsKeys, Payload as AwsPayload};
pub use azure::{Azure, Identity as AzureIdentity};
pub use gcp::{Gcp, Identity as GcpIdentity};
pub use oauth2::Oauth2;

use self::{aws::Signer, plain::Plain, renewed::Renewed, token::Token};
use super::{Outgoing, SetupError, UpstreamError};
use crate::{
    clock::Clock,
    gateway::outbound::{acceptable, is_metadata_service},
    secret,
};

/// What is joined to every request. With one, no API key of the caller's reaches the model; without one, the caller's own headers
/// pass as they came (the laptop's local key has been taken out before). Cookies pass either way: they are the model's sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A header.
    Header {
        /// Header name, such as `authorization`.
        header: String,
        /// Put before the secret, such as `Bearer `.
        prefix: String,
        /// Where the secret comes from.
        value: secret::Source,
    },
    /// A token by the client credentials grant (RFC 6749 §4.4).
    Oauth2(Oauth2),
    /// A signature by AWS Signature Version 4.
    Aws(Aws),
    /// A token of Google Cloud.
    Gcp(Gcp),
    /// A token of Microsoft Entra ID.
    Azure(Azure),
}

impl Credential {
    /// Whether tokens and keys may be asked for there: https anywhere, http on loopback and at the clouds' metadata services.
    pub fn may_come_from(url: &Url) -> bool {
        acceptable(url) || is_metadata_service(url)
    }
}

/// Headers by which applications carry API keys. With a credential of the gateway's own, none of the caller's reaches the model.
const CALLERS_KEYS: [HeaderName; 6] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
    HeaderName::from_static("x-amz-security-token"),
];

/// A credential in use.
pub(super) struct Joined {
    config: Credential,
    kind: Kind,
}

enum Kind {
    Plain(Plain),
    Token(HeaderName, Renewed<Token>),
    Aws(Signer),
}

impl Joined {
    /// Reads the secrets that are at hand; asks nobody yet.
    pub(super) fn new(model: &str, credential: &Credential, clock: &Clock) -> Result<Self, SetupError> {
        let token = |origin: Token| Kind::Token(header::AUTHORIZATION, Renewed::new(model, origin, clock));
        let kind = match credential {
            Credential::Header { header, prefix, value } => {
                let name = name(model, header)?;
                match value {
                    secret::Source::Command(argv) => {
                        let origin = Token::command(argv.clone(), prefix.clone(), clock)?;
                        Kind::Token(name, Renewed::new(model, origin, clock))
                    }
                    _ => Kind::Plain(Plain::new(model, name, prefix, value)?),
                }
            }
            Credential::Oauth2(config) => token(Token::oauth2(config, clock)?),
            Credential::Gcp(config) => token(Token::gcp(config, clock)?),
            Credential::Azure(config) => token(Token::azure(config, clock)?),
            Credential::Aws(config) => Kind::Aws(Signer::new(model, config, clock)?),
        };
        Ok(Self { config: credential.clone(), kind })
    }

    /// Goes on with the token or keys that `other`, the same credential before a reload, holds. The next are asked for with what was
    /// read now: a CA may have been replaced under its name.
    pub(super) fn inherit(&self, other: &Self) {
        if self.config != other.config {
            return;
        }
        match (&self.kind, &other.kind) {
            (Kind::Token(_, token), Kind::Token(_, before)) => token.inherit(before),
            (Kind::Aws(signer), Kind::Aws(before)) => signer.inherit(before),
            _ => {}
        }
    }

    /// Has the first token or keys fetched, and each next one before the last ends, whether or not there are requests.
    pub(super) fn keep(&self) {
        match &self.kind {
            Kind::Plain(_) => {}
            Kind::Token(_, token) => token.keep(),
            Kind::Aws(signer) => signer.keep(),
        }
    }

    /// Reads ahead what the credential needs of the body.
    ///
    /// # Errors
    /// As reading fails, and when the body is too long or too many are held.
    pub(super) async fn gather(&self, request: &mut Request<Outgoing>) -> Result<(), UpstreamError> {
        match &self.kind {
            Kind::Aws(signer) => signer.gather(request).await,
            Kind::Plain(_) | Kind::Token(..) => Ok(()),
        }
    }

    /// Replaces whatever the caller sent in the name of a key. For each attempt anew, on the request as it will be written.
    ///
    /// # Errors
    /// [`UpstreamError::Credential`] when there is none and none can be had, [`UpstreamError::DotSegment`] for a path that is not signed.
    pub(super) async fn join(&self, request: &mut Request<Outgoing>) -> Result<(), UpstreamError> {
        let lacking = |cause| UpstreamError::Credential { cause };
        match &self.kind {
            Kind::Plain(plain) => {
                let value = plain.current();
                replace_keys(request.headers_mut()).insert(plain.name().clone(), value);
            }
            Kind::Token(name, token) => {
                let value = token.get().await.map_err(lacking)?;
                replace_keys(request.headers_mut()).insert(name.clone(), (*value).clone());
            }
            Kind::Aws(signer) => {
                replace_keys(request.headers_mut());
                signer.sign(request).await?;
            }
        }
        Ok(())
    }

    /// What the model said. When it did not take the credential, that is had anew: it may have been rotated or revoked early.
    pub(super) fn answered(&self, status: StatusCode) {
        match &self.kind {
            Kind::Plain(plain) if status == StatusCode::UNAUTHORIZED => plain.reread(),
            Kind::Token(_, token) if status == StatusCode::UNAUTHORIZED => token.refused(),
            // AWS answers 403 to keys it does not know or that have expired.
            Kind::Aws(signer) if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                signer.refused();
            }
            _ => {}
        }
    }
}

fn replace_keys(headers: &mut HeaderMap) -> &mut HeaderMap {
    for name in &CALLERS_KEYS {
        headers.remove(name);
    }
    headers
}

fn name(model: &str, written: &str) -> Result<HeaderName, SetupError> {
    let name: HeaderName = written.parse().map_err(|_| {
        SetupError::Setting(format!("the credential of `{model}` has an impossible header name `{written}`"))
    })?;
    if is_framing(&name) {
        return Err(SetupError::Setting(format!(
            "the credential of `{model}` cannot travel in `{name}`, which belongs to HTTP itself"
        )));
    }
    Ok(name)
}

/// Headers that say how a message is framed and where it goes.
fn is_framing(name: &HeaderName) -> bool {
    [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
    ]
    .contains(name)
}
