//! Recordings as they are written: what passes is queued beside the exchange, masked, sealed in segments and kept as long as is said.
//!
//! ```text
//!  exchange ─▶ tape ──bounded queue──▶ writer threads: track (mask, split) ─▶ reel (lines ─▶ segments) ─▶ shelf ◀── retention
//!              never blocks a thread                                                                     files
//! ```
//!
//! A segment is closed when it is long or a second old: `kill -9` takes what was said in the last second, and no more.

mod frames;
mod meters;
mod place;
mod recordings;
mod reel;
mod retention;
mod tape;
mod track;
mod writer;

#[cfg(test)]
pub(crate) mod doubles;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    evidence::recording::{Identities, Recipients},
    secret::{self, ExposeSecret as _},
};

pub use meters::Meters;
pub use place::Place;
pub use recordings::{About, Recordings};
pub use retention::Removed;
pub use tape::{Room, Sealed, Tape};
pub use track::{Framing, Track, Veil};

/// What `[storage]` says of recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The folder, absolute.
    pub folder: PathBuf,
    /// Who can open new recordings, beside nobody else; none: the gateway itself.
    pub recipients: Recipients,
}

/// How recordings are sealed.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Who can open new recordings.
    pub recipients: Recipients,
    /// The gateway's own key, where it has one: what was sealed to it can be opened here.
    pub identities: Option<Identities>,
}

/// What `record`, `record_failure` and `keep` of a model say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How much is recorded.
    pub level: Level,
    /// What happens when it cannot be.
    pub failure: Failure,
    /// How long recordings are kept; `None`: until somebody removes them.
    pub keep: Option<Duration>,
}

impl Default for Terms {
    fn default() -> Self {
        Self { level: Level::Off, failure: Failure::Refuse, keep: None }
    }
}

/// How much of an exchange is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Nothing.
    #[default]
    Off,
    /// Heads, sizes and timing.
    Metadata,
    /// Heads and bodies, as masked, with timing.
    Full,
}

impl Level {
    /// The word in a recording.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Metadata => "metadata",
            Self::Full => "full",
        }
    }
}

/// What happens to an exchange that cannot be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failure {
    /// It is refused, or ended.
    #[default]
    Refuse,
    /// It goes on, and its event and recording say what is missing.
    Continue,
}

/// An exchange cannot be recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the exchange cannot be recorded: {0}")]
pub struct RecordError(pub String);

/// Where recordings are kept; implemented by `store`. Every call may block.
pub trait Shelf: Send + Sync {
    /// Begins a recording, which must not be there yet.
    ///
    /// # Errors
    /// When it is not kept.
    fn create(&self, place: &Place, bytes: &[u8]) -> io::Result<()>;

    /// Adds to it: all of these bytes, or none.
    ///
    /// # Errors
    /// When they are not kept; the recording is as it was before then.
    fn append(&self, place: &Place, bytes: &[u8]) -> io::Result<()>;

    /// Removes it; one that is not there is no error.
    ///
    /// # Errors
    /// When it is still there.
    fn remove(&self, place: &Place) -> io::Result<()>;

    /// A recording of any model.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    fn find(&self, day: &str, name: &str) -> io::Result<Option<Box<dyn Read + Send>>>;

    /// The days of which there are recordings of a model, in order.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn days(&self, model: &str) -> io::Result<Vec<String>>;

    /// The names of a model's recordings of one day, in order.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn names(&self, model: &str, day: &str) -> io::Result<Vec<String>>;
}

/// The gateway's own key, a file of age identities (0600) that only its owner may read: the first seals, each opens. Made where there is
/// none and `needed`; `None` where it is not. Blocks.
///
/// # Errors
/// When it cannot be read or made, or is none.
pub fn own_key(path: &Path, needed: bool) -> io::Result<Option<Identities>> {
    let unusable = |why: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, why.to_string());
    match secret::read_private(path, MAX_KEY) {
        Ok(bytes) => {
            let text = std::str::from_utf8(&bytes).map_err(|_| unusable(&"it is no text"))?;
            Identities::parse(text).map(Some).map_err(|error| unusable(&error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if !needed {
                return Ok(None);
            }
            let key = Identities::generate();
            secret::write_private(path, key.text().expose_secret().as_bytes())?;
            Ok(Some(key))
        }
        Err(error) => Err(error),
    }
}

/// The longest key file, bytes.
const MAX_KEY: u64 = 64 * 1024;
