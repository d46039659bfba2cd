//! The relying party: sends browsers to the provider, takes codes, reads identities, and asks again at renewals.

use std::path::Path;

use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
    basic::{
        BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
        BasicTokenIntrospectionResponse, BasicTokenType,
    },
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    super::{
        config::{Jwks, Preset},
        jwks::Keys,
        provider::{
            Claimed, Claims, ProviderError, audiences, check_registered, display_name, subject, text,
        },
        strict::Unique,
    },
    discovery::{Discovery, Metadata},
    google::People,
};
use crate::{
    clock::Clock,
    gateway::outbound::{Outbound, OutboundError, acceptable},
    secret::{self, ExposeSecret, SecretString},
};

/// What `[[identity]] kind = "oidc"` says.
pub(in super::super) struct Settings {
    pub(in super::super) name: String,
    pub(in super::super) issuer: Url,
    pub(in super::super) client_id: String,
    pub(in super::super) client_secret: Option<secret::Source>,
    pub(in super::super) scopes: Vec<String>,
    pub(in super::super) groups_claim: String,
    pub(in super::super) preset: Preset,
    /// The gateway's `/login/callback`.
    pub(in super::super) redirect_uri: String,
}

/// The gateway as client of one OpenID provider.
pub(in super::super) struct RelyingParty {
    pub(super) settings: Settings,
    pub(super) outbound: Outbound,
    /// Google's directory, where it is asked for groups.
    pub(super) people: Option<People>,
    pub(super) clock: Clock,
    discovery: Discovery,
    keys: Keys,
}

/// What a token endpoint gave: verified only by [`RelyingParty::identify`].
pub(in super::super) struct Answer {
    id_token: Option<SecretString>,
    pub(super) access_token: SecretString,
    /// The provider's refresh token; where it rotates, the old one is worthless now: [`RelyingParty::keep`] this before
    /// anything else.
    pub(in super::super) refresh_token: Option<SecretString>,
}

/// What an identity must agree with.
#[derive(Clone, Copy)]
pub(in super::super) enum Expected<'a> {
    /// A login: the ID token answers the authorization request with this nonce.
    Nonce(&'a str),
    /// A renewal: the same person as before.
    Subject(&'a str),
}

/// The ID token beside the OAuth 2.0 fields.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct IdToken {
    #[serde(default)]
    id_token: Option<String>,
}
impl ExtraTokenFields for IdToken {}

