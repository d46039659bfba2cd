//! `[sessions]`: how long a certificate, a login and an access token last.

use std::time::Duration;

use crate::config::gateway::{
    reader::{Report, Table},
    value,
};

/// What `[sessions]` says.
pub(in crate::config::gateway) struct Section {
    pub(in crate::config::gateway) credential_life: Duration,
    pub(in crate::config::gateway) session_life: Duration,
    pub(in crate::config::gateway) token_life: Duration,
}

/// Reads `[sessions]`.
pub(in crate::config::gateway) fn read(root: &mut Table<'_>, report: &mut Report) -> Section {
    let mut table = root.section("sessions", report);
    let credential = table.read("credential_life", report, |value, report| {
        value::duration(value, Duration::from_mins(1)..=Duration::from_hours(24), report)
    });
    let session = table.read("session_life", report, |value, report| {
        value::duration(value, Duration::from_mins(5)..=Duration::from_hours(24 * 30), report)
    });
    let token = table.read("token", report, |value, report| {
        value::duration(value, Duration::from_mins(2)..=Duration::from_hours(1), report)
    });
    let span = table.span().clone();
    table.finish(report);
    let section = Section {
        credential_life: credential.unwrap_or(Duration::from_mins(15)),
        session_life: session.unwrap_or(Duration::from_hours(12)),
        token_life: token.unwrap_or(Duration::from_mins(5)),
    };
    if section.credential_life > section.session_life {
        let message = "`credential_life` is longer than `session_life`".to_owned();
        let remedy = "a certificate lives within its login: write a shorter `credential_life`".to_owned();
        report.mistake(&span, message, Some(remedy));
    }
    section
}
