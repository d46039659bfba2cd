//! The room's promises, proven together: a store in memory, a provider in the same process, a browser made of requests.

mod credentials;
mod device;
mod entra;
mod google;
mod keys;
mod login;
mod memory;
mod oidc;
mod outage;
mod presets;
mod provider;
mod refresh;
mod reload;
mod saml;
mod service;
mod vendor;
mod workload;
mod world;
