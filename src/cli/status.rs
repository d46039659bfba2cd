//! `hoopctl status`.

use super::{
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
    printer::Printer,
    table::Table,
};
use crate::{client::Status, config::laptop::Output};

/// Shows who is logged in, without asking the network.
pub(super) fn perform(with: &Invocation) -> Outcome {
    let laptop = with.laptop()?;
    print(&laptop.status()?, &with.printer)?;
    Ok(DONE)
}

/// The status in the printer's format.
pub(super) fn print(status: &Status, printer: &Printer) -> Result<(), Failure> {
    if printer.manner().output != Output::Human {
        return printer.document(status);
    }
    let groups = if status.groups.is_empty() { "none".to_owned() } else { status.groups.join(", ") };
    let transport = status.transport.map_or_else(|| "not known yet".to_owned(), |one| one.to_string());
    let mut table = Table::new(&[]);
    table.row(["gateway", &status.gateway]);
    table.row(["user", &status.user]);
    table.row(["groups", &groups]);
    table.row(["provider", &status.provider]);
    table.row(["credential", &format!("until {}", status.expires_at)]);
    table.row(["login", &until(&status.session_expires_at)]);
    table.row(["kept in", &status.credential_store]);
    table.row(["transport", &transport]);
    printer.table(&table)
}

/// A workload's login lasts as long as its tokens.
fn until(end: &str) -> String {
    if end.is_empty() { "until the token ends".to_owned() } else { format!("until {end}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::printer::paper, tunnel::Transport};

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
        }
    }

    #[test]
    fn the_json_has_the_shape_others_build_on() {
        let (printer, out, _) = paper::printer(Output::Json);
        print(&status(), &printer).unwrap();
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
                "transport"
            ]
        );
        assert_eq!(json["transport"], "quic");
    }

    #[test]
    fn people_get_aligned_lines() {
        let (printer, out, _) = paper::printer(Output::Human);
        print(&status(), &printer).unwrap();
        assert!(
            out.text().starts_with("gateway     https://gw.example.test\nuser        alice@example.test\n")
        );
    }
}
