//! Failures at the terminal: kind → heading, next command, exit code; the only place that decides them.

use std::io;

use serde_json::{Map, Value, json};

use crate::{
    client::{ClientError, Kind},
    config::laptop::Mistake,
    wire::{Refusal, code},
};

/// Everything went as asked.
pub(super) const DONE: u8 = 0;

/// Why a verb ends otherwise than [`DONE`].
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// Something to tell, with an exit code by its kind.
    Told(Box<ClientError>),
    /// What is wrong with the settings, all at once.
    Mistakes(Vec<Mistake>),
    /// Everything has been said already, or belongs to someone else (a command's exit code).
    Quiet(u8),
    /// Who read our output wants no more: that is success.
    ReaderGone,
}

/// What a verb returns: an exit code.
pub(super) type Outcome = Result<u8, Failure>;

impl Failure {
    /// A failure with its stable word and reason.
    pub(super) fn new(kind: Kind, code: &str, message: impl Into<String>) -> Self {
        Self::Told(Box::new(ClientError::new(kind, code, message)))
    }

    /// Something failed that has no better word.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, "failed", message)
    }

    /// The command line is wrong.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, "usage", message)
    }

    /// Adds the next step.
    #[must_use]
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        if let Self::Told(told) = &mut self {
            told.remedy = Some(remedy.into());
        }
        self
    }

    /// Ctrl-C.
    pub(super) fn interrupted() -> Self {
        Self::Quiet(exit_code(Kind::Interrupted))
    }

    /// The process's exit code.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Told(told) => exit_code(told.kind),
            Self::Mistakes(_) => exit_code(Kind::Usage),
            Self::Quiet(code) => *code,
            Self::ReaderGone => DONE,
        }
    }

    /// What a person reads: heading and text of each line.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Told(told) => {
                let mut lines = vec![(heading(told.kind), told.message.clone())];
                let remedy = told.remedy.as_deref().or_else(|| fallback(told.kind));
                lines.extend(remedy.map(|remedy| ("next", remedy.to_owned())));
                lines.extend(told.request_id.iter().map(|id| ("request", id.clone())));
                lines
            }
            Self::Mistakes(mistakes) => mistakes.iter().flat_map(mistake_lines).collect(),
            Self::Quiet(_) | Self::ReaderGone => Vec::new(),
        }
    }

    /// What a program reads; `None` when there is nothing to tell.
    pub(super) fn json(&self) -> Option<Value> {
        match self {
            Self::Told(told) => {
                let remedy = told.remedy.as_deref().or_else(|| fallback(told.kind));
                Some(error_json(&told.code, &told.message, remedy, told.request_id.as_deref()))
            }
            Self::Mistakes(mistakes) => {
                let first = mistakes.first()?;
                let message = format!("{}: {}", first.source, first.message);
                let mut body = error_json("config", &message, first.remedy.as_deref(), None);
                let all = mistakes.iter().map(|mistake| {
                    json!({
                        "source": mistake.source.to_string(),
                        "message": mistake.message,
                        "remedy": mistake.remedy,
                    })
                });
                let all = Value::Array(all.collect());
                if let Some(error) = body.get_mut("error").and_then(Value::as_object_mut) {
                    error.insert("mistakes".to_owned(), all);
                }
                Some(body)
            }
            Self::Quiet(_) | Self::ReaderGone => None,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(mut error: ClientError) -> Self {
        if error.kind == Kind::Failed {
            error.kind = kind_of(&error.code);
        }
        Self::Told(Box::new(error))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        ClientError::from(refusal).into()
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        Self::failed(error.to_string())
    }
}

/// `{"error":{"code","message","remedy","request_id"}}`: every error on stderr with `-o json`.
pub(super) fn error_json(code: &str, message: &str, remedy: Option<&str>, request_id: Option<&str>) -> Value {
    let mut error = Map::new();
    error.insert("code".to_owned(), code.into());
    error.insert("message".to_owned(), message.into());
    error.insert("remedy".to_owned(), remedy.into());
    error.insert("request_id".to_owned(), request_id.into());
    json!({ "error": error })
}

/// The kind of a gateway's refusal, by its word; words of newer gateways are failures.
pub(super) fn kind_of(word: &str) -> Kind {
    match word {
        // The gateway only knows models that the caller may see: it will not tell whether there are others.
        code::MODEL_UNKNOWN => Kind::Denied,
        code::DRAINING => Kind::Unreachable,
        word => Kind::of_code(word),
    }
}

/// The exit code of each kind (DESIGN §4.1).
pub(super) fn exit_code(kind: Kind) -> u8 {
    match kind {
        Kind::Failed => 1,
        Kind::Usage => 2,
        Kind::Denied => 3,
        Kind::LoginNeeded => 4,
        Kind::ApprovalDenied => 5,
        Kind::Unreachable => 6,
        Kind::Trust => 7,
        Kind::Verification => 8,
        Kind::ApprovalPending => 75,
        Kind::Interrupted => 130,
    }
}

fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Failed => "error",
        Kind::Usage => "usage",
        Kind::Denied => "refused",
        Kind::LoginNeeded => "login needed",
        Kind::ApprovalDenied => "not approved",
        Kind::Unreachable => "unreachable",
        Kind::Trust => "not trusted",
        Kind::Verification => "tampered",
        Kind::ApprovalPending => "approval needed",
        Kind::Interrupted => "interrupted",
    }
}

