//! Approvals as people and programs read them.

use std::time::{Duration, SystemTime};

use super::super::{asking, error::Failure, printer::Printer, sanitize, table::Table};
use crate::{clock::parse_rfc3339, config::laptop::Output, wire::api::Approval};

const MINUTE: Duration = Duration::from_mins(1);

/// A table, the oldest last; `state` is what was asked for.
pub(super) fn list(
    approvals: &[Approval],
    state: &str,
    now: SystemTime,
    printer: &Printer,
) -> Result<(), Failure> {
    if printer.manner().output != Output::Human {
        return printer.documents(approvals);
    }
    if approvals.is_empty() {
        printer.note(&match state {
            "pending" => "nothing waits, neither of yours nor for you".to_owned(),
            "all" => "there are no requests that you may see".to_owned(),
            state => format!("there are no {state} requests that you may see"),
        });
        return Ok(());
    }
    let mut table = Table::new(&["ID", "STATE", "MODEL", "WHO", "YES", "ENDS", "FOR YOU", "REASON"]);
    for approval in approvals {
        table.row([
            approval.id.as_str(),
            &approval.state,
            &approval.model,
            &approval.requester,
            &format!("{}/{}", approval.approvals, approval.needed),
            &ends(approval, now),
            if approval.decidable && approval.state == "pending" { "to decide" } else { "" },
            approval.reason.as_deref().unwrap_or_default(),
        ]);
    }
    printer.table(&table)
}

/// Everything about one.
pub(super) fn one(approval: &Approval, now: SystemTime, printer: &Printer) -> Result<(), Failure> {
    if printer.manner().output != Output::Human {
        return printer.document(approval);
    }
    let mut rows = vec![
        ("id", approval.id.clone()),
        ("state", state(approval)),
        ("who", approval.requester.clone()),
        ("model", approval.model.clone()),
        ("reason", approval.reason.clone().unwrap_or_else(|| "(none given)".to_owned())),
        ("asked", approval.created_at.clone()),
        ("ends", format!("{} ({})", approval.expires_at, ends(approval, now))),
        ("lasts", duration(approval.lasts)),
        ("yes", yes(approval)),
    ];
    let said_no = |who: &String| ("no", who.clone());
    rows.extend(approval.denied_by.as_ref().map(said_no));
    rows.extend(approval.comment.as_ref().map(|comment| ("comment", comment.clone())));
    if let Some(history) = &approval.history {
        let last = history.last.as_deref().map(|last| format!(", the last at {last}")).unwrap_or_default();
        rows.push((
            "7 days",
            format!(
                "{} exchanges with this model, {} refused, {} approvals{last}",
                history.exchanges, history.refused, history.approved
            ),
        ));
    }
    rows.push(("page", approval.url.clone()));
    for (label, value) in rows {
        printer.line(&format!("{label:<9}{}", sanitize::line(&value)))?;
    }
    if approval.decidable && approval.state == "pending" {
        printer.note(&format!("next: hoopctl approvals approve {} (or deny)", approval.id));
    }
    Ok(())
}

/// What a decision has made of it.
pub(super) fn decided(approval: &Approval, now: SystemTime, printer: &Printer) -> Result<(), Failure> {
    if printer.manner().output != Output::Human {
        return printer.document(approval);
    }
    let what = match approval.state.as_str() {
        "approved" => format!(
            "{} may use {} until {} ({})",
            approval.requester,
            approval.model,
            approval.expires_at,
            ends(approval, now)
        ),
        "pending" => format!(
            "your yes is noted: {} of {}; the request still waits for a yes{}",
            approval.approvals,
            approval.needed,
            asking::by(&approval.approvers, approval.needed.saturating_sub(approval.approvals))
        ),
        "denied" => format!("{} may not use {}", approval.requester, approval.model),
        other => other.to_owned(),
    };
    printer.line(&sanitize::line(&format!("{}: {what}", approval.id)))
}

/// What was asked for.
pub(super) fn requested(approval: &Approval, now: SystemTime, printer: &Printer) -> Result<(), Failure> {
    if printer.manner().output != Output::Human {
        return printer.document(approval);
    }
    printer.line(&sanitize::line(&format!(
        "{}: {} is {}, ends {}",
        approval.id,
        approval.model,
        state(approval),
        ends(approval, now)
    )))?;
    if approval.state == "pending" {
        let by = asking::by(&approval.approvers, approval.needed);
        printer.note(&format!("it waits for a yes{by}: {}", approval.url));
    }
    Ok(())
}

