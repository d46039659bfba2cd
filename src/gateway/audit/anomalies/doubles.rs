//! What anomalies keep, in memory, and answers for other rooms' tests.

use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use super::{Answers, Held, Keep, Kept, Snapshot, storage::STATE};
use crate::gateway::audit::AuditError;

/// Answers of which this is in force at `now`.
pub(crate) async fn answers(held: Held, now: SystemTime) -> Answers {
    let answers = Answers::open(Arc::new(Memory::default()), now).await.unwrap();
    hold(&answers, held).await;
    answers
}

/// Answers an alarm, as the follower does.
pub(crate) async fn hold(answers: &Answers, held: Held) {
    assert!(answers.hold(held).await.unwrap());
}

/// Keeps in memory, by the trait's contract.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) kept: Mutex<Option<Kept>>,
    held: Mutex<Vec<(Held, bool)>>,
}

#[async_trait::async_trait]
impl Keep for Memory {
    async fn load(&self, _: u32) -> Result<Option<Kept>, AuditError> {
        Ok(self.kept.lock().unwrap().clone())
    }

    async fn save(&self, version: u32, snapshot: &Snapshot) -> Result<(), AuditError> {
        assert_eq!(version, STATE);
        let Snapshot { cursor, callers, models, .. } = snapshot.clone();
        *self.kept.lock().unwrap() = Some(Kept { cursor, callers, models });
        Ok(())
    }

    async fn hold(&self, held: &Held) -> Result<bool, AuditError> {
        let mut all = self.held.lock().unwrap();
        let new = all.iter().all(|(known, _)| known.id != held.id);
        if new {
            all.push((held.clone(), true));
        }
        Ok(new)
    }

    async fn held(&self, now: SystemTime) -> Result<Vec<Held>, AuditError> {
        let all = self.held.lock().unwrap();
        Ok(all
            .iter()
            .filter(|(held, holds)| *holds && held.until > now)
            .map(|(held, _)| held.clone())
            .collect())
    }

    async fn lift(&self, ids: &[String], _: &str, _: SystemTime) -> Result<(), AuditError> {
        for (held, holds) in self.held.lock().unwrap().iter_mut() {
            *holds &= !ids.contains(&held.id);
        }
        Ok(())
    }
}
