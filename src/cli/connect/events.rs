//! What happens to the connection, in one line each.

use crate::{client::LinkEvent, clock::rfc3339, wire::control::Notice};

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
        LinkEvent::Connected(transport) => note(format!("connected over {transport}")),
        LinkEvent::Lost(reason) => note(format!("connection lost: {reason}; new requests wait")),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::from_unix_millis, tunnel::Transport};

    #[test]
    fn events_are_one_line_each() {
        for (event, expected) in [
            (LinkEvent::Connected(Transport::Quic), Some(Line::Note("connected over quic".into()))),
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