type OidcClient = Client<
    BasicErrorResponse,
    StandardTokenResponse<IdToken, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl RelyingParty {
    /// Opens a provider without asking it anything: it may be away when the gateway starts. Blocks to read the secret once.
    pub(in super::super) fn new(settings: Settings, ca: Option<&Path>, clock: Clock) -> Result<Self, String> {
        if !acceptable(&settings.issuer) {
            return Err(format!("{} is not https (plain http is for loopback alone)", settings.issuer));
        }
        if let Some((what, remedy)) = settings.preset.unusable(&settings.issuer) {
            return Err(format!("{} is {what}; {remedy}", settings.issuer));
        }
        let people = match &settings.preset {
            Preset::Google { directory: Some(directory), .. } => Some(People::new(directory.clone())?),
            _ => None,
        };
        // A missing secret shall be found at start, not at the first login.
        settings.client_secret.as_ref().map(secret::Source::read).transpose().map_err(|e| e.to_string())?;
        let outbound = Outbound::new(ca)?;
        Ok(Self { settings, outbound, people, discovery: Discovery::default(), keys: Keys::default(), clock })
    }

    pub(in super::super) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Where to send the browser.
    pub(in super::super) async fn authorization_url(
        &self,
        state: &str,
        nonce: &str,
        verifier: &SecretString,
    ) -> Result<Url, ProviderError> {
        let metadata = self.metadata().await?;
        let client = self.client(&metadata).await?;
        let verifier = PkceCodeVerifier::new(verifier.expose_secret().to_owned());
        let scopes = self.scopes(&metadata);
        let mut request = client
            .authorize_url(|| CsrfToken::new(state.to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_extra_param("nonce", nonce);
        let offline = scopes.iter().any(|scope| scope == "offline_access");
        for (name, value) in self.settings.preset.parameters(offline) {
            request = request.add_extra_param(name, value);
        }
        Ok(request.add_scopes(scopes.into_iter().map(Scope::new)).url().0)
    }

    /// Checks the `iss` parameter of an authorization response (RFC 9207), where the provider sends it.
    pub(in super::super) async fn check_issuer(&self, iss: Option<&str>) -> Result<(), ProviderError> {
        let metadata = self.metadata().await?;
        match iss {
            Some(iss) if iss == metadata.issuer => Ok(()),
            None if !metadata.authorization_response_iss_parameter_supported => Ok(()),
            _ => Err(ProviderError::Invalid("the authorization response is of another issuer".to_owned())),
        }
    }

    /// Trades an authorization code for tokens.
    pub(in super::super) async fn redeem(
        &self,
        code: &str,
        verifier: &SecretString,
    ) -> Result<Answer, ProviderError> {
        let metadata = self.metadata().await?;
        let client = self.client(&metadata).await?;
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose_secret().to_owned()))
            .request_async(&self.outbound)
            .await;
        answer.map(|answer| Answer::of(&answer)).map_err(failed)
    }

    /// What to keep of an answer for renewals: the refresh token, if there is one, bound to this issuer and client. A
    /// session is not carried over to what another provider of the same name says later.
    pub(in super::super) fn keep(&self, answer: &Answer) -> SecretString {
        let token = answer.refresh_token.as_ref().map_or("", |token| token.expose_secret());
        format!("{}{token}", self.binding()).into()
    }

    /// Trades what was kept for fresh tokens; `None` when the provider gave no refresh token.
    pub(in super::super) async fn refresh(&self, kept: &str) -> Result<Option<Answer>, ProviderError> {
        let Some(token) = kept.strip_prefix(&self.binding()) else {
            return Err(ProviderError::Refused("the login was at another issuer or client".to_owned()));
        };
        if token.is_empty() {
            return Ok(None);
        }
        let metadata = self.metadata().await?;
        let client = self.client(&metadata).await?;
        let answer = client
            .exchange_refresh_token(&RefreshToken::new(token.to_owned()))
            .request_async(&self.outbound)
            .await;
        answer.map(|answer| Some(Answer::of(&answer))).map_err(failed)
    }

    /// Whether the provider can be asked, as far as its metadata tell.
    pub(in super::super) async fn available(&self) -> Result<(), ProviderError> {
        self.metadata().await.map(drop)
    }

    /// Who an answer names. `None` when it names nobody: some providers send no ID token at a refresh and have no userinfo.
    pub(in super::super) async fn identify(
        &self,
        answer: &Answer,
        expected: Expected<'_>,
    ) -> Result<Option<Claimed>, ProviderError> {
        let metadata = self.metadata().await?;
        let claims = match &answer.id_token {
            Some(token) => {
                let claims = self.id_claims(&metadata, token.expose_secret()).await?;
                if let Expected::Nonce(nonce) = expected
                    && text(&claims, "nonce", 512) != Some(nonce)
                {
                    return Err(invalid("the ID token answers another request (nonce)"));
                }
                claims
            }
            None if matches!(expected, Expected::Nonce(_)) => {
                return Err(invalid("it holds no ID token; is `openid` among the scopes?"));
            }
            None => match self.userinfo(&metadata, answer).await? {
                Some(claims) => claims,
                None => return Ok(None),
            },
        };
        let subject = subject(&claims, "sub")?;
        if let Expected::Subject(before) = expected
            && subject != before
        {
            return Err(ProviderError::Refused("it answered for another person".to_owned()));
        }
        self.settings.preset.admits(&claims)?;
        let groups = self.groups(&metadata, answer, &claims, &subject).await?;
        let email = self.settings.preset.email(&claims);
        Ok(Some(Claimed { email, name: display_name(&claims), subject, groups }))
    }

    pub(super) async fn userinfo(
        &self,
        metadata: &Metadata,
        answer: &Answer,
    ) -> Result<Option<Claims>, ProviderError> {
        let Some(url) = &metadata.userinfo_endpoint else { return Ok(None) };
        let claims = self.outbound.json::<Unique>(url, Some(answer.access_token.expose_secret())).await;
        claims.map(|claims| Some(claims.0)).map_err(|e| ProviderError::Unreachable(e.to_string()))
    }

    /// The claims of an ID token of this issuer for this client, in its time (OpenID Connect Core §3.1.3.7).
    async fn id_claims(&self, metadata: &Metadata, token: &str) -> Result<Claims, ProviderError> {
        let origin = Jwks::Url(metadata.jwks_uri.clone());
        let claims = self.keys.verify(&self.outbound, &origin, token).await?;
        let client_id = self.settings.client_id.as_str();
        let said =
            text(&claims, "iss", 512).filter(|said| self.settings.preset.also_issues(&metadata.issuer, said));
        check_registered(&claims, said.unwrap_or(&metadata.issuer), client_id, &self.clock)?;
        if !claims.contains_key("iat") {
            return Err(invalid("the ID token does not say when it was made"));
        }
        let party = claims.get("azp").map(|azp| azp.as_str() == Some(client_id));
        if party == Some(false) || (party.is_none() && audiences(&claims).count() > 1) {
            return Err(invalid("the ID token was made for another party"));
        }
        Ok(claims)
    }

    async fn metadata(&self) -> Result<std::sync::Arc<Metadata>, ProviderError> {
        self.discovery.metadata(&self.outbound, &self.settings.issuer).await
    }

    /// As configured; else what the vendor needs, as far as it advertises it.
    fn scopes(&self, metadata: &Metadata) -> Vec<String> {
        let Settings { scopes, preset, .. } = &self.settings;
        if !scopes.is_empty() {
            return scopes.clone();
        }
        let offered = |scope: &&&str| **scope == "openid" || metadata.offers(scope) || preset.unlisted(scope);
        preset.scopes().iter().filter(offered).map(|scope| preset.spelled(scope)).collect()
    }

    /// What comes before a refresh token that is kept.
    fn binding(&self) -> String {
        format!("{}\n{}\n", self.settings.issuer, self.settings.client_id)
    }

    async fn client(&self, metadata: &Metadata) -> Result<OidcClient, ProviderError> {
        let redirect = RedirectUrl::new(self.settings.redirect_uri.clone())
            .map_err(|e| ProviderError::Unreachable(e.to_string()))?;
        let client = Client::new(ClientId::new(self.settings.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(metadata.authorization_endpoint.clone()))
            .set_token_uri(TokenUrl::from_url(metadata.token_endpoint.clone()))
            .set_redirect_uri(redirect)
            .set_auth_type(if metadata.secret_in_body() {
                AuthType::RequestBody
            } else {
                AuthType::BasicAuth
            });
        match &self.settings.client_secret {
            None => Ok(client),
            Some(source) => {
                let secret = read_secret(source.clone()).await?;
                Ok(client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned())))
            }
        }
    }
}

