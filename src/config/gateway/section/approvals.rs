//! `[approvals]`: how long a request for approval waits.

use std::time::Duration;

use crate::{
    config::gateway::{
        reader::{Report, Table},
        value,
    },
    gateway::approval::DEFAULT_LAPSE,
};

/// How long a request waits for its yeses.
pub(in crate::config::gateway) fn read(root: &mut Table<'_>, report: &mut Report) -> Duration {
    let mut table = root.section("approvals", report);
    let lapse = table.read("lapse", report, |value, report| {
        value::duration(value, Duration::from_mins(1)..=Duration::from_hours(24 * 7), report)
    });
    table.finish(report);
    lapse.unwrap_or(DEFAULT_LAPSE)
}
