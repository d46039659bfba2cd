//! OpenID Connect: the gateway as relying party of the company's provider.

mod api;
mod discovery;
mod google;
mod graph;
mod groups;
mod party;
mod preset;

pub(super) use party::{Expected, RelyingParty, Settings};
