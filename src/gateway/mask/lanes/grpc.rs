//! gRPC messages of KServe V2's inference service: the elements of BYTES tensors are texts.

use std::{collections::BTreeMap, sync::Arc};

use super::{NotUnderstood, lane::Lane, protobuf, sse::LONGEST};
use crate::gateway::mask::Masking;

/// Texts open at once in one stream.
const MOST_LANES: usize = 1_024;

// `ModelStreamInferResponse`, `ModelInferResponse`, `InferOutputTensor` and `InferTensorContents` of KServe's grpc_predict_v2.proto.
const ERROR_MESSAGE: u64 = 1;
const INFER_RESPONSE: u64 = 2;
const OUTPUTS: u64 = 5;
const RAW_OUTPUT_CONTENTS: u64 = 6;
// `ModelInferRequest` has its tensors where an answer has them, and their bytes behind them.
const RAW_INPUT_CONTENTS: u64 = 7;
const NAME: u64 = 1;
const DATATYPE: u64 = 2;
const CONTENTS: u64 = 5;
const BYTES_CONTENTS: u64 = 8;

/// The messages of one call.
#[derive(Debug)]
pub(super) struct Calls {
    masking: Arc<Masking>,
    /// Whether its messages are `ModelStreamInferResponse`, whose texts may go on from one to the next.
    streams: bool,
    /// The field of the bytes that stand beside the tensors.
    raw: u64,
    held: Vec<u8>,
    lanes: BTreeMap<(String, usize), Lane>,
}

/// What a tensor says before its elements.
struct Tensor {
    name: String,
    is_bytes: bool,
    /// Whether its elements stand in it, and not in `raw_output_contents`.
    has_contents: bool,
}

impl Calls {
    pub(super) fn new(masking: &Arc<Masking>, streams: bool) -> Self {
        let raw = RAW_OUTPUT_CONTENTS;
        Self { masking: Arc::clone(masking), streams, raw, held: Vec::new(), lanes: BTreeMap::new() }
    }

    /// For requests, each of which stands by itself.
    pub(super) fn asked(masking: &Arc<Masking>) -> Self {
        Self { raw: RAW_INPUT_CONTENTS, ..Self::new(masking, false) }
    }

    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        self.held.extend_from_slice(bytes);
        while let Some((compressed, length)) = prefix(&self.held) {
            if length > LONGEST {
                return Err(NotUnderstood::TooLong);
            }
            if compressed {
                return Err(NotUnderstood::Malformed("a message of it is compressed"));
            }
            if self.held.len() < 5 + length {
                break;
            }
            let message: Vec<u8> = self.held.drain(..5 + length).skip(5).collect();
            let message = self.message(&message)?;
            write(&message, out);
        }
        Ok(())
    }

    /// The call's end: the rests of the texts in a message of their own.
    pub(super) fn finish(&mut self, whole: bool, out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        let cut = !std::mem::take(&mut self.held).is_empty();
        let mut rests: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for ((name, at), mut lane) in std::mem::take(&mut self.lanes) {
            let mut rest = String::new();
            if whole && !cut {
                lane.finish(&mut rest)
            } else {
                lane.abort(&mut rest)
            }
            let elements = rests.entry(name).or_default();
            elements.resize(elements.len().max(at + 1), String::new());
            if let Some(element) = elements.get_mut(at) {
                *element = rest;
            }
        }
        rests.retain(|_, elements| elements.iter().any(|element| !element.is_empty()));
        if !rests.is_empty() {
            write(&of_rests(&rests), out);
        }
        if cut { Err(NotUnderstood::Malformed("its last message is not complete")) } else { Ok(()) }
    }

    fn message(&mut self, message: &[u8]) -> Result<Vec<u8>, NotUnderstood> {
        if !self.streams {
            return self.response(message);
        }
        protobuf::rewrite(message, &mut |number, value| match number {
            ERROR_MESSAGE => Ok(Some(self.whole(value))),
            INFER_RESPONSE => self.response(value).map(Some),
            _ => Ok(None),
        })
    }

    fn response(&mut self, message: &[u8]) -> Result<Vec<u8>, NotUnderstood> {
        let mut tensors = Vec::new();
        protobuf::each(message, &mut |number, value| {
            if number == OUTPUTS {
                tensors.push(Tensor::of(value)?);
            }
            Ok(())
        })?;
        let mut output = tensors.iter();
        let beside = self.raw;
        let mut raw = tensors.iter().filter(|tensor| !tensor.has_contents);
        protobuf::rewrite(message, &mut |number, value| match number {
            OUTPUTS => match output.next() {
                Some(tensor) if tensor.is_bytes => self.contents(tensor, value).map(Some),
                _ => Ok(None),
            },
            number if number == beside => match raw.next() {
                Some(tensor) if tensor.is_bytes => self.raw(tensor, value).map(Some),
                Some(_) => Ok(None),
                None => Err(NotUnderstood::Malformed("it has more tensors than it names")),
            },
            _ => Ok(None),
        })
    }

    fn contents(&mut self, tensor: &Tensor, value: &[u8]) -> Result<Vec<u8>, NotUnderstood> {
        protobuf::rewrite(value, &mut |number, value| {
            if number != CONTENTS {
                return Ok(None);
            }
            let mut at = 0;
            protobuf::rewrite(value, &mut |number, value| {
                if number != BYTES_CONTENTS {
                    return Ok(None);
                }
                at += 1;
                self.element(tensor, at - 1, value).map(Some)
            })
            .map(Some)
        })
    }

    /// Elements with their lengths before them, four bytes, little-endian.
    fn raw(&mut self, tensor: &Tensor, value: &[u8]) -> Result<Vec<u8>, NotUnderstood> {
        const SHORT: NotUnderstood = NotUnderstood::Malformed("a BYTES tensor of it is cut");
        let (mut rest, mut out, mut at) = (value, Vec::with_capacity(value.len()), 0);
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| SHORT)?;
            let (element, after) = after.split_at_checked(length).ok_or(SHORT)?;
            let element = self.element(tensor, at, element)?;
            let length = u32::try_from(element.len()).map_err(|_| NotUnderstood::TooLong)?;
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&element);
            rest = after;
            at += 1;
        }
        Ok(out)
    }

    fn element(&mut self, tensor: &Tensor, at: usize, value: &[u8]) -> Result<Vec<u8>, NotUnderstood> {
        // Pictures and sound come as BYTES too.
        let Ok(text) = std::str::from_utf8(value) else { return Ok(value.to_vec()) };
        if !self.streams {
            return Ok(self.whole(text.as_bytes()));
        }
        let key = (tensor.name.clone(), at);
        if self.lanes.len() >= MOST_LANES && !self.lanes.contains_key(&key) {
            return Err(NotUnderstood::TooMany);
        }
        let lane = self.lanes.entry(key).or_insert_with(|| Lane::text(&self.masking));
        let mut masked = String::new();
        lane.push(text, &mut masked);
        Ok(masked.into_bytes())
    }

    fn whole(&self, value: &[u8]) -> Vec<u8> {
        let mut lane = Lane::nested(&self.masking, 1);
        let mut masked = String::new();
        lane.push(&String::from_utf8_lossy(value), &mut masked);
        lane.finish(&mut masked);
        masked.into_bytes()
    }
}

