//! Errors → HTTP, gRPC, WebSocket, tunnel refusal (the only such place).

mod approvals;
mod dialect;
mod shape;

use std::borrow::Cow;

use http::StatusCode;

pub use dialect::{Dialect, Voice};
pub use shape::{CODE_HEADER, REQUEST_ID_HEADER, grpc_message};

use super::{
    audit::{
        AuditError,
        anomalies::{Held, NotLifted},
    },
    framing::Malformed,
    mask::NotUnderstood,
    policy::Verdict,
    record::RecordError,
    upstream::UpstreamError,
};
use crate::{
    clock::rfc3339,
    wire::{Refusal, code},
};

/// A "no" on its way to the caller: what happened, the next step, and the HTTP status it travels under.
///
/// Holds only what a caller may read. Addresses, certificates and causes inside the company go to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    code: Cow<'static, str>,
    status: StatusCode,
    message: String,
    remedy: Option<String>,
    /// Seconds after which the same request may pass.
    retry_after: Option<u64>,
}

impl Problem {
    /// A problem under the status of its code (see [`crate::wire::code`]).
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Cow::Borrowed(code),
            status: status(code),
            message: message.into(),
            remedy: None,
            retry_after: None,
        }
    }

    /// Adds the next step.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Replaces the status, for codes that stand for several.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The stable word of [`crate::wire::code`].
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The HTTP status the caller sees (gRPC callers see 200 and a `grpc-status`).
    pub fn http_status(&self) -> StatusCode {
        self.status
    }

    /// The sentence for the caller.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same "no" as the tunnel says it.
    pub fn refusal(self, request_id: Option<String>) -> Refusal {
        Refusal { code: self.code.into_owned(), message: self.message, remedy: self.remedy, request_id }
    }

    /// A request body longer than the model takes.
    pub fn body_too_long(limit: u64) -> Self {
        Self::new(code::LIMIT, format!("the request body is longer than the {limit} bytes this model takes"))
            .status(StatusCode::PAYLOAD_TOO_LARGE)
            .remedy("send less, or ask the gateway's operator to raise `limits.body` of the model")
    }

    /// A model's answer that ended before it was complete.
    pub fn answer_cut() -> Self {
        Self::new(code::UPSTREAM_UNREACHABLE, "the model's server cut its answer short")
            .remedy("tell the gateway's operator: the cause is in the gateway's log under the request id")
    }

    /// An answer of a kind, or in a compression, that cannot be masked.
    pub fn answer_unknown(kind: Option<&str>) -> Self {
        let what =
            kind.map_or_else(|| "of no kind at all".to_owned(), |kind| format!("of the kind `{kind}`"));
        let message =
            format!("the model's answer is {what}, which cannot be masked, so nothing of it is passed on");
        Self::new(code::MASKING_FAILED, message).remedy(
            "ask the gateway's operator: `mask.unknown = \"pass\"` of the model lets such answers through",
        )
    }

    /// A request whose body cannot be masked, for a model that may only get what is.
    pub fn request_unreadable(why: &str) -> Self {
        let message =
            format!("the request cannot be masked, and this model gets masked requests alone: {why}");
        Self::new(code::MASKING_FAILED, message)
            .status(StatusCode::BAD_REQUEST)
            .remedy("send JSON or text, uncompressed or as gzip, deflate, br or zstd; docs/masking.md lists the kinds")
    }

    /// An answer that is not what it says it is, and so cannot be masked.
    pub fn answer_unreadable(why: &NotUnderstood) -> Self {
        let message = format!("the model's answer cannot be masked, so no more of it is passed on: {why}");
        Self::new(code::MASKING_FAILED, message).remedy(match why {
            NotUnderstood::NotAnalysed => {
                "try again, or tell the gateway's operator: the analyser of the model's `mask` does not answer"
            }
            _ => "tell the gateway's operator: the model's server sent something else than it announced",
        })
    }

    /// The deadline that the caller itself has set is over.
    pub fn deadline_passed() -> Self {
        Self::new(code::UPSTREAM_TIMEOUT, "the call's own deadline (grpc-timeout) has passed")
            .remedy("give the call more time")
    }

    /// A limit of the model has no room for `wait` seconds.
    pub fn limited(message: String, wait: u64) -> Self {
        let problem = Self::new(code::LIMIT, message)
            .remedy("wait, or ask the gateway's operator to raise `limits` of the model");
        Self { retry_after: Some(wait.max(1)), ..problem }
    }

    /// No model of that name, with the nearest one the caller may list.
    pub fn model_unknown(model: &str, nearest: Option<&str>) -> Self {
        let problem = Self::new(
            code::MODEL_UNKNOWN,
            match nearest {
                Some(name) => format!("there is no model `{model}`; did you mean `{name}`?"),
                None => format!("there is no model `{model}`"),
            },
        );
        problem.remedy("list the models you may use: hoopctl models")
    }

    /// The caller is suspended, by the answer to an anomaly.
    pub fn suspended(held: &Held) -> Self {
        let (user, until) = (held.user(), rfc3339(held.until));
        Self::new(
            code::CALLER_SUSPENDED,
            format!(
                "{user} may not use models until {until}: unusual use was noticed ({}, {})",
                held.rule, held.id
            ),
        )
        .remedy(format!("ask an administrator of the gateway, who can lift it: hoopctl revoke --lift {user}"))
    }

    /// What policy said, when it was no.
    pub fn refused(verdict: &Verdict, user: &str, model: &str) -> Self {
        let why = match &verdict.missing {
            Some(missing) => format!(": {missing}"),
            None => ": no policy permits it".to_owned(),
        };
        Self::new(code::DENIED, format!("policy does not let {user} use `{model}`{why}")).remedy(format!(
            "ask the gateway's operator, who can see why: hoopctl gateway explain --config gateway.toml --user {user} --model {model}"
        ))
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: status(&refusal.code),
            code: Cow::Owned(refusal.code),
            message: refusal.message,
            remedy: refusal.remedy,
            retry_after: None,
        }
    }
}

