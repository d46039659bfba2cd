//! Playback: what sealed files and lines become, what is text in an answer, and archives.

use std::io::Write;

use serde_json::Value;

use super::{Framed, Har, Playback, PlaybackError, Unpacked, Words, message};
use crate::evidence::recording::{
    Chain, Entry, Header, Identities, Opened, Outcome, SCHEMA, Sealer, Side, What,
};

const HOSTILE: &str = "\x1b[2J\u{9b}31m\u{202e}\0\u{7}\r\nx";

fn entry(at: u64, what: What) -> Entry {
    Entry { at, what }
}

fn body(at: u64, from: Side, bytes: &[u8]) -> Entry {
    entry(at, What::Body { from, bytes: bytes.to_vec().into() })
}

fn headers(kind: &str) -> Vec<(String, String)> {
    vec![("content-type".into(), kind.into()), ("x-hostile".into(), HOSTILE.into())]
}

fn opened() -> Entry {
    let opened = Opened {
        schema: SCHEMA.into(),
        recording: "rec_1".into(),
        exchange: "ex_1".into(),
        session: "ses_1".into(),
        model: "llama".into(),
        dialect: "openai".into(),
        caller: "alice@example.test".into(),
        time: "2026-11-23T07:00:00.000Z".into(),
        level: "full".into(),
    };
    entry(0, What::Opened(opened))
}

fn request(path: &str) -> Entry {
    let (method, version) = ("POST".into(), "HTTP/1.1".into());
    entry(10, What::Request { method, path: path.into(), version, headers: headers("application/json") })
}

fn response(status: u16, kind: &str) -> Entry {
    entry(1_000, What::Response { status, headers: headers(kind) })
}

fn ended() -> Entry {
    entry(9_000_000, What::Ended(Outcome { outcome: "complete".into() }))
}

fn sealed(entries: &[&[Entry]], last: bool, identities: &Identities) -> Vec<u8> {
    let header = Header { schema: SCHEMA.into(), recording: "rec_1".into(), exchange: "ex_1".into() };
    let (mut chain, mut file) = Chain::begin(&header).unwrap();
    let mut sealer = Sealer::new(identities.recipients()).unwrap();
    for (at, some) in entries.iter().enumerate() {
        let mut lines = Vec::new();
        some.iter().for_each(|entry| entry.write(&mut lines).unwrap());
        let sealed = sealer.seal("rec_1", chain.index(), &lines).unwrap();
        let (next, bytes) = chain.segment(&sealed, last && at + 1 == entries.len()).unwrap();
        chain = next;
        file.extend(bytes);
    }
    file
}

fn played(file: &[u8], identities: Option<&Identities>) -> Result<(Vec<Entry>, bool), PlaybackError> {
    let mut playback = Playback::open(file, identities)?;
    let mut entries = Vec::new();
    while let Some(entry) = playback.entry()? {
        entries.push(entry);
    }
    Ok((entries, playback.is_whole()))
}

#[test]
fn a_sealed_file_and_its_lines_play_alike() {
    let identities = Identities::generate();
    let all =
        [opened(), request("/x"), response(200, "text/plain"), body(5, Side::Model, b"\xff\0"), ended()];
    let file = sealed(&[&all[..2], &all[2..]], true, &identities);
    assert_eq!(played(&file, Some(&identities)).unwrap(), (all.to_vec(), true));
    let mut lines = Vec::new();
    all.iter().for_each(|entry| entry.write(&mut lines).unwrap());
    assert_eq!(played(&lines, None).unwrap(), (all.to_vec(), true));
    // Without its end, as after kill -9; and a kind of a later version is passed over.
    let cut = sealed(&[&all[..2]], false, &identities);
    assert_eq!(played(&cut, Some(&identities)).unwrap(), (all[..2].to_vec(), false));
    let later = [&lines[..], b"{\"at\":7,\"smelled\":{}}\n"].concat();
    let mut playback = Playback::open(&later[..], None).unwrap();
    while playback.entry().unwrap().is_some() {}
    assert_eq!(playback.unknown(), 1);
}

