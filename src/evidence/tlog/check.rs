//! The check of a whole log against its head and the heads that somebody kept: fed tile by tile, it does no IO.

use std::{collections::VecDeque, fmt};

use super::{
    checkpoint::Checkpoint,
    edge::Edge,
    hash::{Hash, leaf_hash},
    tile::{HASHES, Kind, Tile, entries, tiles},
};

/// What does not fit, and from which leaf on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tampering {
    /// The first bad index; where [`Self::before`] is given, the first it can be.
    pub index: u64,
    /// The first bad index lies before this one, and cannot be told more closely.
    pub before: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Tampering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.before {
            Some(before) if before > self.index + 1 => {
                write!(f, "first bad index: between {} and {}: {}", self.index, before - 1, self.what)
            }
            _ => write!(f, "first bad index: {}: {}", self.index, self.what),
        }
    }
}

impl std::error::Error for Tampering {}

/// A head that somebody kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The head.
    pub checkpoint: Checkpoint,
    /// What to call it, such as the name of its file.
    pub name: String,
}

/// A check under way. Feed it the tile that [`Self::wants`] names until it wants none, then [`Self::finish`].
#[derive(Debug)]
pub struct Check {
    head: Checkpoint,
    /// Ascending; those not yet passed.
    kept: VecDeque<Kept>,
    edge: Edge,
    /// Hash tiles as the leaves read so far make them, to be compared.
    expected: VecDeque<(Tile, Vec<u8>)>,
    /// The largest kept size whose head agrees.
    agreed: u64,
    /// A kept head that does not agree; told unless a tile says it more closely.
    differs: Option<Tampering>,
}

impl Check {
    /// A check of the log with this head.
    ///
    /// # Errors
    /// When a kept head is of a longer log: its tail is gone.
    pub fn new(head: Checkpoint, mut kept: Vec<Kept>) -> Result<Self, Tampering> {
        kept.sort_by_key(|kept| kept.checkpoint.size);
        if let Some(Kept { checkpoint, name }) = kept.last().filter(|k| k.checkpoint.size > head.size) {
            return Err(Tampering {
                index: head.size,
                before: None,
                what: format!(
                    "the log ends after {} events, and {name} is of a log with {}: its tail is gone",
                    head.size, checkpoint.size
                ),
            });
        }
        let mut check = Self {
            head,
            kept: kept.into(),
            edge: Edge::default(),
            expected: VecDeque::new(),
            agreed: 0,
            differs: None,
        };
        check.compare_kept();
        Ok(check)
    }

    /// The tile to be fed next; `None` when all of the log has been.
    pub fn wants(&self) -> Option<Tile> {
        if let Some((tile, _)) = self.expected.front() {
            return Some(*tile);
        }
        if self.edge.size() >= self.head.size {
            return None;
        }
        let bundle = Tile { kind: Kind::Entries, index: self.edge.size() / HASHES, width: HASHES };
        Some(Tile { width: bundle.width_in(self.head.size), ..bundle })
    }

    /// Takes the bytes of the tile wanted; `None` when there are none.
    ///
    /// # Errors
    /// When they are not what the log's other parts say.
    pub fn feed(&mut self, bytes: Option<&[u8]>) -> Result<(), Tampering> {
        let Some(tile) = self.wants() else { return Ok(()) };
        let Some(bytes) = bytes else {
            return Err(bad(tile.first_leaf(), format!("{tile} is missing")));
        };
        match self.expected.pop_front() {
            Some((tile, expected)) => self.compare(tile, &expected, bytes),
            None => self.grow(tile, bytes),
        }
    }

    /// What the check has come to.
    ///
    /// # Errors
    /// When the log is not the one its head is signed for, or parts of it were not fed.
    pub fn finish(self) -> Result<(), Tampering> {
        if let Some(tile) = self.wants() {
            return Err(bad(tile.first_leaf(), format!("{tile} is missing")));
        }
        if let Some(differs) = self.differs {
            return Err(differs);
        }
        if self.edge.root() == self.head.root {
            return Ok(());
        }
        Err(Tampering {
            index: self.agreed,
            before: Some(self.head.size),
            what: "the events are not those that the checkpoint is signed for".to_owned(),
        })
    }

    /// Takes a bundle's leaves in, and says which tiles must follow from them.
    fn grow(&mut self, bundle: Tile, bytes: &[u8]) -> Result<(), Tampering> {
        let mut filled = Vec::new();
        let mut left = bundle.width;
        for entry in entries(bytes) {
            let at = self.edge.size();
            let entry = entry.map_err(|_| bad(at, format!("{bundle} ends within an entry")))?;
            if left == 0 {
                return Err(bad(at, format!("{bundle} has more entries than the log")));
            }
            left -= 1;
            self.edge.push(leaf_hash(entry), &mut filled);
            self.compare_kept();
        }
        if left > 0 {
            return Err(bad(self.edge.size(), format!("{bundle} has {left} entries too few")));
        }
        self.expected.extend(filled.iter().map(|full| (full.tile, full.bytes())));
        if self.edge.size() == self.head.size {
            for tile in tiles(self.head.size) {
                if let Kind::Hashes(level) = tile.kind {
                    self.expected.push_back((tile, self.edge.partial(level)));
                }
            }
        }
        Ok(())
    }

    fn compare(&mut self, tile: Tile, expected: &[u8], bytes: &[u8]) -> Result<(), Tampering> {
        if bytes != expected {
            let same = expected.chunks(Hash::LEN).zip(bytes.chunks(Hash::LEN)).take_while(|(a, b)| a == b);
            let each = Tile { index: 1, ..tile }.first_leaf() / HASHES;
            let index = tile.first_leaf() + each * same.count() as u64;
            let what = match tile.kind {
                Kind::Hashes(0) => format!("the event is not the one whose hash is in {tile}"),
                _ => format!("the events from here on do not have the hash that is in {tile}"),
            };
            return Err(bad(index, what));
        }
        match self.differs.take_if(|_| self.expected.is_empty()) {
            Some(differs) => Err(differs),
            None => Ok(()),
        }
    }

    /// Compares the kept heads of the present size.
    fn compare_kept(&mut self) {
        while let Some(Kept { checkpoint, name }) =
            self.kept.pop_front_if(|kept| kept.checkpoint.size == self.edge.size())
        {
            if self.differs.is_some() {
                continue;
            }
            if checkpoint.root == self.edge.root() {
                self.agreed = checkpoint.size;
            } else {
                self.differs = Some(Tampering {
                    index: self.agreed,
                    before: Some(checkpoint.size),
                    what: format!("the log is not the one that {name} was kept of"),
                });
            }
        }
    }
}

fn bad(index: u64, what: String) -> Tampering {
    Tampering { index, before: None, what }
}
