//! What is to be masked, compiled once and shared by every stream of a model.

use super::{
    custom::Custom,
    entity::{Entity, Group},
    style::Style,
};

/// The entities, custom ones included, and the style.
#[derive(Clone, Debug)]
pub struct Rules {
    chosen: Vec<bool>,
    customs: Vec<Custom>,
    style: Style,
    /// The bytes outside words with which a custom value may begin, or with which one within a word may.
    starts: Vec<bool>,
}

/// A name that is no entity, no group and no custom entity.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` is no entity and no group{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
pub struct UnknownEntity {
    /// What was said.
    pub name: String,
    /// What was meant, perhaps.
    pub nearest: Option<String>,
}

impl Rules {
    /// The rules for `names`: entities and groups, in either case, and names of `customs`.
    ///
    /// # Errors
    /// When a name is none of them.
    pub fn new(names: &[String], customs: &[Custom], style: Style) -> Result<Self, UnknownEntity> {
        let mut chosen = vec![false; Entity::ALL.len()];
        let mut taken = Vec::new();
        for name in names {
            let group = Group::ALL.into_iter().find(|g| g.name().eq_ignore_ascii_case(name));
            let entity = Entity::ALL.iter().find(|e| e.name().eq_ignore_ascii_case(name));
            let custom = customs.iter().find(|c| c.name().eq_ignore_ascii_case(name));
            match (group, entity, custom) {
                (Some(group), ..) => {
                    for (entity, chosen) in Entity::ALL.iter().zip(&mut chosen) {
                        *chosen |= group == Group::Default || entity.group() == group;
                    }
                }
                (_, Some(entity), _) => {
                    for (known, chosen) in Entity::ALL.iter().zip(&mut chosen) {
                        *chosen |= known == entity;
                    }
                }
                (.., Some(custom)) => taken.push(custom.clone()),
                _ => return Err(UnknownEntity { name: name.clone(), nearest: nearest(name, customs) }),
            }
        }
        let starts = (0..=u8::MAX).map(|b| taken.iter().any(|c| c.begins(b))).collect();
        Ok(Self { chosen, customs: taken, style, starts })
    }

    /// Everything built in.
    #[must_use]
    pub fn everything(style: Style) -> Self {
        Self { chosen: vec![true; Entity::ALL.len()], customs: Vec::new(), style, starts: vec![false; 256] }
    }

    /// How masked values are written.
    #[must_use]
    pub const fn style(&self) -> Style {
        self.style
    }

    /// Whether `entity` is to be masked.
    pub(super) fn masks(&self, entity: Entity) -> bool {
        self.chosen.get(entity as usize).copied().unwrap_or(false)
    }

    pub(super) fn customs(&self) -> &[Custom] {
        &self.customs
    }

    /// Whether a custom value may begin with `byte`.
    pub(super) fn custom_begins(&self, byte: u8) -> bool {
        self.starts.get(usize::from(byte)).copied().unwrap_or(false)
    }

    pub(super) fn custom_name(&self, index: usize) -> &str {
        self.customs.get(index).map_or("CUSTOM", Custom::name)
    }
}

fn nearest(name: &str, customs: &[Custom]) -> Option<String> {
    let known = Group::ALL
        .iter()
        .map(|g| g.name().to_owned())
        .chain(Entity::ALL.iter().map(|e| e.name().to_owned()))
        .chain(customs.iter().map(|c| c.name().to_owned()));
    known
        .map(|k| (strsim::levenshtein(&k.to_lowercase(), &name.to_lowercase()), k))
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, k)| k)
}
