//! `hoopctl sessions replay`: an answer in the terminal, at its own pace.

use std::time::Duration;

use clap::Args;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    super::{
        error::{DONE, Failure, Outcome},
        invocation::Invocation,
        printer::Printer,
        sanitize,
    },
    source::{self, For, Piece, Wanted},
};
use crate::{
    config::laptop::Output,
    evidence::{
        playback::{Unpacked, Words, message},
        recording::{Entry, Side, What},
    },
};

/// The flags of `sessions replay`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Shown is the text of an answer, where its interface is understood, and its bytes otherwise. Whatever a terminal would obey is
spelled out, wherever the output goes: exact bytes come from `hoopctl sessions export --format raw`.")]
pub(super) struct Replay {
    #[command(flatten)]
    wanted: Wanted,
    /// So many times as fast, such as 4 or 0.5
    #[arg(long, value_name = "N", default_value = "1", value_parser = speed, conflicts_with = "no_timing")]
    speed: f64,
    /// All at once
    #[arg(long)]
    no_timing: bool,
    /// The question too, before the answer
    #[arg(long)]
    request: bool,
    /// The answer's bytes, also where its text is understood
    #[arg(long)]
    raw: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: Option<f64> = text.parse().ok();
    speed
        .filter(|speed| (0.01..=1000.0).contains(speed))
        .ok_or_else(|| "write a number between 0.01 and 1000".to_owned())
}

/// How to play.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// `None`: all at once.
    pub(super) speed: Option<f64>,
    pub(super) request: bool,
    pub(super) raw: bool,
}

/// Plays.
pub(super) async fn perform(args: Replay, with: &Invocation) -> Outcome {
    let manner =
        Manner { speed: (!args.no_timing).then_some(args.speed), request: args.request, raw: args.raw };
    let keys = args.wanted.keys(with)?;
    if let Some(file) = &args.wanted.file {
        play(source::of_file(file, &keys)?, manner, &file.display().to_string(), &with.printer).await?;
        return Ok(DONE);
    }
    let (_laptop, link) = with.connected().await?;
    for exchange in args.wanted.exchanges(&link).await? {
        let pieces = source::of_gateway(&link, &exchange, For::Replay, &keys).await?;
        play(pieces, manner, &exchange, &with.printer).await?;
    }
    link.close().await;
    Ok(DONE)
}

/// Plays one recording.
pub(super) async fn play(
    mut pieces: mpsc::Receiver<Piece>,
    manner: Manner,
    name: &str,
    printer: &Printer,
) -> Result<(), Failure> {
    let mut stage = Stage::new(manner, printer);
    let mut began = None;
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Entry(entry) => {
                let began = *began.get_or_insert_with(Instant::now);
                if let Some(due) = manner.speed.and_then(|speed| due(began, entry.at, speed)) {
                    sleep_until(due).await;
                }
                stage.show(&entry)?;
            }
            Piece::Over { whole, unknown } => {
                stage.end()?;
                if !whole {
                    printer.warn(&format!(
                        "{name}: the recording ends before its exchange did: the gateway was killed, or still writes it"
                    ));
                }
                if unknown > 0 {
                    printer
                        .warn(&format!("{name}: {unknown} entries are of kinds that a newer hoopctl knows"));
                }
                return Ok(());
            }
            Piece::Broken(error) => {
                stage.end()?;
                return Err(source::failure(error, name));
            }
        }
    }
    stage.end()
}

/// When what happened so many microseconds after the beginning is due.
fn due(began: Instant, at: u64, speed: f64) -> Option<Instant> {
    let after = Duration::try_from_secs_f64(Duration::from_micros(at).as_secs_f64() / speed).ok()?;
    began.checked_add(after)
}

/// What is on the screen of one exchange.
struct Stage<'p> {
    manner: Manner,
    printer: &'p Printer,
    screen: sanitize::Stream,
    answer: Option<(Unpacked, Words)>,
    question: Option<Unpacked>,
    /// Whether the last line on stdout is not ended.
    open: bool,
}

impl<'p> Stage<'p> {
    fn new(manner: Manner, printer: &'p Printer) -> Self {
        Self {
            manner,
            printer,
            screen: sanitize::Stream::default(),
            answer: None,
            question: None,
            open: false,
        }
    }

