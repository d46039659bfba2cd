//! What a check found.

use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Not as it should be; there is something to do.
    Fail,
    /// Could not be looked at, or does not matter here.
    Skip,
}

/// One line of the answer. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name, a word in lower case.
    pub check: &'static str,
    /// How it ended.
    pub status: Verdict,
    /// What was seen, in a sentence.
    pub detail: String,
    /// What to do; nothing where nothing is to be done.
    pub action: Option<String>,
}

impl Finding {
    /// As it should be.
    pub(super) fn pass(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, status: Verdict::Pass, detail: detail.into(), action: None }
    }

    /// Not as it should be, and what to do about it.
    pub(super) fn fail(check: &'static str, detail: impl Into<String>, action: impl Into<String>) -> Self {
        Self { check, status: Verdict::Fail, detail: detail.into(), action: Some(action.into()) }
    }

    /// Not looked at, and why.
    pub(super) fn skip(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, status: Verdict::Skip, detail: detail.into(), action: None }
    }

    /// Adds what can be done.
    #[must_use]
    pub(super) fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }
}
