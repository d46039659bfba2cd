//! Events on their way: taken from rows of the ledger, filtered, bounded in number and bytes.

use crate::{
    evidence::{event::Event, tlog},
    gateway::audit::Row,
};

/// One event on its way.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    /// Its place in the ledger.
    pub(super) place: u64,
    /// Its text, to the byte.
    pub(super) json: String,
    /// What the text says.
    pub(super) event: Event,
}

/// The wanted events among rows, of some so many bytes together, and the place up to which every row was looked at.
pub(super) fn pack(rows: Vec<Row>, kinds: &[String], most: usize) -> (Vec<Parcel>, Option<u64>) {
    let (mut parcels, mut bytes, mut end) = (Vec::new(), 0_usize, None);
    for row in rows {
        // A row that is no event is none of this version's: its text is passed on all the same.
        let event: Event = serde_json::from_str(&row.json).unwrap_or_default();
        if kinds.is_empty() || kinds.contains(&event.kind) {
            bytes = bytes.saturating_add(row.json.len());
            if bytes > most && !parcels.is_empty() {
                break;
            }
            parcels.push(Parcel { place: row.seq, json: row.json, event });
        }
        end = Some(row.seq);
    }
    (parcels, end)
}

/// What a delivery of these events is called: the same for the same events, whoever sends them and when.
pub(super) fn id(sink: &str, parcels: &[Parcel]) -> String {
    let mut named = sink.to_owned();
    for parcel in parcels {
        named.push('\n');
        named.push_str(&parcel.event.id);
    }
    let digest = tlog::sha256(named.as_bytes()).to_string();
    format!("sink_{}", digest.get(..32).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(events: &[(&str, &str)]) -> Vec<Row> {
        let row = |(seq, (id, kind)): (u64, &(&str, &str))| Row {
            seq,
            json: format!(r#"{{"schema":"hoopctl.audit/1","id":"{id}","time":"t","kind":"{kind}"}}"#),
        };
        (1..).zip(events).map(row).collect()
    }

    #[test]
    fn only_wanted_kinds_are_packed_and_the_rest_is_passed_over() {
        let all = rows(&[("a", "login"), ("b", "exchange"), ("c", "login"), ("d", "renewal")]);
        let (parcels, end) = pack(all.clone(), &["login".to_owned()], 10_000);
        let ids: Vec<_> = parcels.iter().map(|p| (p.place, p.event.id.as_str())).collect();
        assert_eq!((ids, end), (vec![(1, "a"), (3, "c")], Some(4)));
        assert_eq!(pack(all, &["anomaly".to_owned()], 10_000).1, Some(4));
        assert_eq!(pack(Vec::new(), &[], 10_000).1, None);
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_and_never_empty() {
        let all = rows(&[("a", "login"), ("b", "login"), ("c", "login")]);
        let one = all[0].json.len();
        let (parcels, end) = pack(all.clone(), &[], 2 * one);
        assert_eq!((parcels.len(), end), (2, Some(2)));
        let (parcels, end) = pack(all, &[], 1);
        assert_eq!((parcels.len(), end), (1, Some(1)));
    }

    #[test]
    fn a_delivery_has_the_same_id_however_often_it_is_made() {
        let (parcels, _) = pack(rows(&[("a", "login"), ("b", "login")]), &[], 10_000);
        assert_eq!(id("siem", &parcels), id("siem", &parcels));
        assert_ne!(id("siem", &parcels), id("siem", &parcels[..1]));
        assert_ne!(id("siem", &parcels), id("other", &parcels));
        assert_eq!(id("siem", &parcels).len(), 5 + 32);
    }
}
