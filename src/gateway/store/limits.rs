//! Counters of limits in SQLite: one row for each holder, as long as it says something about now.

use sqlx::Row as _;

use super::Store;
use crate::gateway::pipeline::limits::{self, Holder, Row, StoreError};

const UPSERT: &str = "INSERT INTO limits (model, kind, provider, name, day, tokens, recent, saved_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (model, kind, provider, name) DO UPDATE SET \
                      day = excluded.day, tokens = excluded.tokens, recent = excluded.recent, saved_at = excluded.saved_at";

/// A request counts for a minute, tokens for a day.
const DELETE: &str = "DELETE FROM limits WHERE saved_at < $1 - 60 AND (day < $1 / 86400 OR tokens = 0)";

#[async_trait::async_trait]
impl limits::Store for Store {
    async fn load(&self) -> Result<Vec<Row>, StoreError> {
        let rows = sqlx::query("SELECT model, kind, provider, name, day, tokens, recent FROM limits")
            .fetch_all(&self.rooms.database.readers)
            .await
            .map_err(failed)?;
        rows.iter()
            .map(|row| {
                let kind: &str = row.try_get("kind").map_err(failed)?;
                let name: String = row.try_get("name").map_err(failed)?;
                Ok(Row {
                    model: row.try_get("model").map_err(failed)?,
                    holder: match kind {
                        "model" => Holder::Model,
                        "group" => Holder::Group(name),
                        "caller" => Holder::Caller {
                            provider: row.try_get("provider").map_err(failed)?,
                            subject: name,
                        },
                        other => return Err(StoreError(format!("a row has the kind `{other}`"))),
                    },
                    day: unsigned(row.try_get("day").map_err(failed)?),
                    tokens: unsigned(row.try_get("tokens").map_err(failed)?),
                    recent: row.try_get("recent").map_err(failed)?,
                })
            })
            .collect()
    }

    async fn save(&self, rows: &[Row], now: u64) -> Result<(), StoreError> {
        let mut transaction =
            self.rooms.database.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        for row in rows {
            let (kind, provider, name) = match &row.holder {
                Holder::Model => ("model", "", ""),
                Holder::Group(name) => ("group", "", name.as_str()),
                Holder::Caller { provider, subject } => ("caller", provider.as_str(), subject.as_str()),
            };
            sqlx::query(UPSERT)
                .bind(&row.model)
                .bind(kind)
                .bind(provider)
                .bind(name)
                .bind(signed(row.day))
                .bind(signed(row.tokens))
                .bind(&row.recent)
                .bind(signed(now))
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        sqlx::query(DELETE).bind(signed(now)).execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn failed(error: sqlx::Error) -> StoreError {
    StoreError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{pipeline::limits::Store as _, store::Config};

    const NOW: u64 = 1_795_418_146;

    fn row(holder: Holder, day: u64, tokens: u64) -> Row {
        Row { model: "m".to_owned(), holder, day, tokens, recent: format!("{NOW}:3") }
    }

    fn caller(subject: &str) -> Holder {
        Holder::Caller { provider: "corp".to_owned(), subject: subject.to_owned() }
    }

    #[tokio::test]
    async fn rows_come_back_replaced_and_old_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { state: dir.path().join("state"), database: dir.path().join("g.db") };
        let store = Store::open(&config).await.unwrap();
        let today = NOW / 86_400;
        let mut rows = vec![
            row(Holder::Model, today, 7),
            row(Holder::Group("x".into()), today, 0),
            row(caller("a"), today, 9),
        ];
        store.save(&rows, NOW).await.unwrap();
        rows[0].tokens = u64::MAX;
        store.save(&rows[..1], NOW + 1).await.unwrap();
        store.close().await;
        drop(store);

        let store = Store::open(&config).await.unwrap();
        let mut kept = store.load().await.unwrap();
        kept.sort_by(|a, b| a.holder.cmp(&b.holder));
        assert_eq!(kept[0].tokens, u64::MAX / 2, "as much as the database can say");
        assert_eq!(&kept[1..], &rows[1..]);

        store.save(&[row(caller("b"), today, 1)], NOW + 62).await.unwrap();
        let kept = store.load().await.unwrap();
        assert_eq!(kept.len(), 3, "a minute later requests are over, tokens of today are not: {kept:?}");
        store.save(&[row(caller("c"), today + 1, 1)], NOW + 86_400).await.unwrap();
        let kept = store.load().await.unwrap();
        assert_eq!(kept, [row(caller("c"), today + 1, 1)]);
    }
}
