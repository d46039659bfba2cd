//! `[[entity]]` and a model's `mask`: what is masked, how, and where.

use std::{collections::BTreeSet, ops::Range, sync::Arc, time::Duration};

use toml::de::DeValue;

use crate::{
    config::gateway::{
        reader::{Report, Table, Value, shown},
        value,
    },
    gateway::mask::{Analysis, Config, Custom, CustomError, Field, Rules, Style, Unknown, Validator},
};

/// The most field rules of a model: each is compared with every value of an answer.
const MOST_FIELDS: usize = 64;

/// The most names of an analyser's that it is asked for, and the longest of them.
const MOST_NAMES: usize = 32;
const LONGEST_NAME: usize = 40;

/// What `hoopctl gateway mask` takes of the file: flags may stand in for each part.
#[derive(Clone, Debug, Default)]
pub struct Masking {
    /// The entities of `[[entity]]`.
    pub customs: Vec<Custom>,
    /// `mask.entities` of the model.
    pub entities: Option<Vec<String>>,
    /// `mask.style` of the model.
    pub style: Option<Style>,
}

/// Every `[[entity]]`, and which of them some model names.
#[derive(Default)]
pub(in crate::config::gateway) struct Customs {
    all: Vec<Custom>,
    /// Where each name was given, those of sections with mistakes too: a model that names one has no mistake of its own.
    declared: Vec<(String, Range<usize>)>,
    named: BTreeSet<String>,
}

impl Customs {
    /// Reads the sections.
    pub(in crate::config::gateway) fn read(root: &mut Table<'_>, report: &mut Report) -> Self {
        let mut customs = Self::default();
        for table in root.sections("entity", report) {
            let custom = customs.one(table, report);
            customs.all.extend(custom);
        }
        customs
    }

    /// What no model masks is worth a look; to be asked when every model has been read.
    pub(in crate::config::gateway) fn across(&self, report: &mut Report) {
        for (name, span) in &self.declared {
            if !self.named.contains(name) {
                let message = format!("no model masks the [[entity]] `{}`", shown(name));
                let remedy = format!(
                    "name it where it is to be masked: mask = {{ entities = [\"default\", \"{}\"] }}",
                    shown(name)
                );
                report.warning(span, message, Some(remedy));
            }
        }
    }

    fn one(&mut self, mut table: Table<'_>, report: &mut Report) -> Option<Custom> {
        let place = |value: &Value<'_>, report: &mut Report| {
            Some((value::text(value, report)?, value.span().clone()))
        };
        let name = table.need("name", "\"EMPLOYEE_ID\"", report, place);
        let pattern = table.need("pattern", "\"E[0-9]{6}\"", report, place);
        let validators = Validator::ALL.map(|v| (v.name(), v));
        let validator = table.read("validator", report, |value, report| value.one_of(&validators, report));
        let labels = table.read("labels", report, |value, report| {
            Some((value::texts(value, report)?, value.span().clone()))
        });
        table.finish(report);
        let (name, named) = name?;
        if self.declared.iter().any(|(declared, _)| *declared == name) {
            let message = format!("there is already an [[entity]] `{}`", shown(&name));
            report.mistake(&named, message, Some("give each entity a name of its own".to_owned()));
            return None;
        }
        self.declared.push((name.clone(), named.clone()));
        let (pattern, patterned) = pattern?;
        let (labels, labelled) = labels.unwrap_or((Vec::new(), 0..0));
        let error = match Custom::new(&name, &pattern, validator, &labels) {
            Ok(custom) => return Some(custom),
            Err(error) => error,
        };
        let span = match &error {
            CustomError::Name(_) | CustomError::Taken(_) => named,
            CustomError::Label(_) => labelled,
            _ => patterned,
        };
        report.mistake(
            &span,
            error.to_string(),
            Some("docs/masking.md says what an entity may be".to_owned()),
        );
        None
    }

    /// A name of `entities`.
    fn entity(&mut self, value: &Value<'_>, report: &mut Report) -> Option<String> {
        let name = value::text(value, report)?;
        let declared = self.declared.iter().find(|(declared, _)| declared.eq_ignore_ascii_case(&name));
        if let Some((declared, _)) = declared {
            self.named.insert(declared.clone());
        } else if let Err(error) = Rules::new(std::slice::from_ref(&name), &self.all, Style::Label) {
            let remedy = match &error.nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "name groups, entities, or a [[entity]] of this file; docs/masking.md lists them"
                    .to_owned(),
            };
            value.mistake(&format!("`{}` is no entity and no group", shown(&name)), &remedy, report);
        }
        Some(name)
    }
}

/// A model's `mask` as it is written.
struct Said {
    entities: Option<Vec<String>>,
    style: Option<Style>,
    fields: Vec<Field>,
    request: bool,
    unknown: Unknown,
    analyser: Option<Analysis>,
}

impl Said {
    fn read(value: &Value<'_>, customs: &mut Customs, report: &mut Report) -> Option<Self> {
        let mut table = value.table(report)?;
        let styles = Style::ALL.map(|s| (s.name(), s));
        let style = table.read("style", report, |value, report| value.one_of(&styles, report));
        let entities = table.read("entities", report, |value, report| {
            let named =
                value.list(report).iter().map(|item| customs.entity(item, report)).collect::<Vec<_>>();
            let is_list = matches!(value.raw(), DeValue::Array(_));
            named.into_iter().collect::<Option<Vec<_>>>().filter(|_| is_list)
        });
        let fields = table.read("fields", report, fields).unwrap_or_default();
        let request = table.read("request", report, Value::truth).unwrap_or(false);
        let unknown = table.read("unknown", report, unknown).unwrap_or_default();
        let analyser = table.read("analyser", report, analyser);
        table.finish(report);
        if entities.as_ref().is_some_and(Vec::is_empty) && fields.is_empty() && analyser.is_none() {
            let remedy = "name entities or fields; without `entities` it is [\"default\"]";
            value.mistake("this `mask` masks nothing", remedy, report);
        }
        Some(Self { entities, style, fields, request, unknown, analyser })
    }
}

