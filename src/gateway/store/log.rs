//! The verifiable log as files: `<state>/log/checkpoint` and `<state>/log/tile/…` as tlog-tiles names them, its key beside the folder.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::lock::Lock;
use crate::{
    gateway::audit::{AuditError, LogStore},
    secret::{self, ExposeSecret, SecretString},
};

/// The longest file read: an entry bundle of 256 entries of the greatest length, and more.
const MAX_FILE: u64 = 32 * 1024 * 1024;
/// The longest key file.
const MAX_KEY: u64 = 4096;

/// The log of one state folder, whose lock keeps others out.
pub(super) struct FileLog {
    state: PathBuf,
    _lock: Arc<Lock>,
}

impl FileLog {
    pub(super) fn new(state: &Path, lock: Arc<Lock>) -> Self {
        Self { state: state.to_owned(), _lock: lock }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.state.join("log").join(path)
    }

    fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.state);
        let made = !folder.exists();
        secret::create_private_dir(folder)?;
        secret::write_private(path, bytes)?;
        sync(folder)?;
        // The names of new folders lie in those above them.
        for above in folder.ancestors().skip(1).take_while(|above| made && above.starts_with(&self.state)) {
            sync(above)?;
        }
        Ok(())
    }
}

impl LogStore for FileLog {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, AuditError> {
        let file = self.path(path);
        match fs::metadata(&file) {
            Ok(metadata) if metadata.len() > MAX_FILE => {
                Err(unwell(path, "read", &format!("it is longer than {MAX_FILE} bytes")))
            }
            Ok(_) => fs::read(&file).map(Some).map_err(|e| unwell(path, "read", &e)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unwell(path, "read", &error)),
        }
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), AuditError> {
        self.write_file(&self.path(path), bytes).map_err(|e| unwell(path, "written", &e))
    }

    fn remove(&self, path: &str) -> Result<(), AuditError> {
        let file = self.path(path);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwell(path, "removed", &error)),
            _ => {
                // The folder of partial tiles goes with the last of them; others in it keep it.
                let _ = file.parent().filter(|f| f.extension().is_some_and(|e| e == "p")).map(fs::remove_dir);
                Ok(())
            }
        }
    }

    fn key(&self) -> Result<Option<SecretString>, AuditError> {
        let path = self.state.join("log.key");
        match secret::read_private(&path, MAX_KEY) {
            Ok(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => Ok(Some(text.into())),
                Err(_) => Err(unwell("its key", "read", &"it is no text")),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unwell("its key log.key", "read", &error)),
        }
    }

    fn keep_key(&self, key: &SecretString) -> Result<(), AuditError> {
        secret::write_private(&self.state.join("log.key"), key.expose_secret().as_bytes())
            .and_then(|()| sync(&self.state))
            .map_err(|e| unwell("its key log.key", "written", &e))
    }

    fn keep_public_key(&self, key: &str) -> Result<(), AuditError> {
        let path = self.state.join("log.vkey");
        if fs::read(&path).is_ok_and(|kept| kept == key.as_bytes()) {
            return Ok(());
        }
        write_public(&path, key.as_bytes()).map_err(|e| unwell("its public key log.vkey", "written", &e))
    }
}

/// Writes a file everybody may read (0644), whole or not at all.
fn write_public(path: &Path, content: &[u8]) -> io::Result<()> {
    let partial = path.with_extension("vkey.partial");
    let mut file = fs::File::create(&partial)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

/// Makes new and removed names durable.
fn sync(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened, and names are durable with their files.
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

fn unwell(path: &str, what: &str, error: &dyn std::fmt::Display) -> AuditError {
    AuditError(format!("the verifiable log's {path} cannot be {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(dir: &tempfile::TempDir) -> FileLog {
        FileLog::new(dir.path(), Arc::new(Lock::take(&dir.path().join("lock")).unwrap()))
    }

    #[test]
    fn files_come_and_go_and_folders_of_partial_tiles_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(&dir);
        assert_eq!(log.read("tile/0/000.p/1").unwrap(), None);
        log.write("tile/0/000.p/1", b"one").unwrap();
        log.write("tile/0/000.p/2", b"two").unwrap();
        assert_eq!(log.read("tile/0/000.p/1").unwrap().as_deref(), Some(&b"one"[..]));
        log.remove("tile/0/000.p/1").unwrap();
        log.remove("tile/0/000.p/1").unwrap();
        assert!(dir.path().join("log/tile/0/000.p").exists());
        log.remove("tile/0/000.p/2").unwrap();
        assert!(!dir.path().join("log/tile/0/000.p").exists());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_public_key_is_for_everybody() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let log = log(&dir);
        log.keep_key(&"secret".into()).unwrap();
        log.keep_public_key("public").unwrap();
        log.write("tile/entries/000.p/1", b"events").unwrap();
        let mode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("log.key"), 0o600);
        assert_eq!(mode("log.vkey"), 0o644);
        assert_eq!(mode("log/tile/entries/000.p/1"), 0o600);
        for folder in ["log", "log/tile", "log/tile/entries"] {
            assert_eq!(mode(folder), 0o700, "{folder}");
        }
        assert_eq!(log.key().unwrap().unwrap().expose_secret(), "secret");
        fs::set_permissions(dir.path().join("log.key"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(log.key().unwrap_err().to_string().contains("chmod 600"));
    }
}
