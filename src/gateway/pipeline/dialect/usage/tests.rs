//! Answers of each dialect, cut anywhere.

use http::HeaderValue;
use proptest::prelude::{ProptestConfig, any, proptest};

use super::{HeaderMap, Reading, Tokens, Work, header};

const JSON: &str = "application/json; charset=utf-8";
const SSE: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";

fn headers(kind: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))])
}

fn read(kind: &'static str, work: Work, pieces: &[&[u8]], complete: bool) -> Option<Tokens> {
    let mut reading = Reading::new(work, &headers(kind));
    for piece in pieces {
        reading.read(piece);
    }
    reading.tokens(41, complete)
}

fn told(input: u64, output: u64, total: Option<u64>) -> Option<Tokens> {
    Some(Tokens { input, output, total, estimated: false })
}

fn guessed(input: u64, output: u64) -> Option<Tokens> {
    Some(Tokens { input, output, total: None, estimated: true })
}

fn cases() -> Vec<(&'static str, &'static str, Option<Tokens>)> {
    vec![
        (
            JSON,
            r#"{"id":"c","choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":9}"}}],"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46,"prompt_tokens_details":{"cached_tokens":3}}}"#,
            told(12, 34, Some(46)),
        ),
        (
            JSON,
            r#"{"type":"message","usage":{"input_tokens":10,"cache_creation_input_tokens":5,"cache_read_input_tokens":7,"output_tokens":3}}"#,
            told(22, 3, None),
        ),
        (
            JSON,
            "[{\"usageMetadata\":{\"promptTokenCount\":4}}\n,\n{\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":6,\"thoughtsTokenCount\":2,\"totalTokenCount\":12}}]",
            told(4, 8, Some(12)),
        ),
        (
            SSE,
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":5,\"total_tokens\":7}}\n\ndata: [DONE]\n\n",
            told(2, 5, Some(7)),
        ),
        (
            SSE,
            "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\r\n\r\n: ping\r\nevent: message_delta\r\ndata:{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":15}}\r\n\r\n",
            told(9, 15, None),
        ),
        (
            SSE,
            "event: response.completed\ndata: {\"response\":\ndata: {\"usage\":{\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7}}}\n\n",
            told(3, 4, Some(7)),
        ),
        (
            LINES,
            "{\"message\":{\"content\":\"x\"},\"done\":false}\nbroken}\n{\"done\":true,\"prompt_eval_count\":26,\"eval_count\":298}\n",
            told(26, 298, None),
        ),
        // No usage: a quarter of a document's bytes, a token for each message of a stream.
        (JSON, r#"{"choices":[{"text":"abc"}]}"#, guessed(11, 7)),
        (SSE, "data: {\"a\":1}\n\ndata: {\"a\":2}\n\ndata: [DONE]\n\n", guessed(11, 2)),
        // Broken JSON tells nothing, whatever stands in it.
        (JSON, r#"{"usage":{"prompt_tokens":12,"completion_tokens":34},,}"#, guessed(11, 13)),
        (JSON, r#"{"usage":{"prompt_tokens":1.5,"completion_tokens":-3}}"#, guessed(11, 13)),
    ]
}

#[test]
fn each_dialect_tells_its_tokens() {
    for (kind, body, expected) in cases() {
        assert_eq!(read(kind, Work::Generate, &[body.as_bytes()], true), expected, "{body}");
    }
}

#[test]
fn estimates_are_made_only_where_tokens_must_have_been_used() {
    let body = br#"{"choices":[]}"#.as_slice();
    assert_eq!(read(JSON, Work::Other, &[body], true), None);
    assert_eq!(read(JSON, Work::Embed, &[body], true), guessed(11, 0));
    assert_eq!(read("image/png", Work::Other, &[body], true), None);
    let mut compressed = headers(JSON);
    compressed.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let mut reading = Reading::new(Work::Generate, &compressed);
    reading.read(br#"{"usage":{"prompt_tokens":1}}"#);
    assert_eq!(reading.tokens(8, true), guessed(2, 7));
}

/// Otherwise leaving just before the last message would be free.
#[test]
fn a_stream_left_before_its_end_counts_what_passed() {
    let mut body =
        String::from("data: {\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n");
    for _ in 0..6 {
        body.push_str("data: {\"delta\":{}}\n\n");
    }
    assert_eq!(read(SSE, Work::Generate, &[body.as_bytes()], false), guessed(9, 7));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_cut_reads_the_same(which in 0..11_usize, cuts in proptest::collection::vec(any::<u16>(), 0..12)) {
        let (kind, body, expected) = cases().swap_remove(which);
        let body = body.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| usize::from(*cut) % (body.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([body.len()]) {
            pieces.push(&body[from..cut]);
            from = cut;
        }
        assert_eq!(read(kind, Work::Generate, &pieces, true), expected);
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for kind in [JSON, SSE, LINES] {
            read(kind, Work::Generate, &[&bytes], true);
        }
    }
}

/// The piece of a stream with which the model begins, of each dialect; what comes before carries nothing.
#[test]
fn the_first_token_is_told_from_what_comes_before_it() {
    for (kind, pieces, begins) in [
        (
            SSE,
            vec![
                "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":null}}]}\n\n",
                ": ping\n\n",
                "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
            ],
            Some(2),
        ),
        (SSE, vec!["data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"a\"}}]}\n\n"], Some(0)),
        (
            SSE,
            vec![
                "data: {\"choices\":[{\"delta\":{\"tool_calls\":[]}}]}\n\n",
                "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{}]}}]}\n\n",
            ],
            Some(1),
        ),
        (
            SSE,
            vec!["data: {\"choices\":[{\"text\":\"\"}]}\n\n", "data: {\"choices\":[{\"text\":\"x\"}]}\n\n"],
            Some(1),
        ),
        (
            SSE,
            vec![
                "data: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\"}}\n\n",
                "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n",
            ],
            Some(1),
        ),
        (
            SSE,
            vec![
                "data: {\"type\":\"message_start\",\"message\":{\"content\":[],\"usage\":{\"output_tokens\":1}}}\n\n",
                "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
                "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n",
            ],
            Some(2),
        ),
        (SSE, vec!["data: {\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"a\"}}\n\n"], Some(0)),
        (
            LINES,
            vec![
                "{\"message\":{\"role\":\"assistant\",\"content\":\"\"}}\n",
                "{\"message\":{\"content\":\"a\"}}\n",
            ],
            Some(1),
        ),
        (LINES, vec!["{\"response\":\"\"}\n", "{\"response\":\"a\"}\n"], Some(1)),
        (
            SSE,
            vec![
                "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}],\"role\":\"model\"}}]}\n\n",
            ],
            Some(0),
        ),
        (
            JSON,
            vec![
                "[{\"usageMetadata\":{}}",
                ",{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{}}]}}]}]",
            ],
            Some(1),
        ),
        (SSE, vec!["data: {\"model_name\":\"m\",\"text_output\":\"a\"}\n\n"], Some(0)),
        // Whole answers have no first token, and an error is none.
        (JSON, vec!["{\"choices\":[{\"text\":\"whole\"}]}"], None),
        (SSE, vec!["data: {\"error\":{\"message\":\"overloaded\"}}\n\n"], None),
    ] {
        let mut reading = Reading::new(Work::Generate, &headers(kind));
        let begun = pieces.iter().position(|piece| {
            reading.read(piece.as_bytes());
            reading.has_begun()
        });
        assert_eq!(begun, begins, "{pieces:?}");
    }
}

