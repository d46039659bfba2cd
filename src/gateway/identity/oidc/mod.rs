//! OpenID Connect: the gateway as relying party of the company's provider.

mod discovery;
mod party;

pub(super) use party::{Expected, RelyingParty, Settings};
