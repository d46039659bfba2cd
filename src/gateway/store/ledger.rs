//! The audit ledger in SQLite: rows a query can find, each with the event's text as the journal had it.

use std::{collections::HashMap, time::SystemTime};

use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite, Transaction, sqlite::SqliteRow};

use super::{Store, summaries};
use crate::{
    clock::{parse_rfc3339, unix_millis},
    evidence::event::Event,
    gateway::audit::{AuditError, Entry, Filter, Ledger, MAX_PAGE, Page, Row as LedgerRow, SessionFilter},
    wire::api::Session,
};

const INSERT: &str = "INSERT INTO events (id, time, kind, subject, email, provider, model, session, exchange, verdict, outcome, json) ";
/// Rows of one statement: each statement is a turn of the database's thread and back, a row more is little.
const ROWS: usize = 32;
/// Masked entities of one statement.
const MASKED: usize = 256;

#[async_trait::async_trait]
impl Ledger for Store {
    async fn append(&self, entries: &[Entry], journal_position: u64) -> Result<(), AuditError> {
        let position = cursor(journal_position)?;
        let mut transaction =
            self.rooms.database.writer.begin_with("BEGIN IMMEDIATE").await.map_err(unwritable)?;
        let mut added = Vec::with_capacity(entries.len());
        for rows in entries.chunks(ROWS) {
            let new = insert(rows).build().fetch_all(&mut *transaction).await.map_err(unwritable)?;
            added.extend(places(&new, rows)?);
            note_masked(rows, &mut transaction).await?;
        }
        summaries::note(&added, &mut transaction).await?;
        sqlx::query("UPDATE journal SET position = $1")
            .bind(position)
            .execute(&mut *transaction)
            .await
            .map_err(unwritable)?;
        transaction.commit().await.map_err(unwritable)
    }

    async fn journal_position(&self) -> Result<u64, AuditError> {
        let position: i64 = sqlx::query_scalar("SELECT position FROM journal")
            .fetch_one(&self.rooms.database.readers)
            .await
            .map_err(unreadable)?;
        u64::try_from(position).map_err(|e| AuditError(format!("its database has a bad position: {e}")))
    }

    /// A commit with `synchronous = FULL` syncs the write-ahead log, and with it every commit before.
    async fn settle(&self) -> Result<(), AuditError> {
        let mut writer = self.rooms.database.writer.acquire().await.map_err(unwritable)?;
        sqlx::query("PRAGMA synchronous = FULL").execute(&mut *writer).await.map_err(unwritable)?;
        let settled = sqlx::query("UPDATE journal SET position = position").execute(&mut *writer).await;
        // If this fails, or is never reached, commits stay slower and safer than they must be.
        let normal = sqlx::query("PRAGMA synchronous = NORMAL").execute(&mut *writer).await;
        settled.and(normal).map(drop).map_err(unwritable)
    }

