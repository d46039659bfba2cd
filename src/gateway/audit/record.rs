//! The journal's records: a word that says what it is, a space, and the event's JSON.
//!
//! `intent` opens an exchange, `finish` closes the intent of the same event id with the complete event, `event` is complete by itself.

use serde::Deserialize;

use super::{AuditError, MAX_RECORD};
use crate::evidence::event::Event;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Intent,
    Finish,
    Event,
}

impl Tag {
    fn word(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Finish => "finish",
            Self::Event => "event",
        }
    }
}

/// A record taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parsed<'a> {
    pub(super) tag: Tag,
    pub(super) json: &'a str,
}

impl Parsed<'_> {
    /// The event's id alone, for pairing intents and finishes.
    pub(super) fn id(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Id {
            id: String,
        }
        serde_json::from_str::<Id>(self.json).ok().map(|e| e.id)
    }

    pub(super) fn event(&self) -> Option<Event> {
        serde_json::from_str(self.json).ok()
    }
}

/// The record of an event.
pub(super) fn encode(tag: Tag, event: &Event) -> Result<Vec<u8>, AuditError> {
    let mut record = Vec::with_capacity(1024);
    record.extend_from_slice(tag.word().as_bytes());
    record.push(b' ');
    serde_json::to_writer(&mut record, event)
        .map_err(|e| AuditError(format!("the event {} cannot be written as JSON: {e}", event.id)))?;
    if record.len() > MAX_RECORD {
        return Err(AuditError(format!(
            "the event {} takes {} bytes, more than the {MAX_RECORD} a record may have",
            event.id,
            record.len()
        )));
    }
    Ok(record)
}

/// Takes a record apart; `None` when it is none of this version's.
pub(super) fn parse(record: &[u8]) -> Option<Parsed<'_>> {
    let (word, json) = std::str::from_utf8(record).ok()?.split_once(' ')?;
    let tag = [Tag::Intent, Tag::Finish, Tag::Event].into_iter().find(|t| t.word() == word)?;
    Some(Parsed { tag, json })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_and_comes_back_as_it_was() {
        let event = Event { id: "ev_1".into(), detail: Some("two\nlines".into()), ..Event::default() };
        let record = encode(Tag::Finish, &event).unwrap();
        assert!(!record.contains(&b'\n'));
        let parsed = parse(&record).unwrap();
        assert_eq!(parsed.tag, Tag::Finish);
        assert_eq!(parsed.id().as_deref(), Some("ev_1"));
        assert_eq!(parsed.event(), Some(event));
    }

    #[test]
    fn an_event_beyond_the_bound_is_refused() {
        let event = Event { detail: Some("x".repeat(MAX_RECORD)), ..Event::default() };
        assert!(encode(Tag::Event, &event).is_err());
    }

    #[test]
    fn a_foreign_record_is_none_of_ours() {
        assert_eq!(parse(b"checkpoint {}"), None);
        assert_eq!(parse(b"\xff\xfe"), None);
    }
}
