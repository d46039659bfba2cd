//! Reads policies from text and finds every mistake in them.

mod annotations;
mod place;
mod shape;

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use cedar_policy::{
    Policy, PolicyId, PolicySet, ValidationError, ValidationMode, ValidationWarning, ffi::DetailedError,
};

use super::{Action, Mistake, ModelFacts, hint, vocabulary};
pub(super) use annotations::approvers;
use place::{Text, literal};

/// How far policies may look from principal and resource: at their own attributes and tags, no further.
const DEREFERENCES: u32 = 1;

/// What the sources hold.
#[derive(Default)]
pub(super) struct Checked {
    /// The policies under their final ids.
    pub(super) policies: Vec<Policy>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Mistake>,
}

/// Checks all sources; the policies are only good when there are no mistakes.
pub(super) fn check(sources: &[(PathBuf, String)], models: &[ModelFacts]) -> Checked {
    let mut checked = Checked::default();
    let mut ids = HashMap::new();
    for (path, text) in sources {
        let mut file = File { text: Text::new(path, text), models, ids: &mut ids, checked: &mut checked };
        file.read();
    }
    for list in [&mut checked.mistakes, &mut checked.warnings] {
        list.sort_by(|a, b| {
            (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message))
        });
    }
    checked
}

/// One file on its way through the checks.
struct File<'a> {
    text: Text<'a>,
    models: &'a [ModelFacts],
    /// Where each id was seen first.
    ids: &'a mut HashMap<String, String>,
    checked: &'a mut Checked,
}

impl File<'_> {
    fn read(&mut self) {
        if let Some((at, message)) = shape::too_deep(self.text.content) {
            return self.mistake(
                at,
                message,
                Some("split it into several policies, or test for a set: `[…].contains(…)`"),
            );
        }
        let set: PolicySet = match self.text.content.parse() {
            Ok(set) => set,
            Err(errors) => {
                let errors: cedar_policy::ParseErrors = errors;
                for error in errors.iter() {
                    let mistake = self.diagnosed(&DetailedError::from(error), None);
                    self.checked.mistakes.push(mistake);
                }
                return;
            }
        };
        for template in set.templates() {
            let at = template.as_ref().loc().map_or(0, |loc| loc.start());
            self.mistake(
                at,
                "this is a template (it has ?principal or ?resource), and nothing fills templates in".into(),
                Some("name the principal and the resource, or leave them open"),
            );
        }
        let mut policies: Vec<(usize, &Policy)> = set
            .policies()
            .map(|policy| (policy.as_ref().loc().map_or(0, |loc| loc.start()), policy))
            .collect();
        policies.sort_by_key(|(at, _)| *at);
        let mut names = HashMap::new();
        for (number, (at, policy)) in policies.into_iter().enumerate() {
            let id = self.id(policy, number.saturating_add(1), at);
            self.entities(policy, &id);
            let found = annotations::check(policy);
            for (offset, message, remedy) in found {
                self.mistake(offset.unwrap_or(at), format!("policy `{id}`: {message}"), Some(&remedy));
            }
            self.checked.policies.push(policy.new_id(PolicyId::new(&id)));
            names.insert(policy.id().to_string(), (id, at));
        }
        self.validate(&set, &names);
    }

    /// The policy's final id: `@id`, else the file's name and its number in it.
    fn id(&mut self, policy: &Policy, number: usize, at: usize) -> String {
        let stem = self.text.path.file_stem().unwrap_or_default().to_string_lossy();
        let id = policy.annotation("id").map_or_else(|| format!("{stem}-{number}"), str::to_owned);
        let here = self.text.describe(at);
        if let Some(first) = self.ids.get(&id) {
            let message = format!("the policy id `{}` is already used at {first}", hint::shown(&id));
            self.mistake(
                at,
                message,
                Some("give each policy an @id of its own: decisions are recorded by it"),
            );
        } else {
            self.ids.insert(id.clone(), here);
        }
        id
    }

    /// Models and gateways that the policy names must exist.
    fn entities(&mut self, policy: &Policy, id: &str) {
        let (start, source) = self.text.policy(policy);
        for entity in policy.entity_literals() {
            let name = entity.id().unescaped();
            let remedy = if vocabulary::is_model(&entity) && !self.models.iter().any(|m| m.name == name) {
                hint::did_you_mean(name, self.models.iter().map(|m| m.name.as_str()))
                    .unwrap_or_else(|| "no model is configured: add a [[model]] of that name".to_owned())
            } else if vocabulary::is_gateway(&entity) && name != vocabulary::GATEWAY {
                format!("the one gateway is Gateway::\"{}\"", vocabulary::GATEWAY)
            } else {
                continue;
            };
            let at = start.saturating_add(literal(source, &entity).unwrap_or(0));
            self.mistake(at, format!("policy `{id}`: {entity} is not configured"), Some(&remedy));
        }
    }

    /// Types, by Cedar's strict validator.
    fn validate(&mut self, set: &PolicySet, names: &HashMap<String, (String, usize)>) {
        let result = vocabulary::VALIDATOR.validate_with_level(set, ValidationMode::Strict, DEREFERENCES);
        // The validator repeats itself for each action and resource type: one mistake a place is enough.
        let mut seen = HashSet::new();
        let mut faulty = HashSet::new();
        for error in result.validation_errors() {
            let id = error.policy_id().to_string();
            let detail = DetailedError::from(error);
            if seen.insert((id.clone(), offset(&detail))) {
                let mut mistake = self.diagnosed(&detail, names.get(&id));
                mistake.remedy = remedy_of(error, &detail).or(mistake.remedy);
                self.checked.mistakes.push(mistake);
            }
            faulty.insert(id);
        }
        for warning in result.validation_warnings() {
            let policy = warning.policy_id().to_string();
            let named = names.get(&policy);
            let mut mistake = self.diagnosed(&DetailedError::from(warning), named);
            match warning {
                // A forbid that never applies protects nothing: it must not look as if it did.
                ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_) => {
                    let id = named.map_or("?", |(id, _)| id.as_str());
                    mistake.message =
                        format!("policy `{id}` can never apply: no request matches its scope and conditions");
                    mistake.remedy = Some(
                        "look for an action that its resource does not have, or a misspelt name after `has`; \
                         or remove it"
                            .into(),
                    );
                    // What does not type-check cannot apply either, and both warnings say the same.
                    if faulty.insert(policy) {
                        self.checked.mistakes.push(mistake);
                    }
                }
                _ => self.checked.warnings.push(mistake),
            }
        }
    }

    /// What Cedar says, at its place, with the policy's final id.
    fn diagnosed(&self, error: &DetailedError, named: Option<&(String, usize)>) -> Mistake {
        let at = offset(error).or(named.map(|(_, at)| *at)).unwrap_or(0);
        match named {
            Some((id, _)) => {
                let message = format!("policy `{id}`: {}", plain(&error.message));
                self.text.mistake(at, message, error.help.as_deref().map(plain))
            }
            None => {
                let expected = error.source_locations.iter().find_map(|label| label.label.clone());
                let message = format!("this is not Cedar: {}", error.message);
                self.text.mistake(at, message, expected.or_else(|| error.help.clone()))
            }
        }
    }

    fn mistake(&mut self, at: usize, message: String, remedy: Option<&str>) {
        let mistake = self.text.mistake(at, message, remedy.map(str::to_owned));
        self.checked.mistakes.push(mistake);
    }
}

