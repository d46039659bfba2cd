//! What each layer says, as text: files, variables, flags.

use std::{
    ffi::OsString,
    io::Read,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::{Flags, Mistake, Source};

/// The settings there are: key in files, variable, flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Gateway,
    Profile,
    Output,
    Quiet,
    Verbose,
    Color,
    CredentialStore,
    Transport,
}

const KEYS: [(Key, &str, &str); 8] = [
    (Key::Gateway, "gateway", "HOOPCTL_GATEWAY"),
    (Key::Profile, "profile", "HOOPCTL_PROFILE"),
    (Key::Output, "output", "HOOPCTL_OUTPUT"),
    (Key::Quiet, "quiet", "HOOPCTL_QUIET"),
    (Key::Verbose, "verbose", "HOOPCTL_VERBOSE"),
    (Key::Color, "color", "HOOPCTL_COLOR"),
    (Key::CredentialStore, "credential_store", "HOOPCTL_CREDENTIAL_STORE"),
    (Key::Transport, "transport", "HOOPCTL_TRANSPORT"),
];

/// The longest settings file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// One thing one layer says.
pub(super) struct Said {
    pub(super) key: Key,
    pub(super) text: String,
    pub(super) source: Source,
}

pub(super) fn read_flags(flags: &Flags, said: &mut Vec<Said>) {
    let verbose = (flags.verbose > 0).then(|| flags.verbose.to_string());
    let quiet = flags.quiet.then(|| "true".to_owned());
    for (key, flag, text) in [
        (Key::Gateway, "--gateway", flags.gateway.clone()),
        (Key::Profile, "--profile", flags.profile.clone()),
        (Key::Output, "--output", flags.output.clone()),
        (Key::Quiet, "--quiet", quiet),
        (Key::Verbose, "--verbose", verbose),
        (Key::Color, "--color", flags.color.clone()),
        (Key::CredentialStore, "--credential-store", flags.credential_store.clone()),
        (Key::Transport, "--transport", flags.transport.clone()),
    ] {
        said.extend(text.map(|text| Said { key, text, source: Source::Flag(flag) }));
    }
}

pub(super) fn read_environment(
    environment: &dyn Fn(&str) -> Option<OsString>,
    said: &mut Vec<Said>,
    mistakes: &mut Vec<Mistake>,
) {
    for (key, _, variable) in KEYS {
        let Some(value) = environment(variable).filter(|value| !value.is_empty()) else { continue };
        let source = Source::Variable(variable);
        match value.into_string() {
            Ok(text) => said.push(Said { key, text, source }),
            Err(_) => mistakes.push(Mistake {
                source,
                message: "it is not UTF-8 text".to_owned(),
                remedy: Some(format!("unset {variable}")),
            }),
        }
    }
}

pub(super) fn read_file(
    path: &Path,
    source: fn(PathBuf, usize) -> Source,
    said: &mut Vec<Said>,
    mistakes: &mut Vec<Mistake>,
) {
    let mut mistake = |line, message: String, remedy| {
        mistakes.push(Mistake { source: source(path.to_path_buf(), line), message, remedy });
    };
    let text = match read_bounded(path) {
        Ok(Some(text)) => text,
        Ok(None) => return,
        Err(cause) => return mistake(1, cause, None),
    };
    let (table, errors) = DeTable::parse_recoverable(&text);
    for error in errors {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        mistake(line, error.message().to_owned(), Some("write KEY = VALUE, as TOML has it".to_owned()));
    }
    for (name, value) in table.get_ref() {
        let line = line_of(&text, name.span().start);
        let Some((key, ..)) = KEYS.iter().find(|(_, known, _)| *known == name.get_ref().as_ref()) else {
            mistake(line, format!("unknown key `{}`", name.get_ref()), Some(nearest(name.get_ref())));
            continue;
        };
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Boolean(truth) => truth.to_string(),
            DeValue::Integer(number) => number.as_str().to_owned(),
            other => {
                let message = format!("`{}` cannot be of type {}", name.get_ref(), other.type_str());
                mistake(line, message, Some("write a string, true, false or a number".to_owned()));
                continue;
            }
        };
        said.push(Said { key: *key, text, source: source(path.to_path_buf(), line) });
    }
}

/// The file's text; `None` when there is no such file.
fn read_bounded(path: &Path) -> Result<Option<String>, String> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("it cannot be read: {error}")),
    };
    let mut text = String::new();
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
    let length = read.map_err(|error| format!("it cannot be read: {error}"))?;
    if length as u64 > MAX_FILE {
        return Err(format!("it is longer than {MAX_FILE} bytes"));
    }
    Ok(Some(text))
}

/// The line, from 1, that holds the byte at `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn nearest(unknown: &str) -> String {
    let close = KEYS
        .iter()
        .map(|(_, known, _)| (strsim::jaro_winkler(known, unknown), *known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.7);
    match close {
        Some((_, known)) => format!("did you mean `{known}`?"),
        None => format!("known keys: {}", KEYS.map(|(_, known, _)| known).join(", ")),
    }
}
