//! The one definition of the command line: global flags and verbs; each verb's own flags are in its file.

use std::ffi::{OsStr, OsString};

use clap::{Args, CommandFactory, Parser, Subcommand, builder::PossibleValuesParser};

use super::{approvals, audit, call, completions, connect, doctor, login, revoke, sessions, stop, token};
use crate::config::laptop::Flags;

/// An encrypted, identity-aware path from any inference client to any model.
#[derive(Debug, Parser)]
#[command(
    name = "hoopctl",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_long_help = EXIT_CODES
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// The flags of every verb. Each has a variable, and a key in `config.toml`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// The gateway's address; the profile's unless said [env: HOOPCTL_GATEWAY]
    #[arg(long, global = true, value_name = "URL", value_hint = clap::ValueHint::Url)]
    pub(super) gateway: Option<String>,
    /// Which login and settings to use [env: HOOPCTL_PROFILE] [default: default]
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// How to answer on stdout [env: HOOPCTL_OUTPUT] [default: human]
    #[arg(short, long, global = true, value_name = "FORMAT",
        value_parser = PossibleValuesParser::new(["human", "json", "jsonl"]))]
    pub(super) output: Option<String>,
    /// Nothing on stderr but warnings and errors [env: HOOPCTL_QUIET]
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// More on stderr; twice for debugging [env: HOOPCTL_VERBOSE]
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// When to use colours [env: HOOPCTL_COLOR, NO_COLOR] [default: auto]
    #[arg(long, global = true, value_name = "WHEN",
        value_parser = PossibleValuesParser::new(["auto", "always", "never"]))]
    pub(super) color: Option<String>,
    /// Where the login is kept; the best this machine has unless said [env: HOOPCTL_CREDENTIAL_STORE]
    #[arg(long, global = true, value_name = "STORE",
        value_parser = PossibleValuesParser::new(["keyring", "file", "memory"]))]
    pub(super) credential_store: Option<String>,
    /// How to reach the gateway: auto races QUIC and TLS over TCP [env: HOOPCTL_TRANSPORT] [default: auto]
    #[arg(long, global = true, value_name = "CARRIER",
        value_parser = PossibleValuesParser::new(["auto", "quic", "tcp"]))]
    pub(super) transport: Option<String>,
}

