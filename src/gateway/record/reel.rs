//! One recording at its writer: entries become lines, lines become segments, and what cannot be kept becomes a named gap.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use super::{
    Meters, Place, RecordError, Shelf, Track,
    tape::{Sealed, Shared, Told, tell},
    track::{METADATA, Sides},
};
use crate::evidence::recording::{Chain, Entry, Header, Outcome, SCHEMA, Sealer, Side, What};

/// A segment is closed when its lines are this long, bytes, or this old.
const LONG: usize = 128 * 1024;
const OLD: Duration = Duration::from_secs(1);

/// Why bytes are missing that found no room in the queue.
const SLOW: &str = "the store of recordings was too slow";

/// One recording under way.
pub(super) struct Reel {
    shared: Arc<Shared>,
    place: Place,
    exchange: String,
    metadata: bool,
    tracks: Sides<Track>,
    lines: Vec<u8>,
    /// When the first of the lines was written.
    since: Option<Instant>,
    /// `None`: it is not on the shelf yet.
    chain: Option<Chain>,
    digest: Context,
    /// Bytes of both sides in the lines, and those that were in lines that could not be kept.
    held: Sides<u64>,
    lost: Sides<u64>,
    gaps: u64,
    failure: Option<String>,
    /// Nothing more is written: the exchange must not go on.
    dead: bool,
    meters: Meters,
}

impl Reel {
    pub(super) fn new(
        shared: Arc<Shared>,
        place: Place,
        exchange: String,
        metadata: bool,
        meters: Meters,
    ) -> Self {
        Self {
            shared,
            place,
            exchange,
            metadata,
            tracks: Sides { caller: Track::counted(METADATA), model: Track::counted(METADATA) },
            lines: Vec::new(),
            since: None,
            chain: None,
            digest: Context::new(&SHA256),
            held: Sides::default(),
            lost: Sides::default(),
            gaps: 0,
            failure: None,
            dead: false,
            meters,
        }
    }

    /// Puts the beginning of the recording on the shelf.
    pub(super) fn begin(&mut self, shelf: &dyn Shelf) -> Result<(), RecordError> {
        let header = Header {
            schema: SCHEMA.to_owned(),
            recording: self.place.name().to_owned(),
            exchange: self.exchange.clone(),
        };
        let begun = Chain::begin(&header).map_err(|damage| damage.to_string());
        let begun = begun.and_then(|(chain, bytes)| {
            shelf.create(&self.place, &bytes).map_err(|error| error.to_string())?;
            Ok((chain, bytes))
        });
        match begun {
            Ok((chain, bytes)) => {
                self.digest.update(&bytes);
                self.chain = Some(chain);
                self.meters.wrote(bytes.len());
                Ok(())
            }
            Err(why) => {
                self.fail(&why);
                Err(RecordError(why))
            }
        }
    }

    pub(super) fn track(&mut self, side: Side, track: Track) {
        *self.tracks.of_mut(side) = track;
    }

    pub(super) fn note(&mut self, at: u64, what: What) {
        self.fill(at);
        self.add(Entry { at, what });
    }

    pub(super) fn heard(&mut self, at: u64, side: Side, bytes: Bytes) {
        self.fill(at);
        *self.held.of_mut(side) += bytes.len() as u64;
        let mut found = Vec::new();
        self.tracks.of_mut(side).push(side, bytes, &mut found);
        self.found(at, found);
    }

    pub(super) fn over(&mut self, at: u64, side: Side, whole: bool) {
        let mut found = Vec::new();
        self.tracks.of_mut(side).finish(side, whole, &mut found);
        self.found(at, found);
    }

    /// Whether the segment is long enough.
    pub(super) fn is_long(&self) -> bool {
        self.lines.len() >= LONG
    }

