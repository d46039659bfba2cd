//! The audit event (DESIGN §4.6): one JSON object, `schema: "hoopctl.audit/1"`. What is not known is absent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The value of [`Event::schema`].
pub const SCHEMA: &str = "hoopctl.audit/1";

/// One line of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// [`SCHEMA`].
    pub schema: String,
    /// `ev_…`.
    pub id: String,
    /// RFC 3339, UTC, milliseconds: for exchanges, when they were intended.
    pub time: String,
    /// `exchange`, `login`, `login_failed`, `renewal`, `revocation`, `plaintext_attempt`, `unknown_caller`, `gateway_start` …
    pub kind: String,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    /// The model's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// One `connect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// One request and its response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<String>,
    /// What policy said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// The request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// The response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// How many values were masked, by entity; `FIELD` are those that a field rule named.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub masked: BTreeMap<String, u64>,
    /// The model's answers are masked, and the caller was let see this one as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmasked: Option<Unmasked>,
    /// How both legs were encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// The recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recording>,
    /// For kinds other than `exchange`: what happened, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The address that an exchange came from; for events without a caller: where from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Of `plaintext_attempt`, `unknown_caller` and `login_failed`: how many the event stands for; absent is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Of `audit_outage`: from when on nothing could be recorded, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Of `gateway_start` and `gateway_reload`: what is in force, and what changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
    /// For `anomaly`: what is unusual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<Anomaly>,
}

/// What is in force, and what changed. Names and digests: no value of a configuration is in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// SHA-256 over the names and texts of the policy files, hex.
    pub policies_sha256: String,
    /// The same before the change, where it was another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies_before: Option<String>,
    /// Policy files that were added, removed or altered. At most 64 are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_files: Vec<String>,
    /// Models that are new; at a start, all of them. At most 64 are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models_added: Vec<String>,
    /// Models that are there no more. At most 64 are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models_removed: Vec<String>,
    /// Models that are configured otherwise than before. At most 64 are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models_changed: Vec<String>,
    /// Other parts of `gateway.toml` that changed, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts_changed: Vec<String>,
}

/// Who made the exchange.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Caller {
    /// Stable at the provider.
    pub subject: String,
    /// Email address, when the provider gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// As the provider said them at the last login or renewal.
    pub groups: Vec<String>,
    /// The provider's name in `gateway.toml`.
    pub provider: String,
    /// The laptop's program and version, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// What policy said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// `permit`, `ask` or `deny`.
    pub verdict: String,
    /// The ids of the policies that decided.
    pub policies: Vec<String>,
    /// The approval that let it pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
}

/// That an answer was not masked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Unmasked {
    /// The ids of the policies that permitted `unmask`.
    pub policies: Vec<String>,
}

/// The request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// HTTP method.
    pub method: String,
    /// Path without query, as sent.
    pub path: String,
    /// Body bytes passed to the model.
    pub bytes: u64,
    /// Of the body, hex; absent when it was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The model the request itself names, where its dialect is understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_model: Option<String>,
    /// Whether the answer was to come as a stream, where the dialect is understood and the request was read far enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// The caller's place in a distributed trace (W3C Trace Context), where the request has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The beginning of what was asked, at most 2 KiB; only with `[audit] input = "excerpt"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
}

/// The response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// HTTP status; 0 when there was none.
    pub status: u16,
    /// Body bytes passed to the caller.
    pub bytes: u64,
    /// Tokens of the exchange, where its dialect is understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// The beginning of what the model said, masked, at most 2 KiB before that; only with `[audit] output = "excerpt"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// From intent to the first body byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u64>,
    /// From intent to the first that the model made, in streams of dialects that are understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// From intent to the end.
    pub duration_ms: u64,
    /// `complete`, `refused`, `caller_left`, `upstream_cut`, `upstream_failed`, `revoked`, `approval_ended`, `masking_failed`, `recording_failed`, `aborted` or
    /// `interrupted`.
    pub outcome: String,
}

/// Tokens of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// Of the request, cached ones among them.
    pub input: u64,
    /// Of the answer, those of its reasoning among them.
    pub output: u64,
    /// As the model's server adds them up, when it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The server did not tell them all: these are the gateway's estimate.
    #[serde(skip_serializing_if = "is_false")]
    pub estimated: bool,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !value
}

/// How both legs were encrypted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Laptop → gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Leg>,
    /// Gateway → model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Leg>,
}

