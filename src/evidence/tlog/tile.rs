//! Tiles and entry bundles (c2sp.org/tlog-tiles): their names, which of them a tree has, and their contents.

use std::{fmt, str::FromStr};

use super::hash::Hash;

/// Hashes of a full tile, and entries of a full bundle.
pub const HASHES: u64 = 256;

/// The longest entry of a bundle, in bytes.
pub const MAX_ENTRY: usize = u16::MAX as usize;

/// The highest level that a tree of 64-bit size has.
const MAX_LEVEL: u8 = 7;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Leaves.
    Entries,
    /// Hashes of this level; at level 0 those of leaves.
    Hashes(u8),
}

/// The name of a tile or entry bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// What it holds.
    pub kind: Kind,
    /// Which of its level.
    pub index: u64,
    /// How many hashes or entries, 1 to [`HASHES`]; with fewer it is partial.
    pub width: u64,
}

impl Tile {
    /// The index of the first leaf it covers.
    pub fn first_leaf(&self) -> u64 {
        let level = match self.kind {
            Kind::Entries => 0,
            Kind::Hashes(level) => u32::from(level),
        };
        self.index.saturating_mul(HASHES.saturating_pow(level + 1))
    }

    /// The same tile as it is once full.
    #[must_use]
    pub fn full(self) -> Self {
        Self { width: HASHES, ..self }
    }

    /// How many of its hashes or entries a tree of this size has, at most [`HASHES`]; 0 when it has none.
    pub fn width_in(&self, size: u64) -> u64 {
        let level = match self.kind {
            Kind::Entries => 0,
            Kind::Hashes(level) => u32::from(level),
        };
        let all = size >> (8 * level).min(63);
        all.saturating_sub(self.index.saturating_mul(HASHES)).min(HASHES)
    }
}

impl fmt::Display for Tile {
    /// Its path below the log's prefix: `tile/0/x001/067.p/8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Entries => f.write_str("tile/entries")?,
            Kind::Hashes(level) => write!(f, "tile/{level}")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for (left, group) in groups.iter().enumerate().rev() {
            let mark = if left == 0 { "" } else { "x" };
            write!(f, "/{mark}{group:03}")?;
        }
        if self.width < HASHES { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

/// A path that names no tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no path of a tile: tile/LEVEL/NNN or tile/entries/NNN, with .p/WIDTH when partial")]
pub struct NoTile;

impl FromStr for Tile {
    type Err = NoTile;

    /// The only spelling is the one that [`Self`] is displayed as.
    fn from_str(path: &str) -> Result<Self, NoTile> {
        let rest = path.strip_prefix("tile/").ok_or(NoTile)?;
        let (name, width) = match rest.split_once(".p/") {
            Some((name, width)) => (name, width.parse().map_err(|_| NoTile)?),
            None => (rest, HASHES),
        };
        let (kind, index) = name.split_once('/').ok_or(NoTile)?;
        let kind = match kind {
            "entries" => Kind::Entries,
            level => Kind::Hashes(level.parse().map_err(|_| NoTile)?),
        };
        let mut number: u64 = 0;
        for group in index.split('/') {
            let digits: u64 = group.strip_prefix('x').unwrap_or(group).parse().map_err(|_| NoTile)?;
            number = number.checked_mul(1000).and_then(|n| n.checked_add(digits)).ok_or(NoTile)?;
        }
        let tile = Self { kind, index: number, width };
        let known = kind <= Kind::Hashes(MAX_LEVEL) && (1..=HASHES).contains(&width);
        if known && tile.to_string() == path { Ok(tile) } else { Err(NoTile) }
    }
}

/// The tiles at the right edge of a tree, partial ones: for each level at most one, and one bundle of entries.
pub fn tiles(size: u64) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut all = size;
    for level in 0..=MAX_LEVEL {
        let width = all % HASHES;
        if width > 0 {
            let index = all / HASHES;
            if level == 0 {
                tiles.push(Tile { kind: Kind::Entries, index, width });
            }
            tiles.push(Tile { kind: Kind::Hashes(level), index, width });
        }
        all /= HASHES;
    }
    tiles
}

/// Adds an entry to a bundle's bytes; false, and nothing added, when it is longer than [`MAX_ENTRY`].
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(length) = u16::try_from(entry.len()) else { return false };
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    true
}

/// The entries of a bundle, in order; after the last whole one, `Err` with the bytes that are none.
pub fn entries(mut bundle: &[u8]) -> impl Iterator<Item = Result<&[u8], &[u8]>> {
    std::iter::from_fn(move || {
        if bundle.is_empty() {
            return None;
        }
        let entry = bundle
            .split_first_chunk()
            .and_then(|(length, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        Some(match entry {
            Some((entry, rest)) => {
                bundle = rest;
                Ok(entry)
            }
            None => Err(std::mem::take(&mut bundle)),
        })
    })
}

/// The hashes of a tile's bytes; `None` unless there are as many as its width.
pub(super) fn hashes(bytes: &[u8], width: u64) -> Option<Vec<Hash>> {
    let (whole, rest) = bytes.as_chunks::<{ Hash::LEN }>();
    let hashes: Vec<Hash> = whole.iter().filter_map(|bytes| Hash::from_bytes(bytes)).collect();
    (rest.is_empty() && hashes.len() as u64 == width).then_some(hashes)
}
