//! `[storage]`: where the database lies, and where recordings will.

use std::path::{Path, PathBuf};

use crate::config::gateway::reader::{Report, Table, Value, shown};

/// The database's file in the state folder when nothing is said.
const DATABASE: &str = "gateway.db";

/// The SQLite file; a relative one lies in the state folder.
pub(in crate::config::gateway) fn read(root: &mut Table<'_>, state: &Path, report: &mut Report) -> PathBuf {
    let mut table = root.section("storage", report);
    let database = table.read("database", report, database);
    // A place, which promises nothing: no model of this version is recorded, and `record` says so.
    table.read("recordings", report, folder);
    table.unsupported(&["recipients"], report);
    table.finish(report);
    state.join(database.unwrap_or_else(|| DATABASE.to_owned()))
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
fn folder(value: &Value<'_>, report: &mut Report) -> Option<()> {
    let written = value.string(report)?;
    if written.strip_prefix("file:").is_none_or(str::is_empty) {
        value.wrong("not a folder", "write \"file:DIR\"; DIR is relative to `state`", report);
        return None;
    }
    Some(())
}
