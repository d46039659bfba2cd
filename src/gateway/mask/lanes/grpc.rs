//! gRPC messages of KServe V2's inference service: the elements of BYTES tensors are texts.

use std::{collections::BTreeMap, sync::Arc};

use super::{NotUnderstood, lane::Lane, protobuf, sse::LONGEST, text::Plain};
use crate::gateway::mask::Masking;

/// Texts open at once in one stream.
const MOST_LANES: usize = 1_024;

// `ModelStreamInferResponse`, `ModelInferResponse`, `InferOutputTensor` and `InferTensorContents` of KServe's grpc_predict_v2.proto.
const ERROR_MESSAGE: u64 = 1;
const INFER_RESPONSE: u64 = 2;
const ID: u64 = 3;
const PARAMETERS: u64 = 4;
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
    /// Texts under way, by the response's id, the tensor's name and the element's place.
    lanes: BTreeMap<(String, String, usize), Plain>,
}

/// What a response says before its tensors' elements.
#[derive(Default)]
struct Response {
    id: String,
    /// Whether it is the last to its request.
    last: bool,
    tensors: Vec<Tensor>,
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
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        while let Some((compressed, length, body)) = prefix(rest) {
            if length > LONGEST {
                return Err(NotUnderstood::TooLong);
            }
            if compressed {
                return Err(NotUnderstood::Malformed("a message of it is compressed"));
            }
            let Some((message, after)) = body.split_at_checked(length) else { break };
            let message = self.message(message, out)?;
            write(&message, out);
            rest = after;
        }
        self.held = rest.to_vec();
        Ok(())
    }

    /// The call's end: the rests of the texts in a message of their own.
    pub(super) fn finish(&mut self, whole: bool, out: &mut Vec<u8>) -> Result<(), NotUnderstood> {
        let cut = !std::mem::take(&mut self.held).is_empty();
        let mut ids: Vec<String> = self.lanes.keys().map(|(id, ..)| id.clone()).collect();
        ids.dedup();
        for id in ids {
            self.rests(&id, whole && !cut, out);
        }
        if cut { Err(NotUnderstood::Malformed("its last message is not complete")) } else { Ok(()) }
    }

    /// A message with what is held of the texts of one request.
    fn rests(&mut self, id: &str, whole: bool, out: &mut Vec<u8>) {
        let mut rests: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        let (ending, others) =
            std::mem::take(&mut self.lanes).into_iter().partition(|((of, ..), _)| of == id);
        self.lanes = others;
        let ending: BTreeMap<(String, String, usize), Plain> = ending;
        for ((_, name, at), mut lane) in ending {
            let mut rest = Vec::new();
            if whole {
                lane.finish(&mut rest)
            } else {
                lane.abort(&mut rest)
            }
            let elements = rests.entry(name).or_default();
            elements.resize(elements.len().max(at + 1), Vec::new());
            if let Some(element) = elements.get_mut(at) {
                *element = rest;
            }
        }
        rests.retain(|_, elements| elements.iter().any(|element| !element.is_empty()));
        if !rests.is_empty() {
            write(&of_rests(id, &rests), out);
        }
    }

    fn message(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<Vec<u8>, NotUnderstood> {
        if !self.streams {
            return self.response(message, out);
        }
        protobuf::rewrite(message, &mut |number, value| match number {
            ERROR_MESSAGE => Ok(Some(self.whole(value))),
            INFER_RESPONSE => self.response(value, out).map(Some),
            _ => Ok(None),
        })
    }

    fn response(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<Vec<u8>, NotUnderstood> {
        let response = Response::of(message)?;
        let mut output = response.tensors.iter();
        let beside = self.raw;
        let mut raw = response.tensors.iter().filter(|tensor| !tensor.has_contents);
        let masked = protobuf::rewrite(message, &mut |number, value| match number {
            OUTPUTS => match output.next() {
                Some(tensor) if tensor.is_bytes => self.contents(&response, tensor, value).map(Some),
                _ => Ok(None),
            },
            number if number == beside => match raw.next() {
                Some(tensor) if tensor.is_bytes => self.raw(&response, tensor, value).map(Some),
                Some(_) => Ok(None),
                None => Err(NotUnderstood::Malformed("it has more tensors than it names")),
            },
            _ => Ok(None),
        })?;
        if response.last {
            self.rests(&response.id, true, out);
        }
        Ok(masked)
    }

    fn contents(
        &mut self,
        response: &Response,
        tensor: &Tensor,
        value: &[u8],
    ) -> Result<Vec<u8>, NotUnderstood> {
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
                self.element(response, tensor, at - 1, value).map(Some)
            })
            .map(Some)
        })
    }

    /// Elements with their lengths before them, four bytes, little-endian.
    fn raw(&mut self, response: &Response, tensor: &Tensor, value: &[u8]) -> Result<Vec<u8>, NotUnderstood> {
        const SHORT: NotUnderstood = NotUnderstood::Malformed("a BYTES tensor of it is cut");
        let (mut rest, mut out, mut at) = (value, Vec::with_capacity(value.len()), 0);
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| SHORT)?;
            let (element, after) = after.split_at_checked(length).ok_or(SHORT)?;
            let element = self.element(response, tensor, at, element)?;
            let length = u32::try_from(element.len()).map_err(|_| NotUnderstood::TooLong)?;
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&element);
            rest = after;
            at += 1;
        }
        Ok(out)
    }

    fn element(
        &mut self,
        response: &Response,
        tensor: &Tensor,
        at: usize,
        value: &[u8],
    ) -> Result<Vec<u8>, NotUnderstood> {
        // Pictures and sound come as BYTES too.
        if value.contains(&0) && std::str::from_utf8(value).is_err() {
            return Ok(value.to_vec());
        }
        if !self.streams {
            return Ok(self.whole(value));
        }
        let key = (response.id.clone(), tensor.name.clone(), at);
        if self.lanes.len() >= MOST_LANES && !self.lanes.contains_key(&key) {
            return Err(NotUnderstood::TooMany);
        }
        let mut masked = Vec::new();
        let lane = self.lanes.entry(key.clone()).or_insert_with(|| Plain::new(&self.masking));
        lane.push(value, &mut masked);
        if response.last {
            lane.finish(&mut masked);
            self.lanes.remove(&key);
        }
        Ok(masked)
    }

    /// An element that stands by itself. What has nothing to mask stays as it is, were it no text at all.
    fn whole(&self, value: &[u8]) -> Vec<u8> {
        let (mut lane, mut masked) = (Lane::nested(&self.masking, 1), String::new());
        let text = String::from_utf8_lossy(value);
        lane.push(&text, &mut masked);
        lane.finish(&mut masked);
        if masked == text { value.to_vec() } else { masked.into_bytes() }
    }
}

