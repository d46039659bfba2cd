//! What alarms were answered with: who is suspended, and whose exchanges need a person's yes, until when.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::{Answer, Keep, exchange::Key};
use crate::{
    evidence::event::{self, Event},
    gateway::{
        audit::{AuditError, Scribe},
        identity::Caller,
    },
};

/// The answer to one alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The id of the alarm's event.
    pub id: String,
    /// The rule's name.
    pub rule: String,
    /// [`Answer::Suspend`] or [`Answer::RequireApproval`].
    pub answer: Answer,
    /// Whom it is about: their provider,
    pub provider: String,
    /// who they are there,
    pub subject: String,
    /// and their address, when the provider gives one.
    pub email: Option<String>,
    /// Its beginning.
    pub since: SystemTime,
    /// Its end, unless it is lifted before.
    pub until: SystemTime,
}

/// Why nothing was lifted.
#[derive(Debug, thiserror::Error)]
pub enum NotLifted {
    /// Nobody lifts what they are held by themselves.
    #[error("you cannot lift what you are held by yourself")]
    Own,
    /// It cannot be recorded or kept.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// The answers in force. Cheap to clone.
#[derive(Clone)]
pub struct Answers(Arc<Office>);

struct Office {
    held: ArcSwap<Book>,
    keep: Arc<dyn Keep>,
    /// Changes come one by one.
    changing: Mutex<()>,
}

type Book = HashMap<Key, Vec<Arc<Held>>>;

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answers").field("held", &self.0.held.load().len()).finish()
    }
}

impl Answers {
    /// Takes up the answers that were in force.
    ///
    /// # Errors
    /// When they cannot be read: a suspended caller must not be let in because of it.
    pub async fn open(keep: Arc<dyn Keep>, now: SystemTime) -> Result<Self, AuditError> {
        let mut book = Book::new();
        for held in keep.held(now).await? {
            book.entry(held.key()).or_default().push(Arc::new(held));
        }
        Ok(Self(Arc::new(Office { held: ArcSwap::from_pointee(book), keep, changing: Mutex::default() })))
    }

    /// The suspension the caller is under, the one that lasts longest. From memory.
    pub fn suspension(&self, caller: &Caller, now: SystemTime) -> Option<Arc<Held>> {
        self.of(caller, Answer::Suspend, now)
    }

    /// The answer by which the caller's exchanges need a person's yes, the one that lasts longest. From memory.
    pub fn demand(&self, caller: &Caller, now: SystemTime) -> Option<Arc<Held>> {
        self.of(caller, Answer::RequireApproval, now)
    }

    /// Answers an alarm; false when it was answered before.
    pub(super) async fn hold(&self, held: Held) -> Result<bool, AuditError> {
        let _one_at_a_time = self.0.changing.lock().await;
        if !self.0.keep.hold(&held).await? {
            return Ok(false);
        }
        let mut book = Book::clone(&self.0.held.load());
        book.retain(|_, all| {
            all.retain(|other| other.until > held.since);
            !all.is_empty()
        });
        book.entry(held.key()).or_default().push(Arc::new(held));
        self.0.held.store(Arc::new(book));
        Ok(true)
    }

    /// Ends everything that somebody, by subject or email address, is held by; recorded before it takes effect. Returns what was.
    ///
    /// # Errors
    /// When it is the lifter's own, or cannot be recorded or kept: then it stays.
    pub async fn lift(
        &self,
        who: &str,
        by: &Caller,
        scribe: &Scribe,
        now: SystemTime,
    ) -> Result<Vec<Arc<Held>>, NotLifted> {
        let _one_at_a_time = self.0.changing.lock().await;
        let mut book = Book::clone(&self.0.held.load());
        let lifted: Vec<Arc<Held>> =
            book.values().flatten().filter(|held| held.is_of(who) && held.until > now).cloned().collect();
        if lifted.iter().any(|held| held.is_caller(by)) {
            return Err(NotLifted::Own);
        }
        for held in &lifted {
            scribe.record(event_of(held, by)).await?;
        }
        let ids: Vec<String> = lifted.iter().map(|held| held.id.clone()).collect();
        if !ids.is_empty() {
            self.0.keep.lift(&ids, by.user(), now).await?;
        }
        book.retain(|_, all| {
            all.retain(|held| !ids.contains(&held.id));
            !all.is_empty()
        });
        self.0.held.store(Arc::new(book));
        Ok(lifted)
    }

    fn of(&self, caller: &Caller, answer: Answer, now: SystemTime) -> Option<Arc<Held>> {
        let book = self.0.held.load();
        if book.is_empty() {
            return None;
        }
        let all = book.get(&Key::of(&caller.provider, &caller.subject))?;
        let in_force = all.iter().filter(|held| held.answer == answer && held.until > now);
        in_force.max_by_key(|held| held.until).cloned()
    }
}

impl Held {
    /// What people call them.
    pub fn user(&self) -> &str {
        self.email.as_deref().unwrap_or(&self.subject)
    }

    fn key(&self) -> Key {
        Key::of(&self.provider, &self.subject)
    }

    fn is_of(&self, who: &str) -> bool {
        self.subject == who || self.email.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(who))
    }

    /// Also through another provider, by the verified address.
    fn is_caller(&self, caller: &Caller) -> bool {
        let same = self.provider == caller.provider && self.subject == caller.subject;
        let emails = self.email.as_deref().zip(caller.email.as_deref());
        same || emails.is_some_and(|(ours, theirs)| ours.eq_ignore_ascii_case(theirs))
    }
}

fn event_of(held: &Held, by: &Caller) -> Event {
    let what = match held.answer {
        Answer::Suspend => "is no longer suspended",
        _ => "needs no approval any more because of it",
    };
    Event {
        kind: "anomaly_lifted".to_owned(),
        caller: Some(event::Caller {
            subject: by.subject.clone(),
            email: by.email.clone(),
            groups: by.groups.clone(),
            provider: by.provider.clone(),
            client: None,
        }),
        session: Some(by.session.clone()),
        detail: Some(format!("{} {what}: unusual {}, {}", held.user(), held.rule, held.id)),
        ..Event::default()
    }
}
