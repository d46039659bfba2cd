//! The one place that asks what time it is; everyone else is handed a [`Clock`].

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};

/// Wall-clock time as a value that can be handed around and, in tests, moved by hand.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The operating system's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until its [`Hand`] moves it.
    pub fn manual(start: SystemTime) -> (Self, Hand) {
        let millis = Arc::new(AtomicI64::new(unix_millis(start)));
        (Self(Source::Manual(Arc::clone(&millis))), Hand(millis))
    }

    /// The time now, to the millisecond on a manual clock.
    pub fn now(&self) -> SystemTime {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one caller of SystemTime::now")]
            Source::System => SystemTime::now(),
            Source::Manual(millis) => from_unix_millis(millis.load(Ordering::SeqCst)),
        }
    }

    /// The time now in whole seconds since 1970, as tokens and certificates count it.
    pub fn unix_seconds(&self) -> i64 {
        unix_millis(self.now()).div_euclid(1000)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", rfc3339(self.now()))
    }
}

/// Moves a manual [`Clock`].
#[derive(Clone, Debug)]
pub struct Hand(Arc<AtomicI64>);

impl Hand {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

/// Milliseconds since 1970; negative before.
pub fn unix_millis(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |m| -m),
    }
}

/// The instant that many milliseconds after 1970.
pub fn from_unix_millis(millis: i64) -> SystemTime {
    if millis >= 0 {
        UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
    } else {
        UNIX_EPOCH - Duration::from_millis(millis.unsigned_abs())
    }
}

/// UTC, RFC 3339, milliseconds: `2026-11-23T07:15:46.123Z`. The format has four digits for the year: what lies outside is
/// written as its first or last moment.
pub fn rfc3339(at: SystemTime) -> String {
    let nanos = i128::from(unix_millis(at)).saturating_mul(1_000_000);
    let bound = if nanos < 0 { FIRST } else { LAST };
    let utc = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(bound).clamp(FIRST, LAST);
    let (y, mo, d) = utc.to_calendar_date();
    let (h, mi, s, ms) = utc.to_hms_milli();
    format!("{y:04}-{:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{ms:03}Z", u8::from(mo))
}

const FIRST: OffsetDateTime = datetime!(0000-01-01 00:00:00 UTC);
const LAST: OffsetDateTime = datetime!(9999-12-31 23:59:59.999 UTC);

/// Reads an RFC 3339 time.
pub fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(Into::into)
}

/// Reads a duration as people write it: whole numbers with `ms`, `s`, `m`, `h` or `d`, largest first or alone, such as
/// `10m`, `1h30m`, `500ms`. `None` for anything else, and for more than 10,000 days.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        if millis >= last {
            return None;
        }
        total = total.checked_add(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(millis)?))?;
        (last, rest) = (millis, tail);
    }
    (last != u64::MAX && total <= Duration::from_hours(24 * 10_000)).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_by_its_hand() {
        let (clock, hand) = Clock::manual(UNIX_EPOCH + Duration::from_secs(1_000));
        assert_eq!(clock.unix_seconds(), 1_000);
        hand.advance(Duration::from_millis(1_500));
        assert_eq!(unix_millis(clock.now()), 1_001_500);
    }

    #[test]
    fn rfc3339_round_trips_to_the_millisecond() {
        let at = from_unix_millis(1_795_418_146_123);
        assert_eq!(rfc3339(at), "2026-11-23T07:15:46.123Z");
        assert_eq!(parse_rfc3339(&rfc3339(at)), Some(at));
    }

    #[test]
    fn a_time_that_the_format_cannot_write_is_its_nearest_and_no_panic() {
        for (millis, written) in [
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "9999-12-31T23:59:59.999Z"),
            (-62_167_219_200_001, "0000-01-01T00:00:00.000Z"),
            (i64::MIN + 1, "0000-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(from_unix_millis(millis)), written, "{millis}");
        }
        // A peer may write the last evening of 9999 in a zone where it is already the year after.
        let beyond = parse_rfc3339("9999-12-31T23:59:59-23:59").unwrap();
        assert_eq!(rfc3339(beyond), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        let read = |text: &str| parse_duration(text).map(|d| d.as_millis());
        assert_eq!(read("10m"), Some(600_000));
        assert_eq!(read("1h30m"), Some(5_400_000));
        assert_eq!(read("1d2h3m4s5ms"), Some(93_784_005));
        assert_eq!(read("0s"), Some(0));
        for wrong in
            ["", "10", "m", "1.5h", "-1s", "1m1h", "1m1m", "1 h", "1y", "99999999999999999999s", "10001d"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
