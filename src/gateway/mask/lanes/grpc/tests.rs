//! Messages of every cut, and messages that are none.

use super::*;

fn field(number: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    protobuf::write(number, value, &mut out);
    out
}

fn tensor(name: &str, kind: &str, elements: &[&str]) -> Vec<u8> {
    let contents: Vec<u8> = elements.iter().flat_map(|e| field(BYTES_CONTENTS, e.as_bytes())).collect();
    let mut tensor = [field(NAME, name.as_bytes()), field(DATATYPE, kind.as_bytes())].concat();
    if !elements.is_empty() {
        tensor.extend(field(CONTENTS, &contents));
    }
    tensor
}

fn raw(elements: &[&[u8]]) -> Vec<u8> {
    elements.iter().flat_map(|e| [&u32::try_from(e.len()).unwrap().to_le_bytes()[..], e].concat()).collect()
}

fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    messages.iter().for_each(|message| write(message, &mut out));
    out
}

fn run(streams: bool, wire: &[u8]) -> Result<Vec<u8>, NotUnderstood> {
    let masking = crate::gateway::mask::lanes::tests::masking();
    let mut whole = None;
    for cut in 0..=wire.len() {
        let (mut calls, mut out) = (Calls::new(&masking, streams), Vec::new());
        calls.push(&wire[..cut], &mut out)?;
        calls.push(&wire[cut..], &mut out)?;
        calls.finish(true, &mut out)?;
        assert_eq!(*whole.get_or_insert(out.clone()), out, "cut at {cut}");
    }
    Ok(whole.unwrap())
}

#[test]
fn texts_in_tensors_are_masked_and_numbers_are_not() {
    let response = |a: &str, b: &[u8]| {
        [
            field(NAME, b"fraud"),
            field(OUTPUTS, &tensor("score", "FP32", &[])),
            field(OUTPUTS, &tensor("text", "BYTES", &[a, "fine"])),
            field(OUTPUTS, &tensor("raw", "BYTES", &[])),
            field(RAW_OUTPUT_CONTENTS, b"a@b.org "),
            field(RAW_OUTPUT_CONTENTS, &raw(&[b, b"\xff\xfe"])),
        ]
        .concat()
    };
    let wire = framed(&[response("{\"to\":\"a@b.org\"}", b"c@d.org")]);
    assert_eq!(run(false, &wire).unwrap(), framed(&[response("{\"to\":\"[EMAIL]\"}", b"[EMAIL]")]));
}

#[test]
fn a_text_that_goes_on_in_the_next_message_is_one_text() {
    let part = |text: &str| field(INFER_RESPONSE, &field(OUTPUTS, &tensor("text_output", "BYTES", &[text])));
    let out = run(true, &framed(&[part("to a@"), part("b.org")])).unwrap();
    let mut rest = part("");
    rest.clear();
    let rests = BTreeMap::from([("text_output".to_owned(), vec![b"[EMAIL]".to_vec()])]);
    rest.extend(of_rests("", &rests));
    assert_eq!(out, framed(&[part("to "), part(""), rest]));
}

#[test]
fn the_last_answer_to_a_request_ends_its_texts() {
    let last = field(PARAMETERS, &[field(1, b"triton_final_response"), field(2, &[8, 1])].concat());
    let part = |id: &str, text: &str, more: &[u8]| {
        let output = field(OUTPUTS, &tensor("text", "BYTES", &[text]));
        field(INFER_RESPONSE, &[field(ID, id.as_bytes()), more.to_vec(), output].concat())
    };
    let wire = framed(&[part("1", "to a@", b""), part("2", "so b", b""), part("1", "b.org", &last)]);
    let end = field(INFER_RESPONSE, &[field(ID, b"2"), last.clone()].concat());
    let out = run(true, &[wire, framed(std::slice::from_ref(&end))].concat()).unwrap();
    let rests = BTreeMap::from([("text".to_owned(), vec![b"b".to_vec()])]);
    let expected = [
        part("1", "to ", b""),
        part("2", "so ", b""),
        part("1", "[EMAIL]", &last),
        of_rests("2", &rests),
        end,
    ];
    assert_eq!(out, framed(&expected));
}

#[test]
fn what_is_no_such_message_does_not_pass() {
    let wire = framed(&[field(OUTPUTS, b"\xff\xff")]);
    assert!(run(false, &wire).is_err());
    assert!(run(false, &[1, 0, 0, 0, 0]).is_err());
    assert!(run(false, &[0, 0, 0, 0, 9, 1]).is_err());
    assert!(run(false, &[0, 255, 0, 0, 0]).is_err());
    assert!(run(false, &framed(&[field(RAW_OUTPUT_CONTENTS, b"a@b.org")])).is_err());
}
