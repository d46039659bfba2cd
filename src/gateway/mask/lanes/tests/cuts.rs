//! What holds for every wire and every cut: the same bytes as uncut, the text masked in one piece, nothing let go that a later
//! character makes part of a value, and nothing shown of what was cut off.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{super::protobuf, Answer, Form, labelled, styled};
use crate::gateway::mask::{Masking, Style};

/// How one text, in pieces, is sent; and read again.
struct Wire {
    form: Form,
    bytes: Vec<u8>,
    read: fn(&[u8]) -> String,
}

/// JSON in which some characters of strings are escaped that need not be.
fn spelled(json: &Value, escaped: &[bool]) -> String {
    let (json, mut out, mut in_string, mut after) = (json.to_string(), String::new(), false, false);
    for (at, char) in json.chars().enumerate() {
        if after {
            after = false;
        } else if char == '"' {
            in_string = !in_string;
        } else if char == '\\' {
            after = true;
        } else if in_string && escaped[at % escaped.len()] && !char.is_ascii_alphanumeric() {
            char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out += &format!("\\u{unit:04x}"));
            continue;
        }
        out.push(char);
    }
    out
}

fn sse(events: &[Value], escaped: &[bool], end: &str) -> Vec<u8> {
    let event = |event: &Value| {
        let name = event["type"].as_str().map_or(String::new(), |name| format!("event: {name}{end}"));
        format!("{name}data: {}{end}{end}", spelled(event, escaped))
    };
    events.iter().map(event).collect::<String>().into_bytes()
}

/// The JSON of whole events.
fn read_sse(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).unwrap().replace("\r\n", "\n").replace('\r', "\n");
    let data = |block: &str| block.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
    let blocks = text.split("\n\n").filter_map(data);
    blocks.filter(|data| data != "[DONE]").map(|data| serde_json::from_str(&data).unwrap()).collect()
}

fn text_at(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[first, 126][..], &length, payload].concat()
}

/// Messages of a server, whole again.
fn messages(out: &[u8]) -> Vec<Value> {
    let (mut rest, mut found) = (out, Vec::new());
    while let [first, second, after @ ..] = rest {
        let (length, body) = match second {
            126 => (usize::from(u16::from_be_bytes([after[0], after[1]])), &after[2..]),
            short => (usize::from(*short), after),
        };
        if first & 0x0f == 1 {
            found.push(serde_json::from_slice(&body[..length]).unwrap());
        }
        rest = &body[length..];
    }
    found
}

/// The elements of all messages of a stream.
fn elements(out: &[u8]) -> String {
    let (mut rest, mut text) = (out, Vec::new());
    while let Some((head, after)) = rest.split_first_chunk::<5>() {
        let (message, after) =
            after.split_at(u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize);
        collect(message, &[2, 5, 5, 8], &mut text);
        rest = after;
    }
    String::from_utf8(text).unwrap()
}

fn collect(message: &[u8], path: &[u64], text: &mut Vec<u8>) {
    protobuf::each(message, &mut |number, value| {
        match path {
            [last] if *last == number => text.extend_from_slice(value),
            [first, rest @ ..] if *first == number => collect(value, rest, text),
            _ => {}
        }
        Ok(())
    })
    .unwrap();
}

