//! The transparency log: an RFC 6962 Merkle tree in C2SP tiles, signed heads, proofs, and the check of it all.
//!
//! ```text
//!  leaf ─hash─▶ tile/0/000 ─▶ tile/1/000 ─▶ … root ─▶ checkpoint (a signed note)
//!    └────────▶ tile/entries/000
//! ```
//!
//! Specifications: c2sp.org/tlog-tiles, tlog-checkpoint, signed-note; RFC 6962 §2.1 and RFC 9162 §2.1 for hashes and proofs.

mod check;
mod checkpoint;
mod edge;
mod hash;
mod note;
mod proof;
#[cfg(test)]
mod tests;
mod tile;

pub use check::{Check, Kept, Tampering};
pub use checkpoint::Checkpoint;
pub use edge::{Edge, FullTile, Misfit};
pub use hash::{Hash, NoHash, leaf_hash, node_hash, sha256};
pub use note::{KeyError, Note, NoteError, SigningKey, VerifyingKey};
pub use proof::{consistency, from_tiles, inclusion, verify_consistency, verify_inclusion};
pub use tile::{HASHES, Kind, MAX_ENTRY, Tile, entries, push_entry, tiles};
