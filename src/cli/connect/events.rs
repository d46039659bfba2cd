//! What happens to the connection, in one line each.

use crate::{
    client::{Change, LinkEvent},
    clock::rfc3339,
    tunnel::Transport,
    wire::control::Notice,
};

/// How loud a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Good to know.
    Note(String),
    /// Somebody has to act.
    Warning(String),
}

/// The event's line; `None` for what nobody needs to read.
pub(super) fn line(event: &LinkEvent) -> Option<Line> {
    let note = |text: String| Some(Line::Note(text));
    let warning = |text: String| Some(Line::Warning(text));
    match event {
        LinkEvent::Connected { over, before: None } => note(format!("connected over {over}")),
        LinkEvent::Connected { over: Transport::Tcp, before: Some(Transport::Quic) } => {
            note("reconnected over tcp: falling back, for UDP does not get through".to_owned())
        }
        LinkEvent::Connected { over, before: Some(_) } => note(format!("reconnected over {over}")),
        LinkEvent::Lost(reason) => {
            note(format!("connection lost: {reason}; new requests wait up to 5 s each"))
        }
        LinkEvent::Network(Change::Address(address)) => {
            note(format!("network changed: this machine is now {address}; streams go on"))
        }
        LinkEvent::Network(Change::Offline) => {
            note("network changed: no route leads to the gateway".to_owned())
        }
        LinkEvent::Network(Change::Woke) => {
            note("the machine was asleep, or its clock was set; asking the gateway".to_owned())
        }
        LinkEvent::Silent(transport) => note(format!(
            "the gateway does not answer over {transport} any more; new requests wait up to 5 s each"
        )),
        LinkEvent::Recovered(transport) => {
            note(format!("the gateway answers over {transport} again; nothing was lost"))
        }
        LinkEvent::Failed(reason) => note(format!("not connected: {reason}; trying again")),
        // The first, second, fourth, eighth …: a night offline does not fill a terminal.
        LinkEvent::Reconnecting { attempt } if attempt.is_power_of_two() => {
            note(format!("reconnecting, attempt {attempt}"))
        }
        LinkEvent::Reconnecting { .. } => None,
        LinkEvent::Renewed { until } => note(format!("credential renewed until {}", rfc3339(*until))),
        LinkEvent::LoginNeeded(reason) => {
            warning(format!("{reason}; run hoopctl login, this connection then goes on"))
        }
        LinkEvent::Notice(notice) => match notice {
            Notice::Draining => note("the gateway is going away; moving to another connection".to_owned()),
            Notice::Revoked { reason } => warning(format!("the gateway ended this session: {reason}")),
            Notice::Roots { .. } => {
                note("the gateway's CA is being rotated: its roots are up to date here".to_owned())
            }
            // Told with what it waits for: `super::super::asking`.
            Notice::ApprovalPending { .. }
            | Notice::ApprovalGranted { .. }
            | Notice::ApprovalRefused { .. }
            | Notice::Unknown => None,
        },
    }
}

/// The event's name for programs; it never changes.
pub(super) fn name(event: &LinkEvent) -> &'static str {
    match event {
        LinkEvent::Connected { before: None, .. } => "connected",
        LinkEvent::Connected { before: Some(_), .. } => "reconnected",
        LinkEvent::Lost(_) => "lost",
        LinkEvent::Network(Change::Address(_)) => "network_changed",
        LinkEvent::Network(Change::Offline) => "offline",
        LinkEvent::Network(Change::Woke) => "woke",
        LinkEvent::Silent(_) => "silent",
        LinkEvent::Recovered(_) => "recovered",
        LinkEvent::Failed(_) => "not_connected",
        LinkEvent::Reconnecting { .. } => "reconnecting",
        LinkEvent::Renewed { .. } => "renewed",
        LinkEvent::LoginNeeded(_) => "login_needed",
        LinkEvent::Notice(Notice::Draining) => "draining",
        LinkEvent::Notice(_) => "notice",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_unix_millis;

    #[test]
    fn events_are_one_line_each() {
        for (event, expected) in [
            (
                LinkEvent::Connected { over: Transport::Quic, before: None },
                Some(Line::Note("connected over quic".into())),
            ),
            (
                LinkEvent::Connected { over: Transport::Tcp, before: Some(Transport::Tcp) },
                Some(Line::Note("reconnected over tcp".into())),
            ),
            (LinkEvent::Reconnecting { attempt: 4 }, Some(Line::Note("reconnecting, attempt 4".into()))),
            (LinkEvent::Reconnecting { attempt: 5 }, None),
            (
                LinkEvent::Renewed { until: from_unix_millis(0) },
                Some(Line::Note("credential renewed until 1970-01-01T00:00:00.000Z".into())),
            ),
            (LinkEvent::Notice(Notice::Unknown), None),
        ] {
            assert_eq!(line(&event), expected, "{event:?}");
        }
        assert!(matches!(line(&LinkEvent::LoginNeeded("expired".into())), Some(Line::Warning(_))));
    }
}
