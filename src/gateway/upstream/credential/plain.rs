//! A secret from the environment or a file, in a header.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;

use super::{super::SetupError, token::header_value};
use crate::secret;

/// How often a changed secret file is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a secret is read anew because the model refused it.
const REREAD_EVERY: Duration = Duration::from_secs(30);

/// The header in use.
#[derive(Clone)]
pub(super) struct Plain(Arc<Inner>);

struct Inner {
    model: String,
    name: HeaderName,
    prefix: String,
    source: secret::Source,
    value: ArcSwap<HeaderValue>,
    started: Instant,
    /// Milliseconds after `started` of the last look at the file, and of the last re-reading.
    looked: AtomicU64,
    reread: AtomicU64,
    reading: AtomicBool,
    /// The file's modification time as last read.
    modified: ArcSwap<Option<SystemTime>>,
}

impl Plain {
    /// Reads the secret.
    pub(super) fn new(
        model: &str,
        name: HeaderName,
        prefix: &str,
        source: &secret::Source,
    ) -> Result<Self, SetupError> {
        let modified = modification(source);
        let value = read(prefix, source)?;
        Ok(Self(Arc::new(Inner {
            model: model.to_owned(),
            name,
            prefix: prefix.to_owned(),
            source: source.clone(),
            value: ArcSwap::from_pointee(value),
            started: Instant::now(),
            looked: AtomicU64::new(0),
            reread: AtomicU64::new(0),
            reading: AtomicBool::new(false),
            modified: ArcSwap::from_pointee(modified),
        })))
    }

    pub(super) fn name(&self) -> &HeaderName {
        &self.0.name
    }

    /// The secret as last read; a changed file is looked for at most once a second.
    pub(super) fn current(&self) -> HeaderValue {
        self.look();
        HeaderValue::clone(&self.0.value.load())
    }

    /// Reads the secret anew though no modification time says so, at most every half minute.
    pub(super) fn reread(&self) {
        if self.0.due(&self.0.reread, REREAD_EVERY) {
            self.0.read_in_background();
        }
    }

    fn look(&self) {
        let inner = &self.0;
        if let secret::Source::File(_) = inner.source
            && inner.due(&inner.looked, LOOK_EVERY)
            && modification(&inner.source) != **inner.modified.load()
        {
            inner.read_in_background();
        }
    }
}

impl Inner {
    fn due(&self, last: &AtomicU64, every: Duration) -> bool {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let before = last.load(Ordering::Relaxed);
        now.saturating_sub(before) >= u64::try_from(every.as_millis()).unwrap_or(u64::MAX)
            && last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Reading may block, so it happens beside the exchange, which goes out with the value at hand.
    fn read_in_background(self: &Arc<Self>) {
        if self.reading.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let modified = modification(&inner.source);
            match read(&inner.prefix, &inner.source) {
                Ok(value) => {
                    inner.value.store(Arc::new(value));
                    inner.modified.store(Arc::new(modified));
                    tracing::info!(model = inner.model, "the model's credential was read anew");
                }
                Err(error) => {
                    tracing::warn!(model = inner.model, %error, "the model's credential could not be read anew; the last one stays in use");
                }
            }
            inner.reading.store(false, Ordering::Release);
        });
    }
}

fn read(prefix: &str, source: &secret::Source) -> Result<HeaderValue, SetupError> {
    header_value(prefix, &source.read()?).map_err(SetupError::Setting)
}

fn modification(source: &secret::Source) -> Option<SystemTime> {
    let path: &Path = match source {
        secret::Source::File(path) => path,
        secret::Source::Env(_) | secret::Source::Command(_) => return None,
    };
    std::fs::metadata(path).and_then(|m| m.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_taken_up_and_a_bad_one_leaves_the_last_good() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "one").unwrap();
        let source = secret::Source::File(path.clone());
        let plain = Plain::new("m", http::header::AUTHORIZATION, "Bearer ", &source).unwrap();
        for (content, expected) in [("two", "Bearer two"), ("", "Bearer two"), ("three", "Bearer three")] {
            std::fs::write(&path, content).unwrap();
            let later = SystemTime::UNIX_EPOCH + Duration::from_secs(content.len() as u64 * 1000);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
            tokio::time::advance(LOOK_EVERY).await;
            plain.look();
            while plain.0.reading.load(Ordering::Acquire) {
                tokio::task::yield_now().await;
            }
            assert_eq!(plain.0.value.load().to_str().unwrap(), expected);
        }
    }
}