#[test]
fn a_stream_without_usage_counts_what_the_model_made() {
    let body = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    assert_eq!(read(SSE, Work::Generate, &[body.as_bytes()], true), guessed(11, 2));
}

/// A frame of a server's.
fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let extended = match length {
        0..126 => vec![u8::try_from(length).unwrap()],
        126..=0xFFFF => [&[126][..], &u16::try_from(length).unwrap().to_be_bytes()].concat(),
        _ => [&[127][..], &u64::try_from(length).unwrap().to_be_bytes()].concat(),
    };
    [&[head][..], &extended, payload].concat()
}

fn conversed(pieces: &[&[u8]]) -> Option<Tokens> {
    let mut reading = Reading::conversation(true);
    pieces.iter().for_each(|piece| reading.read(piece));
    reading.tokens(0, true)
}

/// Frames, and the tokens they tell.
fn conversations() -> Vec<(Vec<u8>, Option<Tokens>)> {
    let done = br#"{"type":"response.done","response":{"usage":{"total_tokens":12,"input_tokens":5,"output_tokens":7}}}"#;
    let delta = br#"{"type":"response.output_text.delta","delta":"hi"}"#;
    let padded = [done.as_slice(), &[b' '; 70_000]].concat();
    let google = br#"{"serverContent":{"turnComplete":true},"usageMetadata":{"promptTokenCount":3,"responseTokenCount":4,"totalTokenCount":7}}"#;
    vec![
        (frame(0x81, done), told(5, 7, Some(12))),
        ([frame(0x81, done), frame(0x81, done)].concat(), told(10, 14, Some(24))),
        (frame(0x81, &padded), told(5, 7, Some(12))),
        (frame(0x82, google), told(3, 4, Some(7))),
        (
            [frame(0x01, &done[..20]), frame(0x89, b"{}"), frame(0x00, b""), frame(0x80, &done[20..])]
                .concat(),
            told(5, 7, Some(12)),
        ),
        // Left in the middle of an answer.
        (
            [frame(0x81, delta), frame(0x81, done), frame(0x81, delta)].concat(),
            Some(Tokens { input: 5, output: 8, total: None, estimated: true }),
        ),
        // Compressed, masked, no WebSocket at all.
        (frame(0xC1, done), None),
        ([frame(0x41, &done[..20]), frame(0x80, &done[20..])].concat(), None),
        ([frame(0xC1, b"x"), frame(0x81, done)].concat(), told(5, 7, Some(12))),
        ([&[0x81, 0x80 | 1, 0, 0, 0, 0, b'1'][..], &frame(0x81, done)].concat(), None),
        (done.to_vec(), None),
        (Vec::new(), None),
    ]
}

#[test]
fn a_close_is_seen_when_the_whole_of_it_has_passed() {
    for understood in [true, false] {
        let mut reading = Reading::conversation(understood);
        for (piece, closed) in [
            (&b"\x81\x01x\x89\x00\x88"[..], false),
            (b"\x02\x03", false),
            (b"\xE8", true),
            (b"\x81\x01x", true),
        ] {
            reading.read(piece);
            assert_eq!(reading.is_closed(), closed, "{piece:?}");
        }
        assert_eq!(reading.tokens(0, true), None);
    }
    let mut empty = Reading::conversation(false);
    empty.read(b"\x88\x00");
    assert!(empty.is_closed());
}

#[test]
fn conversations_tell_their_tokens() {
    for (at, (bytes, expected)) in conversations().into_iter().enumerate() {
        assert_eq!(conversed(&[&bytes]), expected, "{at}");
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(conversed(&single), expected, "{at} byte by byte");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_conversation_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let pieces: Vec<&[u8]> = bytes.chunks(7).collect();
        assert_eq!(conversed(&pieces), conversed(&[&bytes]));
    }
}
