//! Metadata, read when it is needed and remembered: fresh for an hour, in force for a day when it cannot be read again.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{Request, StatusCode, header};
use tokio::{io::AsyncReadExt, sync::Mutex, time::Instant};
use url::Url;

use super::metadata::Metadata;
use crate::gateway::{
    identity::{config::MetadataOrigin, provider::ProviderError},
    outbound::Outbound,
};

/// Read again after this.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// What cannot be read again is believed no longer than this.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// A failed attempt is not repeated before this.
const COOL_DOWN: Duration = Duration::from_secs(1);
/// Signed with an unknown key, an answer has the metadata read again, but not more often than this.
const ROTATION: Duration = Duration::from_secs(30);
/// The longest metadata read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// One provider's metadata.
pub(super) struct Remembered {
    origin: MetadataOrigin,
    /// PEM of who must have signed it.
    certificate: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    metadata: Option<(Arc<Metadata>, Instant)>,
    failed: Option<(String, Instant)>,
}

impl Remembered {
    pub(super) fn new(origin: MetadataOrigin, certificate: Option<PathBuf>) -> Self {
        Self { origin, certificate, known: Mutex::default() }
    }

    /// The metadata, at most an hour old where it can be read.
    pub(super) async fn get(
        &self,
        outbound: &Outbound,
        now: SystemTime,
    ) -> Result<Arc<Metadata>, ProviderError> {
        self.read_unless_younger(outbound, now, FRESH).await
    }

    /// The metadata, read again if it is not just read: perhaps the provider has a new key.
    pub(super) async fn again(
        &self,
        outbound: &Outbound,
        now: SystemTime,
    ) -> Result<Arc<Metadata>, ProviderError> {
        self.read_unless_younger(outbound, now, ROTATION).await
    }

    async fn read_unless_younger(
        &self,
        outbound: &Outbound,
        now: SystemTime,
        fresh: Duration,
    ) -> Result<Arc<Metadata>, ProviderError> {
        // Held while it is read: of many sign-ins one asks, and the others wait for its answer.
        let mut known = self.known.lock().await;
        let young = |known: &Known, age: Duration| {
            let found = known.metadata.as_ref().filter(|(metadata, read_at)| {
                read_at.elapsed() < age && metadata.valid_until.is_none_or(|end| now < end)
            });
            found.map(|(metadata, _)| Arc::clone(metadata))
        };
        if let Some(metadata) = young(&known, fresh) {
            return Ok(metadata);
        }
        let cool = known.failed.clone().filter(|(_, at)| at.elapsed() < COOL_DOWN);
        let error = match cool {
            Some((error, _)) => error,
            None => match self.read(outbound, now).await {
                Ok(metadata) => {
                    let metadata = Arc::new(metadata);
                    known.metadata = Some((Arc::clone(&metadata), Instant::now()));
                    known.failed = None;
                    return Ok(metadata);
                }
                Err(error) => {
                    tracing::warn!(origin = %self.origin, error, "the identity provider's metadata could not be read");
                    known.failed = Some((error.clone(), Instant::now()));
                    error
                }
            },
        };
        young(&known, STALE).ok_or(ProviderError::Unreachable(error))
    }

    async fn read(&self, outbound: &Outbound, now: SystemTime) -> Result<Metadata, String> {
        let text = match &self.origin {
            MetadataOrigin::File(path) => file(path).await?,
            MetadataOrigin::Url(url) => fetched(outbound, url).await?,
        };
        let certificate = match &self.certificate {
            Some(path) => Some(file(path).await?),
            None => None,
        };
        let metadata = Metadata::read(&text, certificate.as_deref())
            .map_err(|why| format!("the metadata {} cannot be used: {why}", self.origin))?;
        if metadata.valid_until.is_some_and(|end| now >= end) {
            return Err(format!("the metadata {} is no longer valid (validUntil)", self.origin));
        }
        Ok(metadata)
    }
}

async fn file(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut text = String::new();
    let length = file.take(MAX_FILE + 1).read_to_string(&mut text).await.map_err(failed)?;
    if u64::try_from(length).is_ok_and(|length| length <= MAX_FILE) {
        Ok(text)
    } else {
        Err(format!("{}: it is longer than 1 MiB", path.display()))
    }
}

async fn fetched(outbound: &Outbound, url: &Url) -> Result<String, String> {
    let request = Request::get(url.as_str())
        .header(header::ACCEPT, "application/samlmetadata+xml, application/xml, text/xml")
        .body(Vec::new())
        .map_err(|error| format!("{url}: {error}"))?;
    let answer = outbound.send(request).await.map_err(|error| error.to_string())?;
    if answer.status() != StatusCode::OK {
        return Err(format!("{url} answered {}", answer.status()));
    }
    String::from_utf8(answer.into_body()).map_err(|_| format!("{url} answered something else than UTF-8"))
}
