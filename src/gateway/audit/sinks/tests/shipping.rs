//! What all sinks promise: in order, at least once, from where they stood, and never in the way.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;

/// The ids of everything that a receiver said yes to.
fn taken(sent: &[Sent], refused: &[usize]) -> Vec<String> {
    let good = sent.iter().enumerate().filter(|(at, _)| !refused.contains(at));
    good.flat_map(|(_, sent)| sent.ids()).collect()
}

#[tokio::test]
async fn what_is_not_taken_now_is_taken_later_and_nothing_is_lost_or_out_of_order() {
    let (receiver, url) = Receiving::start().await;
    receiver.will(&[503, 500, 404, 429]);
    let world = World::start().await;
    world.adopt(&[webhook(&url)]).await;
    world.note("login", 1..=3);
    world.at("siem", 3).await;
    world.note("renewal", 4..=40);
    world.at("siem", 40).await;
    let sent = receiver.sent(5).await;
    assert_eq!(taken(&sent, &[0, 1, 2, 3]), ids(1..=40));
    let called = |at: usize| sent[at].header("idempotency-key").to_owned();
    assert!((1..=4).all(|at| called(at) == called(0)), "the same delivery has the same id");
    let standing = world.standing();
    assert_eq!((standing.delivered, standing.failed, standing.set_aside), (40, 4, 0));
    assert_eq!((standing.lag_events, standing.lag), (0, Duration::ZERO));
}

#[tokio::test]
async fn a_sink_that_ends_before_the_acknowledgement_sends_again_and_one_that_ends_after_does_not() {
    let (receiver, url) = Receiving::start().await;
    receiver.will(&[SILENCE]);
    let world = World::start().await;
    world.adopt(&[webhook(&url)]).await;
    world.note("login", 1..=1);
    receiver.sent(1).await;
    // While it hangs, nobody else waits: events are written and found.
    world.note("login", 2..=20);
    let last = async |world: &World| world.store.ledger().last().await.unwrap() == 20;
    world.until("the ledger has them", last).await;

    let world = World::on(world.end().await, tuning()).await;
    world.adopt(&[webhook(&url)]).await;
    world.at("siem", 20).await;
    assert_eq!(taken(&receiver.sent(2).await, &[0]), ids(1..=20));
    let before = receiver.sent(2).await.len();

    let world = World::on(world.end().await, tuning()).await;
    world.adopt(&[webhook(&url)]).await;
    world.note("login", 21..=21);
    world.at("siem", 21).await;
    let sent = receiver.sent(before + 1).await;
    assert_eq!(taken(&sent[before..], &[]), ids(21..=21));
}

#[tokio::test]
async fn an_event_that_is_refused_for_good_is_set_aside_by_name_and_the_others_are_taken() {
    let (receiver, url) = Receiving::start().await;
    receiver.judges(|_, body| {
        let refused = String::from_utf8_lossy(body).contains("\"id\":\"ev_5\"");
        (if refused { 422 } else { 200 }, Vec::new())
    });
    let world = World::start().await;
    world.note("login", 1..=8);
    world.adopt(&[webhook(&url)]).await;
    world.at("siem", 9).await;
    let sent = receiver.sent(1).await;
    let yes = |sent: &&Sent| !sent.ids().contains(&"ev_5".to_owned());
    let taken: Vec<String> = sent.iter().filter(yes).flat_map(Sent::ids).collect();
    let wanted: Vec<String> = ids(1..=8).into_iter().filter(|id| id != "ev_5").collect();
    assert_eq!(taken[..7], wanted);
    let told = sent.last().unwrap().json()["data"]["events"][0].clone();
    assert_eq!(told["kind"], "sink_failed");
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.contains("siem") && detail.contains("ev_5") && detail.contains("422"), "{detail}");
    assert_eq!(world.standing().set_aside, 1);
}

#[tokio::test]
async fn a_receiver_that_refuses_everything_is_waited_for_and_its_refusals_do_not_feed_themselves() {
    let (receiver, url) = Receiving::start().await;
    receiver.judges(|_, _| (400, Vec::new()));
    let world = World::start().await;
    world.adopt(&[webhook(&url)]).await;
    world.note("login", 1..=6);
    world.until("two are set aside", async |world| world.standing().set_aside == 2).await;
    // Every further attempt is for the third: nothing more is given up.
    let before = receiver.sent.lock().unwrap().len();
    let sent = receiver.sent(before + 5).await;
    assert!(sent.iter().skip(before + 1).all(|sent| sent.ids() == ids(3..=3)), "{sent:?}");
    assert_eq!(world.standing().set_aside, 2);
    receiver.judges(|_, _| (200, Vec::new()));
    world.at("siem", 8).await;
    assert_eq!(world.store.ledger().last().await.unwrap(), 8, "six, and one for each that was set aside");
}

#[tokio::test]
async fn what_is_told_of_a_refusal_is_not_told_of_again_when_it_is_refused_itself() {
    let (receiver, url) = Receiving::start().await;
    receiver.judges(|_, body| {
        let refused =
            ["\"id\":\"ev_1\"", "sink_failed"].map(|word| String::from_utf8_lossy(body).contains(word));
        (if refused.contains(&true) { 400 } else { 200 }, Vec::new())
    });
    let world = World::start().await;
    world.note("login", 1..=1);
    world.adopt(&[webhook(&url)]).await;
    world.until("both are set aside", async |world| world.standing().set_aside == 2).await;
    world.note("login", 2..=2);
    world.at("siem", 3).await;
    assert_eq!(world.store.ledger().last().await.unwrap(), 3);
}

