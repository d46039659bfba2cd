//! Who is asking: over the tunnel the lease says it, over HTTPS a bearer token.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{HeaderMap, header, request::Parts};

use super::{ApiState, dress::ApiError};
use crate::{
    gateway::{identity::Caller, respond::Problem, session::ApiArrival},
    tunnel::Transport,
    wire::code,
};

/// The longest bearer token, in bytes.
const MAX_TOKEN: usize = 8192;

/// A caller who has proven who they are, for this one request.
#[derive(Clone, Debug)]
pub(super) struct Guest {
    pub(super) caller: Arc<Caller>,
    pub(super) source: Option<IpAddr>,
    /// `None` over HTTPS.
    pub(super) transport: Option<Transport>,
}

impl FromRequestParts<ApiState> for Guest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        // The tunnel's own word, which no request can bring along: extensions are not on the wire.
        if let Some(arrival) = parts.extensions.get::<ApiArrival>() {
            return Ok(Self {
                caller: arrival.lease.check(state.clock.now())?,
                source: Some(arrival.source),
                transport: Some(arrival.transport),
            });
        }
        let source = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let token = bearer(&parts.headers)?;
        Ok(Self { caller: state.identities.bearer(token).await?, source, transport: None })
    }
}

/// The token of the one `Authorization` header (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || {
        Problem::new(code::LOGIN_REQUIRED, "the request has no bearer token")
            .remedy("log in and send the access token: Authorization: Bearer …")
    };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(missing()) };
    let (scheme, token) = value.to_str().ok().and_then(|v| v.split_once(' ')).ok_or_else(missing)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > MAX_TOKEN {
        return Err(missing());
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_one_bearer_token_is_a_token() {
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            bearer(&headers).map(str::to_owned).ok()
        };
        assert_eq!(with(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(with(&["bearer abc"]).as_deref(), Some("abc"));
        let long = format!("Bearer {}", "x".repeat(MAX_TOKEN + 1));
        for wrong in [&[][..], &["Basic abc"], &["Bearer "], &["Bearer"], &["Bearer a", "Bearer b"], &[&long]]
        {
            assert_eq!(with(wrong), None, "{wrong:?}");
        }
    }
}
