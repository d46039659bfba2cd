//! How long recordings are kept: those whose time is over are named to the audit log and then removed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use super::{Meters, Place, RecordError, Shelf, place::day_of};

/// Recordings removed and named at once.
const BATCH: usize = 100;

/// Recordings whose time is over: told before they are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The model.
    pub model: String,
    /// How long its recordings are kept.
    pub keep: Duration,
    /// Their ids, `rec_…`, oldest first.
    pub recordings: Vec<String>,
}

/// Removes what is older than its model says; nothing that `tell` does not take, and nothing of `open`.
pub(super) fn sweep(
    shelf: &dyn Shelf,
    keeps: &BTreeMap<String, Duration>,
    now: SystemTime,
    open: &BTreeSet<String>,
    tell: &dyn Fn(Removed) -> Result<(), RecordError>,
    meters: &Meters,
) {
    for (model, keep) in keeps {
        let Some(before) = now.checked_sub(*keep) else { continue };
        if let Err(error) = sweep_model(shelf, (model, *keep, before), open, tell, meters) {
            tracing::error!(model, %error, "recordings whose time is over could not be removed");
        }
    }
}

fn sweep_model(
    shelf: &dyn Shelf,
    (model, keep, before): (&str, Duration, SystemTime),
    open: &BTreeSet<String>,
    tell: &dyn Fn(Removed) -> Result<(), RecordError>,
    meters: &Meters,
) -> Result<(), RecordError> {
    let unwell = |error: std::io::Error| RecordError(error.to_string());
    let last = day_of(before);
    for day in shelf.days(model).map_err(unwell)?.into_iter().filter(|day| *day <= last) {
        let names = shelf.names(model, &day).map_err(unwell)?;
        let places = names.iter().filter_map(|name| Place::named(model, name));
        let over: Vec<Place> =
            places.filter(|place| place.at() < before && !open.contains(place.name())).collect();
        for batch in over.chunks(BATCH) {
            let recordings = batch.iter().map(|place| place.name().to_owned()).collect();
            // Told first: nothing is removed that nobody hears of.
            tell(Removed { model: model.to_owned(), keep, recordings })?;
            for place in batch {
                shelf.remove(place).map_err(unwell)?;
            }
            meters.removed(batch.len());
        }
    }
    Ok(())
}
