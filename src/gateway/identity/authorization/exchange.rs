//! Token exchange (RFC 8693): a workload's own token for a session, and any session for a token of one model.

use std::time::SystemTime;

use axum::response::Response;

use super::{
    params::Params,
    token::{Failure, Granted, answer, check_client, required},
};
use crate::gateway::identity::{
    Caller, Identities,
    provider::{Provider, ProviderError},
    sessions::{Beginning, SignedIn},
};

pub(super) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Answers one exchange. `scope` is ignored: what a token is good for is policy's to say.
pub(super) async fn exchange(identities: &Identities, params: &Params) -> Result<Response, Failure> {
    if params.one("client_id")?.is_some() {
        check_client(params)?;
    }
    let kind = required(params, "subject_token_type")?;
    if !matches!(params.one("requested_token_type")?, None | Some(ACCESS_TOKEN)) {
        return Err(Failure::new("invalid_request", format!("requested_token_type must be {ACCESS_TOKEN}")));
    }
    if params.one("actor_token")?.is_some() || params.one("actor_token_type")?.is_some() {
        return Err(Failure::new("invalid_request", "delegation (actor_token) is not served"));
    }
    let model = target(identities, params)?;
    let subject = required(params, "subject_token")?;
    let (caller, session_end) = match kind {
        JWT | ID_TOKEN => begin(identities, subject, model).await?,
        ACCESS_TOKEN => narrowed(identities, subject, model).await?,
        _ => {
            let known = format!("subject_token_type must be {JWT}, {ID_TOKEN} or {ACCESS_TOKEN}");
            return Err(Failure::new("invalid_request", known));
        }
    };
    let granted = Granted { caller: &caller, model, session_end, refresh: None };
    answer(identities, granted, Some(ACCESS_TOKEN))
}

/// The model that `resource` (RFC 8707) or `audience` asks for; none when the gateway itself is meant.
fn target<'a>(identities: &Identities, params: &'a Params) -> Result<Option<&'a str>, Failure> {
    let mut model = None;
    for name in ["resource", "audience"] {
        let Some(wanted) = params.one(name)? else { continue };
        if wanted.trim_end_matches('/') == identities.issuer {
            continue;
        }
        let named = identities.tokens.model_of(wanted).ok_or_else(|| no_target(identities))?;
        if model.is_some_and(|other| other != named) {
            return Err(Failure::new("invalid_target", "resource and audience name different models"));
        }
        model = Some(named);
    }
    Ok(model)
}

/// Unknown and forbidden models look alike: nobody learns here which models there are.
fn no_target(identities: &Identities) -> Failure {
    Failure::new(
        "invalid_target",
        format!("the target must be {0}/models/NAME with a model that the caller may use", identities.issuer),
    )
}

/// A session of a workload, which ends with its token.
async fn begin(
    identities: &Identities,
    token: &str,
    model: Option<&str>,
) -> Result<(Caller, SystemTime), Failure> {
    let (caller, token_end, signed_in) = workload(identities, token).await?;
    if model.is_some_and(|model| !identities.may_use(&caller, model)) {
        return Err(no_target(identities));
    }
    let sessions = &identities.sessions;
    let now = sessions.clock.now();
    let expires_at = token_end.min(now + sessions.life);
    if expires_at <= now {
        return Err(Failure::new("invalid_grant", "the workload token's time is over"));
    }
    let beginning = Beginning {
        caller: caller.clone(),
        expires_at,
        refreshable: false,
        provider_refresh: None,
        signed_in,
    };
    sessions.begin(beginning).await?;
    Ok((caller, expires_at))
}

/// The session of an access token, for a token that is good for less. It never gives one that is good for as much:
/// a stolen one would live on for ever.
async fn narrowed(
    identities: &Identities,
    token: &str,
    model: Option<&str>,
) -> Result<(Caller, SystemTime), Failure> {
    let sessions = &identities.sessions;
    let access =
        identities.tokens.verify(token, &sessions.clock).map_err(|why| Failure::new("invalid_grant", why))?;
    if identities.tokens.bound(&access).is_some() {
        return Err(Failure::new("invalid_grant", "the access token is bound to one model already"));
    }
    let row = sessions.live(&access.sid).await?;
    let Some(model) = model else { return Err(no_target(identities)) };
    if !identities.may_use(&row.caller, model) {
        return Err(no_target(identities));
    }
    Ok((row.caller, row.expires_at))
}

async fn workload(identities: &Identities, token: &str) -> Result<(Caller, SystemTime, SignedIn), Failure> {
    let sessions = &identities.sessions;
    let mut failure = Failure::new("invalid_grant", "the token is of no issuer that this gateway believes");
    // Several providers may share an issuer and differ in their audience.
    for provider in sessions.providers() {
        let Provider::Workload(workload) = &*provider else { continue };
        if !workload.claims_issuer(token) {
            continue;
        }
        let signed_in = sessions.signed_in(workload.name());
        match workload.identify(token, &sessions.clock).await {
            Ok((claimed, end)) => {
                return Ok((claimed.caller(workload.name(), true, sessions.new_id()), end, signed_in));
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
