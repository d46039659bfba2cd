//! Inclusion and consistency proofs: made from the hashes of perfect subtrees, checked as RFC 9162 §2.1.3.2 and §2.1.4.2 say.

use super::{
    edge::{Misfit, perfect},
    hash::{Hash, node_hash, sha256},
    tile::{HASHES, Kind, Tile, hashes},
};

/// Reads the hash of a perfect subtree: its height, and which of that height it is from the left.
pub trait Subtrees<E>: FnMut(u32, u64) -> Result<Hash, E> {}
impl<E, F: FnMut(u32, u64) -> Result<Hash, E>> Subtrees<E> for F {}

/// The perfect subtrees of a tree of `size` leaves, read from its tiles; `read` gets the bytes of one.
pub fn from_tiles<E: From<Misfit>>(
    size: u64,
    mut read: impl FnMut(Tile) -> Result<Vec<u8>, E>,
) -> impl Subtrees<E> {
    move |height, index| {
        // A tile spans eight levels of the tree.
        let level = u8::try_from(height / 8).unwrap_or(u8::MAX);
        let many = 1_u64 << (height % 8);
        let first = index.saturating_mul(many);
        let tile = Tile { kind: Kind::Hashes(level), index: first / HASHES, width: HASHES };
        let tile = Tile { width: tile.width_in(size), ..tile };
        let found = hashes(&read(tile)?, tile.width).ok_or(Misfit { tile })?;
        let from = usize::try_from(first % HASHES).unwrap_or(usize::MAX);
        let wanted = usize::try_from(many).ok().and_then(|many| found.get(from..from.checked_add(many)?));
        Ok(perfect(wanted.ok_or(Misfit { tile })?))
    }
}

/// The inclusion proof of a leaf in a tree of `size` leaves; empty for an index beyond it.
///
/// # Errors
/// Those of `read`.
pub fn inclusion<E>(index: u64, size: u64, mut read: impl Subtrees<E>) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    if index < size {
        let (mut low, mut high) = (0, size);
        while high - low > 1 {
            let middle = low + split(high - low);
            if index < middle {
                proof.push(range(middle, high, &mut read)?);
                high = middle;
            } else {
                proof.push(range(low, middle, &mut read)?);
                low = middle;
            }
        }
        proof.reverse();
    }
    Ok(proof)
}

/// The proof that a tree of `old` leaves is the beginning of one of `new`; empty when there is nothing to prove.
///
/// # Errors
/// Those of `read`.
pub fn consistency<E>(old: u64, new: u64, mut read: impl Subtrees<E>) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    if old == 0 || old >= new {
        return Ok(proof);
    }
    let (mut low, mut high) = (0, new);
    // RFC 6962 §2.1.2, from the root down: ends where the old tree's edge is a whole subtree.
    while old != high {
        let middle = low + split(high - low);
        if old <= middle {
            proof.push(range(middle, high, &mut read)?);
            high = middle;
        } else {
            proof.push(range(low, middle, &mut read)?);
            low = middle;
        }
    }
    // The old root itself is known to whoever checks.
    if low > 0 {
        proof.push(range(low, high, &mut read)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether a leaf is at `index` of the tree of `size` leaves with this root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for step in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(step, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether the tree of `old` leaves is the beginning of the tree of `new`.
pub fn verify_consistency(old: (u64, &Hash), new: (u64, &Hash), proof: &[Hash]) -> bool {
    let ((old, old_root), (new, new_root)) = (old, new);
    if old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty() && *old_root == sha256(&[]);
    }
    // A perfect old tree is itself the first step.
    let mut steps = old.is_power_of_two().then_some(old_root).into_iter().chain(proof);
    let Some(first) = steps.next() else { return false };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut of_old, mut of_new) = (*first, *first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            of_old = node_hash(step, &of_old);
            of_new = node_hash(step, &of_new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            of_new = node_hash(&of_new, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && of_old == *old_root && of_new == *new_root
}

/// The hash over the leaves from `low` to before `high`, where `low` is a multiple of the next power of two.
fn range<E>(low: u64, high: u64, read: &mut impl Subtrees<E>) -> Result<Hash, E> {
    let width = high - low;
    if width.is_power_of_two() {
        return read(width.trailing_zeros(), low / width);
    }
    let middle = low + split(width);
    let left = range(low, middle, read)?;
    Ok(node_hash(&left, &range(middle, high, read)?))
}

/// The largest power of two below `width`, which is at least 2.
fn split(width: u64) -> u64 {
    1 << (u64::BITS - 1 - (width - 1).leading_zeros())
}
