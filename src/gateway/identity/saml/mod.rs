//! SAML 2.0: the gateway as service provider of the company's identity provider (Web Browser SSO profile, SP-initiated).
//!
//! ```text
//!  request ── browser ──▶ identity provider ── browser ──▶ response ─▶ xml (bounds, parse)
//!                                                             ├─▶ signature (the exact node) ◀── metadata (keys)
//!                                                             ├─▶ decrypt   (keys of <state>/saml.key)
//!                                                             └─▶ assertion (for whom, until when) ─▶ who
//! ```

mod assertion;
#[cfg(test)]
pub(super) mod corpus;
mod decrypt;
mod descriptor;
mod keys;
mod metadata;
mod party;
mod remembered;
mod request;
mod response;
mod signature;
#[cfg(test)]
mod tests;
mod xml;

pub(super) use keys::ServiceKey;
pub(super) use party::{Received, ServiceProvider, Settings};
pub(super) use request::Start;

use super::provider::ProviderError;

/// The answer is not to be believed.
fn invalid(why: impl Into<String>) -> ProviderError {
    ProviderError::Invalid(why.into())
}
