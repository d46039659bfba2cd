//! The annotations of a policy: which exist, and what they may say.

use cedar_policy::{Effect, Policy};

use crate::{
    clock,
    gateway::policy::hint::{did_you_mean, shown},
};

const KNOWN: [&str; 5] = ["id", "approvers", "lasts", "approvals_needed", "description"];

/// The longest policy id, in characters.
const MAX_ID: usize = 128;

/// The most approvals that a policy can ask for.
const MAX_APPROVALS: u32 = 20;

/// Byte of the mistake (`None`: the policy), message, remedy.
pub(super) type Found = (Option<usize>, String, String);

/// Every mistake in a policy's annotations.
pub(super) fn check(policy: &Policy) -> Vec<Found> {
    let mut found = Vec::new();
    for (key, annotation) in policy.as_ref().annotations() {
        let key: &str = key.as_ref();
        let at = annotation.loc.as_ref().map(|loc| loc.start());
        if let Some((message, remedy)) = wrong(key, &annotation.val) {
            found.push((at, message, remedy));
        }
    }
    found.extend(approval(policy));
    found
}

fn wrong(key: &str, value: &str) -> Option<(String, String)> {
    let (bad, remedy) = match key {
        "id" => (
            value.is_empty() || value.chars().count() > MAX_ID || value.chars().any(char::is_control),
            format!("an id has 1 to {MAX_ID} characters, none of them a control character"),
        ),
        "approvers" => (
            approvers(value).next().is_none(),
            "name the groups that may say yes, separated by commas: @approvers(\"risk-leads\")".to_owned(),
        ),
        "lasts" => (
            clock::parse_duration(value).is_none_or(|life| life.is_zero()),
            "write how long a yes lasts: @lasts(\"1h\"), \"30m\", \"90s\"".to_owned(),
        ),
        "approvals_needed" => (
            !value.parse().is_ok_and(|n: u32| (1..=MAX_APPROVALS).contains(&n)),
            format!("write a number from 1 to {MAX_APPROVALS}: @approvals_needed(\"2\")"),
        ),
        "description" => return None,
        unknown => {
            let remedy = did_you_mean(unknown, KNOWN).unwrap_or_default();
            return Some((format!("unknown annotation @{unknown}"), remedy));
        }
    };
    bad.then(|| (format!("@{key}(\"{}\") is not usable", shown(value)), remedy))
}

/// Annotations about approvals are an empty promise on a policy that never asks for one.
fn approval(policy: &Policy) -> Option<Found> {
    let key = ["approvers", "lasts", "approvals_needed"]
        .into_iter()
        .find(|key| policy.annotation(key).is_some())?;
    let asks = policy.to_json().is_ok_and(|json| {
        json.get("conditions").is_some_and(|conditions| conditions.to_string().contains("\"approved\""))
    });
    match (policy.effect(), asks) {
        (Effect::Permit, true) => None,
        (Effect::Permit, false) => Some((
            None,
            format!("it has @{key} but permits without an approval"),
            "add `when { context.approved }`, or remove the annotation".to_owned(),
        )),
        (Effect::Forbid, _) => Some((
            None,
            format!("it has @{key} but is a forbid; approvals come from permits"),
            "move the annotation to the permit that needs the approval".to_owned(),
        )),
    }
}

/// The groups of an `@approvers` annotation.
pub(in crate::gateway::policy) fn approvers(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|group| !group.is_empty())
}
