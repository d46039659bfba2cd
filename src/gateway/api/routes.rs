//! Every route, once: the router is made of this table, and so is the OpenAPI document.

use axum::{
    Router,
    routing::{MethodRouter, get, post},
};

use super::{ApiState, approvals, callers, events, log, openapi, recordings, report, sessions};

/// A route of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Me,
    Models,
    Credentials,
    Events,
    Report,
    LogKey,
    LogCheckpoint,
    LogTile,
    LogProof,
    Sessions,
    Session,
    Recording,
    Tokens,
    Revocations,
    Lift,
    Approvals,
    Ask,
    Approval,
    Approve,
    Deny,
    Openapi,
}

impl Route {
    pub(super) const ALL: [Self; 21] = [
        Self::Me,
        Self::Models,
        Self::Credentials,
        Self::Events,
        Self::Report,
        Self::LogKey,
        Self::LogCheckpoint,
        Self::LogTile,
        Self::LogProof,
        Self::Sessions,
        Self::Session,
        Self::Recording,
        Self::Tokens,
        Self::Revocations,
        Self::Lift,
        Self::Approvals,
        Self::Ask,
        Self::Approval,
        Self::Approve,
        Self::Deny,
        Self::Openapi,
    ];

    /// As HTTP writes it.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Me | Self::Models | Self::Events | Self::Openapi => "GET",
            Self::Report | Self::LogKey | Self::LogCheckpoint | Self::LogTile | Self::LogProof => "GET",
            Self::Sessions | Self::Session | Self::Recording => "GET",
            Self::Approvals | Self::Approval => "GET",
            Self::Credentials | Self::Tokens | Self::Revocations => "POST",
            Self::Lift => "POST",
            Self::Ask | Self::Approve | Self::Deny => "POST",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Me => "/api/v1/me",
            Self::Models => "/api/v1/models",
            Self::Credentials => "/api/v1/credentials",
            Self::Events => "/api/v1/audit/events",
            Self::Report => "/api/v1/audit/report",
            Self::LogKey => "/api/v1/audit/log/key",
            Self::LogCheckpoint => "/api/v1/audit/log/checkpoint",
            Self::LogTile => "/api/v1/audit/log/tile/{*path}",
            Self::LogProof => "/api/v1/audit/log/proof/{event}",
            Self::Sessions => "/api/v1/sessions",
            Self::Session => "/api/v1/sessions/{id}",
            Self::Recording => "/api/v1/recordings/{exchange}",
            Self::Tokens => "/api/v1/tokens",
            Self::Revocations => "/api/v1/revocations",
            Self::Lift => "/api/v1/suspensions/lift",
            Self::Approvals | Self::Ask => "/api/v1/approvals",
            Self::Approval => "/api/v1/approvals/{id}",
            Self::Approve => "/api/v1/approvals/{id}/approve",
            Self::Deny => "/api/v1/approvals/{id}/deny",
            Self::Openapi => "/api/v1/openapi.json",
        }
    }

    fn handler(self) -> MethodRouter<ApiState> {
        match self {
            Self::Me => get(callers::me),
            Self::Models => get(callers::models),
            Self::Credentials => post(callers::credentials),
            Self::Events => get(events::events),
            Self::Report => get(report::report),
            Self::LogKey => get(log::key),
            Self::LogCheckpoint => get(log::checkpoint),
            Self::LogTile => get(log::tile),
            Self::LogProof => get(log::proof),
            Self::Sessions => get(sessions::list),
            Self::Session => get(sessions::show),
            Self::Recording => get(recordings::read),
            Self::Tokens => post(callers::tokens),
            Self::Revocations => post(callers::revocations),
            Self::Lift => post(callers::lift),
            Self::Approvals => get(approvals::list),
            Self::Ask => post(approvals::request),
            Self::Approval => get(approvals::show),
            Self::Approve => post(approvals::approve),
            Self::Deny => post(approvals::deny),
            Self::Openapi => get(openapi::document),
        }
    }

    pub(super) fn attach(self, router: Router<ApiState>) -> Router<ApiState> {
        router.route(self.path(), self.handler())
    }
}
