//! Cedar: a pure `decide`.
//!
//! [`Policies::load`] reads and checks a folder of `*.cedar`; [`Policies::decide`] answers a [`Question`] without
//! clock, disk or network; [`Policies::authorize`] turns a yes to `invoke` into the [`Permit`] that `upstream` demands.

mod check;
mod decide;
mod folder;
mod hint;
mod index;
mod question;
mod remembered;
mod vocabulary;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::evidence::tlog::sha256;

pub use decide::{DEFAULT_LASTS, Near, Outcome, Permit, Policies, Terms, Verdict};
pub use folder::{MAX_FILE, MAX_FILES};
pub use question::{Action, Context, ModelFacts, Question, Resource};

/// A mistake in a policy file or another file of a configuration. Displayed as `file:line:column: message`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    /// The file, or the folder when the folder itself is the matter.
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

impl Policies {
    /// Loads every `*.cedar` of the folder, validated against the schema and the known models. Files are read in the
    /// order of their names; names that begin with a dot and folders inside are left alone.
    ///
    /// # Errors
    /// Every mistake of every file, in one pass: an unreadable folder or file, more than [`MAX_FILES`] files or
    /// [`MAX_FILE`] bytes in one, and whatever [`Policies::parse`] finds.
    pub fn load(dir: &Path, models: &[ModelFacts]) -> Result<Self, Vec<Mistake>> {
        let (sources, mut mistakes) = folder::read(dir);
        match Self::parse(&sources, models) {
            Ok(mut policies) if mistakes.is_empty() => {
                if policies.is_empty() {
                    policies.warn(Mistake {
                        file: dir.to_owned(),
                        line: None,
                        column: None,
                        message: "there is no policy in this folder: everything is denied".to_owned(),
                        remedy: Some(
                            "write a *.cedar file; docs/policies.md begins with one to copy".to_owned(),
                        ),
                    });
                }
                Ok(policies)
            }
            Ok(_) => Err(mistakes),
            Err(more) => {
                mistakes.extend(more);
                Err(mistakes)
            }
        }
    }

    /// Policies from text: (name of the file, content) in order.
    ///
    /// # Errors
    /// Every mistake of every source, in one pass: syntax, types (strict validation), templates, unknown entity types,
    /// actions, attributes, annotations and models, ids used twice, policies that can never apply.
    pub fn parse(sources: &[(PathBuf, String)], models: &[ModelFacts]) -> Result<Self, Vec<Mistake>> {
        let checked = check::check(sources, models);
        if !checked.mistakes.is_empty() {
            return Err(checked.mistakes);
        }
        let mut policies = Self::build(checked.policies, models, checked.warnings).map_err(|message| {
            vec![Mistake { file: PathBuf::new(), line: None, column: None, message, remedy: None }]
        })?;
        let name = |file: &Path| file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
        policies.files = sources.iter().map(|(file, text)| (name(file), sha256(text.as_bytes()))).collect();
        Ok(policies)
    }
}
