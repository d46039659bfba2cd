//! Sessions as they are listed: one row for what one caller did with one model in one session, kept up while events come.

use std::collections::{BTreeMap, HashMap};

use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite, Transaction, sqlite::SqliteRow};

use super::sqlite::Database;
use crate::{
    clock::{from_unix_millis, parse_rfc3339, rfc3339, unix_millis},
    evidence::event::Event,
    gateway::audit::{AuditError, SessionFilter},
    wire::api::{Session, SessionCaller},
};

/// Rows of one statement.
const ROWS: usize = 32;
/// Counts of one statement.
const COUNTS: usize = 128;

/// Whose session with which model: session, provider, subject, model. A session's id is the laptop's word, so another caller may use it too.
type Key<'a> = (&'a str, &'a str, &'a str, &'a str);

/// What a batch of events adds to a session.
struct Added<'a> {
    email: Option<&'a str>,
    first: i64,
    last: i64,
    seq: i64,
    exchanges: i64,
    sent: i64,
    received: i64,
    recorded: i64,
    /// By what is counted, and its name.
    counts: BTreeMap<(&'static str, &'a str), i64>,
}

/// Adds new events, each with its place, to their sessions.
pub(super) async fn note(
    events: &[(i64, &Event)],
    transaction: &mut Transaction<'_, Sqlite>,
) -> Result<(), AuditError> {
    let mut added: BTreeMap<Key<'_>, Added<'_>> = BTreeMap::new();
    for (seq, event) in events {
        let Some(session) = event.session.as_deref().filter(|_| event.kind == "exchange") else { continue };
        let caller = event.caller.as_ref();
        let key = (
            session,
            caller.map_or("", |caller| &caller.provider),
            caller.map_or("", |caller| &caller.subject),
            event.model.as_deref().unwrap_or_default(),
        );
        let time = parse_rfc3339(&event.time).map_or(0, unix_millis);
        let sum = added.entry(key).or_insert_with(|| Added {
            email: None,
            first: time,
            last: time,
            seq: 0,
            exchanges: 0,
            sent: 0,
            received: 0,
            recorded: 0,
            counts: BTreeMap::new(),
        });
        sum.add(*seq, time, event);
    }
    let added: Vec<(Key<'_>, Added<'_>)> = added.into_iter().collect();
    for rows in added.chunks(ROWS) {
        let ids = upsert(rows, transaction).await?;
        let counts: Vec<(i64, &str, &str, i64)> = rows
            .iter()
            .filter_map(|(key, sum)| Some((*ids.get(&owned(*key))?, sum)))
            .flat_map(|(id, sum)| sum.counts.iter().map(move |((what, name), n)| (id, *what, *name, *n)))
            .collect();
        for some in counts.chunks(COUNTS) {
            count(some, transaction).await?;
        }
    }
    Ok(())
}

impl<'a> Added<'a> {
    fn add(&mut self, seq: i64, time: i64, event: &'a Event) {
        let length = |bytes: Option<u64>| i64::try_from(bytes.unwrap_or_default()).unwrap_or(i64::MAX);
        self.email = event.caller.as_ref().and_then(|caller| caller.email.as_deref()).or(self.email);
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        self.seq = self.seq.max(seq);
        self.exchanges += 1;
        self.sent = self.sent.saturating_add(length(event.request.as_ref().map(|request| request.bytes)));
        self.received =
            self.received.saturating_add(length(event.response.as_ref().map(|response| response.bytes)));
        self.recorded += i64::from(event.recording.is_some());
        let outcome = event.response.as_ref().map(|response| ("outcome", response.outcome.as_str()));
        let verdict = event.decision.as_ref().map(|decision| ("verdict", decision.verdict.as_str()));
        for one in outcome.into_iter().chain(verdict) {
            *self.counts.entry(one).or_default() += 1;
        }
        for (entity, number) in &event.masked {
            let sum = self.counts.entry(("masked", entity)).or_default();
            *sum = sum.saturating_add(length(Some(*number)));
        }
    }
}