#[tokio::test]
async fn a_new_sink_begins_with_the_next_event_and_takes_only_the_kinds_it_wants() {
    let (receiver, url) = Receiving::start().await;
    let world = World::start().await;
    world.note("login", 1..=3);
    world.until("they are there", async |world| world.store.ledger().last().await.unwrap() == 3).await;
    let now = SinkConfig { from_start: false, kinds: vec!["login".to_owned()], ..webhook(&url) };
    world.adopt(std::slice::from_ref(&now)).await;
    world.at("siem", 3).await;
    world.note("renewal", 4..=9);
    world.note("login", 10..=10);
    world.note("renewal", 11..=12);
    world.at("siem", 12).await;
    assert_eq!(taken(&receiver.sent(1).await, &[]), ids(10..=10));

    // Removed, it stops; back again, it goes on from where it stood.
    world.adopt(&[]).await;
    assert!(world.sinks.standings().is_empty());
    world.note("login", 13..=14);
    world.until("they are there", async |world| world.store.ledger().last().await.unwrap() == 14).await;
    world.adopt(&[now]).await;
    world.at("siem", 14).await;
    assert_eq!(taken(&receiver.sent(2).await, &[0]), ids(13..=14));
}

#[tokio::test]
async fn other_settings_are_taken_up_at_once_also_in_a_long_pause() {
    let (old, old_url) = Receiving::start().await;
    let (new, new_url) = Receiving::start().await;
    old.judges(|_, _| (401, Vec::new()));
    let slow = Tuning {
        pace: Pace { first: Duration::from_hours(1), longest: Duration::from_hours(1) },
        ..tuning()
    };
    let world = World::on(tempfile::tempdir().unwrap(), slow).await;
    let path = kept(&world, "token", "first");
    let config = |url: &Url| {
        let header = Header {
            name: "authorization".to_owned(),
            prefix: "Bearer ".to_owned(),
            value: secret::Source::File(path.clone()),
        };
        let to = Bearing { headers: vec![header], ..bearing(url) };
        let receiver = ReceiverConfig::Webhook(WebhookConfig { to, secrets: Vec::new(), lines: true });
        SinkConfig { receiver, ..webhook(url) }
    };
    world.adopt(&[config(&old_url)]).await;
    world.note("login", 1..=2);
    let sent = old.sent(1).await;
    assert_eq!(sent[0].header("authorization"), "Bearer first");
    assert_eq!(sent[0].header("content-type"), "application/x-ndjson");
    // The same configuration, another secret: no hour is waited.
    world.until("it waits", async |world| world.standing().failed == 1).await;
    kept(&world, "token", "second");
    world.adopt(&[config(&old_url)]).await;
    assert_eq!(old.sent(2).await[1].header("authorization"), "Bearer second");
    // Another receiver: from the same place.
    world.adopt(&[config(&new_url)]).await;
    world.at("siem", 2).await;
    let lines = String::from_utf8(new.sent(1).await[0].body.to_vec()).unwrap();
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.lines().all(|line| serde_json::from_str::<Event>(line).is_ok()));
}

#[tokio::test]
async fn a_webhook_is_signed_as_standard_webhooks_say_and_holds_the_log_to_the_byte() {
    let (receiver, url) = Receiving::start().await;
    let world = World::start().await;
    let key = STANDARD.encode([7; 32]);
    let path = kept(&world, "key", &format!("whsec_{key}"));
    let receiver_config =
        WebhookConfig { to: bearing(&url), secrets: vec![secret::Source::File(path)], lines: false };
    let config = SinkConfig { receiver: ReceiverConfig::Webhook(receiver_config), ..webhook(&url) };
    world.adopt(&[config]).await;
    world.note("login", 1..=1);
    let sent = receiver.sent(1).await.remove(0);
    let signed = format!("{}.{}.", sent.header("webhook-id"), sent.header("webhook-timestamp"));
    let mut bytes = signed.into_bytes();
    bytes.extend_from_slice(&sent.body);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]), &bytes);
    assert_eq!(sent.header("webhook-signature"), format!("v1,{}", STANDARD.encode(tag)));
    assert_eq!(sent.header("webhook-timestamp"), (NOW / 1000).to_string());
    let row = world.store.ledger().rows(0, 1).await.unwrap().remove(0);
    assert!(String::from_utf8_lossy(&sent.body).contains(&row.json));
    assert_eq!(sent.json()["type"], "audit.events");
}

#[tokio::test]
async fn a_secret_that_is_missing_names_the_sink_and_changes_nothing() {
    let (receiver, url) = Receiving::start().await;
    let world = World::start().await;
    world.adopt(&[webhook(&url)]).await;
    let missing = secret::Source::File(world.dir.path().join("nowhere"));
    let bad = WebhookConfig { to: bearing(&url), secrets: vec![missing], lines: false };
    let bad = SinkConfig { receiver: ReceiverConfig::Webhook(bad), ..webhook(&url) };
    let error = world.sinks.prepare(&[bad]).await.unwrap_err();
    assert!(error.to_string().contains("siem"), "{error}");
    world.note("login", 1..=1);
    assert_eq!(receiver.sent(1).await[0].ids(), ids(1..=1));
}