impl Answer {
    fn of(answer: &StandardTokenResponse<IdToken, BasicTokenType>) -> Self {
        Self {
            id_token: answer.extra_fields().id_token.clone().map(Into::into),
            access_token: answer.access_token().secret().clone().into(),
            refresh_token: answer.refresh_token().map(|token| token.secret().clone().into()),
        }
    }
}

/// Read at each use, so that a changed secret file needs no restart; away from the runtime, because it may be a command.
async fn read_secret(source: secret::Source) -> Result<SecretString, ProviderError> {
    match tokio::task::spawn_blocking(move || source.read()).await {
        Ok(Ok(secret)) => Ok(secret),
        Ok(Err(error)) => Err(ProviderError::Unreachable(error.to_string())),
        Err(error) => Err(ProviderError::Unreachable(error.to_string())),
    }
}

fn invalid(why: &str) -> ProviderError {
    ProviderError::Invalid(why.to_owned())
}

/// A refusal of the person ends sessions; anything that may be the provider's or our own passing trouble does not.
fn failed(error: RequestTokenError<OutboundError, BasicErrorResponse>) -> ProviderError {
    const PERSONAL: [&str; 5] =
        ["access_denied", "login_required", "interaction_required", "consent_required", "mfa_required"];
    match error {
        RequestTokenError::ServerResponse(response) => {
            let kind = response.error();
            let personal = *kind == BasicErrorResponseType::InvalidGrant || PERSONAL.contains(&kind.as_ref());
            let text = printable(kind.as_ref());
            if personal { ProviderError::Refused(text) } else { ProviderError::Unreachable(text) }
        }
        RequestTokenError::Request(error) => ProviderError::Unreachable(error.to_string()),
        // The parser's error and the body are left out: a body may hold tokens.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            ProviderError::Unreachable("its token endpoint answered no OAuth 2.0 response".to_owned())
        }
    }
}

/// A foreign error word, safe to show.
fn printable(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_graphic()).take(64).collect()
}