impl Tensor {
    fn of(value: &[u8]) -> Result<Self, NotUnderstood> {
        let mut tensor = Self { name: String::new(), is_bytes: false, has_contents: false };
        protobuf::each(value, &mut |number, value| {
            match number {
                NAME => tensor.name = String::from_utf8_lossy(value).into_owned(),
                DATATYPE => tensor.is_bytes = value == b"BYTES",
                CONTENTS => tensor.has_contents |= !value.is_empty(),
                _ => {}
            }
            Ok(())
        })?;
        Ok(tensor)
    }
}

/// A `ModelStreamInferResponse` with these elements.
fn of_rests(rests: &BTreeMap<String, Vec<String>>) -> Vec<u8> {
    let mut response = Vec::new();
    for (name, elements) in rests {
        let (mut tensor, mut contents, mut shape) = (Vec::new(), Vec::new(), Vec::new());
        for element in elements {
            protobuf::write(BYTES_CONTENTS, element.as_bytes(), &mut contents);
        }
        protobuf::write(NAME, name.as_bytes(), &mut tensor);
        protobuf::write(DATATYPE, b"BYTES", &mut tensor);
        protobuf::varint(elements.len() as u64, &mut shape);
        protobuf::write(3, &shape, &mut tensor);
        protobuf::write(CONTENTS, &contents, &mut tensor);
        protobuf::write(OUTPUTS, &tensor, &mut response);
    }
    let mut message = Vec::new();
    protobuf::write(INFER_RESPONSE, &response, &mut message);
    message
}

/// The five bytes before a message: whether it is compressed, and its length.
fn prefix(held: &[u8]) -> Option<(bool, usize)> {
    let [flag, a, b, c, d, ..] = held else { return None };
    Some((*flag != 0, usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX)))
}

fn write(message: &[u8], out: &mut Vec<u8>) {
    out.push(0);
    // At most what came, and masks for it: far below 4 GiB.
    out.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(message);
}

#[cfg(test)]
mod tests {
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
        elements
            .iter()
            .flat_map(|e| [&u32::try_from(e.len()).unwrap().to_le_bytes()[..], e].concat())
            .collect()
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
        let part =
            |text: &str| field(INFER_RESPONSE, &field(OUTPUTS, &tensor("text_output", "BYTES", &[text])));
        let out = run(true, &framed(&[part("to a@"), part("b.org")])).unwrap();
        let mut rest = part("");
        rest.clear();
        let rests = BTreeMap::from([("text_output".to_owned(), vec!["[EMAIL]".to_owned()])]);
        rest.extend(of_rests(&rests));
        assert_eq!(out, framed(&[part("to "), part(""), rest]));
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
}