/// Adds to the rows of these sessions; the id of each.
async fn upsert(
    rows: &[(Key<'_>, Added<'_>)],
    transaction: &mut Transaction<'_, Sqlite>,
) -> Result<HashMap<[String; 4], i64>, AuditError> {
    let mut insert = QueryBuilder::<Sqlite>::new(
        "INSERT INTO session_summaries (session, provider, subject, model, email, first_time, last_time, seq, exchanges, sent, received, recorded) ",
    );
    insert.push_values(rows, |mut row, ((session, provider, subject, model), sum)| {
        row.push_bind(*session).push_bind(*provider).push_bind(*subject).push_bind(*model);
        row.push_bind(sum.email).push_bind(sum.first).push_bind(sum.last).push_bind(sum.seq);
        row.push_bind(sum.exchanges).push_bind(sum.sent).push_bind(sum.received).push_bind(sum.recorded);
    });
    insert.push(
        " ON CONFLICT (session, provider, subject, model) DO UPDATE SET \
         email = coalesce(excluded.email, session_summaries.email), \
         first_time = CASE WHEN excluded.first_time < session_summaries.first_time THEN excluded.first_time ELSE session_summaries.first_time END, \
         last_time = CASE WHEN excluded.last_time > session_summaries.last_time THEN excluded.last_time ELSE session_summaries.last_time END, \
         seq = CASE WHEN excluded.seq > session_summaries.seq THEN excluded.seq ELSE session_summaries.seq END, \
         exchanges = session_summaries.exchanges + excluded.exchanges, \
         sent = session_summaries.sent + excluded.sent, \
         received = session_summaries.received + excluded.received, \
         recorded = session_summaries.recorded + excluded.recorded \
         RETURNING id, session, provider, subject, model",
    );
    let found = insert.build().fetch_all(&mut **transaction).await.map_err(unwritable)?;
    let read = |row: &SqliteRow| -> Result<_, sqlx::Error> {
        let key = [row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?];
        Ok((key, row.try_get(0)?))
    };
    found.iter().map(|row| read(row).map_err(unwritable)).collect()
}

async fn count(
    counts: &[(i64, &str, &str, i64)],
    transaction: &mut Transaction<'_, Sqlite>,
) -> Result<(), AuditError> {
    let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO session_counts (summary, what, name, number) ");
    insert.push_values(counts, |mut row, (id, what, name, number)| {
        row.push_bind(*id).push_bind(*what).push_bind(*name).push_bind(*number);
    });
    insert.push(
        " ON CONFLICT (summary, what, name) DO UPDATE SET number = session_counts.number + excluded.number",
    );
    insert.build().execute(&mut **transaction).await.map_err(unwritable)?;
    Ok(())
}

fn owned((session, provider, subject, model): Key<'_>) -> [String; 4] {
    [session, provider, subject, model].map(str::to_owned)
}

/// What is bound to a placeholder.
enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

/// The sessions a filter wants, those with the newest exchange first, each with the place of its last event.
pub(super) async fn list(
    filter: &SessionFilter,
    database: &Database,
) -> Result<Vec<(u64, Session)>, AuditError> {
    let (sql, values) = select(filter)?;
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in values {
        query = match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        };
    }
    let rows = query.fetch_all(&database.readers).await.map_err(unreadable)?;
    let mut sessions: Vec<(i64, u64, Session)> = Vec::with_capacity(rows.len());
    for row in &rows {
        sessions.push(session(row).map_err(unreadable)?);
    }
    counts(&mut sessions, database).await?;
    Ok(sessions.into_iter().map(|(_, seq, session)| (seq, session)).collect())
}

/// The query of a filter. Its text is made of constants alone.
fn select(filter: &SessionFilter) -> Result<(String, Vec<Value<'_>>), AuditError> {
    let mut sql = "SELECT id, seq, session, provider, subject, email, model, first_time, last_time, exchanges, sent, received, recorded \
         FROM session_summaries WHERE TRUE"
        .to_owned();
    let mut values = Vec::new();
    let texts = [
        ("session =", filter.session.as_deref()),
        ("model =", filter.model.as_deref()),
        ("subject =", filter.own.as_ref().map(|own| own.subject.as_str())),
        ("provider =", filter.own.as_ref().map(|own| own.provider.as_str())),
    ];
    for (column, text) in texts {
        if let Some(text) = text {
            values.push(Value::Text(text));
            sql.push_str(&format!(" AND {column} ${}", values.len()));
        }
    }
    if let Some(user) = &filter.user {
        values.push(Value::Text(user));
        sql.push_str(&format!(" AND (subject = ${0} OR email = ${0})", values.len()));
    }
    for (what, name) in [("verdict", &filter.verdict), ("masked", &filter.masked)] {
        if let Some(name) = name {
            values.push(Value::Text(name));
            sql.push_str(&format!(
                " AND id IN (SELECT summary FROM session_counts WHERE what = '{what}' AND name IN (${0}, upper(${0})))",
                values.len()
            ));
        }
    }
    let before = filter.before.map(i64::try_from).transpose();
    let numbers = [
        ("last_time >=", filter.since.map(unix_millis)),
        ("first_time <", filter.until.map(unix_millis)),
        ("seq <", before.map_err(|_| AuditError("the cursor is no place in the log".to_owned()))?),
    ];
    for (column, number) in numbers {
        if let Some(number) = number {
            values.push(Value::Number(number));
            sql.push_str(&format!(" AND {column} ${}", values.len()));
        }
    }
    values.push(Value::Number(i64::try_from(filter.limit).unwrap_or(i64::MAX)));
    sql.push_str(&format!(" ORDER BY seq DESC LIMIT ${}", values.len()));
    Ok((sql, values))
}

