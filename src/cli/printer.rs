//! Decides what is printed where: stdout is data, stderr is talk, a broken pipe is success.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{error::Failure, sanitize, table::Table};
use crate::config::laptop::{Color, Output};

/// How and where to print.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// The format of stdout.
    pub(super) output: Output,
    /// No talk but warnings and errors.
    pub(super) quiet: bool,
    /// Colours on stdout.
    pub(super) out_color: bool,
    /// Colours on stderr.
    pub(super) err_color: bool,
    /// Whether stdout is a terminal.
    pub(super) out_terminal: bool,
    /// Whether stderr is a terminal.
    pub(super) err_terminal: bool,
}

impl Manner {
    /// As the process's terminal and `NO_COLOR` (no-color.org) have it.
    pub(super) fn of_process(output: Output, quiet: bool, color: Color) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let wanted = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !plain,
        };
        let (out_terminal, err_terminal) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            output,
            quiet,
            out_color: wanted(out_terminal),
            err_color: wanted(err_terminal),
            out_terminal,
            err_terminal,
        }
    }
}

/// The process's two voices.
pub(super) struct Printer {
    manner: Manner,
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    spinner: Mutex<Option<ProgressBar>>,
}

impl Printer {
    /// Prints to the process's stdout and stderr.
    pub(super) fn of_process(manner: Manner) -> Self {
        Self::to(manner, Box::new(io::stdout()), Box::new(io::stderr()))
    }

    /// Prints elsewhere.
    pub(super) fn to(manner: Manner, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self { manner, out: Mutex::new(out), err: Mutex::new(err), spinner: Mutex::new(None) }
    }

    /// How this printer prints.
    pub(super) fn manner(&self) -> Manner {
        self.manner
    }

    /// One line of data, our own or already neutralised.
    pub(super) fn line(&self, line: &str) -> Result<(), Failure> {
        let mut out = held(&self.out);
        writeln!(out, "{line}")?;
        Ok(out.flush()?)
    }

    /// Our own words as they are marked on stdout: green for good, red for bad.
    pub(super) fn marked(&self, good: Option<bool>, words: &str) -> String {
        let style = match good {
            Some(true) => GREEN,
            Some(false) => RED,
            None => YELLOW,
        };
        painted(self.manner.out_color, style, words)
    }

    /// Data as it is, without anything added.
    pub(super) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = held(&self.out);
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// A table for people.
    pub(super) fn table(&self, table: &Table) -> Result<(), Failure> {
        let (heading, rows) = table.lines();
        let mut out = held(&self.out);
        if let Some(heading) = heading {
            writeln!(out, "{}", painted(self.manner.out_color, BOLD, &heading))?;
        }
        for row in rows {
            writeln!(out, "{row}")?;
        }
        Ok(out.flush()?)
    }

    /// One JSON document: indented for `json`, one line for `jsonl`.
    pub(super) fn document(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = match self.manner.output {
            Output::Jsonl => serde_json::to_string(value),
            Output::Human | Output::Json => serde_json::to_string_pretty(value),
        };
        self.line(&sanitize::json(text.map_err(|error| Failure::failed(error.to_string()))?))
    }

    /// Several values: one array for `json`, a line each for `jsonl`.
    pub(super) fn documents<T: Serialize>(&self, values: &[T]) -> Result<(), Failure> {
        if self.manner.output == Output::Json {
            return self.document(&values);
        }
        values.iter().try_for_each(|value| self.object_line(value))
    }

    /// One JSON value on one line, whatever the format.
    pub(super) fn object_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|error| Failure::failed(error.to_string()))?;
        self.line(&sanitize::json(text))
    }

    /// Talk: what a person might like to know; nothing with `--quiet`.
    pub(super) fn note(&self, text: &str) {
        if self.manner.quiet {
            return;
        }
        match self.manner.output {
            Output::Human => self.talk(&sanitize::text(text)),
            Output::Json | Output::Jsonl => self.talk_json("note", text),
        }
    }

    /// As [`Self::note`], of an event that programs know by its name.
    pub(super) fn event(&self, name: &str, text: &str) {
        match self.manner.output {
            Output::Json | Output::Jsonl if !self.manner.quiet => {
                self.tell(&serde_json::json!({ "note": { "event": name, "message": text } }));
            }
            _ => self.note(text),
        }
    }

    /// Talk that a person needs in order to go on; `--quiet` does not silence it.
    pub(super) fn say(&self, text: &str) {
        self.talk(&sanitize::text(text));
    }

    /// What a program needs in order to go on, on stderr next to the errors.
    pub(super) fn tell(&self, value: &serde_json::Value) {
        self.talk(&sanitize::json(value.to_string()));
    }

    /// A picture of our own making, with its colours.
    pub(super) fn picture(&self, picture: &str) {
        self.talk(picture);
    }

    /// A warning; `--quiet` does not silence it.
    pub(super) fn warn(&self, text: &str) {
        if self.manner.output != Output::Human {
            return self.talk_json("warning", text);
        }
        let heading = painted(self.manner.err_color, YELLOW, "warning:");
        self.talk(&format!("{heading} {}", sanitize::text(text)));
    }

    /// A question whose answer is typed behind it; only meant for a terminal.
    pub(super) fn ask(&self, question: &str) {
        self.beside_spinner(|err| {
            let _ = write!(err, "{} ", sanitize::text(question));
        });
    }

    /// A failure, for people or, with a JSON format, for programs.
    pub(super) fn failure(&self, failure: &Failure) {
        if self.manner.output != Output::Human {
            if let Some(json) = failure.json() {
                self.talk(&sanitize::json(json.to_string()));
            }
            return;
        }
        for (heading, text) in failure.lines() {
            let style = if heading == "next" || heading == "request" { CYAN } else { RED };
            let heading = painted(self.manner.err_color, style, &format!("{heading}:"));
            self.talk(&format!("{heading} {}", sanitize::text(&text)));
        }
    }

    /// Shows that something takes its time, on a terminal only, until the guard is dropped.
    pub(super) fn progress(&self, text: &str) -> Progress<'_> {
        if self.manner.err_terminal && !self.manner.quiet && self.manner.output == Output::Human {
            let spinner = ProgressBar::new_spinner().with_message(sanitize::line(text).into_owned());
            spinner.set_style(ProgressStyle::default_spinner());
            spinner.enable_steady_tick(Duration::from_millis(120));
            *held(&self.spinner) = Some(spinner);
        }
        Progress(self)
    }

    /// Next to errors in JSON, talk is JSON too: a program reads stderr line by line.
    fn talk_json(&self, kind: &str, text: &str) {
        self.tell(&serde_json::json!({ kind: { "message": text } }));
    }

    fn talk(&self, line: &str) {
        self.beside_spinner(|err| {
            // Nobody is left to tell when stderr is gone.
            let _ = writeln!(err, "{line}");
        });
    }

    fn beside_spinner(&self, write: impl FnOnce(&mut dyn Write)) {
        let mut err = held(&self.err);
        match held(&self.spinner).as_ref() {
            Some(spinner) => spinner.suspend(|| write(&mut **err)),
            None => write(&mut **err),
        }
        let _ = err.flush();
    }
}

