//! The proxy that `HTTPS_PROXY` names, as the TCP leg goes through it.

use std::time::Duration;

use url::Url;

use super::{Finding, Patient, within};
use crate::{
    client::{ClientError, https},
    tunnel,
};

/// How long the proxy may take to connect.
const CONNECT: Duration = Duration::from_millis(2500);

/// What is known of the proxy.
pub(super) struct Seen {
    pub(super) finding: Finding,
    /// The proxy that carries the TCP leg, as people call it.
    pub(super) through: Option<String>,
}

/// Whether a proxy is on the way, and whether it connects to the gateway.
pub(super) async fn look(patient: &Patient, gateway: &Url) -> Seen {
    let proxies = &patient.laptop.settings.proxies;
    let (host, port) = https::address(gateway);
    let through = match proxies.via(&host, port) {
        Ok(Some(proxy)) => format!("the proxy {proxy}"),
        Ok(None) if proxies.any() => {
            let detail = "HTTPS_PROXY names one, and this gateway is reached past it (NO_PROXY, or it is on this machine)";
            return Seen { finding: Finding::pass("proxy", detail), through: None };
        }
        Ok(None) => {
            let finding = Finding::pass("proxy", "none is set: the gateway is reached directly");
            return Seen { finding, through: None };
        }
        Err(error) => {
            return Seen { finding: failed(error.to_string()), through: Some("HTTPS_PROXY".to_owned()) };
        }
    };
    let finding = match within(CONNECT, tunnel::reach(&host, port, proxies)).await {
        Some(Ok(_)) => Finding::pass(
            "proxy",
            format!("{through} connects to {}; UDP goes past it", https::authority(gateway)),
        ),
        Some(Err(error)) => failed(ClientError::from(error).message),
        None => failed(format!("{through} did not connect within {} ms", CONNECT.as_millis())),
    };
    Seen { finding, through: Some(through) }
}

fn failed(why: String) -> Finding {
    Finding::fail(
        "proxy",
        why,
        "check HTTPS_PROXY and the user and password in it, or name the gateway in NO_PROXY to go past the proxy",
    )
}
