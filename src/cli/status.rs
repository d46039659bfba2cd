//! `hoopctl status`.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
    printer::Printer,
    remembered,
    table::Table,
};
use crate::{client::Status, clock, config::laptop::Output};

/// A login, and which of its models are not fully protected.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    #[serde(flatten)]
    status: &'a Status,
    /// Models with `tls = "relaxed"`, as the gateway listed them last.
    relaxed: Vec<String>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(status: &'a Status, with: &Invocation) -> Self {
        Self { status, relaxed: remembered::relaxed(&status.gateway, &with.config) }
    }
}

/// A login that ends within this is worth a warning.
const SOON: Duration = Duration::from_hours(1);

/// Shows who is logged in, without asking the network.
pub(super) fn perform(with: &Invocation) -> Outcome {
    let laptop = with.laptop()?;
    let status = laptop.status()?;
    let now = with.clock.now();
    print(&Shown::new(&status, with), &with.printer, now)?;
    if let Some(warning) = ends_soon(&status, now) {
        with.printer.warn(&warning);
    }
    Ok(DONE)
}

/// The status in the printer's format.
pub(super) fn print(shown: &Shown<'_>, printer: &Printer, now: SystemTime) -> Result<(), Failure> {
    if printer.manner().output != Output::Human {
        return printer.document(shown);
    }
    let status = shown.status;
    let groups = if status.groups.is_empty() { "none".to_owned() } else { status.groups.join(", ") };
    let transport = status.transport.map_or_else(|| "not known yet".to_owned(), |one| one.to_string());
    let mut table = Table::new(&[]);
    table.row(["gateway", &status.gateway]);
    table.row(["user", &status.user]);
    table.row(["groups", &groups]);
    table.row(["provider", &status.provider]);
    table.row(["logged in", logged_in(status.method.as_deref())]);
    table.row(["credential", &format!("{}, renews itself", until(&status.expires_at, now))]);
    table.row(["login", &until(&status.session_expires_at, now)]);
    table.row(["kept in", &status.credential_store]);
    table.row(["transport", &transport]);
    let gateways = status.gateway_certificate.as_ref().map_or_else(
        || "not seen yet".to_owned(),
        |seen| {
            let when = seen.seen_at.as_deref().unwrap_or_default();
            format!("{}, as shown at {when}", until(&seen.expires_at, now))
        },
    );
    table.row(["gateway's certificate", &gateways]);
    for root in &status.roots {
        table.row(["trusted root", &format!("{} {}", root.fingerprint, until(&root.expires_at, now))]);
    }
    if !shown.relaxed.is_empty() {
        let models = shown.relaxed.join(", ");
        table.row([
            "relaxed (!)",
            &format!("{models}: the gateway may reach them in plaintext or unverified"),
        ]);
    }
    printer.table(&table)
}

/// A workload's login lasts as long as its tokens.
fn until(end: &str, now: SystemTime) -> String {
    match clock::parse_rfc3339(end).map(|end| end.duration_since(now)) {
        Some(Ok(left)) => format!("until {end} (in {})", span(left)),
        Some(Err(_)) => format!("until {end} (over)"),
        None if end.is_empty() => "until the token ends".to_owned(),
        None => format!("until {end}"),
    }
}

fn logged_in(method: Option<&str>) -> &str {
    match method {
        Some("browser") => "with this machine's browser",
        Some("paste") => "with a browser elsewhere",
        Some("device") => "with a code that a browser confirmed",
        Some("workload") => "with a workload's token",
        Some(other) => other,
        None => "not known",
    }
}

/// Warns when the login is over within the hour: what renews itself cannot renew that.
fn ends_soon(status: &Status, now: SystemTime) -> Option<String> {
    let left = clock::parse_rfc3339(&status.session_expires_at)?.duration_since(now).ok()?;
    (left <= SOON).then(|| format!("the login ends in {}; log in again: hoopctl login", span(left)))
}

