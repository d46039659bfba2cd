//! What laptops and OAuth clients read before they log in.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;

use super::{
    AUTHORIZE, REVOKE, TOKEN,
    device::{AUTHORIZATION, GRANT},
    exchange::EXCHANGE,
};
use crate::{
    gateway::identity::Identities,
    wire::{
        VERSION,
        api::{Discovery, Provider},
    },
};

/// `GET /.well-known/hoopctl`.
pub(super) async fn hoopctl(State(identities): State<Arc<Identities>>) -> Json<Discovery> {
    let issuer = &identities.issuer;
    let providers = identities.sessions.providers();
    Json(Discovery {
        schema: 1,
        issuer: issuer.clone(),
        gateway: concat!("hoopctl/", env!("CARGO_PKG_VERSION")).to_owned(),
        versions: vec![VERSION],
        authorization_endpoint: format!("{issuer}{AUTHORIZE}"),
        token_endpoint: format!("{issuer}{TOKEN}"),
        revocation_endpoint: format!("{issuer}{REVOKE}"),
        device_authorization_endpoint: Some(format!("{issuer}{AUTHORIZATION}")),
        credential_endpoint: format!("{issuer}/api/v1/credentials"),
        providers: providers
            .iter()
            .map(|provider| Provider {
                name: provider.name().to_owned(),
                kind: provider.kind().to_owned(),
                audience: provider.audience().map(str::to_owned),
            })
            .collect(),
        roots: identities.roots().map(|roots| roots.borrow().roots.clone()).unwrap_or_default(),
    })
}

/// Authorization server metadata (RFC 8414).
#[derive(Serialize)]
pub(super) struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: String,
    device_authorization_endpoint: String,
    response_types_supported: [&'static str; 1],
    response_modes_supported: [&'static str; 1],
    grant_types_supported: [&'static str; 5],
    code_challenge_methods_supported: [&'static str; 1],
    token_endpoint_auth_methods_supported: [&'static str; 4],
    token_endpoint_auth_signing_alg_values_supported: [&'static str; 3],
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    authorization_response_iss_parameter_supported: bool,
}

/// `GET /.well-known/oauth-authorization-server`.
pub(super) async fn metadata(State(identities): State<Arc<Identities>>) -> Json<Metadata> {
    let issuer = &identities.issuer;
    Json(Metadata {
        issuer: issuer.clone(),
        authorization_endpoint: format!("{issuer}{AUTHORIZE}"),
        token_endpoint: format!("{issuer}{TOKEN}"),
        revocation_endpoint: format!("{issuer}{REVOKE}"),
        device_authorization_endpoint: format!("{issuer}{AUTHORIZATION}"),
        response_types_supported: ["code"],
        response_modes_supported: ["query"],
        grant_types_supported: ["authorization_code", "refresh_token", "client_credentials", GRANT, EXCHANGE],
        code_challenge_methods_supported: ["S256"],
        token_endpoint_auth_methods_supported: [
            "none",
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
        ],
        token_endpoint_auth_signing_alg_values_supported: ["ES256", "RS256", "EdDSA"],
        revocation_endpoint_auth_methods_supported: ["none"],
        authorization_response_iss_parameter_supported: true,
    })
}
