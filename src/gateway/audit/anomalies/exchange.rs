//! What the rules look at of an exchange's event: numbers and hashes, no text of anybody's choosing.

use std::{fmt, net::IpAddr, time::Duration};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::{
    clock::{parse_rfc3339, unix_millis},
    evidence::event::Event,
    wire::code,
};

/// Groups of a caller that are compared with others'.
pub(super) const MOST_GROUPS: usize = 16;
/// An exchange that says it lasted longer did not.
const LONGEST: Duration = Duration::from_hours(24 * 7);
/// Of a text that becomes a hash, bytes.
const MAX_TEXT: usize = 4096;

/// A caller: the beginning of a SHA-256 of provider and subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(u128);

impl Key {
    /// The key of a caller.
    pub(super) fn of(provider: &str, subject: &str) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(provider.as_bytes());
        // In no provider's name.
        hash.update(&[0]);
        hash.update(subject.as_bytes());
        let hash = hash.finish();
        Self(hash.as_ref().first_chunk::<16>().map_or(0, |first| u128::from_be_bytes(*first)))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for Key {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// A source network: the first 24 bits of an IPv4 address, or the first 48 of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Prefix {
    V4([u8; 3]),
    V6([u16; 3]),
}

impl Prefix {
    fn of(address: &str) -> Option<Self> {
        match address.parse::<IpAddr>().ok()?.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Some(Self::V4([a, b, c]))
            }
            IpAddr::V6(v6) => {
                let [a, b, c, ..] = v6.segments();
                Some(Self::V6([a, b, c]))
            }
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Self::V6([a, b, c]) => write!(f, "{a:x}:{b:x}:{c:x}::/48"),
        }
    }
}

/// An exchange as the rules see it.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) caller: Key,
    /// When it ended, seconds since 1970: that is the log's order.
    pub(super) at: i64,
    pub(super) model: u64,
    /// Nothing went to the model.
    pub(super) refused: bool,
    /// Policy said no, or there is no such model.
    pub(super) denied: bool,
    pub(super) bytes: u64,
    pub(super) tokens: u64,
    pub(super) masked: u64,
    /// What was asked.
    pub(super) input: Option<u64>,
    pub(super) network: Option<Prefix>,
    pub(super) groups: Vec<u64>,
}

impl Exchange {
    /// `None` for every other event, and for one that names no caller, no model or no time.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let caller = event.caller.as_ref().filter(|_| event.kind == "exchange")?;
        let response = event.response.as_ref()?;
        let lasted = Some(response.duration_ms).filter(|ms| u128::from(*ms) <= LONGEST.as_millis());
        let began = unix_millis(parse_rfc3339(&event.time)?);
        let lasted = lasted.and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0);
        let refused = response.outcome == "refused";
        // What follows from an alarm must not raise another.
        let held = event.detail.as_deref().is_some_and(|why| why.starts_with(code::CALLER_SUSPENDED));
        let verdict = event.decision.as_ref().map(|decision| decision.verdict.as_str());
        let input = event.request.as_ref().and_then(|request| request.sha256.as_deref());
        Some(Self {
            caller: Key::of(&caller.provider, &caller.subject),
            at: began.saturating_add(lasted).div_euclid(1000),
            model: hash(event.model.as_deref()?),
            refused,
            denied: refused && !held && (verdict == Some("deny") || response.status == 404),
            bytes: response.bytes,
            tokens: response.tokens.map_or(0, |tokens| tokens.output),
            masked: event.masked.values().fold(0, |sum: u64, count| sum.saturating_add(*count)),
            input: input.and_then(|hex| u64::from_str_radix(hex.get(..16)?, 16).ok()),
            network: event.source.as_deref().and_then(Prefix::of),
            groups: caller.groups.iter().take(MOST_GROUPS).map(|group| hash(group)).collect(),
        })
    }
}

/// The same in every process; two texts of one caller's that meet in it would be a chance of one in 2^64.
pub(super) fn hash(text: &str) -> u64 {
    let bounded = text.as_bytes().get(..MAX_TEXT).unwrap_or(text.as_bytes());
    let hash = digest::digest(&digest::SHA256, bounded);
    hash.as_ref().first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_prefixes_of_any_writing() {
        for (address, network) in [
            ("203.0.113.77", Some("203.0.113.0/24")),
            ("::ffff:203.0.113.77", Some("203.0.113.0/24")),
            ("2001:db8:7:9::1", Some("2001:db8:7::/48")),
            ("203.0.113.77:443", None),
            ("nonsense\u{1b}[2J", None),
            ("", None),
        ] {
            assert_eq!(Prefix::of(address).map(|p| p.to_string()).as_deref(), network, "{address}");
        }
    }

    #[test]
    fn keys_come_back_from_their_text_and_tell_providers_apart() {
        let key = Key::of("corp", "alice");
        assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
        assert_ne!(key, Key::of("corpa", "lice"));
    }
}
