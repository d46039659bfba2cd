//! The sequencer: takes rows of the ledger into the tree, writes the tiles, signs the head.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{CHECKPOINT, Log, LogStore, Published, opening::Opened};
use crate::{
    evidence::{
        leaf::leaf,
        tlog::{Checkpoint, Edge, FullTile, Kind, SigningKey, Tile, leaf_hash, push_entry, tiles},
    },
    gateway::audit::{
        AuditError, Ledger,
        indexer::{Progress, blocking},
    },
};

/// Between two checkpoints under traffic. With the indexer's own pause a recorded event is under a checkpoint within a second.
const PACE: Duration = Duration::from_millis(600);
/// The pause after trouble doubles up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Rows taken in at once, and under one checkpoint at most.
const BATCH: usize = 2048;

/// Writes the log; made by [`Log::open`].
pub struct Sequencer {
    log: Log,
    ledger: Arc<dyn Ledger>,
    tree: Arc<Tree>,
    key: Arc<SigningKey>,
    /// What was last said about trouble, so that it is said once.
    said: Option<String>,
}

/// The tree as it was last published.
#[derive(Clone)]
struct Tree {
    edge: Edge,
    /// The partial bundle's bytes.
    bundle: Vec<u8>,
}

impl std::fmt::Debug for Sequencer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sequencer").field("log", &self.log).finish_non_exhaustive()
    }
}

impl Sequencer {
    pub(super) fn new(log: Log, ledger: Arc<dyn Ledger>, opened: Opened) -> Self {
        let Opened { key, edge, bundle, .. } = opened;
        Self { log, ledger, tree: Arc::new(Tree { edge, bundle }), key: Arc::new(key), said: None }
    }

    /// Runs until the indexer has ended and everything it brought is in the log, or cannot be.
    pub(super) async fn run(mut self, mut progress: watch::Receiver<Progress>) {
        let mut pause = PACE;
        loop {
            let last = progress.borrow_and_update().ended;
            let began = Instant::now();
            let sequenced = self.catch_up().await;
            pause = if sequenced.is_ok() { PACE } else { (pause * 2).min(LONGEST_PAUSE) };
            self.say(sequenced.as_ref().err());
            if last {
                return;
            }
            // Its own receiver: what `progress` has not seen yet must wake it below.
            let mut end = progress.clone();
            tokio::select! {
                () = tokio::time::sleep_until(began + pause) => {}
                ended = end.wait_for(|progress| progress.ended) => match ended {
                    Ok(_) => continue,
                    Err(_) => return,
                },
            }
            if sequenced.is_ok() && progress.changed().await.is_err() {
                return;
            }
        }
    }

    /// Takes in everything that the ledger has.
    pub(super) async fn catch_up(&mut self) -> Result<(), AuditError> {
        loop {
            let rows = self.ledger.rows(self.tree.edge.size(), BATCH).await?;
            let more = rows.len() == BATCH;
            if rows.is_empty() {
                return Ok(());
            }
            let first = self.tree.edge.size() + 1;
            if let Some((row, _)) = rows.iter().zip(first..).find(|(row, seq)| row.seq != *seq) {
                return Err(AuditError(format!(
                    "events are missing in the database before its {}th",
                    row.seq
                )));
            }
            let (log, tree, key) = (self.log.clone(), Arc::clone(&self.tree), Arc::clone(&self.key));
            let (tree, published) = blocking(move || {
                let before = tree.edge.size();
                let (tree, full) = tree.grown(rows.iter().map(|row| row.json.as_str()))?;
                let published = tree.publish(before, &full, log.shared.store.as_ref(), &key)?;
                Ok((tree, published))
            })
            .await?;
            self.tree = Arc::new(tree);
            self.log.shared.published.store(Arc::new(published));
            self.log.shared.size.send_replace(self.tree.edge.size());
            if !more {
                return Ok(());
            }
        }
    }

    /// Tells the operator when trouble begins, changes or ends.
    fn say(&mut self, trouble: Option<&AuditError>) {
        let trouble = trouble.map(ToString::to_string);
        match &trouble {
            same if *same == self.said => return,
            Some(error) => {
                tracing::error!(error, "the verifiable log cannot be continued; events wait for it")
            }
            None => tracing::info!("the verifiable log is continued again"),
        }
        self.said = trouble;
    }
}

/// A full tile or bundle, to be written.
type Full = (Tile, Vec<u8>);

impl Tree {
    /// The tree with more leaves, and what has become full.
    fn grown<'a>(&self, events: impl Iterator<Item = &'a str>) -> Result<(Self, Vec<Full>), AuditError> {
        let mut tree = self.clone();
        let (mut full, mut filled) = (Vec::new(), Vec::new());
        for event in events {
            let leaf = leaf(event);
            if !push_entry(&mut tree.bundle, &leaf) {
                return Err(AuditError("an event is too long for the log".into()));
            }
            tree.edge.push(leaf_hash(&leaf), &mut filled);
            for FullTile { tile, .. } in filled.iter().filter(|full| full.tile.kind == Kind::Hashes(0)) {
                full.push((Tile { kind: Kind::Entries, ..*tile }, std::mem::take(&mut tree.bundle)));
            }
            full.extend(filled.drain(..).map(|full| (full.tile, full.bytes())));
        }
        Ok((tree, full))
    }

    /// Writes what is new since the tree of size `before`, then the head; then removes the partial tiles that nobody needs any more.
    fn publish(
        &self,
        before: u64,
        full: &[Full],
        store: &dyn LogStore,
        key: &SigningKey,
    ) -> Result<Published, AuditError> {
        for (tile, bytes) in full {
            store.write(&tile.to_string(), bytes)?;
        }
        let size = self.edge.size();
        let (old, new) = (tiles(before), tiles(size));
        for tile in new.iter().filter(|tile| !old.contains(tile)) {
            match tile.kind {
                Kind::Entries => store.write(&tile.to_string(), &self.bundle)?,
                Kind::Hashes(level) => store.write(&tile.to_string(), &self.edge.partial(level))?,
            }
        }
        let head = Checkpoint { origin: key.public().name().to_owned(), size, root: self.edge.root() };
        let note = head.sign(key);
        store.write(CHECKPOINT, note.as_bytes())?;
        for tile in old.iter().filter(|tile| !new.contains(tile)) {
            // The log is whole with it, and wholly published: it only takes room.
            if let Err(error) = store.remove(&tile.to_string()) {
                tracing::debug!(%error, %tile, "an old partial tile stays");
            }
        }
        Ok(Published { head, note })
    }
}
