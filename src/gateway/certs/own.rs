//! The server's certificate from the own CA: reissued at two thirds of its life, and whenever the roots change.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::sync::watch;

use super::{
    Announcement, Authority, CertsError, Happening,
    keeper::{AGE_POLL, Told, every, facts_of},
};
use crate::tls::{HotKey, Identity};

/// Life of an own server leaf.
pub(super) const LEAF_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) struct Own {
    names: Vec<String>,
    authority: Arc<Authority>,
    roots: watch::Receiver<Announcement>,
    told: Arc<Told>,
    /// When the leaf is to be replaced.
    due: SystemTime,
}

impl Own {
    pub(super) fn new(names: Vec<String>, authority: Arc<Authority>, told: Arc<Told>) -> Self {
        let roots = authority.announcements();
        let due = told.clock.now() + LEAF_LIFE * 2 / 3;
        Self { names, authority, roots, told, due }
    }

    pub(super) fn issue(&self) -> Result<Identity, CertsError> {
        self.authority.issue_server(&self.names, LEAF_LIFE)
    }

    /// When a leaf made now is to be replaced.
    fn next(&self) -> SystemTime {
        self.told.clock.now() + LEAF_LIFE * 2 / 3
    }

    pub(super) async fn keep_fresh(mut self, key: HotKey) {
        let mut tick = every(AGE_POLL);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                changed = self.roots.changed() => match changed {
                    // The chain leads to other roots now, and another one may sign.
                    Ok(()) => self.due = self.told.clock.now(),
                    Err(_) => return,
                },
            }
            if self.told.clock.now() < self.due {
                continue;
            }
            match self.issue() {
                Ok(identity) => {
                    let (fingerprint, expires_at) = facts_of(&identity);
                    key.swap(identity);
                    self.due = self.next();
                    tracing::info!("the gateway's server certificate was renewed");
                    let by = "the gateway's own CA".to_owned();
                    self.told.happened(Happening::Renewed { by, fingerprint, expires_at });
                }
                Err(error) => self.told.refused(&error),
            }
        }
    }
}
