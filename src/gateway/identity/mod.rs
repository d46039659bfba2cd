//! Who is calling: the authorization server the CLI logs in to, the providers behind it, credentials issued, renewed, revoked.
//!
//! ```text
//!  browser ── authorization ──▶ provider (oidc, saml, dev) ──▶ code ──▶ session ──▶ access + refresh token
//!  workload token ── token exchange ─────────────────────────────▶ session ──▶ access token
//!  service account's secret or signature ── client credentials ─▶ session ──▶ access token
//!  session + CSR ──▶ credential (certificate) ── tunnel handshake ──▶ lease, renewed in place
//! ```

mod access;
mod authorization;
mod bearer;
mod browser;
mod caller;
mod config;
mod credential;
mod dev;
mod identities;
mod jwks;
mod lease;
mod oidc;
mod pages;
mod provider;
mod providers;
mod saml;
mod seal;
mod service;
mod sessions;
mod storage;
mod strict;
mod tokens;
mod visit;
mod workload;

#[cfg(test)]
mod proof;

pub use caller::{Caller, Happening, Witness};
pub use config::{
    Config, DevUser, Directory, DirectoryApi, Jwks, MetadataOrigin, Preset, ProviderConfig, ProviderKind,
    SamlConfig, ServiceAccount, ServiceProof, Signed,
};
pub use identities::{Identities, IdentityError, MayUse};
pub use lease::Lease;
pub use providers::Prepared;
pub use storage::{SessionRow, Store, StoreError, Whose};
pub(in crate::gateway) use {
    authorization::{guard, read_form},
    pages::render_styled,
    visit::{Onward, Visitor},
};
