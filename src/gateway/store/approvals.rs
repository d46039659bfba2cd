//! Requests for approval in SQLite: each a JSON text with the columns that queries and constraints need.

use std::time::{Duration, SystemTime};

use sqlx::{AssertSqlSafe, Sqlite, Transaction};

use super::Store;
use crate::{
    clock::unix_millis,
    gateway::{
        approval::{self, Bounds, Filed, Filter, MAX_PAGE, Request, State},
        identity::StoreError,
    },
};

/// How long after their end requests are kept; the audit log keeps what they did.
const KEPT: Duration = Duration::from_hours(24 * 90);

const INSERT: &str = "INSERT INTO approvals (id, revision, state, subject, provider, model, sameness, created_at, ends_at, \
                      json) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const REPLACE: &str =
    "UPDATE approvals SET revision = $2, state = $3, ends_at = $4, json = $5 WHERE id = $1 AND revision = $6";
const WAITING: &str = "SELECT count(*) FROM approvals WHERE state = 'pending' AND ends_at > $1";
const WAITING_OWN: &str = "SELECT count(*) FROM approvals WHERE state = 'pending' AND ends_at > $1 \
                           AND subject = $2 AND provider = $3";

#[async_trait::async_trait]
impl approval::Store for Store {
    async fn file(&self, request: &Request, bounds: Bounds, now: SystemTime) -> Result<Filed, StoreError> {
        let writer = &self.rooms.database.writer;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        forget(&mut transaction, now).await?;
        let sameness = request.sameness();
        let same: Option<String> =
            sqlx::query_scalar("SELECT json FROM approvals WHERE state = 'pending' AND sameness = $1")
                .bind(&sameness)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(failed)?;
        if let Some(json) = same {
            return Ok(Filed::Joined(Box::new(read(&json)?)));
        }
        let own: i64 = sqlx::query_scalar(WAITING_OWN)
            .bind(unix_millis(now))
            .bind(&request.requester.subject)
            .bind(&request.requester.provider)
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        let all: i64 = sqlx::query_scalar(WAITING)
            .bind(unix_millis(now))
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        if reached(own, bounds.own) {
            return Ok(Filed::TooManyOwn);
        }
        if reached(all, bounds.all) {
            return Ok(Filed::TooMany);
        }
        insert(request, &sameness, &mut transaction).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(Filed::New)
    }

    async fn approval(&self, id: &str) -> Result<Option<Request>, StoreError> {
        let json: Option<String> = sqlx::query_scalar("SELECT json FROM approvals WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.rooms.database.readers)
            .await
            .map_err(failed)?;
        json.map(|json| read(&json)).transpose()
    }

    async fn replace(&self, request: &Request, expected: u64) -> Result<bool, StoreError> {
        let done = sqlx::query(REPLACE)
            .bind(&request.id)
            .bind(revision(request.revision)?)
            .bind(word(request))
            .bind(unix_millis(request.ends_at()))
            .bind(text(request)?)
            .bind(revision(expected)?)
            .execute(&self.rooms.database.writer)
            .await
            .map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }

    async fn live_approvals(&self) -> Result<Vec<Request>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT json FROM approvals WHERE state IN ('pending', 'approved') ORDER BY id",
        )
        .fetch_all(&self.rooms.database.readers)
        .await
        .map_err(failed)?;
        rows.iter().map(|json| read(json)).collect()
    }

    async fn approvals(&self, filter: &Filter, now: SystemTime) -> Result<Vec<Request>, StoreError> {
        let (sql, values) = select(filter, now);
        let mut query = sqlx::query_scalar::<Sqlite, String>(AssertSqlSafe(sql));
        for value in values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            };
        }
        let rows = query.fetch_all(&self.rooms.database.readers).await.map_err(failed)?;
        rows.iter().map(|json| read(json)).collect()
    }
}

async fn forget(transaction: &mut Transaction<'_, Sqlite>, now: SystemTime) -> Result<(), StoreError> {
    let before = unix_millis(now.checked_sub(KEPT).unwrap_or(now));
    sqlx::query("DELETE FROM approvals WHERE state IN ('ended', 'denied', 'expired') AND ends_at < $1")
        .bind(before)
        .execute(&mut **transaction)
        .await
        .map_err(failed)?;
    Ok(())
}

async fn insert(
    request: &Request,
    sameness: &str,
    transaction: &mut Transaction<'_, Sqlite>,
) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(&request.id)
        .bind(revision(request.revision)?)
        .bind(word(request))
        .bind(&request.requester.subject)
        .bind(&request.requester.provider)
        .bind(&request.model)
        .bind(sameness)
        .bind(unix_millis(request.created_at))
        .bind(unix_millis(request.ends_at()))
        .bind(text(request)?)
        .execute(&mut **transaction)
        .await
        .map_err(failed)?;
    Ok(())
}

/// What is bound to a placeholder.
enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

