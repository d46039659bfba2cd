//! Background connections: who runs, under which name. A running one holds a lock, so that a number
//! of a process that is gone, and perhaps somebody else's by now, is never signalled.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{error::Failure, invocation::Invocation};
use crate::secret;

/// One background process.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Record {
    /// 1.
    pub(super) schema: u32,
    /// What `stop` takes; the first model's name.
    pub(super) name: String,
    /// The process.
    pub(super) pid: u32,
    /// Since when, RFC 3339.
    pub(super) started_at: String,
    /// Its doors.
    pub(super) doors: Vec<Door>,
}

/// One model's door.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Door {
    /// The model.
    pub(super) model: String,
    /// Its base URL.
    pub(super) url: String,
    /// The port, if it is one.
    pub(super) port: Option<u16>,
    /// The socket, if it is one.
    pub(super) socket: Option<PathBuf>,
    /// The session.
    pub(super) session: String,
}

/// The folder of this profile's background connections.
#[derive(Clone, Debug)]
pub(super) struct Registry {
    dir: PathBuf,
}

/// The most records that are read, and the most bytes of each.
const MAX_RECORDS: usize = 1000;
const MAX_RECORD: u64 = 256 * 1024;

impl Registry {
    /// The registry of the profile in force.
    pub(super) fn open(with: &Invocation) -> Result<Self, Failure> {
        let settings = with.settings()?;
        Ok(Self { dir: settings.state_dir.join("run").join(settings.profile) })
    }

    /// Takes the name for as long as the returned lock lives; `None` when it is taken.
    pub(super) fn claim(&self, name: &str) -> io::Result<Option<File>> {
        secret::create_private_dir(&self.dir)?;
        let lock = File::options().create(true).truncate(false).write(true).open(self.file(name, "lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Writes the record of a name that was claimed.
    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        let json = serde_json::to_vec(record).map_err(io::Error::other)?;
        secret::write_private(&self.file(&record.name, "json"), &json)
    }

    /// Forgets a record and its log; the caller holds the name or knows that nobody does.
    pub(super) fn forget(&self, name: &str) {
        self.forget_record(name);
        remove(&self.file(name, "log"));
    }

    /// Forgets a record alone.
    pub(super) fn forget_record(&self, name: &str) {
        remove(&self.file(name, "json"));
    }

    /// The log of a name.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.file(name, "log")
    }

    /// Those that run now, by name. Records of processes that are gone are forgotten on the way.
    pub(super) fn running(&self) -> io::Result<Vec<Record>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut running = Vec::new();
        for entry in entries.take(MAX_RECORDS) {
            let path = entry?.path();
            if path.extension().is_none_or(|kind| kind != "json") {
                continue;
            }
            let Some(record) = read(&path) else { continue };
            if self.runs(&record.name)? {
                running.push(record);
            } else {
                self.forget(&record.name);
            }
        }
        running.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(running)
    }

    /// Whether the process that claimed the name still lives.
    pub(super) fn runs(&self, name: &str) -> io::Result<bool> {
        Ok(self.claim(name)?.is_none())
    }

    fn file(&self, name: &str, kind: &str) -> PathBuf {
        self.dir.join(format!("{}.{kind}", file_name(name)))
    }
}

/// A model's name as a file's: letters, digits, `-` and `_` stay, other bytes become `%XX`; long names are
/// told apart by their hash.
fn file_name(name: &str) -> String {
    use std::fmt::Write;
    let mut safe = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            safe.push(char::from(byte));
        } else {
            let _ = write!(safe, "%{byte:02X}");
        }
    }
    if safe.len() > 200 {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
        safe.truncate(100);
        for byte in digest.as_ref() {
            let _ = write!(safe, "{byte:02x}");
        }
    }
    safe
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "a file could not be removed");
    }
}

/// A record; `None` when it is gone or not one of ours.
fn read(path: &Path) -> Option<Record> {
    if fs::metadata(path).ok()?.len() > MAX_RECORD {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> (tempfile::TempDir, Registry) {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry { dir: dir.path().join("run/default") };
        (dir, registry)
    }

    fn record(name: &str) -> Record {
        Record { schema: 1, name: name.into(), pid: 1, started_at: "t".into(), doors: Vec::new() }
    }

    #[test]
    fn only_a_holder_of_its_lock_runs_and_the_dead_are_forgotten() {
        let (_dir, registry) = registry();
        assert!(registry.running().unwrap().is_empty());
        let lock = registry.claim("a/b").unwrap().unwrap();
        registry.write(&record("a/b")).unwrap();
        assert!(registry.claim("a/b").unwrap().is_none(), "taken");
        assert_eq!(registry.running().unwrap(), [record("a/b")]);
        drop(lock);
        assert!(registry.running().unwrap().is_empty());
        assert!(!registry.file("a/b", "json").exists());
    }

    #[test]
    fn any_model_name_is_a_file_name_of_its_own() {
        assert_eq!(file_name("../a b"), "%2E%2E%2Fa%20b");
        let (long, other) = ("x".repeat(300), format!("{}y", "x".repeat(299)));
        assert!(file_name(&long).len() <= 200);
        assert_ne!(file_name(&long), file_name(&other));
    }
}
