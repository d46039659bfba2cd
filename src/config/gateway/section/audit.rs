//! `[audit]`: what an audit event survives.

use crate::config::gateway::reader::{Report, Table};

/// Whether each group of events is synced to disk.
pub(in crate::config::gateway) fn read(root: &mut Table<'_>, report: &mut Report) -> bool {
    let mut table = root.section("audit", report);
    let power_loss = table.read("durability", report, |value, report| {
        value.one_of(&[("kill-9", false), ("power-loss", true)], report)
    });
    table.finish(report);
    power_loss.unwrap_or(false)
}
