//! Warns 30, 7 and 1 days before a certificate ends, once each, also across restarts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{
    Certificates, Happening,
    keeper::{AGE_POLL, every},
};
use crate::{clock::rfc3339, secret};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// So many days ahead, and at the end itself.
const STEPS: [u64; 4] = [0, 1, 7, 30];
/// The longest file of warnings read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// What was warned of: fingerprint → the least days ahead.
type Warned = BTreeMap<String, u64>;

/// Looks at every certificate once a minute. A server's certificate that renews itself (`automatic`, at two thirds of its life)
/// is warned of only when that is overdue.
pub(super) async fn watch(certificates: Certificates, state: PathBuf, automatic: bool) {
    let path = state.join("certificate-warnings.json");
    let mut warned = load(&path).await;
    let mut tick = every(AGE_POLL);
    loop {
        tick.tick().await;
        let now = certificates.told().clock.now();
        let current = certificates.current();
        let mut next = Warned::new();
        for (what, at, fingerprint) in current {
            let before = warned.get(&fingerprint).copied();
            let renewed_by_itself = what == "server" && automatic;
            let step = due(at, now, renewed_by_itself);
            if let Some(days) = step.filter(|days| before.is_none_or(|before| *days < before)) {
                tell(&certificates, what, &fingerprint, at, days, renewed_by_itself);
            }
            if let Some(days) = step.into_iter().chain(before).min() {
                next.insert(fingerprint, days);
            }
        }
        if next != warned {
            warned = next;
            store(&path, &warned).await;
        }
    }
}

/// The step that a certificate's end has passed, if any.
fn due(at: SystemTime, now: SystemTime, renewed_by_itself: bool) -> Option<u64> {
    let left = at.duration_since(now).unwrap_or_default();
    // Own leaves and those of most directories are renewed with 10 to 30 days left.
    let steps = STEPS.iter().filter(|days| !renewed_by_itself || **days <= 7);
    steps.copied().find(|days| left <= DAY * u32::try_from(*days).unwrap_or(u32::MAX))
}

fn tell(
    certificates: &Certificates,
    what: &'static str,
    fingerprint: &str,
    at: SystemTime,
    days: u64,
    renewed_by_itself: bool,
) {
    let (what, remedy) = match what {
        "server" if renewed_by_itself => (
            "the server certificate",
            "it should have been renewed by now: look for errors in the gateway's log",
        ),
        "server" => ("the server certificate", "install a new one where [tls] says"),
        "ca_retiring" => ("the retiring root of the gateway's CA", "nothing: it is being replaced"),
        _ => ("the root of the gateway's CA", "replace it in time: hoopctl gateway ca rotate"),
    };
    let end = rfc3339(at);
    if days == 0 {
        tracing::error!(what, fingerprint, end, remedy, "a certificate has ended");
    } else {
        tracing::warn!(what, fingerprint, end, days, remedy, "a certificate ends soon");
    }
    let fingerprint = fingerprint.to_owned();
    certificates.told().happened(Happening::Expiring { what, fingerprint, expires_at: at, days, remedy });
}

async fn load(path: &Path) -> Warned {
    let path = path.to_owned();
    let read = move || {
        let content = secret::read_private(&path, MAX_FILE).ok()?;
        serde_json::from_slice(&content).ok()
    };
    // A damaged file costs a warning said twice.
    tokio::task::spawn_blocking(read).await.ok().flatten().unwrap_or_default()
}

async fn store(path: &Path, warned: &Warned) {
    let (path, content) = (path.to_owned(), serde_json::to_vec(warned).unwrap_or_default());
    let written = tokio::task::spawn_blocking(move || secret::write_private(&path, &content)).await;
    if !matches!(written, Ok(Ok(()))) {
        tracing::warn!("warnings of certificates could not be noted: a restart may repeat them");
    }
}
