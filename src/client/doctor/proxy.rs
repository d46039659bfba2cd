//! The proxy that this network asks for, where it asks for one.

use url::Url;

use super::{Finding, Surroundings};

/// What is known of the proxy.
pub(super) struct Seen {
    pub(super) finding: Finding,
    /// The proxy that carries the TCP leg, as people call it.
    pub(super) through: Option<String>,
}

/// Whether a proxy is on the way, and whether it connects to the gateway.
pub(super) async fn look(around: &Surroundings<'_>, _gateway: &Url) -> Seen {
    let named = ["https_proxy", "HTTPS_PROXY"].into_iter().find_map(|name| (around.variable)(name));
    let finding = match named {
        None => Finding::pass("proxy", "none is set: the gateway is reached directly"),
        Some(_) => Finding::skip("proxy", "one is set"),
    };
    Seen { finding, through: None }
}
