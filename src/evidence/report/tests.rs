//! The report's figures of known events, and hostile bytes in every field.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Count, Folding, Head, Made, Report, page};
use crate::clock::parse_rfc3339;

fn at(text: &str) -> SystemTime {
    parse_rfc3339(text).unwrap()
}

fn head() -> Head {
    Head {
        origin: "gateway.example.test/audit".into(),
        size: 1000,
        root: "00ff".into(),
        key: "gateway.example.test/audit+0a1b2c3d+AT==".into(),
        key_sha256: "9f86".into(),
        note: "gateway.example.test/audit\n1000\nAP8=\n\n\u{2014} gateway.example.test/audit c2ln\n".into(),
        ..Head::default()
    }
}

fn report(events: &[Value]) -> Report {
    let mut folding = Folding::new(Some(at("2026-11-01T00:00:00Z")), at("2026-11-08T00:00:00Z"));
    for (index, event) in (0..).zip(events) {
        folding.entry(index, event.to_string().as_bytes());
    }
    folding.finish(Made { at: "2026-11-08T00:00:00.000Z".into(), by: "test".into(), head: Some(head()) })
}

fn event(time: &str, kind: &str, more: Value) -> Value {
    let mut event = json!({ "schema": "hoopctl.audit/1", "id": "ev", "time": format!("2026-11-{time}.000Z"), "kind": kind });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

fn leg(tls: &str, group: &str) -> Value {
    let cipher = if tls.is_empty() { "" } else { "TLS_AES_256_GCM_SHA384" };
    json!({ "transport": if tls.is_empty() { "plaintext" } else { "tcp" }, "tls": tls, "cipher": cipher, "group": group })
}

fn by(user: &str) -> Value {
    json!({ "subject": user, "email": format!("{user}@example.test"), "groups": [], "provider": "corp" })
}

/// A week of a gateway: an exchange of each sort, and everything else once or twice.
fn week() -> Vec<Value> {
    let quantum = || leg("TLSv1.3", "X25519MLKEM768");
    let done = |outcome: &str| json!({ "status": 200, "bytes": 1, "duration_ms": 1, "outcome": outcome });
    let permit = json!({ "verdict": "permit", "policies": ["p"], "approval": "apr_1" });
    let plain = json!({ "transport": "plaintext", "tls": "", "cipher": "", "group": "", "relaxed": true, "url": "http://m.test/" });
    let unverified = json!({ "transport": "tcp", "tls": "TLSv1.2", "cipher": "C", "group": "X25519", "verified": false, "relaxed": true });
    let local = json!({ "transport": "unix", "tls": "", "cipher": "", "group": "" });
    vec![
        event("01T00:00:00", "gateway_start", json!({ "detail": "started" })),
        event(
            "01T08:00:00",
            "exchange",
            json!({ "caller": by("alice"), "model": "a", "decision": permit, "response": done("complete"),
            "masked": { "EMAIL": 2, "IBAN": 1 }, "evidence": { "client": quantum(), "upstream": quantum() }, "recording": { "id": "rec_1" } }),
        ),
        event(
            "01T09:00:00",
            "exchange",
            json!({ "caller": by("alice"), "model": "b", "response": done("complete"),
            "evidence": { "client": quantum(), "upstream": plain } }),
        ),
        event(
            "02T09:00:00",
            "exchange",
            json!({ "caller": by("bob"), "model": "b", "response": done("complete"),
            "evidence": { "client": quantum(), "upstream": unverified }, "masked": { "EMAIL": 1 } }),
        ),
        event(
            "02T10:00:00",
            "exchange",
            json!({ "caller": by("bob"), "model": "c", "response": done("complete"),
            "evidence": { "client": leg("TLSv1.3", "X25519"), "upstream": local }, "unmasked": { "policies": ["desk"] } }),
        ),
        event(
            "02T11:00:00",
            "exchange",
            json!({ "caller": by("bob"), "model": "a", "response": done("refused"),
            "decision": { "verdict": "deny", "policies": [] }, "evidence": { "client": quantum() } }),
        ),
        event(
            "02T12:00:00",
            "exchange",
            json!({ "model": "a", "exchange": "ex_9", "response": done("interrupted") }),
        ),
        event("02T13:00:00", "plaintext_attempt", json!({ "source": "192.0.2.1" })),
        event("03T13:00:00", "plaintext_attempt", json!({ "source": "192.0.2.1", "count": 41 })),
        event("03T13:00:00", "plaintext_attempt", json!({ "source": "192.0.2.2" })),
        event(
            "03T14:00:00",
            "approval_requested",
            json!({ "caller": by("alice"), "model": "a", "detail": "please",
            "decision": { "verdict": "ask", "policies": [], "approval": "apr_1" } }),
        ),
        event(
            "03T14:01:00",
            "approval_approved",
            json!({ "caller": by("carol"), "model": "a",
            "decision": { "verdict": "ask", "policies": [], "approval": "apr_1" } }),
        ),
        event(
            "03T14:01:00",
            "approval_granted",
            json!({ "caller": by("carol"), "model": "a", "detail": "until then",
            "decision": { "verdict": "ask", "policies": [], "approval": "apr_1" } }),
        ),
        event("03T15:00:00", "certificate_renewed", json!({ "detail": "sha256:00" })),
        event("03T16:00:00", "gateway_reload", json!({ "detail": "model b added" })),
        event("03T17:00:00", "revocation", json!({ "detail": "carol's" })),
        event("03T18:00:00", "login", json!({ "caller": by("alice") })),
        event("03T18:00:01", "login_failed", json!({ "count": 7 })),
        event("03T19:00:00", "journal_damaged", json!({ "detail": "12 bytes" })),
        event(
            "03T20:00:00",
            "audit_outage",
            json!({ "since": "2026-11-03T19:30:00.000Z", "detail": "5 exchanges" }),
        ),
        event("04T00:00:00", "gateway_stop", json!({})),
        event("04T01:00:00", "gateway_start", json!({})),
        event("05T01:00:00", "gateway_start", json!({})),
        event("05T00:00:00", "renewal", json!({ "caller": by("alice") })),
        event("09T00:00:00", "exchange", json!({ "model": "later" })),
        json!({ "schema": "hoopctl.audit/1", "id": "ev_l", "time": "2026-11-05T00:00:00.000Z", "kind": "exchange",
            "oversize": { "bytes": 70000, "sha256": "00" } }),
        json!("no event"),
    ]
}

fn count(name: &str, count: u64) -> Count {
    Count { name: name.into(), count }
}

#[test]
fn known_events_have_known_figures() {
    let report = report(&week());
    assert_eq!((report.schema, report.since.as_str()), (1, "2026-11-01T00:00:00.000Z"));
    assert_eq!((report.events.total, report.events.unread), (24, 2));
    assert_eq!(report.events.first, "2026-11-01T00:00:00.000Z");
    let all = &report.exchanges;
    assert_eq!(
        (all.total, all.encrypted, all.unencrypted, all.unencrypted_local, all.unknown),
        (6, 3, 2, 1, 1)
    );
    assert_eq!(all.post_quantum, 2, "a refused one has only one leg");
    let (client, upstream) = (&report.client, &report.upstream);
    assert_eq!((client.exchanges, client.encrypted, client.post_quantum, client.plaintext), (5, 5, 4, 0));
    assert_eq!((upstream.exchanges, upstream.encrypted, upstream.plaintext, upstream.local), (4, 2, 1, 1));
    assert_eq!((upstream.unverified, upstream.post_quantum), (1, 1));
    let shares: Vec<_> = upstream
        .versions
        .iter()
        .map(|share| (share.name.as_str(), share.percent, share.unencrypted))
        .collect();
    assert_eq!(
        shares,
        [
            ("TLSv1.2", 25.0, false),
            ("TLSv1.3", 25.0, false),
            ("none (plaintext)", 25.0, true),
            ("none (socket of the gateway's machine)", 25.0, true)
        ]
    );
    assert_eq!(
        client.groups.iter().map(|share| (share.name.as_str(), share.percent)).collect::<Vec<_>>(),
        [("X25519MLKEM768", 80.0), ("X25519", 20.0)]
    );
    let relaxed: Vec<_> = report
        .relaxed
        .shown
        .iter()
        .map(|used| (used.url.as_str(), used.exchanges, used.plaintext, used.unverified))
        .collect();
    assert_eq!(relaxed, [("", 1, 0, 1), ("http://m.test/", 1, 1, 0)]);
    assert_eq!(report.plaintext.attempts, 43);
    assert_eq!(report.plaintext.days, [count("2026-11-02", 1), count("2026-11-03", 42)]);
    assert_eq!(report.plaintext.sources.shown, [count("192.0.2.1", 42), count("192.0.2.2", 1)]);
    let approval = &report.approvals.shown[0];
    assert_eq!(
        (approval.requester.as_str(), &approval.approvers[..], approval.exchanges),
        ("alice@example.test", &["carol@example.test".to_owned()][..], 1)
    );
    assert_eq!((approval.state.as_str(), approval.detail.as_str()), ("granted", "until then"));
    let masked: Vec<_> =
        report.masked.shown.iter().map(|one| (one.entity.as_str(), one.values, one.exchanges)).collect();
    assert_eq!(masked, [("EMAIL", 3, 2), ("IBAN", 1, 1)]);
    assert_eq!(
        (report.unmasked.shown[0].user.as_str(), &report.unmasked.shown[0].policies[0]),
        ("bob@example.test", &"desk".to_owned())
    );
    assert_eq!((report.certificates.total, report.changes.total, report.revocations.total), (1, 4, 1));
    assert_eq!((report.access.logins, report.access.renewals, report.access.failed_logins), (1, 1, 7));
    assert_eq!(report.recordings.recorded, 1);
    let gaps: Vec<_> = report.gaps.shown.iter().map(|gap| gap.kind.as_str()).collect();
    assert_eq!(
        gaps,
        ["unread", "interrupted", "journal_damaged", "audit_outage", "stopped", "crashed", "clock_back"]
    );
    assert_eq!(report.gaps.shown[3].from, "2026-11-03T19:30:00.000Z");
    let days: Vec<_> = report
        .days
        .iter()
        .map(|day| (day.day.as_str(), day.exchanges, day.unencrypted, day.refused))
        .collect();
    assert_eq!(days, [("2026-11-01", 2, 1, 0), ("2026-11-02", 4, 1, 1)]);
    assert_eq!(
        report.models.shown.iter().map(|model| (model.name.as_str(), model.exchanges)).collect::<Vec<_>>(),
        [("a", 3), ("b", 2), ("c", 1)]
    );
    assert_eq!(report.callers.shown[0].user, "bob@example.test");
    assert!(report.checkpoint.as_ref().unwrap().covers);
    assert_eq!(
        report.controls.iter().map(|control| control.id.as_str()).collect::<Vec<_>>(),
        ["CC6.1", "CC6.6", "CC6.7", "A.8.24", "§164.312(e)"]
    );
    let transmission = &report.controls[2];
    assert!(
        transmission
            .evidence
            .iter()
            .any(|line| line == "gateway to model: 2 of 4 exchanges encrypted by TLS"),
        "{transmission:?}"
    );
    assert!(
        transmission.attention.iter().any(|line| line == "gateway to model: 1 exchanges were not encrypted"),
        "{transmission:?}"
    );
}

#[test]
fn the_page_says_what_was_not_encrypted_and_the_json_reads_back() {
    let report = report(&week());
    let page = page(&report);
    assert!(
        page.contains(
            "<b>2 of 6 exchanges (33.33 %) were not encrypted on every leg</b>, 1 of them only over a socket"
        ),
        "{page}"
    );
    assert!(page.contains("The log has 7 <a href=\"#gaps\">gaps</a>."));
    assert!(page.contains(
        "hoopctl audit verify --key 'gateway.example.test/audit+0a1b2c3d+AT==' --checkpoint report.checkpoint"
    ));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["upstream"]["versions"][0]["percent"], 25.0);
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
    assert_eq!(
        serde_json::from_str::<Report>(r#"{"schema":1,"colour":"green"}"#).unwrap().schema,
        1,
        "a newer gateway's is still read"
    );
}

#[test]
fn all_but_one_of_a_million_is_not_called_all_and_one_is_not_called_none() {
    use super::{markup::part, tally::percent};
    assert_eq!(
        (percent(999_999, 1_000_000), percent(1_000_000, 1_000_000), percent(1, 1_000_000), percent(0, 0)),
        (99.99, 100.0, 0.0, 0.0)
    );
    assert_eq!(
        [part(999_999, 1_000_000), part(7, 7), part(1, 1_000_000), part(0, 7)],
        ["99.99 %", "100 %", "< 0.01 %", "0 %"]
    );
    assert_eq!(percent(u64::MAX, u64::MAX), 100.0);
}

#[test]
fn a_time_without_events_is_said_to_be_one() {
    let report = report(&[]);
    assert_eq!((report.events.total, report.exchanges.total, report.gaps.total), (0, 0, 0));
    let page = page(&report);
    assert!(page.contains("The log has no event of this time: there is nothing to report on."));
    assert!(
        !page.contains("All 0") && !page.contains("100 %") && page.contains("No approvals in this time.")
    );
}

#[test]
fn a_crash_is_found_also_when_the_gateway_was_started_before_the_time() {
    let crashed = |events: &[Value]| {
        let report = report(events);
        report.gaps.shown.iter().map(|gap| (gap.kind.clone(), gap.from.clone())).collect::<Vec<_>>()
    };
    let start = event("02T00:00:00", "gateway_start", json!({}));
    let first = [event("01T00:00:00", "certificate_made", json!({})), start.clone()];
    assert_eq!(crashed(&first), [], "the very first start");
    let lived = [event("01T08:00:00", "login", json!({})), start];
    assert_eq!(crashed(&lived), [("crashed".to_owned(), "2026-11-01T08:00:00.000Z".to_owned())]);
}

#[test]
fn a_head_that_does_not_reach_the_last_event_is_said_not_to_cover_it() {
    let mut folding = Folding::new(None, at("2026-12-01T00:00:00Z"));
    folding.entry(1000, event("01T00:00:00", "login", json!({})).to_string().as_bytes());
    let report = folding.finish(Made { head: Some(head()), ..Made::default() });
    assert!(!report.checkpoint.as_ref().unwrap().covers);
    assert!(page(&report).contains("does not cover the last events"));
}

/// Every string of an event but those that say what it is.
fn spoil(value: &mut Value, with: &str) {
    match value {
        Value::String(text) => with.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| spoil(item, with)),
        Value::Object(fields) => {
            let keeps =
                ["kind", "time", "since", "schema", "outcome", "verdict", "transport", "tls", "group", "url"];
            for (name, field) in fields.iter_mut() {
                if !keeps.contains(&name.as_str()) {
                    spoil(field, with);
                }
            }
            if let Some(Value::Object(masked)) = fields.get_mut("masked") {
                *masked = masked.values().cloned().map(|count| (with.to_owned(), count)).collect();
            }
        }
        _ => {}
    }
}

