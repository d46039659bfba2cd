//! The detector on bad input, over restarts, and against whoever wants it to forget or to grow.

mod following;

use std::time::Duration;

use proptest::prelude::*;

use super::{Alarm, Answer, Config, Detector, Kept, MOST_CALLERS, Rule, RuleConfig, exchange::Key, storage};
use crate::{
    clock::{from_unix_millis, rfc3339},
    evidence::event::{self, Event, Request, Response},
};

const HOUR: i64 = 3600;
/// A Monday, 00:00.
const MONDAY: i64 = 1_791_158_400;

fn exchange(subject: &str, at: i64) -> Event {
    Event {
        id: format!("ev_{subject}_{at}"),
        time: rfc3339(from_unix_millis(at * 1000)),
        kind: "exchange".into(),
        caller: Some(event::Caller {
            subject: subject.into(),
            email: Some(format!("{subject}@example.test")),
            provider: "corp".into(),
            ..event::Caller::default()
        }),
        model: Some("m".into()),
        session: Some("ses_1".into()),
        exchange: Some("ex_1".into()),
        request: Some(Request { sha256: Some(format!("{at:064x}")), ..Request::default() }),
        response: Some(Response {
            status: 200,
            bytes: 2_000,
            outcome: "complete".into(),
            ..Response::default()
        }),
        source: Some("192.0.2.7".into()),
        ..Event::default()
    }
}

/// Three weeks of office hours with ten exchanges in each.
fn history(subject: &str) -> Vec<Event> {
    let hours = (0..21 * 24).filter(|hour| hour % (24 * 7) < 120 && (9..17).contains(&(hour % 24)));
    hours
        .flat_map(|hour| (0..10).map(move |n| MONDAY + hour * HOUR + n * 300))
        .map(|at| exchange(subject, at))
        .collect()
}

/// Far more than that, in the next hour of work.
fn burst(subject: &str) -> Vec<Event> {
    let from = MONDAY + (21 * 24 + 10) * HOUR;
    (0..600).map(|n| exchange(subject, from + n)).collect()
}

fn fold(detector: &mut Detector, events: &[Event]) -> Vec<Alarm> {
    events.iter().flat_map(|event| detector.fold(event, &Config::default())).collect()
}

fn rules(alarms: &[Alarm]) -> Vec<&'static str> {
    alarms.iter().map(|alarm| alarm.rule.name()).collect()
}

#[test]
fn a_burst_is_told_once_and_says_what_was_usual() {
    let mut detector = Detector::default();
    assert_eq!(fold(&mut detector, &history("alice")), []);
    let alarms = fold(&mut detector, &burst("alice"));
    let rate: Vec<_> = alarms.iter().filter(|alarm| alarm.rule == Rule::Rate).collect();
    let [rate] = rate.as_slice() else { panic!("{alarms:?}") };
    assert!(
        rate.usual.starts_with("at most 1") && rate.seen.contains(" requests in the hour from "),
        "{rate:?}"
    );
    assert!(rate.score >= 4.0 && rate.warm);
}

#[test]
fn an_episode_is_told_once_a_day() {
    let mut detector = Detector::default();
    fold(&mut detector, &history("alice"));
    let from = MONDAY + 21 * 24 * HOUR;
    let minutes = |from: i64, hours: i64| (0..hours * 60).map(move |minute| from + minute * 60);
    let busy = |at: i64| vec![exchange("alice", at); 20];
    let rates = |detector: &mut Detector, from, hours| {
        let events: Vec<Event> = minutes(from, hours).flat_map(busy).collect();
        fold(detector, &events).iter().filter(|alarm| alarm.rule == Rule::Rate).count()
    };
    assert_eq!(rates(&mut detector, from, 5), 1);
    assert_eq!(rates(&mut detector, from + 7 * HOUR, 1), 0, "within the cool-down");
    assert_eq!(rates(&mut detector, from + 30 * HOUR, 1), 1, "another day");
}

#[test]
fn a_rule_that_is_off_is_silent() {
    let mut config = Config::default();
    for rule in Rule::ALL {
        config.rules.insert(rule, RuleConfig { answer: Answer::Off, ..RuleConfig::of(rule) });
    }
    let mut detector = Detector::default();
    let all = [history("alice"), burst("alice")].concat();
    assert!(all.iter().all(|event| detector.fold(event, &config).is_empty()));
}

