//! Recordings as files: every cut opens to the last whole segment, and no change passes.

use std::sync::LazyLock;

use bytes::Bytes;

use super::{
    Chain, Damage, End, Entry, Fault, Header, Identities, KeyError, MAX_PLAIN, Opened, Outcome, Reader,
    Recipients, SCHEMA, SealError, Sealer, Side, What, check, entries,
};
use crate::secret::ExposeSecret;

static KEY: LazyLock<Identities> = LazyLock::new(Identities::generate);

fn header() -> Header {
    Header { schema: SCHEMA.into(), recording: "rec_1".into(), exchange: "ex_1".into() }
}

fn said(at: u64, text: &str) -> Entry {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    Entry { at, what: What::Body { from: Side::Model, bytes } }
}

/// A recording of three segments, and where its header and each of them ends.
fn recording() -> (Vec<u8>, Vec<usize>) {
    let mut sealer = Sealer::new(KEY.recipients()).unwrap();
    let (mut chain, mut file) = Chain::begin(&header()).unwrap();
    let mut ends = vec![file.len()];
    for (place, text) in ["one", "two", "three"].iter().enumerate() {
        let mut lines = Vec::new();
        said(place as u64, text).write(&mut lines).unwrap();
        let sealed = sealer.seal("rec_1", chain.index(), &lines).unwrap();
        let bytes;
        (chain, bytes) = chain.segment(&sealed, place == 2).unwrap();
        file.extend(bytes);
        ends.push(file.len());
    }
    (file, ends)
}

fn texts(file: &[u8]) -> (Vec<String>, Result<Option<End>, String>) {
    let mut texts = Vec::new();
    let mut reader = match Reader::new(file) {
        Ok(reader) => reader,
        Err(error) => return (texts, Err(error.to_string())),
    };
    loop {
        match reader.segment() {
            Ok(Some(segment)) => {
                let lines = segment.open(reader.header(), &KEY).unwrap();
                for entry in entries(&lines) {
                    let What::Body { bytes, .. } = entry.unwrap().what else { panic!("another entry") };
                    texts.push(String::from_utf8(bytes.to_vec()).unwrap());
                }
            }
            Ok(None) => return (texts, Ok(reader.end())),
            Err(error) => return (texts, Err(error.to_string())),
        }
    }
}

#[test]
fn a_recording_cut_anywhere_opens_up_to_its_last_whole_segment() {
    let (file, ends) = recording();
    assert_eq!(texts(&file), (["one", "two", "three"].map(str::to_owned).to_vec(), Ok(Some(End::Whole))));
    for cut in 0..file.len() {
        let (read, end) = texts(&file[..cut]);
        let Some(whole) = ends.iter().rposition(|end| *end <= cut) else {
            assert!(end.is_err() && read.is_empty(), "without its header, cut at {cut}");
            continue;
        };
        assert_eq!(read, ["one", "two", "three"][..whole], "cut at {cut}");
        let left_over = (cut - ends[whole]) as u64;
        assert_eq!(end, Ok(Some(End::Cut { left_over })), "cut at {cut}");
    }
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let (file, ends) = recording();
    for place in 0..file.len() {
        let mut changed = file.clone();
        changed[place] ^= 0x10;
        match check(&changed[..]) {
            // The header's own ids may become others; what it is the header of no longer follows it.
            Err(Fault::Damaged { segment, .. }) => {
                let whole = ends.iter().rposition(|end| *end <= place).unwrap_or(0);
                assert_eq!(segment as usize, whole, "the first bad segment, byte {place}");
            }
            other => panic!("byte {place}: {other:?}"),
        }
    }
}

#[test]
fn a_dropped_repeated_moved_or_added_segment_is_found() {
    let (file, ends) = recording();
    let piece = |index: usize| &file[ends[index]..ends[index + 1]];
    let head = &file[..ends[0]];
    for (pieces, bad) in [
        (vec![piece(1), piece(2)], 0),
        (vec![piece(0), piece(2)], 1),
        (vec![piece(1), piece(0), piece(2)], 0),
        (vec![piece(0), piece(0), piece(1)], 1),
        (vec![piece(0), piece(1), piece(2), piece(2)], 3),
        (vec![piece(0), piece(1), piece(2), b"x"], 3),
        (vec![piece(0), b"nonsense"], 1),
    ] {
        let changed = [vec![head], pieces].concat().concat();
        let Err(Fault::Damaged { segment, .. }) = check(&changed[..]) else { panic!("{bad}") };
        assert_eq!(segment, bad);
    }
}