/// The page's tags, without the text between them.
fn tags(page: &str) -> Vec<String> {
    let pieces = page.split('<').skip(1);
    pieces
        .map(|piece| piece.split('>').next().unwrap().to_owned())
        .filter(|tag| !tag.starts_with("rect"))
        .collect()
}

#[test]
fn hostile_bytes_in_every_field_are_text_and_nothing_else() {
    let spoiled = |with: &str| {
        let mut events = week();
        events.iter_mut().for_each(|event| spoil(event, with));
        page(&report(&events))
    };
    let harmless = tags(&spoiled("harmless"));
    for hostile in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'></td></tr></table><h1>Approved</h1>",
        "</style><style>*{display:none}</style>",
        "]]><!-- -->",
        "&lt;b&gt;",
    ] {
        let page = spoiled(hostile);
        assert_eq!(tags(&page), harmless, "{hostile}");
        assert!(!page.contains(hostile), "{hostile}");
    }
    let page = spoiled("a\u{1b}[2J\0\u{7}\r\u{202e}\u{2028}\u{feff}\u{9b}b");
    for one in ['\u{1b}', '\0', '\u{7}', '\r', '\u{202e}', '\u{2028}', '\u{feff}', '\u{9b}'] {
        assert!(!page.contains(one), "{one:?}");
    }
    assert!(page.contains("a\\u{1b}[2J\\u{0}"), "they are spelled out");
}

