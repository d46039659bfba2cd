//! How far each sink of audit events has come, in SQLite.

use super::Store;
use crate::gateway::audit::{AuditError, sinks};

#[async_trait::async_trait]
impl sinks::Cursors for Store {
    async fn cursor(&self, sink: &str) -> Result<Option<u64>, AuditError> {
        let place: Option<i64> = sqlx::query_scalar("SELECT place FROM sinks WHERE name = $1")
            .bind(sink)
            .fetch_optional(&self.rooms.database.readers)
            .await
            .map_err(|e| AuditError(format!("its database cannot be read: {e}")))?;
        place
            .map(u64::try_from)
            .transpose()
            .map_err(|e| AuditError(format!("its database has a bad place of a sink: {e}")))
    }

    async fn advance(&self, sink: &str, place: u64) -> Result<(), AuditError> {
        let place = i64::try_from(place).map_err(|_| AuditError(format!("{place} is no place")))?;
        sqlx::query(
            "INSERT INTO sinks (name, place) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET place = excluded.place",
        )
        .bind(sink)
        .bind(place)
        .execute(&self.rooms.database.writer)
        .await
        .map(drop)
        .map_err(|e| AuditError(format!("its database cannot be written: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use crate::gateway::{
        audit::sinks::Cursors as _,
        store::{Config, Store},
    };

    #[tokio::test]
    async fn a_sink_stands_where_it_stood_before_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { state: dir.path().join("state"), database: dir.path().join("g.db") };
        let store = Store::open(&config).await.unwrap();
        assert_eq!(store.cursor("siem").await.unwrap(), None);
        for place in [0, 7, u64::from(u32::MAX) + 1] {
            store.advance("siem", place).await.unwrap();
            assert_eq!(store.cursor("siem").await.unwrap(), Some(place));
        }
        store.advance("other", 3).await.unwrap();
        store.close().await;
        drop(store);
        let store = Store::open(&config).await.unwrap();
        assert_eq!(store.cursor("siem").await.unwrap(), Some(u64::from(u32::MAX) + 1));
        assert_eq!(store.cursor("other").await.unwrap(), Some(3));
    }
}
