//! `hoopctl ps`.

use super::{
    error::{DONE, Outcome},
    invocation::Invocation,
    registry::Registry,
    table::Table,
};
use crate::config::laptop::Output;

/// Lists the background connections of the profile.
pub(super) fn perform(with: &Invocation) -> Outcome {
    let running = Registry::open(with)?.running()?;
    if with.printer.manner().output != Output::Human {
        with.printer.documents(&running)?;
        return Ok(DONE);
    }
    if running.is_empty() {
        with.printer.note("nothing runs in the background; start with: hoopctl connect MODEL --background");
        return Ok(DONE);
    }
    let mut table = Table::new(&["NAME", "MODEL", "URL", "PID", "SINCE"]);
    for record in &running {
        for door in &record.doors {
            table.row([&record.name, &door.model, &door.url, &record.pid.to_string(), &record.started_at]);
        }
    }
    with.printer.table(&table)?;
    Ok(DONE)
}
