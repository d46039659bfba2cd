//! The schema and the entity identifiers that questions and policies are made of.

use std::sync::LazyLock;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema, Validator};

use super::Action;

/// Checks policies; holds the schema.
pub(super) static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| Validator::new(schema()));

/// The id of the only `Gateway` entity.
pub(super) const GATEWAY: &str = "gateway";

/// The entity types that policies can name.
pub(super) const ENTITY_TYPES: [&str; 5] = ["User", "Group", "Model", "Gateway", "Action"];

static USER: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("User"));
static GROUP: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("Group"));
static MODEL: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("Model"));
static GATEWAY_TYPE: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("Gateway"));
static ACTIONS: LazyLock<[EntityUid; Action::ALL.len()]> = LazyLock::new(|| {
    let kind = type_name("Action");
    Action::ALL.map(|action| uid(&kind, action.name()))
});

/// `User::"id"`, whatever characters the id has.
pub(super) fn user(id: &str) -> EntityUid {
    uid(&USER, id)
}

/// `Group::"id"`.
pub(super) fn group(id: &str) -> EntityUid {
    uid(&GROUP, id)
}

/// `Model::"id"`.
pub(super) fn model(id: &str) -> EntityUid {
    uid(&MODEL, id)
}

/// `Gateway::"gateway"`.
pub(super) fn gateway() -> EntityUid {
    uid(&GATEWAY_TYPE, GATEWAY)
}

/// `Action::"name"`.
pub(super) fn action(action: Action) -> EntityUid {
    #[expect(clippy::indexing_slicing, reason = "one element for each variant, in their order")]
    ACTIONS[action as usize].clone()
}

/// Whether the entity is a `Model`.
pub(super) fn is_model(entity: &EntityUid) -> bool {
    entity.type_name() == &*MODEL
}

/// Whether the entity is a `Gateway`.
pub(super) fn is_gateway(entity: &EntityUid) -> bool {
    entity.type_name() == &*GATEWAY_TYPE
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

#[expect(clippy::expect_used, reason = "a constant of this file, read by every test of this room")]
fn type_name(name: &str) -> EntityTypeName {
    name.parse().expect("a plain identifier")
}

#[expect(clippy::expect_used, reason = "a file of this room, read by every test of this room")]
fn schema() -> Schema {
    Schema::from_cedarschema_str(include_str!("schema.cedarschema")).expect("the schema is valid").0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_exactly_the_actions_and_types_of_this_room() {
        let schema = schema();
        let mut actions: Vec<String> = schema.actions().map(|a| a.id().unescaped().to_owned()).collect();
        actions.sort();
        let mut ours: Vec<&str> = Action::ALL.iter().map(|a| a.name()).collect();
        ours.sort_unstable();
        assert_eq!(actions, ours);
        let mut types: Vec<String> = schema.entity_types().map(ToString::to_string).collect();
        types.push("Action".into());
        types.sort();
        let mut known = ENTITY_TYPES.map(str::to_owned);
        known.sort();
        assert_eq!(types, known);
    }

    #[test]
    fn each_action_finds_its_own_identifier() {
        for action in Action::ALL {
            assert_eq!(super::action(action).id().unescaped(), action.name());
        }
    }
}
