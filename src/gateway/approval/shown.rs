//! What a requester wrote, as somebody who decides may see it: characters that hide or reorder text are shown, not obeyed.

use std::time::Duration;

/// The text on one line of about `most` characters: line ends become spaces, control and bidirectional formatting characters
/// `\u{…}`.
pub(in crate::gateway) fn shown(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut length = 0_usize;
    for c in text.chars() {
        let before = shown.len();
        match c {
            '\n' | '\r' | '\t' => shown.push(' '),
            c if c.is_control() || hides(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
        length = length.saturating_add(shown.get(before..).map_or(0, |added| added.chars().count()));
        if length > most {
            shown.truncate(before);
            shown.push('…');
            break;
        }
    }
    shown
}

/// A length of time in words, such as `1 h 30 min`.
pub(in crate::gateway) fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let words: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
}

/// Characters without a glyph that change how their neighbours look.
fn hides(c: char) -> bool {
    matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}'
        | '\u{e0000}'..='\u{e007f}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_obeyed_and_nothing_is_hidden() {
        assert_eq!(shown("a\u{202e}b\u{7}\r\nc", 99), "a\\u{202e}b\\u{7}  c");
        assert_eq!(shown("Équipe 日本 <b>", 99), "Équipe 日本 <b>");
        assert_eq!(shown(&"x".repeat(1000), 4), "xxxx…");
        assert!(shown(&"\u{202e}".repeat(1000), 20).chars().count() <= 21);
    }

    #[test]
    fn lengths_are_words() {
        for (seconds, words) in [(0, "0 s"), (90, "1 min 30 s"), (3600, "1 h"), (93_600, "1 d 2 h")] {
            assert_eq!(length(Duration::from_secs(seconds)), words);
        }
    }
}
