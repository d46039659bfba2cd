//! `[audit]`: what an audit event survives, and whether it shows what was asked and said.

use crate::{
    config::gateway::reader::{Report, Table},
    gateway::audit::Config,
};

/// Whether each group of events is synced to disk, and whether events hold an excerpt of the input and of the answer.
pub(in crate::config::gateway) fn read(root: &mut Table<'_>, report: &mut Report) -> Config {
    let mut table = root.section("audit", report);
    let power_loss = table.read("durability", report, |value, report| {
        value.one_of(&[("kill-9", false), ("power-loss", true)], report)
    });
    let mut excerpt = |key| {
        let shown = table
            .read(key, report, |value, report| value.one_of(&[("off", false), ("excerpt", true)], report));
        shown.unwrap_or(false)
    };
    let (keeps_input, keeps_output) = (excerpt("input"), excerpt("output"));
    table.finish(report);
    Config { power_loss: power_loss.unwrap_or(false), keeps_input, keeps_output }
}
