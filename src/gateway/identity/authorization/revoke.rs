//! `POST /oauth2/revoke` (RFC 7009): a refresh token or a general access token ends its whole login session.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::token::{Failure, check_client, read, required};
use crate::gateway::identity::{
    Identities,
    sessions::{database, sha256},
};

/// 200, also for tokens that are unknown or over: what the client wants is already so. A token of one model is refused (RFC 7009 §2.2.1).
pub(super) async fn revoke(State(identities): State<Arc<Identities>>, request: Request) -> Response {
    match end(&identities, request).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(failure) => failure.into_response(),
    }
}

async fn end(identities: &Identities, request: Request) -> Result<(), Failure> {
    let (_, params) = read(request).await?;
    check_client(&params)?;
    let token = required(&params, "token")?;
    let sessions = &identities.sessions;
    let by_refresh = sessions
        .store
        .session_by_refresh(&sha256(token.as_bytes()))
        .await
        .map_err(database)?
        .map(|row| row.id);
    let mut session = by_refresh.or_else(|| sessions.seal.session_of(token).map(str::to_owned));
    if session.is_none()
        && let Ok(access) = identities.tokens.verify(token, &sessions.clock)
    {
        if identities.tokens.bound(&access).is_some() {
            // It is handed to tools that shall use one model: they must not be able to log the person out.
            return Err(Failure::new(
                "unsupported_token_type",
                "a token of one model is not revoked by itself; it is over within minutes",
            ));
        }
        session = Some(access.sid);
    }
    if let Some(session) = session {
        identities.revoke(&session, "the user logged out").await?;
    }
    Ok(())
}
