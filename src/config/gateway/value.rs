//! What strings in a configuration can mean: addresses, URLs, durations, sizes, names, secrets.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use toml::de::DeValue;
use url::{Host, Url};

use super::{
    file,
    reader::{Report, Table, Value, shown},
};
use crate::{clock, secret};

/// The longest name of a model or provider.
const MAX_NAME: usize = 63;

/// The longest text that is taken over as it stands, in characters.
const MAX_TEXT: usize = 2_048;

/// The longest text before a credential, in characters.
const MAX_PREFIX: usize = 32;

/// The most that can be counted.
const MAX_COUNT: u64 = 1_000_000_000_000;

/// What to write in place of a secret.
pub(super) const SECRET_REMEDY: &str = "write { env = \"NAME\" } and set that variable for the gateway; or { file = \"PATH\" }, { command = [\"…\"] }";

/// Some text: not empty, without control characters.
pub(super) fn text(value: &Value<'_>, report: &mut Report) -> Option<String> {
    let written = value.string(report)?;
    if written.is_empty() || written.chars().count() > MAX_TEXT || written.chars().any(char::is_control) {
        let remedy = format!("write 1 to {MAX_TEXT} characters, none of them a control character");
        value.wrong("not usable text", &remedy, report);
        return None;
    }
    Some(written.to_owned())
}

/// A list of texts.
pub(super) fn texts(value: &Value<'_>, report: &mut Report) -> Option<Vec<String>> {
    value.list(report).iter().map(|item| text(item, report)).collect()
}

/// The name of a model or a provider: `[a-z0-9][a-z0-9._-]{0,62}`.
pub(super) fn name(value: &Value<'_>, report: &mut Report) -> Option<String> {
    let written = value.string(report)?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = written.len() <= MAX_NAME
        && written.starts_with(allowed)
        && written.chars().all(|c| allowed(c) || matches!(c, '.' | '_' | '-'));
    if !good {
        let remedy = format!(
            "use 1 to {MAX_NAME} of a-z, 0-9, `.`, `_`, `-`, beginning with a letter or digit, such as `fraud-detector`"
        );
        value.wrong(&format!("\"{}\", which is not a name", shown(written)), &remedy, report);
        return None;
    }
    Some(written.to_owned())
}

/// `IP:PORT`.
pub(super) fn socket(value: &Value<'_>, report: &mut Report) -> Option<SocketAddr> {
    let written = value.string(report)?;
    let parsed = written.parse().ok();
    if parsed.is_none() {
        let what = format!("\"{}\", which is not an address", shown(written));
        value.wrong(&what, "write IP:PORT, such as 0.0.0.0:443, 127.0.0.1:9464 or [::]:443", report);
    }
    parsed
}

/// A network such as `10.0.0.0/8`, or one address.
pub(super) fn network(value: &Value<'_>, report: &mut Report) -> Option<String> {
    let written = value.string(report)?;
    match Network::parse(written) {
        Some(network) => {
            let exact = network.canonical();
            if exact.address != network.address {
                let remedy = format!("write {exact}, if that is meant");
                value.wrong(
                    &format!("\"{}\", which has bits beyond its prefix", shown(written)),
                    &remedy,
                    report,
                );
                return None;
            }
            Some(network.to_string())
        }
        None => {
            let what = format!("\"{}\", which is not a network", shown(written));
            value.wrong(&what, "write ADDRESS/BITS, such as 10.0.0.0/8 or fd00::/8", report);
            None
        }
    }
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) if bits.bytes().all(|b| b.is_ascii_digit()) => {
                (address, Some(bits.parse().ok()?))
            }
            Some(_) => return None,
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { address, bits })
    }

    pub(super) fn contains(self, address: IpAddr) -> bool {
        let same_family = self.address.is_ipv4() == address.is_ipv4();
        same_family && Self { address, bits: self.bits }.canonical() == self.canonical()
    }

    /// With nothing beyond the prefix.
    fn canonical(self) -> Self {
        let address = match self.address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(self.bits.into())).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(self.bits.into())).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & mask).into())
            }
        };
        Self { address, bits: self.bits }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// A duration such as `10m`, within bounds.
pub(super) fn duration(
    value: &Value<'_>,
    bounds: std::ops::RangeInclusive<Duration>,
    report: &mut Report,
) -> Option<Duration> {
    let written = value.string(report)?;
    let Some(parsed) = clock::parse_duration(written) else {
        let what = format!("\"{}\", which is not a duration", shown(written));
        value.wrong(&what, "write numbers with ms, s, m, h or d, such as \"10m\" or \"1h30m\"", report);
        return None;
    };
    if !bounds.contains(&parsed) {
        let (least, most) = (bounds.start().as_secs(), bounds.end().as_secs());
        let what = format!("\"{}\", which is out of bounds", shown(written));
        value.wrong(&what, &format!("write a duration from {least}s to {most}s"), report);
        return None;
    }
    Some(parsed)
}