fn state(approval: &Approval) -> String {
    match approval.state.as_str() {
        "pending" => format!("pending, {} of {} yeses", approval.approvals, approval.needed),
        other => other.to_owned(),
    }
}

fn yes(approval: &Approval) -> String {
    let by = asking::by(&approval.approvers, 1);
    let whose = if by.is_empty() { " by whom policy permits to approve".to_owned() } else { by };
    match approval.approved_by.as_slice() {
        [] => format!("0 of {}{whose}", approval.needed),
        people => format!("{} of {}{whose}: {}", approval.approvals, approval.needed, people.join(", ")),
    }
}

/// How long from now, as people say it; nothing more to come is "over".
fn ends(approval: &Approval, now: SystemTime) -> String {
    let left = parse_rfc3339(&approval.expires_at).and_then(|end| end.duration_since(now).ok());
    match left.filter(|_| matches!(approval.state.as_str(), "pending" | "approved")) {
        Some(left) if left < MINUTE => format!("in {} s", left.as_secs().max(1)),
        // To the nearest minute: half an hour that has just begun is not "29 min".
        Some(left) => format!("in {}", duration((left + MINUTE / 2).as_secs())),
        None => "over".to_owned(),
    }
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::printer::paper, wire::api::ApprovalHistory};

    fn now() -> SystemTime {
        parse_rfc3339("2026-11-23T07:00:00Z").unwrap()
    }

    fn approval(state: &str) -> Approval {
        Approval {
            schema: 1,
            id: "apr_1".into(),
            state: state.into(),
            model: "fraud".into(),
            requester: "alice@example.test".into(),
            reason: Some("incident\u{1b}[2J 7".into()),
            approvals: 1,
            needed: 2,
            expires_at: "2026-11-23T07:30:00.000Z".into(),
            created_at: "2026-11-23T06:59:00.000Z".into(),
            lasts: 3600,
            approvers: vec!["risk-leads".into()],
            approved_by: vec!["bob@example.test".into()],
            denied_by: None,
            comment: None,
            url: "https://gw.example.test/console/approvals/apr_1".into(),
            decidable: true,
            history: Some(ApprovalHistory { exchanges: 3, refused: 1, approved: 0, last: None }),
        }
    }

    #[test]
    fn people_see_who_wants_what_and_how_long() {
        let (printer, out, _) = paper::printer(Output::Human);
        list(&[approval("pending")], "pending", now(), &printer).unwrap();
        assert!(
            out.text().contains(
                "apr_1  pending  fraud  alice@example.test  1/2  in 30 min  to decide  incident\\u{1b}[2J 7\n"
            ),
            "{}",
            out.text()
        );
        let (printer, out, err) = paper::printer(Output::Human);
        one(&approval("pending"), now(), &printer).unwrap();
        let text = out.text();
        for line in [
            "state    pending, 1 of 2 yeses\n",
            "yes      1 of 2 by risk-leads: bob@example.test\n",
            "7 days   3 exchanges with this model, 1 refused, 0 approvals\n",
            "ends     2026-11-23T07:30:00.000Z (in 30 min)\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        assert!(!text.contains('\u{1b}'));
        assert!(err.text().contains("hoopctl approvals approve apr_1"));
    }

    #[test]
    fn what_a_decision_made_of_it_is_one_line() {
        for (state, expected) in [
            (
                "approved",
                "apr_1: alice@example.test may use fraud until 2026-11-23T07:30:00.000Z (in 30 min)\n",
            ),
            (
                "pending",
                "apr_1: your yes is noted: 1 of 2; the request still waits for a yes by risk-leads\n",
            ),
            ("denied", "apr_1: alice@example.test may not use fraud\n"),
        ] {
            let (printer, out, _) = paper::printer(Output::Human);
            decided(&approval(state), now(), &printer).unwrap();
            assert_eq!(out.text(), expected);
        }
    }

    #[test]
    fn programs_get_the_shape_of_the_contract() {
        let (printer, out, _) = paper::printer(Output::Jsonl);
        list(&[approval("pending")], "pending", now(), &printer).unwrap();
        let value: serde_json::Value = serde_json::from_str(out.text().trim()).unwrap();
        for key in
            ["schema", "id", "state", "model", "requester", "reason", "approvals", "needed", "expires_at"]
        {
            assert!(value.get(key).is_some_and(|value| !value.is_null()), "{key}");
        }
    }
}
