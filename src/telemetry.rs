//! What the process tells its operator: log lines on stderr, never on stdout, never a secret.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level, message, fields.
    Text,
    /// For collectors: one JSON object a line.
    Json,
}

/// Starts logging to stderr. `default` is a filter such as `warn` or `hoopctl=debug`; the
/// variable `HOOPCTL_LOG` overrides it. A second call changes nothing.
pub fn start(default: &str, format: LogFormat) {
    let filter = EnvFilter::try_from_env("HOOPCTL_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = fmt::layer().with_writer(io::stderr).with_target(false);
    // A second subscriber in one process (tests, the demo) leaves the first in force.
    let _ = match format {
        LogFormat::Text => registry
            .with(layer.with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()))
            .try_init(),
        LogFormat::Json => registry.with(layer.json()).try_init(),
    };
}
