//! Words for people: the nearest known name, and why nothing permits.

use cedar_policy::{Effect, EntityUid, PolicySet};

use super::{Near, Resource, index::Table};

/// The most names that one hint lists.
const MAX_LISTED: usize = 8;

/// The most near misses that one hint tells.
const MAX_NEAR: usize = 3;

/// The most characters of a foreign name that a hint shows.
const MAX_SHOWN: usize = 64;

/// A name from outside as it may stand in a message: bounded, without control characters.
pub(super) fn shown(name: &str) -> String {
    let mut text: String = name.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if name.chars().nth(MAX_SHOWN).is_some() {
        text.push('…');
    }
    text
}

/// "did you mean …?" with the nearest of the known names, and all of them when they are few.
pub(super) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_by_key(|candidate| strsim::damerau_levenshtein(name, candidate));
    let nearest = *known.first()?;
    let slips = strsim::damerau_levenshtein(name, nearest);
    if slips <= name.chars().count().div_ceil(3) {
        return Some(format!("did you mean `{}`?", shown(nearest)));
    }
    Some(format!("known: {}", listed(known.into_iter())))
}

/// The resource as people call it.
pub(super) fn subject(resource: Resource<'_>) -> String {
    match resource {
        Resource::Model(name) => format!("model `{}`", shown(name)),
        Resource::Gateway => "the gateway".to_owned(),
    }
}

/// Names in backticks, at most eight of them.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let mut text =
        names.iter().take(MAX_LISTED).map(|name| format!("`{}`", shown(name))).collect::<Vec<_>>().join(", ");
    if names.len() > MAX_LISTED {
        text.push_str(&format!(" and {} more", names.len().saturating_sub(MAX_LISTED)));
    }
    text
}

/// Permits for this action and resource that did not permit: those whose conditions do not hold, and those for others.
pub(super) fn near_misses(table: &Table, resource: &EntityUid, principals: &[EntityUid]) -> Vec<Near> {
    let mut near = Vec::new();
    for shelf in table.matching(std::iter::once(resource)) {
        for slice in shelf.sets.matching(principals.iter()) {
            let unmet = |policy| Near { policy, why: "has conditions that do not hold".to_owned() };
            near.extend(permits(&slice.set).take(MAX_NEAR).map(unmet));
        }
    }
    near.sort_by(|a, b| a.policy.cmp(&b.policy));
    for shelf in table.matching(std::iter::once(resource)) {
        let others = shelf.permits.iter().filter(|(_, principal)| !principals.contains(principal));
        near.extend(others.take(MAX_NEAR).map(|(id, principal)| {
            let kind = principal.type_name().to_string().to_lowercase();
            Near { policy: id.clone(), why: format!("is for {kind} `{}`", shown(principal.id().unescaped())) }
        }));
    }
    near.truncate(MAX_NEAR);
    near
}

fn permits(set: &PolicySet) -> impl Iterator<Item = String> {
    set.policies().filter(|policy| policy.effect() == Effect::Permit).map(|policy| policy.id().to_string())
}

/// Why there is no yes, when no forbid is the reason.
pub(super) fn no_permit(action: &str, subject: &str, user: &str, groups: &[String], near: &[Near]) -> String {
    let groups = match groups.len() {
        0 => ", who has no groups".to_owned(),
        1 => format!(" with group {}", listed(groups.iter().map(String::as_str))),
        _ => format!(" with groups {}", listed(groups.iter().map(String::as_str))),
    };
    let near: String = near.iter().map(|near| format!("; `{}` {}", shown(&near.policy), near.why)).collect();
    format!("no policy permits {action} on {subject} for `{}`{groups}{near}", shown(user))
}
