//! What the room keeps, as a trait that `store` implements.

use std::time::SystemTime;

use super::Caller;

/// A login session as stored.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// `ses_…`.
    pub id: String,
    /// Who.
    pub caller: Caller,
    /// When it began.
    pub created_at: SystemTime,
    /// When it ends, whatever is renewed.
    pub expires_at: SystemTime,
    /// SHA-256 of the refresh token now valid; `None` for workloads and browsers.
    pub refresh_sha256: Option<[u8; 32]>,
    /// SHA-256 of the one before it: its use is a replay and kills the session.
    pub previous_refresh_sha256: Option<[u8; 32]>,
    /// Ended before its time. Never taken back.
    pub revoked: bool,
    /// The provider's own refresh token, for groups at renewal; sealed with a key of `<state>`.
    pub provider_refresh: Option<Vec<u8>>,
    /// SHA-256 of what tells the provider's people from those of another provider of the same name; `None` in rows of
    /// before it was kept.
    pub people: Option<[u8; 32]>,
}

/// Whose sessions are looked for.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// The people with this email address, in any case of its ASCII letters.
    Email(&'a str),
    /// The person of this subject.
    Subject {
        /// The identity provider's name.
        provider: &'a str,
        /// Stable there.
        subject: &'a str,
    },
}

/// What identity keeps; implemented by `store`.
#[async_trait::async_trait]
pub trait Store: Send + Sync {
    /// Adds a session; its id is new.
    async fn insert_session(&self, row: &SessionRow) -> Result<(), StoreError>;
    /// The session of that id.
    async fn session(&self, id: &str) -> Result<Option<SessionRow>, StoreError>;
    /// By the current or the previous refresh token's hash.
    async fn session_by_refresh(&self, sha256: &[u8; 32]) -> Result<Option<SessionRow>, StoreError>;
    /// Replaces the row if its `refresh_sha256` is still `expected` (compare and swap) and it is not revoked;
    /// false when another was faster, or when it is revoked: a revocation is never overwritten.
    async fn update_session(&self, row: &SessionRow, expected: Option<[u8; 32]>) -> Result<bool, StoreError>;
    /// Ends sessions by session id, or by user (subject, email in any case of its ASCII letters, or name); returns the ids ended.
    async fn revoke(&self, who: &str) -> Result<Vec<String>, StoreError>;
    /// Somebody's sessions that are neither revoked nor past their end at `now`, newest first, at most 16; none of workloads.
    async fn live_sessions(&self, whose: Whose<'_>, now: SystemTime) -> Result<Vec<SessionRow>, StoreError>;
    /// Short-lived one-time things (codes): JSON under a key, with an end.
    async fn put_pending(&self, key: &str, json: &str, expires_at: SystemTime) -> Result<(), StoreError>;
    /// Adds a one-time thing unless its key is there already, and not past its end at `now`: false then. For replays.
    async fn claim_pending(
        &self,
        key: &str,
        now: SystemTime,
        expires_at: SystemTime,
    ) -> Result<bool, StoreError>;
    /// Reads without taking; `None` when absent or past its end at `now`.
    async fn peek_pending(&self, key: &str, now: SystemTime) -> Result<Option<String>, StoreError>;
    /// Takes and deletes in one step; `None` when absent or past its end at `now`.
    async fn take_pending(&self, key: &str, now: SystemTime) -> Result<Option<String>, StoreError>;
}

/// The database failed. The text is for the gateway's log.
#[derive(Debug, thiserror::Error)]
#[error("the gateway's database failed: {0}")]
pub struct StoreError(pub String);
