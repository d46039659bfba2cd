//! The message of a request in Slack's Block Kit: who, which model, why, what they did lately, and two buttons while it is open.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    gateway::approval::{
        notify::{Kind, Notice},
        shown::{length, shown},
    },
    wire::api::Approval,
};

/// Characters of a reason that are shown: Slack takes 3000 in a section, and each may be escaped as five.
const MAX_REASON: usize = 590;
/// Characters of any other text.
const MAX_TEXT: usize = 150;
/// `action_id` of the buttons.
pub(super) const APPROVE: &str = "hoopctl_approve";
pub(super) const DENY: &str = "hoopctl_deny";
const OPEN: &str = "hoopctl_open";

/// `text` and `blocks` of the message as things stand.
pub(super) fn of(notice: &Notice) -> Value {
    let approval = &notice.approval;
    let (who, model) = (plain(&approval.requester), plain(&approval.model));
    let text = match notice.kind {
        Kind::Requested | Kind::Progress => format!("{who} asks to use {model}"),
        Kind::Approved => format!("{who} may use {model}"),
        Kind::Denied => format!("{who} may not use {model}"),
        Kind::Expired => format!("Nobody answered: {who} asked to use {model}"),
    };
    let mut blocks = vec![
        json!({ "type": "header", "text": { "type": "plain_text", "text": heading(notice.kind), "emoji": false } }),
        json!({ "type": "section", "fields": fields(notice) }),
        json!({ "type": "section", "text": { "type": "plain_text", "emoji": false, "text": reason(approval) } }),
    ];
    if notice.kind.is_end() {
        blocks.push(json!({ "type": "context", "elements": [marked(&outcome(notice))] }));
    } else {
        blocks.push(buttons(approval));
    }
    json!({ "text": text, "blocks": blocks })
}

/// Slack's three control characters, as entities; and nothing that hides or reorders.
pub(super) fn plain(text: &str) -> String {
    escape(&shown(text, MAX_TEXT))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Requested | Kind::Progress => "Approval wanted",
        Kind::Approved => "Approved",
        Kind::Denied => "Denied",
        Kind::Expired => "Not answered in time",
    }
}

fn fields(notice: &Notice) -> Vec<Value> {
    let approval = &notice.approval;
    let mut fields = vec![
        field("Who", &plain(&approval.requester)),
        field("Model", &plain(&approval.model)),
        field("For", &length(Duration::from_secs(approval.lasts))),
        field("Approvals", &format!("{} of {}", approval.approvals, approval.needed)),
    ];
    if let Some(history) = &approval.history {
        let text = format!(
            "{} exchanges, {} refused, {} approvals",
            history.exchanges, history.refused, history.approved
        );
        fields.push(field("Their last seven days on it", &text));
    }
    if !approval.approvers.is_empty() {
        fields.push(field("Who may decide", &plain(&approval.approvers.join(", "))));
    }
    fields
}

/// `value` is escaped already.
fn field(name: &str, value: &str) -> Value {
    marked(&format!("*{name}*\n{value}"))
}

/// `verbatim`: Slack makes no links and mentions of what only looks like them.
fn marked(text: &str) -> Value {
    json!({ "type": "mrkdwn", "verbatim": true, "text": text })
}

fn reason(approval: &Approval) -> String {
    match &approval.reason {
        Some(reason) => escape(&shown(reason, MAX_REASON)),
        None => "No reason was given.".to_owned(),
    }
}

fn outcome(notice: &Notice) -> String {
    let approval = &notice.approval;
    let mut outcome = match notice.kind {
        Kind::Approved => format!(
            "Approved by {} until {}",
            plain(&approval.approved_by.join(", ")),
            plain(&approval.expires_at)
        ),
        Kind::Denied => format!("Denied by {}", plain(approval.denied_by.as_deref().unwrap_or("somebody"))),
        _ => "Nobody answered in time".to_owned(),
    };
    if let Some(comment) = &approval.comment {
        outcome.push_str(": ");
        outcome.push_str(&plain(comment));
    }
    outcome
}

fn buttons(approval: &Approval) -> Value {
    let button = |action: &str, text: &str, style: &str| {
        json!({ "type": "button", "action_id": action, "value": approval.id, "style": style,
                "text": { "type": "plain_text", "text": text, "emoji": false } })
    };
    json!({ "type": "actions", "block_id": approval.id, "elements": [
        button(APPROVE, "Approve", "primary"),
        button(DENY, "Deny", "danger"),
        { "type": "button", "action_id": OPEN, "url": approval.url,
          "text": { "type": "plain_text", "text": "Look closer", "emoji": false } },
    ] })
}
