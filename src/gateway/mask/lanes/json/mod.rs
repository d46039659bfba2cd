//! JSON in pieces.

mod path;
mod scan;

pub(super) use path::{Path, Step};
pub(super) use scan::{Malformed, Scanner, Sink};

/// Writes `text` as the inside of a JSON string.
pub(super) fn escape(text: &str, out: &mut Vec<u8>) {
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => Some(b'"'),
            b'\\' => Some(b'\\'),
            b'\n' => Some(b'n'),
            b'\r' => Some(b'r'),
            b'\t' => Some(b't'),
            0x8 => Some(b'b'),
            0xc => Some(b'f'),
            0..0x20 => None,
            _ => continue,
        };
        out.extend_from_slice(text.as_bytes().get(plain..at).unwrap_or_default());
        plain = at + 1;
        match short {
            Some(letter) => out.extend_from_slice(&[b'\\', letter]),
            None => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(text.as_bytes().get(plain..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    #[test]
    fn escaped_text_reads_as_it_was() {
        let all: String = (0..0x250_u32).filter_map(char::from_u32).chain("\u{2028}😀".chars()).collect();
        let mut out = vec![b'"'];
        super::escape(&all, &mut out);
        out.push(b'"');
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), all);
    }
}
