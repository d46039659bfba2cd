//! How exchanges were carried: shares of versions, ciphers, groups and carriers on each leg, and what of it was not encrypted.

use super::{
    LegFigures,
    tally::{Tally, shares},
};
use crate::evidence::event::Leg;

/// Names told apart on each leg; there are some dozen suites and groups.
const MOST: usize = 64;
/// Stands where others have a version, suite or group.
const NONE: &str = "none (plaintext)";
const LOCAL: &str = "none (socket of the gateway's machine)";
const UNSAID: &str = "not said";

/// How one leg was protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    PostQuantum,
    Encrypted,
    Local,
    Plaintext,
}

impl Protection {
    pub(super) fn of(leg: &Leg) -> Self {
        if !leg.tls.is_empty() {
            return if is_post_quantum(&leg.group) { Self::PostQuantum } else { Self::Encrypted };
        }
        if leg.transport == "unix" { Self::Local } else { Self::Plaintext }
    }

    pub(super) fn encrypted(self) -> bool {
        matches!(self, Self::PostQuantum | Self::Encrypted)
    }
}

/// Whether a key-exchange group holds against a quantum computer: all with ML-KEM (FIPS 203) in them.
fn is_post_quantum(group: &str) -> bool {
    group.to_ascii_uppercase().contains("MLKEM")
}

/// One leg, counted.
#[derive(Debug)]
pub(super) struct Legs {
    figures: LegFigures,
    versions: Tally,
    ciphers: Tally,
    groups: Tally,
    transports: Tally,
}

impl Legs {
    pub(super) fn new() -> Self {
        let tally = || Tally::of(MOST);
        Self {
            figures: LegFigures::default(),
            versions: tally(),
            ciphers: tally(),
            groups: tally(),
            transports: tally(),
        }
    }

    /// Counts a leg; how it was protected.
    pub(super) fn add(&mut self, leg: &Leg) -> Protection {
        let protection = Protection::of(leg);
        let figures = &mut self.figures;
        figures.exchanges += 1;
        match protection {
            Protection::PostQuantum => figures.post_quantum += 1,
            Protection::Encrypted => {}
            Protection::Local => figures.local += 1,
            Protection::Plaintext => figures.plaintext += 1,
        }
        if protection.encrypted() {
            figures.encrypted += 1;
            figures.unverified += u64::from(leg.verified == Some(false));
        }
        let named = |text: &str| {
            match protection {
                Protection::Plaintext => NONE,
                Protection::Local => LOCAL,
                _ if text.is_empty() => UNSAID,
                _ => return text.to_owned(),
            }
            .to_owned()
        };
        self.versions.add(&named(&leg.tls), 1);
        self.ciphers.add(&named(&leg.cipher), 1);
        self.groups.add(&named(&leg.group), 1);
        let carrier = if leg.transport.is_empty() { UNSAID } else { &leg.transport };
        self.transports.add(carrier, 1);
        protection
    }

    pub(super) fn figures(self) -> LegFigures {
        let whole = self.figures.exchanges;
        let bare = |name: &str| name == NONE || name == LOCAL;
        LegFigures {
            versions: shares(self.versions, whole, bare),
            ciphers: shares(self.ciphers, whole, bare),
            groups: shares(self.groups, whole, bare),
            transports: shares(self.transports, whole, |name| name == "plaintext" || name == "unix"),
            ..self.figures
        }
    }
}
