//! Answers that mean harm, or were written by somebody who did not care.

use super::{Answer, Form, NotUnderstood, labelled, masking, sse};

/// What an answer becomes, as far as it can be read; with it, why it could not.
fn tried(form: Form, wire: &[u8]) -> (String, Option<NotUnderstood>) {
    let (mut answer, mut out) = (Answer::new(form, true, &masking()), Vec::new());
    let read = answer.push(wire, &mut out).and_then(|()| answer.finish(&mut out));
    if read.is_err() {
        answer.abort(&mut out);
    }
    (String::from_utf8_lossy(&out).into_owned(), read.err())
}

fn read(form: Form, wire: &str) -> String {
    let (out, error) = tried(form, wire.as_bytes());
    assert_eq!(error, None, "{wire}");
    out
}

#[test]
fn what_is_no_json_is_refused_and_shows_nothing() {
    let deep = "[".repeat(200);
    for (wire, shown) in [
        ("{\"a\":NaN}", "{\"a\":"),
        ("\u{feff}{}", ""),
        ("{\"a\":\"4111 1111 1111 1111", "{\"a\":\"[MASKED]"),
        ("{\"a\":\"b\"} {", "{\"a\":\"b\"} "),
        ("<html>", ""),
        (deep.as_str(), &deep[..128]),
        ("{\"n\":4111111111111111", "{\"n\":\"[CREDIT_CARD]\""),
    ] {
        let (out, error) = tried(Form::Json, wire.as_bytes());
        assert!(
            error.is_some() && shown.starts_with(out.trim_end_matches("[MASKED]").trim_end_matches('"')),
            "{wire}: {out} {error:?}"
        );
        assert!(!out.contains("4111"), "{out}");
    }
    for wire in ["data: {\"choices\":[}\n\n", "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]\n\n"] {
        assert!(tried(Form::Events, wire.as_bytes()).1.is_some(), "{wire}");
    }
    assert!(tried(Form::Lines, b"{\"a\":1}\nno JSON\n").1.is_some());
}

#[test]
fn an_event_that_never_ends_is_not_held_for_ever() {
    let mut answer = Answer::new(Form::Events, true, &labelled());
    let mut out = Vec::new();
    let piece = [b'x'; 64 * 1024];
    answer.push(b"data: ", &mut out).unwrap();
    let held = (0..).take_while(|_| answer.push(&piece, &mut out).is_ok()).count();
    assert!((100..=128).contains(&held), "{held} pieces are held");
    for (form, begin) in
        [(Form::Lines, "{\"a\":\""), (Form::Json, "[{\"candidates\":[{\"index\":0}]},{\"a\":\"")]
    {
        let mut answer = Answer::new(form, true, &labelled());
        answer.push(begin.as_bytes(), &mut out).unwrap();
        let held = (0..).take_while(|_| answer.push(&piece, &mut out).is_ok()).count();
        assert!((100..=128).contains(&held), "{form:?}: {held} pieces are held");
    }
    // Texts are held by name, and so many names are none's.
    let event = |n: usize| format!("{{\"choices\":[{{\"index\":{n},\"delta\":{{\"content\":\"x\"}}}}]}}");
    let mut answer = Answer::new(Form::Events, true, &labelled());
    let refused = (0..3000).find_map(|n| answer.push(sse(&[&event(n)]).as_bytes(), &mut out).err());
    assert_eq!(refused, Some(NotUnderstood::TooMany));
}

#[test]
fn a_long_string_of_a_document_is_not_held() {
    let mut answer = Answer::new(Form::Json, true, &labelled());
    let mut out = Vec::new();
    answer.push(b"{\"a\":\"", &mut out).unwrap();
    for _ in 0..400 {
        out.clear();
        answer.push(&b"words and words and ".repeat(50), &mut out).unwrap();
        assert!(out.len() > 900, "{} bytes came out", out.len());
    }
}

#[test]
fn odd_but_legal_streams_pass() {
    assert_eq!(
        read(Form::Events, ": nothing\n\n: but comments\r\n\r\n"),
        ": nothing\n\n: but comments\r\n\r\n"
    );
    assert_eq!(read(Form::Events, "data: {\"a\":\ndata: 1}\n\n"), "data: {\"a\":\ndata: 1}\n\n");
    assert_eq!(read(Form::Events, "\u{feff}data: hi there \n\n"), "\u{feff}data: hi there \n\n");
    assert_eq!(read(Form::Events, ""), "");
    assert_eq!(read(Form::Json, ""), "");
    assert_eq!(read(Form::Json, " {} "), " {} ");
    // The empty line at the end is missing: a client would drop the event, but a value may lie in it.
    let last =
        read(Form::Events, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a@example.com\"}}]}");
    assert!(last.contains("[EMAIL]") && !last.contains("a@example"), "{last}");
    assert_eq!(
        read(Form::Events, "x-note: a@example.com\nid: 7\ndata: ok \n\n"),
        "x-note: [EMAIL]\nid: 7\ndata: ok \n\n"
    );
    assert_eq!(read(Form::Json, "{\"a\":\"\\ud800 \\udc00\"}"), "{\"a\":\"\u{fffd} \u{fffd}\"}");
    assert_eq!(
        read(Form::Json, "{\"a\":\"x a@example.com\",\"a\":\"b@example.com\"}"),
        "{\"a\":\"x [EMAIL]\",\"a\":\"[EMAIL]\"}"
    );
}

