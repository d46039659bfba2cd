//! `[[sink]]`: where audit events are shipped to.

use toml::de::DeValue;
use url::{Host, Url};

use crate::{
    config::gateway::{
        file,
        reader::{Report, Table, Value, shown},
        value,
    },
    gateway::audit::sinks::{
        Bearing, Facility, GenAi, Header, OtlpConfig, ReceiverConfig, Signals, SinkConfig, SyslogConfig,
        Temporality, WebhookConfig,
    },
};

/// Sinks of one gateway.
const MAX_SINKS: usize = 16;
/// Headers of one sink.
const MAX_HEADERS: usize = 16;
/// Kinds named by one sink.
const MAX_KINDS: usize = 64;
/// The longest name of a kind.
const MAX_KIND: usize = 40;
/// The port of syslog over TLS (RFC 5425 §4.1).
const SYSLOG_TLS: u16 = 6514;
/// Of syslog over TCP, by custom.
const SYSLOG_TCP: u16 = 601;
/// The number that is kept for examples (RFC 5612).
const ENTERPRISE: u32 = 32473;
/// Syslog receivers take 8 KiB of a message (RFC 5425 §4.3.1), of which some are the header's.
const SYSLOG_MESSAGE: usize = 6 * 1024;

/// Headers that are the message's or the connection's own.
const TAKEN: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "keep-alive",
];

#[derive(Clone, Copy)]
enum Kind {
    Webhook,
    Syslog,
    Otlp,
}

/// Reads every `[[sink]]`.
pub(in crate::config::gateway) fn read(root: &mut Table<'_>, report: &mut Report) -> Vec<SinkConfig> {
    let tables = root.sections("sink", report);
    let mut names: Vec<String> = Vec::new();
    let mut sinks = Vec::new();
    for (at, mut table) in tables.into_iter().enumerate() {
        if at == MAX_SINKS {
            let message = format!("more than {MAX_SINKS} sinks");
            report.mistake(table.span(), message, Some("let one receiver pass events on".to_owned()));
        }
        let name = table.need("name", "\"siem\"", report, |value, report| {
            let name = value::name(value, report)?;
            if names.contains(&name) {
                value.mistake(
                    "two sinks have this name",
                    "give each its own: its place in the log is kept under it",
                    report,
                );
            }
            names.push(name.clone());
            Some(name)
        });
        let sink = one(&mut table, name, report);
        table.finish(report);
        sinks.extend(sink);
    }
    sinks
}

fn one(table: &mut Table<'_>, name: Option<String>, report: &mut Report) -> Option<SinkConfig> {
    let words = [("webhook", Kind::Webhook), ("syslog", Kind::Syslog), ("otlp", Kind::Otlp)];
    let kind = table.need("kind", "\"webhook\", \"syslog\" or \"otlp\"", report, |value, report| {
        value.one_of(&words, report)
    });
    let kinds = table.read("kinds", report, kinds).unwrap_or_default();
    let from_start =
        table.read("from", report, |value, report| value.one_of(&[("now", false), ("start", true)], report));
    let receiver = match kind {
        Some(Kind::Webhook) => webhook(table, report).map(ReceiverConfig::Webhook),
        Some(Kind::Syslog) => syslog(table, report).map(ReceiverConfig::Syslog),
        Some(Kind::Otlp) => otlp(table, report).map(ReceiverConfig::Otlp),
        None => {
            // Whatever belongs to one of them is no mistake of its own.
            for key in ALL {
                table.take(key);
            }
            None
        }
    };
    Some(SinkConfig { name: name?, kinds, from_start: from_start.unwrap_or(false), receiver: receiver? })
}

const ALL: [&str; 17] = [
    "url",
    "ca",
    "headers",
    "secret",
    "secrets",
    "format",
    "address",
    "plaintext",
    "client_certificate",
    "client_key",
    "facility",
    "enterprise",
    "max_message",
    "signals",
    "genai",
    "temporality",
    "gzip",
];

