//! What goes wrong on the laptop: a kind for the exit code, a sentence, and the next command.

use std::{error::Error, fmt, io};

use crate::{
    tls::TrustError,
    tunnel::TunnelError,
    wire::{
        Refusal,
        api::{ErrorBody, ErrorDetail},
        code,
    },
};

/// What kind of failure: the CLI turns it into heading and exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything without a kind of its own. Exit code 1.
    Failed,
    /// The command or a setting is wrong. Exit code 2.
    Usage,
    /// Policy says no. Exit code 3.
    Denied,
    /// No login, or it has ended. Exit code 4.
    LoginNeeded,
    /// A person said no, or nobody answered in time. Exit code 5.
    ApprovalDenied,
    /// The gateway cannot be reached. Exit code 6.
    Unreachable,
    /// The gateway is not believed, or TLS failed. Exit code 7.
    Trust,
    /// Tampering was found. Exit code 8.
    Verification,
    /// A person's yes is still missing. Exit code 75.
    ApprovalPending,
    /// The person at the laptop stopped it. Exit code 130.
    Interrupted,
}

impl Kind {
    /// The kind that a code of [`crate::wire::code`] stands for; unknown codes are failures.
    pub fn of_code(word: &str) -> Self {
        match word {
            code::DENIED | code::CALLER_SUSPENDED | code::LOCAL_REFUSED | code::LOCAL_KEY => Self::Denied,
            code::LOGIN_REQUIRED => Self::LoginNeeded,
            code::APPROVAL_REQUIRED => Self::ApprovalPending,
            code::APPROVAL_DENIED => Self::ApprovalDenied,
            code::UPSTREAM_UNTRUSTED | code::TLS_REQUIRED => Self::Trust,
            _ => Self::Failed,
        }
    }
}

/// A failure with its reason and the next command. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError {
    /// Heading and exit code.
    pub kind: Kind,
    /// A stable word for programs: one of [`crate::wire::code`] or of this room (`unreachable`, `untrusted`, `usage` …).
    pub code: String,
    /// What happened and why, in a sentence.
    pub message: String,
    /// What to do next, often a command.
    pub remedy: Option<String>,
    /// Finds the event in the gateway's log, where the gateway said so.
    pub request_id: Option<String>,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ClientError {}

impl ClientError {
    /// An error without remedy or request id.
    pub fn new(kind: Kind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), remedy: None, request_id: None }
    }

    /// A failure without a kind of its own.
    pub fn failed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, code, message)
    }

    /// A wrong command or setting.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, "usage", message)
    }

    /// A gateway that does not answer.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unreachable, "unreachable", message).remedy(
            "check that the gateway runs, its address and the network; `hoopctl status` names the gateway",
        )
    }

    /// A gateway that is not believed.
    pub fn untrusted(message: impl Into<String>) -> Self {
        Self::new(Kind::Trust, "untrusted", message)
    }

    /// A login that is missing or over.
    pub fn login_needed(message: impl Into<String>) -> Self {
        Self::new(Kind::LoginNeeded, code::LOGIN_REQUIRED, message).remedy("hoopctl login")
    }

    /// Adds the next step.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The shape every error body of this product has.
    pub fn to_body(&self) -> ErrorBody {
        let family = match self.kind {
            Kind::Denied | Kind::ApprovalDenied | Kind::ApprovalPending => "permission_error",
            Kind::LoginNeeded => "authentication_error",
            Kind::Usage => "invalid_request_error",
            _ => "api_error",
        };
        ErrorBody {
            error: ErrorDetail {
                code: self.code.clone(),
                message: self.message.clone(),
                kind: family.to_owned(),
                request_id: self.request_id.clone(),
                remedy: self.remedy.clone(),
            },
        }
    }

    /// A file of the profile that cannot be read or written.
    pub(crate) fn file(path: &std::path::Path, error: &io::Error) -> Self {
        Self::failed("profile_unusable", format!("{} cannot be used: {error}", path.display()))
            .remedy("make the folder writable for you alone, or choose another with XDG_CONFIG_HOME and XDG_STATE_HOME")
    }
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        let kind = Kind::of_code(&refusal.code);
        let remedy =
            refusal.remedy.or_else(|| (kind == Kind::LoginNeeded).then(|| "hoopctl login".to_owned()));
        Self { kind, code: refusal.code, message: refusal.message, remedy, request_id: refusal.request_id }
    }
}

