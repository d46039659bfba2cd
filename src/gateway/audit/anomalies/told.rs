//! The event of an alarm.

use std::time::SystemTime;

use aws_lc_rs::digest;

use super::{Alarm, Answer};
use crate::{
    clock::rfc3339,
    evidence::event::{Anomaly, Event, SCHEMA},
};

/// Hex digits of an id that say when it was made.
const WHEN: usize = 12;

/// The event of an alarm that `by` raised. Its id follows from that event and the rule: raised again, it is the same.
pub(super) fn event(
    alarm: &Alarm,
    by: &Event,
    answer: Answer,
    until: Option<SystemTime>,
    now: SystemTime,
) -> Event {
    let rule = alarm.rule.name();
    let score = (alarm.score * 100.0).round() / 100.0;
    let detail = format!("unusual {rule}: {}; usual: {}; score {score}", alarm.seen, alarm.usual);
    Event {
        schema: SCHEMA.to_owned(),
        id: id(&by.id, rule),
        time: rfc3339(now),
        kind: "anomaly".to_owned(),
        caller: by.caller.clone(),
        model: by.model.clone(),
        session: by.session.clone(),
        exchange: by.exchange.clone(),
        source: by.source.clone(),
        detail: Some(detail),
        anomaly: Some(Anomaly {
            rule: rule.to_owned(),
            usual: alarm.usual.clone(),
            seen: alarm.seen.clone(),
            score,
            answer: answer.name().to_owned(),
            until: until.map(rfc3339),
        }),
        ..Event::default()
    }
}

fn id(by: &str, rule: &str) -> String {
    let hash = digest::digest(&digest::SHA256, format!("{by} {rule}").as_bytes());
    let hash: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let digits = by.strip_prefix("ev_").and_then(|digits| digits.get(..WHEN));
    match digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        Some(when) => format!("ev_{when}{}", hash.get(WHEN..).unwrap_or_default()),
        None => format!("ev_{hash}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::audit::anomalies::Rule;

    #[test]
    fn an_alarm_says_what_was_usual_and_seen_and_is_the_same_when_raised_again() {
        let alarm = Alarm {
            rule: Rule::Rate,
            usual: "at most 80 requests".into(),
            seen: "612 requests".into(),
            score: 5.128,
            warm: true,
        };
        let by = Event {
            id: "ev_019a1f0c5a7b7c3e8f0d1b2a3c4d5e6f".into(),
            exchange: Some("ex_1".into()),
            ..Event::default()
        };
        let at = SystemTime::UNIX_EPOCH;
        let told = event(&alarm, &by, Answer::Suspend, Some(at), at);
        assert_eq!(
            told.id,
            event(&alarm, &by, Answer::Notify, None, at + std::time::Duration::from_secs(9)).id
        );
        assert!(told.id.starts_with("ev_019a1f0c5a7b") && told.id.len() == 35, "{}", told.id);
        assert_ne!(
            told.id,
            event(&Alarm { rule: Rule::Hour, ..alarm.clone() }, &by, Answer::Notify, None, at).id
        );
        let json = serde_json::to_value(&told).unwrap();
        for (pointer, value) in [
            ("/kind", serde_json::json!("anomaly")),
            ("/exchange", serde_json::json!("ex_1")),
            ("/anomaly/rule", serde_json::json!("rate")),
            ("/anomaly/usual", serde_json::json!("at most 80 requests")),
            ("/anomaly/seen", serde_json::json!("612 requests")),
            ("/anomaly/score", serde_json::json!(5.13)),
            ("/anomaly/answer", serde_json::json!("suspend")),
            ("/anomaly/until", serde_json::json!("1970-01-01T00:00:00.000Z")),
        ] {
            assert_eq!(json.pointer(pointer), Some(&value), "{pointer}");
        }
    }
}
