//! The store in memory, by the trait's contract.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use crate::gateway::identity::{SessionRow, Store, StoreError, Whose};

#[derive(Default)]
pub(super) struct Memory {
    rows: Mutex<HashMap<String, SessionRow>>,
    pending: Mutex<HashMap<String, (String, SystemTime)>>,
    pub(super) broken: AtomicBool,
}

impl Memory {
    pub(super) fn rows(&self) -> Vec<SessionRow> {
        self.rows.lock().unwrap().values().cloned().collect()
    }

    /// Everything kept, as text: secrets must not be in it.
    pub(super) fn dump(&self) -> String {
        format!("{:?} {:?}", self.rows.lock().unwrap(), self.pending.lock().unwrap())
    }

    fn alive(&self) -> Result<(), StoreError> {
        if self.broken.load(Ordering::SeqCst) { Err(StoreError("disk on fire".to_owned())) } else { Ok(()) }
    }
}

#[async_trait::async_trait]
impl Store for Memory {
    async fn insert_session(&self, row: &SessionRow) -> Result<(), StoreError> {
        self.alive()?;
        self.rows.lock().unwrap().insert(row.id.clone(), row.clone());
        Ok(())
    }

    async fn session(&self, id: &str) -> Result<Option<SessionRow>, StoreError> {
        self.alive()?;
        Ok(self.rows.lock().unwrap().get(id).cloned())
    }

    async fn session_by_refresh(&self, sha256: &[u8; 32]) -> Result<Option<SessionRow>, StoreError> {
        self.alive()?;
        let found = |row: &&SessionRow| {
            row.refresh_sha256.as_ref() == Some(sha256)
                || row.previous_refresh_sha256.as_ref() == Some(sha256)
        };
        Ok(self.rows.lock().unwrap().values().find(found).cloned())
    }

    async fn live_sessions(&self, whose: Whose<'_>, now: SystemTime) -> Result<Vec<SessionRow>, StoreError> {
        self.alive()?;
        let theirs = |row: &SessionRow| {
            let caller = &row.caller;
            let found = match whose {
                Whose::Email(email) => {
                    caller.email.as_deref().is_some_and(|one| one.eq_ignore_ascii_case(email))
                }
                Whose::Subject { provider, subject } => {
                    caller.provider == provider && caller.subject == subject
                }
            };
            found && !row.revoked && !caller.workload && row.expires_at > now
        };
        let mut rows: Vec<_> = self.rows().into_iter().filter(theirs).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.created_at));
        Ok(rows)
    }

    async fn update_session(&self, row: &SessionRow, expected: Option<[u8; 32]>) -> Result<bool, StoreError> {
        self.alive()?;
        let mut rows = self.rows.lock().unwrap();
        let old = rows.get_mut(&row.id).filter(|old| old.refresh_sha256 == expected && !old.revoked);
        let found = old.is_some();
        if let Some(old) = old {
            *old = row.clone();
        }
        Ok(found)
    }

    async fn revoke(&self, who: &str) -> Result<Vec<String>, StoreError> {
        self.alive()?;
        let mut ended = Vec::new();
        for row in self.rows.lock().unwrap().values_mut().filter(|row| !row.revoked) {
            let caller = &row.caller;
            let names = [Some(&row.id), Some(&caller.subject), caller.name.as_ref()];
            let addressed = caller.email.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(who));
            if addressed || names.into_iter().flatten().any(|name| name == who) {
                row.revoked = true;
                ended.push(row.id.clone());
            }
        }
        Ok(ended)
    }

    async fn put_pending(&self, key: &str, json: &str, expires_at: SystemTime) -> Result<(), StoreError> {
        self.alive()?;
        self.pending.lock().unwrap().insert(key.to_owned(), (json.to_owned(), expires_at));
        Ok(())
    }

    async fn claim_pending(&self, key: &str, now: SystemTime, end: SystemTime) -> Result<bool, StoreError> {
        self.alive()?;
        let mut pending = self.pending.lock().unwrap();
        if pending.get(key).is_some_and(|(_, end)| now < *end) {
            return Ok(false);
        }
        pending.insert(key.to_owned(), (String::new(), end));
        Ok(true)
    }

    async fn peek_pending(&self, key: &str, now: SystemTime) -> Result<Option<String>, StoreError> {
        self.alive()?;
        let pending = self.pending.lock().unwrap();
        Ok(pending.get(key).filter(|(_, end)| now < *end).map(|(json, _)| json.clone()))
    }

    async fn take_pending(&self, key: &str, now: SystemTime) -> Result<Option<String>, StoreError> {
        self.alive()?;
        let taken = self.pending.lock().unwrap().remove(key);
        Ok(taken.filter(|(_, end)| now < *end).map(|(json, _)| json))
    }
}
