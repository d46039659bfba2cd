//! Policies by scope, so that a decision looks only at those whose scope can match.
//!
//! A policy lies once under each action it covers, there under the resource and principal its scope names, or under
//! "any". A decision visits (any, this resource) × (any, this user, each of its groups). What lies elsewhere cannot
//! match: models and groups have no parents, so `in` matches an entity and its members alone. Cedar's answer is a union
//! (some forbid holds: deny; else some permit holds: allow), so answers of the parts combine to the answer of the whole.

use std::collections::HashMap;

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicySet, PrincipalConstraint, ResourceConstraint,
};

use super::{Action, vocabulary};

/// Things of any scope and things by the entity their scope names.
#[derive(Default)]
pub(super) struct Scoped<T> {
    pub(super) any: T,
    pub(super) by: HashMap<EntityUid, T>,
}

impl<T: Default> Scoped<T> {
    fn slot(&mut self, entity: Option<EntityUid>) -> &mut T {
        match entity {
            None => &mut self.any,
            Some(entity) => self.by.entry(entity).or_default(),
        }
    }
}

impl<T> Scoped<T> {
    /// What any scope holds, and what the scopes of these entities hold.
    pub(super) fn matching<'a>(
        &'a self,
        entities: impl Iterator<Item = &'a EntityUid> + 'a,
    ) -> impl Iterator<Item = &'a T> + 'a {
        std::iter::once(&self.any).chain(entities.filter_map(|entity| self.by.get(entity)))
    }
}

/// Policies of one scope, and what they read of the context.
#[derive(Default)]
pub(super) struct Slice {
    pub(super) set: PolicySet,
    pub(super) reads: Reads,
}

/// The fields of the context that policies read: given to those that do, and what a remembered decision is remembered by. Nothing
/// else can depend on a field: a context is only comparable with a record that spells every one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reads {
    pub(super) source_ip: bool,
    pub(super) now: bool,
    pub(super) method: bool,
    pub(super) path: bool,
    /// Known of a request only when its body has been looked at.
    pub(super) requested_model: bool,
}

impl Reads {
    /// What a policy reads, or more: any text of its conditions counts that spells a field's name.
    pub(super) fn of(policy: &Policy) -> Self {
        let Some(conditions) =
            policy.to_json().ok().and_then(|json| Some(json.get("conditions")?.to_string()))
        else {
            return Self { source_ip: true, now: true, method: true, path: true, requested_model: true };
        };
        let spells = |field| conditions.contains(field);
        Self {
            source_ip: spells("\"source_ip\""),
            now: spells("\"now\""),
            method: spells("\"method\""),
            path: spells("\"path\""),
            requested_model: spells("\"requested_model\""),
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            source_ip: self.source_ip || other.source_ip,
            now: self.now || other.now,
            method: self.method || other.method,
            path: self.path || other.path,
            requested_model: self.requested_model || other.requested_model,
        }
    }
}

/// The policies of one action and resource scope.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) sets: Scoped<Slice>,
    /// What any of them reads.
    pub(super) reads: Reads,
    /// Ids of the permits for a named principal, with the principal, in order: for hints.
    pub(super) permits: Vec<(String, EntityUid)>,
}

/// For one action: by resource, then by principal.
pub(super) type Table = Scoped<Shelf>;

/// One table for each action.
#[derive(Default)]
pub(super) struct Index([Table; Action::ALL.len()]);

impl Index {
    /// Puts each policy where its scope says.
    pub(super) fn build(policies: Vec<Policy>) -> Result<Self, String> {
        let mut index = Self::default();
        for policy in policies {
            let principal = named_principal(&policy);
            let resource = named_resource(&policy);
            let reads = Reads::of(&policy);
            for (action, table) in Action::ALL.into_iter().zip(&mut index.0) {
                if covers(&policy.action_constraint(), action) {
                    let shelf = table.slot(resource.clone());
                    shelf.reads = shelf.reads.and(reads);
                    let slice = shelf.sets.slot(principal.clone());
                    slice.set.add(policy.clone()).map_err(|e| e.to_string())?;
                    slice.reads = slice.reads.and(reads);
                    if let (Effect::Permit, Some(principal)) = (policy.effect(), &principal) {
                        shelf.permits.push((policy.id().to_string(), principal.clone()));
                    }
                }
            }
        }
        for table in &mut index.0 {
            let shelves = std::iter::once(&mut table.any).chain(table.by.values_mut());
            shelves.for_each(|shelf| shelf.permits.sort());
        }
        Ok(index)
    }

    pub(super) fn table(&self, action: Action) -> &Table {
        #[expect(clippy::indexing_slicing, reason = "one table for each variant, in their order")]
        &self.0[action as usize]
    }
}

fn covers(constraint: &ActionConstraint, action: Action) -> bool {
    let action = vocabulary::action(action);
    match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(one) => *one == action,
        ActionConstraint::In(some) => some.contains(&action),
    }
}

fn named_principal(policy: &Policy) -> Option<EntityUid> {
    match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
        PrincipalConstraint::Eq(entity)
        | PrincipalConstraint::In(entity)
        | PrincipalConstraint::IsIn(_, entity) => Some(entity),
    }
}

fn named_resource(policy: &Policy) -> Option<EntityUid> {
    match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
        ResourceConstraint::Eq(entity)
        | ResourceConstraint::In(entity)
        | ResourceConstraint::IsIn(_, entity) => Some(entity),
    }
}
