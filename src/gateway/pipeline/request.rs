//! The request line and framing: what could be read in two ways is not passed on at all.

use http::request::Parts;

use crate::gateway::framing::{self, Malformed};

/// What the connection's guard found malformed, or what only shows in a head that has been parsed.
pub(super) fn check(head: &Parts) -> Result<(), Malformed> {
    let found = head.extensions.get::<Malformed>().copied();
    found.map_or_else(|| framing::check(head), Err)
}
