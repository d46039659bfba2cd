//! `[audit]`: what an audit event survives, and whether it shows what was asked.

use crate::{
    config::gateway::reader::{Report, Table},
    gateway::audit::Config,
};

/// Whether each group of events is synced to disk, and whether events hold an excerpt of the input.
pub(in crate::config::gateway) fn read(root: &mut Table<'_>, report: &mut Report) -> Config {
    let mut table = root.section("audit", report);
    let power_loss = table.read("durability", report, |value, report| {
        value.one_of(&[("kill-9", false), ("power-loss", true)], report)
    });
    let keeps_input = table
        .read("input", report, |value, report| value.one_of(&[("off", false), ("excerpt", true)], report));
    table.finish(report);
    Config { power_loss: power_loss.unwrap_or(false), keeps_input: keeps_input.unwrap_or(false) }
}
