//! Sessions on the command line: what people and programs see of them, and what is played when.

use std::{fs, path::Path, time::Duration};

use serde_json::Value;
use tokio::{sync::mpsc, time::Instant};

use super::{
    export, list,
    replay::{Manner, play},
    show,
    source::{self, Keys, Piece},
};
use crate::{
    cli::{
        error::Failure,
        printer::paper::{self, Paper},
    },
    config::laptop::Output,
    evidence::{
        event::{Caller, Event, Recording, Request, Response},
        playback::PlaybackError,
        recording::{Entry, Fault, Opened, Outcome, Side, What},
    },
    wire::api::{Session, SessionCaller, Sessions},
};

/// Everything that a terminal would obey, and a byte that is no text.
const HOSTILE: &str = "\x1b[2J\u{9b}31m\u{202e}\u{7}\0\r\x1b]0;title\x07";

fn entry(at: u64, what: What) -> Entry {
    Entry { at, what }
}

fn body(at: u64, from: Side, bytes: &[u8]) -> Entry {
    entry(at, What::Body { from, bytes: bytes.to_vec().into() })
}

fn response(status: u16, kind: &str) -> Entry {
    entry(1_000, What::Response { status, headers: vec![("content-type".into(), kind.into())] })
}

fn ended(outcome: &str) -> Entry {
    entry(20_000_000, What::Ended(Outcome { outcome: outcome.into() }))
}

fn chat(text: &str) -> Vec<u8> {
    format!("data: {}\n\n", serde_json::json!({ "choices": [{ "delta": { "content": text } }] })).into_bytes()
}

const AT_ONCE: Manner = Manner { speed: None, request: false, raw: false };

/// Entries as they come of a recording that is whole.
fn pieces(entries: Vec<Entry>) -> mpsc::Receiver<Piece> {
    let (sender, receiver) = mpsc::channel(entries.len() + 1);
    for entry in entries {
        sender.try_send(Piece::Entry(entry)).ok().unwrap();
    }
    sender.try_send(Piece::Over { whole: true, unknown: 0 }).ok().unwrap();
    receiver
}

async fn played(entries: Vec<Entry>, manner: Manner) -> (String, String) {
    let (printer, out, err) = paper::printer(Output::Human);
    play(pieces(entries), manner, "ex_1", &printer).await.unwrap();
    (out.text(), err.text())
}

fn is_safe(text: &str) -> bool {
    !text.chars().any(|one| one != '\n' && one != '\t' && (one.is_control() || one == '\u{202e}'))
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_played_at_its_own_pace_and_at_any_other() {
    for (speed, seconds) in [(Some(1.0), 20), (Some(4.0), 5), (Some(0.5), 40), (None, 0)] {
        let entries = vec![
            response(200, "text/event-stream"),
            body(2_000_000, Side::Model, &chat("one ")),
            body(12_000_000, Side::Model, &chat("two")),
            ended("complete"),
        ];
        let (printer, out, _) = paper::printer(Output::Human);
        let began = Instant::now();
        let playing = play(pieces(entries), Manner { speed, ..AT_ONCE }, "ex_1", &printer);
        let watching = async {
            tokio::time::sleep(Duration::from_secs(seconds) / 2).await;
            out.text()
        };
        let (done, half) = tokio::join!(playing, watching);
        done.unwrap();
        assert_eq!(began.elapsed().as_secs(), seconds, "{speed:?}");
        if seconds > 0 {
            assert_eq!(half, "one ", "half of it at half time");
        }
        assert_eq!(out.text(), "one two\n");
    }
}

#[tokio::test]
async fn nothing_in_a_recording_reaches_the_terminal_that_it_would_obey() {
    let hostile = HOSTILE.as_bytes();
    let headers = vec![(HOSTILE.to_owned(), HOSTILE.to_owned())];
    let said = |name: &str| name.replace('_', HOSTILE);
    let entries = |kind: &str, answer: Vec<u8>| {
        vec![
            entry(
                0,
                What::Opened(Opened {
                    caller: said("a_"),
                    model: said("m_"),
                    exchange: said("e_"),
                    ..Opened::default()
                }),
            ),
            entry(
                1,
                What::Request {
                    method: said("P_"),
                    path: said("/_"),
                    version: said("_"),
                    headers: headers.clone(),
                },
            ),
            body(2, Side::Caller, &[hostile, b"\xff"].concat()),
            response(500, kind),
            body(3, Side::Model, &answer),
            entry(
                4,
                What::Message { from: Side::Model, kind: "text".into(), bytes: hostile.to_vec().into() },
            ),
            entry(5, What::Message { from: Side::Caller, kind: said("_"), bytes: hostile.to_vec().into() }),
            entry(6, What::Trailers { from: Side::Model, headers: vec![("grpc-message".into(), said("_"))] }),
            entry(7, What::Omitted { from: Side::Model, bytes: 1, why: said("_") }),
            ended(&said("_")),
        ]
    };
    for raw in [false, true] {
        for (kind, answer) in
            [("text/plain", [hostile, b"\xff\xfe"].concat()), ("text/event-stream", chat(HOSTILE))]
        {
            let (out, err) = played(entries(kind, answer), Manner { request: true, raw, ..AT_ONCE }).await;
            assert!(out.contains("\\u{1b}[2J") && is_safe(&out), "{out:?}");
            assert!(err.contains("\\u{1b}[2J") && is_safe(&err), "{err:?}");
        }
    }
    let (printer, out, _) = paper::printer(Output::Jsonl);
    play(pieces(entries("text/plain", hostile.to_vec())), AT_ONCE, "ex_1", &printer).await.unwrap();
    assert!(is_safe(&out.text()));
    let lines: Vec<Value> = out.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[4]["body"]["bytes"], HOSTILE, "the same value all the same");
}

