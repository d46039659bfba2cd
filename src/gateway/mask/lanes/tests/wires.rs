//! The labelled documents in nine wire formats (`tests/masking/dev-streams.jsonl.gz`): every wire stays well-formed, and its text is
//! the document's, masked in one piece.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use serde_json::Value;

use super::{Form, labelled, run};

fn lines(file: &str) -> impl Iterator<Item = Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/masking").join(file);
    let file = BufReader::new(flate2::read::GzDecoder::new(File::open(file).unwrap()));
    file.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// Every wire of a format, in the pieces that it says, against the documents it carries.
fn check(format: &str) {
    let wanted: Vec<Value> = lines("dev-streams.jsonl.gz").filter(|wire| wire["format"] == format).collect();
    assert_eq!(wanted.len(), 50);
    let ids: Vec<&Value> = wanted.iter().flat_map(|wire| [&wire["id"], &wire["id2"]]).collect();
    let documents: HashMap<String, String> = lines("dev.jsonl.gz")
        .filter(|document| ids.contains(&&document["id"]))
        .map(|document| (document["id"].to_string(), document["text"].as_str().unwrap().to_owned()))
        .collect();
    let masking = labelled();
    for wire in &wanted {
        let (bytes, mut from) = (wire["wire"].as_str().unwrap().as_bytes(), 0);
        let mut pieces = Vec::new();
        for cut in wire["cuts"].as_array().unwrap() {
            let cut = usize::try_from(cut.as_u64().unwrap()).unwrap();
            pieces.push(&bytes[from..cut]);
            from = cut;
        }
        pieces.push(&bytes[from..]);
        let form = if format == "openai_json" { Form::Json } else { Form::Events };
        let texts = texts(format, &run(form, true, &pieces));
        for (id, text) in [&wire["id"], &wire["id2"]].iter().filter(|id| !id.is_null()).zip(texts) {
            assert_eq!(text, masking.text(&documents[&id.to_string()]), "{format} {id}");
        }
    }
}

/// The data of each event, and its name.
fn events(wire: &str) -> Vec<(Option<String>, String)> {
    assert!(wire.ends_with("\n\n"), "a stream ends with an empty line");
    wire.split_terminator("\n\n")
        .map(|block| {
            let field =
                |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            (field("event: "), field("data: ").unwrap())
        })
        .collect()
}

/// The texts in a wire; whatever is not well-formed panics.
fn texts(format: &str, wire: &str) -> Vec<String> {
    match format {
        "openai_json" => {
            let json: Value = serde_json::from_str(wire).unwrap();
            vec![json["choices"][0]["message"]["content"].as_str().unwrap().to_owned()]
        }
        "anthropic" | "anthropic_tool" => anthropic(format, wire),
        "openai_responses" => responses(wire),
        _ => chat(format, wire),
    }
}

fn chat(format: &str, wire: &str) -> Vec<String> {
    let (mut contents, mut arguments, mut finished) = (BTreeMap::new(), String::new(), Vec::new());
    let events = events(wire);
    let (last, events) = events.split_last().unwrap();
    assert_eq!(last.1, "[DONE]");
    for (_, data) in events {
        let event: Value = serde_json::from_str(data).unwrap();
        for choice in event["choices"].as_array().unwrap() {
            let index = choice["index"].as_u64().unwrap();
            assert!(!finished.contains(&index), "a text after its end");
            *contents.entry(index).or_insert_with(String::new) +=
                choice["delta"]["content"].as_str().unwrap_or_default();
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                arguments += call["function"]["arguments"].as_str().unwrap_or_default();
            }
            if !choice["finish_reason"].is_null() {
                finished.push(index);
            }
        }
    }
    assert!(!finished.is_empty());
    let parsed = |json: &str| serde_json::from_str::<Value>(json).unwrap();
    let member = |json: &str, key: &str| parsed(json)[key].as_str().unwrap().to_owned();
    match format {
        "openai_tool" => vec![member(&arguments, "body")],
        "openai_tool_nested" => vec![member(&member(&arguments, "payload"), "body")],
        _ => contents.into_values().collect(),
    }
}

fn responses(wire: &str) -> Vec<String> {
    let events: Vec<Value> =
        events(wire).iter().map(|(_, data)| serde_json::from_str(data).unwrap()).collect();
    let numbers: Vec<u64> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    let of = |kind: &'static str| events.iter().filter(move |event| event["type"] == kind);
    let text: String =
        of("response.output_text.delta").map(|event| event["delta"].as_str().unwrap()).collect();
    let done = of("response.output_text.done").map(|event| &event["text"]);
    let completed =
        of("response.completed").map(|event| &event["response"]["output"][0]["content"][0]["text"]);
    let copies: Vec<&Value> = done.chain(completed).collect();
    assert_eq!(copies, [text.as_str(), text.as_str()]);
    vec![text]
}

fn anthropic(format: &str, wire: &str) -> Vec<String> {
    let events = events(wire);
    let names: Vec<&str> =
        events.iter().filter_map(|(name, _)| name.as_deref()).filter(|name| *name != "ping").collect();
    assert_eq!(names[..2], ["message_start", "content_block_start"]);
    assert_eq!(names[names.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    let mut text = String::new();
    for (name, data) in &events {
        let event: Value = serde_json::from_str(data).unwrap();
        assert_eq!(event["type"].as_str(), name.as_deref());
        text +=
            event["delta"]["text"].as_str().or(event["delta"]["partial_json"].as_str()).unwrap_or_default();
    }
    match format {
        "anthropic" => vec![text],
        _ => vec![serde_json::from_str::<Value>(&text).unwrap()["body"].as_str().unwrap().to_owned()],
    }
}

#[test]
fn openai_chat() {
    check("openai_chat");
}

#[test]
fn openai_chat_with_escapes() {
    check("openai_chat_esc");
}

#[test]
fn openai_chat_with_two_choices() {
    check("openai_chat_n2");
}

#[test]
fn openai_tool_calls() {
    check("openai_tool");
}

#[test]
fn openai_tool_calls_with_json_in_json() {
    check("openai_tool_nested");
}

#[test]
fn openai_responses() {
    check("openai_responses");
}

#[test]
fn openai_whole() {
    check("openai_json");
}

#[test]
fn anthropic_text() {
    check("anthropic");
}

#[test]
fn anthropic_tool_input() {
    check("anthropic_tool");
}
