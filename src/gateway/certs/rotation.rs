//! The CA's rotation, step by step: the next root is made, told to laptops, put into the old one's place, and the old one retired.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{
    Authority, CertsError, Happening,
    files::Files,
    record::{self, Pair, Phase, Record, Turn},
    root,
};
use crate::{
    clock::{Clock, rfc3339},
    tls::{self, CertificateDer},
};

/// From telling laptops of the next root to using it, and from there to the old root's end, when nothing else is said.
pub const OVERLAP: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The longest overlap.
pub const LONGEST_OVERLAP: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Link certificates outlive their use by this, for laptops whose clocks are ahead.
const LINK_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// What a root is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It signs.
    Present,
    /// It will sign.
    Next,
    /// It has signed, and what it signed is still believed.
    Retiring,
}

/// The public side of one root.
#[derive(Clone, Debug)]
pub struct RootFacts {
    /// What it is for.
    pub role: Role,
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// Its end.
    pub expires_at: SystemTime,
}

/// The public side of the authority.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The present root first.
    pub roots: Vec<RootFacts>,
    /// Where the rotation is that is under way.
    pub rotation: Option<Rotation>,
}

/// A rotation under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The next root waits for a running gateway that tells laptops of it.
    Prepared,
    /// Laptops are told; the next root signs from then on.
    Announced {
        /// When.
        switch_at: SystemTime,
    },
    /// The next root has become the present one; the old one is believed until then.
    Retiring {
        /// When.
        retire_at: SystemTime,
    },
}

/// Begins a rotation: makes the next root. A gateway on the same folder takes it up within seconds, another at its start; the
/// overlap, its configuration's when `None`, counts from there. Blocks on files.
///
/// # Errors
/// When there is no authority yet, or a rotation is under way.
pub fn begin(state: &Path, overlap: Option<Duration>, clock: &Clock) -> Result<Facts, CertsError> {
    let files = Files::of(state);
    if !files.exist()? {
        return Err(CertsError::Rotation {
            problem: format!("there is no CA in {}", state.display()),
            remedy: "start the gateway once: it makes its authority then".to_owned(),
        });
    }
    let _turn = Turn::take(state)?;
    let before = Record::load(state)?;
    if before.rotation.is_some() {
        let facts = facts(state)?;
        let problem = match facts.rotation {
            Some(Rotation::Announced { switch_at }) => {
                format!("a rotation is under way: its next root is used from {}", rfc3339(switch_at))
            }
            Some(Rotation::Retiring { retire_at }) => {
                format!("a rotation is under way: its old root retires at {}", rfc3339(retire_at))
            }
            _ => "a rotation is under way, and waits for the gateway to run".to_owned(),
        };
        let remedy = "wait for its end: hoopctl gateway ca fingerprint says where it is".to_owned();
        return Err(CertsError::Rotation { problem, remedy });
    }
    // A next root for an authority that is out of order would only hide that.
    files.load(clock.now())?;
    let (certificate, key) = root::make(clock.now())?;
    let rotation =
        Phase::Prepared { next: Pair { certificate, key }, overlap_seconds: overlap.map(record::seconds) };
    Record { rotation: Some(rotation), ..before }.store(state)?;
    facts(state)
}

