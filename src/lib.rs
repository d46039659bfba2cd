//! hoopctl: one encrypted, named, recorded way from any client to any model.

pub mod tls;
pub mod wire;

pub mod clock;
pub mod id;
pub mod secret;
pub mod telemetry;
