//! The log as it is found: do key, checkpoint, tiles and ledger belong together? What does not is said, and nothing is served.

use std::sync::Arc;

use super::{CHECKPOINT, LogStore, Row, bundle_of, partial_bundle};
use crate::{
    evidence::{
        leaf::leaf,
        tlog::{Checkpoint, Edge, HASHES, Kind, Misfit, NoteError, SigningKey, Tile, entries, leaf_hash},
    },
    gateway::audit::{AuditError, Ledger, indexer::blocking},
    secret::ExposeSecret,
};

/// A log that has been found whole.
pub(super) struct Opened {
    pub(super) key: SigningKey,
    pub(super) head: Checkpoint,
    pub(super) note: String,
    pub(super) edge: Edge,
    /// The partial bundle's bytes.
    pub(super) bundle: Vec<u8>,
}

/// Opens the log, or begins one.
pub(super) fn open(store: &dyn LogStore, origin: &str) -> Result<Opened, AuditError> {
    let note = store.read(CHECKPOINT)?;
    if note.is_none() && has_tiles(store)? {
        return Err(lost("its checkpoint is missing"));
    }
    let key = match (store.key()?, &note) {
        (Some(key), _) => SigningKey::parse(key.expose_secret())
            .map_err(|e| lost(&format!("its key cannot be used: {e}")))?,
        (None, Some(_)) => return Err(lost("its key is missing")),
        (None, None) => begin(store, origin)?,
    };
    store.keep_public_key(&format!("{}\n", key.public()))?;
    let Some(note) = note else { return empty(store, key) };
    let head = Checkpoint::open(&note, key.public()).map_err(|error| match error {
        NoteError::Unsigned | NoteError::Origin => lost("its key is not the one that signed its checkpoint"),
        error => lost(&format!("its checkpoint was altered: {error}")),
    })?;
    let edge = Edge::read(head.size, |tile| {
        let found = store.read(&tile.to_string())?;
        found.ok_or_else(|| Wrong(lost(&format!("{tile} is missing"))))
    })
    .map_err(|Wrong(error)| error)?;
    if edge.root() != head.root {
        return Err(lost("its last tiles are not those that its checkpoint is signed for"));
    }
    let bundle = last_entries(store, &head, &edge)?;
    let note = String::from_utf8(note).map_err(|_| lost("its checkpoint is no text"))?;
    Ok(Opened { key, head, note, edge, bundle })
}

/// Makes the log's key, once.
fn begin(store: &dyn LogStore, origin: &str) -> Result<SigningKey, AuditError> {
    let key = SigningKey::generate(origin)
        .map_err(|e| AuditError(format!("the log cannot be called {origin}: {e}")))?;
    let secret = key.secret().ok_or_else(|| AuditError("the log's key cannot be written".into()))?;
    store.keep_key(&secret)?;
    tracing::info!(key = %key.public(), "the audit log has a new key");
    Ok(key)
}

fn empty(store: &dyn LogStore, key: SigningKey) -> Result<Opened, AuditError> {
    let edge = Edge::default();
    let head = Checkpoint { origin: key.public().name().to_owned(), size: 0, root: edge.root() };
    let note = head.sign(&key);
    store.write(CHECKPOINT, note.as_bytes())?;
    Ok(Opened { key, head, note, edge, bundle: Vec::new() })
}

/// The partial bundle, whose entries must be those that the tree has.
fn last_entries(store: &dyn LogStore, head: &Checkpoint, edge: &Edge) -> Result<Vec<u8>, AuditError> {
    let Some(tile) = partial_bundle(head.size) else { return Ok(Vec::new()) };
    let bytes = store.read(&tile.to_string())?.ok_or_else(|| lost(&format!("{tile} is missing")))?;
    let hashes: Vec<u8> =
        entries(&bytes).flat_map(|entry| *leaf_hash(entry.unwrap_or_default()).as_bytes()).collect();
    if hashes != edge.partial(0) {
        return Err(lost(&format!("{tile} was altered")));
    }
    Ok(bytes)
}

/// Brings the ledger up to what the log has, and compares where both have something: the log's last bundle.
pub(super) async fn settle(
    opened: &Opened,
    store: &Arc<dyn LogStore>,
    ledger: &dyn Ledger,
) -> Result<(), AuditError> {
    let size = opened.head.size;
    if size == 0 {
        return Ok(());
    }
    let last = ledger.last().await?;
    if last < size {
        tracing::warn!(
            events = size - last,
            "the database lacks the audit log's last events; they are put back from the log"
        );
    }
    // The bundle of the last row that both have, and all after it.
    let first = last.min(size).saturating_sub(1);
    for index in first / HASHES..=(size - 1) / HASHES {
        let tile = bundle_of(index * HASHES, size);
        let store = Arc::clone(store);
        let bytes = blocking(move || store.read(&tile.to_string()))
            .await?
            .ok_or_else(|| lost(&format!("{tile} is missing")))?;
        let logged = rows(tile, &bytes)?;
        let known = ledger.rows(index * HASHES, logged.len()).await?;
        for row in known.iter().take_while(|row| row.seq <= size) {
            if !logged.iter().any(|entry| entry.seq == row.seq && leaf(&row.json) == leaf(&entry.json)) {
                return Err(AuditError(format!(
                    "event {} of the database is not the one in the log: one of the two was altered, or they are of different backups; restore both from one backup",
                    row.seq - 1
                )));
            }
        }
        let lacking: Vec<Row> = logged.into_iter().filter(|row| row.seq > last).collect();
        ledger.restore(&lacking).await?;
    }
    Ok(())
}

/// The entries of a bundle, as rows.
fn rows(tile: Tile, bytes: &[u8]) -> Result<Vec<Row>, AuditError> {
    let first = tile.first_leaf() + 1;
    let rows: Option<Vec<Row>> = entries(bytes)
        .zip(first..)
        .map(|(entry, seq)| Some(Row { seq, json: std::str::from_utf8(entry.ok()?).ok()?.to_owned() }))
        .collect();
    rows.filter(|rows| rows.len() as u64 == tile.width).ok_or_else(|| lost(&format!("{tile} was altered")))
}

/// Whether there is a first bundle of any width. The first checkpoint, of an empty log, is written before the first tile.
fn has_tiles(store: &dyn LogStore) -> Result<bool, AuditError> {
    for width in 1..=HASHES {
        if store.read(&Tile { kind: Kind::Entries, index: 0, width }.to_string())?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Something of the log is lost or altered.
fn lost(what: &str) -> AuditError {
    AuditError(format!(
        "the verifiable log under `state` is not whole: {what}; restore log/ and log.key from one backup, or keep log/ and log.key elsewhere for whoever investigates, and a new log with a new key begins"
    ))
}

/// Tells reading apart from misfits.
struct Wrong(AuditError);

impl From<AuditError> for Wrong {
    fn from(error: AuditError) -> Self {
        Self(error)
    }
}

impl From<Misfit> for Wrong {
    fn from(misfit: Misfit) -> Self {
        Self(lost(&misfit.to_string()))
    }
}
