//! SQLite and local files: implements the rooms' own traits. The only room that knows SQL.
//!
//! ```text
//!  <state>/          0700
//!    lock            held while a gateway runs; its process id inside
//!    journal/        the audit journal's files, see [`journal`]
//!    log/            the verifiable log's checkpoint and tiles, see [`log`]
//!    recordings/     see [`recordings`]; elsewhere with `[storage] recordings`
//!    recording.key   0600: what opens them where no recipients are configured
//!    log.key         0600: what checkpoints are signed with; log.vkey, for everybody, is its public half
//!  gateway.db        0600: sessions, one-time things, requests for approval, the audit ledger
//! ```

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    gateway::{approval, audit, identity, pipeline, record},
    secret,
};

mod anomalies;
mod approvals;
#[cfg(test)]
mod crash_tests;
mod framing;
mod journal;
mod ledger;
mod limits;
mod lock;
mod log;
mod recordings;
mod segment;
mod sessions;
mod sqlite;

/// Where everything lies.
#[derive(Clone, Debug)]
pub struct Config {
    /// `<state>`; locked: two gateways on one state folder are refused.
    pub state: PathBuf,
    /// The SQLite file, absolute.
    pub database: PathBuf,
}

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is in use; the process id of who uses it, as text.
    #[error("another gateway (process {0}) uses this state folder")]
    Locked(String),
    /// A newer hoopctl has changed the database.
    #[error("the database {} was written by a newer hoopctl (its version {found}, known here {known})", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its latest migration.
        found: i64,
        /// The latest this binary knows.
        known: i64,
    },
    /// A file or folder cannot be used.
    #[error("{} cannot be used: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: String,
    },
    /// The database cannot be used.
    #[error("the database {} cannot be used: {cause}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What went wrong.
        cause: String,
    },
}

impl OpenError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |cause| Self::File { path, cause: cause.to_string() }
    }

    /// The next step.
    pub fn remedy(&self) -> String {
        match self {
            Self::Locked(pid) => {
                format!("stop process {pid}, or give this gateway a folder of its own: `state` in [gateway]")
            }
            Self::Newer { .. } => {
                "run the newer hoopctl, or restore the database from before its upgrade".to_owned()
            }
            Self::File { path, .. } => {
                format!("make {} readable and writable for the user the gateway runs as", path.display())
            }
            Self::Database { path, .. } => {
                format!("check the disk's space and the permissions of {}", path.display())
            }
        }
    }
}

/// An opened state folder: lock, database, journal. The lock is held until the last clone, and all that came from it, is dropped.
#[derive(Clone)]
pub struct Store {
    rooms: Arc<Rooms>,
}

struct Rooms {
    database: sqlite::Database,
    journal: Arc<journal::FileJournal>,
    log: Arc<log::FileLog>,
    lock: Arc<lock::Lock>,
}

impl Store {
    /// Opens the state folder, making what is not there, and brings the database up to this version.
    ///
    /// # Errors
    /// When another gateway has it, when it is newer than this binary, or when files cannot be used.
    pub async fn open(config: &Config) -> Result<Self, OpenError> {
        secret::create_private_dir(&config.state).map_err(OpenError::file(&config.state))?;
        let lock = Arc::new(lock::Lock::take(&config.state.join("lock"))?);
        let database = sqlite::Database::open(&config.database).await?;
        let folder = config.state.join("journal");
        let journal = tokio::task::spawn_blocking({
            let lock = Arc::clone(&lock);
            move || journal::FileJournal::open(&folder, lock).map_err(OpenError::file(&folder))
        })
        .await
        .map_err(|e| OpenError::file(&config.state)(io::Error::other(e)))??;
        let log = Arc::new(log::FileLog::new(&config.state, Arc::clone(&lock)));
        Ok(Self { rooms: Arc::new(Rooms { database, journal: Arc::new(journal), log, lock }) })
    }

    /// What identity keeps.
    pub fn identity(&self) -> Arc<dyn identity::Store> {
        Arc::new(self.clone())
    }

    /// What approvals keep.
    pub fn approvals(&self) -> Arc<dyn approval::Store> {
        Arc::new(self.clone())
    }

    /// The counters of models' limits.
    pub fn limits(&self) -> Arc<dyn pipeline::limits::Store> {
        Arc::new(self.clone())
    }

    /// The searchable side of the audit log.
    pub fn ledger(&self) -> Arc<dyn audit::Ledger> {
        Arc::new(self.clone())
    }

    /// What is usual, and what alarms were answered with.
    pub fn anomalies(&self) -> Arc<dyn audit::anomalies::Keep> {
        Arc::new(self.clone())
    }

    /// The durable side of the audit log.
    pub fn journal(&self) -> Arc<dyn audit::Journal> {
        Arc::<journal::FileJournal>::clone(&self.rooms.journal)
    }

    /// The verifiable side of the audit log.
    pub fn log(&self) -> Arc<dyn audit::LogStore> {
        Arc::<log::FileLog>::clone(&self.rooms.log)
    }

    /// Recordings, in this folder.
    pub fn recordings(&self, folder: &Path) -> Arc<dyn record::Shelf> {
        Arc::new(recordings::FileShelf::new(folder.to_owned(), Arc::clone(&self.rooms.lock)))
    }

    /// Closes the database's connections after what they are doing; later calls fail. The lock is held until the last clone is gone.
    pub async fn close(&self) {
        self.rooms.database.close().await;
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dir: &Path) -> Config {
        Config { state: dir.join("state"), database: dir.join("state").join("gateway.db") }
    }

    #[tokio::test]
    async fn a_second_gateway_on_one_state_folder_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let first = Store::open(&config).await.unwrap();
        let refused = Store::open(&config).await.unwrap_err();
        assert!(matches!(&refused, OpenError::Locked(pid) if *pid == std::process::id().to_string()));
        assert!(refused.remedy().contains(&std::process::id().to_string()));
        let ledger = first.ledger();
        first.close().await;
        drop(first);
        assert!(Store::open(&config).await.is_err(), "a room still in use keeps the lock");
        drop(ledger);
        Store::open(&config).await.unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nobody_else_can_read_the_state() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let store = Store::open(&config).await.unwrap();
        store.journal().append(b"event {}").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&config.state), 0o700);
        assert_eq!(mode(&config.state.join("journal")), 0o700);
        let files = std::fs::read_dir(&config.state).unwrap();
        let files = files.chain(std::fs::read_dir(config.state.join("journal")).unwrap());
        let files: Vec<PathBuf> = files.map(|f| f.unwrap().path()).filter(|p| p.is_file()).collect();
        assert!(files.len() >= 5, "lock, database, its two companions, journal: {files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_database_left_open_to_others_is_closed_to_them() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        std::fs::create_dir_all(&config.state).unwrap();
        std::fs::write(&config.database, b"").unwrap();
        std::fs::set_permissions(&config.database, std::fs::Permissions::from_mode(0o644)).unwrap();
        let _store = Store::open(&config).await.unwrap();
        let mode = std::fs::metadata(&config.database).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }

    #[tokio::test]
    async fn a_state_folder_that_is_a_file_is_named_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        std::fs::write(&config.state, b"").unwrap();
        let error = Store::open(&config).await.unwrap_err();
        assert!(error.to_string().contains("state"), "{error}");
        assert!(!error.remedy().is_empty());
    }
}
