//! `POST /oauth2/token`: codes, refresh tokens and workload tokens become access tokens.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    code::{self, CodeError, Presented},
    params::{Params, Repeated},
    read_form,
};
use crate::{
    clock::from_unix_millis,
    gateway::identity::{
        Caller, Identities,
        provider::{Provider, ProviderError},
        sessions::Beginning,
    },
    secret::{ExposeSecret, SecretString},
    wire::{
        Refusal,
        api::{CLIENT_ID, OAuthError, Tokens},
        code as refusal_code,
    },
};

pub(super) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The tokens, or an [`OAuthError`].
pub(super) async fn token(State(identities): State<Arc<Identities>>, request: Request) -> Response {
    match grant(&identities, request).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

/// An error of RFC 6749 §5.2.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl Failure {
    pub(super) fn new(error: &'static str, description: impl Into<String>) -> Self {
        let status = match error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
            "temporarily_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, error, description: description.into() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = OAuthError { error: self.error.to_owned(), error_description: Some(self.description) };
        (self.status, Json(body)).into_response()
    }
}

impl From<Repeated> for Failure {
    fn from(Repeated(name): Repeated) -> Self {
        Self::new("invalid_request", format!("{name} stands there twice"))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let error =
            if refusal.code == refusal_code::LOGIN_REQUIRED { "invalid_grant" } else { "server_error" };
        Self::new(error, refusal.message)
    }
}

impl From<CodeError> for Failure {
    fn from(error: CodeError) -> Self {
        match error {
            CodeError::Invalid(why) => Self::new("invalid_grant", why),
            CodeError::Failed(refusal) => refusal.into(),
        }
    }
}

/// Reads a form of the one public client.
pub(super) async fn read(request: Request) -> Result<Params, Failure> {
    let (head, body) = request.into_parts();
    let form = read_form(&head.headers, body).await.map_err(|why| Failure::new("invalid_request", why))?;
    Params::read(&form).ok_or_else(|| Failure::new("invalid_request", "there are too many parameters"))
}

/// The client must name itself; it has no secret (RFC 6749 §3.2.1).
pub(super) fn check_client(params: &Params) -> Result<(), Failure> {
    match params.one("client_id")? {
        Some(CLIENT_ID) => Ok(()),
        _ => Err(Failure::new("invalid_client", format!("client_id={CLIENT_ID} is required"))),
    }
}

pub(super) fn required<'a>(params: &'a Params, name: &str) -> Result<&'a str, Failure> {
    params.one(name)?.ok_or_else(|| Failure::new("invalid_request", format!("{name} is missing")))
}

async fn grant(identities: &Identities, request: Request) -> Result<Response, Failure> {
    let params = read(request).await?;
    match required(&params, "grant_type")? {
        "authorization_code" => {
            check_client(&params)?;
            let presented = Presented {
                code: required(&params, "code")?,
                redirect_uri: required(&params, "redirect_uri")?,
                verifier: required(&params, "code_verifier")?,
            };
            let (caller, end, refresh) = code::redeem(identities, presented).await?;
            tokens(identities, &caller, from_unix_millis(end), refresh, None)
        }
        "refresh_token" => {
            check_client(&params)?;
            let token = required(&params, "refresh_token")?.to_owned().into();
            let (row, next) = identities.sessions.refresh(&token).await?;
            tokens(identities, &row.caller, row.expires_at, Some(next), None)
        }
        EXCHANGE => exchange(identities, &params).await,
        _ => Err(Failure::new("unsupported_grant_type", "this gateway knows no such grant_type")),
    }
}

/// A workload's own token for a session that ends with it (RFC 8693).
async fn exchange(identities: &Identities, params: &Params) -> Result<Response, Failure> {
    if params.one("client_id")?.is_some() {
        check_client(params)?;
    }
    if !matches!(required(params, "subject_token_type")?, JWT | ID_TOKEN) {
        return Err(Failure::new(
            "invalid_request",
            format!("subject_token_type must be {JWT} or {ID_TOKEN}"),
        ));
    }
    if !matches!(params.one("requested_token_type")?, None | Some(ACCESS_TOKEN)) {
        return Err(Failure::new("invalid_request", format!("requested_token_type must be {ACCESS_TOKEN}")));
    }
    if params.one("actor_token")?.is_some() {
        return Err(Failure::new("invalid_request", "delegation (actor_token) is not served"));
    }
    let (caller, token_end) = workload(identities, required(params, "subject_token")?).await?;
    let sessions = &identities.sessions;
    let now = sessions.clock.now();
    let expires_at = token_end.min(now + sessions.life);
    if expires_at <= now {
        return Err(Failure::new("invalid_grant", "the workload token's time is over"));
    }
    let beginning =
        Beginning { caller: caller.clone(), expires_at, refreshable: false, provider_refresh: None };
    sessions.begin(beginning).await?;
    tokens(identities, &caller, expires_at, None, Some(ACCESS_TOKEN))
}

async fn workload(identities: &Identities, token: &str) -> Result<(Caller, SystemTime), Failure> {
    let sessions = &identities.sessions;
    let mut failure = Failure::new("invalid_grant", "the token is of no issuer that this gateway believes");
    // Several providers may share an issuer and differ in their audience.
    for provider in sessions.providers() {
        let Provider::Workload(workload) = &*provider else { continue };
        if !workload.claims_issuer(token) {
            continue;
        }
        match workload.identify(token, &sessions.clock).await {
            Ok((claimed, end)) => {
                return Ok((claimed.caller(workload.name(), true, sessions.new_id()), end));
            }
            Err(error) => {
                identities.login_failed(workload.name(), &error);
                let kind = match error {
                    ProviderError::Unreachable(_) => "temporarily_unavailable",
                    ProviderError::Refused(_) | ProviderError::Invalid(_) => "invalid_grant",
                };
                failure = Failure::new(kind, error.to_string());
            }
        }
    }
    Err(failure)
}

/// RFC 6749 §5.1, and what RFC 8693 §2.2.1 adds.
#[derive(Serialize)]
struct Body {
    #[serde(flatten)]
    tokens: Tokens,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

fn tokens(
    identities: &Identities,
    caller: &Caller,
    session_end: SystemTime,
    refresh: Option<SecretString>,
    issued_token_type: Option<&'static str>,
) -> Result<Response, Failure> {
    let clock = &identities.sessions.clock;
    let left = session_end.duration_since(clock.now()).unwrap_or(Duration::ZERO);
    let (access_token, life) = identities.tokens.mint(caller, left, clock).map_err(|error| {
        tracing::error!(error, "an access token could not be signed");
        Failure::new("server_error", "the token could not be signed")
    })?;
    let tokens = Tokens {
        access_token,
        token_type: "Bearer".to_owned(),
        expires_in: life.as_secs(),
        refresh_token: refresh.map(|token| token.expose_secret().to_owned()),
    };
    Ok(Json(Body { tokens, issued_token_type }).into_response())
}