/// What the folder says of the authority. Touches no key but to pass over it. Blocks on files.
///
/// # Errors
/// When there is no authority, or its files are damaged.
pub fn facts(state: &Path) -> Result<Facts, CertsError> {
    let path = state.join("ca.pem");
    let pem = std::fs::read_to_string(&path).map_err(|e| CertsError::file(&path, e))?;
    let mut roots = Vec::new();
    let mut add = |role, pem: &str| -> Result<(), CertsError> {
        let all = tls::parse_certificates(pem, &path.display().to_string()).map_err(super::signing)?;
        for certificate in all {
            let expires_at = end(&certificate).unwrap_or(SystemTime::UNIX_EPOCH);
            roots.push(RootFacts { role, certificate, expires_at });
        }
        Ok(())
    };
    let record = Record::load(state)?;
    let rotation = match &record.rotation {
        None => {
            add(Role::Present, &pem)?;
            None
        }
        Some(Phase::Prepared { next, .. }) => {
            add(Role::Present, &pem)?;
            add(Role::Next, &next.certificate)?;
            Some(Rotation::Prepared)
        }
        Some(Phase::Announced { next, switch_at, .. }) => {
            add(Role::Present, &pem)?;
            add(Role::Next, &next.certificate)?;
            Some(Rotation::Announced { switch_at: record::time(switch_at, state)? })
        }
        Some(Phase::Switching { next, old, retire_at, .. }) => {
            add(Role::Present, &next.certificate)?;
            add(Role::Retiring, old)?;
            Some(Rotation::Retiring { retire_at: record::time(retire_at, state)? })
        }
        Some(Phase::Retiring { old, retire_at, .. }) => {
            add(Role::Present, &pem)?;
            add(Role::Retiring, old)?;
            Some(Rotation::Retiring { retire_at: record::time(retire_at, state)? })
        }
    };
    Ok(Facts { roots, rotation })
}

/// When a certificate ends.
pub(super) fn end(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(SystemTime::from(parsed.validity().not_after.to_datetime()))
}

/// How long things last that a rotation has to wait for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The configuration's overlap.
    pub(super) overlap: Duration,
    /// The longest life of a client's certificate: the old root is believed at least that long after it signed its last.
    pub(super) client_life: Duration,
}

impl Authority {
    /// Takes the rotation's next step when it is due; what happened. Blocks on files.
    ///
    /// # Errors
    /// When a file cannot be read or written; the state before stays in force, and the step can be tried again.
    pub(super) fn advance(&self, pace: Pace) -> Result<Option<Happening>, CertsError> {
        let stored = Record::load(&self.state)?;
        if !self.due(&stored)? && !self.is_behind(&stored) {
            return Ok(None);
        }
        let _turn = Turn::take(&self.state)?;
        let record = Record::load(&self.state)?;
        if self.is_behind(&record) {
            let happened = self.missed(&record)?;
            self.adopt(record.clone())?;
            if happened.is_some() || !self.due(&record)? {
                return Ok(happened);
            }
        }
        if !self.due(&record)? {
            return Ok(None);
        }
        let version = record.next_version(self.clock.now());
        let (record, happened) = match record.rotation {
            None => return Ok(None),
            Some(Phase::Prepared { next, overlap_seconds }) => {
                let overlap = overlap_seconds.map_or(pace.overlap, Duration::from_secs);
                self.announce(version, next, overlap.min(LONGEST_OVERLAP))?
            }
            Some(Phase::Announced { next, overlap_seconds, .. }) => {
                let overlap = Duration::from_secs(overlap_seconds).min(LONGEST_OVERLAP);
                self.switch(version, next, overlap.max(pace.client_life))?
            }
            // Decided before, and a file could not be written then.
            Some(Phase::Switching { ref next, ref retire_at, .. }) => {
                let happened = Happening::RotationSwitched {
                    fingerprint: fingerprint_of(&next.certificate)?,
                    retire_at: record::time(retire_at, &self.state)?,
                };
                (self.install(record)?, happened)
            }
            Some(Phase::Retiring { old, .. }) => {
                let fingerprint = fingerprint_of(&old)?;
                let record = Record { version, rotation: None, ..record };
                record.store(&self.state)?;
                (record, Happening::RotationRetired { fingerprint })
            }
        };
        self.adopt(record)?;
        Ok(Some(happened))
    }

    /// Whether the record's next step is to be taken now.
    fn due(&self, record: &Record) -> Result<bool, CertsError> {
        let now = self.clock.now();
        Ok(match &record.rotation {
            None => false,
            Some(Phase::Prepared { .. } | Phase::Switching { .. }) => true,
            Some(Phase::Announced { switch_at, .. }) => now >= record::time(switch_at, &self.state)?,
            Some(Phase::Retiring { retire_at, .. }) => now >= record::time(retire_at, &self.state)?,
        })
    }

