//! What laptop and gateway say to each other: pure data, versioned, every length bounded.
//!
//! Every message is a frame: a 16-bit big-endian length, then that many bytes of JSON. Unknown
//! fields are ignored, so that clients and gateways of different ages understand each other.

pub mod api;
pub mod control;
mod frame;
pub mod stream;

pub use frame::{FrameError, MAX_FRAME, decode, encode};

/// The protocol's ALPN identifier (RFC 7301), on QUIC and on TLS over TCP.
pub const ALPN: &[u8] = b"hoop/1";

/// The version of the messages in this room. A gateway serves every version it knows.
pub const VERSION: u32 = 1;

use serde::{Deserialize, Serialize};

/// A "no" with its reason and the next step; every edge turns this one shape into its own terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// A stable word for programs, such as `denied` or `model_unknown`.
    pub code: String,
    /// What happened and why, in a sentence.
    pub message: String,
    /// What to do next, often a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Finds the same event in the gateway's log and audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Refusal {
    /// A refusal without remedy or request id.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), remedy: None, request_id: None }
    }

    /// Adds the next step.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// The words of [`Refusal::code`] that programs decide by. Others may appear: treat them as failures.
pub mod code {
    /// Policy says no. Exit code 3, HTTP 403.
    pub const DENIED: &str = "denied";
    /// The caller is suspended because of unusual use, until an administrator lifts it or its time is over. Exit code 3, HTTP 403.
    pub const CALLER_SUSPENDED: &str = "caller_suspended";
    /// Policy wants a person's yes first. HTTP 403; exit code 75 with `--no-wait`.
    pub const APPROVAL_REQUIRED: &str = "approval_required";
    /// A person said no, or nobody answered in time. Exit code 5.
    pub const APPROVAL_DENIED: &str = "approval_denied";
    /// No, expired or revoked credential. Exit code 4, HTTP 401.
    pub const LOGIN_REQUIRED: &str = "login_required";
    /// No model of that name that the caller may see. HTTP 404.
    pub const MODEL_UNKNOWN: &str = "model_unknown";
    /// The request itself is wrong. HTTP 400.
    pub const BAD_REQUEST: &str = "bad_request";
    /// A foreign `Host` or a browser's `Origin` on the local port. HTTP 403.
    pub const LOCAL_REFUSED: &str = "local_refused";
    /// The local port asks for its key, and the request presents none or another. HTTP 401.
    pub const LOCAL_KEY: &str = "local_key";
    /// The model's server cannot be reached. HTTP 502.
    pub const UPSTREAM_UNREACHABLE: &str = "upstream_unreachable";
    /// The model's server failed TLS or its certificate is not trusted. HTTP 502.
    pub const UPSTREAM_UNTRUSTED: &str = "upstream_untrusted";
    /// The model's server answered with HTTP that could be read in two ways. HTTP 502.
    pub const UPSTREAM_MALFORMED: &str = "upstream_malformed";
    /// The gateway has no usable credential for the model. HTTP 502.
    pub const UPSTREAM_CREDENTIAL: &str = "upstream_credential";
    /// The model's server did not answer in time. HTTP 504.
    pub const UPSTREAM_TIMEOUT: &str = "upstream_timeout";
    /// The answer cannot be masked, so it is not passed on. HTTP 502.
    pub const MASKING_FAILED: &str = "masking_failed";
    /// The audit log cannot be written, so nothing is forwarded. HTTP 503.
    pub const AUDIT_UNAVAILABLE: &str = "audit_unavailable";
    /// The exchange must be recorded and cannot be, so nothing is forwarded or nothing more of it is. HTTP 503.
    pub const RECORDING_UNAVAILABLE: &str = "recording_unavailable";
    /// A limit of the model or the gateway. HTTP 413 or 429.
    pub const LIMIT: &str = "limit";
    /// The gateway is going away; reconnect. HTTP 503.
    pub const DRAINING: &str = "draining";
    /// Neither side knows the other's version.
    pub const VERSION: &str = "version_unsupported";
    /// Unencrypted bytes on the TLS port. HTTP 426.
    pub const TLS_REQUIRED: &str = "tls_required";
    /// A fault of the gateway. HTTP 500.
    pub const INTERNAL: &str = "internal";
}
