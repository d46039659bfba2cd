//! A mistake in a configuration: where, what, and what to do.

use std::{fmt, path::PathBuf};

use crate::gateway::policy;

/// One mistake: where, what, and what to do. Displayed as `file:line:column: message`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    /// The file, or the folder when it is the matter.
    pub file: PathBuf,
    /// From 1.
    pub line: Option<usize>,
    /// In characters, from 1.
    pub column: Option<usize>,
    /// What is wrong. Never holds a secret.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}:{}", self.column.unwrap_or(1))?;
        }
        write!(f, ": {}", self.message)
    }
}

impl From<policy::Mistake> for Mistake {
    fn from(mistake: policy::Mistake) -> Self {
        let policy::Mistake { file, line, column, message, remedy } = mistake;
        Self { file, line, column, message, remedy }
    }
}
