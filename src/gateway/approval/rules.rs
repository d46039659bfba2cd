//! The rules: who may decide a request, when it has its yeses, and how long they hold. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{ApprovalError, Decider, Person, Request, State, Vote};
use crate::{
    gateway::policy::{Action, Context, Outcome, Policies, Question, Resource, Terms},
    wire::stream::MAX_REASON,
};

/// The shortest time an approver can shorten an approval to.
pub const SHORTEST: Duration = Duration::from_mins(1);

/// The policies for whose terms the decider may speak.
///
/// # Errors
/// For the requester, for workloads, and for whoever is no approver of any of the terms.
pub(super) fn standing(
    request: &Request,
    decider: Decider<'_>,
    policies: &Policies,
    now: SystemTime,
) -> Result<Vec<String>, ApprovalError> {
    let caller = decider.caller;
    if request.requester.is(&Person::from(caller)) {
        return Err(ApprovalError::Own);
    }
    if caller.workload {
        return Err(ApprovalError::Workload);
    }
    let verdict = policies.decide(&question(&request.model, decider, now), false);
    let forbidden = verdict.outcome == Outcome::Deny && !verdict.policies.is_empty();
    let may = |terms: &&Terms| match terms.approvers.as_slice() {
        [] => verdict.outcome == Outcome::Permit,
        groups => !forbidden && groups.iter().any(|group| caller.groups.contains(group)),
    };
    // A policy that was changed since asks anew: nobody speaks for what it no longer says.
    let stands = |terms: &&Terms| policies.terms(&terms.policy).is_none_or(|now| now == *terms);
    let standing: Vec<String> =
        request.terms.iter().filter(stands).filter(may).map(|terms| terms.policy.clone()).collect();
    if standing.is_empty() {
        return Err(ApprovalError::NotApprover { user: caller.user().to_owned(), who: who(request) });
    }
    Ok(standing)
}

/// The request with a yes more.
///
/// # Errors
/// When the same person has said yes before.
pub(super) fn with_yes(request: &Request, vote: Vote, now: SystemTime) -> Result<Request, ApprovalError> {
    if request.votes.iter().any(|before| before.person.is(&vote.person)) {
        return Err(ApprovalError::SaidYes);
    }
    let mut next = changed(request);
    next.votes.push(vote);
    let met: Vec<&Terms> =
        next.terms.iter().filter(|terms| next.yeses(&terms.policy) >= terms.needed.max(1)).collect();
    // Where two policies are met at once the shorter time holds: nobody promised more for both.
    if let Some(lasts) = met.iter().map(|terms| terms.lasts).min() {
        let shortened = next.votes.iter().filter_map(|vote| vote.lasts).min();
        let lasts = shortened.map_or(lasts, |shorter| lasts.min(shorter));
        let policies = met.iter().map(|terms| terms.policy.clone()).collect();
        next.state = State::Approved { policies, until: whole_second(now) + lasts };
    }
    Ok(next)
}

/// The request with a no, which is the end of it, and of the approval it may have had. Who had said yes takes it back.
pub(super) fn with_no(request: &Request, vote: Vote) -> Request {
    let mut next = changed(request);
    next.votes.retain(|before| !before.person.is(&vote.person));
    next.votes.push(vote);
    next.state = State::Denied;
    next
}

/// The request in another state.
pub(super) fn in_state(request: &Request, state: State) -> Request {
    Request { state, ..changed(request) }
}

/// Whether a reason or a comment can be shown as it is.
pub(super) fn presentable(what: &'static str, text: Option<&str>) -> Result<(), ApprovalError> {
    match text {
        Some(text) if text.len() > MAX_REASON || text.chars().any(char::is_control) => {
            Err(ApprovalError::Text(what))
        }
        _ => Ok(()),
    }
}

/// The groups of a decider that the terms name.
pub(super) fn named_groups(request: &Request, decider: Decider<'_>) -> Vec<String> {
    let mut groups = request.approvers();
    groups.retain(|group| decider.caller.groups.contains(group));
    groups
}

fn changed(request: &Request) -> Request {
    Request { revision: request.revision.saturating_add(1), ..request.clone() }
}

fn question<'a>(model: &'a str, decider: Decider<'a>, now: SystemTime) -> Question<'a> {
    Question {
        caller: decider.caller,
        action: Action::Approve,
        resource: Resource::Model(model),
        context: Context {
            transport: decider.transport,
            upstream_encrypted: false,
            source_ip: decider.source,
            now,
            method: "",
            path: "",
            requested_model: None,
        },
    }
}

/// Who may decide, for a refusal.
fn who(request: &Request) -> String {
    match request.approvers().as_slice() {
        [] => format!("somebody whom policy permits to approve `{}`", request.model),
        groups => format!("a member of {}", groups.join(", ")),
    }
}

fn whole_second(at: SystemTime) -> SystemTime {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}
