//! The room's promises, proven together: a store in memory, a provider in the same process, a browser made of requests.

mod credentials;
mod login;
mod memory;
mod oidc;
mod provider;
mod refresh;
mod saml;
mod service;
mod workload;
mod world;