#[tokio::test]
async fn the_question_the_bytes_and_what_is_missing_are_shown_when_they_are_asked_for() {
    let entries = || {
        vec![
            entry(
                0,
                What::Request {
                    method: "POST".into(),
                    path: "/v1/x".into(),
                    version: "HTTP/2".into(),
                    headers: Vec::new(),
                },
            ),
            body(1, Side::Caller, b"{\"q\":1}"),
            response(200, "text/event-stream"),
            body(2, Side::Model, &chat("hi")),
            ended("caller_left"),
        ]
    };
    let (out, err) = played(entries(), AT_ONCE).await;
    assert_eq!((out.as_str(), err.as_str()), ("hi\n", "the exchange ended: caller_left\n"));
    let (out, _) = played(entries(), Manner { request: true, ..AT_ONCE }).await;
    assert_eq!(out, "POST /v1/x\n{\"q\":1}\n\n200\nhi\n");
    let (out, _) = played(entries(), Manner { raw: true, ..AT_ONCE }).await;
    assert_eq!(out.as_bytes(), chat("hi"));
    let gap = entry(3, What::Omitted { from: Side::Model, bytes: 7, why: "metadata".into() });
    let (_, err) = played(vec![response(404, "text/plain"), gap], AT_ONCE).await;
    assert_eq!(err, "the answer's status is 404\n7 bytes of the answer are not in the recording: metadata\n");
}

#[tokio::test]
async fn what_was_altered_is_said_after_what_was_not() {
    let (printer, out, _) = paper::printer(Output::Human);
    let (sender, receiver) = mpsc::channel(4);
    let damage = crate::evidence::recording::Damage::Bytes;
    let fault = Fault::Damaged { segment: 1, offset: 99, damage };
    for piece in [
        Piece::Entry(response(200, "text/plain")),
        Piece::Entry(body(5, Side::Model, b"good")),
        Piece::Broken(PlaybackError::Fault(fault)),
    ] {
        sender.try_send(piece).ok().unwrap();
    }
    let failure = play(receiver, AT_ONCE, "ex_1", &printer).await.unwrap_err();
    assert_eq!(failure.exit_code(), 8);
    assert_eq!(out.text(), "good\n");
    for (error, code) in
        [(PlaybackError::Sealed, 1), (PlaybackError::NotForYou, 1), (PlaybackError::NotARecording, 1)]
    {
        assert_eq!(source::failure(error, "x").exit_code(), code);
    }
}

fn lines(entries: &[Entry], file: &Path) {
    let mut lines = Vec::new();
    entries.iter().for_each(|entry| entry.write(&mut lines).unwrap());
    fs::write(file, lines).unwrap();
}

#[tokio::test]
async fn a_file_of_lines_is_played_and_exported_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.jsonl");
    let all = [
        entry(
            0,
            What::Request {
                method: "GET".into(),
                path: "/x".into(),
                version: "HTTP/2".into(),
                headers: Vec::new(),
            },
        ),
        response(200, "application/octet-stream"),
        body(2, Side::Model, b"\xff\x1b[2J"),
        ended("complete"),
    ];
    lines(&all, &file);
    let write = async |format| {
        let (printer, out, _) = paper::printer(Output::Human);
        let pieces = source::of_file(&file, &Keys::default()).unwrap();
        export::write(pieces, format, None, "a", &printer).await.unwrap();
        out
    };
    assert_eq!(write(export::Format::Raw).await.bytes(), b"\xff\x1b[2J");
    assert_eq!(write(export::Format::Jsonl).await.text(), fs::read_to_string(&file).unwrap());
    let har: Value = serde_json::from_str(&write(export::Format::Har).await.text()).unwrap();
    assert_eq!(har["log"]["entries"][0]["response"]["content"]["encoding"], "base64");
}

