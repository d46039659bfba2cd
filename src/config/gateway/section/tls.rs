//! `[tls]`: the server's certificate, when it is not one of the gateway's own CA.

use std::path::PathBuf;

use crate::config::gateway::{
    file,
    reader::{Report, Table},
};

/// Certificate and key files; `None`: the own CA.
pub(in crate::config::gateway) fn read(
    root: &mut Table<'_>,
    report: &mut Report,
) -> Option<(PathBuf, PathBuf)> {
    let mut table = root.section("tls", report);
    let (certificate, key) = (table.take("certificate"), table.take("key"));
    let files = file::pair(certificate, key, ("certificate", "key"), report);
    table.finish(report);
    files
}
