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
