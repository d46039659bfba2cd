//! `hoopctl stop`.

use std::time::Duration;

use clap::Args;

use super::{
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
    registry::{Record, Registry},
};

/// The flags of `stop`.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct Stop {
    /// What `hoopctl ps` shows as name or model
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// End them all
    #[arg(long)]
    all: bool,
}

/// How long a connection may take to close, in steps of [`STEP`].
const PATIENCE: u32 = 100;
const STEP: Duration = Duration::from_millis(50);

/// Ends background connections in good order.
pub(super) fn perform(args: &Stop, with: &Invocation) -> Outcome {
    let registry = Registry::open(with)?;
    let mut chosen = registry.running()?;
    if let Some(name) = &args.name {
        chosen.retain(|record| serves(record, name));
        if chosen.is_empty() {
            return Err(Failure::usage(format!("nothing of the name {name:?} runs in the background"))
                .remedy("hoopctl ps lists what does"));
        }
    }
    for record in &chosen {
        end(record, &registry)?;
        with.printer.note(&format!("{} ended", record.name));
    }
    Ok(DONE)
}

fn serves(record: &Record, name: &str) -> bool {
    record.name == name || record.doors.iter().any(|door| door.model == name)
}

/// Asks the process to end and waits until it has.
fn end(record: &Record, registry: &Registry) -> Result<(), Failure> {
    terminate(record.pid)?;
    for _ in 0..PATIENCE {
        if !registry.runs(&record.name)? {
            registry.forget(&record.name);
            return Ok(());
        }
        std::thread::sleep(STEP);
    }
    Err(Failure::failed(format!("{} does not end", record.name)).remedy(format!("kill -KILL {}", record.pid)))
}

#[cfg(unix)]
fn terminate(pid: u32) -> Result<(), Failure> {
    use rustix::process::{Pid, Signal, kill_process};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Failure::failed("the record names no process"))?;
    kill_process(pid, Signal::TERM)
        .map_err(|error| Failure::failed(format!("the process cannot be ended: {error}")))
}

#[cfg(not(unix))]
fn terminate(pid: u32) -> Result<(), Failure> {
    Err(Failure::failed("this system has no signals").remedy(format!("taskkill /PID {pid}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::registry::Door;

    #[test]
    fn a_connection_is_named_by_any_of_its_models() {
        let door = |model: &str| Door {
            model: model.into(),
            url: String::new(),
            port: None,
            socket: None,
            session: String::new(),
        };
        let record = Record {
            schema: 1,
            name: "a".into(),
            pid: 1,
            started_at: String::new(),
            doors: vec![door("a"), door("b")],
        };
        assert!(serves(&record, "a") && serves(&record, "b") && !serves(&record, "c"));
    }
}
