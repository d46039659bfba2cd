//! `connect --background`: the same program again, on its own, and its entry in the registry.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use super::{
    super::{
        error::{DONE, Failure, Outcome},
        invocation::Invocation,
        registry::{Door, Record, Registry},
    },
    Connect,
    serve::{KEY_VARIABLE, tell_key},
};
use crate::{
    client::Port,
    clock::rfc3339,
    config::laptop::Output,
    id,
    secret::{ExposeSecret, SecretString},
};

/// Set for the process in the background.
const DETACHED: &str = "HOOPCTL_DETACHED";

/// The most that is repeated of the log of a process that did not come up, in bytes.
const MAX_LOG: u64 = 64 * 1024;

/// Whether this is the process in the background.
pub(super) fn detached() -> bool {
    std::env::var_os(DETACHED).is_some()
}

/// Starts this program again in a session of its own and waits until every door can be used: its
/// lines are ours. When it fails, its words and its exit code are ours too.
pub(super) fn start(args: &Connect, with: &Invocation) -> Outcome {
    let models = &args.models;
    let registry = Registry::open(with)?;
    let name = models.first().map(String::as_str).unwrap_or_default();
    refuse_twice(&registry, name)?;
    let log = File::options().create(true).append(true).open(private_log(&registry, name)?)?;
    let mut command = Command::new(std::env::current_exe()?);
    if let Some(key) = new_key(args) {
        if with.printer.manner().output == Output::Human {
            tell_key(&key, &with.printer);
        }
        command.env(KEY_VARIABLE, key.expose_secret());
    }
    let mut child = command
        .args(std::env::args_os().skip(1))
        .env(DETACHED, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()?;
    let mut lines = 0;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().take(models.len()) {
            with.printer.line(&line?)?;
            lines += 1;
        }
    }
    if lines == models.len() {
        repeat_log(&registry, name, with);
        with.printer.note(&format!("serving in the background; end it with: hoopctl stop {name}"));
        return Ok(DONE);
    }
    let status = child.wait()?;
    repeat_log(&registry, name, with);
    registry.forget(name);
    Err(Failure::Quiet(code_of(status)))
}

/// A key that no file and no argument may hold; `None` when none is wanted or the caller chose one.
fn new_key(args: &Connect) -> Option<SecretString> {
    (args.local_key && std::env::var_os(KEY_VARIABLE).is_none_or(|key| key.is_empty())).then(id::token)
}

/// What the process in the background has said so far.
fn repeat_log(registry: &Registry, name: &str, with: &Invocation) {
    let mut words = Vec::new();
    if let Ok(log) = File::open(registry.log(name)) {
        let _ = log.take(MAX_LOG).read_to_end(&mut words);
    }
    let words = String::from_utf8_lossy(&words);
    if !words.trim_end().is_empty() {
        with.printer.say(words.trim_end());
    }
}

/// A log for this start alone, readable by its owner alone.
fn private_log(registry: &Registry, name: &str) -> Result<std::path::PathBuf, Failure> {
    let path = registry.log(name);
    crate::secret::write_private(&path, b"")?;
    Ok(path)
}

fn code_of(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != DONE).unwrap_or(1)
}

fn refuse_twice(registry: &Registry, name: &str) -> Result<(), Failure> {
    if registry.runs(name)? { Err(taken(name)) } else { Ok(()) }
}

fn taken(name: &str) -> Failure {
    Failure::usage(format!("{name} is already served in the background"))
        .remedy(format!("hoopctl ps shows it; hoopctl stop {name} ends it"))
}

/// This process's place among the background connections; given up when dropped.
pub(super) struct Entry {
    registry: Registry,
    name: String,
    started_at: String,
    _lock: File,
}

impl Entry {
    /// Leaves the terminal's session and takes the name; `None` in the foreground.
    pub(super) fn claim(
        models: &[String],
        background: bool,
        with: &Invocation,
    ) -> Result<Option<Self>, Failure> {
        let Some(name) = models.first().filter(|_| background) else { return Ok(None) };
        #[cfg(unix)]
        if let Err(error) = rustix::process::setsid() {
            // A leader of a process group already cannot, and need not.
            tracing::debug!(%error, "no session of our own");
        }
        let registry = Registry::open(with)?;
        // Somebody who lists the connections holds each lock for a moment.
        for _ in 0..PATIENCE {
            if let Some(lock) = registry.claim(name)? {
                let started_at = rfc3339(with.clock.now());
                return Ok(Some(Self { registry, name: name.clone(), started_at, _lock: lock }));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(taken(name))
    }

    /// Writes down what is served.
    pub(super) fn write(&self, doors: &[Port]) -> Result<(), Failure> {
        let doors = doors.iter().map(|door| Door {
            model: door.model.clone(),
            url: door.url.clone(),
            port: door.port,
            socket: door.socket.clone(),
            session: door.session.clone(),
        });
        Ok(self.registry.write(&Record {
            schema: 1,
            name: self.name.clone(),
            pid: std::process::id(),
            started_at: self.started_at.clone(),
            doors: doors.collect(),
        })?)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // A process that did not come up leaves its log to the one that started it.
        self.registry.forget_record(&self.name);
    }
}

/// How often a name is tried that seems taken, 20 ms apart.
const PATIENCE: usize = 10;
