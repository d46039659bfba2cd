//! How a masked value is written: a label, a rest, a keyed hash, nothing.

use aws_lc_rs::hmac;

/// What stands where a value stood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// `[EMAIL]`
    #[default]
    Label,
    /// Stars, and of longer values the last two characters.
    Partial,
    /// `[EMAIL_3f9a1c22]`: the same value is the same hash under the same key, and tells nothing without it.
    Hash,
    /// Nothing.
    Remove,
}

impl Style {
    /// Every style, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Label, Self::Partial, Self::Hash, Self::Remove];

    /// The name as configuration says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Partial => "partial",
            Self::Hash => "hash",
            Self::Remove => "remove",
        }
    }
}

/// The key of the hashes: one per session, so that they can be compared within it and nowhere else.
pub struct Key(hmac::Key);

impl Key {
    /// A key made of `secret`.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

/// Longer values show nothing of themselves.
const SHOWN_FROM: usize = 8;
const SHOWN: usize = 2;
/// Stars for a value whose length says nothing.
const STARS: &str = "********";

/// Writes the replacement of a value known whole.
pub(super) fn write(
    style: Style,
    key: &Key,
    name: &str,
    raw: &str,
    seen: &[u8],
    secret: bool,
    out: &mut String,
) {
    match style {
        Style::Label => label(name, out),
        Style::Partial if secret => out.push_str(STARS),
        Style::Partial => partial(raw, out),
        Style::Hash => {
            let mut hash = Hash::new(key, name);
            hash.take(seen);
            hash.write(name, out);
        }
        Style::Remove => {}
    }
}

/// Writes the replacement of a value that goes on; a hash waits for its end.
pub(super) fn begin(style: Style, key: &Key, name: &str, seen: &[u8], out: &mut String) -> Option<Hash> {
    match style {
        Style::Label => label(name, out),
        Style::Partial => out.push_str(STARS),
        Style::Hash => {
            let mut hash = Hash::new(key, name);
            hash.take(seen);
            return Some(hash);
        }
        Style::Remove => {}
    }
    None
}

fn label(name: &str, out: &mut String) {
    out.push('[');
    out.push_str(name);
    out.push(']');
}

/// Letters and digits become stars but the last two of a longer value; never four characters in a row survive.
fn partial(raw: &str, out: &mut String) {
    let count = raw.chars().filter(|c| c.is_alphanumeric()).count();
    let hidden = if count >= SHOWN_FROM { count - SHOWN } else { count };
    let (mut met, mut run) = (0, 0);
    for char in raw.chars() {
        let counts = char.is_alphanumeric();
        met += usize::from(counts);
        let shown = if counts {
            met > hidden
        } else {
            matches!(char, ' ' | '-' | '.' | '/' | '@' | ':' | '(' | ')' | '+')
        };
        run = if shown { run + 1 } else { 0 };
        if shown && run < 4 {
            out.push(char);
        } else {
            run = 0;
            out.push('*');
        }
    }
}

/// A hash under way.
pub(super) struct Hash(hmac::Context);

impl Hash {
    fn new(key: &Key, name: &str) -> Self {
        let mut context = hmac::Context::with_key(&key.0);
        context.update(name.as_bytes());
        context.update(&[0]);
        Self(context)
    }

    /// Takes more of the value; spaces and dashes do not count, so that every way of writing a number is one.
    pub(super) fn take(&mut self, seen: &[u8]) {
        for part in seen.split(|b| matches!(b, b' ' | b'-' | b'\n' | b'\r' | b'\t')) {
            self.0.update(part);
        }
    }

    pub(super) fn write(self, name: &str, out: &mut String) {
        out.push('[');
        out.push_str(name);
        out.push('_');
        for byte in self.0.sign().as_ref().iter().take(4) {
            for nibble in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(u32::from(nibble), 16));
            }
        }
        out.push(']');
    }
}
