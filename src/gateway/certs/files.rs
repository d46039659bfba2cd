//! `ca.pem` and `ca.key`: made once, checked whenever they are read, replaced only by a rotation.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    CertsError,
    record::{Phase, Record},
    root::{self, Root, Unusable},
};
use crate::{clock::Clock, secret};

/// The longest CA file read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// `ca.pem` and `ca.key`.
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    pub(super) fn of(state: &Path) -> Self {
        Self { certificate: state.join("ca.pem"), key: state.join("ca.key") }
    }

    /// Whether both are there; one alone is an error.
    pub(super) fn exist(&self) -> Result<bool, CertsError> {
        match (self.certificate.try_exists(), self.key.try_exists()) {
            (Ok(true), Ok(true)) => Ok(true),
            (Ok(false), Ok(false)) => Ok(false),
            (Ok(true), Ok(false)) => Err(self.missing(&self.key)),
            (Ok(false), Ok(true)) => Err(self.missing(&self.certificate)),
            (Err(error), _) => Err(CertsError::file(&self.certificate, error)),
            (_, Err(error)) => Err(CertsError::file(&self.key, error)),
        }
    }

    /// Makes a CA where there is none.
    pub(super) fn create(&self, state: &Path, clock: &Clock) -> Result<(), CertsError> {
        secret::create_private_dir(state).map_err(|e| CertsError::file(state, e))?;
        let (certificate, key) = root::make(clock.now())?;
        secret::write_private(&self.key, key.as_bytes()).map_err(|e| CertsError::file(&self.key, e))?;
        write_public(&self.certificate, certificate.as_bytes()).map_err(|e| {
            // Nobody knows this key yet; left behind, it would make the next start believe that ca.pem was lost.
            let _ = fs::remove_file(&self.key);
            CertsError::file(&self.certificate, e)
        })
    }

    /// The root, checked.
    pub(super) fn load(&self, now: SystemTime) -> Result<Root, CertsError> {
        let pem = read(&self.certificate)?;
        let key = secret::read_private(&self.key, MAX_FILE).map_err(|e| CertsError::file(&self.key, e))?;
        let key = std::str::from_utf8(&key)
            .map_err(|_| self.unusable(format!("{} is not a private key in PEM", self.key.display())))?;
        Root::read(&pem, key, (&self.certificate, &self.key), now).map_err(|e| self.told(e))
    }

    /// Puts the next root into its place. Every step may be done again: a start after a crash does them all.
    pub(super) fn install(&self, state: &Path, record: Record) -> Result<Record, CertsError> {
        let Some(Phase::Switching { next, old, link, retire_at }) = record.rotation else {
            return Ok(record);
        };
        secret::write_private(&self.key, next.key.as_bytes()).map_err(|e| CertsError::file(&self.key, e))?;
        write_public(&self.certificate, next.certificate.as_bytes())
            .map_err(|e| CertsError::file(&self.certificate, e))?;
        let record = Record { rotation: Some(Phase::Retiring { old, link, retire_at }), ..record };
        record.store(state)?;
        Ok(record)
    }

    /// A rotation is on record, and the CA it belongs to is not there.
    pub(super) fn lost(&self) -> CertsError {
        self.missing(&self.certificate)
    }

    fn missing(&self, path: &Path) -> CertsError {
        self.unusable(format!("{} is missing", path.display()))
    }

    /// What is wrong, with what to do about it.
    pub(super) fn told(&self, why: Unusable) -> CertsError {
        match why {
            Unusable::Wrong(problem) => self.unusable(problem),
            Unusable::OutOfTime(problem) => CertsError::Authority {
                problem,
                remedy: "correct this machine's clock, or move ca.pem and ca.key away to begin a new CA, which laptops must then trust anew".to_owned(),
            },
        }
    }

    pub(super) fn unusable(&self, problem: String) -> CertsError {
        CertsError::Authority {
            problem,
            remedy: format!(
                "restore {} and {} from one backup, or move both away to begin a new CA, which laptops must then trust anew",
                self.certificate.display(),
                self.key.display()
            ),
        }
    }
}

fn read(path: &Path) -> Result<String, CertsError> {
    let length = fs::metadata(path).map_err(|e| CertsError::file(path, e))?.len();
    if length > MAX_FILE {
        return Err(CertsError::file(path, format_args!("it is longer than {MAX_FILE} bytes")));
    }
    fs::read_to_string(path).map_err(|e| CertsError::file(path, e))
}

/// Writes a file everybody may read (0644), whole or not at all.
fn write_public(path: &Path, content: &[u8]) -> io::Result<()> {
    let partial = path.with_extension("pem.partial");
    let mut file = fs::File::create(&partial)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&partial, path)
}