#[test]
fn what_cannot_be_played_says_why() {
    let identities = Identities::generate();
    let file = sealed(&[&[opened()], &[ended()]], true, &identities);
    assert!(matches!(played(&file, None), Err(PlaybackError::Sealed)));
    let other = Identities::generate();
    assert!(matches!(played(&file, Some(&other)), Err(PlaybackError::NotForYou)));
    for nothing in [&b""[..], b"PK\x03\x04", b"{}", &[0xff; 9000]] {
        assert!(matches!(played(nothing, Some(&identities)), Err(PlaybackError::NotARecording)));
    }
    let mut changed = file.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(matches!(played(&changed, Some(&identities)), Err(PlaybackError::Fault(_))));
    let endless = [&b"{\"at\":0,"[..], &vec![b'x'; 9 * 1024 * 1024]].concat();
    assert!(matches!(played(&endless, None), Err(PlaybackError::TooLong(1))));
}

/// What is shown of an answer that comes in pieces of this size.
fn shown(kind: &str, answer: &[u8], size: usize) -> (String, bool) {
    let mut words = Words::new(&[("Content-Type".to_owned(), kind.to_owned())]);
    let mut shown: Vec<u8> = answer.chunks(size).flat_map(|piece| words.feed(piece)).collect();
    shown.extend(words.finish());
    (String::from_utf8_lossy(&shown).into_owned(), words.is_text())
}

#[test]
fn the_text_of_every_dialect_is_found_however_it_is_cut() {
    let sse = "text/event-stream; charset=utf-8";
    for (kind, answer, said) in [
        (
            sse,
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n: ping\n\n\
             data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hél\"}}]}\r\n\r\n\
             data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"other\"}}]}\n\n\
             data: {\"choices\":[{\"delta\":{\"content\":\"lo {\\\"}\"}}]}\n\ndata: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n",
            "Héllo {\"}",
        ),
        (
            sse,
            "event: message_start\ndata: {\"type\":\"message_start\"}\n\n\
             event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n\
             data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n\
             data: {\"type\":\"message_stop\"}\n\n",
            "Hi",
        ),
        (
            sse,
            "data: {\"type\":\"response.created\"}\n\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"yes\"}\n\n",
            "yes",
        ),
        (
            "application/x-ndjson",
            "{\"message\":{\"content\":\"a\"},\"done\":false}\n{\"response\":\"b\",\"done\":false}\n{\"done\":true}\n",
            "ab",
        ),
        (
            "application/json",
            "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"no\",\"thought\":true},{\"text\":\"G\"}]}}]},\n{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"o\"}]}}]}]",
            "Go",
        ),
        ("application/json", "{\"choices\":[{\"message\":{\"content\":\"whole\"}}]}", "whole"),
        ("application/json", "{\"choices\":[{\"text\":\"old\"}]}", "old"),
        ("application/json", "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"A\"}]}", "A"),
        (
            "application/json",
            "{\"object\":\"response\",\"output\":[{\"content\":[{\"type\":\"output_text\",\"text\":\"R\"}]}]}",
            "R",
        ),
    ] {
        for size in [1, 7, answer.len()] {
            assert_eq!(shown(kind, answer.as_bytes(), size), (said.to_owned(), true), "{answer} by {size}");
        }
    }
}

