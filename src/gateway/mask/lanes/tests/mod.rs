//! Every form, cut everywhere: the same bytes as uncut, and nothing of a value that is masked.

use std::sync::Arc;

use super::{Answer, Field, Form, NotUnderstood};
use crate::gateway::mask::{Key, Masking, Rules, Style};

mod cuts;
mod fuzz;
mod hostile;
mod wires;

/// Everything is masked, and one field.
pub(super) fn masking() -> Arc<Masking> {
    let fields = Arc::from([Field::parse("$.customer.ssn").unwrap()]);
    let rules = Arc::new(Rules::everything(Style::Label));
    Arc::new(Masking::new(rules, fields, Arc::new(Key::new(&[7; 32]))))
}

/// Everything is masked, and no field.
fn labelled() -> Arc<Masking> {
    styled(Style::Label)
}

/// The same, in any style.
fn styled(style: Style) -> Arc<Masking> {
    let rules = Arc::new(Rules::everything(style));
    Arc::new(Masking::new(rules, Arc::from([]), Arc::new(Key::new(&[7; 32]))))
}

fn run(form: Form, interface: bool, pieces: &[&[u8]]) -> String {
    let mut answer = Answer::new(form, interface, &masking());
    let mut out = Vec::new();
    for piece in pieces {
        answer.push(piece, &mut out).unwrap();
    }
    answer.finish(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The answer masked, after every cut gave the same.
fn masked(form: Form, interface: bool, wire: &str) -> String {
    let bytes = wire.as_bytes();
    let whole = run(form, interface, &[bytes]);
    for cut in 1..bytes.len() {
        let (a, b) = bytes.split_at(cut);
        assert_eq!(run(form, interface, &[a, b]), whole, "cut at {cut}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(run(form, interface, &single), whole, "byte by byte");
    whole
}

fn sse(events: &[&str]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

#[test]
fn a_chat_answer_keeps_its_events_and_loses_the_address() {
    let chunk = |content: &str| {
        format!(
            r#"{{"id":"c1","choices":[{{"index":0,"delta":{{"content":"{content}"}},"finish_reason":null}}]}}"#
        )
    };
    let events = [
        r#"{"id":"c1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#.to_owned(),
        chunk("write al"),
        chunk(r"ice\u0040ex"),
        chunk("ample.com"),
        r#"{"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"total_tokens":9}}"#.to_owned(),
        "[DONE]".to_owned(),
    ];
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let out = masked(Form::Events, true, &sse(&events));
    let expected =
        sse(&[events[0], &chunk("write "), &chunk(""), &chunk(""), &chunk("[EMAIL]"), events[4], "[DONE]"]);
    assert_eq!(out, expected);
}

#[test]
fn choices_tools_and_nested_json_are_texts_of_their_own() {
    let events = [
        r#"{"choices":[{"delta":{"content":"a@"},"index":1},{"delta":{"content":"hello "},"index":0}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"send","arguments":""}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"to\":\"al\\u00"}}]}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"b.org"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"69ce@example.com\",\"n\":4111111111111111,\"in\":\"{\\\"x\\\":\\\"a@b.org\\\"}\"}"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        r#"{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ];
    let out = masked(Form::Events, true, &sse(&events));
    let (mut arguments, mut contents) = (String::new(), [String::new(), String::new()]);
    for event in
        out.split("\n\n").filter_map(|block| block.strip_prefix("data: ")).filter(|data| *data != "[DONE]")
    {
        let event: serde_json::Value = serde_json::from_str(event).unwrap();
        for choice in event["choices"].as_array().unwrap() {
            let index = usize::try_from(choice["index"].as_u64().unwrap()).unwrap();
            contents[index] += choice["delta"]["content"].as_str().unwrap_or_default();
            arguments +=
                choice["delta"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap_or_default();
        }
    }
    assert_eq!(contents, ["hello ", "[EMAIL]"]);
    let arguments: serde_json::Value = serde_json::from_str(&arguments).unwrap();
    assert_eq!(
        arguments,
        serde_json::json!({ "to": "[EMAIL]", "n": "[CREDIT_CARD]", "in": "{\"x\":\"[EMAIL]\"}" })
    );
}

#[test]
fn responses_are_counted_on_and_their_copies_agree() {
    let events = [
        r#"{"type":"response.output_text.delta","sequence_number":4,"item_id":"m","output_index":0,"content_index":0,"delta":"a@","logprobs":[{"token":"a@"}]}"#,
        r#"{"type":"response.output_text.delta","sequence_number":5,"item_id":"m","output_index":0,"content_index":0,"delta":"b.org"}"#,
        r#"{"type":"response.output_text.done","sequence_number":6,"item_id":"m","output_index":0,"content_index":0,"text":"a@b.org"}"#,
        r#"{"type":"response.completed","sequence_number":7,"response":{"id":"a@b.org","output":[{"content":[{"text":"a@b.org"}]}]}}"#,
    ];
    assert_eq!(
        masked(Form::Events, true, &sse(&events)),
        sse(&[
            r#"{"type":"response.output_text.delta","sequence_number":4,"item_id":"m","output_index":0,"content_index":0,"delta":"","logprobs":[]}"#,
            r#"{"type":"response.output_text.delta","sequence_number":5,"item_id":"m","output_index":0,"content_index":0,"delta":""}"#,
            r#"{"type":"response.output_text.delta","sequence_number":6,"item_id":"m","output_index":0,"content_index":0,"delta":"[EMAIL]"}"#,
            r#"{"type":"response.output_text.done","sequence_number":7,"item_id":"m","output_index":0,"content_index":0,"text":"[EMAIL]"}"#,
            r#"{"type":"response.completed","sequence_number":8,"response":{"id":"a@b.org","output":[{"content":[{"text":"[EMAIL]"}]}]}}"#,
        ])
    );
}

#[test]
fn a_block_of_anthropics_ends_with_its_rest() {
    let wire = "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"text_delta\",\"text\":\"to é@x.org\"}}\r\n\r\n: ping a@b.org\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n";
    assert_eq!(
        masked(Form::Events, true, wire),
        "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"text_delta\",\"text\":\"to \"}}\r\n\r\n: ping [EMAIL]\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"text_delta\",\"text\":\"[EMAIL]\"}}\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n"
    );
}

#[test]
fn lines_end_with_the_rest_in_the_last_one() {
    let wire = "{\"message\":{\"content\":\"a@\"},\"done\":false}\n{\"message\":{\"content\":\"b.org\"},\"done\":false}\n\n{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\"}\n";
    assert_eq!(
        masked(Form::Lines, true, wire),
        "{\"message\":{\"content\":\"\"},\"done\":false}\n{\"message\":{\"content\":\"\"},\"done\":false}\n\n{\"message\":{\"content\":\"[EMAIL]\"},\"done\":true,\"done_reason\":\"stop\"}\n"
    );
}

#[test]
fn documents_are_masked_value_by_value() {
    let wire = r#"{"id":"a@b.org", "customer":{"ssn":123456789,"name":"x"},"choices":[{"message":{"content":"mail a\u0040b.org now","tool_calls":[{"function":{"name":"f","arguments":"{\"q\": \"a@b.org\"}"}}]},"logprobs":{"content":[{"token":"a@b.org"}]}}],"n":[4111111111111111,1.5]}"#;
    assert_eq!(
        masked(Form::Json, true, wire),
        r#"{"id":"a@b.org", "customer":{"ssn":"[FIELD]","name":"x"},"choices":[{"message":{"content":"mail [EMAIL] now","tool_calls":[{"function":{"name":"f","arguments":"{\"q\": \"[EMAIL]\"}"}}]},"logprobs":null}],"n":["[CREDIT_CARD]",1.5]}"#
    );
    assert_eq!(masked(Form::Json, false, r#"{"id":"a@b.org"}"#), r#"{"id":"[EMAIL]"}"#);
}

#[test]
fn text_and_events_of_text_are_one_text() {
    assert_eq!(masked(Form::Text, false, "é a@b.org ü"), "é [EMAIL] ü");
    assert_eq!(
        masked(Form::Events, false, "data: hi a\n\ndata: @b.org\n\n"),
        "data: hi \n\ndata: \n\ndata: [EMAIL]\n\n"
    );
}

#[test]
fn what_is_cut_goes_on_masked() {
    for (form, wire) in [
        (Form::Text, "go a4111"),
        (Form::Json, "{\"a\":\"go a4111"),
        (
            Form::Events,
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"go a4111\"}}]}\n\ndata: {\"cho",
        ),
    ] {
        let mut answer = Answer::new(form, true, &masking());
        let mut out = Vec::new();
        answer.push(wire.as_bytes(), &mut out).unwrap();
        answer.abort(&mut out);
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("go ") && out.contains("[MASKED]") && !out.contains("4111"), "{out}");
    }
}
