//! The follower: what it tells, answers and keeps, over restarts and without an audit log.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{HOUR, MONDAY, burst, exchange, history};
use crate::{
    clock::{Clock, from_unix_millis, rfc3339},
    evidence::event::{Event, Response},
    gateway::{
        audit::{
            self, Entry, Ledger, Scribe,
            anomalies::{
                Anomalies, Answer, Config, Interrupt, Keep, NotLifted, Rule, RuleConfig, doubles::Memory,
            },
            doubles::{MemoryJournal, MemoryLedger},
        },
        identity::Caller,
    },
};

/// A scribe on a ledger that already has events.
struct Room {
    journal: MemoryJournal,
    ledger: MemoryLedger,
    scribe: Scribe,
    keep: Arc<Memory>,
    clock: Clock,
    interrupted: Arc<Mutex<Vec<String>>>,
}

impl Room {
    async fn new(events: &[Event]) -> Self {
        let (journal, ledger) = (MemoryJournal::default(), MemoryLedger::default());
        add(&ledger, events).await;
        let clock = Clock::manual(from_unix_millis((MONDAY + 22 * 24 * HOUR) * 1000)).0;
        let scribe = Scribe::open(
            audit::Config::default(),
            Arc::new(journal.clone()),
            Arc::new(ledger.clone()),
            clock.clone(),
            CancellationToken::new(),
        );
        let scribe = scribe.await.unwrap();
        Self { journal, ledger, scribe, keep: Arc::default(), clock, interrupted: Arc::default() }
    }

    /// Runs a follower until it has taken in everything, and has stopped.
    async fn follow(&self, config: Config) -> Anomalies {
        let (keep, ledger): (Arc<dyn Keep>, Arc<dyn Ledger>) =
            (Arc::clone(&self.keep) as _, Arc::new(self.ledger.clone()));
        let (door, follower) = Anomalies::open(config, keep, ledger, self.clock.now()).await.unwrap();
        let interrupted = Arc::clone(&self.interrupted);
        let interrupt: Interrupt =
            Arc::new(move |_, subject| interrupted.lock().unwrap().push(subject.to_owned()));
        let stop = CancellationToken::new();
        stop.cancel();
        follower.run(self.scribe.clone(), self.clock.clone(), interrupt, stop).await;
        door
    }

    async fn alarms(&self) -> Vec<Event> {
        let filter = audit::Filter { limit: 1000, ..audit::Filter::default() };
        let all = self.scribe.query(&filter).await.unwrap().events;
        all.into_iter().filter(|event| event.kind.starts_with("anomaly")).collect()
    }
}

async fn add(ledger: &MemoryLedger, events: &[Event]) {
    let entries: Vec<Entry> = events
        .iter()
        .map(|event| Entry { event: event.clone(), json: serde_json::to_string(event).unwrap() })
        .collect();
    let position = ledger.journal_position().await.unwrap();
    ledger.append(&entries, position).await.unwrap();
}

fn suspending() -> Config {
    let mut config = Config::default();
    config.rules.insert(Rule::Rate, RuleConfig { answer: Answer::Suspend, ..RuleConfig::of(Rule::Rate) });
    config
}

fn caller(subject: &str) -> Caller {
    Caller {
        subject: subject.into(),
        email: Some(format!("{subject}@example.test")),
        name: None,
        groups: vec![],
        provider: "corp".into(),
        workload: false,
        session: "ses_1".into(),
    }
}

#[tokio::test]
async fn the_past_is_learned_from_and_not_told() {
    let room = Room::new(&[history("alice"), burst("alice")].concat()).await;
    room.follow(suspending()).await;
    assert_eq!(room.alarms().await, []);
    assert!(room.keep.kept.lock().unwrap().is_some());
}

