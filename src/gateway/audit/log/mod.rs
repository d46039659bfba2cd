//! The verifiable log: the ledger's events as leaves of a C2SP tlog-tiles log, with a signed head every second.
//!
//! ```text
//!  ledger ──sequencer, behind the exchanges──▶ tiles, then the checkpoint ──▶ auditors
//!  seq n is leaf n−1                           files, synced to disk
//! ```
//!
//! A checkpoint is published only when all its tiles are on disk, so what it covers survives a loss of power, also where the ledger's last
//! rows do not: they are put back from the log at the next start. What lies beyond the checkpoint is sequenced again, to the same tiles.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::{AuditError, Ledger, Scribe, indexer::blocking};
use crate::{
    evidence::{
        report,
        tlog::{
            Checkpoint, HASHES, Hash, Kind, Misfit, Tile, VerifyingKey, from_tiles, inclusion, sha256, tiles,
        },
    },
    secret::SecretString,
};

mod opening;
mod sequencer;
#[cfg(test)]
mod tests;

pub use sequencer::Sequencer;

/// Where the log lies; implemented by `store`. Paths are those of tlog-tiles: `checkpoint`, `tile/0/000`. All methods block.
pub trait LogStore: Send + Sync {
    /// A file's contents; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, AuditError>;

    /// Writes a file, whole or not at all; on disk when it returns.
    ///
    /// # Errors
    /// When it is not.
    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), AuditError>;

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// When it stays.
    fn remove(&self, path: &str) -> Result<(), AuditError>;

    /// The log's key as it was kept.
    ///
    /// # Errors
    /// When it cannot be read, or others than its owner can.
    fn key(&self) -> Result<Option<SecretString>, AuditError>;

    /// Keeps the key, for its owner alone.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn keep_key(&self, key: &SecretString) -> Result<(), AuditError>;

    /// Keeps the public key, for everybody.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn keep_public_key(&self, key: &str) -> Result<(), AuditError>;
}

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place in the ledger; its leaf's index is one less.
    pub seq: u64,
    /// The event's text.
    pub json: String,
}

/// The head that is published.
#[derive(Debug)]
struct Published {
    head: Checkpoint,
    note: String,
}

/// The log, for those who read it. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn LogStore>,
    key: VerifyingKey,
    published: ArcSwap<Published>,
    /// The published head's size, for those who wait for it to grow.
    size: watch::Sender<u64>,
    tasks: TaskTracker,
}

impl Log {
    /// Opens the log, or begins one that is named `origin`; brings back into the ledger what only the log still has. Belongs before the
    /// scribe's opening. Nothing is sequenced before [`Self::follow`].
    ///
    /// # Errors
    /// When key, checkpoint, tiles and ledger do not belong together, or cannot be read: a gateway must not start then.
    pub async fn open(
        store: Arc<dyn LogStore>,
        ledger: Arc<dyn Ledger>,
        origin: &str,
    ) -> Result<(Self, Sequencer), AuditError> {
        let origin = origin.to_owned();
        let opened = blocking({
            let store = Arc::clone(&store);
            move || opening::open(store.as_ref(), &origin)
        })
        .await?;
        opening::settle(&opened, &store, ledger.as_ref()).await?;
        let published = Published { head: opened.head.clone(), note: opened.note.clone() };
        let size = watch::Sender::new(opened.head.size);
        let log = Self {
            shared: Arc::new(Shared {
                store,
                key: opened.key.public().clone(),
                published: ArcSwap::from_pointee(published),
                size,
                tasks: TaskTracker::new(),
            }),
        };
        let sequencer = Sequencer::new(log.clone(), ledger, opened);
        Ok((log, sequencer))
    }

    /// Sequences what the scribe records, until it has closed; see [`Self::closed`].
    pub fn follow(&self, sequencer: Sequencer, scribe: &Scribe) {
        self.shared.tasks.spawn(sequencer.run(scribe.progress()));
        self.shared.tasks.close();
    }

