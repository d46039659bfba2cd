//! What anomalies keep, in SQLite: what is usual, and what alarms were answered with.

use std::time::SystemTime;

use sqlx::{Row as _, sqlite::SqliteRow};

use super::Store;
use crate::{
    clock::{from_unix_millis, unix_millis},
    gateway::audit::{
        AuditError,
        anomalies::{Answer, Held, Keep, Kept, Snapshot},
    },
};

const CURSOR: &str = "INSERT INTO anomaly_state (one, version, cursor, models) VALUES (1, $1, $2, $3) ON CONFLICT (one) \
                      DO UPDATE SET version = excluded.version, cursor = excluded.cursor, models = excluded.models";
const CALLER: &str = "INSERT INTO anomaly_callers (caller, state) VALUES ($1, $2) ON CONFLICT (caller) \
                      DO UPDATE SET state = excluded.state";
const HOLD: &str = "INSERT INTO anomaly_answers (id, rule, answer, provider, subject, email, since, until) \
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING";
const HELD: &str = "SELECT id, rule, answer, provider, subject, email, since, until FROM anomaly_answers \
                    WHERE until > $1 AND lifted_at IS NULL ORDER BY id";

#[async_trait::async_trait]
impl Keep for Store {
    async fn load(&self, version: u32) -> Result<Option<Kept>, AuditError> {
        let readers = &self.rooms.database.readers;
        let state = sqlx::query("SELECT cursor, models FROM anomaly_state WHERE version = $1")
            .bind(i64::from(version))
            .fetch_optional(readers)
            .await
            .map_err(unreadable)?;
        let Some(state) = state else { return Ok(None) };
        let callers = sqlx::query("SELECT caller, state FROM anomaly_callers")
            .fetch_all(readers)
            .await
            .map_err(unreadable)?;
        let caller =
            |row: &SqliteRow| Ok((row.try_get(0).map_err(unreadable)?, row.try_get(1).map_err(unreadable)?));
        let cursor: i64 = state.try_get(0).map_err(unreadable)?;
        Ok(Some(Kept {
            cursor: u64::try_from(cursor).unwrap_or(0),
            callers: callers.iter().map(caller).collect::<Result<_, AuditError>>()?,
            models: state.try_get(1).map_err(unreadable)?,
        }))
    }

    async fn save(&self, version: u32, snapshot: &Snapshot) -> Result<(), AuditError> {
        let mut transaction =
            self.rooms.database.writer.begin_with("BEGIN IMMEDIATE").await.map_err(unwritable)?;
        sqlx::query(
            "DELETE FROM anomaly_callers WHERE EXISTS (SELECT one FROM anomaly_state WHERE version <> $1)",
        )
        .bind(i64::from(version))
        .execute(&mut *transaction)
        .await
        .map_err(unwritable)?;
        for caller in &snapshot.gone {
            sqlx::query("DELETE FROM anomaly_callers WHERE caller = $1")
                .bind(caller)
                .execute(&mut *transaction)
                .await
                .map_err(unwritable)?;
        }
        for (caller, state) in &snapshot.callers {
            sqlx::query(CALLER)
                .bind(caller)
                .bind(state)
                .execute(&mut *transaction)
                .await
                .map_err(unwritable)?;
        }
        sqlx::query(CURSOR)
            .bind(i64::from(version))
            .bind(i64::try_from(snapshot.cursor).unwrap_or(i64::MAX))
            .bind(&snapshot.models)
            .execute(&mut *transaction)
            .await
            .map_err(unwritable)?;
        transaction.commit().await.map_err(unwritable)
    }

    async fn hold(&self, held: &Held) -> Result<bool, AuditError> {
        let done = sqlx::query(HOLD)
            .bind(&held.id)
            .bind(&held.rule)
            .bind(held.answer.name())
            .bind(&held.provider)
            .bind(&held.subject)
            .bind(&held.email)
            .bind(unix_millis(held.since))
            .bind(unix_millis(held.until))
            .execute(&self.rooms.database.writer)
            .await
            .map_err(unwritable)?;
        Ok(done.rows_affected() > 0)
    }

    async fn held(&self, now: SystemTime) -> Result<Vec<Held>, AuditError> {
        let rows = sqlx::query(HELD)
            .bind(unix_millis(now))
            .fetch_all(&self.rooms.database.readers)
            .await
            .map_err(unreadable)?;
        rows.iter().map(held).collect()
    }

