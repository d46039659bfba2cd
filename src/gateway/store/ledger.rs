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
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::{from_unix_millis, rfc3339},
        evidence::event::{Caller, Decision},
        gateway::{audit::Own, store::Config},
    };

    async fn store(dir: &tempfile::TempDir) -> Store {
        let state = dir.path().to_owned();
        let database = state.join("gateway.db");
        Store::open(&Config { state, database }).await.unwrap()
    }

    fn at(second: u64) -> SystemTime {
        from_unix_millis(1_800_000_000_000) + Duration::from_secs(second)
    }

    /// Event `n` at second `n`; what else it says depends on whether `n` is even.
    fn entry(n: u64) -> Entry {
        let even = n.is_multiple_of(2);
        let choose = |a: &str, b: &str| if even { a } else { b }.to_owned();
        let event = Event {
            id: format!("ev_{n}"),
            time: rfc3339(at(n)),
            kind: choose("exchange", "login"),
            caller: Some(Caller {
                subject: choose("alice", "bob"),
                email: even.then(|| "alice@example.test".to_owned()),
                provider: choose("corp", "partners"),
                ..Caller::default()
            }),
            model: even.then(|| "fraud-detector".to_owned()),
            session: Some(choose("ses_1", "ses_2")),
            exchange: Some(format!("ex_{n}")),
            decision: Some(Decision { verdict: choose("permit", "deny"), ..Decision::default() }),
            masked: even
                .then(|| [("EMAIL".to_owned(), 1), ("IBAN".to_owned(), n)])
                .into_iter()
                .flatten()
                .collect(),
            ..Event::default()
        };
        Entry { json: serde_json::to_string(&event).unwrap(), event }
    }

    async fn ids(store: &Store, filter: Filter) -> (Vec<String>, Option<u64>) {
        let page = store.query(&filter).await.unwrap();
        (page.events.into_iter().map(|e| e.id).collect(), page.next)
    }

    #[tokio::test]
    async fn each_condition_of_a_filter_holds() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let entries: Vec<Entry> = (0..6).map(entry).collect();
        store.append(&entries, 100).await.unwrap();
        let all = Filter { limit: 100, ..Filter::default() };
        let text = |s: &str| Some(s.to_owned());
        let own =
            |subject: &str, provider: &str| Some(Own { subject: subject.into(), provider: provider.into() });
        for (filter, wanted) in [
            (Filter { since: Some(at(4)), ..all.clone() }, "4 5"),
            (Filter { until: Some(at(2)), ..all.clone() }, "0 1"),
            (Filter { user: text("alice"), ..all.clone() }, "0 2 4"),
            (Filter { user: text("alice@example.test"), ..all.clone() }, "0 2 4"),
            (Filter { user: text("ali%"), ..all.clone() }, ""),
            (Filter { user: text("alice"), since: Some(at(1)), until: Some(at(4)), ..all.clone() }, "2"),
            (Filter { user: text("alice@example.test"), since: Some(at(2)), ..all.clone() }, "2 4"),
            (Filter { own: own("alice", "corp"), until: Some(at(4)), ..all.clone() }, "0 2"),
            (Filter { own: own("alice", "partners"), until: Some(at(4)), ..all.clone() }, ""),
            (Filter { model: text("fraud-detector"), ..all.clone() }, "0 2 4"),
            (Filter { kind: text("login"), ..all.clone() }, "1 3 5"),
            (Filter { exchange: text("ex_3"), ..all.clone() }, "3"),
            (Filter { session: text("ses_2"), since: Some(at(2)), ..all.clone() }, "3 5"),
            (Filter { verdict: text("deny"), until: Some(at(4)), ..all.clone() }, "1 3"),
            (Filter { masked: text("IBAN"), ..all.clone() }, "0 2 4"),
            (Filter { masked: text("iban"), ..all.clone() }, "0 2 4"),
            (Filter { masked: text("IBAN"), since: Some(at(1)), ..all.clone() }, "2 4"),
            (Filter { masked: text("PHONE"), ..all.clone() }, ""),
            (Filter { own: own("alice", "corp"), ..all.clone() }, "0 2 4"),
            (Filter { own: own("alice", "partners"), ..all.clone() }, ""),
            (Filter { own: own("alice", "corp"), user: text("bob"), ..all.clone() }, ""),
            (all, "0 1 2 3 4 5"),
        ] {
            let wanted: Vec<String> = wanted.split_whitespace().map(|n| format!("ev_{n}")).collect();
            assert_eq!(ids(&store, filter.clone()).await.0, wanted, "{filter:?}");
        }
    }

    /// How SQLite goes about a filter's query.
    async fn plan(store: &Store, filter: Filter) -> String {
        let (sql, values) = select(&filter, filter.limit).unwrap();
        let mut query = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
        for value in values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            };
        }
        let rows = query.fetch_all(&store.rooms.database.readers).await.unwrap();
        let steps: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        steps.join("\n")
    }

    #[tokio::test]
    async fn a_persons_day_is_found_by_index_alone_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let day = Filter { since: Some(at(0)), until: Some(at(9)), limit: 100, ..Filter::default() };
        let own = Own { subject: "alice".into(), provider: "corp".into() };
        for (filter, indices) in [
            (Filter { user: Some("alice".into()), ..day.clone() }, &["subject", "email"][..]),
            (Filter { user: Some("alice".into()), after: Some(7), ..day.clone() }, &["subject", "email"]),
            (Filter { user: Some("alice".into()), until: None, ..day.clone() }, &["subject", "email"]),
            (Filter { own: Some(own), ..day.clone() }, &["subject"]),
        ] {
            let plan = plan(&store, filter.clone()).await;
            for column in indices {
                let wanted =
                    format!("USING COVERING INDEX events_{column}_time ({column}=? AND time>? AND time<?)");
                assert!(plan.contains(&wanted), "{filter:?}: {plan}");
            }
            assert!(plan.contains("SEARCH events USING INTEGER PRIMARY KEY (rowid=?)"), "{filter:?}: {plan}");
            assert!(!plan.contains("SCAN") && !plan.contains("ORDER BY"), "{filter:?}: {plan}");
        }
        // What an export or a report reads page by page is read in its order, never sorted as a whole for each page.
        let pages = plan(&store, Filter { after: Some(0), ..day }).await;
        assert_eq!(pages, "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)");
    }

    #[tokio::test]
    async fn a_report_reads_from_the_first_event_of_its_time_to_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        assert_eq!(store.places(None, at(99)).await.unwrap(), None);
        store.append(&[5, 1, 3, 9, 2].map(entry), 100).await.unwrap();
        assert_eq!(store.places(None, at(99)).await.unwrap(), Some((1, 5)));
        assert_eq!(store.places(Some(at(1)), at(3)).await.unwrap(), Some((2, 5)));
        assert_eq!(store.places(Some(at(9)), at(10)).await.unwrap(), Some((4, 4)));
        assert_eq!(store.places(Some(at(6)), at(9)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_gap_or_overlap() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        store.append(&(0..10).map(entry).collect::<Vec<_>>(), 100).await.unwrap();
        let mut seen = Vec::new();
        let mut after = Some(0);
        while let Some(cursor) = after {
            let (page, next) =
                ids(&store, Filter { after: Some(cursor), limit: 3, ..Filter::default() }).await;
            assert!(page.len() <= 3);
            seen.extend(page);
            after = next;
        }
        assert_eq!(seen, (0..10).map(|n| format!("ev_{n}")).collect::<Vec<_>>());
        let newest = ids(&store, Filter { limit: 2, ..Filter::default() }).await;
        assert_eq!(newest, (vec!["ev_8".to_owned(), "ev_9".to_owned()], None));
        let beyond = Filter { limit: usize::MAX, after: Some(u64::MAX / 2), ..Filter::default() };
        assert_eq!(ids(&store, beyond).await, (Vec::new(), None));
    }

    #[tokio::test]
    async fn a_batch_of_any_size_keeps_its_order_and_each_id_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let rows = ROWS as u64;
        let mut all = Vec::new();
        for count in [0, 1, rows - 1, rows, rows + 1, 3 * rows] {
            let first = all.len() as u64;
            let mut batch: Vec<Entry> = (first..first + count).map(entry).collect();
            all.extend(batch.iter().map(|e| e.event.id.clone()));
            if let Some(again) = batch.first() {
                batch.push(Entry { event: again.event.clone(), json: again.json.clone() });
            }
            store.append(&batch, first + count).await.unwrap();
        }
        assert_eq!(ids(&store, Filter { limit: 1000, ..Filter::default() }).await.0, all);
    }

    #[tokio::test]
    async fn a_cursor_finds_what_comes_later_and_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let page = async |after: Option<u64>, kind: &str| {
            let filter = Filter { after, kind: Some(kind.into()), limit: 2, ..Filter::default() };
            let page = store.query(&filter).await.unwrap();
            (page.events.into_iter().map(|e| e.id).collect::<Vec<_>>(), page.cursor)
        };
        assert_eq!(page(None, "login").await, (Vec::new(), 0));
        store.append(&(0..4).map(entry).collect::<Vec<_>>(), 100).await.unwrap();
        assert_eq!(page(None, "login").await, (vec!["ev_1".into(), "ev_3".into()], 4));
        assert_eq!(page(Some(4), "login").await, (Vec::new(), 4));
        store.append(&(4..10).map(entry).collect::<Vec<_>>(), 200).await.unwrap();
        assert_eq!(page(Some(4), "login").await, (vec!["ev_5".into(), "ev_7".into()], 8));
        assert_eq!(page(Some(8), "login").await, (vec!["ev_9".into()], 10));
        assert_eq!(page(Some(8), "renewal").await, (Vec::new(), 10), "what did not match is passed");
    }

    #[tokio::test]
    async fn rows_have_their_places_and_are_put_back_into_them() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        assert_eq!(store.last().await.unwrap(), 0);
        store.append(&(0..10).map(entry).collect::<Vec<_>>(), 100).await.unwrap();
        let rows = store.rows(0, 100).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
        assert_eq!(rows[6].json, entry(6).json);
        assert_eq!(store.rows(6, 2).await.unwrap(), rows[6..8]);
        sqlx::query("DELETE FROM events WHERE seq > 4").execute(&store.rooms.database.writer).await.unwrap();
        assert_eq!(store.last().await.unwrap(), 4);
        store.restore(&rows[4..]).await.unwrap();
        assert_eq!(store.rows(0, 100).await.unwrap(), rows);
        store.append(&[entry(10)], 200).await.unwrap();
        assert_eq!(store.last().await.unwrap(), 11);
        let ids = ids(&store, Filter { masked: Some("EMAIL".into()), limit: 9, ..Filter::default() }).await.0;
        assert_eq!(ids, ["ev_0", "ev_2", "ev_4", "ev_6", "ev_8", "ev_10"]);
    }

    #[tokio::test]
    async fn events_and_position_are_kept_together_and_each_id_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        assert_eq!(store.journal_position().await.unwrap(), 0);
        store.append(&[entry(1), entry(2)], 100).await.unwrap();
        store.append(&[entry(2), entry(3)], 200).await.unwrap();
        assert_eq!(store.journal_position().await.unwrap(), 200);
        assert_eq!(ids(&store, Filter { limit: 9, ..Filter::default() }).await.0, ["ev_1", "ev_2", "ev_3"]);

        sqlx::query("DROP TABLE journal").execute(&store.rooms.database.writer).await.unwrap();
        assert!(store.append(&[entry(4)], 300).await.is_err());
        assert_eq!(
            ids(&store, Filter { limit: 9, ..Filter::default() }).await.0.len(),
            3,
            "nothing of it is kept"
        );
    }

    #[tokio::test]
    async fn settling_leaves_the_writer_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        store.append(&[entry(1)], 100).await.unwrap();
        store.settle().await.unwrap();
        let mode: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&store.rooms.database.writer).await.unwrap();
        assert_eq!(mode, 1, "NORMAL");
        assert_eq!(store.journal_position().await.unwrap(), 100);
    }
}
