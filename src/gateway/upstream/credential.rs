//! The backend's credential: read from where the configuration says, joined to each request, never shown to anybody.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use tokio::time::Instant;

use super::{Outgoing, SetupError, UpstreamError};
use crate::{
    clock::Clock,
    secret::{self, ExposeSecret},
};

/// A header joined to every request. With one, no API key of the caller's reaches the model; without one, the caller's own headers
/// pass as they came (the laptop's local key has been taken out before). Cookies pass either way: they are the model's sessions.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Header name, such as `authorization`.
    pub header: String,
    /// Put before the secret, such as `Bearer `.
    pub prefix: String,
    /// Where the secret comes from.
    pub value: secret::Source,
}

/// Headers by which applications carry API keys. With a credential of the gateway's own, none of the caller's reaches the model.
const CALLERS_KEYS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// How often a changed secret file is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a secret is read anew because the model refused it.
const REREAD_EVERY: Duration = Duration::from_secs(30);

/// A credential in use.
pub(super) struct Joined(Arc<Inner>);

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

impl Joined {
    /// Reads the secret.
    pub(super) fn new(model: &str, credential: &Credential, _clock: &Clock) -> Result<Self, SetupError> {
        let name: HeaderName = credential.header.parse().map_err(|_| {
            SetupError::Setting(format!(
                "the credential of `{model}` has an impossible header name `{}`",
                credential.header
            ))
        })?;
        if is_framing(&name) {
            return Err(SetupError::Setting(format!(
                "the credential of `{model}` cannot travel in `{name}`, which belongs to HTTP itself"
            )));
        }
        let modified = modification(&credential.value);
        let value = read(&credential.prefix, &credential.value)?;
        Ok(Self(Arc::new(Inner {
            model: model.to_owned(),
            name,
            prefix: credential.prefix.clone(),
            source: credential.value.clone(),
            value: ArcSwap::from_pointee(value),
            started: Instant::now(),
            looked: AtomicU64::new(0),
            reread: AtomicU64::new(0),
            reading: AtomicBool::new(false),
            modified: ArcSwap::from_pointee(modified),
        })))
    }

    /// Replaces whatever the caller sent in the name of a key. For each attempt anew, on the request as it will be written.
    ///
    /// # Errors
    /// [`UpstreamError::Credential`] when there is none and none can be had.
    pub(super) async fn join(&self, request: &mut Request<Outgoing>) -> Result<(), UpstreamError> {
        self.look();
        self.join_headers(request.headers_mut());
        Ok(())
    }

    fn join_headers(&self, headers: &mut HeaderMap) {
        for name in &CALLERS_KEYS {
            headers.remove(name);
        }
        headers.insert(self.0.name.clone(), HeaderValue::clone(&self.0.value.load()));
    }

    /// What the model said. After 401 the secret is read anew: it may have been rotated where no modification time shows it.
    pub(super) fn answered(&self, status: StatusCode) {
        if status == StatusCode::UNAUTHORIZED && self.0.due(&self.0.reread, REREAD_EVERY) {
            self.0.read_in_background();
        }
    }

    /// Looks, at most once a second, whether the secret's file has changed.
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

/// Headers that say how a message is framed and where it goes.
fn is_framing(name: &HeaderName) -> bool {
    [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
    ]
    .contains(name)
}

fn read(prefix: &str, source: &secret::Source) -> Result<HeaderValue, SetupError> {
    let secret = source.read()?;
    let mut value = HeaderValue::try_from(format!("{prefix}{}", secret.expose_secret())).map_err(|_| {
        SetupError::Setting(
            "a credential holds characters that no header can carry, such as a newline inside".to_owned(),
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
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

    fn joined(path: &Path) -> Joined {
        Joined::new(
            "m",
            &Credential {
                header: "Authorization".into(),
                prefix: "Bearer ".into(),
                value: secret::Source::File(path.to_owned()),
            },
            &Clock::system(),
        )
        .unwrap()
    }

    #[test]
    fn the_callers_keys_give_way_and_the_value_is_sensitive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "s3cret\n").unwrap();
        let credential = joined(&path);
        let mut headers = HeaderMap::new();
        for name in ["authorization", "x-api-key", "api-key", "x-goog-api-key", "x-other"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("callers"));
        }
        headers.append("authorization", HeaderValue::from_static("second"));
        credential.join_headers(&mut headers);
        assert_eq!(headers.get_all("authorization").iter().count(), 1);
        assert_eq!(headers["authorization"], "Bearer s3cret");
        assert!(headers["authorization"].is_sensitive());
        assert!(!format!("{headers:?}").contains("s3cret"));
        assert_eq!(headers.len(), 2, "x-other stays: {headers:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_taken_up_and_a_bad_one_leaves_the_last_good() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "one").unwrap();
        let credential = joined(&path);
        let value = |credential: &Joined| credential.0.value.load().to_str().unwrap().to_owned();
        for (content, expected) in [("two", "Bearer two"), ("", "Bearer two"), ("three", "Bearer three")] {
            std::fs::write(&path, content).unwrap();
            let later = SystemTime::UNIX_EPOCH + Duration::from_secs(content.len() as u64 * 1000);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
            tokio::time::advance(LOOK_EVERY).await;
            credential.look();
            while credential.0.reading.load(Ordering::Acquire) {
                tokio::task::yield_now().await;
            }
            assert_eq!(value(&credential), expected);
        }
    }

    #[test]
    fn a_header_of_https_own_is_no_place_for_a_credential() {
        for header in ["host", "Transfer-Encoding", "not a header"] {
            let credential = Credential {
                header: header.into(),
                prefix: String::new(),
                value: secret::Source::Env("PATH".into()),
            };
            assert!(Joined::new("m", &credential, &Clock::system()).is_err(), "{header}");
        }
    }
}
