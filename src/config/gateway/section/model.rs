//! `[[model]]`: what can be reached, and how.

use std::{collections::BTreeMap, time::Duration};

use super::{
    credential,
    mask::{self, Customs},
    servers,
};
use crate::{
    config::gateway::{
        file,
        reader::{Report, Table, Value, shown},
        value,
    },
    gateway::{
        pipeline::{
            Dialect, ModelConfig,
            limits::{self, Amounts},
        },
        policy::ModelFacts,
        record::{self, Failure, Level},
        upstream,
    },
    tls,
};

/// The longest silence of an upstream when nothing is said.
const IDLE: Duration = Duration::from_mins(10);

/// The shortest time that recordings are kept.
const MIN_KEEP: Duration = Duration::from_hours(1);

/// The longest label, key or value, in characters.
const MAX_LABEL: usize = 256;

const DIALECTS: [(&str, Dialect); 7] = [
    ("openai", Dialect::Openai),
    ("anthropic", Dialect::Anthropic),
    ("ollama", Dialect::Ollama),
    ("gemini", Dialect::Gemini),
    ("kserve", Dialect::Kserve),
    ("http", Dialect::Http),
    ("detect", Dialect::Detect),
];

/// Reads every `[[model]]`; the facts are also there of models with mistakes, so that policies can be checked.
pub(in crate::config::gateway) fn read(
    root: &mut Table<'_>,
    relaxed_networks: &[String],
    customs: &mut Customs,
    report: &mut Report,
) -> (Vec<ModelConfig>, Vec<ModelFacts>) {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut models = Vec::new();
    let mut facts = Vec::new();
    for mut table in root.sections("model", report) {
        let name = table.need("name", "\"fraud-detector\"", report, |value, report| {
            let name = value::name(value, report)?;
            let line = report.line(value.span().start);
            if let Some(first) = names.insert(name.clone(), line) {
                let message = format!("there is already a [[model]] `{name}` at line {first}");
                value.mistake(&message, "give each model a name of its own", report);
            }
            Some(name)
        });
        let dialect = table.read("dialect", report, |value, report| value.one_of(&DIALECTS, report));
        let dialect = dialect.unwrap_or(Dialect::Detect);
        let labels = table.read("labels", report, labels).unwrap_or_default();
        let limits = limited(&mut table, report);
        let upstream = upstream(&mut table, relaxed_networks, limits.idle, report);
        let finish_on_fin = table.read("on_client_fin", report, |value, report| {
            value.one_of(&[("leave", false), ("finish", true)], report)
        });
        let record = record(&mut table, report);
        let mask = table.read("mask", report, |value, report| mask::of_model(value, customs, report));
        table.finish(report);
        let Some(name) = name else { continue };
        let relaxed = upstream.as_ref().is_some_and(|upstream| upstream.relaxed);
        facts.push(ModelFacts::new(&name, dialect.name(), relaxed, labels.clone()));
        models.extend(upstream.map(|upstream| ModelConfig {
            name,
            dialect,
            upstream,
            labels,
            finish_on_fin: finish_on_fin.unwrap_or(false),
            body_limit: limits.body,
            limits: limits.amounts,
            mask,
            record,
        }));
    }
    (models, facts)
}

fn upstream(
    table: &mut Table<'_>,
    relaxed_networks: &[String],
    idle: Duration,
    report: &mut Report,
) -> Option<upstream::Config> {
    let relaxed = table.take("tls").and_then(|value| {
        let relaxed = value.one_of(&[("required", false), ("relaxed", true)], report)?;
        if relaxed {
            value.warning(
                "this model's upstream may be plaintext or unverified; every exchange with it is marked so",
                "tls = \"required\" and `ca` or `pins`, as soon as the upstream has a certificate",
                report,
            );
        }
        Some(relaxed)
    });
    let urls = table.need("upstream", "\"https://models.example.com:8443\"", report, |value, report| {
        servers::urls(value, relaxed.unwrap_or(false), relaxed_networks, report)
    });
    let (pool, health) = (servers::pool(table, report), servers::health(table, report));
    let ca = table.read("ca", report, file::certificates);
    let pins = table.read("pins", report, |value, report| {
        Some(value.list(report).iter().filter_map(|item| pin(item, report)).collect())
    });
    let (certificate, key) = (table.take("client_certificate"), table.take("client_key"));
    let client_certificate = file::pair(certificate, key, ("client_certificate", "client_key"), report);
    let server_name = table.read("server_name", report, server_name);
    let credential = table.read("credential", report, credential::read);
    Some(upstream::Config {
        urls: urls?,
        relaxed: relaxed.unwrap_or(false),
        relaxed_networks: relaxed_networks.to_vec(),
        ca,
        pins: pins.unwrap_or_default(),
        client_certificate,
        server_name,
        credential,
        idle,
        pool,
        health,
    })
}

