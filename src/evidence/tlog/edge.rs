//! The right edge of a growing tree: the hashes of its partial tiles, which is all that appending and the root need.

use super::{
    hash::{Hash, node_hash, sha256},
    tile::{HASHES, Kind, Tile, hashes, tiles},
};

/// The edge of a tree. Some 8 KiB for each level of tiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// The partial tile of each level, fewer than [`HASHES`] hashes in each.
    levels: Vec<Vec<Hash>>,
}

/// A tile that has just become full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullTile {
    /// Its name.
    pub tile: Tile,
    /// Its hashes.
    pub hashes: Vec<Hash>,
}

impl FullTile {
    /// The tile's contents.
    pub fn bytes(&self) -> Vec<u8> {
        bytes(&self.hashes)
    }
}

/// A tile's bytes are not those of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{tile} is not {} hashes long", tile.width)]
pub struct Misfit {
    /// The tile.
    pub tile: Tile,
}

impl Edge {
    /// The edge of a tree of this size, from its partial tiles' bytes.
    ///
    /// # Errors
    /// Those of `read`, and [`Misfit`] for a tile of another length.
    pub fn read<E: From<Misfit>>(
        size: u64,
        mut read: impl FnMut(&Tile) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let mut edge = Self { size, levels: Vec::new() };
        for tile in tiles(size) {
            let Kind::Hashes(level) = tile.kind else { continue };
            let found = hashes(&read(&tile)?, tile.width).ok_or(Misfit { tile })?;
            edge.levels.resize(usize::from(level), Vec::new());
            edge.levels.push(found);
        }
        Ok(edge)
    }

    /// Leaves of the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash; the tiles that it fills go to `filled`, lowest level first.
    pub fn push(&mut self, leaf: Hash, filled: &mut Vec<FullTile>) {
        self.size += 1;
        let mut hash = leaf;
        let mut through = self.size;
        for level in 0_u8.. {
            through /= HASHES;
            let at = usize::from(level);
            if self.levels.len() <= at {
                self.levels.push(Vec::new());
            }
            let Some(partial) = self.levels.get_mut(at) else { return };
            partial.push(hash);
            if (partial.len() as u64) < HASHES {
                return;
            }
            let hashes = std::mem::take(partial);
            hash = perfect(&hashes);
            let tile = Tile { kind: Kind::Hashes(level), index: through.saturating_sub(1), width: HASHES };
            filled.push(FullTile { tile, hashes });
        }
    }

    /// The tree's root: RFC 6962 §2.1.
    pub fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for partial in &self.levels {
            // Perfect subtrees from the right: the lowest bit of the width is the rightmost.
            let mut rest = partial.as_slice();
            while !rest.is_empty() {
                let width = 1 << rest.len().trailing_zeros();
                let (left, subtree) = rest.split_at(rest.len() - width);
                let subtree = perfect(subtree);
                root = Some(root.map_or(subtree, |right| node_hash(&subtree, &right)));
                rest = left;
            }
        }
        root.unwrap_or_else(|| sha256(&[]))
    }

    /// The partial tile of a level, as bytes; empty when there is none.
    pub fn partial(&self, level: u8) -> Vec<u8> {
        self.levels.get(usize::from(level)).map(|partial| bytes(partial)).unwrap_or_default()
    }
}

/// The root of a perfect tree over these hashes, whose number is a power of two.
pub(super) fn perfect(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row.first().copied().unwrap_or_default()
}

fn bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(Hash::as_bytes).copied().collect()
}
