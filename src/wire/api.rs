//! Bodies of the gateway's HTTP API that the laptop reads and writes.

use serde::{Deserialize, Serialize};

/// `GET /.well-known/hoopctl`: what a laptop must know before it logs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    /// 1.
    pub schema: u32,
    /// The gateway's public URL and its authorization server's issuer (RFC 8414).
    pub issuer: String,
    /// Program and version.
    pub gateway: String,
    /// Protocol versions served ([`super::VERSION`]).
    pub versions: Vec<u32>,
    /// `/oauth2/authorize`, absolute.
    pub authorization_endpoint: String,
    /// `/oauth2/token`, absolute.
    pub token_endpoint: String,
    /// `/oauth2/revoke`, absolute (RFC 7009).
    pub revocation_endpoint: String,
    /// `/oauth2/device_authorization`, absolute (RFC 8628); absent at gateways that do not serve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_authorization_endpoint: Option<String>,
    /// `/api/v1/credentials`, absolute.
    pub credential_endpoint: String,
    /// Names and kinds of the identity providers offered.
    pub providers: Vec<Provider>,
    /// Every root to believe the gateway by, PEM, when its CA is its own; empty for public certificates.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub roots: String,
}

/// An identity provider as the laptop sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// Name in `gateway.toml`.
    pub name: String,
    /// `oidc`, `saml`, `workload`, `service` or `dev`.
    pub kind: String,
    /// For `workload`: what tokens must have as `aud`; absent at gateways that do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// The OAuth client identifier of the command line; public, so PKCE is required (RFC 8252).
pub const CLIENT_ID: &str = "hoopctl";

/// `POST /oauth2/device_authorization` (RFC 8628 §3.2).
#[derive(Clone, Serialize, Deserialize)]
pub struct DeviceAuthorization {
    /// The device's secret, for the token endpoint.
    pub device_code: String,
    /// What the person types or compares, `WDJB-MJHT`.
    pub user_code: String,
    /// Where the person types it.
    pub verification_uri: String,
    /// The same with the code in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_uri_complete: Option<String>,
    /// Seconds.
    pub expires_in: u64,
    /// Seconds between two polls; 5 when absent.
    #[serde(default = "default_interval")]
    pub interval: u64,
}

/// RFC 8628 §3.2.
fn default_interval() -> u64 {
    5
}

/// `POST /oauth2/token` (RFC 6749 §5.1).
#[derive(Clone, Serialize, Deserialize)]
pub struct Tokens {
    /// For `Authorization: Bearer` at the gateway's API.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: String,
    /// Seconds.
    pub expires_in: u64,
    /// Rotates at each use; absent for workloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// `POST /oauth2/token` when it fails (RFC 6749 §5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthError {
    /// `invalid_grant`, `invalid_request` …
    pub error: String,
    /// A sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
}

/// `POST /api/v1/credentials`, request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRequest {
    /// PKCS #10 request, PEM; its subject and extensions are ignored, its key is proven.
    pub csr: String,
}

/// A certificate and what it stands for: answer of `POST /api/v1/credentials` and of an in-band renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The chain, leaf first, PEM.
    pub certificate: String,
    /// The certificate's end, RFC 3339.
    pub expires_at: String,
    /// The login session's end, RFC 3339; absent when a workload's token stands behind it.
    pub session_expires_at: String,
    /// The login session.
    pub session: String,
    /// Who.
    pub user: String,
    /// Groups as the provider said them last.
    pub groups: Vec<String>,
    /// The identity provider's name.
    pub provider: String,
    /// Every root the laptop should trust the gateway by, PEM, when the gateway's CA is its own: empty for public certificates.
    #[serde(default)]
    pub roots: String,
    /// Counts the changes of these roots; absent at gateways that do not rotate theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots_version: Option<u64>,
}

/// `POST /api/v1/tokens`, request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelTokenRequest {
    /// The model.
    pub model: String,
}

