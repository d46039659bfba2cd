//! What a former process left open becomes `interrupted`, once.
//!
//! The marks are ordinary finish records: a crash during recovery leaves some intents finished and the others open, and the next start
//! marks the others. Nothing else has to be remembered.

use std::{collections::HashMap, sync::Arc};

use super::{
    AuditError, Journal, Left, Parts,
    indexer::{blocking, damage},
    record::{Tag, encode, parse},
    writer::Writer,
};
use crate::evidence::event::{Event, SCHEMA};

/// An open intent as found.
struct Found {
    id: String,
    /// The position after it: the order of intents.
    end: u64,
    record: Vec<u8>,
}

/// Finds the open intents of the whole journal, brings the journal past `indexed`, and finishes them; returns how many.
pub(super) async fn recover(
    parts: &Arc<Parts>,
    writer: &Arc<Writer>,
    indexed: u64,
) -> Result<u64, AuditError> {
    let (parts, writer) = (Arc::clone(parts), Arc::clone(writer));
    blocking(move || {
        let open = scan(parts.journal.as_ref(), parts.tuning.batch)?;
        // After a loss of power the ledger may know more of the journal than the disk does. Positions already taken must not be used
        // for other records, or they would pass for indexed.
        if writer.end() < indexed {
            let end = writer.end();
            let carry: Vec<&[u8]> = open.iter().map(|found| found.record.as_slice()).collect();
            parts.journal.rotate(indexed, &carry)?;
            writer.follow();
            let detail = format!(
                "the journal ends at position {end}, before {indexed}, up to which the database has it: its end was lost or cut off"
            );
            writer.event(&encode(Tag::Event, &damage(detail, &parts.clock))?)?;
        }
        for found in &open {
            writer.event(&encode(Tag::Finish, &interrupted(found, parts.left.as_ref()))?)?;
        }
        Ok(open.len() as u64)
    })
    .await
}

/// The open intents of the journal, in the order in which they were made.
fn scan(journal: &dyn Journal, batch: usize) -> Result<Vec<Found>, AuditError> {
    let mut open: HashMap<String, Found> = HashMap::new();
    let mut position = journal.extent().start;
    loop {
        let records = journal.read_from(position, batch)?;
        let Some(end) = records.last().map(|r| r.end) else { break };
        for record in records {
            let Some(parsed) = parse(&record.bytes) else { continue };
            match (parsed.tag, parsed.id()) {
                (Tag::Intent, Some(id)) => {
                    open.insert(id.clone(), Found { id, end: record.end, record: record.bytes });
                }
                (Tag::Finish, Some(id)) => drop(open.remove(&id)),
                (Tag::Event, _) | (_, None) => {}
            }
        }
        position = end;
    }
    let mut open: Vec<Found> = open.into_values().collect();
    open.sort_unstable_by_key(|found| found.end);
    Ok(open)
}

/// The event of an exchange whose end nobody saw: what was intended, and that it was interrupted.
fn interrupted(found: &Found, left: Option<&Left>) -> Event {
    let intended = parse(&found.record).and_then(|p| p.event());
    let mut event = intended.unwrap_or_else(|| Event {
        schema: SCHEMA.to_owned(),
        id: found.id.clone(),
        kind: "exchange".to_owned(),
        detail: Some("its intent was written by another version and is not understood".to_owned()),
        ..Event::default()
    });
    event.response.get_or_insert_default().outcome = "interrupted".to_owned();
    if let Some(left) = left {
        left(&mut event);
    }
    event
}
