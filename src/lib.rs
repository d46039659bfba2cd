//! hoopctl: one encrypted, named, recorded way from any client to any model.
//!
//! ```text
//!  your app ──plain, loopback only──▶ client ══ tunnel: QUIC + TLS 1.3 (or TLS 1.3 over TCP) ══▶ gateway ══ TLS, own credential ══▶ model
//!                                       port → lease                   accept → session → pipeline → upstream
//! ```
//!
//! The rooms in rank order, lowest last; an arrow may only point down (`tests/architecture.rs` holds this):
//!
//! `cli → demo → config → client | gateway → evidence → tunnel → tls, wire → telemetry, secret, clock, id`

pub mod cli;
pub mod client;
pub mod config;
#[cfg(feature = "gateway")]
pub mod demo;
pub mod evidence;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod tls;
pub mod tunnel;
pub mod wire;

pub mod clock;
pub mod id;
pub mod secret;
pub mod telemetry;