/// Hours and minutes, or minutes and seconds.
fn span(left: Duration) -> String {
    let seconds = left.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, _) => format!("{m} min"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::printer::paper, client::Certificate, tunnel::Transport};

    fn status() -> Status {
        Status {
            schema: 1,
            gateway: "https://gw.example.test".into(),
            user: "alice@example.test".into(),
            groups: vec!["ml-engineers".into()],
            provider: "sso".into(),
            expires_at: "2026-11-23T08:00:00.000Z".into(),
            session_expires_at: "2026-11-23T20:00:00.000Z".into(),
            credential_store: "file".into(),
            transport: Some(Transport::Quic),
            method: Some("device".into()),
            profile: "default".into(),
            gateway_certificate: Some(Certificate {
                fingerprint: "sha256:aa".into(),
                expires_at: "2026-12-23T08:00:00.000Z".into(),
                seen_at: Some("2026-11-23T07:00:00.000Z".into()),
            }),
            roots: vec![Certificate {
                fingerprint: "sha256:bb".into(),
                expires_at: "2036-11-23T08:00:00.000Z".into(),
                seen_at: None,
            }],
        }
    }

    fn at(text: &str) -> SystemTime {
        clock::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn the_json_has_the_shape_others_build_on() {
        let (printer, out, _) = paper::printer(Output::Json);
        let shown = Shown { status: &status(), relaxed: vec!["llama".into()] };
        print(&shown, &printer, at("2026-11-23T07:50:00Z")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            [
                "schema",
                "gateway",
                "user",
                "groups",
                "provider",
                "expires_at",
                "session_expires_at",
                "credential_store",
                "transport",
                "method",
                "profile",
                "gateway_certificate",
                "roots",
                "relaxed"
            ]
        );
        assert_eq!(json["relaxed"], serde_json::json!(["llama"]));
        assert_eq!(json["transport"], "quic");
    }

    #[test]
    fn people_get_aligned_lines() {
        let (printer, out, _) = paper::printer(Output::Human);
        let now = at("2026-11-23T07:50:00Z");
        print(&Shown { status: &status(), relaxed: Vec::new() }, &printer, now).unwrap();
        let text = out.text();
        assert!(!text.contains("relaxed"), "{text}");
        assert!(text.starts_with(
            "gateway                https://gw.example.test\nuser                   alice@example.test\n"
        ));
        for line in [
            "logged in              with a code that a browser confirmed",
            "credential             until 2026-11-23T08:00:00.000Z (in 10 min), renews itself",
            "login                  until 2026-11-23T20:00:00.000Z (in 12 h 10 min)",
            "gateway's certificate  until 2026-12-23T08:00:00.000Z (in 720 h 10 min), as shown at 2026-11-23T07:00:00.000Z",
            "trusted root           sha256:bb until 2036-11-23T08:00:00.000Z (in",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let (printer, out, _) = paper::printer(Output::Human);
        let relaxed = vec!["llama".into(), "b\u{1b}".into()];
        print(&Shown { status: &status(), relaxed }, &printer, now).unwrap();
        let text = out.text();
        assert!(
            text.contains("relaxed (!)            llama, b\\u{1b}: the gateway may reach them in plaintext"),
            "{text}"
        );
    }

    #[test]
    fn a_login_that_ends_within_the_hour_is_warned_of() {
        assert_eq!(ends_soon(&status(), at("2026-11-23T18:59:59Z")), None);
        let warning = ends_soon(&status(), at("2026-11-23T19:18:00Z")).unwrap();
        assert_eq!(warning, "the login ends in 42 min; log in again: hoopctl login");
        let workload = Status { session_expires_at: String::new(), ..status() };
        assert_eq!(ends_soon(&workload, at("2026-11-23T19:18:00Z")), None);
        assert_eq!(until("", at("2026-11-23T19:18:00Z")), "until the token ends");
    }
}