impl Response {
    fn of(message: &[u8]) -> Result<Self, NotUnderstood> {
        let mut response = Self::default();
        protobuf::each(message, &mut |number, value| {
            match number {
                ID => response.id = String::from_utf8_lossy(value).into_owned(),
                PARAMETERS => response.last |= is_last(value)?,
                OUTPUTS => response.tensors.push(Tensor::of(value)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(response)
    }
}

/// Whether a parameter says that no more comes to a request, as Triton does.
fn is_last(parameter: &[u8]) -> Result<bool, NotUnderstood> {
    let (mut named, mut set) = (false, false);
    protobuf::each(parameter, &mut |number, value| {
        named |= number == 1 && value == b"triton_final_response";
        // Field 1, a varint: true.
        set |= number == 2 && value == [8, 1];
        Ok(())
    })?;
    Ok(named && set)
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
fn of_rests(id: &str, rests: &BTreeMap<String, Vec<Vec<u8>>>) -> Vec<u8> {
    let mut response = Vec::new();
    if !id.is_empty() {
        protobuf::write(ID, id.as_bytes(), &mut response);
    }
    for (name, elements) in rests {
        let (mut tensor, mut contents, mut shape) = (Vec::new(), Vec::new(), Vec::new());
        for element in elements {
            protobuf::write(BYTES_CONTENTS, element, &mut contents);
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

/// The five bytes before a message: whether it is compressed, and its length; and what follows.
fn prefix(held: &[u8]) -> Option<(bool, usize, &[u8])> {
    let [flag, a, b, c, d, rest @ ..] = held else { return None };
    Some((*flag != 0, usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX), rest))
}

fn write(message: &[u8], out: &mut Vec<u8>) {
    out.push(0);
    // At most what came, and masks for it: far below 4 GiB.
    out.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(message);
}

#[cfg(test)]
mod tests;
