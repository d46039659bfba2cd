//! Follows a configuration: a change of its file, its policies or a file it names is read, checked and handed on.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio_util::sync::CancellationToken;

use super::{Checked, Mistake, check};
use crate::gateway::Config;

/// How often files are looked at. A change is taken up once it has been seen twice, so within two of these.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often a configuration that changes while it is read is read again.
const TRIES: usize = 4;

/// A configuration and the state of its files when it was read.
pub struct Watched {
    path: PathBuf,
    /// What was looked at, good or not.
    consulted: Vec<PathBuf>,
    /// The state of those files that has been reported.
    reported: Stamp,
    /// The state seen at the last look.
    seen: Stamp,
}

impl Watched {
    /// Reads the configuration and remembers its files.
    ///
    /// # Errors
    /// Every mistake, as [`super::load`].
    pub fn open(path: &Path) -> Result<(Self, Config), Vec<Mistake>> {
        // Absolute, so that another working directory later is no change.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (checked, stamp) = settled(&path, Vec::new());
        let watched = Self { path, consulted: checked.consulted, seen: stamp.clone(), reported: stamp };
        checked.config.map(|config| (watched, config)).ok_or(checked.mistakes)
    }

    /// Reads again if something has changed since the last report: the new configuration, or why there is none.
    /// `None`: nothing has changed. Blocks for files.
    pub fn check_now(&mut self) -> Option<Result<Config, Vec<Mistake>>> {
        if Stamp::of(&self.consulted) == self.reported {
            return None;
        }
        let (checked, stamp) = settled(&self.path, std::mem::take(&mut self.consulted));
        self.consulted = checked.consulted;
        self.seen = stamp.clone();
        self.reported = stamp;
        Some(checked.config.ok_or(checked.mistakes))
    }

    /// Looks every second until `stop` and hands on what has changed. A change is read only when it has been
    /// the same for two looks, so that half-written files are not taken for whole ones.
    pub async fn run(
        mut self,
        stop: CancellationToken,
        mut changed: impl FnMut(Result<Config, Vec<Mistake>>) + Send,
    ) {
        let mut looks = tokio::time::interval(INTERVAL);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
            }
            let look = tokio::task::spawn_blocking(move || {
                let found = self.look();
                (self, found)
            });
            match look.await {
                Ok((watched, found)) => {
                    self = watched;
                    if let Some(found) = found {
                        changed(found);
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the configuration is no longer followed; restart the gateway");
                    return;
                }
            }
        }
    }

    /// [`Watched::check_now`] once two looks agree.
    fn look(&mut self) -> Option<Result<Config, Vec<Mistake>>> {
        let now = Stamp::of(&self.consulted);
        let settled = now == self.seen;
        self.seen = now;
        if settled { self.check_now() } else { None }
    }
}

/// Reads until the files are the same before and after, a few times at most; the stamp is never younger than what was
/// read, so that a change in between is seen later.
fn settled(path: &Path, mut known: Vec<PathBuf>) -> (Checked, Stamp) {
    let mut before = Stamp::of(&known);
    for _ in 0..TRIES {
        let checked = check(path);
        let after = Stamp::of(&checked.consulted);
        if checked.consulted == known && after == before {
            return (checked, before);
        }
        (known, before) = (checked.consulted, after);
    }
    (check(path), before)
}

/// The state of files, and of what lies in folders.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp(Vec<(PathBuf, Option<Mark>)>);

/// What changes when a file does.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    modified: Option<SystemTime>,
    length: u64,
    /// Inode and time of the last change of its metadata: what a copy with an old modification time has different.
    identity: (u64, i64, i64),
}

impl Stamp {
    fn of(paths: &[PathBuf]) -> Self {
        let mut marks = Vec::new();
        for path in paths {
            marks.push((path.clone(), Mark::of(path)));
            let Ok(entries) = fs::read_dir(path) else { continue };
            let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            inside.retain(|path| path.extension().is_some_and(|extension| extension == "cedar"));
            inside.sort();
            marks.extend(inside.into_iter().map(|path| (path.clone(), Mark::of(&path))));
        }
        Self(marks)
    }
}

impl Mark {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        if metadata.is_dir() {
            // What else lies in a folder does not matter; its policies are looked at one by one.
            return Some(Self { modified: None, length: 0, identity: (0, 0, 0) });
        }
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt;
            (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
        };
        #[cfg(not(unix))]
        let identity = (0, 0, 0);
        Some(Self { modified: metadata.modified().ok(), length: metadata.len(), identity })
    }
}
