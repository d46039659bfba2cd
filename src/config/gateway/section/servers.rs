//! `upstream`, `pool` and `health` of a `[[model]]`: where its servers are, and how the gateway deals with them.

use std::{net::IpAddr, ops::RangeInclusive, time::Duration};

use toml::de::DeValue;
use url::{Host, Url};

use super::gateway::inside;
use crate::{
    config::gateway::{
        reader::{Report, Table, Value, shown},
        value,
    },
    gateway::upstream::{HealthConfig, PoolConfig, UNIX},
};

/// The most servers of one model.
const MAX_SERVERS: usize = 16;

/// The longest path of a unix socket, bytes: what every system takes.
const MAX_SOCKET: usize = 103;

/// One URL or a list of them, the preferred first.
pub(super) fn urls(
    value: &Value<'_>,
    relaxed: bool,
    networks: &[String],
    report: &mut Report,
) -> Option<Vec<Url>> {
    let items = match value.raw() {
        DeValue::Array(_) => value.list(report),
        _ => return Some(vec![url(value, relaxed, networks, report)?]),
    };
    if items.is_empty() || items.len() > MAX_SERVERS {
        let remedy = format!("write 1 to {MAX_SERVERS} URLs: [\"https://a.example.com\", …]");
        value.wrong("a list of none or too many", &remedy, report);
        return None;
    }
    let mut urls: Vec<Url> = Vec::new();
    for item in &items {
        let Some(url) = url(item, relaxed, networks, report) else { continue };
        if urls.contains(&url) {
            item.mistake("the same upstream stands in the list twice", "name each server once", report);
        }
        urls.push(url);
    }
    (urls.len() == items.len()).then_some(urls)
}

fn url(value: &Value<'_>, relaxed: bool, networks: &[String], report: &mut Report) -> Option<Url> {
    let written = value.string(report)?;
    let url = if written.starts_with("unix:") {
        socket(value, written, report)?
    } else {
        value::any_url(value, report)?
    };
    reachable(value, &url, relaxed, networks, report);
    Some(url)
}

/// `unix:/PATH`.
fn socket(value: &Value<'_>, written: &str, report: &mut Report) -> Option<Url> {
    let path = written.trim_start_matches("unix:");
    // What a URL would write otherwise is left out, so that the path is what stands there.
    let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+,@~=".contains(&byte));
    let simple = plain && path.starts_with('/') && !path.starts_with("//") && path.len() <= MAX_SOCKET;
    let url = Url::parse(written).ok().filter(|url| simple && url.path() == path);
    if url.is_none() {
        let what = format!("\"{}\", which is no path of a socket", shown(written));
        let remedy = format!(
            "write unix:/run/model.sock: absolute, at most {MAX_SOCKET} characters, letters, digits and /._-+,@~="
        );
        value.wrong(&what, &remedy, report);
    }
    url
}

/// Plaintext only where `tls = "relaxed"` says so, and relaxed only in the networks for it. A host given by name is
/// looked at when it is connected to.
fn reachable(value: &Value<'_>, url: &Url, relaxed: bool, networks: &[String], report: &mut Report) {
    if !relaxed {
        if url.scheme() != "https" {
            let remedy = "write https://…, or tls = \"relaxed\" if it lies in relaxed_networks";
            value.wrong("plaintext, and this model requires TLS", remedy, report);
        }
        return;
    }
    let place = match url.host() {
        None if networks.iter().any(|network| network == UNIX) => return,
        None => UNIX.to_owned(),
        Some(Host::Ipv4(address)) if !inside(networks, address.into()) => address.to_string(),
        Some(Host::Ipv6(address)) if !inside(networks, IpAddr::from(address).to_canonical()) => {
            address.to_string()
        }
        Some(_) => return,
    };
    let what = format!("outside relaxed_networks ({})", networks.join(", "));
    let remedy =
        format!("add \"{place}\" or its network to relaxed_networks in [gateway], or use tls = \"required\"");
    value.wrong(&what, &remedy, report);
}

/// `pool = { max_idle, max_age, idle_timeout }`.
pub(super) fn pool(table: &mut Table<'_>, report: &mut Report) -> PoolConfig {
    let mut config = PoolConfig::default();
    let Some(mut table) = table.take("pool").and_then(|value| value.table(report)) else { return config };
    let max_idle = table.read("max_idle", report, |value, report| whole(value, 0..=10_000, report));
    config.max_idle =
        max_idle.map_or(config.max_idle, |number| usize::try_from(number).unwrap_or(usize::MAX));
    let hours = Duration::from_hours;
    let second = Duration::from_secs(1);
    if let Some(age) =
        table.read("max_age", report, |v, report| value::duration(v, second..=hours(24), report))
    {
        config.max_age = age;
    }
    if let Some(idle) =
        table.read("idle_timeout", report, |v, report| value::duration(v, second..=hours(1), report))
    {
        config.idle_timeout = idle;
    }
    table.finish(report);
    config
}

/// `health = { failures, pause, longest_pause }`.
pub(super) fn health(table: &mut Table<'_>, report: &mut Report) -> HealthConfig {
    let mut config = HealthConfig::default();
    let Some(value) = table.take("health") else { return config };
    let Some(mut table) = value.table(report) else { return config };
    let failures = table.read("failures", report, |value, report| whole(value, 1..=1_000, report));
    config.failures = failures.unwrap_or(config.failures);
    let bounds = Duration::from_millis(100)..=Duration::from_mins(10);
    let pause = table.read("pause", report, |v, report| value::duration(v, bounds.clone(), report));
    let longest = table.read("longest_pause", report, |v, report| value::duration(v, bounds, report));
    table.finish(report);
    config.pause = pause.unwrap_or(config.pause);
    config.longest_pause = longest.unwrap_or(config.longest_pause.max(config.pause));
    if config.longest_pause < config.pause {
        value.mistake(
            "`longest_pause` is shorter than `pause`",
            "pauses double from `pause` to `longest_pause`",
            report,
        );
    }
    config
}

/// A whole number within bounds.
fn whole(value: &Value<'_>, bounds: RangeInclusive<u32>, report: &mut Report) -> Option<u32> {
    let DeValue::Integer(number) = value.raw() else {
        value.wrong_type("a whole number", report);
        return None;
    };
    let parsed = u32::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok();
    let parsed = parsed.filter(|number| bounds.contains(number));
    if parsed.is_none() {
        let remedy = format!("write a whole number from {} to {}", bounds.start(), bounds.end());
        value.wrong("out of bounds", &remedy, report);
    }
    parsed
}