/// The next step where a gateway shows a CA that is not known here.
pub(super) const TRUST_ANEW: &str = "ask for the output of `hoopctl gateway ca fingerprint` on the gateway, then: hoopctl login --ca-fingerprint sha256:…";

impl From<TunnelError> for ClientError {
    fn from(error: TunnelError) -> Self {
        match error {
            TunnelError::Unreachable(message) => Self::unreachable(message),
            TunnelError::Proxy(message) => Self::new(Kind::Unreachable, "proxy", message)
                .remedy("check HTTPS_PROXY and NO_PROXY; what each does: docs/networks.md"),
            TunnelError::Trust(message) => Self::untrusted(message).remedy(TRUST_ANEW),
            TunnelError::Credential(message) => Self::login_needed(message),
            TunnelError::Closed { .. } => Self::unreachable(error.to_string()),
            TunnelError::Protocol(message) => Self::failed(
                "protocol",
                format!("the gateway said something this version does not understand: {message}"),
            )
            .remedy("compare the versions: `hoopctl --version` here and on the gateway"),
        }
    }
}

impl From<TrustError> for ClientError {
    fn from(error: TrustError) -> Self {
        let remedy = "name the gateway's CA: --ca-fingerprint sha256:… or --ca-file PEM";
        match error {
            TrustError::Fingerprint(_) => Self::usage(error.to_string())
                .remedy("`hoopctl gateway ca fingerprint` on the gateway prints the right one"),
            TrustError::Unreadable { .. } | TrustError::Empty(_) => {
                Self::usage(error.to_string()).remedy("give a PEM file with the gateway's CA certificate")
            }
            TrustError::Unusable(_) => Self::untrusted(error.to_string()).remedy(remedy),
        }
    }
}

/// The gateway's refusal, when that is what is behind `error`, however deeply it was wrapped.
pub fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Refusal> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return Some(refusal);
        }
        // An io::Error hands out the source of what it wraps, not what it wraps.
        if let Some(found) = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .and_then(|inner| refusal(inner as &(dyn Error + 'static)))
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_that_programs_decide_by_has_its_kind() {
        let cases = [
            (code::DENIED, Kind::Denied),
            (code::CALLER_SUSPENDED, Kind::Denied),
            (code::LOGIN_REQUIRED, Kind::LoginNeeded),
            (code::APPROVAL_REQUIRED, Kind::ApprovalPending),
            (code::APPROVAL_DENIED, Kind::ApprovalDenied),
            (code::UPSTREAM_UNTRUSTED, Kind::Trust),
            (code::MODEL_UNKNOWN, Kind::Failed),
            ("a word of next year", Kind::Failed),
        ];
        for (word, kind) in cases {
            assert_eq!(ClientError::from(Refusal::new(word, "no")).kind, kind, "{word}");
        }
    }

    #[test]
    fn a_needed_login_always_names_its_command() {
        let refused = ClientError::from(Refusal::new(code::LOGIN_REQUIRED, "expired"));
        assert_eq!(refused.remedy.as_deref(), Some("hoopctl login"));
        let tunnel = ClientError::from(TunnelError::Credential("certificate_expired".into()));
        assert_eq!((tunnel.kind, tunnel.remedy.as_deref()), (Kind::LoginNeeded, Some("hoopctl login")));
    }

    #[test]
    fn a_refusal_is_found_inside_errors_that_wrap_it() {
        let inner = io::Error::other(Refusal::new(code::DENIED, "no"));
        let outer = io::Error::other(inner);
        assert_eq!(refusal(&outer).map(|r| r.code.as_str()), Some(code::DENIED));
        assert!(refusal(&io::Error::other("else")).is_none());
    }
}
