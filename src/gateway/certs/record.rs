//! What a rotation leaves on disk: `<state>/ca-rotation.json`, replaced in one step, and the lock around each change.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::CertsError;
use crate::{clock, secret};

/// The longest record read, in bytes: a handful of certificates and one key.
const MAX_RECORD: u64 = 64 * 1024;
/// The file's name in the state folder.
const NAME: &str = "ca-rotation.json";

/// `ca-rotation.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// 1.
    pub(super) schema: u32,
    /// Grows with every change of the roots that laptops are told of.
    pub(super) version: u64,
    /// The rotation under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rotation: Option<Phase>,
}

impl Default for Record {
    fn default() -> Self {
        Self { schema: 1, version: 0, rotation: None }
    }
}

/// A root and its key, PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pair {
    pub(super) certificate: String,
    #[serde(serialize_with = "write_key", deserialize_with = "read_key")]
    pub(super) key: Zeroizing<String>,
}

fn write_key<S: Serializer>(key: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(key)
}

fn read_key<'d, D: Deserializer<'d>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pair")
    }
}

/// How far a rotation is. Times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(super) enum Phase {
    /// The next root is made; no running gateway has told anybody.
    Prepared {
        next: Pair,
        /// What `ca rotate --overlap` asked for; the configuration's otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overlap_seconds: Option<u64>,
    },
    /// Laptops are told of the next root; nothing is signed by it yet but `link`, the present root's key.
    Announced { next: Pair, overlap_seconds: u64, link: String, switch_at: String },
    /// Decided, and not yet all in its place: `ca.key` and `ca.pem` become the next root's.
    Switching { next: Pair, old: String, link: String, retire_at: String },
    /// The next root is the present one; the old one is still believed. `link` is the present root's key, signed by the old.
    Retiring { old: String, link: String, retire_at: String },
}

/// The record's file.
pub(super) fn path(state: &Path) -> PathBuf {
    state.join(NAME)
}

impl Record {
    /// Reads the record; a folder without one has rotated nothing.
    pub(super) fn load(state: &Path) -> Result<Self, CertsError> {
        let path = path(state);
        let content = match secret::read_private(&path, MAX_RECORD) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(CertsError::file(&path, error)),
        };
        let record: Self = serde_json::from_slice(&content).map_err(|_| damaged(&path))?;
        if record.schema != 1 { Err(damaged(&path)) } else { Ok(record) }
    }

    /// Replaces the record in one step: a crash leaves the old one or this one.
    pub(super) fn store(&self, state: &Path) -> Result<(), CertsError> {
        let path = path(state);
        let content = Zeroizing::new(serde_json::to_vec(self).map_err(|e| CertsError::file(&path, e))?);
        // An administrator may ask as root what the gateway's own user then has to read.
        secret::write_private_for_owner(&path, &content).map_err(|e| CertsError::file(&path, e))
    }

    /// The version of what follows this record. Counted in seconds since 1970 where that is more: after a record that was lost or restored,
    /// laptops still take what comes for newer than what they know.
    pub(super) fn next_version(&self, now: SystemTime) -> u64 {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.version.saturating_add(1).max(seconds)
    }

    /// The record of a folder that has one, or a new one, kept: its version holds over restarts.
    pub(super) fn load_or_begin(state: &Path, now: SystemTime) -> Result<Self, CertsError> {
        let _turn = Turn::take(state)?;
        let record = Self::load(state)?;
        if record != Self::default() {
            return Ok(record);
        }
        let record = Self { version: record.next_version(now), ..record };
        record.store(state)?;
        Ok(record)
    }
}

fn damaged(path: &Path) -> CertsError {
    CertsError::Authority {
        problem: format!("{} is damaged", path.display()),
        remedy: "restore it, ca.pem and ca.key from one backup; without a backup, remove it: a rotation that was under way is then forgotten"
            .to_owned(),
    }
}

/// A time of the record.
pub(super) fn time(text: &str, state: &Path) -> Result<SystemTime, CertsError> {
    clock::parse_rfc3339(text).ok_or_else(|| damaged(&path(state)))
}

/// The right to change the record, until dropped. The gateway and `ca rotate` beside it take turns.
pub(super) struct Turn {
    _file: fs::File,
}

impl Turn {
    /// Waits for the other's change, which takes a few files' time. Blocks.
    pub(super) fn take(state: &Path) -> Result<Self, CertsError> {
        let path = state.join("ca.lock");
        let opened = || {
            let file = open_lock(&path)?;
            // Before waiting for it: what is not the lock is not waited for.
            secret::give_to_owner(state, &file)?;
            file.lock()?;
            Ok(file)
        };
        let file = opened().map_err(|e: io::Error| CertsError::file(&path, e))?;
        Ok(Self { _file: file })
    }
}

/// Root may ask for the turn in a folder of the gateway's user: a link there is not followed, and nothing is waited for.
#[cfg(unix)]
fn open_lock(path: &Path) -> io::Result<fs::File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?.into())
}

#[cfg(not(unix))]
fn open_lock(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)
}

/// Whole seconds, at least one.
pub(super) fn seconds(span: Duration) -> u64 {
    span.as_secs().max(1)
}
