//! Why a gateway does not start or does not take up a configuration, and what to do about it.

use std::{fmt::Write, io, net::SocketAddr, path::Path};

use crate::gateway::{
    accept::BindError,
    approval::notify::NotifyError,
    audit::AuditError,
    certs::CertsError,
    identity::{IdentityError, StoreError},
    pipeline::{PipelineError, limits},
    policy::Mistake,
    store::OpenError,
};

/// Why the gateway did not start. Nothing of it runs any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// What is wrong, in a sentence.
    pub message: String,
    /// What to do next.
    pub remedy: Option<String>,
}

/// Why a configuration was not taken up; the last good one stays in force.
pub type ReloadError = StartError;

impl StartError {
    fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn store(state: &Path, error: &OpenError) -> Self {
        let remedy = match error {
            OpenError::Locked(_) => {
                "stop the other gateway, or give this one a `state` folder of its own in gateway.toml"
                    .to_owned()
            }
            _ => format!("check that {} exists, is yours and has room", state.display()),
        };
        Self::new(format!("the state folder {} cannot be opened: {error}", state.display()), remedy)
    }

    pub(super) fn audit(error: &AuditError) -> Self {
        Self::new(
            error.to_string(),
            "nothing is served without an audit log: check the disk under `state` and the messages above",
        )
    }

    pub(super) fn certs(error: &CertsError) -> Self {
        Self::new(error.to_string(), "check [tls] and the state folder with `hoopctl gateway check`")
    }

    pub(super) fn identity(error: &IdentityError) -> Self {
        Self::new(error.to_string(), "check the [[identity]] tables with `hoopctl gateway check`")
    }

    pub(super) fn limits(error: &limits::StoreError) -> Self {
        Self::new(
            error.to_string(),
            "limits hold across restarts: check the database under `state` and the messages above",
        )
    }

    pub(super) fn approvals(error: &StoreError) -> Self {
        Self::new(error.to_string(), "check the disk's space and the permissions of the database")
    }

    pub(super) fn notify(error: &NotifyError) -> Self {
        Self::new(
            error.to_string(),
            "check `webhooks` and `slack` in [approvals], and where their secrets come from",
        )
    }

    pub(super) fn mask_key(path: &Path, error: &io::Error) -> Self {
        Self::new(
            format!("the key of masked values' hashes, {}, cannot be used: {error}", path.display()),
            "restore it from a backup, or remove it: hashes are others from then on",
        )
    }

    pub(super) fn recording_key(path: &Path, error: &io::Error) -> Self {
        Self::new(
            format!("the key of the gateway's recordings, {}, cannot be used: {error}", path.display()),
            "restore it from a backup: without it nobody opens the recordings made so far; or move it aside, and a new one is made",
        )
    }

    pub(super) fn pipeline(error: &PipelineError) -> Self {
        Self::new(error.to_string(), "check the [[model]] tables with `hoopctl gateway check`")
    }

    pub(super) fn policies(mistakes: &[Mistake]) -> Self {
        let mut message = "the policies cannot be used".to_owned();
        for mistake in mistakes {
            let _ = write!(message, "\n  {}", mistake.file.display());
            for number in [mistake.line, mistake.column].into_iter().flatten() {
                let _ = write!(message, ":{number}");
            }
            let _ = write!(message, ": {}", mistake.message);
        }
        let remedy = mistakes.iter().find_map(|mistake| mistake.remedy.clone());
        Self {
            message,
            remedy: remedy.or_else(|| Some("check them with `hoopctl gateway check`".to_owned())),
        }
    }

    pub(super) fn bind(error: &BindError) -> Self {
        Self::new(error.to_string(), error.remedy())
    }

    pub(super) fn metrics(address: SocketAddr, error: &io::Error) -> Self {
        Self::new(
            format!("metrics and health cannot be served on {address}: {error}"),
            "set another `metrics` address in gateway.toml, or leave it out",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_in_the_policies_is_told_with_its_place() {
        let mistake = |line, message: &str| Mistake {
            file: "a.cedar".into(),
            line,
            column: None,
            message: message.to_owned(),
            remedy: None,
        };
        let error = StartError::policies(&[mistake(Some(3), "unknown action"), mistake(None, "no id")]);
        assert!(error.message.ends_with("\n  a.cedar:3: unknown action\n  a.cedar: no id"), "{error}");
        assert!(error.remedy.is_some());
    }
}