fn session(row: &SqliteRow) -> Result<(i64, u64, Session), sqlx::Error> {
    let number = |at: usize| row.try_get::<i64, _>(at).map(|n| u64::try_from(n).unwrap_or_default());
    let time = |at: usize| row.try_get::<i64, _>(at).map(|millis| rfc3339(from_unix_millis(millis)));
    let session = Session {
        session: row.try_get(2)?,
        caller: SessionCaller { provider: row.try_get(3)?, subject: row.try_get(4)?, email: row.try_get(5)? },
        model: row.try_get(6)?,
        first: time(7)?,
        last: time(8)?,
        exchanges: number(9)?,
        request_bytes: number(10)?,
        response_bytes: number(11)?,
        recorded: number(12)?,
        ..Session::default()
    };
    Ok((row.try_get(0)?, number(1)?, session))
}

/// Fills in what is counted by name.
async fn counts(sessions: &mut [(i64, u64, Session)], database: &Database) -> Result<(), AuditError> {
    if sessions.is_empty() {
        return Ok(());
    }
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT summary, what, name, number FROM session_counts WHERE summary IN (",
    );
    let mut ids = query.separated(", ");
    for (id, ..) in sessions.iter() {
        ids.push_bind(*id);
    }
    query.push(")");
    let rows = query.build().fetch_all(&database.readers).await.map_err(unreadable)?;
    let mut found: HashMap<i64, Vec<(String, String, u64)>> = HashMap::new();
    for row in &rows {
        let read = || -> Result<_, sqlx::Error> {
            let number: i64 = row.try_get(3)?;
            Ok((
                row.try_get(0)?,
                (row.try_get(1)?, row.try_get(2)?, u64::try_from(number).unwrap_or_default()),
            ))
        };
        let (id, count) = read().map_err(unreadable)?;
        found.entry(id).or_default().push(count);
    }
    for (id, _, session) in sessions {
        for (what, name, number) in found.remove(id).unwrap_or_default() {
            let kind = match what.as_str() {
                "outcome" => &mut session.outcomes,
                "verdict" => &mut session.verdicts,
                _ => &mut session.masked,
            };
            kind.insert(name, number);
        }
    }
    Ok(())
}

fn unwritable(error: sqlx::Error) -> AuditError {
    AuditError(format!("its database cannot be written: {error}"))
}