/// The query of a filter; its text is made of constants alone.
fn select(filter: &Filter, now: SystemTime) -> (String, Vec<Value<'_>>) {
    let mut sql = "SELECT json FROM approvals WHERE TRUE".to_owned();
    let mut values = vec![Value::Number(unix_millis(now))];
    // What nobody has noted yet is over all the same: as `Request::word` says it.
    sql.push_str(match filter.state {
        Some("pending") => " AND state = 'pending' AND ends_at > $1",
        Some("approved") => " AND state = 'approved' AND ends_at > $1",
        Some("expired") => {
            " AND (state IN ('expired', 'ended') OR (state IN ('pending', 'approved') AND ends_at <= $1))"
        }
        Some("denied") => " AND state = 'denied' AND $1 IS NOT NULL",
        _ => " AND $1 IS NOT NULL",
    });
    let requester = filter.requester.as_ref();
    let conditions = [
        ("provider =", requester.map(|(provider, _)| Value::Text(provider))),
        ("subject =", requester.map(|(_, subject)| Value::Text(subject))),
        ("model =", filter.model.as_deref().map(Value::Text)),
        ("created_at >=", filter.since.map(|since| Value::Number(unix_millis(since)))),
        ("id <", filter.before.as_deref().map(Value::Text)),
    ];
    for (column, value) in conditions {
        if let Some(value) = value {
            values.push(value);
            sql.push_str(&format!(" AND {column} ${}", values.len()));
        }
    }
    values.push(Value::Number(i64::try_from(filter.limit.clamp(1, MAX_PAGE)).unwrap_or(i64::MAX)));
    sql.push_str(&format!(" ORDER BY id DESC LIMIT ${}", values.len()));
    (sql, values)
}

fn word(request: &Request) -> &'static str {
    match request.state {
        State::Pending => "pending",
        State::Approved { .. } => "approved",
        State::Ended { .. } => "ended",
        State::Denied => "denied",
        State::Expired => "expired",
    }
}

fn reached(count: i64, bound: usize) -> bool {
    usize::try_from(count).is_ok_and(|count| count >= bound)
}

/// SQLite's integers are signed.
fn revision(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError(format!("{number} is no revision")))
}

fn text(request: &Request) -> Result<String, StoreError> {
    serde_json::to_string(request).map_err(|error| StoreError(error.to_string()))
}

fn read(json: &str) -> Result<Request, StoreError> {
    serde_json::from_str(json)
        .map_err(|error| StoreError(format!("a request for approval in it is none: {error}")))
}

fn failed(error: sqlx::Error) -> StoreError {
    StoreError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::from_unix_millis,
        gateway::{
            approval::{Person, Store as _},
            store::Config,
        },
    };

    const BOUNDS: Bounds = Bounds { own: 2, all: 3 };

    fn at(seconds: u64) -> SystemTime {
        from_unix_millis(1_800_000_000_000) + Duration::from_secs(seconds)
    }

    fn request(id: &str, subject: &str, model: &str) -> Request {
        Request {
            id: id.into(),
            revision: 1,
            requester: Person {
                subject: subject.into(),
                provider: "corp".into(),
                user: subject.into(),
                email: None,
            },
            model: model.into(),
            model_identity: "one".into(),
            reason: None,
            terms: Vec::new(),
            created_at: at(0),
            lapses_at: at(3600),
            state: State::Pending,
            votes: Vec::new(),
        }
    }

    async fn store(dir: &tempfile::TempDir) -> Store {
        let state = dir.path().to_owned();
        let database = state.join("gateway.db");
        Store::open(&Config { state, database }).await.unwrap()
    }

    #[tokio::test]
    async fn what_asks_for_the_same_waits_once_and_what_waits_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let file = async |request: Request| store.file(&request, BOUNDS, at(0)).await.unwrap();
        assert!(matches!(file(request("apr_1", "alice", "a")).await, Filed::New));
        let same = file(request("apr_2", "alice", "a")).await;
        assert!(matches!(same, Filed::Joined(first) if first.id == "apr_1"));
        assert!(matches!(file(request("apr_3", "alice", "b")).await, Filed::New));
        assert!(matches!(file(request("apr_4", "alice", "c")).await, Filed::TooManyOwn));
        assert!(matches!(file(request("apr_5", "bob", "a")).await, Filed::New));
        assert!(matches!(file(request("apr_6", "carol", "a")).await, Filed::TooMany));
    }

    #[tokio::test]
    async fn of_two_changes_to_one_revision_one_is_taken_and_both_ends_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let first = request("apr_1", "alice", "a");
        store.file(&first, BOUNDS, at(0)).await.unwrap();
        let denied = Request { revision: 2, state: State::Denied, ..first.clone() };
        let until = at(60);
        let approved =
            Request { revision: 2, state: State::Approved { policies: vec!["p".into()], until }, ..first };
        assert!(store.replace(&approved, 1).await.unwrap());
        assert!(!store.replace(&denied, 1).await.unwrap());
        assert_eq!(store.approval("apr_1").await.unwrap(), Some(approved.clone()));
        assert_eq!(store.live_approvals().await.unwrap(), [approved]);
        let found = async |state, now| {
            let filter = Filter { state: Some(state), limit: 10, ..Filter::default() };
            approval::Store::approvals(&store, &filter, now).await.unwrap().len()
        };
        assert_eq!((found("approved", at(59)).await, found("expired", at(59)).await), (1, 0));
        assert_eq!((found("approved", at(60)).await, found("expired", at(60)).await), (0, 1));
        assert_eq!((found("pending", at(1)).await, found("denied", at(1)).await), (0, 0));
    }
}