/// A token for one model at the direct ingress: answer of `POST /api/v1/tokens`, and what `hoopctl token -o json` prints.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelToken {
    /// 1.
    pub schema: u32,
    /// For `Authorization: Bearer`.
    pub token: String,
    /// `Bearer`.
    pub token_type: String,
    /// RFC 3339.
    pub expires_at: String,
    /// The model's base address, with a slash behind it.
    pub url: String,
    /// The model.
    pub model: String,
}

/// `POST /api/v1/revocations`, request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// A session's id, or a user's subject, email address or name.
    pub who: String,
}

/// Answer of `POST /api/v1/revocations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// 1.
    pub schema: u32,
    /// How many sessions ended.
    pub sessions: usize,
    /// Their ids.
    #[serde(default)]
    pub ids: Vec<String>,
}

/// Answer of `POST /api/v1/suspensions/lift`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifted {
    /// 1.
    pub schema: u32,
    /// How many answers to alarms about unusual use were lifted.
    pub lifted: usize,
}

/// One of `GET /api/v1/models`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Name.
    pub name: String,
    /// `openai`, `anthropic`, `ollama`, `gemini`, `kserve`, `http` or `detect`.
    pub dialect: String,
    /// `required` or `relaxed`.
    pub tls: String,
    /// Labels of `gateway.toml`.
    pub labels: std::collections::BTreeMap<String, String>,
    /// `permit` or `ask`.
    pub access: String,
}

/// A request for a person's yes, as `/api/v1/approvals` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// 1.
    pub schema: u32,
    /// `apr_…`.
    pub id: String,
    /// `pending`, `approved`, `denied` or `expired`.
    pub state: String,
    /// The model it is for.
    pub model: String,
    /// Who asks.
    pub requester: String,
    /// Why, as the requester wrote it.
    pub reason: Option<String>,
    /// Yeses so far.
    pub approvals: u32,
    /// Yeses it takes.
    pub needed: u32,
    /// While pending: when the request lapses. Once approved: when the approval ends. RFC 3339.
    pub expires_at: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// How long the approval lasts from the last yes, in seconds.
    pub lasts: u64,
    /// Groups whose members may decide; empty: whom policy permits to `approve` the model.
    pub approvers: Vec<String>,
    /// Who said yes, in their order.
    pub approved_by: Vec<String>,
    /// Who said no.
    pub denied_by: Option<String>,
    /// What the last decider wrote.
    pub comment: Option<String>,
    /// The page where it is decided.
    pub url: String,
    /// Whether the reader may decide it.
    pub decidable: bool,
    /// What the requester did with the model in the last seven days; for deciders and requesters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<ApprovalHistory>,
}

/// A requester's last seven days with a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalHistory {
    /// Exchanges that reached the model.
    pub exchanges: u64,
    /// Exchanges that were refused.
    pub refused: u64,
    /// Approvals that were given.
    pub approved: u64,
    /// The last exchange, RFC 3339.
    pub last: Option<String>,
}

/// `POST /api/v1/approvals`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// The model.
    pub model: String,
    /// Why; at most [`super::stream::MAX_REASON`] bytes.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `POST /api/v1/approvals/{id}/approve` and `…/deny`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalDecision {
    /// Only to approve: shortens the approval to so many seconds.
    #[serde(default)]
    pub lasts: Option<u64>,
    /// A word to the requester; at most [`super::stream::MAX_REASON`] bytes.
    #[serde(default)]
    pub comment: Option<String>,
}

/// `{"error": …}`: every error body of the gateway's own API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// What [`ErrorBody`] holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// A word of [`super::code`].
    pub code: String,
    /// A sentence.
    pub message: String,
    /// The family of the error in the caller's dialect, such as `permission_error`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Finds the event in the gateway's log.
    #[serde(default)]
    pub request_id: Option<String>,
    /// The next step.
    #[serde(default)]
    pub remedy: Option<String>,
}

impl From<ErrorDetail> for super::Refusal {
    fn from(detail: ErrorDetail) -> Self {
        Self {
            code: detail.code,
            message: detail.message,
            remedy: detail.remedy,
            request_id: detail.request_id,
        }
    }
}
