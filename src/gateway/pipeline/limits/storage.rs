//! What the room keeps, as a trait that `store` implements.

/// The counts of one holder of limits, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The model's name.
    pub model: String,
    /// Who on it.
    pub holder: Holder,
    /// Days since 1970, UTC.
    pub day: u64,
    /// Tokens of that day.
    pub tokens: u64,
    /// Requests of the last minute: `second:count,…`, seconds since 1970.
    pub recent: String,
}

/// Who shares a count on a model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// Everybody.
    Model,
    /// A member of any group of that name.
    Group(String),
    /// One caller.
    Caller {
        /// The provider's name in `gateway.toml`.
        provider: String,
        /// Stable at the provider.
        subject: String,
    },
}

/// What limits keep; implemented by `store`.
#[async_trait::async_trait]
pub trait Store: Send + Sync {
    /// Everything kept.
    async fn load(&self) -> Result<Vec<Row>, StoreError>;
    /// Adds or replaces these, and deletes all that say nothing about `now` (seconds since 1970) any more.
    async fn save(&self, rows: &[Row], now: u64) -> Result<(), StoreError>;
}

/// The database failed. The text is for the gateway's log.
#[derive(Debug, thiserror::Error)]
#[error("the counters of limits cannot be kept: {0}")]
pub struct StoreError(pub String);
