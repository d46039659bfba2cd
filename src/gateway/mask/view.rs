//! The normalised view of a text: full-width digits, foreign dashes and spaces as ASCII, invisible characters gone.

/// As many invisible characters in a row vanish; the next one is a break, so that what is held stays bounded.
const INVISIBLE: u8 = 8;

/// What the caller sent and how detectors see it, with the way back from one to the other.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The text as it came, from the first byte not yet written out.
    raw: String,
    /// The same, normalised; it begins `behind` bytes earlier.
    seen: Vec<u8>,
    /// Where the two stop running in step: (offset in `seen`, offset in `raw`), ascending.
    steps: Vec<(usize, usize)>,
    /// How much of `seen` stands before the first byte of `raw`.
    behind: usize,
    /// Invisible characters in a row at the end.
    invisible: u8,
}

impl View {
    /// The normalised text; the first [`View::behind`] bytes are decided already.
    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// How many bytes of [`View::seen`] are look-behind only.
    pub(super) fn behind(&self) -> usize {
        self.behind
    }

    /// The text not yet written out.
    pub(super) fn held(&self) -> &str {
        &self.raw
    }

    /// Takes more text.
    pub(super) fn push(&mut self, piece: &str) {
        let mut rest = piece;
        loop {
            let plain = rest.bytes().position(|b| b >= 0x80).unwrap_or(rest.len());
            let (ascii, foreign) = rest.split_at(plain);
            if !ascii.is_empty() {
                self.invisible = 0;
                self.raw.push_str(ascii);
                self.seen.extend_from_slice(ascii.as_bytes());
            }
            let mut chars = foreign.chars();
            let Some(char) = chars.next() else { return };
            self.push_foreign(char);
            rest = chars.as_str();
        }
    }

    fn push_foreign(&mut self, char: char) {
        match fold(char) {
            Fold::Same => {
                let mut buffer = [0; 4];
                self.seen.extend_from_slice(char.encode_utf8(&mut buffer).as_bytes());
                self.raw.push(char);
                self.invisible = 0;
            }
            Fold::Ascii(byte) => {
                self.seen.push(byte);
                self.raw.push(char);
                self.steps.push((self.seen.len(), self.raw.len()));
                self.invisible = 0;
            }
            Fold::Nothing => {
                if self.invisible >= INVISIBLE {
                    self.seen.push(b' ');
                }
                self.invisible = self.invisible.saturating_add(1);
                self.raw.push(char);
                self.steps.push((self.seen.len(), self.raw.len()));
            }
        }
    }

    /// Where in the held text the byte `at` of the view begins: behind the invisible characters before it.
    pub(super) fn origin(&self, at: usize) -> usize {
        if self.steps.is_empty() {
            return at.saturating_sub(self.behind);
        }
        let next = self.steps.partition_point(|(seen, _)| *seen <= at);
        match next.checked_sub(1).and_then(|i| self.steps.get(i)) {
            Some((seen, raw)) => raw + (at - seen),
            None => at.saturating_sub(self.behind),
        }
    }

    /// Lets go of everything before the byte `at` of the view but `keep` bytes to look back on.
    pub(super) fn release(&mut self, at: usize, keep: usize) {
        let raw = self.origin(at);
        self.raw.drain(..raw);
        let mut drop = at.saturating_sub(keep);
        while drop > 0 && self.seen.get(drop).is_some_and(|b| b & 0xC0 == 0x80) {
            drop -= 1;
        }
        self.seen.drain(..drop);
        self.behind = at - drop;
        self.steps.retain_mut(|(s, r)| {
            let stays = *s > at;
            *s = s.saturating_sub(drop);
            *r = r.saturating_sub(raw);
            stays
        });
    }
}

enum Fold {
    Same,
    Ascii(u8),
    Nothing,
}

/// How a character outside ASCII is seen.
fn fold(char: char) -> Fold {
    let code = u32::from(char);
    let digit = |zero: u32| u8::try_from(code - zero).map_or(Fold::Same, |d| Fold::Ascii(b'0' + d));
    match code {
        0x00A0 | 0x1680 | 0x2000..=0x200A | 0x202F | 0x205F | 0x3000 => Fold::Ascii(b' '),
        0x2028 | 0x2029 | 0x0085 => Fold::Ascii(b'\n'),
        0x00AD
        | 0x034F
        | 0x061C
        | 0x180E
        | 0x200B..=0x200F
        | 0x202A..=0x202E
        | 0x2060..=0x2064
        | 0x2066..=0x206F
        | 0xFE00..=0xFE0F
        | 0xFEFF => Fold::Nothing,
        0x2010..=0x2015 | 0x2212 | 0x2043 | 0xFE58 | 0xFE63 => Fold::Ascii(b'-'),
        0x2018 | 0x2019 => Fold::Ascii(b'\''),
        0x201C | 0x201D => Fold::Ascii(b'"'),
        0x2024 | 0xFE52 => Fold::Ascii(b'.'),
        0x2044 | 0x2215 => Fold::Ascii(b'/'),
        0xFE55 | 0xFE13 => Fold::Ascii(b':'),
        0xFE6B => Fold::Ascii(b'@'),
        // Full-width forms stand 0xFEE0 above ASCII.
        0xFF01..=0xFF5E => u8::try_from(code - 0xFEE0).map_or(Fold::Same, Fold::Ascii),
        0x0660..=0x0669 => digit(0x0660),
        0x06F0..=0x06F9 => digit(0x06F0),
        0x0966..=0x096F => digit(0x0966),
        0x09E6..=0x09EF => digit(0x09E6),
        0x0AE6..=0x0AEF => digit(0x0AE6),
        0x0BE6..=0x0BEF => digit(0x0BE6),
        0x0C66..=0x0C6F => digit(0x0C66),
        0x0E50..=0x0E59 => digit(0x0E50),
        0x1D7CE..=0x1D7FF => {
            u8::try_from((code - 0x1D7CE) % 10).map_or(Fold::Same, |d| Fold::Ascii(b'0' + d))
        }
        _ => Fold::Same,
    }
}
