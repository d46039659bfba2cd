//! Login sessions and one-time things in SQLite.

use std::time::SystemTime;

use sqlx::{
    Row, Sqlite,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::Store;
use crate::{
    clock::{from_unix_millis, unix_millis},
    gateway::identity::{self, Caller, SessionRow, StoreError, Whose},
};

/// All columns of the sessions that the rest of the statement names.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, subject, email, name, groups, provider, workload, created_at, expires_at, refresh_sha256, ",
            "previous_refresh_sha256, revoked, provider_refresh, people FROM sessions ",
            $rest
        )
    };
}

const BY_ID: &str = select!("WHERE id = $1");
const BY_REFRESH: &str = select!("WHERE refresh_sha256 = $1 OR previous_refresh_sha256 = $1 LIMIT 1");
const BY_EMAIL: &str = select!(
    "WHERE lower(email) = $1 AND revoked = 0 AND workload = 0 AND expires_at > $2 ORDER BY created_at DESC LIMIT 16"
);
const BY_SUBJECT: &str = select!(
    "WHERE provider = $1 AND subject = $2 AND revoked = 0 AND workload = 0 AND expires_at > $3 ORDER BY created_at DESC LIMIT 16"
);
const INSERT: &str = "INSERT INTO sessions (id, subject, email, name, groups, provider, workload, created_at, expires_at, \
                      refresh_sha256, previous_refresh_sha256, revoked, provider_refresh, people) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
/// A row revoked meanwhile stays so: whoever read it before must not bring it back to life.
const UPDATE: &str = "UPDATE sessions SET subject = $2, email = $3, name = $4, groups = $5, provider = $6, workload = $7, \
                      created_at = $8, expires_at = $9, refresh_sha256 = $10, previous_refresh_sha256 = $11, revoked = $12, \
                      provider_refresh = $13, people = $14 WHERE id = $1 AND revoked = 0 AND refresh_sha256 IS $15";
const REVOKE: &str = "UPDATE sessions SET revoked = 1 \
                      WHERE revoked = 0 AND (id = $1 OR subject = $1 OR lower(email) = lower($1) OR name = $1) RETURNING id";

/// The most one-time things kept: unfinished logins cost anybody nothing, so their number is bounded and the oldest give way.
const MAX_PENDING: i64 = 10_000;
/// One-time things live for minutes: one that ends this long before a new one does has ended, in milliseconds.
const LONGEST_PENDING: i64 = 3_600_000;

#[async_trait::async_trait]
impl identity::Store for Store {
    async fn insert_session(&self, row: &SessionRow) -> Result<(), StoreError> {
        let mut transaction =
            self.rooms.database.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::query("DELETE FROM sessions WHERE expires_at <= $1")
            .bind(unix_millis(row.created_at))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        bind(INSERT, row)?.execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn session(&self, id: &str) -> Result<Option<SessionRow>, StoreError> {
        let row = sqlx::query(BY_ID).bind(id).fetch_optional(&self.rooms.database.readers).await;
        row.map_err(failed)?.map(|row| session(&row)).transpose()
    }

    async fn session_by_refresh(&self, sha256: &[u8; 32]) -> Result<Option<SessionRow>, StoreError> {
        let row =
            sqlx::query(BY_REFRESH).bind(&sha256[..]).fetch_optional(&self.rooms.database.readers).await;
        row.map_err(failed)?.map(|row| session(&row)).transpose()
    }

    async fn live_sessions(&self, whose: Whose<'_>, now: SystemTime) -> Result<Vec<SessionRow>, StoreError> {
        let query = match whose {
            Whose::Email(email) => sqlx::query(BY_EMAIL).bind(email.to_ascii_lowercase()),
            Whose::Subject { provider, subject } => {
                sqlx::query(BY_SUBJECT).bind(provider.to_owned()).bind(subject.to_owned())
            }
        };
        let readers = &self.rooms.database.readers;
        let rows = query.bind(unix_millis(now)).fetch_all(readers).await.map_err(failed)?;
        rows.iter().map(session).collect()
    }

    async fn update_session(&self, row: &SessionRow, expected: Option<[u8; 32]>) -> Result<bool, StoreError> {
        let done = bind(UPDATE, row)?
            .bind(expected.map(Vec::from))
            .execute(&self.rooms.database.writer)
            .await
            .map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }

    async fn revoke(&self, who: &str) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(REVOKE).bind(who).fetch_all(&self.rooms.database.writer).await.map_err(failed)
    }

