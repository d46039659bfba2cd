//! The SQLite file: one connection that writes, a few that read, migrations.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};

use super::OpenError;
use crate::secret;

static MIGRATIONS: Migrator = sqlx::migrate!("src/gateway/store/migrations/sqlite");

/// How long a statement waits for another process (a backup, a shell) that holds the database.
const BUSY: Duration = Duration::from_secs(5);
/// Readers do not wait for the writer (WAL), nor it for them.
const READERS: u32 = 4;

/// An opened database.
pub(super) struct Database {
    /// One connection: SQLite has one writer at a time, and queueing here is fairer than its own locks.
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
}

impl Database {
    /// Opens the file, making it if it is not there, and applies the migrations it lacks.
    pub(super) async fn open(path: &Path) -> Result<Self, OpenError> {
        if let Some(folder) = path.parent() {
            secret::create_private_dir(folder).map_err(OpenError::file(folder))?;
        }
        make_private(path)?;
        let failed = |cause: &dyn std::fmt::Display| OpenError::Database {
            path: PathBuf::from(path),
            cause: cause.to_string(),
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            // A statement of many rows keeps a journal of its own; in memory it costs no file for each batch.
            .pragma("temp_store", "MEMORY")
            .busy_timeout(BUSY)
            .foreign_keys(true);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(|e| failed(&e))?;
        MIGRATIONS.run(&writer).await.map_err(|error| match error {
            // An applied migration that this binary does not have.
            MigrateError::VersionMissing(found) => OpenError::Newer {
                path: PathBuf::from(path),
                found,
                known: MIGRATIONS.iter().map(|m| m.version).max().unwrap_or_default(),
            },
            other => failed(&other),
        })?;
        let readers =
            SqlitePoolOptions::new().max_connections(READERS).connect_lazy_with(options.read_only(true));
        Ok(Self { writer, readers })
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Makes the file 0600 before SQLite first writes to it; its companions take over the mode.
fn make_private(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(OpenError::file(path))?;
    #[cfg(unix)]
    {
        use std::{fs::Permissions, os::unix::fs::PermissionsExt};
        file.set_permissions(Permissions::from_mode(0o600)).map_err(OpenError::file(path))?;
    }
    drop(file);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn migrations_run_once_and_a_second_opening_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.db");
        let schema = "SELECT group_concat(sql, ';') FROM sqlite_schema";
        let first = Database::open(&path).await.unwrap();
        let before: String = sqlx::query_scalar(schema).fetch_one(&first.readers).await.unwrap();
        first.close().await;
        let second = Database::open(&path).await.unwrap();
        let after: String = sqlx::query_scalar(schema).fetch_one(&second.readers).await.unwrap();
        assert_eq!(before, after);
        let mode: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&second.readers).await.unwrap();
        assert_eq!(mode, "wal");
    }

    #[tokio::test]
    async fn a_database_of_a_newer_hoopctl_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.db");
        let database = Database::open(&path).await.unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES (9999, 'of the future', TRUE, x'00', 0)";
        sqlx::query(newer).execute(&database.writer).await.unwrap();
        database.close().await;
        let error = Database::open(&path).await.err().unwrap();
        assert!(matches!(error, OpenError::Newer { found: 9999, known: 15, .. }), "{error}");
        assert!(error.remedy().contains("newer"));
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_an_error_not_a_new_database() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.db");
        std::fs::write(&path, "this is not a database, however long it may go on".repeat(100)).unwrap();
        assert!(matches!(Database::open(&path).await, Err(OpenError::Database { .. })));
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(&dir.path().join("gateway.db")).await.unwrap();
        assert!(sqlx::query("DELETE FROM events").execute(&database.readers).await.is_err());
    }
}
