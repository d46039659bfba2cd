//! Recordings on the disk: sealed, whole, of the gateway's own user, and opened by its key alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hoopctl::evidence::recording::{End, Entry, Identities, Reader, Side, What, check, entries, sha256_text};

use crate::world::{Model, World, eventually, mode, text};

const SAID: &str = "the payload that nobody else may read";

fn recorded(model: &Model) -> World {
    let mut world = World::new();
    let ca = model.ca_file(&world.etc()).display().to_string();
    world.model("m", &model.url(), &format!("ca = \"{ca}\"\nrecord = \"full\""));
    world.start();
    world
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(folder) else { return Vec::new() };
    let paths = found.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn opened(file: &[u8], identities: &Identities) -> Vec<Entry> {
    let mut reader = Reader::new(file).unwrap();
    let mut all = Vec::new();
    while let Some(segment) = reader.segment().unwrap() {
        let lines = segment.open(reader.header(), identities).unwrap();
        all.extend(entries(&lines).map(Result::unwrap));
    }
    all
}

#[test]
fn an_exchange_lies_sealed_on_the_disk_and_its_event_has_the_digest() {
    let model = Model::start();
    let world = recorded(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let connect = laptop.connect(&[]);
    let request = format!(
        "POST /echo HTTP/1.1\r\nhost: HOST\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{SAID}",
        SAID.len()
    );
    let (head, body) = connect.exchange(&request);
    assert!(head.starts_with("http/1.1 200") && text(&body).contains(SAID), "{head}");
    let event = eventually("the end of the exchange", || laptop.exchanges().pop());

    let folder = world.state().join("recordings");
    let found = files(&folder);
    assert_eq!(found.len(), 1, "{found:?}");
    let (file, bytes) = (&found[0], fs::read(&found[0]).unwrap());
    assert_eq!((mode(file), mode(file.parent().unwrap()), mode(&folder)), (0o600, 0o700, 0o700));
    assert!(!bytes.windows(SAID.len()).any(|w| w == SAID.as_bytes()), "in plain");
    let checked = check(&bytes[..]).unwrap();
    assert_eq!(checked.end, End::Whole);
    assert_eq!(event["recording"]["sha256"], sha256_text(&checked.sha256));
    assert_eq!(event["recording"]["id"], checked.header.recording);
    assert_eq!(event["exchange"], checked.header.exchange);

    let key = world.state().join("recording.key");
    assert_eq!(mode(&key), 0o600);
    let identities = Identities::parse(&fs::read_to_string(key).unwrap()).unwrap();
    let entries = opened(&bytes, &identities);
    let answer: Vec<u8> = entries
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Body { from: Side::Model, bytes } => Some(bytes.to_vec()),
            _ => None,
        })
        .flatten()
        .collect();
    assert!(text(&answer).contains(SAID), "{entries:?}");
    let mut reader = Reader::new(&bytes[..]).unwrap();
    let segment = reader.segment().unwrap().unwrap();
    assert!(segment.open(reader.header(), &Identities::generate()).is_err(), "nobody else opens it");
}

#[test]
fn a_killed_gateway_leaves_recordings_that_verify_to_their_last_segment() {
    let model = Model::start();
    let mut world = recorded(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let connect = laptop.connect(&[]);
    let mut app = connect.open();
    std::io::Write::write_all(&mut app, b"GET /sse HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").unwrap();
    eventually("the request at the model", || (model.say(b"data: one\n\n") == 1).then_some(()));
    let folder = world.state().join("recordings");
    let key = fs::read_to_string(world.state().join("recording.key")).unwrap();
    let identities = Identities::parse(&key).unwrap();
    let said = || {
        let bytes = fs::read(files(&folder).first()?).ok()?;
        check(&bytes[..]).ok()?;
        format!("{:?}", opened(&bytes, &identities)).contains("data: one").then_some(bytes)
    };
    eventually("the first segment", said);
    world.kill();
    let bytes = said().unwrap();
    assert!(matches!(check(&bytes[..]).unwrap().end, End::Cut { .. }), "the exchange was under way");
    model.hush();
}
