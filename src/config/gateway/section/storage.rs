//! `[storage]`: where the database and recordings lie, and who opens these.

use std::path::{Path, PathBuf};

use crate::{
    config::gateway::reader::{Report, Table, Value, shown},
    evidence::recording::Recipients,
    gateway::record,
};

/// The database's file in the state folder when nothing is said.
const DATABASE: &str = "gateway.db";

/// Most recipients: each makes every segment longer.
const MAX_RECIPIENTS: usize = 16;

/// The folder of recordings in the state folder when nothing is said.
const RECORDINGS: &str = "recordings";

/// The SQLite file, and what is said of recordings; relative paths lie in the state folder.
pub(in crate::config::gateway) fn read(
    root: &mut Table<'_>,
    state: &Path,
    report: &mut Report,
) -> (PathBuf, record::Config) {
    let mut table = root.section("storage", report);
    let database = table.read("database", report, database);
    let folder = table.read("recordings", report, folder);
    let recipients = table.read("recipients", report, recipients);
    table.finish(report);
    let folder = state.join(folder.unwrap_or_else(|| RECORDINGS.to_owned()));
    let recordings = record::Config { folder, recipients: recipients.unwrap_or_default() };
    (state.join(database.unwrap_or_else(|| DATABASE.to_owned())), recordings)
}

fn database(value: &Value<'_>, report: &mut Report) -> Option<String> {
    let written = value.string(report)?;
    let Some(file) = written.strip_prefix("sqlite:") else {
        // The address of a server may hold a password: only its kind is repeated.
        let kind = shown(written.split(':').next().unwrap_or_default());
        let what = format!("a `{kind}` database, which this version of hoopctl does not support");
        value.wrong(&what, "write \"sqlite:FILE\"; FILE is relative to `state`", report);
        return None;
    };
    let file = file.strip_prefix("//").unwrap_or(file);
    if file.is_empty() || file.contains(['?', '\0']) || file.starts_with(":memory:") {
        value.wrong("not a file", "write \"sqlite:FILE\"; FILE is relative to `state`", report);
        return None;
    }
    Some(file.to_owned())
}

/// The folder of `file:DIR`.
fn folder(value: &Value<'_>, report: &mut Report) -> Option<String> {
    let written = value.string(report)?;
    if written.starts_with("s3:") {
        value.wrong(
            "an object store, which this version of hoopctl does not write recordings to",
            "write \"file:DIR\"; DIR is relative to `state`",
            report,
        );
        return None;
    }
    let Some(folder) = written.strip_prefix("file:").filter(|folder| !folder.is_empty() && !folder.contains('\0'))
    else {
        value.wrong("not a folder", "write \"file:DIR\"; DIR is relative to `state`", report);
        return None;
    };
    Some(folder.strip_prefix("//").unwrap_or(folder).to_owned())
}

/// Public keys of age.
fn recipients(value: &Value<'_>, report: &mut Report) -> Option<Recipients> {
    let items = value.list(report);
    if items.is_empty() || items.len() > MAX_RECIPIENTS {
        let remedy = format!("write 1 to {MAX_RECIPIENTS} public keys, or leave `recipients` out");
        value.wrong("not a usable number of public keys", &remedy, report);
        return None;
    }
    let mut keys = Vec::new();
    for item in &items {
        let Some(written) = item.string(report) else { continue };
        match Recipients::parse([written]) {
            Ok(_) => keys.push(written),
            // A private key is not repeated.
            Err((_, error)) => item.wrong(
                &error.to_string(),
                "write the public key that `age-keygen` prints, such as \"age1…\"",
                report,
            ),
        }
    }
    Recipients::parse(keys).ok()
}