#[test]
fn keys_and_whatever_lies_under_a_field_are_masked() {
    let wire = r#"{"map":{"alice@example.com":1,"plain":{"bob@example.com":[]}},"customer":{"ssn":{"parts":["078",5,{"x":null}]},"n":1}}"#;
    let masked = r#"{"map":{"[EMAIL]":1,"plain":{"[EMAIL]":[]}},"customer":{"ssn":"[FIELD]","n":1}}"#;
    assert_eq!(read(Form::Json, wire), masked);
    assert_eq!(read(Form::Events, &sse(&[wire])), sse(&[masked]));
    assert_eq!(read(Form::Lines, &format!("{wire}\n")), format!("{masked}\n"));
    for (value, becomes) in [
        ("12", "\"[FIELD]\""),
        ("[1,\"a\"]", "\"[FIELD]\""),
        ("true", "\"[FIELD]\""),
        ("\"x\"", "\"[FIELD]\""),
        ("null", "null"),
        ("\"\"", "\"\""),
    ] {
        let wire = format!("{{\"customer\": {{\"ssn\": {value} , \"b\":[1]}}}}");
        assert_eq!(
            read(Form::Json, &wire),
            wire.replace(value, becomes).replace(&becomes.replace(value, becomes), becomes)
        );
    }
}

#[test]
fn broken_json_of_a_model_parts_no_value() {
    let arguments = |text: &str| {
        let json = serde_json::json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}}]});
        let out = read(Form::Events, &sse(&[&json.to_string(), "[DONE]"]));
        let data = out
            .split("\n\n")
            .filter_map(|block| block.strip_prefix("data: "))
            .filter(|data| *data != "[DONE]");
        let text = |data: &str| {
            let event: serde_json::Value = serde_json::from_str(data).unwrap();
            event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        data.map(text).collect::<String>()
    };
    for (came, goes) in [
        ("[4111 1111 1111 1111]", "[[CREDIT_CARD]]"),
        ("{\"a\":\"al\\_ice@example.com\"}", "{\"a\":\"[EMAIL]\"}"),
        ("{\"a\":\"one\ntwo a@example.com\"}", "{\"a\":\"one\\ntwo [EMAIL]\"}"),
        ("{\"a\": NaN, \"b\": None,}", "{\"a\": NaN, \"b\": None,}"),
        ("{\"a\": 4111111111111111 }", "{\"a\": \"[CREDIT_CARD]\" }"),
        ("{a: 'b@example.com'}", "{a: '[EMAIL]'}"),
        ("[note] see a@example.com", "[note] see [EMAIL]"),
        ("{\"a\":\"4111 1111 11", "{\"a\":\"4111 1111 11"),
        ("{\"cut", "{\"cut"),
        ("{\"n\": 12", "{\"n\": 12"),
    ] {
        assert_eq!(arguments(came), goes, "{came}");
    }
}

#[test]
fn dialects_keep_what_they_count_and_name() {
    for same in [
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.0023064255,-0.009327292,1e-7]}],"model":"m","usage":{"prompt_tokens":8,"total_tokens":80000000}}"#,
        r#"{"data":[{"embedding":"AAAAPwAAgD8078051120AAAA"}]}"#,
        r#"{"model":"l","created_at":"2023-08-04T19:22:45.499127Z","response":"ok","done":true,"total_duration":4111111111111111,"eval_count":1}"#,
        r#"{"id":"msg_4111111111111111","content":[{"type":"tool_use","id":"toolu_078-05-1120","name":"send_mail","input":{}}],"stop_reason":"end_turn"}"#,
    ] {
        assert_eq!(read(Form::Json, same), same);
    }
    assert_eq!(
        read(Form::Json, r#"{"response":"x ","done":true,"context":[1,2,30522]}"#),
        r#"{"response":"x ","done":true,"context":[]}"#
    );
    assert_eq!(
        read(Form::Json, r#"{"predictions":[{"id":"078-05-1120","phone":4155552671.0,"score":0.5}]}"#),
        r#"{"predictions":[{"id":"[US_SSN]","phone":"[PHONE]","score":0.5}]}"#
    );
}

#[test]
fn one_items_end_is_not_anothers() {
    let event = |json: &str| format!("data: {json}\n\n");
    let wire = [
        r#"{"type":"response.output_text.delta","item_id":"b","output_index":1,"content_index":0,"delta":"4111 1111 "}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"id":"a","type":"message","content":[]}}"#,
        r#"{"type":"response.output_text.delta","item_id":"b","output_index":1,"content_index":0,"delta":"1111 1111"}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"id":"b","content":[{"text":"4111 1111 1111 1111"}]}}"#,
    ];
    let out = read(Form::Events, &wire.map(event).concat());
    assert!(out.contains(r#""delta":"[CREDIT_CARD]""#) && !out.contains("4111"), "{out}");
}