/// The next step when whoever failed named none.
fn fallback(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Failed => Some("run the same command with -v for more"),
        Kind::Usage => Some("hoopctl --help"),
        Kind::Denied => Some("hoopctl models lists what you may use; ask the gateway's operator for more"),
        Kind::LoginNeeded => Some("hoopctl login"),
        Kind::ApprovalDenied | Kind::ApprovalPending => Some("ask an approver of the model"),
        Kind::Unreachable => Some("check the address that hoopctl status shows, and the network"),
        Kind::Trust => Some(
            "ask the gateway's operator for `hoopctl gateway ca fingerprint`, then log in with --ca-fingerprint",
        ),
        Kind::Verification => Some("keep the files as they are and tell whoever runs the gateway"),
        Kind::Interrupted => None,
    }
}

fn mistake_lines(mistake: &Mistake) -> Vec<(&'static str, String)> {
    let mut lines = vec![("settings", format!("{}: {}", mistake.source, mistake.message))];
    lines.extend(mistake.remedy.iter().map(|remedy| ("next", remedy.clone())));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::laptop::Source;

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        for (kind, code) in [
            (Kind::Failed, 1),
            (Kind::Usage, 2),
            (Kind::Denied, 3),
            (Kind::LoginNeeded, 4),
            (Kind::ApprovalDenied, 5),
            (Kind::Unreachable, 6),
            (Kind::Trust, 7),
            (Kind::Verification, 8),
            (Kind::ApprovalPending, 75),
            (Kind::Interrupted, 130),
        ] {
            assert_eq!(Failure::new(kind, "x", "y").exit_code(), code, "{kind:?}");
        }
        assert_eq!(Failure::Mistakes(Vec::new()).exit_code(), 2);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit_code(), 0);
    }

    #[test]
    fn a_gateways_refusal_keeps_its_word_and_gets_its_exit_code() {
        for (word, exit) in [
            ("denied", 3),
            ("model_unknown", 3),
            ("login_required", 4),
            ("approval_denied", 5),
            ("approval_required", 75),
            ("draining", 6),
            ("upstream_untrusted", 7),
            ("upstream_unreachable", 1),
            ("a_word_of_next_year", 1),
        ] {
            let failure = Failure::from(Refusal::new(word, "no"));
            assert_eq!(failure.exit_code(), exit, "{word}");
            assert_eq!(failure.json().unwrap()["error"]["code"], word);
        }
    }

    #[test]
    fn errors_have_one_json_shape() {
        let failure = Failure::usage("--port takes one model").remedy("hoopctl connect --help");
        assert_eq!(
            failure.json().unwrap().to_string(),
            r#"{"error":{"code":"usage","message":"--port takes one model","remedy":"hoopctl connect --help","request_id":null}}"#
        );
        let mistake = |line| Mistake {
            source: Source::User("config.toml".into(), line),
            message: "wrong".into(),
            remedy: Some("right".into()),
        };
        let json = Failure::Mistakes(vec![mistake(1), mistake(2)]).json().unwrap();
        assert_eq!(json["error"]["mistakes"].as_array().unwrap().len(), 2);
        assert_eq!(json["error"]["message"], "config.toml:1: wrong");
    }

    #[test]
    fn every_failure_says_what_comes_next() {
        for kind in [
            Kind::Failed,
            Kind::Usage,
            Kind::Denied,
            Kind::LoginNeeded,
            Kind::ApprovalDenied,
            Kind::Unreachable,
            Kind::Trust,
            Kind::Verification,
            Kind::ApprovalPending,
        ] {
            let lines = Failure::new(kind, "x", "why").lines();
            assert!(lines.iter().any(|(heading, text)| *heading == "next" && !text.is_empty()), "{kind:?}");
        }
    }
}
