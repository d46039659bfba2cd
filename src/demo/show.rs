//! What a person sees: the answer and the facts on stdout, everything said around them on stderr.

use std::io::{self, IsTerminal, Write};

use crate::{
    client::Status,
    evidence::event::{Event, Leg},
};

/// The width that running text is broken at.
const WIDTH: usize = 78;
/// Before every line of it.
const INDENT: &str = "  ";
/// The width of the labels before facts.
const LABEL: usize = 16;

/// Writes to the terminal. A reader that has gone away is no failure.
pub(super) struct Show {
    facts: Box<dyn Write + Send>,
    talk: Box<dyn Write + Send>,
    colours: bool,
    column: usize,
    // Written only when another word follows on the line.
    space: bool,
}

impl Show {
    pub(super) fn on_terminal() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colours = !plain && io::stdout().is_terminal();
        Self { facts: Box::new(io::stdout()), talk: Box::new(io::stderr()), colours, column: 0, space: false }
    }

    /// One line about what is going on.
    pub(super) fn say(&mut self, line: &str) {
        let _ = writeln!(self.talk, "{line}");
    }

    pub(super) fn heading(&mut self, text: &str) {
        let heading = self.styled("1", text);
        self.line(&format!("\n{heading}"));
    }

    pub(super) fn fact(&mut self, label: &str, text: &str) {
        let label = self.styled("2", &format!("{label:<LABEL$}"));
        self.line(&format!("{INDENT}{label} {text}"));
    }

    /// A piece of running text, shown at once.
    pub(super) fn piece(&mut self, text: &str) {
        for part in text.split_inclusive(' ') {
            let word = part.trim_end_matches(' ');
            let length = word.chars().count();
            if self.column > 0 && self.column + usize::from(self.space) + length > WIDTH {
                let _ = writeln!(self.facts);
                (self.column, self.space) = (0, false);
            }
            let before = match (self.column, self.space) {
                (0, _) => INDENT,
                (_, true) => " ",
                (_, false) => "",
            };
            let _ = write!(self.facts, "{before}{word}");
            self.column += before.len() + length;
            self.space = word.len() < part.len();
        }
        let _ = self.facts.flush();
    }

    /// Ends running text.
    pub(super) fn end(&mut self) {
        (self.column, self.space) = (0, false);
        self.line("");
    }

    pub(super) fn line(&mut self, text: &str) {
        let _ = writeln!(self.facts, "{text}");
        let _ = self.facts.flush();
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// `alice, groups demo-users`.
pub(super) fn who(status: &Status) -> String {
    let groups = if status.groups.is_empty() { "no groups".to_owned() } else { status.groups.join(", ") };
    format!("{} ({groups}), signed in with `{}` through the browser flow", status.user, status.provider)
}

/// A leg as one line.
pub(super) fn leg(leg: &Leg) -> String {
    let over = match leg.transport.as_str() {
        "quic" => "over QUIC",
        _ => "over TCP",
    };
    let verified = match leg.verified {
        Some(true) => ", certificate verified",
        Some(false) => ", certificate NOT verified",
        None => "",
    };
    format!("{} {} {} {over}{verified}", leg.tls, leg.cipher, leg.group)
}

/// `permit, by demo-users`.
pub(super) fn decision(event: &Event) -> String {
    let Some(decision) = &event.decision else { return "nobody".to_owned() };
    format!("policy {}: {}", decision.policies.join(", "), decision.verdict)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What was shown, for a test to read.
    #[derive(Clone, Default)]
    pub(in crate::demo) struct Shown(Arc<Mutex<Vec<u8>>>);

    impl Shown {
        pub(in crate::demo) fn show(&self) -> Show {
            Show {
                facts: Box::new(self.clone()),
                talk: Box::new(io::sink()),
                colours: false,
                column: 0,
                space: false,
            }
        }

        pub(in crate::demo) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Shown {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn running_text_is_broken_between_words_and_no_word_is_lost() {
        let shown = Shown::default();
        let mut show = shown.show();
        let text = "some words of different length ".repeat(20);
        for piece in text.split_inclusive(' ') {
            show.piece(piece);
        }
        show.end();
        assert!(shown.text().lines().all(|line| line.len() <= WIDTH && line.trim_end() == line));
        assert!(shown.text().split_whitespace().eq(text.split_whitespace()));
    }

    #[test]
    fn a_leg_is_told_with_all_that_was_agreed() {
        let quic = Leg {
            transport: "quic".to_owned(),
            tls: "TLSv1.3".to_owned(),
            cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
            group: "X25519MLKEM768".to_owned(),
            ..Leg::default()
        };
        assert_eq!(leg(&quic), "TLSv1.3 TLS_AES_256_GCM_SHA384 X25519MLKEM768 over QUIC");
    }
}