#[tokio::test]
async fn an_exported_file_is_new_private_and_whole_or_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("out");
    let (printer, ..) = paper::printer(Output::Human);
    let good = || pieces(vec![response(200, ""), body(2, Side::Model, b"x")]);
    export::write(good(), export::Format::Raw, Some(&to), "a", &printer).await.unwrap();
    assert_eq!(fs::read(&to).unwrap(), b"x");
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&to).unwrap().permissions()) & 0o777,
        0o600
    );
    let refused = export::write(good(), export::Format::Raw, Some(&to), "a", &printer).await;
    assert_eq!(refused.unwrap_err().exit_code(), 1);
    assert_eq!(fs::read(&to).unwrap(), b"x", "what is there is left alone");
    let half = dir.path().join("half");
    let (sender, receiver) = mpsc::channel(2);
    sender.try_send(Piece::Entry(body(2, Side::Model, b"x"))).ok().unwrap();
    sender.try_send(Piece::Broken(PlaybackError::NotForYou)).ok().unwrap();
    assert!(export::write(receiver, export::Format::Raw, Some(&half), "a", &printer).await.is_err());
    assert!(!half.exists());
}

fn listed(output: Output, text: &str) -> Paper {
    let (printer, out, _) = paper::printer(output);
    let session = Session {
        session: text.into(),
        caller: SessionCaller { subject: text.into(), email: None, provider: text.into() },
        model: text.into(),
        first: text.into(),
        last: text.into(),
        exchanges: 2,
        outcomes: [(text.to_owned(), 2)].into(),
        masked: [(text.to_owned(), 3)].into(),
        response_bytes: 123_456_789,
        ..Session::default()
    };
    list::print(&Sessions { schema: 1, sessions: vec![session], next: None }, &printer).unwrap();
    out
}

#[test]
fn lists_are_tables_for_people_and_values_for_programs_and_safe_for_terminals() {
    let text = listed(Output::Human, "x").text();
    assert!(
        text.contains("x        x     x     x      2          2 x       0 B   123.4 MB  3 x     0"),
        "{text}"
    );
    for output in [Output::Human, Output::Json, Output::Jsonl] {
        let text = listed(output, HOSTILE).text();
        assert!(is_safe(&text), "{text:?}");
    }
    let value: Value = serde_json::from_str(&listed(Output::Jsonl, HOSTILE).text()).unwrap();
    assert_eq!(value["model"], HOSTILE);
    let json: Value = serde_json::from_str(&listed(Output::Json, "x").text()).unwrap();
    assert_eq!((&json["schema"], &json["sessions"][0]["exchanges"]), (&1.into(), &2.into()));
}

#[test]
fn an_exchange_is_shown_with_who_read_it_and_safely() {
    let who = |name: &str| Some(Caller { subject: name.into(), provider: name.into(), ..Caller::default() });
    let event = Event {
        id: "ev_1".into(),
        kind: "exchange".into(),
        time: HOSTILE.into(),
        caller: who(HOSTILE),
        model: Some(HOSTILE.into()),
        exchange: Some("ex_1".into()),
        request: Some(Request {
            method: HOSTILE.into(),
            path: HOSTILE.into(),
            input: Some(HOSTILE.into()),
            ..Request::default()
        }),
        response: Some(Response { status: 200, outcome: "complete".into(), ..Response::default() }),
        recording: Some(Recording { id: "rec_1".into(), ..Recording::default() }),
        ..Event::default()
    };
    let read = Event {
        kind: "recording_read".into(),
        caller: who("ana"),
        detail: Some("replay".into()),
        ..event.clone()
    };
    for output in [Output::Human, Output::Json] {
        let (printer, out, _) = paper::printer(output);
        show::exchange("ex_1", &[event.clone(), read.clone()], &printer).unwrap();
        assert!(is_safe(&out.text()), "{:?}", out.text());
        assert!(
            output == Output::Json || out.text().contains("recording_read: ana replay"),
            "{}",
            out.text()
        );
    }
    let (printer, ..) = paper::printer(Output::Human);
    assert_eq!(show::exchange("ex_1", &[read], &printer).unwrap_err().exit_code(), 1);
}

#[test]
fn only_an_id_becomes_part_of_a_path() {
    assert_eq!(show::plain("ex_0199a").unwrap(), "ex_0199a");
    for wrong in ["", "../me", "a/b", "a?b", "a b", "ä", HOSTILE, &"x".repeat(129)] {
        assert!(matches!(show::plain(wrong), Err(Failure::Told(_))), "{wrong:?}");
    }
}
