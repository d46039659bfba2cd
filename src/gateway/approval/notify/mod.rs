//! Tells people that somebody waits for their yes: signed webhooks and Slack, beside the exchanges, which never wait for it.
//!
//! ```text
//!  changes of requests ─▶ listen ─▶ one bounded line per target ─▶ webhook | slack, tried again until the request lapses
//!  Slack's buttons ─▶ POST /approvals/slack ─▶ signature ─▶ person ─▶ approve or deny
//! ```

mod listen;
mod slack;
mod target;
mod webhook;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Approvals, Change, Filter, MAX_PAGE, Request};
use crate::{clock::Clock, gateway::identity::Identities, wire::api::Approval};
pub use slack::SlackConfig;
use slack::{Interactions, Messages, Slack};
use target::{Line, Target};
pub use webhook::WebhookConfig;

/// Messages that may wait between the listener and a target's own line.
const INBOX: usize = 256;
/// How long an outcome is worth telling, when the request's own time is over before that.
const WORTH_TELLING: Duration = Duration::from_hours(1);

/// Whom to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifyConfig {
    /// Every webhook hears of every request.
    pub webhooks: Vec<WebhookConfig>,
    /// One channel.
    pub slack: Option<SlackConfig>,
}

/// Why somebody cannot be told. Says which target, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{target} cannot be used: {problem}")]
pub struct NotifyError {
    target: String,
    problem: String,
}

/// A request as the API shows it, to nobody in particular, with what its requester did in the last seven days.
pub type Describe = Arc<dyn Fn(Arc<Request>) -> Pin<Box<dyn Future<Output = Approval> + Send>> + Send + Sync>;

/// What the notifier works with.
pub struct Surroundings {
    /// The requests.
    pub approvals: Approvals,
    /// Who presses a button.
    pub identities: Arc<Identities>,
    /// How a request is shown.
    pub describe: Describe,
    /// The time.
    pub clock: Clock,
    /// Ends everything.
    pub stop: CancellationToken,
}

/// The targets at work.
pub struct Notifier {
    surroundings: Surroundings,
    tasks: TaskTracker,
    lines: Mutex<HashMap<String, Line>>,
    slack: ArcSwapOption<Slack>,
    messages: Arc<Messages>,
    first_pause: Duration,
}

/// Targets whose secrets were read: ready to take the place of those at work.
pub struct Prepared {
    targets: Vec<(String, Target)>,
    slack: Option<Arc<Slack>>,
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notifier")
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepared({})", self.targets.len())
    }
}

impl Notifier {
    /// A notifier without targets that hears of every change from now on. Its tasks end with `stop`.
    pub fn start(surroundings: Surroundings, tasks: &TaskTracker) -> Arc<Self> {
        Self::start_with(surroundings, tasks, target::FIRST_PAUSE)
    }

    fn start_with(surroundings: Surroundings, tasks: &TaskTracker, first_pause: Duration) -> Arc<Self> {
        let notifier = Arc::new(Self {
            surroundings,
            tasks: tasks.clone(),
            lines: Mutex::default(),
            slack: ArcSwapOption::empty(),
            messages: Arc::default(),
            first_pause,
        });
        let changes = notifier.surroundings.approvals.changes();
        tasks.spawn(listen::listen(Arc::clone(&notifier), changes));
        notifier
    }

    /// Reads the secrets of a configuration; nothing is told to anybody yet.
    ///
    /// # Errors
    /// When a secret is missing or of the wrong shape.
    pub async fn prepare(&self, config: &NotifyConfig) -> Result<Prepared, NotifyError> {
        let (config, clock) = (config.clone(), self.surroundings.clock.clone());
        let messages = Arc::clone(&self.messages);
        let opened = tokio::task::spawn_blocking(move || open(&config, &clock, &messages));
        opened
            .await
            .map_err(|error| NotifyError { target: "[approvals]".to_owned(), problem: error.to_string() })?
    }