/// Reads a model's `mask`; `{}` is every built-in entity, as labels.
pub(in crate::config::gateway) fn of_model(
    value: &Value<'_>,
    customs: &mut Customs,
    report: &mut Report,
) -> Option<Config> {
    let Said { entities, style, fields, request, unknown, analyser } = Said::read(value, customs, report)?;
    let names = entities.unwrap_or_else(|| vec!["default".to_owned()]);
    // A name that is none has been reported where it stands.
    let rules = Rules::new(&names, &customs.all, style.unwrap_or_default()).ok()?;
    Some(Config { rules: Arc::new(rules), fields: fields.into(), request, unknown, analyser })
}

/// Reads `[[entity]]`, and the `mask` of the model that is called `model`; nothing else of the file is looked at.
pub(in crate::config::gateway) fn read(
    root: &mut Table<'_>,
    model: Option<&str>,
    report: &mut Report,
) -> Masking {
    let mut customs = Customs::read(root, report);
    let mut known = Vec::new();
    let mut said = None;
    for mut table in root.sections("model", report) {
        let Some(name) = table.read("name", report, |value, report| value.string(report)) else { continue };
        known.push(name);
        if model == Some(name)
            && let Some(value) = table.take("mask")
        {
            said = Said::read(&value, &mut customs, report);
        }
    }
    if let Some(model) = model.filter(|model| !known.contains(model)) {
        let message = format!("there is no [[model]] `{model}`");
        let remedy = format!("known: {}", known.join(", "));
        report.mistake(&(0..0), message, Some(remedy));
    }
    let (entities, style) = said.map_or((None, None), |said| (said.entities, said.style));
    Masking { customs: customs.all, entities, style }
}

fn fields(value: &Value<'_>, report: &mut Report) -> Option<Vec<Field>> {
    let items = value.list(report);
    if items.len() > MOST_FIELDS {
        let remedy = format!("name at most {MOST_FIELDS}: `[*]` and `.*` stand for any index and any key");
        value.wrong(&format!("a list of {}", items.len()), &remedy, report);
        return None;
    }
    let mut fields = Vec::with_capacity(items.len());
    for item in items {
        let Some(written) = item.string(report) else { continue };
        match Field::parse(written) {
            Ok(field) => fields.push(field),
            Err(error) => item.mistake(
                &format!("`{}` is no field rule: {error}", shown(written)),
                "write `$` and steps, such as \"$.customer.ssn\" or \"$.predictions[*].email\"",
                report,
            ),
        }
    }
    Some(fields)
}

fn unknown(value: &Value<'_>, report: &mut Report) -> Option<Unknown> {
    let unknown = value.one_of(&[("refuse", Unknown::Refuse), ("pass", Unknown::Pass)], report)?;
    if unknown == Unknown::Pass {
        value.warning(
            "answers of this model whose content type is not known pass unmasked",
            "unknown = \"refuse\", which is the default",
            report,
        );
    }
    Some(unknown)
}

fn analyser(value: &Value<'_>, report: &mut Report) -> Option<Analysis> {
    let mut table = value.table(report)?;
    let url = table.need("url", "\"http://127.0.0.1:5002\"", report, value::secure_url);
    let entities = table.read("entities", report, analysed);
    let score = table.read("score", report, score);
    let timeout = table.read("timeout", report, |value, report| {
        value::duration(value, Duration::from_millis(100)..=Duration::from_secs(10), report)
    });
    let language = table.read("language", report, |value, report| {
        let written = value.string(report)?;
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !(2..=16).contains(&written.len()) || !written.chars().all(letters) {
            value.wrong(
                "not the code of a language",
                "write it as the analyser knows it, such as \"en\"",
                report,
            );
            return None;
        }
        Some(written.to_owned())
    });
    table.finish(report);
    Some(Analysis {
        url: url?,
        entities: entities.unwrap_or_else(|| ["PERSON", "LOCATION"].map(str::to_owned).to_vec()),
        score: score.unwrap_or(0.5),
        timeout: timeout.unwrap_or(Duration::from_secs(2)),
        language: language.unwrap_or_else(|| "en".to_owned()),
    })
}

/// Names of an analyser's, which stand in place of what it finds.
fn analysed(value: &Value<'_>, report: &mut Report) -> Option<Vec<String>> {
    let names = value::texts(value, report)?;
    let plain = |name: &String| {
        name.len() <= LONGEST_NAME
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    if names.is_empty() || names.len() > MOST_NAMES || !names.iter().all(plain) {
        let remedy =
            format!("name 1 to {MOST_NAMES} of the analyser's entities, such as [\"PERSON\", \"LOCATION\"]");
        value.wrong("no list of an analyser's entities", &remedy, report);
        return None;
    }
    Some(names)
}

fn score(value: &Value<'_>, report: &mut Report) -> Option<f64> {
    let written = match value.raw() {
        DeValue::Float(number) => number.as_str().replace('_', ""),
        DeValue::Integer(number) => number.as_str().to_owned(),
        _ => {
            value.wrong_type("a number", report);
            return None;
        }
    };
    let score = written.parse::<f64>().ok().filter(|score| (0.0..=1.0).contains(score));
    if score.is_none() {
        value.wrong("out of bounds", "write a number from 0 to 1, such as 0.5", report);
    }
    score
}