fn unreadable(error: sqlx::Error) -> AuditError {
    AuditError(format!("its database cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::{
        evidence::event::{Caller, Decision, Recording, Request, Response},
        gateway::{
            audit::{Entry, Ledger, Own},
            store::{Config, Store},
        },
    };

    async fn store(dir: &tempfile::TempDir) -> Store {
        let state = dir.path().to_owned();
        let database = state.join("gateway.db");
        Store::open(&Config { state, database }).await.unwrap()
    }

    fn at(second: u64) -> SystemTime {
        from_unix_millis(1_800_000_000_000) + Duration::from_secs(second)
    }

    /// Exchange `n` of somebody's session, at second `n`.
    fn entry(n: u64, session: &str, subject: &str, verdict: &str) -> Entry {
        let permitted = verdict == "permit";
        let event = Event {
            id: format!("ev_{n}"),
            time: rfc3339(at(n)),
            kind: "exchange".into(),
            caller: Some(Caller {
                subject: subject.into(),
                email: Some(format!("{subject}@example.test")),
                provider: "corp".into(),
                ..Caller::default()
            }),
            model: Some("llama".into()),
            session: Some(session.into()),
            exchange: Some(format!("ex_{n}")),
            decision: Some(Decision { verdict: verdict.into(), ..Decision::default() }),
            request: Some(Request { bytes: 10, ..Request::default() }),
            response: Some(Response {
                bytes: 100,
                outcome: if permitted { "complete" } else { "refused" }.into(),
                ..Response::default()
            }),
            masked: permitted.then(|| ("EMAIL".to_owned(), 2)).into_iter().collect(),
            recording: permitted.then(|| Recording { id: format!("rec_{n}"), ..Recording::default() }),
            ..Event::default()
        };
        Entry { json: serde_json::to_string(&event).unwrap(), event }
    }

    async fn listed(store: &Store, filter: SessionFilter) -> Vec<(String, String, u64)> {
        let found = Ledger::sessions(store, &SessionFilter { limit: 100, ..filter }).await.unwrap();
        found.into_iter().map(|(_, one)| (one.session, one.caller.subject, one.exchanges)).collect()
    }

    fn row(session: &str, subject: &str, exchanges: u64) -> (String, String, u64) {
        (session.to_owned(), subject.to_owned(), exchanges)
    }

    #[tokio::test]
    async fn a_session_sums_up_its_exchanges_over_batches_and_each_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let first = [entry(1, "ses_1", "alice", "permit"), entry(2, "ses_1", "alice", "deny")];
        store.append(&first, 10).await.unwrap();
        // The first once more, as after a crash: its event is there already.
        store
            .append(&[entry(1, "ses_1", "alice", "permit"), entry(3, "ses_1", "alice", "permit")], 20)
            .await
            .unwrap();
        let found =
            Ledger::sessions(&store, &SessionFilter { limit: 9, ..SessionFilter::default() }).await.unwrap();
        let [(seq, one)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((*seq, one.exchanges, one.recorded), (3, 3, 2));
        assert_eq!((one.request_bytes, one.response_bytes), (30, 300));
        assert_eq!((one.first.as_str(), one.last.as_str()), (&*rfc3339(at(1)), &*rfc3339(at(3))));
        assert_eq!(one.caller.email.as_deref(), Some("alice@example.test"));
        assert_eq!(one.outcomes, [("complete".to_owned(), 2), ("refused".to_owned(), 1)].into());
        assert_eq!(one.verdicts, [("permit".to_owned(), 2), ("deny".to_owned(), 1)].into());
        assert_eq!(one.masked, [("EMAIL".to_owned(), 4)].into());
    }

    #[tokio::test]
    async fn each_condition_holds_and_another_callers_use_of_an_id_is_another_session() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let entries = [
            entry(1, "ses_1", "alice", "permit"),
            entry(2, "ses_1", "bob", "deny"),
            entry(3, "ses_2", "alice", "deny"),
        ];
        store.append(&entries, 10).await.unwrap();
        let all = [row("ses_2", "alice", 1), row("ses_1", "bob", 1), row("ses_1", "alice", 1)];
        let text = |s: &str| Some(s.to_owned());
        let own = |subject: &str| Some(Own { subject: subject.into(), provider: "corp".into() });
        let none = SessionFilter::default;
        assert_eq!(listed(&store, none()).await, all);
        assert_eq!(listed(&store, SessionFilter { session: text("ses_1"), ..none() }).await, all[1..]);
        assert_eq!(
            listed(&store, SessionFilter { own: own("bob"), session: text("ses_1"), ..none() }).await,
            all[1..2]
        );
        assert_eq!(
            listed(&store, SessionFilter { user: text("bob@example.test"), ..none() }).await,
            all[1..2]
        );
        assert_eq!(listed(&store, SessionFilter { verdict: text("permit"), ..none() }).await, all[2..]);
        for entity in ["EMAIL", "email"] {
            assert_eq!(listed(&store, SessionFilter { masked: text(entity), ..none() }).await, all[2..]);
        }
        assert_eq!(listed(&store, SessionFilter { since: Some(at(2)), ..none() }).await, all[..2]);
        assert_eq!(listed(&store, SessionFilter { until: Some(at(2)), ..none() }).await, all[2..]);
        assert_eq!(listed(&store, SessionFilter { before: Some(3), ..none() }).await, all[1..]);
        assert_eq!(listed(&store, SessionFilter { model: text("other"), ..none() }).await, []);
    }

    #[tokio::test]
    async fn events_of_before_the_summaries_are_summed_up_when_the_database_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        store
            .append(&[entry(1, "ses_1", "alice", "permit"), entry(2, "ses_1", "alice", "deny")], 10)
            .await
            .unwrap();
        let all = SessionFilter { limit: 9, ..SessionFilter::default() };
        let kept = Ledger::sessions(&store, &all).await.unwrap();
        let writer = &store.rooms.database.writer;
        for table in ["session_counts", "session_summaries"] {
            sqlx::query(AssertSqlSafe(format!("DROP TABLE {table}"))).execute(writer).await.unwrap();
        }
        let migration = include_str!("migrations/sqlite/0012_session_summaries.sql");
        sqlx::raw_sql(migration).execute(writer).await.unwrap();
        assert_eq!(Ledger::sessions(&store, &all).await.unwrap(), kept);
    }
}