    /// Whether it is old enough.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) >= OLD)
    }

    /// Adds an entry.
    pub(super) fn add(&mut self, entry: Entry) {
        if self.dead {
            return;
        }
        self.since.get_or_insert_with(Instant::now);
        let before = self.lines.len();
        if entry.write(&mut self.lines).is_err() {
            self.lines.truncate(before);
        }
    }

    /// Seals the lines and puts them on the shelf; then they are kept, or lost and named.
    pub(super) fn flush(&mut self, shelf: &dyn Shelf, sealer: &mut Sealer, last: bool) {
        self.since = None;
        if self.dead || (self.lines.is_empty() && !last) {
            return;
        }
        let lines = std::mem::take(&mut self.lines);
        match self.keep(shelf, sealer, &lines, last) {
            Ok(()) => self.held = Sides::default(),
            Err(why) => {
                tracing::warn!(recording = self.place.name(), why, "a part of a recording was not kept");
                self.gaps += 1;
                self.meters.gap();
                for side in [Side::Caller, Side::Model] {
                    *self.lost.of_mut(side) += std::mem::take(self.held.of_mut(side));
                }
                self.fail(&why);
            }
        }
    }

    fn keep(&mut self, shelf: &dyn Shelf, sealer: &mut Sealer, lines: &[u8], last: bool) -> Result<(), String> {
        if self.chain.is_none() {
            self.begin(shelf).map_err(|error| error.0)?;
        }
        let chain = self.chain.as_ref().ok_or("it was not begun")?;
        let named;
        let lines = match self.named(lines) {
            Some(with_gaps) => {
                named = with_gaps;
                &named[..]
            }
            None => lines,
        };
        let sealed = sealer.seal(self.place.name(), chain.index(), lines).map_err(|e| e.to_string())?;
        let (next, bytes) = chain.segment(&sealed, last).map_err(|e| e.to_string())?;
        shelf.append(&self.place, &bytes).map_err(|e| e.to_string())?;
        self.digest.update(&bytes);
        self.chain = Some(next);
        self.lost = Sides::default();
        if self.gaps == 0 {
            // It was late on the shelf, and nothing is missing.
            self.failure = None;
        }
        self.meters.wrote(bytes.len());
        Ok(())
    }

    /// The lines with what was lost before them, where something was.
    fn named(&self, lines: &[u8]) -> Option<Vec<u8>> {
        let why = self.failure.as_ref().filter(|_| self.lost.caller > 0 || self.lost.model > 0)?;
        let mut named = Vec::new();
        for side in [Side::Caller, Side::Model] {
            let bytes = *self.lost.of(side);
            if bytes > 0 {
                let what = What::Omitted { from: side, bytes, why: why.clone() };
                Entry { at: self.now(), what }.write(&mut named).ok()?;
            }
        }
        named.extend_from_slice(lines);
        Some(named)
    }

    /// Writes the end, and tells what became of the recording.
    pub(super) fn end(
        mut self,
        at: u64,
        outcome: String,
        told: &Told,
        shelf: &dyn Shelf,
        sealer: &mut Sealer,
    ) {
        let whole = outcome == "complete";
        self.fill(at);
        self.over(at, Side::Caller, whole);
        self.over(at, Side::Model, whole);
        self.add(Entry { at, what: What::Ended(Outcome { outcome }) });
        self.flush(shelf, sealer, true);
        let sha256 = self.chain.is_some().then(|| {
            let mut sha256 = [0; 32];
            sha256.copy_from_slice(self.digest.clone().finish().as_ref());
            sha256
        });
        let failure = self.failure.or_else(|| self.shared.why());
        let recording = self.place.name().to_owned();
        tell(told, Sealed { recording, sha256, gaps: self.gaps, failure });
    }

    /// Removes what was written: there is no such exchange.
    pub(super) fn discard(self, shelf: &dyn Shelf) {
        if let Err(error) = shelf.remove(&self.place) {
            tracing::warn!(recording = self.place.name(), %error, "the recording of no exchange could not be removed");
        }
    }

    fn found(&mut self, at: u64, found: Vec<What>) {
        for what in found {
            if let What::Omitted { why, .. } = &what
                && why != METADATA
            {
                self.gap(why.clone());
            }
            self.add(Entry { at, what });
        }
    }

    /// Names what found no room in the queue.
    fn fill(&mut self, at: u64) {
        for side in [Side::Caller, Side::Model] {
            let bytes = self.shared.take_missed(side);
            if bytes > 0 {
                let why = if self.metadata { METADATA } else { SLOW };
                self.found(at, vec![What::Omitted { from: side, bytes, why: why.to_owned() }]);
            }
        }
    }

    fn gap(&mut self, why: String) {
        if self.failure.is_none() || self.gaps == 0 {
            self.meters.gap();
        }
        self.gaps += 1;
        self.failure.get_or_insert(why);
    }

    fn fail(&mut self, why: &str) {
        self.failure.get_or_insert_with(|| why.to_owned());
        self.shared.fail(why);
        self.dead = self.shared.must_end();
    }

    fn now(&self) -> u64 {
        u64::try_from(self.shared.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
