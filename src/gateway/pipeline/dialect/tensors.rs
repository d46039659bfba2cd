//! The tensors of a KServe request over gRPC in words, for the audit event: name, type, shape and the first values.

use std::fmt::{Display, Write};

use super::shown::{MAX_SHOWN, text};

/// `ModelInferRequest`: tensors, and their values where those stand apart.
const INPUTS: u64 = 5;
const RAW: u64 = 7;
/// `InferInputTensor`.
const NAME: u64 = 1;
const DATATYPE: u64 = 2;
const SHAPE: u64 = 3;
const CONTENTS: u64 = 5;

/// The value of a field.
enum Value<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// What can be shown of the beginning of a request.
pub(super) fn shown(request: &[u8]) -> Option<String> {
    let mut raw = fields(request).filter_map(|field| match field {
        (RAW, Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    });
    let mut words = String::new();
    for field in fields(request) {
        if let (INPUTS, Value::Bytes(tensor)) = field {
            if !words.is_empty() {
                words.push('\n');
            }
            tensor_in_words(tensor, &mut raw, &mut words);
            if words.len() >= MAX_SHOWN {
                break;
            }
        }
    }
    text(words.as_bytes())
}

fn tensor_in_words<'b>(tensor: &'b [u8], raw: &mut impl Iterator<Item = &'b [u8]>, words: &mut String) {
    let (mut name, mut datatype, mut shape, mut contents) = (&b""[..], &b""[..], Vec::new(), None);
    for field in fields(tensor) {
        match field {
            (NAME, Value::Bytes(bytes)) => name = bytes,
            (DATATYPE, Value::Bytes(bytes)) => datatype = bytes,
            (SHAPE, Value::Bytes(packed)) => shape.extend(varints(packed).take(16)),
            (SHAPE, Value::Number(one)) if shape.len() < 16 => shape.push(one),
            (CONTENTS, Value::Bytes(bytes)) => contents = Some(bytes),
            _ => (),
        }
    }
    let _ =
        write!(words, "{} {} {shape:?} =", String::from_utf8_lossy(name), String::from_utf8_lossy(datatype));
    match contents {
        Some(contents) => typed(contents, words),
        None => untyped(datatype, raw.next().unwrap_or_default(), words),
    }
}

/// `InferTensorContents`: a list of values for each kind of type.
fn typed(contents: &[u8], words: &mut String) {
    for (field, value) in fields(contents) {
        match (field, value) {
            (8, Value::Bytes(bytes)) => put([String::from_utf8_lossy(bytes)].iter(), words),
            (6, Value::Bytes(bytes)) => put(fixed(bytes, f32::from_le_bytes), words),
            (7, Value::Bytes(bytes)) => put(fixed(bytes, f64::from_le_bytes), words),
            // Negative numbers are ten bytes long, two's complement.
            (2 | 3, Value::Bytes(bytes)) => put(varints(bytes).map(u64::cast_signed), words),
            (2 | 3, Value::Number(one)) => put([one.cast_signed()].iter(), words),
            (1 | 4 | 5, Value::Bytes(bytes)) => put(varints(bytes), words),
            (1 | 4 | 5, Value::Number(one)) => put([one].iter(), words),
            _ => (),
        }
    }
}

/// `raw_input_contents`: little-endian values one after the other.
fn untyped(datatype: &[u8], raw: &[u8], words: &mut String) {
    match datatype {
        b"FP32" => put(fixed(raw, f32::from_le_bytes), words),
        b"FP64" => put(fixed(raw, f64::from_le_bytes), words),
        b"INT64" => put(fixed(raw, i64::from_le_bytes), words),
        b"INT32" => put(fixed(raw, i32::from_le_bytes), words),
        b"INT16" => put(fixed(raw, i16::from_le_bytes), words),
        b"INT8" => put(fixed(raw, i8::from_le_bytes), words),
        b"UINT64" => put(fixed(raw, u64::from_le_bytes), words),
        b"UINT32" => put(fixed(raw, u32::from_le_bytes), words),
        b"UINT16" => put(fixed(raw, u16::from_le_bytes), words),
        b"UINT8" | b"BOOL" => put(raw.iter(), words),
        b"BYTES" => put(strings(raw).map(String::from_utf8_lossy), words),
        _ => (),
    }
}

