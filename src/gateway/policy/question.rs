//! What policy is asked: who wants to do what with which model, and how.

use std::{collections::BTreeMap, net::IpAddr, time::SystemTime};

use crate::{gateway::identity::Caller, tunnel::Transport};

/// What a caller wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See that a model exists.
    List,
    /// Send a request to a model.
    Invoke,
    /// Say yes or no to another caller's request for approval.
    Approve,
    /// Read the recording of an exchange.
    Replay,
    /// See an answer without masking.
    Unmask,
    /// Read the audit log.
    ReadAudit,
    /// Run the gateway: revoke callers, read its state.
    Administer,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 7] = [
        Self::List,
        Self::Invoke,
        Self::Approve,
        Self::Replay,
        Self::Unmask,
        Self::ReadAudit,
        Self::Administer,
    ];

    /// The name in policies, such as `read_audit`.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Invoke => "invoke",
            Self::Approve => "approve",
            Self::Replay => "replay",
            Self::Unmask => "unmask",
            Self::ReadAudit => "read_audit",
            Self::Administer => "administer",
        }
    }
}

/// What policies know of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// Name in `gateway.toml`.
    pub name: String,
    /// `openai`, `kserve` … or `detect`.
    pub dialect: String,
    /// `required` or `relaxed`.
    pub tls: String,
    /// Become the tags of the `Model` entity.
    pub labels: BTreeMap<String, String>,
}

impl ModelFacts {
    /// The facts of a model of this name; `relaxed` as `gateway.toml` says `tls`.
    pub fn new(name: &str, dialect: &str, relaxed: bool, labels: BTreeMap<String, String>) -> Self {
        let tls = if relaxed { "relaxed" } else { "required" };
        Self { name: name.to_owned(), dialect: dialect.to_owned(), tls: tls.to_owned(), labels }
    }
}

/// What it is about.
#[derive(Clone, Copy, Debug)]
pub enum Resource<'a> {
    /// A model, by name.
    Model(&'a str),
    /// The gateway as a whole.
    Gateway,
}

/// The circumstances. What does not apply stays empty.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// How the caller reached the gateway: `quic`, `tcp`; `None` is `""` in policies.
    pub transport: Option<Transport>,
    /// Whether the upstream leg is encrypted.
    pub upstream_encrypted: bool,
    /// The caller's address; IPv4-mapped IPv6 is seen as IPv4, `None` as 0.0.0.0.
    pub source_ip: Option<IpAddr>,
    /// Now.
    pub now: SystemTime,
    /// HTTP method.
    pub method: &'a str,
    /// HTTP path without query.
    pub path: &'a str,
    /// The model named in the request's body, where the dialect has one.
    pub requested_model: Option<&'a str>,
}

/// One question to the policies.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// What.
    pub action: Action,
    /// With what.
    pub resource: Resource<'a>,
    /// How.
    pub context: Context<'a>,
}