    async fn query(&self, filter: &Filter) -> Result<Page, AuditError> {
        let limit = filter.limit.clamp(1, MAX_PAGE);
        let (sql, values) = select(filter, limit)?;
        // Before the events are read: what comes meanwhile lies behind it, or is among them.
        let seen = self.last().await?;
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            };
        }
        let mut rows = query.fetch_all(&self.rooms.database.readers).await.map_err(unreadable)?;
        let more = filter.after.is_some() && rows.len() > limit;
        rows.truncate(limit);
        if filter.after.is_none() {
            rows.reverse();
        }
        let next = rows.last().filter(|_| more).map(seq).transpose()?;
        let read = rows.last().map(seq).transpose()?;
        let cursor = next.unwrap_or_else(|| seen.max(read.unwrap_or_default()));
        let events = rows.iter().map(|row| event(row.try_get(1).map_err(unreadable)?));
        Ok(Page { events: events.collect::<Result<_, _>>()?, next, cursor })
    }

    async fn last(&self) -> Result<u64, AuditError> {
        let last: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM events")
            .fetch_one(&self.rooms.database.readers)
            .await
            .map_err(unreadable)?;
        u64::try_from(last.unwrap_or_default())
            .map_err(|e| AuditError(format!("its database has a bad place of an event: {e}")))
    }

    async fn rows(&self, after: u64, most: usize) -> Result<Vec<LedgerRow>, AuditError> {
        let rows = sqlx::query("SELECT seq, json FROM events WHERE seq > $1 ORDER BY seq LIMIT $2")
            .bind(cursor(after)?)
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_all(&self.rooms.database.readers)
            .await
            .map_err(unreadable)?;
        let row =
            |row: &SqliteRow| Ok(LedgerRow { seq: seq(row)?, json: row.try_get(1).map_err(unreadable)? });
        rows.iter().map(row).collect()
    }

    async fn places(
        &self,
        since: Option<SystemTime>,
        until: SystemTime,
    ) -> Result<Option<(u64, u64)>, AuditError> {
        let row = sqlx::query("SELECT min(seq), max(seq) FROM events WHERE time >= $1 AND time < $2")
            .bind(since.map_or(i64::MIN, unix_millis))
            .bind(unix_millis(until))
            .fetch_one(&self.rooms.database.readers)
            .await
            .map_err(unreadable)?;
        let place = |column: usize| -> Result<Option<u64>, AuditError> {
            let seq: Option<i64> = row.try_get(column).map_err(unreadable)?;
            seq.map(place).transpose()
        };
        Ok(place(0)?.zip(place(1)?))
    }

    async fn restore(&self, rows: &[LedgerRow]) -> Result<(), AuditError> {
        let mut transaction =
            self.rooms.database.writer.begin_with("BEGIN IMMEDIATE").await.map_err(unwritable)?;
        for row in rows {
            let entry = [Entry { event: event(&row.json)?, json: row.json.clone() }];
            let new = insert(&entry).build().fetch_all(&mut *transaction).await.map_err(unwritable)?;
            sqlx::query("UPDATE events SET seq = $1 WHERE id = $2")
                .bind(cursor(row.seq)?)
                .bind(&entry[0].event.id)
                .execute(&mut *transaction)
                .await
                .map_err(unwritable)?;
            note_masked(&entry, &mut transaction).await?;
            if !new.is_empty() {
                summaries::note(&[(cursor(row.seq)?, &entry[0].event)], &mut transaction).await?;
            }
        }
        transaction.commit().await.map_err(unwritable)
    }

    async fn sessions(&self, filter: &SessionFilter) -> Result<Vec<(u64, Session)>, AuditError> {
        summaries::list(filter, &self.rooms.database).await
    }

    async fn place(&self, id: &str) -> Result<Option<LedgerRow>, AuditError> {
        let row = sqlx::query("SELECT seq, json FROM events WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.rooms.database.readers)
            .await
            .map_err(unreadable)?;
        let read =
            |row: SqliteRow| Ok(LedgerRow { seq: seq(&row)?, json: row.try_get(1).map_err(unreadable)? });
        row.map(read).transpose()
    }
}

/// The entries that became rows, each with its place: an event that was there already did not.
fn places<'e>(new: &[SqliteRow], entries: &'e [Entry]) -> Result<Vec<(i64, &'e Event)>, AuditError> {
    let mut seqs = HashMap::with_capacity(new.len());
    for row in new {
        let (seq, id): (i64, String) =
            (row.try_get(0).map_err(unwritable)?, row.try_get(1).map_err(unwritable)?);
        seqs.insert(id, seq);
    }
    Ok(entries.iter().filter_map(|entry| Some((seqs.remove(&entry.event.id)?, &entry.event))).collect())
}

/// Remembers which entities were masked in an answer, for whoever asks for one of them.
async fn note_masked(entries: &[Entry], transaction: &mut Transaction<'_, Sqlite>) -> Result<(), AuditError> {
    let masked: Vec<(&str, &str)> = entries
        .iter()
        .map(|entry| &entry.event)
        .flat_map(|event| event.masked.keys().map(|entity| (entity.as_str(), event.id.as_str())))
        .collect();
    for some in masked.chunks(MASKED) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO masked (entity, seq) SELECT new.column1, events.seq FROM (",
        );
        insert.push_values(some, |mut row, (entity, id)| {
            row.push_bind(*entity).push_bind(*id);
        });
        insert.push(") AS new JOIN events ON events.id = new.column2 WHERE TRUE ON CONFLICT DO NOTHING");
        insert.build().execute(&mut **transaction).await.map_err(unwritable)?;
    }
    Ok(())
}

fn seq(row: &SqliteRow) -> Result<u64, AuditError> {
    place(row.try_get(0).map_err(unreadable)?)
}

fn place(seq: i64) -> Result<u64, AuditError> {
    u64::try_from(seq).map_err(|e| AuditError(format!("its database has a bad place of an event: {e}")))
}

/// The rows of these entries in one statement; there are only [`ROWS`] different texts, so each is prepared once.
fn insert(entries: &[Entry]) -> QueryBuilder<Sqlite> {
    let mut insert = QueryBuilder::new(INSERT);
    insert.push_values(entries, |mut row, Entry { event, json }| {
        let caller = event.caller.as_ref();
        row.push_bind(&event.id)
            .push_bind(parse_rfc3339(&event.time).map_or(0, unix_millis))
            .push_bind(&event.kind)
            .push_bind(caller.map(|c| c.subject.as_str()))
            .push_bind(caller.and_then(|c| c.email.as_deref()))
            .push_bind(caller.map(|c| c.provider.as_str()))
            .push_bind(event.model.as_deref())
            .push_bind(event.session.as_deref())
            .push_bind(event.exchange.as_deref())
            .push_bind(event.decision.as_ref().map(|d| d.verdict.as_str()))
            .push_bind(event.response.as_ref().map(|r| r.outcome.as_str()))
            .push_bind(json);
    });
    insert.push(" ON CONFLICT (id) DO NOTHING RETURNING seq, id");
    insert
}