    /// Resolves when, after the scribe's end, everything it recorded is in the log as far as it could be.
    pub async fn closed(&self) {
        self.shared.tasks.wait().await;
    }

    /// The public key, as a vkey.
    pub fn key(&self) -> String {
        self.shared.key.to_string()
    }

    /// The published checkpoint, a signed note.
    pub fn checkpoint(&self) -> String {
        self.shared.published.load().note.clone()
    }

    /// Events that the published checkpoint covers.
    pub fn size(&self) -> u64 {
        self.shared.published.load().head.size
    }

    /// Resolves when the published checkpoint covers so many events.
    pub async fn covers(&self, events: u64) {
        let mut size = self.shared.size.subscribe();
        // The sender lives as long as this log.
        let _ = size.wait_for(|size| *size >= events).await;
    }

    /// The published head for a report.
    pub(super) fn head(&self) -> report::Head {
        let published = self.shared.published.load();
        let key = self.key();
        report::Head {
            origin: published.head.origin.clone(),
            size: published.head.size,
            root: published.head.root.to_string(),
            key_sha256: sha256(key.as_bytes()).to_string(),
            key,
            note: published.note.clone(),
            ..report::Head::default()
        }
    }

    /// A tile of the published tree, also at a width it had earlier; `None` when the tree has no such tile.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, AuditError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.tile(tile)).await
    }

    /// That the leaf `index` is in the tree of a published checkpoint, which comes with it; `None` while no checkpoint covers it.
    ///
    /// # Errors
    /// When the tiles cannot be read.
    pub async fn proof(&self, index: u64) -> Result<Option<(Vec<Hash>, String)>, AuditError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let published = shared.published.load_full();
            let size = published.head.size;
            if index >= size {
                return Ok(None);
            }
            let read = |tile| {
                let found = shared.tile(tile)?;
                found.ok_or_else(|| Unproven(AuditError(format!("the log's {tile} is missing"))))
            };
            let proof = inclusion(index, size, from_tiles(size, read)).map_err(|Unproven(error)| error)?;
            Ok(Some((proof, published.note.clone())))
        })
        .await
    }
}

/// Why a proof cannot be made.
struct Unproven(AuditError);

impl From<AuditError> for Unproven {
    fn from(error: AuditError) -> Self {
        Self(error)
    }
}

impl From<Misfit> for Unproven {
    fn from(misfit: Misfit) -> Self {
        Self(AuditError(format!("the log was altered: {misfit}")))
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("head", &self.shared.published.load().head).finish()
    }
}

impl Shared {
    fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, AuditError> {
        // Twice: a new head may replace the partial tile between the look and the reading.
        for _ in 0..2 {
            let width = tile.width_in(self.published.load().head.size);
            if tile.width > width {
                return Ok(None);
            }
            if let Some(bytes) = self.store.read(&Tile { width, ..tile }.to_string())? {
                return Ok(cut(tile, bytes));
            }
        }
        Err(AuditError(format!("the log's {tile} is missing")))
    }
}

/// The first hashes or entries of a wider tile.
fn cut(tile: Tile, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let width = usize::try_from(tile.width).ok()?;
    let length = match tile.kind {
        Kind::Hashes(_) => width * Hash::LEN,
        Kind::Entries => crate::evidence::tlog::entries(&bytes)
            .take(width)
            .map(|entry| entry.map_or(0, |entry| entry.len() + 2))
            .sum(),
    };
    bytes.truncate(length);
    Some(bytes)
}

/// The path of the signed head.
const CHECKPOINT: &str = "checkpoint";

/// The entry bundle that holds a leaf, as wide as the tree of `size` has it.
fn bundle_of(leaf: u64, size: u64) -> Tile {
    let bundle = Tile { kind: Kind::Entries, index: leaf / HASHES, width: HASHES };
    Tile { width: bundle.width_in(size), ..bundle }
}

/// The partial bundle of a tree, if it has one.
fn partial_bundle(size: u64) -> Option<Tile> {
    tiles(size).into_iter().find(|tile| tile.kind == Kind::Entries)
}
