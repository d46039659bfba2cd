//! What `[[sink]]` of `gateway.toml` says.

use std::path::PathBuf;

use url::{Host, Url};

use crate::secret;

/// One `[[sink]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkConfig {
    /// Unique; what the place in the log is kept under.
    pub name: String,
    /// Only events of these kinds; empty for all.
    pub kinds: Vec<String>,
    /// A sink that was never seen begins with the log's first event, not with the next.
    pub from_start: bool,
    /// Who takes them.
    pub receiver: ReceiverConfig,
}

/// Who takes events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiverConfig {
    /// `kind = "webhook"`
    Webhook(WebhookConfig),
    /// `kind = "syslog"`
    Syslog(SyslogConfig),
    /// `kind = "otlp"`
    Otlp(OtlpConfig),
}

/// A header that says who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name, in lower case.
    pub name: String,
    /// Before the secret, such as `Bearer `.
    pub prefix: String,
    /// The secret.
    pub value: secret::Source,
}

/// Whom an HTTPS receiver is believed to be, and who it is told sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearing {
    /// https, or http on loopback.
    pub url: Url,
    /// PEM roots instead of the operating system's.
    pub ca: Option<PathBuf>,
    /// Joined to every request.
    pub headers: Vec<Header>,
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Where to.
    pub to: Bearing,
    /// By the Standard Webhooks specification; none: not signed.
    pub secrets: Vec<secret::Source>,
    /// One event a line, instead of one document.
    pub lines: bool,
}

/// A syslog receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogConfig {
    /// Where to.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// RFC 5425; without it only loopback is taken.
    pub tls: bool,
    /// PEM roots instead of the operating system's.
    pub ca: Option<PathBuf>,
    /// PEM chain and key that are shown to the receiver.
    pub client: Option<(PathBuf, PathBuf)>,
    /// RFC 5424 §6.2.1.
    pub facility: Facility,
    /// The private enterprise number behind the name of the structured data (RFC 5424 §7.2.2).
    pub enterprise: u32,
    /// The longest event as it is, in bytes; a longer one is sent as its digest.
    pub most: usize,
}

/// A facility of RFC 5424 §6.2.1, 0–23.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(pub u8);

impl Facility {
    /// Names in `gateway.toml`, as syslog programs write them.
    pub const NAMES: &[(&str, Self)] = &[
        ("user", Self(1)),
        ("daemon", Self(3)),
        ("auth", Self(4)),
        ("authpriv", Self(10)),
        ("audit", Self(13)),
        ("alert", Self(14)),
        ("local0", Self(16)),
        ("local1", Self(17)),
        ("local2", Self(18)),
        ("local3", Self(19)),
        ("local4", Self(20)),
        ("local5", Self(21)),
        ("local6", Self(22)),
        ("local7", Self(23)),
    ];
}

/// An OTLP/HTTP receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpConfig {
    /// The base URL, before `/v1/logs`.
    pub to: Bearing,
    /// What is sent.
    pub signals: Signals,
    /// How the attributes of generative models are called.
    pub genai: GenAi,
    /// What a figure counts from.
    pub temporality: Temporality,
    /// Whether bodies are compressed.
    pub gzip: bool,
}

/// Kinds of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signals {
    /// Every event.
    pub logs: bool,
    /// A span for each exchange.
    pub traces: bool,
    /// Durations, tokens and counts of exchanges.
    pub metrics: bool,
}

/// A generation of the GenAI semantic conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenAi {
    /// 1.37 and later: `gen_ai.provider.name`.
    Latest,
    /// Up to 1.36: `gen_ai.system`.
    V1_36,
    /// Both names.
    Both,
}

/// What figures of metrics count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    /// The start of the sink.
    Cumulative,
    /// The batch before.
    Delta,
}