    async fn put_pending(&self, key: &str, json: &str, expires_at: SystemTime) -> Result<(), StoreError> {
        let end = unix_millis(expires_at);
        let mut transaction =
            self.rooms.database.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::query("DELETE FROM pending WHERE expires_at < $1")
            .bind(end.saturating_sub(LONGEST_PENDING))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        sqlx::query(
            "INSERT INTO pending (key, json, expires_at) VALUES ($1, $2, $3) \
             ON CONFLICT (key) DO UPDATE SET json = excluded.json, expires_at = excluded.expires_at",
        )
        .bind(key)
        .bind(json)
        .bind(end)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        sqlx::query(
            "DELETE FROM pending WHERE key IN \
             (SELECT key FROM pending WHERE key <> $1 ORDER BY expires_at DESC LIMIT -1 OFFSET $2)",
        )
        .bind(key)
        .bind(MAX_PENDING - 1)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn claim_pending(
        &self,
        key: &str,
        now: SystemTime,
        expires_at: SystemTime,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO pending (key, json, expires_at) VALUES ($1, '', $2) \
             ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at WHERE pending.expires_at <= $3",
        )
        .bind(key)
        .bind(unix_millis(expires_at))
        .bind(unix_millis(now))
        .execute(&self.rooms.database.writer)
        .await
        .map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }

    async fn peek_pending(&self, key: &str, now: SystemTime) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar("SELECT json FROM pending WHERE key = $1 AND expires_at > $2")
            .bind(key)
            .bind(unix_millis(now))
            .fetch_optional(&self.rooms.database.readers)
            .await
            .map_err(failed)
    }

    async fn take_pending(&self, key: &str, now: SystemTime) -> Result<Option<String>, StoreError> {
        let rows = sqlx::query("DELETE FROM pending WHERE key = $1 RETURNING json, expires_at")
            .bind(key)
            .fetch_all(&self.rooms.database.writer)
            .await
            .map_err(failed)?;
        let Some(row) = rows.first() else { return Ok(None) };
        let end: i64 = row.try_get(1).map_err(failed)?;
        if end <= unix_millis(now) {
            return Ok(None);
        }
        row.try_get(0).map(Some).map_err(failed)
    }
}

