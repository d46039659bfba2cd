//! Protocol buffers as far as they are read: fields in order, those with a length changed, all others as they came.

use super::NotUnderstood;

const BROKEN: NotUnderstood = NotUnderstood::Malformed("a message of it is no protocol buffer");

/// Tells of every field with a length, by its number.
pub(super) fn each(
    message: &[u8],
    with: &mut impl FnMut(u64, &[u8]) -> Result<(), NotUnderstood>,
) -> Result<(), NotUnderstood> {
    let mut rest = message;
    while !rest.is_empty() {
        let (number, value, _, after) = field(rest)?;
        if let Some(value) = value {
            with(number, value)?;
        }
        rest = after;
    }
    Ok(())
}

/// The message again, each field with a length as `with` says, or as it was.
pub(super) fn rewrite(
    message: &[u8],
    with: &mut impl FnMut(u64, &[u8]) -> Result<Option<Vec<u8>>, NotUnderstood>,
) -> Result<Vec<u8>, NotUnderstood> {
    let (mut rest, mut out) = (message, Vec::with_capacity(message.len()));
    while !rest.is_empty() {
        let (number, value, whole, after) = field(rest)?;
        match value.map(|value| with(number, value)).transpose()?.flatten() {
            Some(value) => write(number, &value, &mut out),
            None => out.extend_from_slice(whole),
        }
        rest = after;
    }
    Ok(out)
}

/// Writes a field with a length.
pub(super) fn write(number: u64, value: &[u8], out: &mut Vec<u8>) {
    varint(number << 3 | 2, out);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Writes a number in base 128.
pub(super) fn varint(number: u64, out: &mut Vec<u8>) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

type Field<'a> = (u64, Option<&'a [u8]>, &'a [u8], &'a [u8]);

/// The first field: its number, its value if it has a length, all of it, and what follows.
fn field(bytes: &[u8]) -> Result<Field<'_>, NotUnderstood> {
    let (tag, body) = read_varint(bytes)?;
    let split = |at: usize| body.split_at_checked(at).ok_or(BROKEN);
    let (value, after) = match tag & 7 {
        0 => (None, read_varint(body)?.1),
        1 => (None, split(8)?.1),
        2 => {
            let (length, rest) = read_varint(body)?;
            let length = usize::try_from(length).map_err(|_| BROKEN)?;
            let (value, after) = rest.split_at_checked(length).ok_or(BROKEN)?;
            (Some(value), after)
        }
        5 => (None, split(4)?.1),
        _ => return Err(BROKEN),
    };
    let whole = bytes.get(..bytes.len() - after.len()).ok_or(BROKEN)?;
    Ok((tag >> 3, value, whole, after))
}

fn read_varint(bytes: &[u8]) -> Result<(u64, &[u8]), NotUnderstood> {
    let mut number = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(at).unwrap_or(u32::MAX)).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok((number, bytes.get(at + 1..).unwrap_or_default()));
        }
    }
    Err(BROKEN)
}