    async fn lift(&self, ids: &[String], by: &str, now: SystemTime) -> Result<(), AuditError> {
        let mut transaction =
            self.rooms.database.writer.begin_with("BEGIN IMMEDIATE").await.map_err(unwritable)?;
        for id in ids {
            sqlx::query("UPDATE anomaly_answers SET lifted_at = $1, lifted_by = $2 WHERE id = $3")
                .bind(unix_millis(now))
                .bind(by)
                .bind(id)
                .execute(&mut *transaction)
                .await
                .map_err(unwritable)?;
        }
        transaction.commit().await.map_err(unwritable)
    }
}

fn held(row: &SqliteRow) -> Result<Held, AuditError> {
    let answer: &str = row.try_get("answer").map_err(unreadable)?;
    let answer = Answer::named(answer).ok_or_else(|| {
        AuditError(format!("its database has an answer to an anomaly that is none: {answer}"))
    })?;
    let time = |column| row.try_get(column).map(from_unix_millis).map_err(unreadable);
    Ok(Held {
        id: row.try_get("id").map_err(unreadable)?,
        rule: row.try_get("rule").map_err(unreadable)?,
        answer,
        provider: row.try_get("provider").map_err(unreadable)?,
        subject: row.try_get("subject").map_err(unreadable)?,
        email: row.try_get("email").map_err(unreadable)?,
        since: time("since")?,
        until: time("until")?,
    })
}

fn unwritable(error: sqlx::Error) -> AuditError {
    AuditError(format!("what anomalies learn cannot be kept: {error}"))
}

fn unreadable(error: sqlx::Error) -> AuditError {
    AuditError(format!("what anomalies have learned cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gateway::store::Config;

    fn caller(name: &str, state: &str) -> (String, String) {
        (name.to_owned(), state.to_owned())
    }

    async fn store(dir: &tempfile::TempDir) -> Store {
        let state = dir.path().to_owned();
        Store::open(&Config { database: state.join("gateway.db"), state }).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_usual_comes_back_and_another_versions_goes() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        assert_eq!(store.load(1).await.unwrap(), None);
        let first = Snapshot {
            cursor: 7,
            callers: vec![caller("a", "1"), caller("b", "1"), caller("c", "1")],
            models: "[]".into(),
            ..Snapshot::default()
        };
        store.save(1, &first).await.unwrap();
        let second = Snapshot {
            cursor: 9,
            callers: vec![caller("a", "2")],
            gone: vec!["b".into()],
            models: "[1]".into(),
        };
        store.save(1, &second).await.unwrap();
        let kept = store.load(1).await.unwrap().unwrap();
        let callers = vec![caller("a", "2"), caller("c", "1")];
        assert_eq!(kept, Kept { cursor: 9, callers, models: "[1]".into() });
        assert_eq!(store.load(2).await.unwrap(), None, "another version's state is none");
        store.save(2, &Snapshot { cursor: 3, callers: vec![caller("d", "1")], ..second }).await.unwrap();
        assert_eq!(store.load(2).await.unwrap().unwrap().callers, [caller("d", "1")]);
    }

    #[tokio::test]
    async fn answers_hold_until_their_end_or_until_they_are_lifted() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let now = from_unix_millis(1_800_000_000_000);
        let one = |id: &str, minutes| Held {
            id: id.into(),
            rule: "rate".into(),
            answer: Answer::Suspend,
            provider: "corp".into(),
            subject: "alice".into(),
            email: None,
            since: now,
            until: now + Duration::from_mins(minutes),
        };
        for held in [one("ev_1", 10), one("ev_2", 20), one("ev_3", 30)] {
            assert!(store.hold(&held).await.unwrap());
            assert!(!store.hold(&held).await.unwrap(), "the same alarm is answered once");
        }
        store.lift(&["ev_2".into()], "bob", now).await.unwrap();
        assert!(!store.hold(&one("ev_2", 20)).await.unwrap(), "what was lifted stays so");
        assert_eq!(store.held(now).await.unwrap(), [one("ev_1", 10), one("ev_3", 30)]);
        assert_eq!(store.held(now + Duration::from_mins(10)).await.unwrap(), [one("ev_3", 30)]);
    }
}