#[test]
fn what_is_not_understood_is_shown_as_it_is() {
    for (kind, answer) in [
        ("text/plain", HOSTILE.as_bytes()),
        ("application/json", b"{\"outputs\":[{\"data\":[0.5]}]}"),
        ("application/json", b"{\"error\":{\"message\":\"no\"}}"),
        ("application/json", b"not json \xff at all"),
        ("application/json", b"{\"cut\":"),
        ("application/json", b"}}}}{\"a\" \"b\"}"),
        ("text/event-stream", b"data: plain words\n\n"),
        ("text/event-stream", b"data: {\"tick\":1}\n\ndata: {\"tick\":2}\n\n"),
    ] {
        for size in [1, 3, answer.len()] {
            let (text, understood) = shown(kind, answer, size);
            assert_eq!(
                (text, understood),
                (String::from_utf8_lossy(answer).into_owned(), false),
                "{kind} by {size}"
            );
        }
    }
    let broken = b"data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\ndata: {\"error\":{\"message\":\"cut\"}}\n\n";
    assert_eq!(shown("text/event-stream", broken, 9).0, "half\n{\"error\":{\"message\":\"cut\"}}\n");
    let calls = b"{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[]}}]}";
    let mut words = Words::new(&[("content-type".into(), "application/json".into())]);
    assert!(words.feed(calls).is_empty() && words.is_silent());
    assert_eq!(message(b"{\"type\":\"response.text.delta\",\"delta\":\"x\"}"), b"x");
    assert_eq!(message(b"\xff plain"), b"\xff plain\n");
}

#[test]
fn nothing_without_end_is_held() {
    let mut words = Words::new(&[("content-type".into(), "application/json".into())]);
    let piece = [b'{'; 64 * 1024];
    let mut shown = words.feed(b"{\"choices\":[\"").len();
    for _ in 0..400 {
        shown += words.feed(&piece).len();
    }
    assert!(shown > 8 * 1024 * 1024, "{shown}");
    let mut words = Words::new(&[("content-type".into(), "text/event-stream".into())]);
    let shown: usize = (0..400).map(|_| words.feed(&[b'd'; 64 * 1024]).len()).sum();
    assert!(shown > 8 * 1024 * 1024, "{shown}");
}