fn pin(value: &Value<'_>, report: &mut Report) -> Option<String> {
    match tls::parse_fingerprint(value.string(report)?) {
        Ok(fingerprint) => Some(tls::fingerprint_text(&fingerprint)),
        Err(_) => {
            value.wrong(
                "a list with something that is no fingerprint",
                "write \"sha256:\" and 64 hex digits",
                report,
            );
            None
        }
    }
}

fn server_name(value: &Value<'_>, report: &mut Report) -> Option<String> {
    let written = value.string(report)?;
    if tls::ServerName::try_from(written).is_err() {
        let what = format!("\"{}\", which is not a host name or address", shown(written));
        value.wrong(&what, "write the name in the upstream's certificate", report);
        return None;
    }
    Some(written.to_owned())
}

fn labels(value: &Value<'_>, report: &mut Report) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for (key, item) in value.entries(report) {
        let Some(text) = item.string(report) else { continue };
        let long = |text: &str| text.chars().count() > MAX_LABEL || text.chars().any(char::is_control);
        if key.is_empty() || long(key) || long(text) {
            item.wrong(
                "not a label",
                &format!("use at most {MAX_LABEL} characters, no control characters"),
                report,
            );
        }
        labels.insert(key.to_owned(), text.to_owned());
    }
    Some(labels)
}

/// What `limits` says.
struct Limits {
    body: Option<u64>,
    idle: Duration,
    amounts: limits::Config,
}

fn limited(table: &mut Table<'_>, report: &mut Report) -> Limits {
    let mut limits = Limits { body: None, idle: IDLE, amounts: limits::Config::default() };
    let Some(mut table) = table.take("limits").and_then(|value| value.table(report)) else { return limits };
    limits.body = table.read("body", report, value::size);
    let idle = table.read("idle", report, |value, report| {
        value::duration(value, Duration::from_secs(1)..=Duration::from_hours(24), report)
    });
    limits.idle = idle.unwrap_or(IDLE);
    limits.amounts.all = amounts(&mut table, report);
    let per_caller = table.read("per_caller", report, caller_amounts);
    limits.amounts.per_caller = per_caller.unwrap_or_default();
    limits.amounts.groups = table.read("groups", report, group_amounts).unwrap_or_default();
    table.finish(report);
    limits
}

fn amounts(table: &mut Table<'_>, report: &mut Report) -> Amounts {
    Amounts {
        requests_per_minute: table.read("requests_per_minute", report, value::count),
        tokens_per_day: table.read("tokens_per_day", report, value::count),
        concurrent: table.read("concurrent", report, value::count),
    }
}

fn caller_amounts(value: &Value<'_>, report: &mut Report) -> Option<Amounts> {
    let mut table = value.table(report)?;
    let amounts = amounts(&mut table, report);
    table.finish(report);
    Some(amounts)
}

fn group_amounts(value: &Value<'_>, report: &mut Report) -> Option<BTreeMap<String, Amounts>> {
    let mut groups = BTreeMap::new();
    for (name, item) in value.entries(report) {
        if let Some(amounts) = caller_amounts(&item, report) {
            groups.insert(name.to_owned(), amounts);
        }
    }
    Some(groups)
}

/// What is recorded of a model's exchanges.
fn record(table: &mut Table<'_>, report: &mut Report) -> record::Terms {
    let level = table.read("record", report, |value, report| {
        value.one_of(&[("off", Level::Off), ("metadata", Level::Metadata), ("full", Level::Full)], report)
    });
    let failure = table.read("record_failure", report, |value, report| {
        value.one_of(&[("refuse", Failure::Refuse), ("continue", Failure::Continue)], report)
    });
    let keep = table
        .read("keep", report, |value, report| value::duration(value, MIN_KEEP..=Duration::from_hours(24 * 10_000), report));
    record::Terms { level: level.unwrap_or_default(), failure: failure.unwrap_or_default(), keep }
}
