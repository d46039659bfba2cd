//! One file for each section of `gateway.toml`.

pub(super) mod anomalies;
pub(super) mod approvals;
pub(super) mod audit;
mod credential;
pub(super) mod gateway;
pub(super) mod identity;
pub(super) mod mask;
pub(super) mod model;
mod servers;
pub(super) mod sessions;
pub(super) mod storage;
pub(super) mod tls;
