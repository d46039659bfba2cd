//! Where one recording lies: by model and day, so that retention looks at few names, and by an id that gives its own time.

use std::time::SystemTime;

use crate::clock::{from_unix_millis, rfc3339};

/// Digits of an id behind its prefix: a UUIDv7, whose first twelve are milliseconds since 1970 (RFC 9562 §5.7).
const DIGITS: usize = 32;
const TIME: usize = 12;

/// The place of one recording. Its parts are safe as names of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    model: String,
    day: String,
    name: String,
    at: SystemTime,
}

impl Place {
    /// Where the recording of an exchange (`ex_…`) of the model lies; `None` when the model or the id is none that a gateway gives.
    pub fn of(model: &str, exchange: &str) -> Option<Self> {
        let (name, at) = name_of(exchange.strip_prefix("ex_")?)?;
        let safe = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let named = model.len() <= 63
            && model.bytes().next().is_some_and(safe)
            && model.bytes().all(|byte| safe(byte) || matches!(byte, b'.' | b'_' | b'-'));
        named.then(|| Self { model: model.to_owned(), day: day_of(at), name, at })
    }

    /// A recording by its own name (`rec_…`).
    pub(super) fn named(model: &str, name: &str) -> Option<Self> {
        Self::of(model, &format!("ex_{}", name.strip_prefix("rec_")?))
    }

    /// Day and name of an exchange's recording, whatever its model; `None` for what is no exchange's id.
    pub(super) fn anywhere(exchange: &str) -> Option<(String, String)> {
        let (name, at) = name_of(exchange.strip_prefix("ex_")?)?;
        Some((day_of(at), name))
    }

    /// The model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// `YYYY-MM-DD`, UTC.
    pub fn day(&self) -> &str {
        &self.day
    }

    /// The recording's id, `rec_…`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When the exchange began, as its id says.
    pub fn at(&self) -> SystemTime {
        self.at
    }
}

/// The day of an instant, as folders of recordings are called.
pub(super) fn day_of(at: SystemTime) -> String {
    let mut text = rfc3339(at);
    text.truncate("YYYY-MM-DD".len());
    text
}

fn name_of(digits: &str) -> Option<(String, SystemTime)> {
    let hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    if digits.len() != DIGITS || !digits.bytes().all(hex) {
        return None;
    }
    let millis = i64::from_str_radix(digits.get(..TIME)?, 16).ok()?;
    Some((format!("rec_{digits}"), from_unix_millis(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id;

    #[test]
    fn a_place_is_found_from_the_exchange_alone() {
        let at = from_unix_millis(1_795_418_146_123);
        let exchange = id::new("ex", at);
        let place = Place::of("fraud-detector", &exchange).unwrap();
        assert_eq!((place.model(), place.day(), place.at()), ("fraud-detector", "2026-11-23", at));
        assert_eq!(place.name(), exchange.replace("ex_", "rec_"));
        assert_eq!(Place::anywhere(&exchange), Some(("2026-11-23".into(), place.name().into())));
        assert_eq!(Place::named("fraud-detector", place.name()), Some(place));
    }

    #[test]
    fn hostile_names_have_no_place() {
        let good = id::new("ex", from_unix_millis(0));
        for model in ["", ".", "..", "../m", "m/../..", "M", "-m", "m\0", "m/n", &"m".repeat(64)] {
            assert_eq!(Place::of(model, &good), None, "{model}");
        }
        for exchange in [
            "",
            "ex_",
            "ex_../../../../etc/passwd",
            "ex_0193590C5A7B7C3E8F0D1B2A3C4D5E6F",
            "rec_0193590c5a7b7c3e8f0d1b2a3c4d5e6f",
            "ex_0193590c5a7b7c3e8f0d1b2a3c4d5e6f0",
            "ex_0193590c5a7b7c3e8f0d1b2a3c4d5e6/",
        ] {
            assert_eq!(Place::of("m", exchange), None, "{exchange}");
            assert_eq!(Place::anywhere(exchange), None, "{exchange}");
        }
    }
}
