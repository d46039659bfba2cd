//! How a document writes its strings: what it escapes that need not be, so that what is changed is written like the rest.

/// The escapes of one writer, each as it was first met. What was not met is written as RFC 8259 asks, and no more.
#[derive(Clone, Debug)]
pub(in super::super) struct Escapes {
    ascii: [Spelling; 128],
    /// Characters outside ASCII, but U+2028 and U+2029.
    wide: Option<bool>,
    /// U+2028 and U+2029, which JavaScript once could not read.
    breaks: Option<bool>,
    /// Whether hexadecimal digits are upper case.
    upper: Option<bool>,
    /// Whether anything is escaped that need not be, or otherwise than usual.
    odd: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Spelling {
    #[default]
    Unmet,
    Plain,
    /// `\/`, `\n` and their like.
    Short,
    /// `\u002f`
    Hex,
}

impl Default for Escapes {
    fn default() -> Self {
        Self { ascii: [Spelling::Unmet; 128], wide: None, breaks: None, upper: None, odd: false }
    }
}

const BREAKS: [char; 2] = ['\u{2028}', '\u{2029}'];

impl Escapes {
    /// Text without any escape was met.
    pub(super) fn met_plain(&mut self, text: &str) {
        let mut wide = false;
        for byte in text.bytes() {
            wide |= byte >= 0x80;
            // Letters, digits and spaces are escaped by nobody.
            if !byte.is_ascii_alphanumeric()
                && byte != b' '
                && let Some(spelling @ Spelling::Unmet) = self.ascii.get_mut(usize::from(byte))
            {
                *spelling = Spelling::Plain;
            }
        }
        if wide && (self.wide.is_none() || self.breaks.is_none()) {
            if text.contains(BREAKS) {
                self.breaks.get_or_insert(false);
            }
            if text.contains(|c: char| !c.is_ascii() && !BREAKS.contains(&c)) {
                self.wide.get_or_insert(false);
            }
        }
    }

    /// A backslash and a letter or sign was met for `byte`.
    pub(super) fn met_short(&mut self, byte: u8) {
        self.met(byte, Spelling::Short);
        self.odd |= byte == b'/';
    }

    /// `\u` and four digits was met for `char`; `upper` tells the case of the digits, where there are letters among them.
    pub(super) fn met_hex(&mut self, char: char, upper: Option<bool>) {
        match u8::try_from(char) {
            Ok(byte) if byte < 0x80 => self.met(byte, Spelling::Hex),
            _ if BREAKS.contains(&char) => {
                self.breaks.get_or_insert(true);
            }
            _ => {
                self.wide.get_or_insert(true);
            }
        }
        if let (None, Some(upper)) = (self.upper, upper) {
            self.upper = Some(upper);
        }
        self.odd = true;
    }

    fn met(&mut self, byte: u8, as_what: Spelling) {
        if let Some(spelling @ Spelling::Unmet) = self.ascii.get_mut(usize::from(byte)) {
            *spelling = as_what;
        }
    }

    /// Writes `text` as the inside of a string.
    pub(in super::super) fn write(&self, text: &str, out: &mut Vec<u8>) {
        if self.odd {
            let mut buffer = [0; 4];
            for char in text.chars() {
                match u8::try_from(char) {
                    Ok(byte) if byte < 0x80 => self.write_ascii(byte, out),
                    _ if self.escapes(char) => {
                        char.encode_utf16(&mut [0; 2]).iter().for_each(|u| self.hex(*u, out))
                    }
                    _ => out.extend_from_slice(char.encode_utf8(&mut buffer).as_bytes()),
                }
            }
            return;
        }
        let mut plain = 0;
        for (at, byte) in text.bytes().enumerate() {
            if byte >= 0x20 && byte != b'"' && byte != b'\\' {
                continue;
            }
            out.extend_from_slice(text.as_bytes().get(plain..at).unwrap_or_default());
            plain = at + 1;
            self.write_ascii(byte, out);
        }
        out.extend_from_slice(text.as_bytes().get(plain..).unwrap_or_default());
    }

    fn escapes(&self, char: char) -> bool {
        let met = if BREAKS.contains(&char) { self.breaks.or(self.wide) } else { self.wide };
        met.unwrap_or(false)
    }

    fn write_ascii(&self, byte: u8, out: &mut Vec<u8>) {
        let spelling = self.ascii.get(usize::from(byte)).copied().unwrap_or_default();
        let short = match byte {
            b'"' | b'\\' => byte,
            b'/' if spelling == Spelling::Short => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x8 => b'b',
            0xc => b'f',
            0..0x20 => return self.hex(u16::from(byte), out),
            _ if spelling == Spelling::Hex => return self.hex(u16::from(byte), out),
            _ => return out.push(byte),
        };
        if spelling == Spelling::Hex {
            self.hex(u16::from(byte), out);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }

    fn hex(&self, unit: u16, out: &mut Vec<u8>) {
        let hex = if self.upper == Some(true) { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
        out.extend_from_slice(hex.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_reads_as_it_was() {
        let all: String = (0..0x250_u32).filter_map(char::from_u32).chain("\u{2028}😀".chars()).collect();
        let mut ascii = Escapes::default();
        ascii.met_hex('é', Some(true));
        ascii.met_hex('<', None);
        ascii.met_short(b'/');
        for escapes in [Escapes::default(), ascii] {
            let mut out = vec![b'"'];
            escapes.write(&all, &mut out);
            out.push(b'"');
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), all);
        }
    }
}
