//! What the person at the laptop is told about approvals: once for each, however many exchanges of the connection wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::rfc3339,
    gateway::approval::{Approvals, Decision, Request},
    wire::control::Notice,
};

/// Says things to the person at one laptop. One for each connection.
pub struct Notices {
    say: Box<dyn Fn(Notice) + Send + Sync>,
    told: Mutex<HashMap<String, Told>>,
}

/// An approval that exchanges of the connection wait for.
#[derive(Default)]
struct Told {
    waiting: usize,
    decided: bool,
}

impl Notices {
    /// `say` hands a notice on without waiting; one that cannot be delivered is lost.
    pub fn new(say: impl Fn(Notice) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { say: Box::new(say), told: Mutex::default() })
    }

    /// An exchange begins to wait.
    pub(super) fn pending(self: &Arc<Self>, request: &Request, approvals: &Approvals) -> Waiting {
        let first = {
            let mut told = self.told();
            let told = told.entry(request.id.clone()).or_default();
            told.waiting += 1;
            told.waiting == 1
        };
        if first {
            (self.say)(Notice::ApprovalPending {
                id: request.id.clone(),
                model: request.model.clone(),
                approvers: request.approvers(),
                needed: request.progress().1,
                url: Some(approvals.page(&request.id)),
            });
        }
        Waiting { notices: Arc::clone(self), id: request.id.clone() }
    }

    fn told(&self) -> MutexGuard<'_, HashMap<String, Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notices")
    }
}

/// One exchange that waits; dropped when it no longer does.
pub(super) struct Waiting {
    notices: Arc<Notices>,
    id: String,
}

impl Waiting {
    /// The wait is over; the first that sees it says how.
    pub(super) fn decided(self, decision: &Decision) {
        let first = self
            .notices
            .told()
            .get_mut(&self.id)
            .is_some_and(|told| !std::mem::replace(&mut told.decided, true));
        let id = self.id.clone();
        let refused = |reason: String| Notice::ApprovalRefused { id: id.clone(), reason };
        let notice = match decision {
            Decision::Approved { until } => {
                Some(Notice::ApprovalGranted { id: id.clone(), until: Some(rfc3339(*until)) })
            }
            Decision::Denied { by, comment: None } => Some(refused(format!("{by} denied it"))),
            Decision::Denied { by, comment: Some(said) } => Some(refused(format!("{by} denied it: {said}"))),
            Decision::Expired => {
                Some(refused("nobody answered in time, or the model was changed".to_owned()))
            }
            // The connection itself says that.
            Decision::Closing | Decision::Unknown => None,
        };
        if let Some(notice) = notice.filter(|_| first) {
            (self.notices.say)(notice);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut told = self.notices.told();
        if let Some(entry) = told.get_mut(&self.id) {
            entry.waiting = entry.waiting.saturating_sub(1);
            if entry.waiting == 0 {
                told.remove(&self.id);
            }
        }
    }
}