fn offset(error: &DetailedError) -> Option<usize> {
    error.source_locations.iter().map(|label| label.loc.start).min()
}

/// Cedar's sentence without the temporary id before it and without the one of many cases it was found in.
fn plain(text: &str) -> String {
    let rest = text.strip_prefix("for policy `").and_then(|text| text.split_once("`, "));
    let sentence = rest.map_or(text, |(_, rest)| rest);
    match sentence.split_once(" in context for Action::").or_else(|| sentence.split_once(" on entity type `"))
    {
        Some((before, after)) if after.ends_with("not found") => format!("{before} not found"),
        Some((before, _)) => before.to_owned(),
        None => sentence.to_owned(),
    }
}

/// A remedy that knows more than Cedar's.
fn remedy_of(error: &ValidationError, detail: &DetailedError) -> Option<String> {
    let near = || detail.help.as_ref().map(|near| format!("{near} ")).unwrap_or_default();
    match error {
        ValidationError::UnrecognizedEntityType(_) => {
            Some(format!("{}known entity types: {}", near(), vocabulary::ENTITY_TYPES.join(", ")))
        }
        ValidationError::UnrecognizedActionId(_) => {
            Some(format!("{}known actions: {}", near(), Action::ALL.map(Action::name).join(", ")))
        }
        ValidationError::EntityDerefLevelViolation(_) => Some(
            "conditions can read attributes and tags of `principal` and `resource`, not of an entity they name".into(),
        ),
        ValidationError::UnsafeOptionalAttributeAccess(_) => {
            Some("not every caller has it: ask first, as in `principal has email && principal.email like \"*@example.com\"`".into())
        }
        ValidationError::UnsafeTagAccess(_) => Some(
            "not every model has it: ask first, as in `resource.hasTag(\"risk\") && resource.getTag(\"risk\") == \"high\"`".into(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
