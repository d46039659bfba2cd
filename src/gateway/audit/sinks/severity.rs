//! How much an event is worth a person's look, by its kind; syslog and OpenTelemetry say it in their own numbers.

use crate::evidence::event::Event;

/// From worst to everyday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Something that must hold does not.
    Error,
    /// Somebody was refused, or something will end.
    Warning,
    /// Decided or changed by a person.
    Notice,
    /// Everyday work.
    Info,
}

impl Severity {
    pub(super) fn of(event: &Event) -> Self {
        let outcome = event.response.as_ref().map_or("", |response| response.outcome.as_str());
        match event.kind.as_str() {
            "exchange" => match outcome {
                "complete" | "caller_left" | "" => Self::Info,
                "masking_failed" | "recording_failed" => Self::Error,
                _ => Self::Warning,
            },
            "login" | "renewal" => Self::Info,
            kind if ERRORS.contains(&kind) => Self::Error,
            kind if WARNINGS.contains(&kind) => Self::Warning,
            _ => Self::Notice,
        }
    }

    /// RFC 5424 §6.2.1.
    pub(super) fn syslog(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Warning => 4,
            Self::Notice => 5,
            Self::Info => 6,
        }
    }

    /// The number and its name in OpenTelemetry's log data model: syslog's notice is INFO2 there.
    pub(super) fn opentelemetry(self) -> (i32, &'static str) {
        match self {
            Self::Error => (17, "ERROR"),
            Self::Warning => (13, "WARN"),
            Self::Notice => (10, "INFO2"),
            Self::Info => (9, "INFO"),
        }
    }
}

const ERRORS: &[&str] = &["journal_damaged", "sink_failed"];
const WARNINGS: &[&str] = &[
    "login_failed",
    "plaintext_attempt",
    "unknown_caller",
    "certificate_refused",
    "certificate_expiring",
    "anomaly",
    "approval_denied",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::event::Response;

    #[test]
    fn kinds_and_outcomes_have_their_severity() {
        for (kind, outcome, severity) in [
            ("exchange", "complete", 6),
            ("exchange", "refused", 4),
            ("exchange", "masking_failed", 3),
            ("login", "", 6),
            ("login_failed", "", 4),
            ("approval_granted", "", 5),
            ("journal_damaged", "", 3),
            ("something_new", "", 5),
        ] {
            let response = Some(Response { outcome: outcome.to_owned(), ..Response::default() });
            let event = Event { kind: kind.to_owned(), response, ..Event::default() };
            assert_eq!(Severity::of(&event).syslog(), severity, "{kind} {outcome}");
        }
    }
}
