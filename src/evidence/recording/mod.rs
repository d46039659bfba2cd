//! Recordings: the encrypted copy of an exchange, written in segments that are sealed, chained, checked and opened one by one.
//!
//! ```text
//!  header line ─▶ segment 0 ─▶ segment 1 ─▶ … ─▶ last segment        each: head | sealed | SHA-256 of both, with the one before in the head
//!                 sealed = age( zstd( first line, then one JSON line for each entry ) )
//! ```
//!
//! `docs/recordings.md` says how to do the same by hand.

mod entry;
mod file;
mod seal;

#[cfg(test)]
mod tests;

pub use entry::{Entry, NotAnEntry, Opened, Outcome, Side, What, entries};
pub use file::{
    Chain, Checked, Damage, End, Fault, Header, MAX_HEADER, MAX_SEALED, Reader, Segment, check, sha256_text,
};
pub use seal::{Identities, KeyError, MAX_PLAIN, Recipients, SealError, Sealer};

/// The value of [`Opened::schema`] and of [`Header::schema`].
pub const SCHEMA: &str = "hoopctl.recording/1";