    /// Puts targets to work. Those that are at work already keep what waits for them; those that had said that they are gone are tried
    /// again; new webhooks hear of every request that is pending.
    pub async fn adopt(&self, prepared: Prepared) {
        let new = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let mut before = std::mem::take(&mut *lines);
            let mut new = Vec::new();
            for (name, target) in prepared.targets {
                let line = match before.remove(&name).filter(|line| !line.is_closed()) {
                    Some(line) => {
                        line.replace(target);
                        line
                    }
                    None => {
                        // Slack's messages of before a restart still stand, and their buttons work.
                        let deduplicates = matches!(target, Target::Webhook(_));
                        let line = self.line(&name, target);
                        if deduplicates {
                            new.push(line.clone());
                        }
                        line
                    }
                };
                lines.insert(name, line);
            }
            new
        };
        self.slack.store(prepared.slack);
        if !new.is_empty() {
            self.announce(|notice| new.iter().for_each(|line| line.tell(notice))).await;
        }
    }

    /// `POST /approvals/slack`: where Slack sends what became of its buttons.
    pub fn router(self: &Arc<Self>) -> axum::Router {
        Interactions::router(Arc::clone(self))
    }

    fn line(&self, name: &str, target: Target) -> Line {
        let (sender, inbox) = mpsc::channel(INBOX);
        let line = Line::new(name, target, sender);
        let serving = target::serve(line.end(), inbox, self.surroundings.clock.clone(), self.first_pause);
        let stop = self.surroundings.stop.clone();
        self.tasks.spawn(async move { stop.run_until_cancelled(serving).await });
        line
    }

    /// Tells of a change to every target.
    async fn tell(&self, change: &Change) {
        let Some(kind) = Kind::of(change) else { return };
        let notice = Arc::new(self.notice(kind, &change.request).await);
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.values().for_each(|line| line.tell(&notice));
    }

    /// Tells of everything that is pending: after a start, and when changes were missed. Who heard before knows it by its id.
    async fn announce(&self, tell: impl Fn(&Arc<Notice>)) {
        let mut filter = Filter { state: Some("pending"), limit: MAX_PAGE, ..Filter::default() };
        loop {
            let page = match self.surroundings.approvals.list(&filter).await {
                Ok(page) => page,
                Err(error) => {
                    return tracing::error!(%error, "pending approvals could not be read: nobody is told of them");
                }
            };
            filter.before = page.last().map(|request| request.id.clone());
            let last = page.len() < MAX_PAGE;
            for request in page {
                tell(&Arc::new(self.notice(Kind::Requested, &Arc::new(request)).await));
            }
            if last {
                return;
            }
        }
    }

    async fn notice(&self, kind: Kind, request: &Arc<Request>) -> Notice {
        let at = match kind {
            Kind::Requested => request.created_at,
            Kind::Expired => request.lapses_at.min(self.surroundings.clock.now()),
            Kind::Progress | Kind::Approved | Kind::Denied => {
                request.votes.last().map_or(request.created_at, |vote| vote.at)
            }
        };
        let until = if kind.is_end() { request.lapses_at.max(at + WORTH_TELLING) } else { request.lapses_at };
        let approval = (self.surroundings.describe)(Arc::clone(request)).await;
        Notice { kind, at, until, approval }
    }
}

/// One thing to tell.
#[derive(Clone, Debug)]
struct Notice {
    kind: Kind,
    /// When it happened.
    at: SystemTime,
    /// When it is not worth telling any more.
    until: SystemTime,
    approval: Approval,
}

impl Notice {
    /// The same for the same thing, however often and by whichever process it is told.
    fn id(&self) -> String {
        format!("{}_{}", self.approval.id, self.kind.word())
    }
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Requested,
    /// A yes of several.
    Progress,
    Approved,
    Denied,
    Expired,
}

impl Kind {
    fn of(change: &Change) -> Option<Self> {
        match change.kind {
            super::Kind::Requested => Some(Self::Requested),
            super::Kind::Approved => Some(Self::Progress),
            super::Kind::Granted => Some(Self::Approved),
            super::Kind::Denied => Some(Self::Denied),
            super::Kind::Expired => Some(Self::Expired),
            // The end that was told with the approval.
            super::Kind::Ended => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Progress => "progress",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
        }
    }

    /// Whether nobody can decide any more.
    fn is_end(self) -> bool {
        matches!(self, Self::Approved | Self::Denied | Self::Expired)
    }
}

/// What came of telling somebody.
enum Delivered {
    Done,
    /// Not now.
    Again {
        why: String,
        /// At the earliest.
        after: Option<Duration>,
    },
    /// Not this message.
    Never(String),
    /// Nothing any more.
    Off(String),
}

fn open(config: &NotifyConfig, clock: &Clock, messages: &Arc<Messages>) -> Result<Prepared, NotifyError> {
    let mut targets = Vec::new();
    for webhook in &config.webhooks {
        let name = format!("the webhook {}", webhook.url);
        let opened = webhook::Webhook::open(webhook, clock.clone())
            .map_err(|problem| NotifyError { target: name.clone(), problem })?;
        targets.push((name, Target::Webhook(Box::new(opened))));
    }
    let slack = match &config.slack {
        Some(slack) => {
            let opened = Slack::open(slack, clock.clone(), Arc::clone(messages))
                .map_err(|problem| NotifyError { target: "Slack".to_owned(), problem })?;
            let opened = Arc::new(opened);
            targets.push(("Slack".to_owned(), Target::Slack(Arc::clone(&opened))));
            Some(opened)
        }
        None => None,
    };
    Ok(Prepared { targets, slack })
}
