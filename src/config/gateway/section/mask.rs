//! `[[entity]]` and a model's `mask`: what is masked in text, and how.

use crate::{
    config::gateway::{
        reader::{Report, Table, Value},
        value,
    },
    gateway::mask::{Custom, Rules, Style, Validator},
};

/// What the file says about masking, for one model.
#[derive(Clone, Debug, Default)]
pub struct Masking {
    /// The entities of `[[entity]]`.
    pub customs: Vec<Custom>,
    /// `mask.entities` of the model.
    pub entities: Option<Vec<String>>,
    /// `mask.style` of the model.
    pub style: Option<Style>,
}

/// Reads `[[entity]]`, and the `mask` of the model that is called `model`; nothing else of the file is looked at.
pub(in crate::config::gateway) fn read(
    root: &mut Table<'_>,
    model: Option<&str>,
    report: &mut Report,
) -> Masking {
    let mut masking = Masking { customs: customs(root, report), ..Masking::default() };
    let Some(wanted) = model else { return masking };
    let mut known = Vec::new();
    for mut table in root.sections("model", report) {
        let Some(name) = table.read("name", report, |value, report| value.string(report)) else { continue };
        known.push(name);
        if name == wanted
            && let Some(value) = table.take("mask")
        {
            of_model(&value, &mut masking, report);
        }
    }
    if !known.contains(&wanted) {
        let message = format!("there is no [[model]] `{wanted}`");
        let remedy = format!("known: {}", known.join(", "));
        report.mistake(&(0..0), message, Some(remedy));
    }
    masking
}

fn of_model(value: &Value<'_>, masking: &mut Masking, report: &mut Report) {
    let Some(mut table) = value.table(report) else { return };
    let styles = Style::ALL.map(|s| (s.name(), s));
    masking.style = table.read("style", report, |value, report| value.one_of(&styles, report));
    if let Some(value) = table.take("entities") {
        let names = value::texts(&value, report);
        if let Some(names) = &names
            && let Err(error) = Rules::new(names, &masking.customs, Style::Label)
        {
            value.mistake(&error.to_string(), "name groups, entities, or a [[entity]] of this file", report);
        }
        masking.entities = names;
    }
    table.unsupported(&["fields", "request", "unknown", "analyser"], report);
    table.finish(report);
}

fn customs(root: &mut Table<'_>, report: &mut Report) -> Vec<Custom> {
    let mut customs: Vec<Custom> = Vec::new();
    for mut table in root.sections("entity", report) {
        let span = table.span().clone();
        let name = table.need("name", "\"EMPLOYEE_ID\"", report, value::text);
        let pattern = table.need("pattern", "\"E[0-9]{6}\"", report, value::text);
        let validators = Validator::ALL.map(|v| (v.name(), v));
        let validator = table.read("validator", report, |value, report| value.one_of(&validators, report));
        let labels = table.read("labels", report, value::texts).unwrap_or_default();
        table.finish(report);
        let (Some(name), Some(pattern)) = (name, pattern) else { continue };
        if customs.iter().any(|c| c.name() == name) {
            let message = format!("there is already an [[entity]] `{name}`");
            report.mistake(&span, message, Some("give each entity a name of its own".to_owned()));
            continue;
        }
        match Custom::new(&name, &pattern, validator, &labels) {
            Ok(custom) => customs.push(custom),
            Err(error) => {
                let remedy = "docs/masking.md says what a pattern may be".to_owned();
                report.mistake(&span, error.to_string(), Some(remedy));
            }
        }
    }
    customs
}