impl From<RecordError> for Problem {
    fn from(_: RecordError) -> Self {
        Self::new(
            code::RECORDING_UNAVAILABLE,
            "exchanges with this model are recorded, and this one cannot be, so it does not go on",
        )
        .remedy("tell the gateway's operator: the cause is in the gateway's log; try again later")
    }
}

impl From<AuditError> for Problem {
    fn from(_: AuditError) -> Self {
        Self::new(
            code::AUDIT_UNAVAILABLE,
            "the gateway's audit log cannot be written, so nothing was forwarded to the model",
        )
        .remedy("tell the gateway's operator: the cause is in the gateway's log")
    }
}

impl From<NotLifted> for Problem {
    fn from(error: NotLifted) -> Self {
        match error {
            NotLifted::Own => {
                Self::new(code::DENIED, error.to_string()).remedy("ask another administrator of the gateway")
            }
            NotLifted::Audit(error) => {
                tracing::error!(%error, "what callers are held by cannot be lifted");
                Self::new(code::AUDIT_UNAVAILABLE, "it cannot be recorded that it is lifted, so it stays")
                    .remedy("try again; the gateway's log says why")
            }
        }
    }
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        let status = match malformed {
            Malformed::TargetLong => StatusCode::URI_TOO_LONG,
            Malformed::HeadLong | Malformed::ManyFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Malformed::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Malformed::Expectation => StatusCode::EXPECTATION_FAILED,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(code::BAD_REQUEST, format!("the request is malformed: {malformed}"))
            .status(status)
            .remedy("write it as RFC 9112 or RFC 9113 say; docs/protocols.md lists what is refused")
    }
}

