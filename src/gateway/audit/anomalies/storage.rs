//! What the room keeps, as a trait that `store` implements.

use std::time::SystemTime;

use super::{Held, detector::Changes, exchange::Key, models::Seen, profile::Profile};
use crate::gateway::audit::AuditError;

/// Of the detector's state; another version's is not read, and made anew from the ledger.
pub(super) const STATE: u32 = 1;

/// The detector's state as kept. States are JSON, for this room alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The place in the ledger up to which it was folded.
    pub cursor: u64,
    /// By caller.
    pub callers: Vec<(String, String)>,
    /// Of all models.
    pub models: String,
}

/// What is to be kept since the last time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The place in the ledger up to which it was folded.
    pub cursor: u64,
    /// Callers that are new or changed.
    pub callers: Vec<(String, String)>,
    /// Callers that are forgotten.
    pub gone: Vec<String>,
    /// Of all models.
    pub models: String,
}

/// What anomalies keep; implemented by `store`.
#[async_trait::async_trait]
pub trait Keep: Send + Sync {
    /// The detector's state of that version, if there is any.
    ///
    /// # Errors
    /// When the database cannot be read.
    async fn load(&self, version: u32) -> Result<Option<Kept>, AuditError>;

    /// Keeps the state's changes and its cursor, in one transaction; state of another version is removed.
    ///
    /// # Errors
    /// When the transaction fails; nothing of it is kept then.
    async fn save(&self, version: u32, snapshot: &Snapshot) -> Result<(), AuditError>;

    /// Keeps what an alarm was answered with; false when there was already something for the same alarm, lifted or not.
    ///
    /// # Errors
    /// When it cannot be kept.
    async fn hold(&self, held: &Held) -> Result<bool, AuditError>;

    /// Everything that is neither lifted nor past its end at `now`.
    ///
    /// # Errors
    /// When the database cannot be read.
    async fn held(&self, now: SystemTime) -> Result<Vec<Held>, AuditError>;

    /// Lifts these, by the ids of their alarms.
    ///
    /// # Errors
    /// When it cannot be kept; none is lifted then.
    async fn lift(&self, ids: &[String], by: &str, now: SystemTime) -> Result<(), AuditError>;
}

/// The snapshot of changes; costs some 10 µs for each caller.
pub(super) fn snapshot(cursor: u64, changes: &Changes) -> Result<Snapshot, AuditError> {
    let unwritable =
        |error: serde_json::Error| AuditError(format!("what is usual cannot be written: {error}"));
    let mut snapshot = Snapshot {
        cursor,
        gone: changes.gone.iter().map(ToString::to_string).collect(),
        models: serde_json::to_string(&changes.models).map_err(unwritable)?,
        ..Snapshot::default()
    };
    for (key, profile) in &changes.callers {
        snapshot.callers.push((key.to_string(), serde_json::to_string(profile).map_err(unwritable)?));
    }
    Ok(snapshot)
}

/// What is usual, as it was kept: for callers, and of models.
pub(super) type Usual = (Vec<(Key, Profile)>, Vec<(u64, Seen)>);

/// What was kept, as far as it can be read: a caller whose state cannot be begins anew.
pub(super) fn read(kept: &Kept) -> Usual {
    let caller = |(key, state): &(String, String)| {
        let read = serde_json::from_str(state).ok().zip(key.parse().ok());
        if read.is_none() {
            tracing::warn!(caller = key, "what is usual for a caller cannot be read and is learned anew");
        }
        read.map(|(profile, key)| (key, profile))
    };
    (kept.callers.iter().filter_map(caller).collect(), serde_json::from_str(&kept.models).unwrap_or_default())
}
