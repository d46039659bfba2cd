//! Reads names as they pass in a body that says it is a form, beside the JSON that it is as well.

use super::unescaped;

/// Longest name that is looked at, bytes as they come: `model` with every letter escaped is 15.
const MAX_NAME: usize = 64;

/// Looks for a field `model` in `application/x-www-form-urlencoded`.
pub(super) struct Form {
    /// The name being read; `None` in a value, and once it is too long.
    name: Option<Vec<u8>>,
    found: bool,
}

impl Form {
    pub(super) fn new() -> Self {
        Self { name: Some(Vec::new()), found: false }
    }

    /// Whether a field `model` has passed.
    pub(super) fn found(&self) -> bool {
        self.found
    }

    /// Reads a piece.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                // Older servers also part fields by semicolons.
                b'&' | b';' => self.name = Some(Vec::new()),
                b'=' => self.found |= self.name.take().is_some_and(|name| is_model(&name)),
                _ => match &mut self.name {
                    Some(name) if name.len() < MAX_NAME => name.push(byte),
                    name => *name = None,
                },
            }
        }
    }
}

/// Also `model[]` and the like: some servers make a list of it.
fn is_model(name: &[u8]) -> bool {
    let name = unescaped(name);
    let word = name.split(|byte| *byte == b'[').next().unwrap_or_default();
    word.eq_ignore_ascii_case(b"model")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_however_it_is_written_and_cut() {
        for (body, found) in [
            ("model=b", true),
            (r#"{"model":"a","x":"&model=b"#, true),
            ("x=1&%6dode%6C=b", true),
            ("x;MODEL[]=b", true),
            ("x&model", false),
            ("x=model=b", false),
            ("&models=b", false),
            (r#"{"model":"a","x":"R&D, model=b"}"#, false),
        ] {
            let mut whole = Form::new();
            whole.read(body.as_bytes());
            let mut cut = Form::new();
            body.as_bytes().chunks(1).for_each(|piece| cut.read(piece));
            assert_eq!((whole.found(), cut.found()), (found, found), "{body}");
        }
    }
}