    /// Whether a step is stored that is not in force: it could not be taken up when it was stored, or another process has taken it. What
    /// is not whole on disk yet, or told to nobody, comes into force by its own step, and a record that is gone changes nothing before
    /// the next start.
    fn is_behind(&self, stored: &Record) -> bool {
        let in_force = self.present.load();
        let changes_nothing = match stored.rotation {
            Some(Phase::Switching { .. }) => true,
            Some(Phase::Prepared { .. }) => in_force.record.rotation.is_none(),
            _ => *stored == Record::default(),
        };
        !changes_nothing && *stored != in_force.record
    }

    /// What taking up a stored step means.
    fn missed(&self, stored: &Record) -> Result<Option<Happening>, CertsError> {
        Ok(match (&stored.rotation, &self.present.load().record.rotation) {
            (Some(Phase::Announced { next, switch_at, .. }), _) => Some(Happening::RotationAnnounced {
                fingerprint: fingerprint_of(&next.certificate)?,
                switch_at: record::time(switch_at, &self.state)?,
            }),
            (Some(Phase::Retiring { retire_at, .. }), _) => Some(Happening::RotationSwitched {
                fingerprint: tls::fingerprint_text(&tls::fingerprint(
                    &Files::of(&self.state).load(self.clock.now())?.certificate,
                )),
                retire_at: record::time(retire_at, &self.state)?,
            }),
            (None, Some(Phase::Retiring { old, .. })) => {
                Some(Happening::RotationRetired { fingerprint: fingerprint_of(old)? })
            }
            _ => None,
        })
    }

    fn announce(
        &self,
        version: u64,
        next: Pair,
        overlap: Duration,
    ) -> Result<(Record, Happening), CertsError> {
        let now = self.clock.now();
        let switch_at = now + overlap;
        let root = self.next_root(&next)?;
        let link = root.link(&self.present.load().root.certificate, now, switch_at + LINK_MARGIN)?;
        let happened = Happening::RotationAnnounced {
            fingerprint: tls::fingerprint_text(&tls::fingerprint(&root.certificate)),
            switch_at,
        };
        let rotation = Phase::Announced {
            next,
            overlap_seconds: record::seconds(overlap),
            link: tls::to_pem(&[link]),
            switch_at: rfc3339(switch_at),
        };
        let record = Record { schema: 1, version, rotation: Some(rotation) };
        record.store(&self.state)?;
        Ok((record, happened))
    }

    fn switch(
        &self,
        version: u64,
        next: Pair,
        believed: Duration,
    ) -> Result<(Record, Happening), CertsError> {
        let now = self.clock.now();
        let retire_at = now + believed;
        let root = self.next_root(&next)?;
        let present = self.present.load();
        let link = present.root.link(&root.certificate, now, retire_at + LINK_MARGIN)?;
        let happened = Happening::RotationSwitched {
            fingerprint: tls::fingerprint_text(&tls::fingerprint(&root.certificate)),
            retire_at,
        };
        let rotation = Phase::Switching {
            next,
            old: tls::to_pem(std::slice::from_ref(&present.root.certificate)),
            link: tls::to_pem(&[link]),
            retire_at: rfc3339(retire_at),
        };
        let decided = Record { schema: 1, version, rotation: Some(rotation) };
        // From here on a crash ends in the new state: whoever opens the folder next finishes it.
        decided.store(&self.state)?;
        Ok((self.install(decided)?, happened))
    }
}

fn fingerprint_of(pem: &str) -> Result<String, CertsError> {
    let all = tls::parse_certificates(pem, "ca-rotation.json").map_err(super::signing)?;
    Ok(all.first().map(|one| tls::fingerprint_text(&tls::fingerprint(one))).unwrap_or_default())
}

#[cfg(test)]
mod tests;
