//! Walks a TOML document: typed values with their places, unknown keys, and all mistakes together.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::Mistake;

/// The most characters of a value that a mistake shows.
const MAX_SHOWN: usize = 64;

/// Collects what is found in one configuration.
pub(super) struct Report {
    file: PathBuf,
    base: PathBuf,
    /// Bytes at which lines begin.
    lines: Vec<usize>,
    text: String,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
    consulted: Vec<PathBuf>,
}

impl Report {
    pub(super) fn new(file: &Path) -> Self {
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        Self {
            file: file.to_owned(),
            base: absolute.parent().map(Path::to_owned).unwrap_or_default(),
            lines: vec![0],
            text: String::new(),
            mistakes: Vec::new(),
            warnings: Vec::new(),
            consulted: vec![absolute],
        }
    }

    /// The document, if it is TOML.
    pub(super) fn parse<'t>(&mut self, text: &'t str) -> Option<Spanned<DeTable<'t>>> {
        self.text = text.to_owned();
        self.lines.extend(text.match_indices('\n').map(|(at, _)| at.saturating_add(1)));
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            let remedy = "correct this line or the one before: strings stand in quotes, `#` begins a comment";
            self.mistake(&span, format!("this is not TOML: {}", error.message()), Some(remedy.to_owned()));
        }
        // What can be recovered from a broken document would give mistakes that are none.
        errors.is_empty().then_some(document)
    }

    /// Everything found, in the order of files and lines: mistakes, warnings, files looked at.
    pub(super) fn finish(mut self) -> (Vec<Mistake>, Vec<Mistake>, Vec<PathBuf>) {
        let own = self.file;
        for list in [&mut self.mistakes, &mut self.warnings] {
            list.sort_by(|a, b| {
                let place = |m: &Mistake| (m.file != own, m.file.clone(), m.line, m.column);
                place(a).cmp(&place(b))
            });
        }
        self.consulted.sort();
        self.consulted.dedup();
        (self.mistakes, self.warnings, self.consulted)
    }

    pub(super) fn mistake(&mut self, span: &Range<usize>, message: String, remedy: Option<String>) {
        let found = self.at(span, message, remedy);
        self.mistakes.push(found);
    }

    pub(super) fn warning(&mut self, span: &Range<usize>, message: String, remedy: Option<String>) {
        let found = self.at(span, message, remedy);
        self.warnings.push(found);
    }

    /// A mistake that is not in the configuration's text.
    pub(super) fn elsewhere(&mut self, file: &Path, message: String, remedy: Option<&str>) {
        let (file, remedy) = (file.to_owned(), remedy.map(str::to_owned));
        self.mistakes.push(Mistake { file, line: None, column: None, message, remedy });
    }

    pub(super) fn adopt(&mut self, mistakes: Vec<Mistake>) {
        self.consulted.extend(mistakes.iter().map(|mistake| mistake.file.clone()));
        self.mistakes.extend(mistakes);
    }

    pub(super) fn adopt_warnings(&mut self, warnings: &[Mistake]) {
        self.warnings.extend_from_slice(warnings);
    }

    /// A path of the configuration, relative to the folder of its file.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    /// The configuration may change when this file, or a policy in this folder, does.
    pub(super) fn consult(&mut self, path: &Path) {
        self.consulted.push(path.to_owned());
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at)
    }

    fn at(&self, span: &Range<usize>, message: String, remedy: Option<String>) -> Mistake {
        let line = self.line(span.start);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.text.get(start..self.text.floor_char_boundary(span.start)).unwrap_or_default();
        let column = before.chars().count().saturating_add(1);
        Mistake { file: self.file.clone(), line: Some(line), column: Some(column), message, remedy }
    }
}

/// A table being read: each key is taken once, what is left over is unknown.
pub(super) struct Table<'d> {
    /// As people call it: `[gateway]`, `[[model]]`, `limits`.
    name: String,
    span: Range<usize>,
    entries: Vec<(&'d Spanned<std::borrow::Cow<'d, str>>, &'d Spanned<DeValue<'d>>)>,
    known: Vec<&'static str>,
}

impl<'d> Table<'d> {
    pub(super) fn root(table: &'d DeTable<'d>) -> Self {
        Self::new("this file".to_owned(), 0..0, table)
    }

    fn new(name: String, span: Range<usize>, table: &'d DeTable<'d>) -> Self {
        Self { name, span, entries: table.iter().collect(), known: Vec::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// The value of a key, which is known from now on.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'d>> {
        self.known.push(key);
        let at = self.entries.iter().position(|(found, _)| found.get_ref() == key)?;
        let (found, value) = self.entries.swap_remove(at);
        let name = format!("`{key}`");
        Some(Value { name, span: value.span(), key: found.span(), value: value.get_ref() })
    }

    /// The value of a key as `read` understands it.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        report: &mut Report,
        read: impl FnOnce(&Value<'d>, &mut Report) -> Option<T>,
    ) -> Option<T> {
        self.take(key).and_then(|value| read(&value, report))
    }

    /// [`Table::read`] of a key that must be there.
    pub(super) fn need<T>(
        &mut self,
        key: &'static str,
        example: &str,
        report: &mut Report,
        read: impl FnOnce(&Value<'d>, &mut Report) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(key);
        if value.is_none() {
            let message = format!("{} has no `{key}`", self.name);
            report.mistake(&self.span, message, Some(format!("add {key} = {example}")));
        }
        value.and_then(|value| read(&value, report))
    }

    /// The table under a key, empty when it is not there.
    pub(super) fn section(&mut self, key: &'static str, report: &mut Report) -> Self {
        let nothing =
            || Self { name: format!("[{key}]"), span: self.span.clone(), entries: vec![], known: vec![] };
        let empty = nothing();
        match self.take(key) {
            None => empty,
            Some(value) => match value.value {
                DeValue::Table(table) => Self::new(format!("[{key}]"), value.key, table),
                _ => {
                    value.wrong_type(&format!("a section: [{key}]"), report);
                    empty
                }
            },
        }
    }

    /// The tables of `[[key]]`, none when it is not there.
    pub(super) fn sections(&mut self, key: &'static str, report: &mut Report) -> Vec<Self> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let DeValue::Array(items) = value.value else {
            value.wrong_type(&format!("sections: [[{key}]]"), report);
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(items.len());
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => tables.push(Self::new(format!("[[{key}]]"), item.span(), table)),
                _ => value.wrong_type(&format!("sections: [[{key}]]"), report),
            }
        }
        tables
    }

