//! The leaf of an event: the bytes that the log's tree is made of.
//!
//! The leaf is the event's JSON text as the journal has it, to the byte: no whitespace, fields in the order of [`super::event::Event`].
//! Entry bundles give a leaf two bytes for its length (C2SP tlog-tiles), so an event that is longer stands in the log as its digest.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::tlog::{self, MAX_ENTRY};

/// What stands in the log for an event longer than [`MAX_ENTRY`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stub {
    /// The event's.
    pub schema: String,
    /// The event's.
    pub id: String,
    /// The event's.
    pub time: String,
    /// The event's.
    pub kind: String,
    /// What the event's text is.
    pub oversize: Oversize,
}

/// An event's text by its length and digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oversize {
    /// Of the event's JSON text.
    pub bytes: u64,
    /// Of the event's JSON text, hex.
    pub sha256: String,
}

/// The leaf of an event's JSON text.
pub fn leaf(json: &str) -> Cow<'_, [u8]> {
    within(json, MAX_ENTRY)
}

/// An event's JSON text, or what stands for it where no more than so many bytes may: a [`Stub`], of some 1,300 bytes at most.
pub fn within(json: &str, most: usize) -> Cow<'_, [u8]> {
    if json.len() <= most {
        return Cow::Borrowed(json.as_bytes());
    }
    /// The fields every event has.
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Head {
        schema: String,
        id: String,
        time: String,
        kind: String,
    }
    let head: Head = serde_json::from_str(json).unwrap_or_default();
    let short = |text: String| if text.len() <= 256 { text } else { String::new() };
    let stub = Stub {
        schema: short(head.schema),
        id: short(head.id),
        time: short(head.time),
        kind: short(head.kind),
        oversize: Oversize { bytes: json.len() as u64, sha256: tlog::sha256(json.as_bytes()).to_string() },
    };
    // Strings and a number are always JSON.
    Cow::Owned(serde_json::to_vec(&stub).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_its_own_leaf_and_a_long_one_its_digest() {
        let text = r#"{"schema":"hoopctl.audit/1","id":"ev_1","time":"t","kind":"login"}"#;
        assert_eq!(*leaf(text), *text.as_bytes());
        let long = format!(
            r#"{{"schema":"hoopctl.audit/1","id":"ev_1","time":"t","kind":"login","detail":"{}"}}"#,
            "x".repeat(MAX_ENTRY)
        );
        let stub: Stub = serde_json::from_slice(&leaf(&long)).unwrap();
        assert_eq!((stub.id.as_str(), stub.kind.as_str()), ("ev_1", "login"));
        assert_eq!(stub.oversize.bytes, long.len() as u64);
        assert_ne!(*leaf(&long), *leaf(&long.replace("xx", "xy")), "every byte counts");
        assert_eq!(*leaf(std::str::from_utf8(&leaf(&long)).unwrap()), *leaf(&long), "a stub is its own leaf");
    }

    #[test]
    fn an_event_of_exactly_the_bound_is_whole() {
        let text = "x".repeat(MAX_ENTRY);
        assert_eq!(leaf(&text).len(), MAX_ENTRY);
        assert!(leaf(&format!("{text}x")).len() < 1024);
    }
}
