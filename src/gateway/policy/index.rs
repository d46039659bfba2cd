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

/// The policies of one action and resource scope.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) sets: Scoped<PolicySet>,
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
            for (action, table) in Action::ALL.into_iter().zip(&mut index.0) {
                if covers(&policy.action_constraint(), action) {
                    let shelf = table.slot(resource.clone());
                    shelf.sets.slot(principal.clone()).add(policy.clone()).map_err(|e| e.to_string())?;
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