/// A spinner; gone when dropped.
pub(super) struct Progress<'a>(&'a Printer);

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(spinner) = held(&self.0.spinner).take() {
            spinner.finish_and_clear();
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const BOLD: &str = "1";
const RED: &str = "1;31";
const GREEN: &str = "1;32";
const YELLOW: &str = "1;33";
const CYAN: &str = "36";

fn painted(wanted: bool, style: &str, text: &str) -> String {
    if wanted { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
}

/// What tests print to and read back.
#[cfg(test)]
pub(super) mod paper {
    use super::{Arc, Manner, Mutex, Output, Printer, Write, held, io};

    /// Remembers what was written.
    #[derive(Clone, Default)]
    pub(in crate::cli) struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        /// Everything written so far.
        pub(in crate::cli) fn text(&self) -> String {
            String::from_utf8(self.bytes()).unwrap()
        }

        /// The same, whatever it is.
        pub(in crate::cli) fn bytes(&self) -> Vec<u8> {
            held(&self.0).clone()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            held(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A plain printer, its stdout and its stderr.
    pub(in crate::cli) fn printer(output: Output) -> (Printer, Paper, Paper) {
        let manner = Manner {
            output,
            quiet: false,
            out_color: false,
            err_color: false,
            out_terminal: false,
            err_terminal: false,
        };
        let (out, err) = (Paper::default(), Paper::default());
        (Printer::to(manner, Box::new(out.clone()), Box::new(err.clone())), out, err)
    }
}

#[cfg(test)]
use std::sync::Arc;

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_success() {
        let (plain, ..) = paper::printer(Output::Human);
        let printer = Printer::to(plain.manner(), Box::new(Gone), Box::new(Gone));
        let failure = printer.line("data").unwrap_err();
        assert!(matches!(failure, Failure::ReaderGone));
        assert_eq!(failure.exit_code(), 0);
        printer.note("nobody hears this, and that is no failure");
    }

    #[test]
    fn data_and_talk_never_mix() {
        let (printer, out, err) = paper::printer(Output::Human);
        printer.line("data").unwrap();
        printer.note("talk");
        printer.failure(&Failure::usage("wrong").remedy("hoopctl --help"));
        assert_eq!(out.text(), "data\n");
        assert_eq!(err.text(), "talk\nusage: wrong\nnext: hoopctl --help\n");
    }

    #[test]
    fn failures_are_json_when_the_answer_is() {
        let (printer, out, err) = paper::printer(Output::Jsonl);
        printer.note("a\nb");
        printer.warn("heed");
        printer.failure(&Failure::failed("\u{202e}evil"));
        assert_eq!(out.text(), "");
        let told = err.text();
        let told: Vec<serde_json::Value> =
            told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(told[0]["note"]["message"], "a\nb");
        assert_eq!(told[1]["warning"]["message"], "heed");
        assert_eq!(told[2]["error"]["message"], "\u{202e}evil");
        assert!(!err.text().contains('\u{202e}'), "a terminal must not obey it");
    }

    #[test]
    fn an_array_is_one_document_or_many_lines() {
        let (printer, out, _) = paper::printer(Output::Jsonl);
        printer.documents(&[1, 2]).unwrap();
        assert_eq!(out.text(), "1\n2\n");
        let (printer, out, _) = paper::printer(Output::Json);
        printer.documents(&[1, 2]).unwrap();
        assert_eq!(serde_json::from_str::<Vec<u8>>(&out.text()).unwrap(), [1, 2]);
    }

    #[test]
    fn quiet_silences_talk_but_no_warning() {
        let (loud, _, err) = paper::printer(Output::Human);
        let manner = Manner { quiet: true, ..loud.manner() };
        let printer = Printer::to(manner, Box::new(io::sink()), Box::new(err.clone()));
        printer.note("talk");
        printer.warn("heed");
        assert_eq!(err.text(), "warning: heed\n");
    }
}
