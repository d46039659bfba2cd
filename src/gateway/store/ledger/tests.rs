//! The ledger's pages, filters and indices, on a database of its own.

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
        let (page, next) = ids(&store, Filter { after: Some(cursor), limit: 3, ..Filter::default() }).await;
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