fn kinds(value: &Value<'_>, report: &mut Report) -> Option<Vec<String>> {
    let items = value.list(report);
    if items.is_empty() || items.len() > MAX_KINDS {
        let remedy = format!("name 1 to {MAX_KINDS} kinds of events, or leave `kinds` out for all");
        value.wrong("a list of none or too many", &remedy, report);
        return None;
    }
    items.iter().map(|item| event_kind(item, report)).collect()
}

fn event_kind(value: &Value<'_>, report: &mut Report) -> Option<String> {
    let written = value.string(report)?;
    let good = (1..=MAX_KIND).contains(&written.len())
        && written.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !good {
        let what = format!("\"{}\", which is no kind of event", shown(written));
        value.wrong(
            &what,
            "write one such as exchange, login_failed or plaintext_attempt: see docs/audit.md",
            report,
        );
        return None;
    }
    Some(written.to_owned())
}

fn webhook(table: &mut Table<'_>, report: &mut Report) -> Option<WebhookConfig> {
    let to = bearing(table, "\"https://siem.example.com/hoopctl\"", report);
    let (one, several) = (table.take("secret"), table.take("secrets"));
    let secrets = match (one, several) {
        (Some(one), None) => value::secret(&one, report).map(|secret| vec![secret]),
        (None, Some(several)) => secrets(&several, report),
        (None, None) => Some(Vec::new()),
        (Some(one), Some(_)) => {
            one.mistake("`secret` and `secrets` exclude each other", "keep one of them", report);
            None
        }
    };
    let lines = table
        .read("format", report, |value, report| value.one_of(&[("json", false), ("ndjson", true)], report));
    Some(WebhookConfig { to: to?, secrets: secrets?, lines: lines.unwrap_or(false) })
}

fn secrets(value: &Value<'_>, report: &mut Report) -> Option<Vec<crate::secret::Source>> {
    let items = value.list(report);
    if items.is_empty() || items.len() > 4 {
        value.wrong("not a list of 1 to 4 secrets", value::SECRET_REMEDY, report);
        return None;
    }
    items.iter().map(|item| value::secret(item, report)).collect()
}

fn bearing(table: &mut Table<'_>, example: &str, report: &mut Report) -> Option<Bearing> {
    let url = table.need("url", example, report, value::secure_url);
    let ca = table.read("ca", report, file::certificates);
    let headers = table.take("headers").map(|value| headers(&value, report)).unwrap_or_default();
    Some(Bearing { url: url?, ca, headers })
}

/// `{ authorization = { env = "NAME", prefix = "Bearer " } }`
fn headers(value: &Value<'_>, report: &mut Report) -> Vec<Header> {
    let entries = value.entries(report);
    if entries.len() > MAX_HEADERS {
        value.wrong("a long table", &format!("name at most {MAX_HEADERS} headers"), report);
    }
    let header = |(name, value): (&str, Value<'_>)| {
        let known = http::HeaderName::from_bytes(name.as_bytes()).ok();
        let name = known.filter(|n| !TAKEN.contains(&n.as_str()) && !n.as_str().starts_with("webhook-"));
        if name.is_none() {
            value.wrong(
                "no header that a sink may have",
                "write one such as \"authorization\" or \"x-api-key\"",
                report,
            );
        }
        let mut table = value::secret_table(&value, report)?;
        let source = value::source(&mut table, report);
        let prefix = table.read("prefix", report, value::prefix);
        table.finish(report);
        Some(Header { name: name?.as_str().to_owned(), prefix: prefix.unwrap_or_default(), value: source? })
    };
    entries.into_iter().filter_map(header).collect()
}

