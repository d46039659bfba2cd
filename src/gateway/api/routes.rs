//! Every route, once: the router is made of this table, and so is the OpenAPI document.

use axum::{
    Router,
    routing::{MethodRouter, get, post},
};

use super::{ApiState, callers, events, openapi};

/// A route of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Me,
    Models,
    Credentials,
    Events,
    Tokens,
    Revocations,
    Openapi,
}

impl Route {
    pub(super) const ALL: [Self; 7] = [
        Self::Me,
        Self::Models,
        Self::Credentials,
        Self::Events,
        Self::Tokens,
        Self::Revocations,
        Self::Openapi,
    ];

    /// As HTTP writes it.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Me | Self::Models | Self::Events | Self::Openapi => "GET",
            Self::Credentials | Self::Tokens | Self::Revocations => "POST",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Me => "/api/v1/me",
            Self::Models => "/api/v1/models",
            Self::Credentials => "/api/v1/credentials",
            Self::Events => "/api/v1/audit/events",
            Self::Tokens => "/api/v1/tokens",
            Self::Revocations => "/api/v1/revocations",
            Self::Openapi => "/api/v1/openapi.json",
        }
    }

    fn handler(self) -> MethodRouter<ApiState> {
        match self {
            Self::Me => get(callers::me),
            Self::Models => get(callers::models),
            Self::Credentials => post(callers::credentials),
            Self::Events => get(events::events),
            Self::Tokens => post(callers::tokens),
            Self::Revocations => post(callers::revocations),
            Self::Openapi => get(openapi::document),
        }
    }

    pub(super) fn attach(self, router: Router<ApiState>) -> Router<ApiState> {
        router.route(self.path(), self.handler())
    }
}
