//! Callers by their access tokens, believed for a moment: a busy direct ingress shows the same token with every request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{Caller, sessions::sha256};

/// How long a token is believed without looking at its session again; revocations by this process count at once.
const BELIEF: Duration = Duration::from_secs(1);
/// Tokens remembered at once.
const MAX_KNOWN: usize = 10_000;

/// Tokens seen a moment ago.
#[derive(Default)]
pub(super) struct Recent(Mutex<HashMap<[u8; 32], Known>>);

/// Whom a token stands for, and the one model it is good for, if it is bound to one.
#[derive(Clone)]
pub(super) struct Bearer {
    pub(super) caller: Arc<Caller>,
    pub(super) model: Option<Arc<str>>,
    /// The token's end, or its session's.
    pub(super) until: SystemTime,
}

struct Known {
    bearer: Bearer,
    seen: Instant,
}

impl Recent {
    /// The bearer of a token that was verified a moment ago and whose time is not over.
    pub(super) fn get(&self, token: &str, now: SystemTime) -> Option<Bearer> {
        let known = self.map();
        let known = known.get(&sha256(token.as_bytes()))?;
        (known.seen.elapsed() < BELIEF && now < known.bearer.until).then(|| known.bearer.clone())
    }

    /// Remembers a verified token.
    pub(super) fn put(&self, token: &str, bearer: &Bearer) {
        let mut map = self.map();
        if map.len() >= MAX_KNOWN {
            map.retain(|_, known| known.seen.elapsed() < BELIEF);
        }
        if map.len() < MAX_KNOWN {
            let known = Known { bearer: bearer.clone(), seen: Instant::now() };
            map.insert(sha256(token.as_bytes()), known);
        }
    }

    /// Forgets everything: some session was revoked.
    pub(super) fn forget(&self) {
        self.map().clear();
    }

    fn map(&self) -> MutexGuard<'_, HashMap<[u8; 32], Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