/// A size in bytes such as `32MiB`, or a whole number of bytes.
pub(super) fn size(value: &Value<'_>, report: &mut Report) -> Option<u64> {
    let parsed = match value.raw() {
        DeValue::Integer(number) => {
            u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
        }
        _ => parse_size(value.string(report)?),
    };
    if parsed.is_none_or(|bytes| bytes == 0) {
        value.wrong(
            "not a size",
            "write a number of bytes, or one with KiB, MiB, GiB, kB, MB or GB: \"32MiB\"",
            report,
        );
        return None;
    }
    parsed
}

/// A whole number from 1 to a million million.
pub(super) fn count(value: &Value<'_>, report: &mut Report) -> Option<u64> {
    let DeValue::Integer(number) = value.raw() else {
        value.wrong_type("a whole number", report);
        return None;
    };
    let parsed = u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok();
    let parsed = parsed.filter(|number| (1..=MAX_COUNT).contains(number));
    if parsed.is_none() {
        value.wrong("out of bounds", &format!("write a whole number from 1 to {MAX_COUNT}"), report);
    }
    parsed
}

fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// An `https://` URL with a host and without credentials, query or fragment; `http://` only to loopback.
pub(super) fn secure_url(value: &Value<'_>, report: &mut Report) -> Option<Url> {
    let url = any_url(value, report)?;
    match url.scheme() {
        "https" => Some(url),
        "http" if is_loopback(&url) => Some(url),
        _ => {
            value.wrong(
                "not an https:// URL",
                "write https://…; http:// is only taken to this machine itself",
                report,
            );
            None
        }
    }
}

/// An `http(s)://` URL with a host and without credentials, query or fragment.
pub(super) fn any_url(value: &Value<'_>, report: &mut Report) -> Option<Url> {
    let written = value.string(report)?;
    // What cannot be read may still hold a password: it is not repeated.
    let url = match Url::parse(written) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        Ok(_) => {
            value.wrong(
                "not an http(s) URL with a host",
                "write one such as https://models.example.com:8443",
                report,
            );
            return None;
        }
        Err(error) => {
            let what = format!("not a URL: {error}");
            value.wrong(&what, "write one such as https://models.example.com:8443", report);
            return None;
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        value.wrong("a URL with credentials in it", "remove them; secrets have keys of their own", report);
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        value.wrong("a URL with a query or fragment", "end it before the `?` or `#`", report);
        return None;
    }
    Some(url)
}

/// Whether the URL leads to this machine, by its name alone.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Where a secret comes from.
pub(super) fn secret(value: &Value<'_>, report: &mut Report) -> Option<secret::Source> {
    let mut table = secret_table(value, report)?;
    let source = source(&mut table, report);
    table.finish(report);
    source
}

/// The table of a secret; a literal is refused without repeating it.
pub(super) fn secret_table<'d>(value: &Value<'d>, report: &mut Report) -> Option<Table<'d>> {
    if matches!(value.raw(), DeValue::Table(_)) {
        return value.table(report);
    }
    value.wrong("a secret written into the file", SECRET_REMEDY, report);
    None
}

/// `env`, `file` or `command` of a secret's table.
pub(super) fn source(table: &mut Table<'_>, report: &mut Report) -> Option<secret::Source> {
    let env = table.take("env");
    let path = table.take("file");
    let command = table.take("command");
    if [&env, &path, &command].into_iter().flatten().count() != 1 {
        let message = format!("{} needs exactly one of `env`, `file` and `command`", table.name());
        report.mistake(&table.span().clone(), message, Some(SECRET_REMEDY.to_owned()));
        return None;
    }
    if let Some(value) = env {
        let name = value.string(report)?;
        if name.is_empty() || name.contains(['=', '\0']) {
            value.wrong("not the name of an environment variable", "write { env = \"NAME\" }", report);
            return None;
        }
        return Some(secret::Source::Env(name.to_owned()));
    }
    if let Some(value) = path {
        let path = file::existing(&value, report)?;
        file::private_to_owner(&value, &path, report);
        return Some(secret::Source::File(path));
    }
    let value = command?;
    let words = texts(&value, report)?;
    if words.is_empty() {
        value.wrong("an empty command", "write { command = [\"PROGRAM\", \"ARGUMENT\"] }", report);
        return None;
    }
    Some(secret::Source::Command(words))
}

/// What stands before a secret in a header, such as `Bearer `.
pub(super) fn prefix(value: &Value<'_>, report: &mut Report) -> Option<String> {
    let written = value.string(report)?;
    let printable = written.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !printable || written.len() > MAX_PREFIX {
        value.wrong(
            "not a prefix",
            "write a scheme such as \"Bearer \"; the secret itself comes from elsewhere",
            report,
        );
        return None;
    }
    Some(written.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("::1/128", "::1", "::2"),
        ] {
            let network = Network::parse(network).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network} {outside}");
        }
        for wrong in
            ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "a/8", "10.0.0.0/8/8"]
        {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_with_binary_and_decimal_units() {
        assert_eq!(parse_size("32MiB"), Some(32 << 20));
        assert_eq!(parse_size("32 MB"), Some(32_000_000));
        assert_eq!(parse_size("17"), Some(17));
        for wrong in ["", "MiB", "-1", "1.5MiB", "1mib", "1TiB", "99999999999999999999", "99999999999GiB"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }
}