/// The text in every dialect.
fn wires(pieces: &[String], escaped: &[bool], end: &str) -> Vec<Wire> {
    let with = |each: &dyn Fn(&str) -> Value, last: &[Value]| -> Vec<Value> {
        pieces.iter().map(|piece| each(piece)).chain(last.iter().cloned()).collect()
    };
    let chat = |delta: Value, finish: Value| json!({"id": "c", "choices": [{"index": 1, "delta": delta, "finish_reason": finish}]});
    let events =
        |events: Vec<Value>, read| Wire { form: Form::Events, bytes: sse(&events, escaped, end), read };
    let whole: String = pieces.concat();
    let nested = json!({"deep": json!({"text": whole}).to_string()}).to_string();
    let nested: Vec<String> =
        nested.chars().collect::<Vec<_>>().chunks(3).map(|c| c.iter().collect()).collect();
    let part = |piece: &str| json!({"candidates": [{"content": {"parts": [{"text": piece}], "role": "model"}, "index": 0}]});
    let gemini = with(&part, &[json!({"candidates": [{"finishReason": "STOP", "index": 0}]})]);
    let list: Vec<String> = gemini.iter().map(|event| spelled(event, escaped)).collect();
    let lines = with(
        &|piece| json!({"message": {"content": piece}, "done": false}),
        &[json!({"message": {"content": ""}, "done": true})],
    );
    let lines: String = lines.iter().map(|line| spelled(line, escaped) + "\n").collect();
    let frames: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| {
            let delta = json!({"type": "response.text.delta", "item_id": "i", "delta": piece}).to_string();
            let (a, b) = delta.as_bytes().split_at(delta.len() / 2);
            [frame(0x01, a), vec![0x89, 0], frame(0x80, b)].concat()
        })
        .collect();
    let field = |number: u64, value: &[u8]| {
        let mut out = Vec::new();
        protobuf::write(number, value, &mut out);
        out
    };
    let calls: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| {
            let tensor =
                [field(1, b"text"), field(2, b"BYTES"), field(5, &field(8, piece.as_bytes()))].concat();
            framed(&field(2, &[field(3, b"7"), field(5, &tensor)].concat()))
        })
        .collect();
    vec![
        events(
            with(&|piece| chat(json!({"content": piece}), Value::Null), &[chat(json!({}), json!("stop"))]),
            |out| text_at(&read_sse(out), "/choices/0/delta/content"),
        ),
        events(
            nested
                .iter()
                .map(|piece| {
                    chat(json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}), Value::Null)
                })
                .collect(),
            |out| {
                let arguments = text_at(&read_sse(out), "/choices/0/delta/tool_calls/0/function/arguments");
                let inner = |json: &str, key: &str| -> Option<String> {
                    Some(serde_json::from_str::<Value>(json).ok()?[key].as_str()?.to_owned())
                };
                inner(&arguments, "deep").and_then(|deep| inner(&deep, "text")).unwrap_or_default()
            },
        ),
        events(with(&|piece| json!({"choices": [{"text": piece, "index": 0}]}), &[]), |out| {
            text_at(&read_sse(out), "/choices/0/text")
        }),
        events(
            with(
                &|piece| json!({"type": "response.refusal.delta", "sequence_number": 1, "output_index": 0, "delta": piece}),
                &[
                    json!({"type": "response.refusal.done", "sequence_number": 2, "output_index": 0, "refusal": ""}),
                ],
            ),
            |out| text_at(&read_sse(out), "/delta"),
        ),
        events(
            with(
                &|piece| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": piece}}),
                &[json!({"type": "content_block_stop", "index": 0})],
            ),
            |out| text_at(&read_sse(out), "/delta/thinking"),
        ),
        events(gemini, |out| text_at(&read_sse(out), "/candidates/0/content/parts/0/text")),
        events(with(&|piece| json!({"content": piece, "stop": false}), &[]), |out| {
            text_at(&read_sse(out), "/content")
        }),
        Wire {
            form: Form::Lines,
            bytes: lines.into_bytes(),
            read: |out| {
                let lines: Vec<Value> = std::str::from_utf8(out)
                    .unwrap()
                    .lines()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect();
                text_at(&lines, "/message/content")
            },
        },
        Wire {
            form: Form::Json,
            bytes: format!("[{}]", list.join("\n,")).into_bytes(),
            read: |out| {
                let list = [out, b"]"].concat();
                let list: Result<Vec<Value>, _> =
                    serde_json::from_slice(out).or_else(|_| serde_json::from_slice(&list));
                text_at(&list.unwrap_or_default(), "/candidates/0/content/parts/0/text")
            },
        },
        Wire {
            form: Form::Json,
            bytes: spelled(&json!({"choices": [{"message": {"content": whole}}]}), escaped).into_bytes(),
            read: |out| {
                serde_json::from_slice::<Value>(out)
                    .map_or(String::new(), |json| text_at(&[json], "/choices/0/message/content"))
            },
        },
        Wire {
            form: Form::Text,
            bytes: whole.into_bytes(),
            read: |out| String::from_utf8(out.to_vec()).unwrap(),
        },
        Wire {
            form: Form::WebSocket,
            bytes: [frames, vec![0x88, 0]].concat(),
            read: |out| text_at(&messages(out), "/delta"),
        },
        Wire { form: Form::Inference { streams: true }, bytes: calls, read: elements },
    ]
}

/// What is given of the bytes in pieces; the answer goes on.
fn pushed(masking: &Arc<Masking>, form: Form, bytes: &[u8], cuts: &[usize]) -> (Answer, Vec<u8>) {
    let (mut answer, mut out, mut from) = (Answer::new(form, true, masking), Vec::new(), 0);
    for to in cuts.iter().copied().chain([bytes.len()]) {
        answer.push(&bytes[from..to], &mut out).unwrap();
        from = to;
    }
    (answer, out)
}