    /// Whether one of the keys is there and not yet taken.
    pub(super) fn has(&self, keys: &[&str]) -> bool {
        self.entries.iter().any(|(key, _)| keys.contains(&key.get_ref().as_ref()))
    }

    /// Reports the keys that nobody took.
    pub(super) fn finish(mut self, report: &mut Report) {
        self.known.sort_unstable();
        for (key, _) in &self.entries {
            let message = format!("unknown key `{}` in {}", shown(key.get_ref()), self.name);
            report.mistake(&key.span(), message, Some(nearest(key.get_ref(), &self.known)));
        }
    }
}

/// A value with its name and place.
pub(super) struct Value<'d> {
    name: String,
    span: Range<usize>,
    key: Range<usize>,
    value: &'d DeValue<'d>,
}

impl<'d> Value<'d> {
    pub(super) fn raw(&self) -> &'d DeValue<'d> {
        self.value
    }

    pub(super) fn span(&self) -> &Range<usize> {
        &self.span
    }

    pub(super) fn string(&self, report: &mut Report) -> Option<&'d str> {
        let found = self.value.as_str();
        if found.is_none() {
            self.wrong_type("a string in quotes", report);
        }
        found
    }

    /// The inline table, under a name for messages.
    pub(super) fn table(&self, report: &mut Report) -> Option<Table<'d>> {
        match self.value {
            DeValue::Table(table) => Some(Table::new(self.name.clone(), self.span.clone(), table)),
            _ => {
                self.wrong_type("a table: { key = value }", report);
                None
            }
        }
    }

    /// The elements, each as a value of its own.
    pub(super) fn list(&self, report: &mut Report) -> Vec<Value<'d>> {
        match self.value {
            DeValue::Array(items) => items
                .iter()
                .map(|item| Value {
                    name: self.name.clone(),
                    span: item.span(),
                    key: self.key.clone(),
                    value: item.get_ref(),
                })
                .collect(),
            _ => {
                self.wrong_type("a list: [\"…\", \"…\"]", report);
                Vec::new()
            }
        }
    }

    /// The entries of a table whose keys are free, each as a value of its own.
    pub(super) fn entries(&self, report: &mut Report) -> Vec<(&'d str, Value<'d>)> {
        match self.value {
            DeValue::Table(table) => table
                .iter()
                .map(|(key, item)| {
                    let name = format!("`{}` in {}", shown(key.get_ref()), self.name);
                    let value = Value { name, span: item.span(), key: key.span(), value: item.get_ref() };
                    (key.get_ref().as_ref(), value)
                })
                .collect(),
            _ => {
                self.wrong_type("a table: { key = value }", report);
                Vec::new()
            }
        }
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)], report: &mut Report) -> Option<T> {
        let written = self.string(report)?;
        let found = words.iter().find(|(word, _)| *word == written);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let message = format!("{} cannot be \"{}\"", self.name, shown(written));
            report.mistake(&self.span, message, Some(nearest(written, &known)));
        }
        found.map(|(_, meaning)| *meaning)
    }

    pub(super) fn truth(&self, report: &mut Report) -> Option<bool> {
        match self.value {
            DeValue::Boolean(truth) => Some(*truth),
            _ => {
                self.wrong_type("true or false", report);
                None
            }
        }
    }

    pub(super) fn wrong_type(&self, expected: &str, report: &mut Report) {
        let message = format!("{} is {}, not {expected}", self.name, kind(self.value));
        report.mistake(&self.span, message, Some(format!("write it as {expected}")));
    }

    /// A value of the right type that makes no sense: "`key` is …".
    pub(super) fn wrong(&self, what: &str, remedy: &str, report: &mut Report) {
        report.mistake(&self.span, format!("{} is {what}", self.name), Some(remedy.to_owned()));
    }

    /// A mistake at the value, in words of its own.
    pub(super) fn mistake(&self, message: &str, remedy: &str, report: &mut Report) {
        report.mistake(&self.span, message.to_owned(), Some(remedy.to_owned()));
    }

    pub(super) fn warning(&self, message: &str, remedy: &str, report: &mut Report) {
        report.warning(&self.span, message.to_owned(), Some(remedy.to_owned()));
    }
}

/// A name or value from the file as it may stand in a message: bounded, without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// The nearest of the known words, or all of them.
pub(super) fn nearest(word: &str, known: &[&str]) -> String {
    let near = known.iter().min_by_key(|candidate| strsim::damerau_levenshtein(word, candidate));
    match near {
        Some(near) if strsim::damerau_levenshtein(word, near) <= word.chars().count().div_ceil(3) => {
            format!("did you mean `{near}`?")
        }
        Some(_) => format!("known: {}", known.join(", ")),
        None => "remove it".to_owned(),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
