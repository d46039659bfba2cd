//! `[gateway]`: where laptops dial, where it listens, where its state and policies lie.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use url::Url;

use crate::{
    config::gateway::{
        file,
        reader::{Report, Table, Value},
        value::{self, Network},
    },
    gateway::{
        identity::{ProviderConfig, ProviderKind},
        pipeline::ModelConfig,
        upstream::UNIX,
    },
};

/// The port when `listen` does not say.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 443);

/// Where the packages put the state.
const STATE: &str = "/var/lib/hoopctl";

/// The folder of policies beside the file.
const POLICIES: &str = "policies";

/// Where relaxed upstreams may lie when nothing is said: on this machine.
const RELAXED: [&str; 3] = [UNIX, "127.0.0.0/8", "::1/128"];

/// What `[gateway]` says.
pub(in crate::config::gateway) struct Section {
    /// Absent when it is a mistake.
    pub(in crate::config::gateway) public_url: Option<Url>,
    pub(in crate::config::gateway) listen: SocketAddr,
    pub(in crate::config::gateway) client_certificates: Option<SocketAddr>,
    pub(in crate::config::gateway) state: PathBuf,
    pub(in crate::config::gateway) metrics: Option<SocketAddr>,
    /// Absent when it is a mistake.
    pub(in crate::config::gateway) policies: Option<PathBuf>,
    pub(in crate::config::gateway) relaxed_networks: Vec<String>,
    span: std::ops::Range<usize>,
}

/// Reads `[gateway]`.
pub(in crate::config::gateway) fn read(root: &mut Table<'_>, report: &mut Report) -> Section {
    let mut table = root.section("gateway", report);
    let public_url = table.need("public_url", "\"https://gateway.example.com\"", report, public_url);
    let listen = table.read("listen", report, value::socket).unwrap_or(LISTEN);
    let state = table.read("state", report, file::path).unwrap_or_else(|| PathBuf::from(STATE));
    let client_certificates =
        table.take("client_certificates").and_then(|value| own_port(&value, listen, "0.0.0.0:8444", report));
    let metrics = table.take("metrics").and_then(|value| own_port(&value, listen, "127.0.0.1:9464", report));
    let policies = match table.take("policies") {
        Some(value) => file::path(&value, report),
        None => Some(report.resolve(POLICIES)),
    };
    let relaxed_networks = table.read("relaxed_networks", report, |value, report| {
        let items = value.list(report);
        if items.is_empty() {
            let remedy = "leave it out for this machine alone; without relaxed models it is not asked";
            value.wrong("a list of no network", remedy, report);
        }
        Some(items.iter().filter_map(|item| place(item, report)).collect())
    });
    let span = table.span().clone();
    table.finish(report);
    Section {
        public_url,
        listen,
        client_certificates,
        state,
        metrics,
        policies,
        relaxed_networks: relaxed_networks.unwrap_or_else(|| RELAXED.map(str::to_owned).to_vec()),
        span,
    }
}

/// Names for the server's certificate: the host of `public_url`, and for `localhost` its addresses.
pub(in crate::config::gateway) fn names(public_url: &Url) -> Vec<String> {
    let host = public_url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    if host == "localhost" {
        return vec![host, "127.0.0.1".to_owned(), "::1".to_owned()];
    }
    vec![host]
}

/// What only shows when all sections have been read.
pub(in crate::config::gateway) fn across(
    section: &Section,
    providers: &[ProviderConfig],
    models: &[ModelConfig],
    report: &mut Report,
) {
    let mut warn = |message: &str, remedy: &str| {
        report.warning(&section.span, message.to_owned(), Some(remedy.to_owned()));
    };
    if providers.is_empty() {
        warn(
            "there is no [[identity]]: nobody can log in",
            "add one: kind = \"oidc\", \"workload\" or \"dev\"",
        );
    }
    if models.is_empty() {
        warn("there is no [[model]]: there is nothing to reach", "add one with `name` and `upstream`");
    }
    let dev = providers.iter().any(|provider| matches!(provider.kind, ProviderKind::Dev { .. }));
    if dev && !section.listen.ip().is_loopback() {
        warn(
            "the dev provider lets anybody in, and `listen` is reachable from other machines",
            "listen on 127.0.0.1, or use another provider",
        );
    }
}

fn public_url(value: &Value<'_>, report: &mut Report) -> Option<Url> {
    let url = value::any_url(value, report)?;
    if url.scheme() != "https" {
        value.wrong(
            "not an https:// URL",
            "write https://HOST or https://HOST:PORT: TLS is mandatory",
            report,
        );
        return None;
    }
    if url.path() != "/" {
        value.wrong("a URL with a path", "end it after the host or port", report);
        return None;
    }
    Some(url)
}

/// A network, or this machine's sockets.
fn place(value: &Value<'_>, report: &mut Report) -> Option<String> {
    match value.string(report)? {
        UNIX => Some(UNIX.to_owned()),
        _ => value::network(value, report),
    }
}

/// An address whose port is not the public one.
fn own_port(value: &Value<'_>, listen: SocketAddr, such_as: &str, report: &mut Report) -> Option<SocketAddr> {
    let address = value::socket(value, report)?;
    let same_address =
        address.ip() == listen.ip() || address.ip().is_unspecified() || listen.ip().is_unspecified();
    if address.port() == listen.port() && listen.port() != 0 && same_address {
        value.wrong("the public port", &format!("give this a port of its own, such as {such_as}"), report);
        return None;
    }
    Some(address)
}

/// Whether an upstream at this address may be relaxed.
pub(in crate::config::gateway) fn inside(networks: &[String], address: IpAddr) -> bool {
    networks.iter().filter_map(|network| Network::parse(network)).any(|network| network.contains(address))
}
