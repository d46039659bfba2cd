//! Sessions and recordings from outside: listed, played, taken away, verified, and every way of changing one found.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hoopctl::evidence::recording::Identities;
use hoopctl::secret::ExposeSecret;
use serde_json::Value;

use crate::world::{Laptop, Model, World, eventually, fails, text};

const POLICY: &str = r#"
@id("ml") permit(principal in Group::"ml", action in [Action::"list", Action::"invoke"], resource);
@id("auditors") permit(principal in Group::"auditors", action == Action::"read_audit", resource == Gateway::"gateway");
@id("players") permit(principal in Group::"auditors", action == Action::"replay", resource == Model::"m");
"#;

/// A world whose model `m` is recorded, with a user, and an auditor.
fn world(model: &Model, extra: &str) -> (World, Laptop, Laptop) {
    let mut world = World::new();
    world.policy(POLICY);
    world.extra = extra.to_owned();
    let ca = model.ca_file(world.dir.path());
    world.model("m", &model.url(), &format!("ca = \"{}\"\nrecord = \"full\"", ca.display()));
    world.start();
    let (user, auditor) = (world.logged_in("carol", &["ml"]), world.logged_in("ana", &["auditors"]));
    (world, user, auditor)
}

/// One streamed answer through a local port: the ids of its session and its exchange, once both are in the log.
fn stream(model: &Model, user: &Laptop) -> (String, String) {
    let connected = user.connect(&[]);
    let asking = std::thread::spawn({
        let port = connected.port();
        move || {
            use std::io::{Read, Write};
            let mut line = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            let head = format!("GET /sse HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
            line.write_all(head.as_bytes()).unwrap();
            let mut answer = Vec::new();
            line.read_to_end(&mut answer).unwrap();
            answer
        }
    });
    let chat = |text: &str| {
        let event = serde_json::json!({ "choices": [{ "delta": { "content": text } }] });
        format!("data: {event}\n\n")
    };
    eventually("the model is asked", || (model.say(chat("Hello ").as_bytes()) > 0).then_some(()));
    model.say(chat("\u{202e}world").as_bytes());
    model.hush();
    assert!(text(&asking.join().unwrap()).contains("Hello"));
    let session = connected.said["session"].as_str().unwrap().to_owned();
    drop(connected);
    let exchange = eventually("the exchange is in the log", || {
        let shown = user.run(&["sessions", "show", &session, "-o", "json"]);
        let shown: Value = serde_json::from_slice(&shown.stdout).ok()?;
        Some(shown["exchanges"][0]["exchange"].as_str()?.to_owned())
    });
    (session, exchange)
}

/// The one file below a folder.
fn only(folder: PathBuf) -> PathBuf {
    let inner = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    if inner.is_dir() { only(inner) } else { inner }
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn details(auditor: &Laptop) -> Vec<(String, String)> {
    let reads = auditor.json(&["audit", "query", "--kind", "recording_read"]);
    let word = |event: &Value, pointer: &str| {
        event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    reads["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (word(event, "/decision/verdict"), word(event, "/detail")))
        .collect()
}

#[test]
fn an_exchange_is_listed_shown_played_taken_away_and_verified() {
    let model = Model::start();
    let (world, user, auditor) = world(&model, "");
    let (session, exchange) = stream(&model, &user);
    let key = fs::read_to_string(world.state().join("log.vkey")).unwrap().trim().to_owned();

    let listed = user.json(&["sessions", "list", "--model", "m", "--decision", "permit"]);
    let one = &listed["sessions"][0];
    assert_eq!(
        (one["session"].as_str(), &one["exchanges"], &one["recorded"]),
        (Some(session.as_str()), &1.into(), &1.into())
    );
    assert!(text(&auditor.run(&["sessions"]).stdout).contains(&session));
    assert!(text(&auditor.run(&["sessions", "show", &exchange]).stdout).contains("TLSv1.3"));

    let played = auditor.run(&["sessions", "replay", &exchange, "--no-timing"]);
    assert_eq!(text(&played.stdout), "Hello \\u{202e}world\n", "{}", text(&played.stderr));
    let whole = auditor.run(&["sessions", "replay", &session, "--speed", "1000"]);
    assert_eq!(whole.stdout, played.stdout, "a session is its recordings in turn");

    let har: Value =
        serde_json::from_slice(&auditor.run(&["sessions", "export", &exchange, "--format", "har"]).stdout)
            .unwrap();
    let entry = &har["log"]["entries"][0];
    assert_eq!(entry["_eventSourceMessages"].as_array().unwrap().len(), 2);
    let raw = auditor.run(&["sessions", "export", &exchange, "--format", "raw"]).stdout;
    assert_eq!(entry["response"]["content"]["text"].as_str().unwrap().as_bytes(), raw);

    let verified = auditor.json(&["sessions", "verify", &exchange, "--key", &key]);
    assert_eq!((&verified["verified"], &verified["whole"]), (&true.into(), &true.into()), "{verified}");

    // Who reads a recording is in the log; so is who was refused, the caller themselves too.
    fails(&user.run(&["sessions", "replay", &exchange]), 3, &["policy does not let", "replay"]);
    let reads = details(&auditor);
    for (verdict, detail) in [
        ("permit", "replay, opened"),
        ("permit", "export, opened"),
        ("permit", "verify, sealed"),
        ("deny", "refused: replay"),
    ] {
        assert!(
            reads.iter().any(|(said, how)| said == verdict && how.starts_with(detail)),
            "{detail}: {reads:?}"
        );
    }
    let stranger = world.logged_in("bob", &["ml"]);
    assert_eq!(stranger.json(&["sessions", "list"])["sessions"], serde_json::json!([]));
    fails(&stranger.run(&["sessions", "show", &session]), 1, &["no such session"]);
}

#[test]
fn an_auditor_needs_no_gateway_and_finds_every_change() {
    let model = Model::start();
    let (world, user, auditor) = world(&model, "");
    let (_, exchange) = stream(&model, &user);
    let key = fs::read_to_string(world.state().join("log.vkey")).unwrap().trim().to_owned();
    let folder = world.dir.path().display().to_string();
    let (file, bundle) = (format!("{folder}/one.rec"), format!("{folder}/bundle"));
    let done = auditor.run(&["sessions", "export", &exchange, "--sealed", "--to", &file]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    eventually("the bundle has the exchange", || {
        let _ = fs::remove_dir_all(&bundle);
        let done = auditor.run(&["audit", "export", "--bundle", &bundle, "--recordings"]);
        assert!(done.status.success(), "{}", text(&done.stderr));
        fs::read_to_string(format!("{bundle}/events.jsonl")).unwrap().contains(&exchange).then_some(())
    });

    let offline = world.laptop("offline");
    let identity = world.state().join("recording.key").display().to_string();
    let played =
        offline.run(&["sessions", "replay", "--file", &file, "--identity", &identity, "--no-timing"]);
    assert_eq!(text(&played.stdout), "Hello \\u{202e}world\n", "{}", text(&played.stderr));
    fails(&offline.run(&["sessions", "replay", "--file", &file]), 1, &["--identity"]);
    let verify =
        |file: &str| offline.run(&["sessions", "verify", "--file", file, "--bundle", &bundle, "--key", &key]);
    let verified = verify(&file);
    assert!(
        verified.status.success() && text(&verified.stdout).ends_with("verified\n"),
        "{}",
        text(&verified.stderr)
    );
    let alone = offline.run(&["sessions", "verify", "--file", &file]);
    assert!(alone.status.success() && text(&alone.stderr).contains("--bundle"), "{}", text(&alone.stderr));

    let all = || offline.run(&["audit", "verify", "--bundle", &bundle, "--key", &key]);
    assert!(
        text(&all().stdout).contains("1 recordings, each the one that its event names"),
        "{}",
        text(&all().stderr)
    );
    let bundled = only(PathBuf::from(format!("{bundle}/recordings")));
    assert_eq!(fs::read(&bundled).unwrap(), fs::read(&file).unwrap());
    flip(&bundled, 100);
    fails(&all(), 8, &["tampered"]);
    fs::remove_file(&bundled).unwrap();
    fails(&all(), 8, &["no event says that it was deleted"]);
    fs::remove_dir(bundled.parent().unwrap()).unwrap();

    // A changed byte, wherever it is; and an end that is cut off.
    let length = fs::metadata(&file).unwrap().len();
    let changed = format!("{folder}/changed.rec");
    for at in [30, length / 2, length - 1] {
        fs::copy(&file, &changed).unwrap();
        flip(Path::new(&changed), usize::try_from(at).unwrap());
        fails(&verify(&changed), 8, &["tampered"]);
    }
    let bytes = fs::read(&file).unwrap();
    fs::write(&changed, &bytes[..bytes.len() - 1]).unwrap();
    fails(&verify(&changed), 8, &["its end was cut off"]);

    // The same at the gateway: a changed recording, and an event without its recording.
    let stored = only(world.state().join("recordings"));
    flip(&stored, usize::try_from(length / 2).unwrap());
    fails(&auditor.run(&["sessions", "verify", &exchange, "--key", &key]), 8, &["tampered"]);
    fs::remove_file(&stored).unwrap();
    fails(
        &auditor.run(&["sessions", "verify", &exchange, "--key", &key]),
        8,
        &["no event says that it was deleted"],
    );
    fails(&auditor.run(&["sessions", "replay", &exchange]), 1, &["no recording"]);
}

#[test]
fn what_is_sealed_to_auditors_opens_with_their_identity_alone() {
    let model = Model::start();
    let identities = Identities::generate();
    let recipient = identities.recipients().texts().remove(0);
    let (world, user, auditor) = world(&model, &format!("[storage]\nrecipients = [\"{recipient}\"]"));
    let (_, exchange) = stream(&model, &user);
    fails(&auditor.run(&["sessions", "replay", &exchange]), 1, &["--identity"]);
    let file = world.dir.path().join("auditor.txt");
    fs::write(&file, identities.text().expose_secret()).unwrap();
    for replay in [
        auditor.run(&["sessions", "replay", &exchange, "--no-timing", "--identity", file.to_str().unwrap()]),
        auditor
            .command()
            .env("HOOPCTL_IDENTITY", &file)
            .args(["sessions", "replay", &exchange, "--no-timing"])
            .output()
            .unwrap(),
    ] {
        assert_eq!(text(&replay.stdout), "Hello \\u{202e}world\n", "{}", text(&replay.stderr));
    }
    let verified = auditor.run(&["sessions", "verify", &exchange]);
    assert!(verified.status.success(), "sealed, and still verified: {}", text(&verified.stderr));
}
