//! The authority of bearer tokens at the direct ingress: one lease per token and model, ended by revocation or time like a connection's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest;
use tokio::time::Instant;

use super::{Caller, Identities, Lease, access::Bearer};
use crate::wire::Refusal;

/// How long a token is believed without looking at its session again; revocations by this process end its lease at once.
const BELIEF: Duration = Duration::from_millis(500);
/// Leases kept at once; what is under way holds its own.
const MAX_KEPT: usize = 10_000;

/// Leases of tokens seen lately.
#[derive(Default)]
pub(super) struct Bearers(Mutex<HashMap<[u8; 32], Kept>>);

struct Kept {
    lease: Arc<Lease>,
    seen: Instant,
}

impl Identities {
    /// The authority of an access token for one model, at the direct ingress: what [`Self::admit`] is for a certificate.
    ///
    /// # Errors
    /// `login_required` when the token is foreign, over or good for another model alone, or its session is over.
    pub async fn admit_bearer(&self, token: &str, model: &str) -> Result<Arc<Lease>, Refusal> {
        let key = key(token, model);
        let clock = &self.sessions.clock;
        if let Some(lease) = self.bearers.fresh(&key, clock.now()) {
            return Ok(lease);
        }
        let Bearer { caller, until: end, .. } = self.bearer_for(token, model).await?;
        if let Some(lease) = self.bearers.again(&key, &caller, end, clock.now()) {
            return Ok(lease);
        }
        let session = caller.session.clone();
        let lease = self.sessions.leases.grant(caller.as_ref().clone(), end, clock.clone());
        // A revocation or a renewal between the look at the session and the grant found no lease to tell.
        let row = self.sessions.live(&session).await?;
        lease.extend(Arc::new(row.caller), end.min(row.expires_at));
        self.bearers.keep(key, &lease, clock.now());
        Ok(lease)
    }
}

impl Bearers {
    /// The lease of a token that was verified a moment ago and whose authority holds.
    fn fresh(&self, key: &[u8; 32], now: SystemTime) -> Option<Arc<Lease>> {
        let map = self.map();
        let kept = map.get(key).filter(|kept| kept.seen.elapsed() < BELIEF)?;
        kept.lease.check(now).is_ok().then(|| Arc::clone(&kept.lease))
    }

    /// The lease of a token that was just verified anew; its groups are those just read.
    fn again(
        &self,
        key: &[u8; 32],
        caller: &Arc<Caller>,
        end: SystemTime,
        now: SystemTime,
    ) -> Option<Arc<Lease>> {
        let mut map = self.map();
        let kept = map.get_mut(key).filter(|kept| kept.lease.check(now).is_ok())?;
        kept.lease.extend(Arc::clone(caller), end);
        kept.seen = Instant::now();
        Some(Arc::clone(&kept.lease))
    }

    fn keep(&self, key: [u8; 32], lease: &Arc<Lease>, now: SystemTime) {
        let mut gone = Vec::new();
        let mut map = self.map();
        if map.len() >= MAX_KEPT {
            gone.extend(
                map.extract_if(|_, kept| kept.seen.elapsed() >= BELIEF || kept.lease.check(now).is_err()),
            );
        }
        if map.len() < MAX_KEPT {
            gone.extend(
                map.insert(key, Kept { lease: Arc::clone(lease), seen: Instant::now() })
                    .map(|kept| (key, kept)),
            );
        }
        drop(map);
        // Their last owner may be here, and a lease that ends asks for locks of its own.
        drop(gone);
    }

    fn map(&self) -> MutexGuard<'_, HashMap<[u8; 32], Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept of a token and a model: no token lies in memory longer than its request.
fn key(token: &str, model: &str) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(token.as_bytes());
    // In no token.
    hash.update(&[0]);
    hash.update(model.as_bytes());
    let mut key = [0; 32];
    key.copy_from_slice(hash.finish().as_ref());
    key
}

#[cfg(test)]
impl Identities {
    /// A token of a live session, for other rooms' tests.
    pub(crate) async fn token_of(&self, session: &str, model: Option<&str>) -> String {
        let row = self.sessions.live(session).await.unwrap();
        let hour = Duration::from_secs(3600);
        self.tokens.mint(&row.caller, model, hour, hour, &self.sessions.clock).unwrap().0
    }
}