/// One leg.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Leg {
    /// `quic`, `tcp`, `plaintext`, or `unix` for a socket of the gateway's machine.
    pub transport: String,
    /// `TLSv1.3`, `TLSv1.2`, or empty for plaintext.
    pub tls: String,
    /// IANA name of the suite.
    pub cipher: String,
    /// Key exchange group.
    pub group: String,
    /// Upstream only: whether the certificate was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// Upstream only: SHA-256 of the server's leaf certificate, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_sha256: Option<String>,
    /// Upstream only: the model's TLS is relaxed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub relaxed: bool,
    /// Upstream only: which server answered, where the model has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// What is unusual about a caller's use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Which rule says so: `rate`, `volume`, `model`, `hour`, `network`, `denials`, `masked` or `extraction`.
    pub rule: String,
    /// What is usual for the caller.
    pub usual: String,
    /// What was seen.
    pub seen: String,
    /// How unusual it is, on the rule's own scale.
    pub score: f64,
    /// What followed: `notify`, `require_approval` or `suspend`.
    pub answer: String,
    /// Until when, unless it is lifted before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Where the recording lies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// `rec_…`.
    pub id: String,
    /// Of the recording file up to the end of its last segment, hex; absent while it is written, and where nothing of it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// How often something is missing in it that should be there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gaps: u64,
    /// Why it is not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_absent() {
        let event = Event {
            schema: SCHEMA.into(),
            id: "ev_1".into(),
            time: "2026-11-23T07:15:46.123Z".into(),
            kind: "login".into(),
            ..Event::default()
        };
        let text =
            r#"{"schema":"hoopctl.audit/1","id":"ev_1","time":"2026-11-23T07:15:46.123Z","kind":"login"}"#;
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
        assert_eq!(serde_json::from_str::<Event>(text).unwrap(), event);
    }

    #[test]
    fn a_full_exchange_has_the_fields_the_contract_names() {
        let leg = Leg {
            verified: Some(true),
            peer_sha256: Some("00".into()),
            relaxed: true,
            url: Some("https://m.test/".into()),
            ..Leg::default()
        };
        let event = Event {
            caller: Some(Caller { email: Some("alice@example.test".into()), ..Caller::default() }),
            decision: Some(Decision { approval: Some("apr_1".into()), ..Decision::default() }),
            request: Some(Request {
                sha256: Some("00".into()),
                requested_model: Some("m".into()),
                stream: Some(true),
                input: Some("hello".into()),
                ..Request::default()
            }),
            response: Some(Response {
                first_byte_ms: Some(1),
                first_token_ms: Some(2),
                tokens: Some(Tokens { input: 1, output: 2, total: Some(3), estimated: true }),
                ..Response::default()
            }),
            masked: BTreeMap::from([("EMAIL".into(), 2)]),
            unmasked: Some(Unmasked { policies: vec!["fraud-desk".into()] }),
            evidence: Some(Evidence { client: Some(Leg::default()), upstream: Some(leg) }),
            recording: Some(Recording {
                id: "rec_1".into(),
                sha256: Some("00".into()),
                gaps: 1,
                failure: Some("it is full".into()),
            }),
            ..Event::default()
        };
        let json = serde_json::to_value(&event).unwrap();
        for pointer in [
            "/caller/subject",
            "/caller/email",
            "/caller/groups",
            "/caller/provider",
            "/decision/verdict",
            "/decision/policies",
            "/decision/approval",
            "/request/method",
            "/request/path",
            "/request/bytes",
            "/request/sha256",
            "/request/requested_model",
            "/request/stream",
            "/request/input",
            "/response/tokens/input",
            "/response/tokens/output",
            "/response/tokens/total",
            "/response/tokens/estimated",
            "/response/status",
            "/response/bytes",
            "/response/first_byte_ms",
            "/response/first_token_ms",
            "/response/duration_ms",
            "/response/outcome",
            "/masked/EMAIL",
            "/unmasked/policies",
            "/evidence/client/transport",
            "/evidence/client/tls",
            "/evidence/client/cipher",
            "/evidence/client/group",
            "/evidence/upstream/verified",
            "/evidence/upstream/peer_sha256",
            "/evidence/upstream/relaxed",
            "/evidence/upstream/url",
            "/recording/id",
            "/recording/sha256",
            "/recording/gaps",
            "/recording/failure",
        ] {
            assert!(json.pointer(pointer).is_some(), "{pointer}");
        }
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }

    #[test]
    fn an_event_of_a_newer_gateway_is_still_read() {
        let newer = r#"{"schema":"hoopctl.audit/1","id":"e","time":"t","kind":"k","colour":"green","response":
            {"status":200,"bytes":1,"duration_ms":2,"outcome":"complete","tokens":{"in":1}}}"#;
        let event: Event = serde_json::from_str(newer).unwrap();
        assert_eq!(event.response.unwrap().outcome, "complete");
    }
}