#[tokio::test]
async fn a_suspension_is_told_holds_over_a_restart_and_is_lifted_by_another() {
    let room = Room::new(&history("alice")).await;
    room.follow(suspending()).await;
    add(&room.ledger, &burst("alice")).await;
    let before = room.keep.kept.lock().unwrap().clone();
    let door = room.follow(suspending()).await;
    let rate: Vec<Event> = room
        .alarms()
        .await
        .into_iter()
        .filter(|event| event.anomaly.as_ref().unwrap().rule == "rate")
        .collect();
    let [alarm] = rate.as_slice() else { panic!("{rate:?}") };
    let told = alarm.anomaly.as_ref().unwrap();
    assert_eq!((told.answer.as_str(), alarm.session.as_deref()), ("suspend", Some("ses_1")));
    let now = room.clock.now();
    assert_eq!(told.until.as_deref(), Some(rfc3339(now + Duration::from_hours(24)).as_str()));
    assert_eq!(*room.interrupted.lock().unwrap(), ["alice"]);
    assert!(door.answers().suspension(&caller("alice"), now).is_some());
    assert!(door.answers().suspension(&caller("bob"), now).is_none());
    assert!(door.answers().suspension(&caller("alice"), now + Duration::from_hours(25)).is_none());

    // The process died before it had kept what it learned: the same alarm, once.
    *room.keep.kept.lock().unwrap() = before;
    let count = room.alarms().await.len();
    let door = room.follow(suspending()).await;
    assert_eq!(room.alarms().await.len(), count);
    assert!(door.answers().suspension(&caller("alice"), now).is_some(), "kept over a restart");

    let own = door.answers().lift("alice", &caller("alice"), &room.scribe, now).await;
    assert!(matches!(own, Err(NotLifted::Own)), "{own:?}");
    let nobody = door.answers().lift("carol", &caller("bob"), &room.scribe, now).await.unwrap();
    assert!(nobody.is_empty());
    let lifted = door.answers().lift("ALICE@example.test", &caller("bob"), &room.scribe, now).await.unwrap();
    assert_eq!(lifted.len(), 1);
    assert!(door.answers().suspension(&caller("alice"), now).is_none());
    let last = room.alarms().await.pop().unwrap();
    assert_eq!((last.kind.as_str(), last.caller.unwrap().subject.as_str()), ("anomaly_lifted", "bob"));
    let door = room.follow(suspending()).await;
    assert!(door.answers().suspension(&caller("alice"), now).is_none(), "lifted over a restart");
}

#[tokio::test]
async fn nothing_follows_by_itself_in_the_warm_up() {
    let room = Room::new(&[]).await;
    let mut config = Config::default();
    let denials = RuleConfig { answer: Answer::Suspend, ..RuleConfig::of(Rule::Denials) };
    config.rules.insert(Rule::Denials, denials);
    let probes: Vec<Event> = (0..40)
        .map(|n| {
            let mut event = exchange("mallory", MONDAY + n);
            event.response = Some(Response { status: 404, outcome: "refused".into(), ..Response::default() });
            event
        })
        .collect();
    room.keep.kept.lock().unwrap().get_or_insert_default();
    add(&room.ledger, &probes).await;
    let door = room.follow(config).await;
    let alarms = room.alarms().await;
    let [alarm] = alarms.as_slice() else { panic!("{alarms:?}") };
    assert_eq!(alarm.anomaly.as_ref().unwrap().answer, "notify");
    assert!(door.answers().suspension(&caller("mallory"), room.clock.now()).is_none());
}

#[tokio::test]
async fn an_alarm_that_cannot_be_written_waits_and_nothing_is_kept_before_it() {
    let room = Room::new(&history("alice")).await;
    room.follow(Config::default()).await;
    add(&room.ledger, &burst("alice")).await;
    let before = room.keep.kept.lock().unwrap().clone();
    room.journal.with(|state| state.fail_append = Some(Box::new(|_| true)));
    room.follow(Config::default()).await;
    assert_eq!(*room.keep.kept.lock().unwrap(), before);
    room.journal.with(|state| state.fail_append = None);
    room.follow(Config::default()).await;
    assert!(!room.alarms().await.is_empty());
}
