//! `POST /oauth2/token`: codes, refresh tokens, workload tokens and service accounts become access tokens.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    client,
    code::{self, CodeError, Presented},
    exchange::{self, EXCHANGE},
    params::{Params, Repeated},
    read_form,
};
use crate::{
    clock::from_unix_millis,
    gateway::identity::{Caller, Identities},
    secret::{ExposeSecret, SecretString},
    wire::{
        Refusal,
        api::{CLIENT_ID, OAuthError, Tokens},
        code as refusal_code,
    },
};

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
            "slow_down" => StatusCode::TOO_MANY_REQUESTS,
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
        let mut response = (self.status, Json(body)).into_response();
        match self.status {
            // RFC 6749 §5.2: who tried the header is told that it is understood.
            StatusCode::UNAUTHORIZED => {
                let basic = HeaderValue::from_static("Basic realm=\"hoopctl\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
            }
            StatusCode::TOO_MANY_REQUESTS => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            }
            _ => {}
        }
        response
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

/// Reads a form.
pub(super) async fn read(request: Request) -> Result<(Parts, Params), Failure> {
    let (head, body) = request.into_parts();
    let form = read_form(&head.headers, body).await.map_err(|why| Failure::new("invalid_request", why))?;
    let params = Params::read(&form)
        .ok_or_else(|| Failure::new("invalid_request", "there are too many parameters"))?;
    Ok((head, params))
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
    let (head, params) = read(request).await?;
    match required(&params, "grant_type")? {
        "authorization_code" => {
            check_client(&params)?;
            let presented = Presented {
                code: required(&params, "code")?,
                redirect_uri: required(&params, "redirect_uri")?,
                verifier: required(&params, "code_verifier")?,
            };
            let (caller, end, refresh) = code::redeem(identities, presented).await?;
            let session_end = from_unix_millis(end);
            answer(identities, Granted { caller: &caller, model: None, session_end, refresh }, None)
        }
        "refresh_token" => {
            check_client(&params)?;
            let token = required(&params, "refresh_token")?.to_owned().into();
            let (row, next) = identities.sessions.refresh(&token).await?;
            let (caller, session_end) = (&row.caller, row.expires_at);
            answer(identities, Granted { caller, model: None, session_end, refresh: Some(next) }, None)
        }
        "client_credentials" => client::grant(identities, &head, &params).await,
        EXCHANGE => exchange::exchange(identities, &params).await,
        _ => Err(Failure::new("unsupported_grant_type", "this gateway knows no such grant_type")),
    }
}

/// RFC 6749 §5.1, and what RFC 8693 §2.2.1 adds.
#[derive(Serialize)]
struct Body {
    #[serde(flatten)]
    tokens: Tokens,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

/// What a grant gives.
pub(super) struct Granted<'a> {
    pub(super) caller: &'a Caller,
    /// The one model that the access token is for.
    pub(super) model: Option<&'a str>,
    pub(super) session_end: SystemTime,
    pub(super) refresh: Option<SecretString>,
}

/// The tokens of a grant (RFC 6749 §5.1).
pub(super) fn answer(
    identities: &Identities,
    granted: Granted<'_>,
    issued_token_type: Option<&'static str>,
) -> Result<Response, Failure> {
    let Granted { caller, model, session_end, refresh } = granted;
    let clock = &identities.sessions.clock;
    let left = session_end.duration_since(clock.now()).unwrap_or(Duration::ZERO);
    let minted = identities.tokens.mint(caller, model, identities.token_life, left, clock);
    let (access_token, life) = minted.map_err(|error| {
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