fn put<T: Display>(values: impl Iterator<Item = T>, words: &mut String) {
    for value in values {
        if words.len() >= MAX_SHOWN {
            return;
        }
        let _ = write!(words, " {value}");
    }
}

fn fixed<'b, const N: usize, T>(
    bytes: &'b [u8],
    read: fn([u8; N]) -> T,
) -> impl Iterator<Item = T> + use<'b, N, T> {
    bytes.as_chunks().0.iter().map(move |chunk| read(*chunk))
}

/// Texts with their length, four bytes, before each.
fn strings(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (one, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        bytes = rest;
        Some(one)
    })
}

fn varints(mut bytes: &[u8]) -> impl Iterator<Item = u64> {
    std::iter::from_fn(move || {
        let (value, rest) = varint(bytes)?;
        bytes = rest;
        Some(value)
    })
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in (0_u32..10).zip(bytes) {
        value |= u64::from(byte & 0x7F).checked_shl(at * 7).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(usize::try_from(at).ok()? + 1..)?));
        }
    }
    None
}

/// The fields of a message as far as it is whole; of a value that is cut, what there is.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    std::iter::from_fn(move || {
        let (tag, rest) = varint(bytes)?;
        let (value, rest) = match tag & 7 {
            0 => {
                let (number, rest) = varint(rest)?;
                (Value::Number(number), rest)
            }
            1 => split(rest, 8),
            2 => {
                let (length, rest) = varint(rest)?;
                split(rest, usize::try_from(length).ok()?)
            }
            5 => split(rest, 4),
            _ => return None,
        };
        bytes = rest;
        Some((tag >> 3, value))
    })
}

fn split(bytes: &[u8], length: usize) -> (Value<'_>, &[u8]) {
    let (value, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
    (Value::Bytes(value), rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()][..], bytes].concat()
    }

    fn tensor(datatype: &str, contents: Option<Vec<u8>>) -> Vec<u8> {
        let contents = contents.map(|contents| field(5, &contents)).unwrap_or_default();
        field(5, &[field(1, b"tx"), field(2, datatype.as_bytes()), field(3, &[1, 2]), contents].concat())
    }

    #[test]
    fn values_are_shown_however_they_are_sent() {
        let doubles = [0.5_f64, -3.0].map(f64::to_le_bytes).concat();
        let longs = [7_i64, -7].map(i64::to_le_bytes).concat();
        let minus_one = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1].as_slice();
        for (request, expected) in [
            (tensor("FP64", Some(field(7, &doubles))), "tx FP64 [1, 2] = 0.5 -3"),
            ([tensor("FP64", None), field(7, &doubles)].concat(), "tx FP64 [1, 2] = 0.5 -3"),
            ([tensor("INT64", None), field(7, &longs)].concat(), "tx INT64 [1, 2] = 7 -7"),
            (tensor("INT64", Some(field(3, &[&[5], minus_one].concat()))), "tx INT64 [1, 2] = 5 -1"),
            (tensor("BYTES", Some([field(8, b"a"), field(8, b"b c")].concat())), "tx BYTES [1, 2] = a b c"),
            ([tensor("BYTES", None), field(7, b"\x02\0\0\0hi")].concat(), "tx BYTES [1, 2] = hi"),
            (
                [tensor("BOOL", None), tensor("UINT8", None), field(7, &[1]), field(7, &[9, 8])].concat(),
                "tx BOOL [1, 2] = 1\ntx UINT8 [1, 2] = 9 8",
            ),
            (tensor("FP16", None), "tx FP16 [1, 2] ="),
        ] {
            assert_eq!(shown(&request).as_deref(), Some(expected));
        }
        assert_eq!(shown(&field(1, b"model")), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_within_the_bound(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let inside = [b"\x2A\xFF\x01".as_slice(), &bytes].concat();
            for request in [&bytes, &inside] {
                assert!(shown(request).is_none_or(|words| words.len() <= MAX_SHOWN));
            }
        }
    }
}
