//! Foreign text before it reaches a terminal: control and bidi characters are shown, not obeyed.

use std::borrow::Cow;

/// One line: every character that moves the cursor, rings, or reorders text is written as `\u{…}`,
/// line breaks and tabs too.
pub(super) fn line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|one| dangerous(one) || one == '\n' || one == '\t') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(escape(text, false))
}

/// Several lines: as [`line`], but line breaks and tabs stay and carriage returns go.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if !text.chars().any(dangerous) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(escape(text, true))
}

/// A JSON document: the same value, with dangerous characters inside its strings as `\uXXXX`.
pub(super) fn json(document: String) -> String {
    if !document.chars().any(|one| !one.is_ascii() && dangerous(one) || one == '\u{7f}') {
        return document;
    }
    let mut safe = String::with_capacity(document.len() + 16);
    for one in document.chars() {
        if one == '\u{7f}' || (!one.is_ascii() && dangerous(one)) {
            // All of them lie in the Basic Multilingual Plane, and outside ASCII only strings hold any.
            safe.push_str(&format!("\\u{:04x}", u32::from(one)));
        } else {
            safe.push(one);
        }
    }
    safe
}

/// Makes a stream of bytes safe piece by piece, however characters were cut.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The beginning of a character whose end has not come yet; at most 3 bytes.
    torn: Vec<u8>,
}

impl Stream {
    /// The next piece, as it may be shown.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        let mut whole = std::mem::take(&mut self.torn);
        whole.extend_from_slice(bytes);
        let mut shown = String::with_capacity(whole.len());
        let mut rest = whole.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    shown.push_str(&text(valid));
                    return shown;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    shown.push_str(&text(&String::from_utf8_lossy(valid)));
                    let Some(length) = error.error_len() else {
                        self.torn = after.to_vec();
                        return shown;
                    };
                    shown.push(char::REPLACEMENT_CHARACTER);
                    rest = after.get(length..).unwrap_or_default();
                }
            }
        }
    }
}

fn escape(text: &str, keep_breaks: bool) -> String {
    use std::fmt::Write;
    text.chars().fold(String::with_capacity(text.len() + 16), |mut safe, one| {
        match one {
            '\n' | '\t' if keep_breaks => safe.push(one),
            '\r' if keep_breaks => {}
            '\n' => safe.push_str("\\n"),
            '\t' => safe.push_str("\\t"),
            one if dangerous(one) => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(one));
            }
            one => safe.push(one),
        }
        safe
    })
}

/// C0 and C1 controls but line breaks and tabs, line separators, and everything that changes the
/// direction of text (Unicode TR9, TR36).
fn dangerous(one: char) -> bool {
    match one {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        one => one.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        for (hostile, shown) in [
            ("plain ünïcode 模型", "plain ünïcode 模型"),
            ("\x1b[2Jgone", "\\u{1b}[2Jgone"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{9b}31mb", "a\\u{9b}31mb"),
            ("one\r\ntwo\tthree", "one\\u{d}\\ntwo\\tthree"),
            ("\u{7f}\u{7}", "\\u{7f}\\u{7}"),
        ] {
            assert_eq!(line(hostile), shown);
        }
        assert_eq!(text("one\r\n\ttwo\x1b"), "one\n\ttwo\\u{1b}");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"name": "a\u{202e}b\u{9b}c\u{7f}\x1b"});
        let safe = json(value.to_string());
        assert!(!safe.chars().any(dangerous), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }

    #[test]
    fn a_stream_cut_anywhere_is_shown_alike() {
        let bytes = "ok 模\u{202e}型 \u{9b}x".as_bytes();
        let whole = Stream::default().push(bytes);
        for cut in 0..bytes.len() {
            let mut stream = Stream::default();
            let shown = stream.push(&bytes[..cut]) + &stream.push(&bytes[cut..]);
            assert_eq!(shown, whole, "cut at {cut}");
        }
        assert_eq!(Stream::default().push(b"a\xffb"), "a\u{fffd}b");
    }
}
