//! Bytes as they come from a wire, cut anywhere, as text.

/// The bytes are not UTF-8, so that nothing can be masked in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not UTF-8 at byte {at}")]
pub struct NotUtf8 {
    /// Where, in bytes from the beginning of the stream.
    pub at: u64,
}

/// Puts characters together that a cut has parted.
#[derive(Debug, Default)]
pub struct Utf8 {
    /// The beginning of a character, at most three bytes.
    begun: Vec<u8>,
    passed: u64,
}

impl Utf8 {
    /// The text that is whole with these bytes.
    ///
    /// # Errors
    /// When they are not UTF-8; nothing of them is let through then.
    pub fn take(&mut self, bytes: &[u8]) -> Result<String, NotUtf8> {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        match String::from_utf8(all) {
            Ok(text) => {
                self.passed += text.len() as u64;
                Ok(text)
            }
            Err(error) => {
                let found = error.utf8_error();
                let at = NotUtf8 { at: self.passed + found.valid_up_to() as u64 };
                if found.error_len().is_some() {
                    return Err(at);
                }
                let mut all = error.into_bytes();
                self.begun = all.split_off(found.valid_up_to());
                self.passed += all.len() as u64;
                String::from_utf8(all).map_err(|_| at)
            }
        }
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// When it ended inside a character.
    pub fn finish(&self) -> Result<(), NotUtf8> {
        if self.begun.is_empty() { Ok(()) } else { Err(NotUtf8 { at: self.passed }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_may_come_in_pieces() {
        let mut utf8 = Utf8::default();
        let whole = "a€😀é";
        let mut text = String::new();
        for byte in whole.bytes() {
            text.push_str(&utf8.take(&[byte]).unwrap());
        }
        assert_eq!((text.as_str(), utf8.finish()), (whole, Ok(())));
    }

    #[test]
    fn what_is_no_text_is_named_by_its_place() {
        let mut utf8 = Utf8::default();
        assert_eq!(utf8.take("é".as_bytes()).unwrap(), "é");
        assert_eq!(utf8.take(b"ab\xFFcd"), Err(NotUtf8 { at: 4 }));
        let mut utf8 = Utf8::default();
        assert_eq!(utf8.take(b"ab\xE2\x82").unwrap(), "ab");
        assert_eq!(utf8.finish(), Err(NotUtf8 { at: 2 }));
    }
}
