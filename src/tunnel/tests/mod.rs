//! The promises of a tunnel, each held by both carriers.

mod dialling;
mod networks;
mod streams;