#[test]
fn compressed_bodies_are_unpacked_and_others_are_named() {
    let text = "hello ".repeat(1000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(text.as_bytes()).unwrap();
    for (coding, packed) in [
        ("gzip", gzip.finish().unwrap()),
        ("deflate", zlib.finish().unwrap()),
        ("zstd", zstd::encode_all(text.as_bytes(), 1).unwrap()),
        ("identity", text.clone().into_bytes()),
    ] {
        let headers = [("Content-Encoding".to_owned(), coding.to_owned())];
        assert_eq!(Unpacked::unknown(&headers), None);
        let (mut unpacked, mut found) = (Unpacked::new(&headers), Vec::new());
        packed.chunks(3).for_each(|piece| unpacked.feed(piece, &mut |piece| found.extend_from_slice(piece)));
        assert_eq!(String::from_utf8(found).unwrap(), text, "{coding}");
        assert!(!unpacked.is_broken());
    }
    let headers = [("content-encoding".to_owned(), "br".to_owned())];
    assert_eq!(Unpacked::unknown(&headers), Some("br"));
    let mut broken = Unpacked::new(&[("content-encoding".to_owned(), "gzip".to_owned())]);
    broken.feed(b"this was never compressed", &mut |_| ());
    assert!(broken.is_broken());
}

fn har(entries: &[Entry]) -> Value {
    let mut har = Har::default();
    entries.iter().for_each(|entry| har.take(entry));
    har.finish().unwrap()
}

#[test]
fn an_archive_has_what_developer_tools_need_and_the_times_of_events() {
    let (before, behind) = Har::brackets();
    let sse = b"event: tick\nid: 7\ndata: one\n\n";
    let entry = har(&[
        opened(),
        request("/v1/chat/completions?a=1&b=%20"),
        body(20, Side::Caller, b"{\"q\":1}"),
        response(200, "text/event-stream"),
        body(2_000, Side::Model, sse),
        body(3_500_000, Side::Model, b"data: two\n\n"),
        ended(),
    ]);
    let archive: Value = serde_json::from_str(&format!("{before}{entry},{entry}{behind}")).unwrap();
    assert_eq!(archive["log"]["version"], "1.2");
    assert_eq!(archive["log"]["creator"]["name"], "hoopctl");
    assert_eq!(archive["log"]["entries"].as_array().unwrap().len(), 2);
    assert_eq!(entry["startedDateTime"], "2026-11-23T07:00:00.000Z");
    assert_eq!(entry["time"], 9000.0);
    assert_eq!(entry["timings"]["wait"], 1.0);
    assert_eq!(entry["request"]["url"], "https://gateway.invalid/models/llama/v1/chat/completions?a=1&b=%20");
    assert_eq!(entry["request"]["queryString"][1], serde_json::json!({ "name": "b", "value": " " }));
    assert_eq!(entry["request"]["postData"]["text"], "{\"q\":1}");
    assert_eq!(entry["request"]["headers"][1]["value"], HOSTILE);
    assert_eq!(entry["response"]["content"]["text"], "event: tick\nid: 7\ndata: one\n\ndata: two\n\n");
    assert_eq!(entry["response"]["statusText"], "OK");
    let events = entry["_eventSourceMessages"].as_array().unwrap();
    assert_eq!((&events[0]["eventName"], &events[0]["eventId"]), (&"tick".into(), &"7".into()));
    assert_eq!(events[1]["data"], "two");
    let apart = events[1]["time"].as_f64().unwrap() - events[0]["time"].as_f64().unwrap();
    assert!((apart - 3.498).abs() < 1e-3, "{apart}");
    assert_eq!(entry["_chunks"][1], serde_json::json!({ "at_ms": 3500.0, "bytes": 11 }));
    assert_eq!(entry["comment"], "the exchange ended: complete");
}

#[test]
fn archives_hold_sockets_messages_and_bytes_that_are_no_text() {
    let message = |at, from, kind: &str, bytes: &[u8]| {
        entry(at, What::Message { from, kind: kind.into(), bytes: bytes.to_vec().into() })
    };
    let socket = har(&[
        opened(),
        request("/v1/realtime"),
        response(101, ""),
        message(5, Side::Caller, "text", b"hi"),
        message(6, Side::Model, "text", b"\xff"),
        message(7, Side::Model, "binary", b"ab"),
        message(8, Side::Model, "close", b"\x03\xe8"),
    ]);
    assert_eq!(socket["_resourceType"], "websocket");
    let messages = socket["_webSocketMessages"].as_array().unwrap();
    let told: Vec<_> = messages
        .iter()
        .map(|one| (one["type"].as_str(), one["opcode"].as_u64(), one["data"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Some("send"), Some(1), Some("hi")),
            (Some("receive"), Some(2), Some("/w==")),
            (Some("receive"), Some(2), Some("YWI=")),
            (Some("receive"), Some(8), Some("A+g=")),
        ]
    );
    let binary = har(&[
        opened(),
        request("no slash \u{1b}"),
        response(200, ""),
        body(5, Side::Model, b"\xff\0"),
        entry(6, What::Omitted { from: Side::Model, bytes: 3, why: "slow".into() }),
    ]);
    assert_eq!(binary["response"]["content"]["encoding"], "base64");
    assert_eq!(binary["response"]["content"]["text"], "/wA=");
    assert!(
        binary["comment"].as_str().unwrap().contains("3 bytes of the answer are not in the recording: slow")
    );
    assert!(url::Url::parse(binary["request"]["url"].as_str().unwrap()).is_ok());
    let call = har(&[
        opened(),
        request("/x"),
        response(200, "application/grpc"),
        message(5, Side::Model, "grpc", b"m"),
    ]);
    assert_eq!(call["response"]["content"]["size"], 6);
    let mut framed = Framed::default();
    assert!(!framed.is_of("continuation") && framed.is_of("grpc"));
    assert_eq!(framed.take("grpc-compressed", b"m"), None);
    assert_eq!(framed.take("continuation", b"n"), None);
    assert_eq!(framed.take("grpc", b"o"), Some(vec![1, 0, 0, 0, 2, b'm', b'n']));
    assert_eq!(framed.end(), Some(vec![0, 0, 0, 0, 1, b'o']));
    assert!(Har::default().finish().is_none());
}