/// What is bound to a placeholder.
enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

/// The query of a filter. Only the conditions given are in it, so that SQLite can use their indices; its text is made of constants alone.
fn select(filter: &Filter, limit: usize) -> Result<(String, Vec<Value<'_>>), AuditError> {
    let mut sql = "SELECT seq, json FROM events WHERE TRUE".to_owned();
    let mut values = Vec::new();
    let texts = [
        ("model =", filter.model.as_deref()),
        ("kind =", filter.kind.as_deref()),
        ("exchange =", filter.exchange.as_deref()),
        ("session =", filter.session.as_deref()),
        ("verdict =", filter.verdict.as_deref()),
        ("provider =", filter.own.as_ref().map(|own| own.provider.as_str())),
    ];
    for (column, text) in texts {
        if let Some(text) = text {
            values.push(Value::Text(text));
            sql.push_str(&format!(" AND {column} ${}", values.len()));
        }
    }
    let own = filter.own.as_ref().map(|own| (own.subject.as_str(), &["subject"][..]));
    let user = filter.user.as_deref().map(|user| (user, &["subject", "email"][..]));
    for (name, columns) in own.into_iter().chain(user) {
        of_person(name, columns, filter, &mut sql, &mut values);
    }
    if let Some(entity) = &filter.masked {
        values.push(Value::Text(entity));
        sql.push_str(&format!(
            " AND seq IN (SELECT seq FROM masked WHERE entity IN (${0}, upper(${0})))",
            values.len()
        ));
    }
    // Pages are read in their order: found by time, all that is left would be sorted for each of them. A `+` keeps the index out.
    let (from, to) = if filter.after.is_some() { ("+time >=", "+time <") } else { ("time >=", "time <") };
    let numbers = [
        (from, filter.since.map(unix_millis)),
        (to, filter.until.map(unix_millis)),
        ("seq >", filter.after.map(cursor).transpose()?),
    ];
    for (column, number) in numbers {
        if let Some(number) = number {
            values.push(Value::Number(number));
            sql.push_str(&format!(" AND {column} ${}", values.len()));
        }
    }
    let (order, rows) = if filter.after.is_some() { ("ASC", limit + 1) } else { ("DESC", limit) };
    values.push(Value::Number(i64::try_from(rows).unwrap_or(i64::MAX)));
    sql.push_str(&format!(" ORDER BY seq {order} LIMIT ${}", values.len()));
    Ok((sql, values))
}

/// The condition that one of these columns names somebody. With times it is asked of an index over column and time, which alone says the
/// places: a person's day is found in ten million events without looking at any other. SQLite walks the places in their order.
fn of_person<'a>(
    name: &'a str,
    columns: &[&str],
    filter: &Filter,
    sql: &mut String,
    values: &mut Vec<Value<'a>>,
) {
    values.push(Value::Text(name));
    let named = values.len();
    if filter.since.or(filter.until).is_none() {
        let any: Vec<String> = columns.iter().map(|column| format!("{column} = ${named}")).collect();
        sql.push_str(&format!(" AND ({})", any.join(" OR ")));
        return;
    }
    values.push(Value::Number(filter.since.map_or(i64::MIN, unix_millis)));
    values.push(Value::Number(filter.until.map_or(i64::MAX, unix_millis)));
    let (since, until) = (named + 1, named + 2);
    let each: Vec<String> = columns
        .iter()
        .map(|column| {
            format!(
                "SELECT seq FROM events WHERE {column} = ${named} AND time >= ${since} AND time < ${until}"
            )
        })
        .collect();
    sql.push_str(&format!(" AND seq IN ({})", each.join(" UNION ")));
}

fn event(json: &str) -> Result<Event, AuditError> {
    serde_json::from_str(json)
        .map_err(|e| AuditError(format!("its database has an event that is not one: {e}")))
}

/// SQLite's integers are signed.
fn cursor(position: u64) -> Result<i64, AuditError> {
    i64::try_from(position).map_err(|_| AuditError(format!("{position} is no position")))
}

fn unwritable(error: sqlx::Error) -> AuditError {
    AuditError(format!("its database cannot be written: {error}"))
}

fn unreadable(error: sqlx::Error) -> AuditError {
    AuditError(format!("its database cannot be read: {error}"))
}
#[cfg(test)]
mod tests;
