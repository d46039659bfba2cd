//! Why the demo did not work, and what to do about it.

/// What went wrong. Everything runs in one process on loopback, so that this is rare, and a fault of ours when it happens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What was being done, and what came of it.
    pub message: String,
    /// What to do next.
    pub remedy: Option<String>,
}

impl Error {
    /// Something failed while the demo did `what`.
    pub(super) fn new(what: &str, why: impl std::fmt::Display) -> Self {
        Self { message: format!("{what}: {why}"), remedy: None }
    }

    pub(super) fn remedy(mut self, remedy: impl Into<Option<String>>) -> Self {
        self.remedy = remedy.into();
        self
    }
}