impl From<&UpstreamError> for Problem {
    fn from(error: &UpstreamError) -> Self {
        let operator = "tell the gateway's operator: the cause is in the gateway's log under the request id";
        let (code, message) = match error {
            UpstreamError::Unreachable { .. } => {
                (code::UPSTREAM_UNREACHABLE, "the model's server cannot be reached".to_owned())
            }
            UpstreamError::Broke { .. } => (
                code::UPSTREAM_UNREACHABLE,
                "the model's server ended the connection before it answered".to_owned(),
            ),
            UpstreamError::AnswerMalformed(malformed) => (
                code::UPSTREAM_MALFORMED,
                format!("the model's server sent a malformed answer, which is not passed on: {malformed}"),
            ),
            UpstreamError::Untrusted { reason, .. } => (
                code::UPSTREAM_UNTRUSTED,
                format!("the model's server was not trusted, so nothing was sent: {reason}"),
            ),
            UpstreamError::OutsideRelaxed { .. } => (
                code::UPSTREAM_UNTRUSTED,
                "the model's server lies outside the networks where `tls = \"relaxed\"` is allowed, so nothing was sent"
                    .to_owned(),
            ),
            UpstreamError::Resting { wait } => {
                let problem = Self::new(
                    code::UPSTREAM_UNREACHABLE,
                    "the model's server has failed several times in a row, so it is left alone for a moment",
                );
                let wait = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
                let problem = problem.status(StatusCode::SERVICE_UNAVAILABLE).remedy(format!(
                    "try again in {wait} s; if it lasts, {operator}"
                ));
                return Self { retry_after: Some(wait), ..problem };
            }
            UpstreamError::Timeout { after } => (
                code::UPSTREAM_TIMEOUT,
                format!("the model's server was silent for {} s", after.as_secs()),
            ),
            UpstreamError::Credential { .. } => (
                code::UPSTREAM_CREDENTIAL,
                "the gateway has no usable credential for the model, so nothing was sent".to_owned(),
            ),
            UpstreamError::Crowded => {
                let problem = Self::new(
                    code::LIMIT,
                    "the gateway holds as many bytes of request bodies to be signed as it may, so nothing was sent",
                );
                let problem = problem.status(StatusCode::SERVICE_UNAVAILABLE).remedy("try again in 2 s");
                return Self { retry_after: Some(2), ..problem };
            }
            UpstreamError::DotSegment => {
                return Self::new(
                    code::BAD_REQUEST,
                    "the path holds `.` or `..` as a segment, plainly or as `%2e`, which is not signed for the model",
                )
                .remedy("write the path without it");
            }
            UpstreamError::NoUpgrade => {
                return Self::new(
                    code::BAD_REQUEST,
                    "the model's server speaks HTTP/2 alone and takes no upgrades, WebSocket among them; nothing was sent",
                )
                .status(StatusCode::NOT_IMPLEMENTED)
                .remedy("send the request without `Upgrade`");
            }
            UpstreamError::NotPermitted => {
                (code::INTERNAL, "the gateway lost track of a permit, so nothing was sent".to_owned())
            }
            UpstreamError::RequestCut => {
                return Self::new(code::BAD_REQUEST, "the request body ended before it was complete");
            }
            UpstreamError::RequestAmbiguous => {
                return Self::new(
                    code::BAD_REQUEST,
                    "the request names two models or is not one JSON document, and servers differ in which model they take",
                )
                .remedy("send one JSON document with `model` once, as application/json");
            }
            UpstreamError::RequestUnreadable => return Self::request_unreadable("it is not what its content type says"),
            UpstreamError::RequestMalformed(malformed) => return Self::from(*malformed),
            UpstreamError::Unsignable { limit } => {
                return Self::new(
                    code::LIMIT,
                    format!("the request body is longer than the {limit} bytes that the gateway can sign as a whole"),
                )
                .status(StatusCode::PAYLOAD_TOO_LARGE)
                .remedy("send less, or ask the gateway's operator to set `payload` of the model's `aws` credential");
            }
            UpstreamError::RequestTooLong { limit } => return Self::body_too_long(*limit),
        };
        Self::new(code, message).remedy(operator)
    }
}

/// The HTTP status of a word of [`crate::wire::code`]; unknown words are faults of ours.
pub fn status(word: &str) -> StatusCode {
    match word {
        code::BAD_REQUEST => StatusCode::BAD_REQUEST,
        code::LOGIN_REQUIRED | code::LOCAL_KEY => StatusCode::UNAUTHORIZED,
        code::DENIED
        | code::CALLER_SUSPENDED
        | code::APPROVAL_REQUIRED
        | code::APPROVAL_DENIED
        | code::LOCAL_REFUSED => StatusCode::FORBIDDEN,
        code::MODEL_UNKNOWN => StatusCode::NOT_FOUND,
        code::TLS_REQUIRED => StatusCode::UPGRADE_REQUIRED,
        code::LIMIT => StatusCode::TOO_MANY_REQUESTS,
        code::UPSTREAM_UNREACHABLE
        | code::UPSTREAM_UNTRUSTED
        | code::UPSTREAM_CREDENTIAL
        | code::UPSTREAM_MALFORMED
        | code::MASKING_FAILED => StatusCode::BAD_GATEWAY,
        code::UPSTREAM_TIMEOUT => StatusCode::GATEWAY_TIMEOUT,
        code::AUDIT_UNAVAILABLE | code::RECORDING_UNAVAILABLE | code::DRAINING => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