fn pieces() -> impl Strategy<Value = Vec<String>> {
    let fragments = [
        "alice@example.com",
        "4111 1111 1111 1111",
        "078-05-1120",
        "DE89 3704 0044 0532 0130 00",
        "192.0.2.44",
        "and ",
        " to ",
        ", ",
        "\n",
        "password: ",
        "Tr0ub4dor&3",
        "é",
        "🙂",
        "\"",
        "\\",
        "/",
        "<b>",
        "{",
        "]",
        "\u{200b}",
        "4111",
        "@",
        "x",
        "数字",
        "a/b",
        "12 ",
    ];
    let text = prop::collection::vec(proptest::sample::select(fragments.to_vec()), 1..10)
        .prop_map(|parts| parts.concat());
    (text, 1_usize..7).prop_map(|(text, size)| {
        text.chars().collect::<Vec<_>>().chunks(size).map(|piece| piece.iter().collect()).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_cut_of_every_wire_gives_the_same(
        pieces in pieces(),
        escaped in prop::collection::vec(any::<bool>(), 1..9),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        cuts in prop::collection::vec(any::<usize>(), 0..9),
        style in prop::sample::select(vec![Style::Label, Style::Label, Style::Partial, Style::Hash, Style::Remove]),
    ) {
        let masking = styled(style);
        let text = masking.text(&pieces.concat());
        for wire in wires(&pieces, &escaped, end) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (wire.bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let (mut answer, mut whole) = pushed(&masking, wire.form, &wire.bytes, &[]);
            answer.finish(&mut whole).unwrap();
            let (mut answer, mut cut) = pushed(&masking, wire.form, &wire.bytes, &cuts);
            answer.finish(&mut cut).unwrap();
            prop_assert_eq!(whole.escape_ascii().to_string(), cut.escape_ascii().to_string(), "{:?} {:?}", wire.form, cuts);
            prop_assert_eq!(&(wire.read)(&whole), &text, "{:?}", wire.form);
            let Some(to) = cuts.first() else { continue };
            let (mut answer, mut out) = pushed(&masking, wire.form, &wire.bytes[..*to], &[]);
            let given = (wire.read)(&out);
            prop_assert!(text.starts_with(&given), "{:?}: {given:?} was let go of {text:?}", wire.form);
            answer.abort(&mut out);
            let given = (wire.read)(&out);
            let given = given.strip_suffix("[MASKED]").unwrap_or(&given);
            // What was held is written in the two other styles too, as more than a word.
            let plain = matches!(style, Style::Label | Style::Remove);
            prop_assert!(!plain || text.starts_with(given), "{:?}: {given:?} was shown of {text:?}", wire.form);
        }
    }

    #[test]
    fn what_has_nothing_to_mask_stays_byte_for_byte(
        words in prop::collection::vec("[a-zéü/<]{1,9}", 1..20),
        ascii in any::<bool>(),
        space in "[ \n\t]{0,3}",
        numbers in prop::collection::vec(any::<f32>().prop_filter("JSON has no others", |n| n.is_finite()), 0..6),
        pieces in prop::collection::vec(1_usize..9, 1..30),
    ) {
        let json = json!({"id": "x", "words": words, "é": {"numbers": numbers, "": null}, "choices": [{"text": words.join(" ")}]});
        let json = if ascii { spelled(&json, &[true]) } else { json.to_string() };
        let json = json.replace("\":", &format!("\"{space}:{space}")) + &space;
        for (form, wire) in [
            (Form::Json, json.clone()),
            (Form::Asked, json.clone()),
            (Form::Lines, json.replace(['\n', '\t'], " ").replace("choices", "records") + "\n"),
            (Form::Text, words.join(" ")),
        ] {
            let (mut answer, mut out, mut from) = (Answer::new(form, true, &labelled()), Vec::new(), 0);
            for size in pieces.iter().cycle() {
                let to = (from + size).min(wire.len());
                answer.push(&wire.as_bytes()[from..to], &mut out).unwrap();
                from = to;
                if from == wire.len() {
                    break;
                }
            }
            answer.finish(&mut out).unwrap();
            prop_assert_eq!(String::from_utf8(out).unwrap(), wire);
        }
    }
}
