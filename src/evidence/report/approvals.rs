//! Approvals and their approvers, put together from their events.

use std::collections::BTreeMap;

use super::{
    Approval, Listed,
    fold::user,
    tally::{cut, name},
};
use crate::evidence::event::Event;

/// Approvals told apart; the uses of others are not counted by approval.
const MOST: usize = 5000;
/// Approvals in the report.
const SHOWN: usize = 300;
/// Votes kept of one.
const VOTES: usize = 32;
/// The longest detail, in characters.
const DETAIL: usize = 400;

/// Approvals by id.
#[derive(Debug, Default)]
pub(super) struct Approvals {
    by_id: BTreeMap<String, Approval>,
    /// Requests beyond those told apart.
    others: u64,
}

impl Approvals {
    /// An event of the approval itself, of the kind `approval_…`.
    pub(super) fn change(&mut self, state: &str, event: &Event) {
        let who = user(event);
        let Some(approval) = self.find(event, state == "requested") else { return };
        approval.state = name(state);
        approval.changed_at.clone_from(&event.time);
        approval.detail = cut(event.detail.as_deref().unwrap_or_default(), DETAIL);
        match state {
            "requested" => {
                approval.requester = who;
                approval.requested_at.clone_from(&event.time);
            }
            "approved" if approval.approvers.len() < VOTES => approval.approvers.push(who),
            "denied" => approval.denied_by = who,
            _ => {}
        }
    }

    /// An exchange that it let pass.
    pub(super) fn used(&mut self, event: &Event) {
        if let Some(approval) = self.find(event, false) {
            approval.exchanges += 1;
            if approval.state.is_empty() {
                "used".clone_into(&mut approval.state);
                approval.changed_at.clone_from(&event.time);
            }
        }
    }

    fn find(&mut self, event: &Event, new: bool) -> Option<&mut Approval> {
        let id = event.decision.as_ref()?.approval.as_deref()?;
        let id = name(id);
        if self.by_id.len() >= MOST && !self.by_id.contains_key(&id) {
            self.others += u64::from(new);
            return None;
        }
        let model = || name(event.model.as_deref().unwrap_or_default());
        Some(self.by_id.entry(id.clone()).or_insert_with(|| Approval {
            id,
            model: model(),
            ..Approval::default()
        }))
    }

    /// In the order in which they were last changed.
    pub(super) fn listed(self) -> Listed<Approval> {
        let mut shown: Vec<Approval> = self.by_id.into_values().collect();
        let total = shown.len() as u64 + self.others;
        shown.sort_by(|a, b| (&a.changed_at, &a.id).cmp(&(&b.changed_at, &b.id)));
        shown.truncate(SHOWN);
        Listed { total, shown }
    }
}