    fn show(&mut self, entry: &Entry) -> Result<(), Failure> {
        if self.printer.manner().output != Output::Human {
            return self.printer.object_line(entry);
        }
        match &entry.what {
            What::Opened(opened) => {
                let talk = format!(
                    "{}: {} asked {} at {}",
                    opened.exchange, opened.caller, opened.model, opened.time
                );
                self.printer.note(&talk);
            }
            What::Request { method, path, headers, .. } => {
                if self.manner.request {
                    self.write(format!("{method} {path}\n").as_bytes())?;
                    self.question = Some(Unpacked::new(headers));
                }
            }
            What::Response { status, headers } => self.answered(*status, headers)?,
            What::Body { from: Side::Caller, bytes } => {
                let mut unpacked = Vec::new();
                if let Some(question) = &mut self.question {
                    question.feed(bytes, &mut |piece| unpacked.extend_from_slice(piece));
                }
                self.write(&unpacked)?;
            }
            What::Body { from: Side::Model, bytes } => self.said(bytes)?,
            What::Message { from, kind, bytes } => self.message(*from, kind, bytes)?,
            What::Trailers { headers, .. } => self.trailers(headers)?,
            What::Omitted { from, bytes, why } => {
                let whose = if *from == Side::Caller { "question" } else { "answer" };
                self.break_line()?;
                self.printer.note(&format!("{bytes} bytes of the {whose} are not in the recording: {why}"));
            }
            What::Ended(ended) => {
                self.end()?;
                if ended.outcome != "complete" {
                    self.printer.note(&format!("the exchange ended: {}", ended.outcome));
                }
            }
        }
        Ok(())
    }

    /// The head of the answer; those of interim answers are passed over.
    fn answered(&mut self, status: u16, headers: &[(String, String)]) -> Result<(), Failure> {
        if (100..200).contains(&status) && status != 101 {
            return Ok(());
        }
        if self.manner.request {
            self.break_line()?;
            self.write(format!("\n{status}\n").as_bytes())?;
        } else if status >= 400 {
            self.printer.note(&format!("the answer's status is {status}"));
        }
        if let Some(coding) = Unpacked::unknown(headers) {
            self.printer.note(&format!("the answer is compressed ({coding}) and shown as it is"));
        }
        self.answer = Some((Unpacked::new(headers), Words::new(headers)));
        Ok(())
    }

    fn said(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut shown = Vec::new();
        match &mut self.answer {
            Some((unpacked, words)) => unpacked.feed(bytes, &mut |piece| {
                if self.manner.raw {
                    shown.extend_from_slice(piece);
                } else {
                    shown.extend(words.feed(piece));
                }
            }),
            None => shown.extend_from_slice(bytes),
        }
        self.write(&shown)
    }

    fn message(&mut self, from: Side, kind: &str, bytes: &[u8]) -> Result<(), Failure> {
        let asked = from == Side::Caller;
        if (asked && !self.manner.request) || matches!(kind, "ping" | "pong") {
            return Ok(());
        }
        let text = std::str::from_utf8(bytes).is_ok() && matches!(kind, "text" | "continuation");
        let shown = match (text, self.manner.raw) {
            (true, false) if !asked => message(bytes),
            (true, _) => [bytes, b"\n"].concat(),
            (false, _) => format!("[{kind}, {} bytes]\n", bytes.len()).into_bytes(),
        };
        if asked {
            self.break_line()?;
            self.write(b"> ")?;
        }
        self.write(&shown)
    }

    /// Those that say that a gRPC call failed, or all of them.
    fn trailers(&mut self, headers: &[(String, String)]) -> Result<(), Failure> {
        for (name, value) in headers {
            let failed = name == "grpc-status" && value != "0";
            if self.manner.raw || failed || name == "grpc-message" {
                self.break_line()?;
                self.printer.note(&format!("{name}: {value}"));
            }
        }
        Ok(())
    }

    /// Ends the answer and its last line.
    fn end(&mut self) -> Result<(), Failure> {
        if let Some((_, mut words)) = self.answer.take()
            && !self.manner.raw
        {
            let rest = words.finish();
            self.write(&rest)?;
            if words.is_silent() {
                self.printer.note("the answer has no text: --raw shows what it has");
            }
        }
        self.break_line()
    }

    fn break_line(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.open) {
            self.printer.raw(b"\n")?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.is_empty() || self.printer.manner().output != Output::Human {
            return Ok(());
        }
        let shown = self.screen.push(bytes);
        if let Some(last) = shown.chars().last() {
            self.open = last != '\n';
            self.printer.raw(shown.as_bytes())?;
        }
        Ok(())
    }
}
