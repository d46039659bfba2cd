//! The caller, and what the audit log is told about callers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An authenticated user or workload, with groups, as the provider said them last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Stable at the provider (`sub`); for dev users the name.
    pub subject: String,
    /// Absent when the provider gives none, or says that it is unverified.
    pub email: Option<String>,
    /// For people to read.
    pub name: Option<String>,
    /// At most 10,000, each at most 256 bytes.
    pub groups: Vec<String>,
    /// Name of the provider in `gateway.toml`.
    pub provider: String,
    /// Whether a workload token stands behind it.
    pub workload: bool,
    /// The login session.
    pub session: String,
}

impl Caller {
    /// What people call the caller: the verified email, else the subject — never the name, which people may change themselves. Also the `User` entity's id in policies.
    pub fn user(&self) -> &str {
        self.email.as_deref().unwrap_or(&self.subject)
    }
}

/// What identity tells the audit log through the assembly (identity ranks below audit).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A session began.
    Login(Caller),
    /// A provider or its token was not believed.
    LoginFailed {
        /// The provider's name in `gateway.toml`.
        provider: String,
        /// A sentence without secrets.
        reason: String,
    },
    /// Groups were read anew, and a token or certificate was given out.
    Renewal(Caller),
    /// Sessions ended before their time.
    Revocation {
        /// Who ended them: a user, or why the gateway did it itself.
        by: String,
        /// Their ids.
        sessions: Vec<String>,
    },
}

/// Takes happenings.
pub type Witness = Arc<dyn Fn(Happening) + Send + Sync>;
