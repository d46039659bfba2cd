//! The line of messages in front of one target: in order for each request, tried again with growing pauses, bounded in number.

use std::{collections::HashSet, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{Delivered, Notice, slack::Slack, webhook::Webhook};
use crate::clock::Clock;

/// Messages waiting for one target.
const MOST: usize = 1_000;
/// The first pause after a failure; each is twice the one before.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Who is told.
pub(super) enum Target {
    Webhook(Box<Webhook>),
    Slack(Arc<Slack>),
}

impl Target {
    async fn deliver(&self, notice: &Notice) -> Delivered {
        match self {
            Self::Webhook(webhook) => webhook.deliver(notice).await,
            Self::Slack(slack) => slack.deliver(notice).await,
        }
    }
}

/// The way to one target, whose settings may be replaced while messages wait.
#[derive(Clone)]
pub(super) struct Line {
    at: Arc<At>,
    inbox: mpsc::Sender<Arc<Notice>>,
}

/// A target under its name.
pub(super) struct At {
    name: String,
    target: ArcSwap<Target>,
}

impl Line {
    pub(super) fn new(name: &str, target: Target, inbox: mpsc::Sender<Arc<Notice>>) -> Self {
        let at = At { name: name.to_owned(), target: ArcSwap::from_pointee(target) };
        Self { at: Arc::new(at), inbox }
    }

    /// What the line leads to.
    pub(super) fn end(&self) -> Arc<At> {
        Arc::clone(&self.at)
    }

    /// Leads to the same target with other settings.
    pub(super) fn replace(&self, target: Target) {
        self.at.target.store(Arc::new(target));
    }

    /// Whether nobody serves it any more.
    pub(super) fn is_closed(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Puts a message in line; never waits.
    pub(super) fn tell(&self, notice: &Arc<Notice>) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.inbox.try_send(Arc::clone(notice)) {
            dropped(&self.at.name, notice);
        }
    }
}

fn late(name: &str, notice: &Notice) {
    tracing::error!(target = name, id = notice.id(), "a message was not delivered in time and is given up");
}

fn dropped(name: &str, notice: &Notice) {
    tracing::error!(target = name, id = notice.id(), "too many messages wait for it: this one is dropped");
}

/// One message and what became of it so far.
struct Job {
    notice: Arc<Notice>,
    failures: u32,
    due: Instant,
}

/// Serves one target until its inbox closes or it says that it is gone.
pub(super) async fn serve(
    at: Arc<At>,
    mut inbox: mpsc::Receiver<Arc<Notice>>,
    clock: Clock,
    first_pause: Duration,
) {
    let name = &at.name;
    let mut jobs: Vec<Job> = Vec::new();
    loop {
        let next = next(&jobs);
        let due = next.and_then(|at| jobs.get(at)).map(|job| job.due);
        tokio::select! {
            notice = inbox.recv() => {
                let Some(notice) = notice else { return };
                if jobs.len() < MOST {
                    jobs.push(Job { notice, failures: 0, due: Instant::now() });
                } else {
                    dropped(name, &notice);
                }
            }
            // Without a job the branch is off, and the instant is never waited for.
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let Some(place) = next.filter(|place| *place < jobs.len()) else { continue };
                let job = jobs.remove(place);
                if clock.now() >= job.notice.until {
                    late(name, &job.notice);
                    continue;
                }
                let target = at.target.load_full();
                match target.deliver(&job.notice).await {
                    Delivered::Done => tracing::debug!(target = name, id = job.notice.id(), "told"),
                    Delivered::Again { why, after } => {
                        if let Some(job) = again(name, job, &why, after, &clock, first_pause) {
                            // Where it was: what comes after it for the same request waits for it.
                            jobs.insert(place, job);
                        }
                    }
                    Delivered::Never(why) => {
                        tracing::error!(target = name, id = job.notice.id(), why, "a message cannot be delivered");
                    }
                    Delivered::Off(why) => {
                        tracing::error!(target = name, why, "nothing more is sent to it until the configuration is read again");
                        return;
                    }
                }
            }
        }
    }
}

/// The job to do next: the one that is due first of those with no earlier one for the same request.
fn next(jobs: &[Job]) -> Option<usize> {
    let mut seen = HashSet::new();
    let heads = jobs.iter().enumerate().filter(|(_, job)| seen.insert(&job.notice.approval.id));
    heads.min_by_key(|(_, job)| job.due).map(|(at, _)| at)
}

/// The job after a failure, unless its time is over.
fn again(
    name: &str,
    job: Job,
    why: &str,
    after: Option<Duration>,
    clock: &Clock,
    first_pause: Duration,
) -> Option<Job> {
    let pause = pause(first_pause, job.failures).max(after.unwrap_or_default());
    let id = job.notice.id();
    tracing::warn!(target = name, id, why, again_in = ?pause, "a message was not delivered");
    if clock.now() + pause >= job.notice.until {
        late(name, &job.notice);
        return None;
    }
    Some(Job { failures: job.failures.saturating_add(1), due: Instant::now() + pause, ..job })
}

fn pause(first: Duration, failures: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_a_second_to_five_minutes() {
        let seconds: Vec<u64> = (0..11).map(|failures| pause(FIRST_PAUSE, failures).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(pause(FIRST_PAUSE, u32::MAX), LONGEST_PAUSE);
    }
}