/// A statement whose first 14 placeholders are the row's columns.
fn bind(sql: &'static str, row: &SessionRow) -> Result<Query<'static, Sqlite, SqliteArguments>, StoreError> {
    let Caller { subject, email, name, groups, provider, workload, session: _ } = row.caller.clone();
    let groups = serde_json::to_string(&groups).map_err(|e| StoreError(e.to_string()))?;
    Ok(sqlx::query(sql)
        .bind(row.id.clone())
        .bind(subject)
        .bind(email)
        .bind(name)
        .bind(groups)
        .bind(provider)
        .bind(workload)
        .bind(unix_millis(row.created_at))
        .bind(unix_millis(row.expires_at))
        .bind(row.refresh_sha256.map(Vec::from))
        .bind(row.previous_refresh_sha256.map(Vec::from))
        .bind(row.revoked)
        .bind(row.provider_refresh.clone())
        .bind(row.people.map(Vec::from)))
}

fn session(row: &SqliteRow) -> Result<SessionRow, StoreError> {
    let id: String = row.try_get("id").map_err(failed)?;
    let groups: &str = row.try_get("groups").map_err(failed)?;
    let hash = |column: &str| -> Result<Option<[u8; 32]>, StoreError> {
        let bytes: Option<&[u8]> = row.try_get(column).map_err(failed)?;
        bytes.map(|b| b.try_into().map_err(|_| StoreError(format!("{column} is no SHA-256")))).transpose()
    };
    Ok(SessionRow {
        caller: Caller {
            subject: row.try_get("subject").map_err(failed)?,
            email: row.try_get("email").map_err(failed)?,
            name: row.try_get("name").map_err(failed)?,
            groups: serde_json::from_str(groups).map_err(|e| StoreError(e.to_string()))?,
            provider: row.try_get("provider").map_err(failed)?,
            workload: row.try_get("workload").map_err(failed)?,
            session: id.clone(),
        },
        id,
        created_at: from_unix_millis(row.try_get("created_at").map_err(failed)?),
        expires_at: from_unix_millis(row.try_get("expires_at").map_err(failed)?),
        refresh_sha256: hash("refresh_sha256")?,
        previous_refresh_sha256: hash("previous_refresh_sha256")?,
        revoked: row.try_get("revoked").map_err(failed)?,
        provider_refresh: row.try_get("provider_refresh").map_err(failed)?,
        people: hash("people")?,
    })
}

fn failed(error: sqlx::Error) -> StoreError {
    StoreError(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::gateway::{identity::Store as _, store::Config};

    const START: i64 = 1_800_000_000_000;

    fn at(seconds: i64) -> SystemTime {
        from_unix_millis(START + seconds * 1000)
    }

    fn row(id: &str, user: &str) -> SessionRow {
        SessionRow {
            id: id.to_owned(),
            caller: Caller {
                subject: format!("sub-{user}"),
                email: Some(format!("{user}@example.test")),
                name: None,
                groups: vec!["ml-engineers".into(), "a \"quoted\" group".into()],
                provider: "corp".into(),
                workload: false,
                session: id.to_owned(),
            },
            created_at: at(0),
            expires_at: at(3600),
            refresh_sha256: Some([1; 32]),
            previous_refresh_sha256: None,
            revoked: false,
            provider_refresh: Some(vec![0, 255]),
            people: Some([9; 32]),
        }
    }

    async fn store(dir: &tempfile::TempDir) -> Store {
        let state = dir.path().to_owned();
        let database = state.join("gateway.db");
        Store::open(&Config { state, database }).await.unwrap()
    }

    #[tokio::test]
    async fn a_session_comes_back_as_it_was_stored_also_by_its_refresh_hashes() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let mut stored = row("ses_1", "alice");
        store.insert_session(&stored).await.unwrap();
        stored.previous_refresh_sha256 = Some([1; 32]);
        stored.refresh_sha256 = Some([2; 32]);
        stored.caller.groups.clear();
        assert!(store.update_session(&stored, Some([1; 32])).await.unwrap());
        for found in [
            store.session("ses_1").await.unwrap().unwrap(),
            store.session_by_refresh(&[1; 32]).await.unwrap().unwrap(),
            store.session_by_refresh(&[2; 32]).await.unwrap().unwrap(),
        ] {
            assert_eq!(format!("{found:?}"), format!("{stored:?}"));
        }
        assert!(store.session("ses_2").await.unwrap().is_none());
        assert!(store.session_by_refresh(&[3; 32]).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn of_two_refreshes_with_one_token_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(store(&dir).await);
        store.insert_session(&row("ses_1", "alice")).await.unwrap();
        let mut racing = tokio::task::JoinSet::new();
        for n in 2..10_u8 {
            let store = Arc::clone(&store);
            racing.spawn(async move {
                let next = SessionRow { refresh_sha256: Some([n; 32]), ..row("ses_1", "alice") };
                store.update_session(&next, Some([1; 32])).await.unwrap()
            });
        }
        let won = racing.join_all().await.into_iter().filter(|won| *won).count();
        assert_eq!(won, 1);
    }

    #[tokio::test]
    async fn a_workload_without_refresh_token_can_be_updated_too() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let workload = SessionRow { refresh_sha256: None, ..row("ses_1", "job") };
        store.insert_session(&workload).await.unwrap();
        assert!(store.update_session(&workload, None).await.unwrap());
        assert!(!store.update_session(&workload, Some([1; 32])).await.unwrap());
    }

    #[tokio::test]
    async fn a_revoked_session_is_not_brought_back_by_an_update_read_before() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        store.insert_session(&row("ses_1", "alice")).await.unwrap();
        let before = store.session("ses_1").await.unwrap().unwrap();
        assert_eq!(store.revoke("ses_1").await.unwrap(), ["ses_1"]);
        assert!(!store.update_session(&before, Some([1; 32])).await.unwrap());
        assert!(store.session("ses_1").await.unwrap().unwrap().revoked);
    }

    #[tokio::test]
    async fn revoking_a_person_ends_all_their_sessions_and_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        for (id, user) in [("ses_1", "alice"), ("ses_2", "alice"), ("ses_3", "bob")] {
            store.insert_session(&row(id, user)).await.unwrap();
        }
        let mut ended = store.revoke("Alice@Example.TEST").await.unwrap();
        ended.sort();
        assert_eq!(ended, ["ses_1", "ses_2"]);
        assert!(store.revoke("sub-alice").await.unwrap().is_empty(), "already ended");
        assert!(!store.session("ses_3").await.unwrap().unwrap().revoked);
        assert!(store.revoke("%").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn people_are_found_by_their_email_as_long_as_a_login_of_theirs_lives() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        for (id, user, created) in [("ses_1", "alice", 0), ("ses_2", "Alice", 5), ("ses_3", "bob", 0)] {
            store.insert_session(&SessionRow { created_at: at(created), ..row(id, user) }).await.unwrap();
        }
        let mut job = row("ses_4", "alice");
        job.caller.workload = true;
        store.insert_session(&job).await.unwrap();
        let found = |email: &'static str, now| {
            let store = &store;
            async move {
                let rows = store.live_sessions(Whose::Email(email), at(now)).await.unwrap();
                rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
            }
        };
        assert_eq!(found("ALICE@example.test", 10).await, ["ses_2", "ses_1"]);
        assert!(found("alice@example.test", 3600).await.is_empty());
        for stranger in ["", "%", "carol@example.test"] {
            assert!(found(stranger, 10).await.is_empty(), "{stranger}");
        }
        let alice = Whose::Subject { provider: "corp", subject: "sub-alice" };
        let other = Whose::Subject { provider: "partners", subject: "sub-alice" };
        let (hers, others) =
            (store.live_sessions(alice, at(10)).await, store.live_sessions(other, at(10)).await);
        assert_eq!(hers.unwrap().iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["ses_1"]);
        assert!(others.unwrap().is_empty());
        store.revoke("ses_2").await.unwrap();
        assert_eq!(found("alice@example.test", 10).await, ["ses_1"]);
    }

    #[tokio::test]
    async fn expired_sessions_are_purged_by_the_next_login() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        store.insert_session(&row("ses_1", "alice")).await.unwrap();
        let later = SessionRow { created_at: at(3600), expires_at: at(7200), ..row("ses_2", "bob") };
        store.insert_session(&later).await.unwrap();
        assert!(store.session("ses_1").await.unwrap().is_none());
        assert!(store.session("ses_2").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_one_time_thing_is_taken_once_and_never_after_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        store.put_pending("code", "{}", at(60)).await.unwrap();
        assert_eq!(store.take_pending("code", at(59)).await.unwrap().as_deref(), Some("{}"));
        assert_eq!(store.take_pending("code", at(59)).await.unwrap(), None);
        store.put_pending("late", "{}", at(60)).await.unwrap();
        assert_eq!(store.take_pending("late", at(60)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn unfinished_logins_are_bounded_in_time_and_number() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let count = || async {
            let sql = "SELECT count(*) FROM pending";
            sqlx::query_scalar::<_, i64>(sql).fetch_one(&store.rooms.database.readers).await.unwrap()
        };
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
                    INSERT INTO pending SELECT 'k' || i, '{}', $1 + i FROM n";
        sqlx::query(fill).bind(START).execute(&store.rooms.database.writer).await.unwrap();
        store.put_pending("new", "{}", at(60)).await.unwrap();
        assert_eq!(count().await, MAX_PENDING);
        assert_eq!(store.take_pending("k1", at(0)).await.unwrap(), None, "the oldest gave way");
        store.put_pending("much later", "{}", at(0) + Duration::from_hours(2)).await.unwrap();
        assert_eq!(count().await, 1);
    }
}