fn syslog(table: &mut Table<'_>, report: &mut Report) -> Option<SyslogConfig> {
    let plaintext = table.read("plaintext", report, |value, report| value.truth(report)).unwrap_or(false);
    let at = table.need("address", "\"logs.example.com:6514\"", report, |value, report| {
        address(value, plaintext, report)
    });
    let ca = table.read("ca", report, file::certificates);
    let (certificate, key) = (table.take("client_certificate"), table.take("client_key"));
    let client = file::pair(certificate, key, ("client_certificate", "client_key"), report);
    let facility = table.read("facility", report, |value, report| value.one_of(Facility::NAMES, report));
    let enterprise = table.read("enterprise", report, |value, report| {
        let number = value::count(value, report)?;
        let number = u32::try_from(number).ok();
        if number.is_none() {
            value.wrong("no private enterprise number", "write the one that IANA gave you", report);
        }
        number
    });
    let most = table.read("max_message", report, message);
    let (host, port) = at?;
    Some(SyslogConfig {
        host,
        port,
        tls: !plaintext,
        ca,
        client,
        facility: facility.unwrap_or(Facility(13)),
        enterprise: enterprise.unwrap_or(ENTERPRISE),
        most: most.unwrap_or(SYSLOG_MESSAGE),
    })
}

fn message(value: &Value<'_>, report: &mut Report) -> Option<usize> {
    let size = value::size(value, report)?;
    let size = usize::try_from(size).ok().filter(|size| (2_048..=1_048_576).contains(size));
    if size.is_none() {
        value.wrong("out of bounds", "write a size from 2KiB to 1MiB", report);
    }
    size
}

/// `HOST[:PORT]`.
fn address(value: &Value<'_>, plaintext: bool, report: &mut Report) -> Option<(Host, u16)> {
    let written = value.string(report)?;
    // A scheme without a port of its own, so that every port that is written is told.
    let parsed = Url::parse(&format!("syslog://{written}")).ok();
    let bare = parsed.filter(|url| {
        url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && !written.ends_with('/')
    });
    let found = bare.and_then(|url| Some((Host::parse(url.host_str()?).ok()?, url.port())));
    let Some((host, port)) = found else {
        let what = format!("\"{}\", which is not an address", shown(written));
        value.wrong(&what, "write HOST or HOST:PORT, such as logs.example.com:6514", report);
        return None;
    };
    if plaintext && !is_loopback(&host) {
        let remedy = "remove plaintext: syslog over TLS is taken anywhere; let a relay on this machine pass on what must go without";
        value.wrong("not this machine, and plaintext goes nowhere else", remedy, report);
        return None;
    }
    Some((host, port.unwrap_or(if plaintext { SYSLOG_TCP } else { SYSLOG_TLS })))
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn otlp(table: &mut Table<'_>, report: &mut Report) -> Option<OtlpConfig> {
    let to = bearing(table, "\"https://otel.example.com:4318\"", report);
    let signals = table.read("signals", report, signals);
    let genai = table.read("genai", report, |value, report| {
        let words = [("latest", GenAi::Latest), ("v1.36", GenAi::V1_36), ("both", GenAi::Both)];
        value.one_of(&words, report)
    });
    let temporality = table.read("temporality", report, |value, report| {
        value.one_of(&[("cumulative", Temporality::Cumulative), ("delta", Temporality::Delta)], report)
    });
    let gzip = table.read("gzip", report, |value, report| value.truth(report));
    Some(OtlpConfig {
        to: to?,
        signals: signals.unwrap_or(Signals { logs: true, traces: true, metrics: true }),
        genai: genai.unwrap_or(GenAi::Latest),
        temporality: temporality.unwrap_or(Temporality::Cumulative),
        gzip: gzip.unwrap_or(true),
    })
}

fn signals(value: &Value<'_>, report: &mut Report) -> Option<Signals> {
    let none = Signals { logs: false, traces: false, metrics: false };
    let words = [
        ("logs", Signals { logs: true, ..none }),
        ("traces", Signals { traces: true, ..none }),
        ("metrics", Signals { metrics: true, ..none }),
    ];
    if !matches!(value.raw(), DeValue::Array(items) if !items.is_empty()) {
        value.wrong(
            "not a list of signals",
            "write one or more of [\"logs\", \"traces\", \"metrics\"]",
            report,
        );
        return None;
    }
    let mut all = none;
    for item in value.list(report) {
        let one = item.one_of(&words, report)?;
        all = Signals {
            logs: all.logs || one.logs,
            traces: all.traces || one.traces,
            metrics: all.metrics || one.metrics,
        };
    }
    Some(all)
}