impl From<Global> for Flags {
    fn from(global: Global) -> Self {
        let Global { gateway, profile, output, quiet, verbose, color, credential_store, transport } = global;
        Self { gateway, profile, output, quiet, verbose, color, credential_store, transport }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Log in to a gateway, in the browser or with a workload's token
    Login(login::Login),
    /// End the login and forget its secrets
    Logout,
    /// Show who is logged in, where and until when
    Status,
    /// List the models you may use
    Models,
    /// Open a local door to models, or run a command with one
    Connect(connect::Connect),
    /// List background connections
    Ps,
    /// End background connections
    Stop(stop::Stop),
    /// Send one request to a model: stdin → model → stdout
    Call(call::Call),
    /// See, give and refuse approvals
    Approvals(approvals::Approvals),
    /// Print a short-lived key for one model, for tools that call the gateway themselves
    Token(token::Token),
    /// End the sessions and live streams of a user, or one session
    Revoke(revoke::Revoke),
    /// See who did what with which model, and play recordings
    Sessions(sessions::Sessions),
    /// Read the gateway's audit log
    Audit(audit::Audit),
    /// Find out what is in the way between this machine and a gateway
    Doctor(doctor::Doctor),
    /// Print a shell's completion script
    Completions(completions::Completions),
    /// See the whole system work, in one process, without network or setup
    #[cfg(feature = "gateway")]
    Demo(super::demo::Demo),
    /// Set up, check and run a gateway
    #[cfg(feature = "gateway")]
    Gateway(super::gateway::Gateway),
    /// Not part of the thin laptop client
    #[cfg(not(feature = "gateway"))]
    #[command(hide = true, name = "gateway", alias = "demo")]
    Gateway(Absent),
}

/// Whatever follows a verb this build does not have.
#[cfg(not(feature = "gateway"))]
#[derive(Args, Debug)]
pub(super) struct Absent {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<OsString>,
}

/// The definition, ready for parsing, completions and man pages.
pub(super) fn command() -> clap::Command {
    Arguments::command()
}

/// What the arguments say of output and colour before they are parsed: even a mistake in them is
/// told as they ask.
pub(super) fn early(arguments: &[OsString], environment: &dyn Fn(&str) -> Option<OsString>) -> Flags {
    let own = arguments.iter().skip(1).map(OsString::as_os_str).take_while(|one| *one != "--");
    let own: Vec<&str> = own.filter_map(OsStr::to_str).collect();
    let said = |long: &str, short: Option<&str>| {
        let mut found = None;
        for (at, one) in own.iter().enumerate() {
            let next = || own.get(at + 1).map(|next| (*next).to_owned());
            if *one == long || Some(*one) == short {
                found = next();
            } else if let Some(value) = one.strip_prefix(long).and_then(|rest| rest.strip_prefix('=')) {
                found = Some(value.to_owned());
            } else if let Some(value) = short.and_then(|short| one.strip_prefix(short)) {
                found = Some(value.trim_start_matches('=').to_owned());
            }
        }
        found
    };
    let variable = |name: &str| environment(name).and_then(|value| value.into_string().ok());
    Flags {
        output: said("--output", Some("-o")).or_else(|| variable("HOOPCTL_OUTPUT")),
        color: said("--color", None).or_else(|| variable("HOOPCTL_COLOR")),
        ..Flags::default()
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done; also when the reader of stdout left
  1    failed
  2    wrong usage or settings
  3    refused by policy
  4    login needed
  5    approval denied or expired
  6    gateway unreachable
  7    trust or TLS failure
  8    verification failed
  75   approval pending
  130  interrupted
With `connect MODEL -- CMD` the exit code is the command's.

Settings come from flags, then HOOPCTL_* variables, then ~/.config/hoopctl/config.toml, then
/etc/hoopctl/config.toml: gateway, profile, output, quiet, verbose, color, credential_store, transport.";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn these_command_lines_are_understood() {
        for line in [
            "hoopctl login",
            "hoopctl login https://gw.example.test --ca-fingerprint sha256:00 --no-browser",
            "hoopctl login gw.example.test --ca-file ca.pem --callback-port 8400",
            "hoopctl login --workload-token-file /run/token",
            "hoopctl -o json status",
            "hoopctl status -o jsonl --quiet -vv --color never --profile work --credential-store file",
            "hoopctl models --gateway https://gw.example.test",
            "hoopctl connect a b c",
            "hoopctl connect a --port 8080 --local-key",
            "hoopctl connect a --port 0",
            "hoopctl connect a --socket /tmp/a.sock",
            "hoopctl connect a --stdio",
            "hoopctl connect a --background",
            "hoopctl connect a -- python -c print(1) --port 3",
            "hoopctl ps",
            "hoopctl stop a",
            "hoopctl stop --all",
            "hoopctl call a /v1/models",
            "hoopctl call a /v1/x -X PUT -H a:b -H c:d --data @-",
            "hoopctl call a /v1/x --data @rows.json --jsonl --concurrency 8",
            "hoopctl connect a --no-wait --reason incident",
            "hoopctl call a /v1/x --no-wait --reason incident",
            "hoopctl approvals",
            "hoopctl approvals list --state all",
            "hoopctl approvals show apr_1",
            "hoopctl approvals approve apr_1 --lasts 30m --comment fine",
            "hoopctl approvals deny apr_1",
            "hoopctl approvals request m --reason incident",
            "hoopctl token llama -o json",
            "hoopctl revoke alice@example.test",
            "hoopctl audit query --since 7d --until 1h --user alice --model m --kind exchange --verdict deny --limit 10",
            "hoopctl sessions",
            "hoopctl sessions list --since 7d --user alice --model m --decision deny --masked email --limit 5",
            "hoopctl sessions show ses_1 -o json",
            "hoopctl sessions replay ex_1 --speed 4 --request --identity key --identity other",
            "hoopctl sessions replay --file a.rec --no-timing --raw",
            "hoopctl sessions export ex_1 --format har --to a.har",
            "hoopctl sessions export ex_1 --sealed",
            "hoopctl sessions verify ex_1 --key k",
            "hoopctl sessions verify --file a.rec --bundle b --checkpoint c",
            "hoopctl doctor",
            "hoopctl doctor https://gw.example.test -o json",
            "hoopctl completions zsh",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
        }
    }

    #[test]
    fn these_command_lines_are_wrong() {
        for line in [
            "hoopctl",
            "hoopctl dance",
            "hoopctl status -o xml",
            "hoopctl login --ca-fingerprint sha256:00 --ca-file f",
            "hoopctl login --callback-port 70000",
            "hoopctl connect",
            "hoopctl connect a --port 1 --socket s",
            "hoopctl connect a --stdio --port 1",
            "hoopctl connect a --stdio -- cmd",
            "hoopctl connect a --background -- cmd",
            "hoopctl stop",
            "hoopctl stop a --all",
            "hoopctl call a",
            "hoopctl call a /p --concurrency 0",
            "hoopctl call a /p --concurrency 2",
            "hoopctl approvals approve",
            "hoopctl approvals approve apr_1 --lasts 1s",
            "hoopctl approvals list --state lost",
            "hoopctl token",
            "hoopctl revoke",
            "hoopctl revoke a b",
            "hoopctl sessions replay",
            "hoopctl sessions replay ex_1 --file a",
            "hoopctl sessions replay ex_1 --speed 0",
            "hoopctl sessions replay ex_1 --speed 2 --no-timing",
            "hoopctl sessions export ex_1 --format pdf",
            "hoopctl sessions export ex_1 --sealed --format har",
            "hoopctl sessions list --limit 0",
            "hoopctl audit query --limit 0",
            "hoopctl audit query --verdict maybe",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[cfg(feature = "gateway")]
    #[test]
    fn the_gateways_command_lines_are_understood() {
        for line in [
            "hoopctl demo --once --dir d",
            "hoopctl gateway init d",
            "hoopctl gateway run --config gateway.toml",
            "hoopctl gateway check",
            "hoopctl gateway explain --config f --user u --group a --group b --model m --approved",
            "hoopctl gateway ca fingerprint --state /var/lib/hoopctl",
            "hoopctl gateway ca export --config f",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
        }
        for line in [
            "hoopctl gateway",
            "hoopctl gateway explain --user u",
            "hoopctl gateway ca export --config f --state d",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[cfg(not(feature = "gateway"))]
    #[test]
    fn the_thin_build_knows_that_there_is_a_gateway_elsewhere() {
        for line in ["hoopctl gateway run --config f", "hoopctl demo --once", "hoopctl gateway"] {
            assert!(matches!(parse(line).map(|parsed| parsed.verb), Ok(Verb::Gateway(_))), "{line}");
        }
    }

    #[test]
    fn output_is_known_before_the_line_is_parsed() {
        let none = |_: &str| None;
        for (line, expected) in [
            ("hoopctl dance -o json", Some("json")),
            ("hoopctl -ojson dance", Some("json")),
            ("hoopctl --output=jsonl dance", Some("jsonl")),
            ("hoopctl dance -- -o json", None),
            ("hoopctl dance", None),
        ] {
            let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(early(&arguments, &none).output.as_deref(), expected, "{line}");
        }
        let environment = |name: &str| (name == "HOOPCTL_OUTPUT").then(|| "json".into());
        assert_eq!(early(&[], &environment).output.as_deref(), Some("json"));
    }
}