#[test]
fn huge_and_many_values_make_a_small_report() {
    let huge = "x".repeat(60_000);
    let (mut spoiled, mut events) = (week(), week());
    spoiled.iter_mut().for_each(|event| spoil(event, &huge));
    let mut folding = Folding::new(None, at("2027-01-01T00:00:00Z"));
    for event in spoiled {
        folding.entry(0, event.to_string().as_bytes());
    }
    for n in 0_u64..300 {
        for event in &mut events {
            for (pointer, name) in [
                ("/model", "m"),
                ("/caller/subject", "s"),
                ("/source", "192.0.2."),
                ("/decision/approval", "apr_"),
            ] {
                if let Some(value) = event.pointer_mut(pointer) {
                    *value = json!(format!("{name}{n}"));
                }
            }
            if let Some(masked) = event.get_mut("masked") {
                *masked = json!({ format!("E{n}"): u64::MAX });
            }
            if let Some(legs) = event.get_mut("evidence").and_then(|legs| legs.get_mut("client")) {
                legs["tls"] = json!(format!("TLSv{n}"));
            }
            folding.entry(n, event.to_string().as_bytes());
        }
    }
    let report = folding.finish(Made::default());
    assert!(report.models.more() > 0 && report.certificates.total > 0);
    let (json, page) = (serde_json::to_string(&report).unwrap(), page(&report));
    assert!(json.len() < 2_000_000 && page.len() < 2_000_000, "{} {}", json.len(), page.len());
    assert!(page.contains(" more models</p>"));
    assert!(report.client.versions.len() <= 65);
}