#[test]
fn what_was_learned_is_the_same_after_a_restart() {
    let mut detector = Detector::default();
    fold(&mut detector, &history("alice"));
    let changes = detector.take_changes();
    let snapshot = storage::snapshot(7, &changes).unwrap();
    assert!(snapshot.callers[0].1.len() < 8 * 1024, "{} bytes for a caller", snapshot.callers[0].1.len());
    let kept = Kept { cursor: 7, callers: snapshot.callers, models: snapshot.models };
    let (callers, models) = storage::read(&kept);
    let mut restored = Detector::restore(callers, models);
    assert_eq!(fold(&mut restored, &burst("alice")), fold(&mut detector, &burst("alice")));
}

#[test]
fn state_that_cannot_be_read_is_learned_anew() {
    let kept = Kept {
        cursor: 1,
        callers: vec![
            ("nonsense".into(), "{}".into()),
            (Key::of("corp", "a").to_string(), "{\"first\":true}".into()),
        ],
        models: "\u{0}".into(),
    };
    let (callers, models) = storage::read(&kept);
    assert_eq!((callers.len(), models.len()), (0, 0));
}

#[test]
fn a_clock_that_is_set_back_neither_alarms_nor_ends_the_watch() {
    let mut detector = Detector::default();
    fold(&mut detector, &history("alice"));
    // Years ahead, back again, and out of order within the hour.
    let ahead = exchange("alice", MONDAY + 10 * 365 * 24 * HOUR);
    assert!(fold(&mut detector, &[ahead]).iter().all(|alarm| alarm.rule != Rule::Rate));
    let mut late = burst("alice");
    late.reverse();
    let alarms = fold(&mut detector, &late);
    assert_eq!(rules(&alarms).iter().filter(|rule| **rule == "rate").count(), 1, "{alarms:?}");
}

#[test]
fn events_that_say_nothing_are_nothing() {
    let mut detector = Detector::default();
    let good = exchange("alice", MONDAY);
    for event in [
        Event::default(),
        Event { kind: "login".into(), ..good.clone() },
        Event { caller: None, ..good.clone() },
        Event { model: None, ..good.clone() },
        Event { response: None, ..good.clone() },
        Event { time: "yesterday".into(), ..good.clone() },
    ] {
        assert_eq!(detector.fold(&event, &Config::default()), []);
    }
    assert_eq!(detector.callers(), 0);
}

#[test]
fn callers_without_end_take_no_memory_without_end_and_the_active_stay() {
    let mut detector = Detector::default();
    fold(&mut detector, &history("alice"));
    let from = MONDAY + 21 * 24 * HOUR;
    for n in 0..2 * i64::try_from(MOST_CALLERS).unwrap() {
        detector.fold(&exchange(&format!("flood-{n}"), from + n / 100), &Config::default());
        if n % 1000 == 0 {
            detector.fold(&exchange("alice", from + n / 100), &Config::default());
        }
        assert!(detector.callers() <= MOST_CALLERS);
    }
    assert!(!fold(&mut detector, &burst("alice")).is_empty(), "whoever is active is not forgotten");
    let changes = detector.take_changes();
    assert!(changes.gone.len() >= MOST_CALLERS && changes.callers.len() <= MOST_CALLERS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_events_make_a_profile_grow_or_the_detector_panic(
        events in proptest::collection::vec(
            (any::<i64>(), any::<u64>(), any::<u64>(), ".{0,20}", ".{0,20}", any::<bool>(), 0_u8..4),
            1..300,
        )
    ) {
        let mut detector = Detector::default();
        for (millis, count, lasted, name, source, refused, near) in events {
            // Some anywhere in time, most around one another.
            let millis = if near > 0 { MONDAY * 1000 + millis % 10_000_000_000 } else { millis / 4 };
            let mut event = exchange("alice", 0);
            event.time = rfc3339(from_unix_millis(millis));
            event.model = Some(name.clone());
            event.source = Some(source);
            event.masked = [(name.clone(), count)].into();
            let response = event.response.get_or_insert_default();
            (response.bytes, response.duration_ms) = (count, lasted);
            if refused {
                response.outcome = "refused".into();
                response.status = 404;
            }
            if let Some(caller) = &mut event.caller {
                caller.groups = vec![name; 40];
            }
            for alarm in detector.fold(&event, &Config { warm_up: Duration::ZERO, ..Config::default() }) {
                prop_assert!(alarm.score.is_finite());
                prop_assert!(alarm.usual.len() + alarm.seen.len() < 512);
            }
        }
        let snapshot = storage::snapshot(1, &detector.take_changes()).unwrap();
        prop_assert!(snapshot.callers.iter().all(|(_, state)| state.len() < 16 * 1024));
        let kept = Kept { cursor: 1, callers: snapshot.callers, models: snapshot.models };
        prop_assert_eq!(storage::read(&kept).0.len(), kept.callers.len(), "what is written can be read");
    }
}
