//! THE GATEWAY, in the order a request walks it.

pub mod accept;
pub mod analyse;
pub mod api;
pub mod approval;
pub mod audit;
pub mod certs;
pub mod console;
pub mod identity;
pub mod mask;
pub mod pipeline;
pub mod policy;
pub mod record;
pub mod respond;
pub mod session;
pub mod store;
pub mod upstream;

mod assembly;
mod framing;
mod outbound;
#[cfg(test)]
pub(in crate::gateway) use assembly::world;
pub use assembly::{Config, GRACE, Gateway, ReloadError, Reloaded, StartError};