#[test]
fn a_segment_put_into_another_chain_does_not_open_there() {
    let mut sealer = Sealer::new(KEY.recipients()).unwrap();
    let sealed = sealer.seal("rec_1", 0, b"").unwrap();
    assert_eq!(KEY.open("rec_1", 0, &sealed), Ok(Vec::new()));
    assert_eq!(KEY.open("rec_2", 0, &sealed), Err(SealError::Misplaced));
    assert_eq!(KEY.open("rec_1", 1, &sealed), Err(SealError::Misplaced));
    assert_eq!(Identities::generate().open("rec_1", 0, &sealed), Err(SealError::NotForYou));
}

#[test]
fn lengths_from_a_file_and_bombs_in_it_are_bounded() {
    let (file, ends) = recording();
    let mut long = file[..ends[0]].to_vec();
    let (_, mut segment) = Chain::begin(&header()).unwrap().0.segment(b"", false).unwrap();
    segment[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
    let sum = super::file::sha256(&[&segment[..45]]);
    segment[45..49].copy_from_slice(&sum[..4]);
    long.extend(segment);
    let fault = check(&long[..]).unwrap_err();
    assert!(matches!(fault, Fault::Damaged { damage: Damage::Length, .. }), "{fault}");
    let endless = [b'a'; 10_000];
    assert!(matches!(check(&endless[..]), Err(Fault::Damaged { damage: Damage::Header, .. })));
    let bomb = zstd::bulk::compress(&vec![b'\n'; MAX_PLAIN + 1], 3).unwrap();
    assert!(bomb.len() < 10_000);
    let key: age::x25519::Recipient = KEY.recipients().texts()[0].parse().unwrap();
    let sealed = age::encrypt(&key, &bomb).unwrap();
    assert_eq!(KEY.open("rec_1", 0, &sealed), Err(SealError::TooLong));
    let sealed = Sealer::new(KEY.recipients()).unwrap().seal("rec_1", 0, &vec![0; MAX_PLAIN]);
    assert_eq!(sealed, Err(SealError::TooLong));
}

#[test]
fn every_kind_of_entry_is_one_line_and_comes_back() {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    let all = [
        What::Opened(Opened { schema: SCHEMA.into(), model: "m".into(), ..Opened::default() }),
        What::Request {
            method: "POST".into(),
            path: "/v1?key=[removed]".into(),
            version: "HTTP/1.1".into(),
            headers: headers.clone(),
        },
        What::Response { status: 200, headers: headers.clone() },
        What::Body { from: Side::Model, bytes: Bytes::from_static(b"data: x\n\n") },
        What::Body { from: Side::Caller, bytes: Bytes::from_static(&[0, 0xff, b'\n']) },
        What::Message { from: Side::Model, kind: "text".into(), bytes: Bytes::from_static(b"\n") },
        What::Trailers { from: Side::Model, headers },
        What::Omitted { from: Side::Caller, bytes: 7, why: "metadata".into() },
        What::Ended(Outcome { outcome: "complete".into() }),
    ];
    let mut lines = Vec::new();
    for (at, what) in all.iter().enumerate() {
        Entry { at: at as u64, what: what.clone() }.write(&mut lines).unwrap();
    }
    assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), all.len());
    let read: Vec<What> = entries(&lines).map(|entry| entry.unwrap().what).collect();
    assert_eq!(read, all);
    let text = String::from_utf8(lines).unwrap();
    assert!(text.contains(r#"{"at":3,"body":{"from":"model","bytes":"data: x\n\n"}}"#), "{text}");
    assert!(text.contains(r#""bytes":{"base64":"AP8K"}"#), "{text}");
    assert!(entries(b"{}\n").next().unwrap().is_err());
}

#[test]
fn keys_are_read_as_age_writes_them_and_never_repeated() {
    let text = KEY.text();
    let text = text.expose_secret();
    assert!(text.starts_with("# public key: age1"));
    let again = Identities::parse(text).unwrap();
    assert_eq!(again.recipients().texts(), KEY.recipients().texts());
    let public = KEY.recipients().texts().remove(0);
    assert!(Recipients::parse([public.as_str()]).is_ok());
    let secret = text.lines().nth(1).unwrap();
    assert_eq!(Recipients::parse([public.as_str(), secret]).unwrap_err(), (1, KeyError::Secret));
    assert_eq!(Recipients::parse(["age1x"]).unwrap_err(), (0, KeyError::Recipient));
    assert_eq!(Identities::parse("# nothing\n").unwrap_err(), KeyError::None);
    assert_eq!(Identities::parse("\nnonsense\n").unwrap_err(), KeyError::Identity(2));
    assert_eq!(format!("{KEY:?}", KEY = *KEY), "Identities(1)");
}
